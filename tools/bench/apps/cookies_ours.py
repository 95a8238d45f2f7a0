"""Our parsers of Cookie and Set-Cookie."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from .body_inputs import (
    COOKIE,
    COOKIES,
    SET_COOKIE_FACTS,
    SET_COOKIES,
    shown_morsels,
    shown_set_morsels,
)
from .sampling import Timed, expecting, main, repeated
from .settings import not_offered

try:
    from httpcore_proto import (
        SetCookie,
        parse_cookie_header,
        parse_set_cookie,
        parse_set_cookie_headers,
        split_cookie_header,
        unquote_cookie,
    )
except ImportError as error:
    not_offered(str(error))


def _split() -> list[tuple[str, str]]:
    return list(split_cookie_header(COOKIE))


def _unquoted(cookies: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, unquote_cookie(coded)) for name, coded in cookies]


def _records() -> list[SetCookie | None]:
    return [parse_set_cookie(field) for field in SET_COOKIES]


def _facts(cookies: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [
        (
            cookie.name,
            cookie.value,
            cookie.domain,
            cookie.path,
            cookie.secure,
            cookie.http_only,
            cookie.same_site,
        )
        for cookie in cookies
    ]


PEERS: Final[dict[str, Callable[[], Timed]]] = {
    "cookie": lambda: (
        repeated(partial(parse_cookie_header, COOKIE)),
        expecting(COOKIES, shown_morsels),
    ),
    "cookie-split": lambda: (repeated(_split), expecting(COOKIES, _unquoted)),
    "setcookie": lambda: (
        repeated(partial(parse_set_cookie_headers, SET_COOKIES)),
        expecting(SET_COOKIE_FACTS, shown_set_morsels),
    ),
    "setcookie-records": lambda: (repeated(_records), expecting(SET_COOKIE_FACTS, _facts)),
}

if __name__ == "__main__":
    main(*PEERS[sys.argv[1]]())
