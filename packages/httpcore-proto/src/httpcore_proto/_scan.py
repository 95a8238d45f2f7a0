"""Scanning of field values: tokens, quoted strings, parameters, lists (RFC 9110 section 5.6).

Every expression here is possessive: it never gives back what it took. With that, and with
callers that go on behind what was matched, no input is looked at twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: RFC 9110 section 5.6.2.
TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# RFC 9110 section 5.6.4: no control but HTAB, in qdtext as in quoted-pair.
_QDTEXT: Final = r"[^\"\\\x00-\x08\x0a-\x1f\x7f]"
_QUOTED_PAIR: Final = r"\\[^\x00-\x08\x0a-\x1f\x7f]"
#: RFC 9110 section 5.6.4, what is between the quotes. Characters above ASCII count as
#: obs-text.
QUOTED: Final = rf"{_QDTEXT}*+(?:{_QUOTED_PAIR}{_QDTEXT}*+)*+"
#: RFC 9110 section 5.6.3: optional whitespace.
OWS: Final = r"[ \t]*+"

_TOKEN_ONLY: Final = re.compile(TOKEN)
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
# RFC 9110 section 5.6.6: an empty parameter is allowed, whitespace around "=" is not.
_PARAMETER: Final = re.compile(rf"{OWS};{OWS}(?:({TOKEN})=(?:({TOKEN})|\"({QUOTED})\"))?")
# The closing quote is optional: to go back and read the quote as a character would be
# quadratic in the number of quotes.
_ELEMENT: Final = re.compile(rf"(?:[^,\"]++|\"{QUOTED}\"?+)*+")
_COMMA: Final = re.compile(r"[ \t,]*+")


def unescape(quoted: str) -> str:
    """Return what is between the quotes of a quoted-string without its backslashes."""
    return _PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted


def quote(text: str) -> str:
    """Return `text` as it is if it is a token, else as a quoted-string."""
    if _TOKEN_ONLY.fullmatch(text) is not None:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def scan_parameters(text: str, start: int) -> tuple[list[tuple[str, str]], int]:
    """Scan `;name=value` as often as it is there.

    Returns:
        Names in lower case with their values unquoted, in order, repeated ones included;
        and the position behind the last one, which is the text's end if all of it could
        be read.
    """
    found: list[tuple[str, str]] = []
    while (match := _PARAMETER.match(text, start)) is not None:
        start = match.end()
        name, plain, quoted = match.groups()
        if name is not None:
            found.append((name.lower(), plain if plain is not None else unescape(quoted)))
    return found, start


def split_list(text: str) -> Iterator[str]:
    """Yield the elements of a comma-separated list, without the blanks around them.

    Commas in a quoted-string do not separate; one that is never closed lasts to the end.
    Empty elements are left out, as RFC 9110 section 5.6.1.2 asks.
    """
    position = 0
    while (position := _COMMA.match(text, position).end()) < len(text):  # type: ignore[union-attr]  # matches emptiness
        match = _ELEMENT.match(text, position)
        position = match.end()  # type: ignore[union-attr]  # matches emptiness
        yield match[0].rstrip(" \t")  # type: ignore[index]  # the same
