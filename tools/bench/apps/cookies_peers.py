"""Peers: what aiohttp, the standard library and werkzeug make of Cookie and Set-Cookie."""

import sys
from collections.abc import Callable
from functools import partial
from http.cookies import SimpleCookie
from typing import Final

# Not public, but what aiohttp's own requests and responses call.
from aiohttp._cookie_helpers import parse_cookie_header, parse_set_cookie_headers
from werkzeug.http import parse_cookie

from .body_inputs import (
    COOKIE,
    COOKIES,
    SET_COOKIE_FACTS,
    SET_COOKIES,
    shown_morsels,
    shown_set_morsels,
)
from .sampling import Timed, expecting, main, repeated


def _simple_cookie_of_fields() -> SimpleCookie:
    cookies = SimpleCookie()
    for field in SET_COOKIES:
        cookies.load(field)
    return cookies


PEERS: Final[dict[str, Callable[[], Timed]]] = {
    "cookie-aiohttp": lambda: (
        repeated(partial(parse_cookie_header, COOKIE)),
        expecting(COOKIES, shown_morsels),
    ),
    "cookie-stdlib": lambda: (
        repeated(partial(SimpleCookie, COOKIE)),
        expecting(COOKIES, lambda cookies: shown_morsels(list(cookies.items()))),
    ),
    "cookie-werkzeug": lambda: (
        repeated(partial(parse_cookie, COOKIE)),
        expecting(COOKIES, lambda cookies: list(cookies.items(multi=True))),
    ),
    "setcookie-aiohttp": lambda: (
        repeated(partial(parse_set_cookie_headers, SET_COOKIES)),
        expecting(SET_COOKIE_FACTS, shown_set_morsels),
    ),
    "setcookie-stdlib": lambda: (
        repeated(_simple_cookie_of_fields),
        expecting(SET_COOKIE_FACTS, lambda cookies: shown_set_morsels(list(cookies.items()))),
    ),
}

if __name__ == "__main__":
    main(*PEERS[sys.argv[1]]())
