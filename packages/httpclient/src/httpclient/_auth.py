"""Basic authentication, as far as the client reads it (RFC 7617)."""

from __future__ import annotations

from typing import NamedTuple, Self

from yarl import URL

from httpcore_proto import parse_basic_auth


class BasicAuth(NamedTuple):
    """Login and password, read from somewhere. `encode_basic_auth` writes the header.

    Attributes:
        login: User name.
        password: Password.
        encoding: The charset it was read with.
    """

    login: str
    password: str = ""
    encoding: str = "latin1"

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> Self:
        """Read an Authorization header; the first colon ends the login.

        Args:
            auth_header: Value of the header; the scheme in any case.
            encoding: Charset of login and password; aiohttp's default.

        Raises:
            ValueError: The scheme is another, what follows is no canonical base64, or it
                is not text in `encoding` with a colon and without control characters.
                The text shows nothing of it.
            LookupError: `encoding` is unknown.
        """
        found = parse_basic_auth(auth_header, encoding)
        if found is None:
            raise ValueError(
                f"not credentials of the scheme Basic: base64 of login:password in {encoding}"
            )
        return cls(*found, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Take user and password from a URL, decoded; None if it has neither.

        Raises:
            TypeError: `url` is no `yarl.URL`.
        """
        if not isinstance(url, URL):
            raise TypeError(f"url should be yarl.URL, not {type(url).__name__}")
        if url.raw_user is None and url.raw_password is None:
            return None
        return cls(url.user or "", url.password or "", encoding)

    def __repr__(self) -> str:
        return f"BasicAuth(login={self.login!r}, password=<hidden>, encoding={self.encoding!r})"
