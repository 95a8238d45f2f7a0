"""What a session asks of a cookie jar, and the jar that keeps nothing."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Any, Final, TypeAlias

from yarl import URL

from httpcore_proto import format_cookie_header, parse_set_cookie_headers

#: Cookies in any of the forms that are taken from a program: names with values. Each cookie
#: in a `BaseCookie` that stands for a value is taken with its own name.
LooseCookies: TypeAlias = (
    Mapping[str, "str | Morsel[Any] | BaseCookie[Any]"]
    | Iterable[tuple[str, "str | Morsel[Any] | BaseCookie[Any]"]]
)
#: Says of a cookie whether it is to be removed.
ClearCookiePredicate: TypeAlias = Callable[["Morsel[str]"], bool]

#: In place of the URL of a response, where the program itself sets cookies.
NO_URL: Final = URL()


class AbstractCookieJar(Sized, Iterable["Morsel[str]"], abc.ABC):
    """Keeps cookies between requests. Derive from it for a jar of your own.

    Besides what is abstract, `len()` says how many cookies there are: a session looks at it
    before each request, and asks no further if it is 0. Iteration gives morsels.
    """

    @property
    def quote_cookie(self) -> bool:
        """Whether values with special characters are sent in quotes; True by default."""
        return True

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that count as secure although they are not https; none by default."""
        return frozenset()

    @abc.abstractmethod
    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove the cookies that `predicate` is true for; all of them without one."""

    @abc.abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of a domain and of all domains below it."""

    @abc.abstractmethod
    def update_cookies(self, cookies: LooseCookies, response_url: URL = NO_URL) -> None:
        """Take over cookies, as if a response from `response_url` had set them.

        Args:
            cookies: Names with values, or with morsels for the attributes.
            response_url: Where they come from; without it, the program sets them.
        """

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Take over the cookies that a response sets.

        By default they are parsed, and handed to `update_cookies`.

        Args:
            headers: Values of the `Set-Cookie` fields.
            response_url: Where they come from.
        """
        self.update_cookies(parse_set_cookie_headers(headers), response_url)

    @abc.abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies to send to `request_url`, as bare morsels."""

    def cookie_header(self, request_url: URL) -> str | None:
        """Return the value of the `Cookie` field for a request, None for no field.

        By default it is made of what `filter_cookies` gives.

        Args:
            request_url: Where the request goes.

        Raises:
            ValueError: `filter_cookies` gave a name or value that cannot be sent.
        """
        found = self.filter_cookies(request_url)
        pairs = [(name, morsel.coded_value) for name, morsel in found.items()]
        return format_cookie_header(pairs) if pairs else None


class DummyCookieJar(AbstractCookieJar):
    """Keeps no cookies, and does not even look at them."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(())

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Do nothing."""

    def clear_domain(self, domain: str) -> None:
        """Do nothing."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = NO_URL) -> None:
        """Do nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return no cookies."""
        return SimpleCookie()

    def cookie_header(self, request_url: URL) -> str | None:
        """Return None."""
        return None
