"""The `Cookie` field of a request that has cookies of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.cookies import BaseCookie, Morsel

from httpcore_proto import format_cookie_header, quote_cookie

from ._abstract_cookie_jar import LooseCookies


def merge_cookies(kept: str | None, cookies: LooseCookies, *, quote: bool = True) -> str | None:
    """Return the value of `Cookie` for the cookies of a request and those of a jar.

    Args:
        kept: What the jar gave. A cookie of the request replaces those of its name.
        cookies: The cookies of the request.
        quote: Whether values with special characters are put in quotes; else they are sent
            as they are.

    Returns:
        None if there are no cookies.

    Raises:
        ValueError: A name or value is not fit to be sent.
    """
    own = dict(_coded(cookies, quote))
    pieces = (kept or "").split("; ")
    merged = [piece for piece in pieces if piece and piece.partition("=")[0] not in own]
    if own:
        merged.append(format_cookie_header(own.items()))
    return "; ".join(merged) or None


def _coded(cookies: LooseCookies, quote: bool) -> Iterator[tuple[str, str]]:
    for name, value in cookies.items() if isinstance(cookies, Mapping) else cookies:
        if isinstance(value, BaseCookie):
            for morsel in value.values():
                yield morsel.key, morsel.coded_value
        elif isinstance(value, Morsel):
            yield name, value.coded_value
        else:
            yield name, quote_cookie(value) if quote else value
