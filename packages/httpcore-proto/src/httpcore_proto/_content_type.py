"""Content-Type: media type, parameters, and Python's name of a charset (RFC 9110 section 8.3)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from encodings.aliases import aliases
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from ._scan import OWS, TOKEN, quote, scan_parameters

_MEDIA_TYPE: Final = re.compile(rf"{OWS}({TOKEN}/{TOKEN})(?={OWS}(?:;|\Z))")
# Longer values are rare, and a peer that sends many of them would fill memory.
_MAX_CACHED: Final = 1024

# IANA's longest name of a charset has 45 characters.
_MAX_LABEL: Final = 64
_PUNCTUATION: Final = re.compile(r"[^0-9a-z]++")
# The interpreter remembers every label that it was ever asked for, wrong ones too, and in each
# of its spellings; a peer could fill memory with that. So it is asked only for these, which are
# all it has: aliases, codecs, and the codecs without an alias.
_WITHOUT_ALIAS: Final = (
    "cp1006",
    "cp720",
    "cp737",
    "cp856",
    "cp874",
    "cp875",
    "koi8_t",
    "koi8_u",
    "mac_arabic",
    "mac_croatian",
    "mac_farsi",
    "mac_romanian",
    "palmos",
    "utf_8_sig",
)
_KNOWN: Final = frozenset((*aliases, *aliases.values(), *_WITHOUT_ALIAS))
# Codecs between text and bytes that are no charsets of the Web: the machine's own code page, or
# (UTF-7) one that hides markup from whoever looks for it. The Encoding Standard has none of them.
_NO_CHARSETS: Final = frozenset({"mbcs", "utf-7"})


class ContentType(NamedTuple):
    """A media type with its parameters; `str()` gives the field value.

    Attributes:
        media_type: `type/subtype` in lower case.
        parameters: Read-only. Names in lower case, values unquoted and otherwise as they
            were written; of a repeated name the first value.
    """

    media_type: str
    parameters: Mapping[str, str] = MappingProxyType({})

    @property
    def charset(self) -> str | None:
        """The parameter `charset` as it was written; `codec_for_charset` tells what it means."""
        return self.parameters.get("charset")

    @property
    def is_json(self) -> bool:
        """Whether this is `application/json`, or `application/*+json` (RFC 6839 section 3.1)."""
        kind, _, subtype = self.media_type.partition("/")
        return kind == "application" and (subtype == "json" or subtype[1:].endswith("+json"))

    def __str__(self) -> str:
        parameters = (f"; {name}={quote(value)}" for name, value in self.parameters.items())
        return self.media_type + "".join(parameters)


_OCTETS: Final = ContentType("application/octet-stream")


def parse_content_type(value: str) -> ContentType:
    """Read a Content-Type field (RFC 9110 section 8.3.1).

    Args:
        value: The field's value, or `""` where there is none.

    Returns:
        `application/octet-stream` without parameters if the media type is missing or
        malformed. Parameters count up to the first malformed one.
    """
    return _parse_cached(value) if len(value) <= _MAX_CACHED else _parse(value)


def _parse(value: str) -> ContentType:
    match = _MEDIA_TYPE.match(value)
    if match is None:
        return _OCTETS
    parameters: dict[str, str] = {}
    for name, text in scan_parameters(value, match.end())[0]:
        parameters.setdefault(name, text)
    return ContentType(match[1].lower(), MappingProxyType(parameters))


# As many as a server or client sees different ones; a browser alone sends about ten.
_parse_cached: Final = lru_cache(maxsize=256)(_parse)


def codec_for_charset(charset: str) -> str | None:
    """Return the name of Python's codec for a charset.

    Args:
        charset: Value of a charset parameter; any text at all.

    Returns:
        The codec's canonical name, such as `"utf-8"` or `"iso8859-1"`. None if Python's
        own codecs have no charset of that name (codecs that were registered do not
        count), or if what has the name is no charset: `base64`, `unicode_escape`, `idna`,
        `utf-7`, and others of their kind.
    """
    if len(charset) > _MAX_LABEL or not charset.isascii():
        return None
    label = _PUNCTUATION.sub("_", charset.lower()).strip("_")
    return _codec(label) if label in _KNOWN else None


@lru_cache(maxsize=64)
def _codec(label: str) -> str | None:
    try:
        name = codecs.lookup(label).name
        # Refuses codecs that are not between text and bytes.
        "".encode(name)
    except LookupError:
        return None
    return None if name in _NO_CHARSETS else name
