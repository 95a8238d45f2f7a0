"""Conditions and ranges of a request for something that has validators.

RFC 9110 section 13.2.2 has the order in which the conditions are looked at, and section 14.2
what comes of a range.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from multidict import CIMultiDictProxy

from httpcore_proto import (
    ByteRange,
    ETag,
    parse_etags,
    parse_http_date,
    parse_if_range,
    parse_range,
    strong_match,
    weak_match,
)

_READING: Final = frozenset({"GET", "HEAD"})
# A unit in its place, whatever follows (RFC 9110 section 14.1).
_UNIT: Final = re.compile(r"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)=")
_UNREADABLE: Final = 10**19


class Validators(NamedTuple):
    """What tells one version of something from another.

    Attributes:
        etag: Its entity tag, None for none.
        modified: When it was modified, in whole seconds since 1970-01-01 00:00 UTC; None if
            nobody knows.
    """

    etag: ETag | None
    modified: int | None


def check_preconditions(
    method: str, headers: CIMultiDictProxy[str], current: Validators
) -> int | None:
    """Evaluate If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since.

    Args:
        method: The request's method.
        headers: Its fields.
        current: Validators of what there is.

    Returns:
        412 or 304, or None to go on. A date that is none makes no condition; an If-Match
        that is none matches nothing.
    """
    etag, modified = current
    if (value := _joined(headers, "If-Match")) is not None:
        if etag is None or not any(strong_match(tag, etag) for tag in parse_etags(value)):
            return 412
    elif modified is not None:
        date = parse_http_date(headers.get("If-Unmodified-Since", ""))
        if date is not None and modified > date.timestamp():
            return 412
    if (value := _joined(headers, "If-None-Match")) is not None:
        if etag is not None and any(weak_match(tag, etag) for tag in parse_etags(value)):
            return 304 if method in _READING else 412
    elif modified is not None and method in _READING:
        date = parse_http_date(headers.get("If-Modified-Since", ""))
        if date is not None and modified <= date.timestamp():
            return 304
    return None


def requested_range(
    method: str, headers: CIMultiDictProxy[str], current: Validators
) -> ByteRange | None:
    """Return the range that is to be sent, or None for the whole.

    The whole is the answer to another method than GET, to a unit that is not `bytes`, if
    If-Range says that the client has parts of another version, and to several ranges: each
    of them could be the whole once more.

    Returns:
        One that `ByteRange.resolve` finds nothing for, if the field is malformed.
    """
    value = headers.get("Range")
    if method != "GET" or value is None:
        return None
    unit = _UNIT.match(value)
    if unit is not None and unit[1].lower() != "bytes":
        return None
    if not _is_same_version(headers.get("If-Range"), current):
        return None
    if "," in value:
        return None
    try:
        return parse_range(value)[0]
    except ValueError:
        return ByteRange(_UNREADABLE, None)


def _is_same_version(if_range: str | None, current: Validators) -> bool:
    if if_range is None:
        return True
    seen = parse_if_range(if_range)
    if isinstance(seen, ETag):
        return current.etag is not None and strong_match(seen, current.etag)
    return (
        seen is not None
        and current.modified is not None
        and seen == datetime.fromtimestamp(current.modified, UTC)
    )


def _joined(headers: CIMultiDictProxy[str], name: str) -> str | None:
    lines = headers.getall(name, None)
    return None if lines is None else ", ".join(lines)
