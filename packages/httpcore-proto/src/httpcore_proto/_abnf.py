"""Character rules for what we send, each under its name in RFC 9110 or RFC 9112.

What we receive is checked by the parser in C; this is the other direction, and the one
place where method, target, field names, field values and reason phrases are checked.
"""

from __future__ import annotations

import re
from typing import Final

from ._errors import LocalProtocolError

# RFC 9110 section 5.6.2: token = 1*tchar
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 section 5.5 forbids CR, LF and NUL; we refuse every control but HTAB, since
# what a later hop makes of them is anybody's guess.
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9112 section 3.2: no whitespace, and (RFC 3986) ASCII only.
_TARGET: Final = re.compile(r"[\x21-\x7e]+")
# Values are quoted in messages up to this many characters.
_SHOWN: Final = 80


def is_token(text: str) -> bool:
    """Whether `text` is a token of RFC 9110 section 5.6.2; the empty string is not."""
    return _TOKEN.fullmatch(text) is not None


def check_token(text: str, what: str) -> str:
    """Return `text` if it is a token, else raise `LocalProtocolError` naming `what`."""
    if _TOKEN.fullmatch(text) is None:
        raise LocalProtocolError(f"{what} {text[:_SHOWN]!r} is not a token")
    return text


def check_target(text: str) -> str:
    """Return `text` if it can stand in a request line, else raise."""
    if _TARGET.fullmatch(text) is None:
        raise LocalProtocolError(
            f"request target {text[:_SHOWN]!r} must be visible ASCII, and not empty"
        )
    return text


def check_text(text: str, what: str) -> str:
    """Return `text` if it may be a field value or reason phrase, else raise."""
    # isprintable() is a plain loop in C and settles nearly every value; HTAB, foreign
    # blanks and the like take the exact rule.
    if not text.isprintable() and (found := _FORBIDDEN.search(text)) is not None:
        raise LocalProtocolError(
            f"{what} contains the control character {found[0]!r}: {text[:_SHOWN]!r}"
        )
    return text
