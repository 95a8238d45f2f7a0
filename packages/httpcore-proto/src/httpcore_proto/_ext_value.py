"""Parameter values beyond ASCII: `UTF-8''na%C3%AFve` (RFC 8187)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# RFC 8187 section 3.2.1, attr-char. Letters, digits and "_.-~" are never quoted by `quote`.
_ATTR_CHARS: Final = "!#$&+^`|"
# Read as well are the characters "'()*", which JavaScript's encodeURIComponent leaves as they
# are. The language is not used, so its form does not matter.
_EXT_VALUE: Final = re.compile(
    r"([0-9A-Za-z-]++)'[^']*+'((?:[!#$&'()*+\-.^_`|~0-9A-Za-z]++|%[0-9A-Fa-f]{2})*+)"
)
# RFC 8187 asks for UTF-8 alone; its predecessor, RFC 5987, for ISO-8859-1 too.
_CODECS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}


def decode_ext_value(text: str) -> str | None:
    """Decode an ext-value of RFC 8187 section 3.2.1, such as `UTF-8'en'na%C3%AFve`.

    Args:
        text: Value of a parameter whose name ends with `*`. Charset and hexadecimal
            digits in any case; the language is ignored.

    Returns:
        The text; it can have any character, control characters and `/` included. None if
        `text` is malformed, its charset is neither UTF-8 nor ISO-8859-1, or the bytes are
        not in that charset.
    """
    match = _EXT_VALUE.fullmatch(text)
    if match is None:
        return None
    codec = _CODECS.get(match[1].lower())
    if codec is None:
        return None
    try:
        return unquote_to_bytes(match[2]).decode(codec)
    except UnicodeDecodeError:
        return None


def encode_ext_value(text: str) -> str:
    """Encode `text` as an ext-value of RFC 8187 section 3.2.1, in UTF-8 and without language.

    Raises:
        UnicodeEncodeError: `text` has a lone surrogate. (Also a `ValueError`.)
    """
    return "UTF-8''" + quote(text, safe=_ATTR_CHARS, encoding="utf-8", errors="strict")
