"""What proxies say about a request they passed on: the Forwarded field (RFC 7239)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ._scan import OWS, QUOTED, TOKEN, unescape

# The elements that nearer proxies added stand last, so the last ones are kept. No request
# passes this many proxies.
_MAX_ELEMENTS: Final = 100

# RFC 7239 section 4. A value with a port has to be quoted, but few know that.
_PAIR: Final = re.compile(
    rf"[ \t;]*+({TOKEN})=(?:\"({QUOTED})\"|({TOKEN}(?::[0-9]{{1,5}})?)){OWS}(;)?+"
)
_COMMAS: Final = re.compile(r"[ \t,]*+")


def parse_forwarded(values: Iterable[str]) -> tuple[Mapping[str, str], ...]:
    """Read all Forwarded fields of a request (RFC 7239 section 4).

    Nothing in them is proven: a client can write what it likes. Where it quotes badly, its
    element may swallow the one of the next proxy.

    Args:
        values: The values of all lines of the field, in their order.

    Returns:
        A read-only mapping for each element, first the one of the proxy nearest to the
        client. Names in lower case, values unquoted, of a repeated name the first. An
        element counts up to what is malformed in it, so that it may be empty. No more
        than the last 100.
    """
    elements = (element for value in values for element in _elements(value))
    return tuple(deque(elements, _MAX_ELEMENTS))


def _elements(value: str) -> Iterator[Mapping[str, str]]:
    position = 0
    while (position := _COMMAS.match(value, position).end()) < len(value):  # type: ignore[union-attr]  # matches emptiness
        pairs: dict[str, str] = {}
        while (match := _PAIR.match(value, position)) is not None:
            name, quoted, plain, more = match.groups()
            pairs.setdefault(name.lower(), plain if plain is not None else unescape(quoted))
            position = match.end()
            if more is None:
                break
        yield MappingProxyType(pairs)
        # Nobody knows where a malformed quoted-string was meant to end: on to the next comma
        # in any case.
        position = value.find(",", position)
        if position < 0:
            return
