"""The cookie jar of a session (RFC 6265bis)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import Final

from yarl import URL

from httpcore_proto import MAX_COOKIES, SetCookie, parse_cookie_header, parse_set_cookie

from ._abstract_cookie_jar import (
    NO_URL,
    AbstractCookieJar,
    ClearCookiePredicate,
    LooseCookies,
)
from ._cookie_file import read_cookies, write_cookies
from ._cookie_rules import (
    MAX_LIFETIME,
    Origin,
    PublicSuffixes,
    accept,
    given_cookies,
    installed_public_suffixes,
)
from ._cookie_store import CookieStore, StoredCookie, domain_matches, is_address

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_BY_PROGRAM: Final = Origin("", "/", secure=True)


class CookieJar(AbstractCookieJar):
    """Keeps cookies after RFC 6265bis.

    A cookie is the same as another if name, domain, path and host-only flag are equal. What
    its server may not set is ignored: a cookie for another domain or a public suffix, a
    secure one from an insecure origin or one that would overlay a secure one from there, a
    `__Secure-` or `__Host-` cookie that is not what its name promises. No cookie is kept for
    more than 400 days. SameSite, HttpOnly and Partitioned are kept, but change nothing: a
    program has no sites that ask for each other's pages.

    There are at most 180 cookies of one domain and 3300 in all; beyond that those that are
    expired, then those not used for longest are removed, secure ones only for secure ones.
    A request carries at most 150 cookies and 8190 bytes; the least specific are left out.

    Cookies that the program sets itself without a URL are shared: sent to every host,
    unless they name a domain.

    Args:
        unsafe: Whether cookies from hosts given as IP addresses are kept.
        quote_cookie: Whether values with special characters are put in quotes; those that
            are in quotes already, or not ASCII, are sent as they came in any case.
        treat_as_secure_origin: Origins that count as secure although they are not https,
            for programs that run behind a proxy, or in tests.
        public_suffixes: Called with a domain in lower case, says whether it is a public
            suffix, like `co.uk`, for which no cookies can be set. By default it asks the
            package publicsuffixlist (the extra `psl`), read when first needed; if that is
            not installed, only domains of one label are public suffixes.
        clock: Gives the time, in seconds since the epoch.

    Raises:
        ValueError: An origin to be treated as secure is not absolute.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: str | URL | Iterable[str | URL] | None = None,
        public_suffixes: PublicSuffixes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        if treat_as_secure_origin is None:
            treat_as_secure_origin = ()
        elif isinstance(treat_as_secure_origin, (str, URL)):
            treat_as_secure_origin = (treat_as_secure_origin,)
        self._secure_origins = frozenset([URL(url).origin() for url in treat_as_secure_origin])
        self._secure_keys = frozenset([_origin_key(url) for url in self._secure_origins])
        self._public_suffixes = public_suffixes
        self._clock = clock
        self._store = CookieStore()

    @property
    def unsafe(self) -> bool:
        """Whether cookies from hosts given as IP addresses are kept."""
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        """Whether values with special characters are put in quotes."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that count as secure although they are not https."""
        return self._secure_origins

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """What is stored now, by domain and path; a copy.

        The domain of shared cookies is empty. Where a host has a cookie of its own and one
        of the same name for its domain, it is the former.
        """
        found: dict[tuple[str, str], SimpleCookie] = {}
        for cookie in sorted(self._current(), key=lambda cookie: cookie.host_only):
            there = found.setdefault((cookie.domain, cookie.path), SimpleCookie())
            dict.__setitem__(there, cookie.name, cookie.morsel())
        return MappingProxyType(found)

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of the cookies that are not for hosts below theirs; a copy."""
        return frozenset(
            [(one.domain, one.path, one.name) for one in self._current() if one.host_only]
        )

    def __len__(self) -> int:
        """Return the number of cookies; some of them may be expired."""
        return len(self._store)

    def __iter__(self) -> Iterator[Morsel[str]]:
        """Iterate over copies of the cookies, after those that are expired are removed.

        Each has its domain, also if it is host-only, and a time in `expires` if it is not
        for the session.
        """
        return iter([cookie.morsel() for cookie in self._current()])

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove cookies.

        Args:
            predicate: Is true for those to remove; None to remove all. Expired ones are
                removed in any case.
        """
        if predicate is None:
            self._store = CookieStore()
        else:
            self._store.remove_all([one for one in self._current() if predicate(one.morsel())])

    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of a domain, of all domains below it, and those expired."""
        domain = domain.lower()
        self._store.remove_all(
            [one for one in self._current() if domain_matches(one.domain, domain)]
        )

    def update_cookies(self, cookies: LooseCookies, response_url: URL = NO_URL) -> None:
        """Take over cookies, as if a response from `response_url` had set them.

        Args:
            cookies: Names with values, or with morsels for the attributes. Morsels are
                copied, their coded values are sent.
            response_url: Where they come from; without it the program sets them, and
                they are sent to every host unless they name a domain.

        Raises:
            TypeError: A value is neither `str` nor `Morsel` nor `BaseCookie`.
            ValueError: A cookie cannot be sent as it is, and is not stored: it has a
                control character, say. Those before it are.
        """
        origin = self._origin(response_url)
        for cookie in given_cookies(cookies):
            self._update(cookie, origin)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Take over the cookies that a response sets (RFC 6265bis section 5.7).

        Fields that are malformed, and cookies that `response_url` may not set, are ignored.

        Args:
            headers: Values of the `Set-Cookie` fields, one cookie each; those beyond the
                fiftieth cookie are ignored.
            response_url: Where they come from.
        """
        origin = self._origin(response_url)
        number = 0
        for header in headers:
            cookie = parse_set_cookie(header)
            if cookie is None:
                continue
            number += 1
            if number > MAX_COOKIES:
                break
            try:
                self._update(cookie, origin)
            except ValueError:
                pass  # lone surrogates that no connection makes, and no request can carry

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies to send to `request_url`, as bare morsels in that order."""
        found: SimpleCookie = SimpleCookie()
        for cookie in self._matching(request_url):
            # Its own way would quote again, and refuse names that are in use.
            dict.update(found, parse_cookie_header(cookie.text))
        return found

    def cookie_header(self, request_url: URL) -> str | None:
        """Return the value of the `Cookie` field for a request, None for no field.

        Costs no more in a jar with many other hosts' cookies.

        Args:
            request_url: Where the request goes.
        """
        return "; ".join([cookie.text for cookie in self._matching(request_url)]) or None

    def save(self, file_path: str | os.PathLike[str]) -> None:
        """Write the cookies to a JSON file that only its owner can read (mode 0600).

        Cookies of the session are among them, expired ones are not. The file is replaced
        at once, so that nobody sees half of it; a symbolic link is replaced, too. In an
        event loop it is for a worker thread, as disks block.

        Args:
            file_path: The file; its directory must exist.

        Raises:
            OSError: It cannot be written; an older file is as it was.
        """
        write_cookies(file_path, sorted(self._current(), key=lambda cookie: cookie.created))

    def load(self, file_path: str | os.PathLike[str]) -> None:
        """Replace the cookies by those of a file that `save` wrote.

        Expired ones are left out. Pickles of other clients are refused, since to load one
        can run any program.

        Args:
            file_path: The file.

        Raises:
            OSError: It cannot be read; the jar is as it was.
            ValueError: It is a pickle or malformed; the jar is as it was.
        """
        store = CookieStore()
        now = self._clock()
        for cookie in read_cookies(file_path, now + MAX_LIFETIME):
            store.add(cookie, now)
        self._store = store

    def _current(self) -> list[StoredCookie]:
        self._store.remove_expired(self._clock())
        return list(self._store)

    def _update(self, given: SetCookie, origin: Origin) -> None:
        if origin.host and not self._unsafe and is_address(origin.host):
            return
        now = self._clock()
        cookie = accept(
            given,
            origin,
            quote=self._quote_cookie,
            now=now,
            is_public_suffix=self._is_public_suffix,
        )
        if cookie is None:
            return
        if not origin.secure and self._store.has_secure_twin(cookie, now):
            return
        self._store.add(cookie, now)

    def _matching(self, url: URL) -> list[StoredCookie]:
        origin = self._origin(url)
        host = origin.host
        # Nothing is known of a URL without host, least of all that it is secure.
        secure = origin.secure and bool(host)
        if not self._unsafe and is_address(host):
            host = ""
        return self._store.matching(host, origin.path, secure, self._clock())

    def _origin(self, url: URL) -> Origin:
        host = url.raw_host
        if not host:
            return _BY_PROGRAM
        # Of other than ASCII, lower() would make letters out of the Kelvin sign and such.
        if host.isascii():
            host = host.lower()
        secure = url.scheme in _SECURE_SCHEMES or (
            bool(self._secure_keys) and _origin_key(url) in self._secure_keys
        )
        return Origin(host, url.raw_path or "/", secure)

    def _is_public_suffix(self, domain: str) -> bool:
        if self._public_suffixes is None:
            self._public_suffixes = installed_public_suffixes()
        return self._public_suffixes(domain)


def _origin_key(url: URL) -> tuple[str, str | None, int | None]:
    # `http://h` and `http://h:80` are two URLs, but one origin.
    return (url.scheme, url.raw_host, url.port)
