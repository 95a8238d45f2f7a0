"""Cookies that a response sets: from and to the morsels that aiohttp's users know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any, Final

from httpcore_proto import SameSite, SetCookie, format_http_date, parse_cookie_date, quote_cookie

_SAME_SITE: Final[Mapping[str, SameSite]] = {"strict": "Strict", "lax": "Lax", "none": "None"}


def set_morsel(
    cookies: SimpleCookie, name: str, value: str, attributes: Mapping[str, Any]
) -> Morsel[str]:
    """Put a cookie into `cookies`, in place of one of that name.

    Args:
        cookies: Where to put it.
        name: A token.
        value: Any text.
        attributes: By the names of `Set-Cookie` in lower case; None for those not to set.

    Raises:
        ValueError: `name` is no token.
    """
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set(name, value, quote_cookie(value))
    except CookieError as exc:
        raise ValueError(str(exc)) from exc
    for attribute, given in attributes.items():
        if given is not None:
            if isinstance(given, datetime):
                given = format_http_date(given)
            # Not the Morsel's own method, which does not know Partitioned before Python 3.14.
            dict.__setitem__(morsel, attribute, given)
    dict.__setitem__(cookies, name, morsel)
    return morsel


def cookie_line(morsel: Morsel[str]) -> str:
    """Return the value of `Set-Cookie` for a morsel.

    Raises:
        ValueError: A part of it would break out of its place, or is not of its grammar.
    """
    max_age = morsel["max-age"]
    expires = morsel["expires"]
    same_site = morsel["samesite"]
    when = parse_cookie_date(str(expires)) if expires else None
    if expires and when is None:
        raise ValueError(f"expires {str(expires)[:80]!r} of a cookie is no date")
    if same_site and str(same_site).lower() not in _SAME_SITE:
        raise ValueError(f"samesite {str(same_site)[:80]!r}: Strict, Lax or None expected")
    return str(
        SetCookie(
            name=morsel.key,
            value=morsel.coded_value,
            domain=morsel["domain"] or None,
            path=morsel["path"] or None,
            expires=when,
            # 0 deletes the cookie; only the empty string means that it is not set.
            max_age=None if max_age == "" else int(max_age),
            secure=bool(morsel["secure"]),
            http_only=bool(morsel["httponly"]),
            same_site=_SAME_SITE[str(same_site).lower()] if same_site else None,
            partitioned=bool(morsel.get("partitioned")),
        )
    )
