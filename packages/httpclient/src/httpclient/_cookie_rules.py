"""Which cookies are stored, and for whom (RFC 6265bis sections 4.1.3, 5.4, 5.5 and 5.7)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from http.cookies import BaseCookie, Morsel
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias

from httpcore_proto import SetCookie, format_cookie_header, parse_set_cookie, quote_cookie

from ._abstract_cookie_jar import LooseCookies
from ._cookie_store import MAX_HOST, StoredCookie, domain_matches, is_address

#: Says whether sites of different owners are below a domain: `com`, `co.uk`.
PublicSuffixes: TypeAlias = Callable[[str], bool]

#: Seconds a cookie is kept at most, whatever its server wants: RFC 6265bis section 5.5.
MAX_LIFETIME: Final = 400 * 24 * 60 * 60

# RFC 6265bis section 5.7 steps 20 and 21. Compared without case: servers that do so would
# otherwise take an insecure `__HOST-` for the real thing.
_SECURE_PREFIX: Final = "__secure-"
_HOST_PREFIX: Final = "__host-"
_ATTRIBUTES: Final = ("domain", "path", "expires", "max-age", "samesite")
_FLAGS: Final = ("secure", "httponly", "partitioned")


class Origin(NamedTuple):
    """Where cookies come from.

    Attributes:
        host: Lower case. Empty if the program itself sets them: it is trusted.
        path: Of the request that was answered.
        secure: Whether the scheme is https or wss, or the origin is treated as secure.
    """

    host: str
    path: str
    secure: bool


def is_single_label(domain: str) -> bool:
    """The least of a public suffix list: top-level domains."""
    return "." not in domain


@functools.cache
def installed_public_suffixes() -> PublicSuffixes:
    """Return the list of the package publicsuffixlist; without it, `is_single_label`.

    Reading the list takes some 50 ms, once in a process.
    """
    try:
        module = import_module("publicsuffixlist")
    except ImportError:
        return is_single_label
    is_public: PublicSuffixes = module.PublicSuffixList().is_public
    return is_public


def given_cookies(cookies: LooseCookies) -> Iterator[SetCookie]:
    """Yield the cookies that a program gives, their values as given.

    Raises:
        TypeError: A value is neither `str` nor `Morsel` nor `BaseCookie`.
        ValueError: A morsel cannot be sent, has a semicolon or control character in an
            attribute, or is too large (`MAX_COOKIE_SIZE`).
    """
    for name, value in cookies.items() if isinstance(cookies, Mapping) else cookies:
        if isinstance(value, str):
            yield SetCookie(name=name, value=value)
        elif isinstance(value, Morsel):
            yield _from_morsel(name, value)
        elif isinstance(value, BaseCookie):
            for inner_name, morsel in value.items():
                yield _from_morsel(inner_name, morsel)
        else:
            raise TypeError(
                f"the value of cookie {name!r} must be str or Morsel, not {type(value).__name__}"
            )


def _from_morsel(name: str, morsel: Morsel[Any]) -> SetCookie:
    # As a field, so that attributes mean here what they mean in a response.
    pieces = [format_cookie_header([(name, morsel.coded_value)])]
    for attribute in _ATTRIBUTES:
        value = morsel.get(attribute, "")
        if value is not None and value != "":
            pieces.append(f"{attribute}={value}")
    pieces += [flag for flag in _FLAGS if morsel.get(flag)]
    if any(";" in piece for piece in pieces):
        raise ValueError(f"an attribute of cookie {name!r} has a semicolon")
    cookie = parse_set_cookie("; ".join(pieces))
    if cookie is None:
        raise ValueError(
            f"cookie {name[:80]!r} has a control character, or more than 4096 bytes in all"
        )
    return cookie


def accept(
    cookie: SetCookie,
    origin: Origin,
    *,
    quote: bool,
    now: float,
    is_public_suffix: PublicSuffixes,
) -> StoredCookie | None:
    """Return a cookie as it is to be stored; None if it is not for its origin to set.

    Whether it would overlay a secure cookie is the store's to say.

    Args:
        cookie: The cookie; its value as a server sent it, or a program gave it.
        origin: Where it comes from.
        quote: Whether special characters in a value that is not quoted yet are.
        now: Seconds since the epoch.
        is_public_suffix: Called with a domain in lower case, if the cookie names one.

    Raises:
        ValueError: Name or value cannot be sent.
    """
    if cookie.secure and not origin.secure:
        return None
    scope = _scope(cookie.domain, origin.host, is_public_suffix)
    if scope is None:
        return None
    domain, host_only = scope
    if origin.host and not _keeps_promise(cookie, host_only):
        return None
    coded = _coded(cookie.value, quote)
    format_cookie_header([(cookie.name, coded)])
    return StoredCookie(
        name=cookie.name,
        coded=coded,
        domain=domain,
        path=cookie.path or _default_path(origin.path),
        host_only=host_only,
        secure=cookie.secure,
        http_only=cookie.http_only,
        same_site=cookie.same_site,
        partitioned=cookie.partitioned,
        expires=_expiry(cookie, now),
    )


def _scope(
    domain: str | None, host: str, is_public_suffix: PublicSuffixes
) -> tuple[str, bool] | None:
    # RFC 6265bis section 5.7 steps 7 to 10; the trailing dot is aiohttp's rule.
    if len(host) > MAX_HOST:
        return None
    if domain is None or domain.endswith("."):
        return host, bool(host)
    if len(domain) > MAX_HOST or not all(domain.split(".")):
        return None
    if not host:
        host = domain
    elif not domain_matches(host, domain):
        return None
    # A host that is its own public suffix keeps the cookie for itself.
    if is_address(domain) or is_public_suffix(domain):
        return (domain, True) if domain == host else None
    return domain, False


def _keeps_promise(cookie: SetCookie, host_only: bool) -> bool:
    name = cookie.name.lower()
    if name.startswith(_HOST_PREFIX):
        return cookie.secure and host_only and cookie.path == "/"
    return cookie.secure or not name.startswith(_SECURE_PREFIX)


def _coded(value: str, quote: bool) -> str:
    # What a server sent goes back as it was, or at least decodes to it.
    # An octal escape of other than ASCII would stand for a byte of Latin-1, and the server
    # has sent UTF-8.
    if not quote or not value.isascii() or (len(value) > 1 and value[0] == value[-1] == '"'):
        return value
    return quote_cookie(value)


def _default_path(path: str) -> str:
    """Return the directory of a path (RFC 6265bis section 5.1.4)."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def _expiry(cookie: SetCookie, now: float) -> float:
    """Return seconds since the epoch; infinite if nothing is said."""
    if cookie.max_age is not None:
        expires = now + cookie.max_age
    elif cookie.expires is not None:
        expires = cookie.expires.timestamp()
    else:
        return math.inf
    return min(expires, now + MAX_LIFETIME)
