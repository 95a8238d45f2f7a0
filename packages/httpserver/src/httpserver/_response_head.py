"""The head of a response: status, fields, cookies."""

from __future__ import annotations

import http
import math
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Final

from multidict import CIMultiDict

import httpcore_proto
from httpcore_proto import (
    SERVER_SOFTWARE,
    ContentType,
    ETag,
    HeaderBlock,
    HeadersLike,
    format_http_date,
    parse_content_type,
    parse_etags,
    parse_http_date,
)

from ._preset import Presets
from ._set_cookie import cookie_line, set_morsel

_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}
OCTET_STREAM: Final = "application/octet-stream"
_NO_FIELDS: Final[CIMultiDict[str]] = CIMultiDict()


class ResponseHead:
    """What `StreamResponse` has of a head; `prepare` sends it.

    Fields that nearly all responses have are not in `headers` before somebody asks, since
    most programs never do.
    """

    _headers: CIMultiDict[str] | None = None
    _cookies: SimpleCookie | None = None
    _force_close: bool = False
    _is_prepared: bool = False
    #: Content-Type as long as `headers` was not asked for.
    _content_type: str | None = OCTET_STREAM
    _status: int
    _reason: str | None

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return _REASONS.get(self._status, "") if self._reason is None else self._reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status and reason.

        Args:
            status: 200 to 599.
            reason: Reason phrase; the standard one unless given, empty for a status that has
                none.

        Raises:
            RuntimeError: The head was sent.
            ValueError: There is a line end in `reason`.
        """
        if self._is_prepared:
            raise RuntimeError("cannot change the status: the head was sent")
        self._reason = check_reason(reason)
        self._status = status

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields to send; changes count until the head is sent.

        `Content-Type` is added when the head is sent, if it is not there then.
        """
        if self._headers is None:
            self._headers = CIMultiDict()
            if self._content_type is not None and self._content_type is not OCTET_STREAM:
                self._headers["Content-Type"] = self._content_type
        return self._headers

    def force_close(self) -> None:
        """End the connection after this response; cannot be taken back."""
        self._force_close = True

    # Single fields.

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes; None for a body in chunks.

        Raises:
            RuntimeError: When set, if the body is to be sent in chunks.
        """
        value = None if self._headers is None else self._headers.get("Content-Length")
        return None if value is None else int(value)

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        if value is None:
            self.headers.pop("Content-Length", None)
        elif "Transfer-Encoding" in self.headers:
            raise RuntimeError("a body in chunks has no Content-Length")
        else:
            self.headers["Content-Length"] = str(int(value))

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters; setting it keeps the parameters."""
        return self._parsed_content_type.media_type

    @content_type.setter
    def content_type(self, value: str) -> None:
        parameters = self._parsed_content_type.parameters
        self._set_content_type(ContentType(str(value), parameters))

    @property
    def charset(self) -> str | None:
        """Charset that Content-Type tells; None for none.

        Raises:
            RuntimeError: When set, if the media type is `application/octet-stream`.
        """
        return self._parsed_content_type.charset

    @charset.setter
    def charset(self, value: str | None) -> None:
        media_type, parameters = self._parsed_content_type
        if media_type == OCTET_STREAM:
            raise RuntimeError(f"{OCTET_STREAM} has no charset: set content_type first")
        others = {name: text for name, text in parameters.items() if name != "charset"}
        told = {} if value is None else {"charset": str(value).lower()}
        self._set_content_type(ContentType(media_type, others | told))

    @property
    def last_modified(self) -> datetime | None:
        """Last-Modified, aware, in UTC; None if absent or no date.

        May be set to a `str` as it is, to seconds since the epoch, to a `datetime` (UTC if it
        is not aware), or to None. Fractions of a second are rounded up.

        Raises:
            TypeError: When set to something else.
        """
        return parse_http_date(self.headers.get("Last-Modified", ""))

    @last_modified.setter
    def last_modified(self, value: datetime | float | str | None) -> None:
        if value is None:
            self.headers.pop("Last-Modified", None)
        elif isinstance(value, str):
            self.headers["Last-Modified"] = value
        elif isinstance(value, (int, float, datetime)) and not isinstance(value, bool):
            if isinstance(value, datetime):
                value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
            self.headers["Last-Modified"] = format_http_date(math.ceil(value))
        else:
            raise TypeError(f"last_modified cannot be of type {type(value).__name__}")

    @property
    def etag(self) -> ETag | None:
        """The entity tag; None if absent or malformed.

        May be set to an `ETag`, to a `str` (the tag without quotes, strong; `"*"` for any),
        or to None.

        Raises:
            ValueError: When set to something else, or to a tag with a quote or control.
        """
        tags = parse_etags(self.headers.get("ETag", ""))
        return tags[0] if tags else None

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        if value is None:
            self.headers.pop("ETag", None)
        elif isinstance(value, (str, ETag)):
            self.headers["ETag"] = str(ETag(value) if isinstance(value, str) else value)
        else:
            raise ValueError(f"etag cannot be of type {type(value).__name__}")

    # Cookies.

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies to set; `set_cookie` and `del_cookie` are the easier way."""
        if self._cookies is None:
            self._cookies = SimpleCookie()
        return self._cookies

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        expires: datetime | str | None = None,
        domain: str | None = None,
        max_age: int | str | None = None,
        path: str | None = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Set a cookie (RFC 6265bis section 4.1); an earlier one of that name is replaced.

        Args:
            name: A token.
            value: Quoted if it has characters that a cookie cannot have as they are.
            expires: When it ends, aware, or a date as text.
            domain: Sent to this host and those below it; to our host alone unless given.
            max_age: Seconds it lives; counts for more than `expires`.
            path: Sent with this path and those below it.
            secure: Over TLS only.
            httponly: Not for scripts.
            samesite: `"Strict"`, `"Lax"` or `"None"`.
            partitioned: Kept apart per top-level site.

        Raises:
            ValueError: Something would break out of its place, or is not of its grammar.
        """
        morsel = set_morsel(
            self.cookies,
            name,
            value,
            {
                "expires": expires,
                "domain": domain,
                "max-age": max_age,
                "path": path,
                "secure": secure,
                "httponly": httponly,
                "samesite": samesite,
                "partitioned": partitioned,
            },
        )
        try:
            cookie_line(morsel)
        except ValueError:
            del self.cookies[name]
            raise

    def del_cookie(
        self,
        name: str,
        *,
        domain: str | None = None,
        path: str | None = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
    ) -> None:
        """Make the client forget a cookie; domain and path must be those it was set with.

        Raises:
            ValueError: As of `set_cookie`.
        """
        self.set_cookie(
            name,
            "",
            expires=datetime.fromtimestamp(0, UTC),
            max_age=0,
            domain=domain,
            path=path,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    # For the connection.

    def make_head(self, presets: Presets) -> httpcore_proto.Response:
        """Return the head as the protocol core takes it; called once, by the connection."""
        headers = self._headers
        if (
            headers is None
            and self._reason is None
            and self._cookies is None
            and not self._force_close
        ):
            return presets.head(self._status, self._content_type)
        if headers is None:
            headers = _NO_FIELDS
        fields = list(headers.items())
        content_type = None if "Content-Type" in headers else self._content_type
        preset: HeaderBlock | None = presets.get(content_type)
        if "Date" in headers or "Server" in headers:
            # The program's own Date or Server stands in for ours.
            preset = None
            for name, value in (
                ("Content-Type", content_type),
                ("Date", presets.date),
                ("Server", SERVER_SOFTWARE),
            ):
                if value is not None and name not in headers:
                    fields.append((name, value))
        if self._cookies:
            fields += [("Set-Cookie", cookie_line(morsel)) for morsel in self._cookies.values()]
        if self._force_close:
            fields.append(("Connection", "close"))
        return httpcore_proto.Response(
            status=self._status, reason=self._reason, headers=fields, preset=preset
        )

    def fill_headers(self, presets: Presets) -> None:
        """Put into `headers` what `make_head` would add, for hooks that want to see it."""
        headers = self.headers
        presets.get(None)
        for name, value in (
            ("Content-Type", self._content_type),
            ("Date", presets.date),
            ("Server", SERVER_SOFTWARE),
        ):
            if value is not None:
                headers.setdefault(name, value)

    # Inside.

    def _set_headers(self, headers: HeadersLike | None) -> None:
        if headers is not None:
            self._headers = CIMultiDict(headers)

    @property
    def _parsed_content_type(self) -> ContentType:
        value = None if self._headers is None else self._headers.get("Content-Type")
        return parse_content_type((self._content_type if value is None else value) or "")

    def _set_content_type(self, value: ContentType) -> None:
        if self._headers is None:
            self._content_type = str(value)
        else:
            self._headers["Content-Type"] = str(value)


def check_reason(reason: str | None) -> str | None:
    """Return a reason phrase if it is one line.

    Raises:
        ValueError: It is not.
    """
    if reason is not None and ("\r" in reason or "\n" in reason):
        raise ValueError("a reason phrase cannot have a line end")
    return reason
