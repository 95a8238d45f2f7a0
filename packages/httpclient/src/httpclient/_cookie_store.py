"""Stored cookies, found by domain and path, and bounded in number (RFC 6265bis section 5.8).

Whether a cookie may be stored at all is `_cookie_rules.py`'s. Finding those for a request
looks at the domains that its host belongs to and at the paths that they have, of which there
are few: the size of the store does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.cookies import Morsel
from typing import Final

from httpcore_proto import SameSite, format_http_date, parse_cookie_header

#: aiohttp's bounds; browsers have the same for a domain and in all. Beyond the first
#: number, cookies are evicted down to the second, so that not each one costs a search.
MAX_PER_DOMAIN: Final = 180
KEPT_PER_DOMAIN: Final = 150
MAX_COOKIES: Final = 3300
KEPT_COOKIES: Final = 3000
#: Cookies of one request, and bytes of its `Cookie` field: aiohttp's bounds. 8190 bytes is
#: also what servers commonly take in one field.
MAX_SENT: Final = 150
MAX_SENT_BYTES: Final = 8190
#: Characters of a host with cookies: RFC 1035 section 2.3.4, as text. To cut a longer one at
#: each dot would take quadratic time.
MAX_HOST: Final = 253


@dataclass(slots=True, kw_only=True, eq=False)
class StoredCookie:
    """A cookie in the store.

    Attributes:
        name: Name; compared with case.
        coded: Value as it is sent.
        domain: Lower case. Empty for a cookie that is shared by all hosts.
        path: Begins with `/`.
        host_only: Only for `domain` itself, not for what is below it. Part of what makes a
            cookie the same as another: a host below can set a cookie for its parent
            domain, and must not replace the parent's own with that.
        secure: Only for secure origins.
        http_only: Kept for the record.
        same_site: Kept for the record: here is no site that could ask another.
        partitioned: Kept for the record.
        expires: Seconds since the epoch; infinite for the end of the session.
        created: Number that grows from one cookie to the next; kept when one is replaced.
        used: The same, at the last use.
        text: Name and value as sent.
        size: Bytes of `text`.
        rank: Greater for cookies that are more specific.

    Raises:
        UnicodeEncodeError: The value has lone surrogates that stand for no byte.
    """

    name: str
    coded: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    http_only: bool
    same_site: SameSite | None
    partitioned: bool
    expires: float = math.inf
    created: int = 0
    used: int = 0
    text: str = field(init=False)
    size: int = field(init=False)
    rank: tuple[int, int, bool] = field(init=False)

    def __post_init__(self) -> None:
        self.text = f"{self.name}={self.coded}"
        self.size = len(self.text.encode("utf-8", "surrogateescape"))
        self.rank = (len(self.domain), len(self.path), self.host_only)

    def morsel(self) -> Morsel[str]:
        """Return the cookie as a morsel; what it expires at is in `expires` alone."""
        [(_, morsel)] = parse_cookie_header(self.text)
        expires = "" if self.expires == math.inf else format_http_date(self.expires)
        # A Morsel's own method does not know Partitioned before Python 3.14.
        dict.update(
            morsel,
            {
                "domain": self.domain,
                "path": self.path,
                "expires": expires,
                "secure": self.secure or "",
                "httponly": self.http_only or "",
                "samesite": self.same_site or "",
                "partitioned": self.partitioned or "",
            },
        )
        return morsel


def is_address(host: str) -> bool:
    """Whether a host is an IP address, or would be taken for one (WHATWG URL, 3.5)."""
    return ":" in host or host.removesuffix(".").rpartition(".")[2].isdigit()


def domain_matches(host: str, domain: str) -> bool:
    """Whether a host is a domain or below it (RFC 6265bis section 5.1.3); both lower case."""
    return host == domain or (host.endswith(f".{domain}") and not is_address(host))


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether a path is a cookie's or below it (RFC 6265bis section 5.1.4)."""
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path[-1] == "/" or path[len(cookie_path)] == "/")
    )


def _domains_of(host: str) -> list[str]:
    """Return where cookies for a host may be, among them the ones for all hosts."""
    if not host or len(host) > MAX_HOST:
        return [""]
    found = ["", host]
    if not is_address(host):
        parent = host.partition(".")[2]
        while parent:
            found.append(parent)
            parent = parent.partition(".")[2]
    return found


