"""Range and Content-Range in bytes (RFC 9110 section 14)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ._scan import TOKEN, split_list

#: How many ranges of one request count. Each may be the whole of a file, and costs as much to
#: send; players and download managers ask for one or two (RFC 9110 section 14.2).
MAX_RANGES: Final = 16

# Nineteen digits are the octets of any file system; more make int() slow.
_NUMBER: Final = r"[0-9]{1,19}"
_UNIT: Final = re.compile(rf"({TOKEN})=")
_SPEC: Final = re.compile(rf"({_NUMBER})?-({_NUMBER})?")
_CONTENT_RANGE: Final = re.compile(
    rf"({TOKEN})[ ](?:({_NUMBER})-({_NUMBER})/(?:({_NUMBER})|\*)|\*/({_NUMBER}))"
)


class ByteRange(NamedTuple):
    """One range of a Range field; `str()` gives its form there, such as `0-99` or `-5`.

    Attributes:
        first: Position of the first byte, from 0. None for the last `last` bytes.
        last: Position of the last byte, which is included; None for all up to the end.
    """

    first: int | None
    last: int | None

    def resolve(self, size: int) -> tuple[int, int] | None:
        """Return which bytes of `size` these are (RFC 9110 section 14.1.2).

        Args:
            size: Length of the whole in bytes.

        Returns:
            `(start, stop)`, where stop is not included. None if there are none, and 416
            is the answer; so it is with any range of 0 bytes, for which Content-Range has
            no words.
        """
        if self.first is None:
            start, stop = max(size - (self.last or 0), 0), size
        else:
            start, stop = self.first, size if self.last is None else min(self.last + 1, size)
        return (start, stop) if start < stop else None

    def __str__(self) -> str:
        first = "" if self.first is None else self.first
        return f"{first}-{'' if self.last is None else self.last}"


def parse_range(value: str, *, max_ranges: int = MAX_RANGES) -> tuple[ByteRange, ...]:
    """Read a Range field (RFC 9110 section 14.2).

    A server may ignore the field whatever it says, and should where this raises.

    Args:
        value: The field's value, such as `bytes=0-99,-5`; the unit in any case.
        max_ranges: How many ranges are allowed.

    Returns:
        The ranges in their order, at least one. They may overlap.

    Raises:
        ValueError: The unit is not `bytes`; there is no range or a malformed one, a
            number of more than 19 digits included; a range ends before it starts; there
            are more than `max_ranges`.
    """
    unit = _UNIT.match(value.strip(" \t"))
    if unit is None:
        raise ValueError(f"range {value[:80]!r} has no unit; bytes=first-last is known")
    if unit[1].lower() != "bytes":
        raise ValueError(f"range unit {unit[1][:80]!r} is unknown; only bytes is known")
    specs = split_list(value.strip(" \t")[unit.end() :])
    ranges: list[ByteRange] = []
    for spec in specs:
        if len(ranges) == max_ranges:
            seen = max_ranges + 1 + sum(1 for _ in specs)
            raise ValueError(f"{seen} ranges, but max_ranges allows {max_ranges}")
        ranges.append(_parse_spec(spec))
    if not ranges:
        raise ValueError(f"range {value[:80]!r} has a unit only; first-last, first- or -length")
    return tuple(ranges)


def _parse_spec(spec: str) -> ByteRange:
    match = _SPEC.fullmatch(spec)
    if match is None or spec == "-":
        raise ValueError(f"range {spec[:80]!r} is none of first-last, first- and -length")
    first, last = (None if digits is None else int(digits) for digits in match.groups())
    if first is not None and last is not None and last < first:
        raise ValueError(f"range {spec!r} ends before it starts")
    return ByteRange(first, last)


def parse_range_slice(value: str) -> slice:
    """Read a Range field with one range as a slice (`Request.http_range`).

    Args:
        value: The field's value, or `""` where there is none.

    Returns:
        `slice(0, 10, 1)` for `bytes=0-9`, `slice(-5, None, 1)` for `bytes=-5`,
        `slice(None, None, 1)` without a field, and an empty slice for `bytes=-0`.

    Raises:
        ValueError: As for `parse_range`; or there are several ranges.
    """
    if not value:
        return slice(None, None, 1)
    ranges = parse_range(value)
    if len(ranges) > 1:
        raise ValueError(f"{len(ranges)} ranges, but a slice stands for one")
    first, last = ranges[0]
    if first is not None:
        return slice(first, None if last is None else last + 1, 1)
    return slice(-last, None, 1) if last else slice(0, 0, 1)


class ContentRange(NamedTuple):
    """A Content-Range in bytes; `str()` gives the field value, such as `bytes 0-99/1234`.

    Attributes:
        first: Position of the first byte, from 0; None for the `*` of a 416 answer.
        last: Position of the last byte, which is included; None as for `first`.
        size: Length of the whole in bytes; None for the `*` of an unknown one.
    """

    first: int | None
    last: int | None
    size: int | None

    def __str__(self) -> str:
        which = "*" if self.first is None else f"{self.first}-{self.last}"
        return f"bytes {which}/{'*' if self.size is None else self.size}"


def parse_content_range(value: str) -> ContentRange:
    """Read a Content-Range field (RFC 9110 section 14.4).

    Args:
        value: The field's value, such as `bytes 0-99/1234`; the unit in any case.

    Raises:
        ValueError: `value` is malformed, a number of more than 19 digits included; the
            unit is not `bytes`; it ends before it starts, or behind the whole.
    """
    match = _CONTENT_RANGE.fullmatch(value.strip(" \t"))
    if match is None:
        raise ValueError(
            f"content range {value[:80]!r} is none of first-last/size, first-last/* and "
            "*/size behind bytes and a blank"
        )
    unit, *numbers = match.groups()
    if unit.lower() != "bytes":
        raise ValueError(f"range unit {unit[:80]!r} is unknown; only bytes is known")
    first, last, size, size_alone = (None if digits is None else int(digits) for digits in numbers)
    if first is None or last is None:
        return ContentRange(None, None, size_alone)
    if last < first:
        raise ValueError(f"content range {first}-{last} ends before it starts")
    if size is not None and size <= last:
        raise ValueError(f"content range {first}-{last} ends behind the whole of {size} bytes")
    return ContentRange(first, last, size)
