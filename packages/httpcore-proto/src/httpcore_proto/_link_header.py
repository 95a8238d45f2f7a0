"""Links to other resources: the Link field (RFC 8288 section 3 and appendix B.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from multidict import MultiDict, MultiDictProxy

from ._ext_value import decode_ext_value
from ._scan import OWS, QUOTED, TOKEN, unescape

# Pages with pre-loads have some dozens.
_MAX_LINKS: Final = 100

_COMMAS: Final = re.compile(r"[ \t,]*+")
# Not `[^>]`: behind a "<" that is never closed, each further one would be read to the end.
_TARGET: Final = re.compile(r"<([^<>]*+)>")
# RFC 8288 appendices B.3 and B.4: blanks around "=", values that are no tokens, quotes that are
# not closed and names without a value are read.
_PARAMETER: Final = re.compile(
    rf"{OWS};{OWS}({TOKEN})(?:{OWS}={OWS}(?:\"({QUOTED})\"?+|([^\";,]*+)))?"
)
# What cannot be read, up to the next separator. The closing quote is optional, see _scan.
_REST: Final = re.compile(rf"(?:[^,;\"]++|\"{QUOTED}\"?+)*+")
# RFC 8288 sections 3.2 to 3.4.1: of these all but the first are to be ignored.
_SINGLE: Final = frozenset({"anchor", "media", "rel", "title", "title*", "type"})


class Link(NamedTuple):
    """One link.

    Attributes:
        target: What stands in the angle brackets: a URL that may be relative to the
            document's, unchecked.
        parameters: Read-only; names in lower case, values unquoted, `""` for one that has
            none. `rel`, the types of relation, is a list with blanks. Values of names
            with `*` at the end, such as `title*`, are decoded (RFC 8187).
    """

    target: str
    parameters: MultiDictProxy[str]


def parse_links(values: Iterable[str]) -> tuple[Link, ...]:
    """Read all Link fields of a message.

    Args:
        values: The values of all lines of the field, in their order.

    Returns:
        The links in their order, no more than the first 100. Malformed ones are left out,
        and so are malformed parameters.
    """
    links = (link for value in values for link in _links(value))
    return tuple(islice(links, _MAX_LINKS))


def _links(value: str) -> Iterator[Link]:
    position = 0
    while (position := _COMMAS.match(value, position).end()) < len(value):  # type: ignore[union-attr]  # matches emptiness
        target = _TARGET.match(value, position)
        position = position if target is None else target.end()
        parameters: MultiDict[str] = MultiDict()
        # Every turn takes one parameter, or the rubbish up to the next separator.
        while position < len(value) and value[position] != ",":
            position = _scan_parameter(value, position, parameters)
        if target is not None:
            yield Link(target[1], MultiDictProxy(parameters))


def _scan_parameter(value: str, position: int, parameters: MultiDict[str]) -> int:
    match = _PARAMETER.match(value, position)
    if match is not None:
        name, quoted, plain = match[1].lower(), match[2], match[3]
        text = unescape(quoted) if quoted is not None else (plain or "").rstrip(" \t")
        found = decode_ext_value(text) if name.endswith("*") else text
        if found is not None and not (name in _SINGLE and name in parameters):
            parameters.add(name, found)
        position = match.end()
    elif value[position] == ";":
        position += 1
    return _REST.match(value, position).end()  # type: ignore[union-attr]  # matches emptiness