class CookieStore:
    """Cookies by domain, then path, then name and host-only flag."""

    def __init__(self) -> None:
        self._domains: dict[str, dict[str, dict[tuple[str, bool], StoredCookie]]] = {}
        self._size = 0
        self._ticks = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[StoredCookie]:
        for paths in self._domains.values():
            for cookies in paths.values():
                yield from cookies.values()

    def add(self, cookie: StoredCookie, now: float) -> None:
        """Store a cookie in place of the same one; one that is expired only removes it."""
        key = (cookie.name, cookie.host_only)
        old = self._domains.get(cookie.domain, {}).get(cookie.path, {}).get(key)
        if cookie.expires <= now:
            if old is not None:
                self.remove(old)
            return
        self._ticks += 1
        cookie.used = self._ticks
        paths = self._domains.setdefault(cookie.domain, {})
        paths.setdefault(cookie.path, {})[key] = cookie
        if old is not None:
            cookie.created = old.created
            return
        cookie.created = self._ticks
        self._size += 1
        if sum(map(len, paths.values())) > MAX_PER_DOMAIN:
            there = [one for cookies in paths.values() for one in cookies.values()]
            self._evict(there, cookie, now, MAX_PER_DOMAIN, KEPT_PER_DOMAIN)
        if self._size > MAX_COOKIES:
            self._evict(list(self), cookie, now, MAX_COOKIES, KEPT_COOKIES)

    def _evict(
        self, there: list[StoredCookie], newcomer: StoredCookie, now: float, most: int, kept: int
    ) -> None:
        expired = [one for one in there if one.expires <= now]
        # A site without TLS cannot push out what one with TLS has stored.
        victims = [
            one
            for one in there
            if one.expires > now and one is not newcomer and (newcomer.secure or not one.secure)
        ]
        victims.sort(key=lambda one: (one.secure, one.used))
        left = len(there) - len(expired)
        del victims[max(left - kept, 0) :]
        self.remove_all(expired)
        self.remove_all(victims)
        if left - len(victims) > most:
            self.remove(newcomer)

    def remove(self, cookie: StoredCookie) -> None:
        """Remove a cookie that is in the store."""
        paths = self._domains[cookie.domain]
        cookies = paths[cookie.path]
        del cookies[cookie.name, cookie.host_only]
        self._size -= 1
        if not cookies:
            del paths[cookie.path]
            if not paths:
                del self._domains[cookie.domain]

    def remove_all(self, cookies: Sequence[StoredCookie]) -> None:
        """Remove cookies that are in the store."""
        for cookie in cookies:
            self.remove(cookie)

    def remove_expired(self, now: float) -> None:
        """Remove all cookies whose time is over."""
        self.remove_all([one for one in self if one.expires <= now])

    def has_secure_twin(self, cookie: StoredCookie, now: float) -> bool:
        """Whether an insecure origin would overlay a secure cookie with this one.

        That is RFC 6265bis section 5.7 step 16: it has the same name, either domain is
        within the other, and the new one's path is within its own.
        """
        above = frozenset(_domains_of(cookie.domain))
        below = f".{cookie.domain}"
        return any(
            other.name == cookie.name and other.secure and other.expires > now
            for domain, paths in self._domains.items()
            if domain in above or domain.endswith(below)
            for path, cookies in paths.items()
            if path_matches(cookie.path, path)
            for other in cookies.values()
        )

    def matching(self, host: str, path: str, secure: bool, now: float) -> list[StoredCookie]:
        """Return the cookies for a request in the order they are sent in.

        Of one name there is the most specific one: that with the longest domain, then path,
        then a host's own before its domain's. Over the limits of a request the least
        specific are left out. Longer paths come first, then older cookies (RFC 6265bis
        section 5.8.3).

        Args:
            host: Lower case. Empty for cookies that are shared by all hosts alone.
            path: Begins with `/`.
            secure: Whether the origin is secure.
            now: Seconds since the epoch.
        """
        chosen: dict[str, StoredCookie] = {}
        expired: list[StoredCookie] = []
        for domain in _domains_of(host):
            paths = self._domains.get(domain)
            if paths is None:
                continue
            for cookie_path, cookies in paths.items():
                if not path_matches(path, cookie_path):
                    continue
                for cookie in cookies.values():
                    if cookie.expires <= now:
                        expired.append(cookie)
                        continue
                    if (cookie.secure and not secure) or (cookie.host_only and domain != host):
                        continue
                    other = chosen.get(cookie.name)
                    if other is None or other.rank < cookie.rank:
                        chosen[cookie.name] = cookie
        self.remove_all(expired)
        if not chosen:
            return []
        found = _within_limits(list(chosen.values()))
        self._ticks += 1
        for cookie in found:
            cookie.used = self._ticks
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        return found


def _within_limits(cookies: list[StoredCookie]) -> list[StoredCookie]:
    # Each but the first has "; " before it.
    room = MAX_SENT_BYTES + 2
    if len(cookies) <= MAX_SENT and sum([cookie.size + 2 for cookie in cookies]) <= room:
        return cookies
    cookies.sort(key=lambda cookie: (cookie.rank, -cookie.created), reverse=True)
    found: list[StoredCookie] = []
    for cookie in cookies:
        if cookie.size + 2 <= room and len(found) < MAX_SENT:
            found.append(cookie)
            room -= cookie.size + 2
    return found
