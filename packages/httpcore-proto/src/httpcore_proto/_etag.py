"""Entity tags and the conditions that are made with them (RFC 9110 sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ._http_date import parse_http_date

#: RFC 9110 section 8.8.3, etagc: no quotes, blanks or controls. Neither comma nor backslash
#: has a meaning. All above ASCII counts as obs-text.
_ETAGC: Final = r"[!#-\x7e\x80-\U0010ffff]*+"
_VALUE_ONLY: Final = re.compile(_ETAGC)
_ENTITY_TAG: Final = re.compile(rf"(W/)?\"({_ETAGC})\"")
_SEPARATOR: Final = re.compile(r"[ \t]*+(?:,[ \t,]*+|\Z)")
_COMMAS: Final = re.compile(r"[ \t,]*+")

_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag; `str()` gives its form in a field, `"abc"`, `W/"abc"` or `*`.

    Attributes:
        value: What stands between the quotes. `"*"` is the `*` of If-Match and
            If-None-Match, which stands for any tag.
        is_weak: Whether equal tags mean equivalent content, and not the same bytes.

    Raises:
        ValueError: `value` has a blank, a quote or a control character; or it is `"*"`,
            and `is_weak` is true.
    """

    value: str
    is_weak: bool = False

    def __post_init__(self) -> None:
        if _VALUE_ONLY.fullmatch(self.value) is None:
            raise ValueError(
                f"entity tag {self.value[:80]!r} has a character that none may have: "
                "a blank, a quote or a control character (value goes without the quotes)"
            )
        if self.value == _ANY and self.is_weak:
            raise ValueError("the entity tag * stands for any tag and cannot be weak")

    def __str__(self) -> str:
        if self.value == _ANY:
            return _ANY
        return f'W/"{self.value}"' if self.is_weak else f'"{self.value}"'


def parse_etags(value: str) -> tuple[ETag, ...]:
    """Read an If-Match or If-None-Match field (RFC 9110 sections 13.1.1 and 13.1.2).

    Args:
        value: The field's value; several lines joined with commas.

    Returns:
        The tags in their order, up to the first thing that is none; `(ETag("*"),)` for
        `*`. The tag `"*"` is left out: it is not `*`, and no `ETag` stands for it.
    """
    if value.strip(" \t") == _ANY:
        return (ETag(_ANY),)
    tags: list[ETag] = []
    position = _COMMAS.match(value).end()  # type: ignore[union-attr]  # matches emptiness
    while (match := _ENTITY_TAG.match(value, position)) is not None:
        if match[2] != _ANY:
            tags.append(ETag(match[2], match[1] is not None))
        separator = _SEPARATOR.match(value, match.end())
        if separator is None:
            break
        position = separator.end()
    return tuple(tags)


def strong_match(a: ETag, b: ETag) -> bool:
    """Whether the two are the same and neither is weak (RFC 9110 section 8.8.3.2).

    For If-Match and If-Range. `ETag("*")` matches every tag, weak ones too.
    """
    if _ANY in (a.value, b.value):
        return True
    return a.value == b.value and not a.is_weak and not b.is_weak


def weak_match(a: ETag, b: ETag) -> bool:
    """Whether the two are the same, weak or not (RFC 9110 section 8.8.3.2).

    For If-None-Match. `ETag("*")` matches every tag.
    """
    return a.value == b.value or _ANY in (a.value, b.value)


def parse_if_range(value: str) -> ETag | datetime | None:
    """Read an If-Range field (RFC 9110 section 13.1.5).

    Returns:
        A tag, to be compared with `strong_match`; or a date in UTC, which must be exactly
        that of the last modification. None if `value` is neither: then the condition is
        false, and Range has to be ignored.
    """
    value = value.strip(" \t")
    match = _ENTITY_TAG.fullmatch(value)
    if match is None:
        return parse_http_date(value)
    return ETag(match[2], match[1] is not None) if match[2] != _ANY else None
