"""What the answer to a request for the rest of a file means. Pure functions.

The request is for the bytes from an offset on, on the condition that the file is still the
one that its first bytes are from (RFC 9110 sections 13.1.5 and 14).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from httpcore_proto import ETag, parse_content_range, parse_http_date, parse_if_range

if TYPE_CHECKING:
    from ._part_file import PartState

_Headers = CIMultiDictProxy[str] | CIMultiDict[str]

# RFC 9110 section 8.8.2.2: a date is a strong validator if it lies at least a second back,
# and more where clocks may differ; a minute is what RFC 7232 section 2.2.2 asked for.
_STRONG_AGE: Final = timedelta(seconds=60)


class Rest(NamedTuple):
    """What a 206 answer brings: bytes up to `end`, not included, of `total`."""

    end: int
    total: int


def validator_of(headers: _Headers) -> str | None:
    """Return a value for If-Range, against which a server can hold what it has later.

    Args:
        headers: Fields of a 200 answer.

    Returns:
        A strong entity tag, else a date that serves as one; None if there is neither, or
        the server says that it has no ranges.
    """
    if headers.get("Accept-Ranges", "").strip(" \t").lower() == "none":
        return None
    tag = parse_if_range(headers.get("ETag", ""))
    if isinstance(tag, ETag) and not tag.is_weak:
        return str(tag)
    modified = headers.get("Last-Modified", "").strip(" \t")
    modified_at, sent_at = parse_http_date(modified), parse_http_date(headers.get("Date", ""))
    if modified_at is None or sent_at is None or sent_at - modified_at < _STRONG_AGE:
        return None
    return modified


def rest_of(headers: _Headers, length: int | None, offset: int, state: PartState) -> Rest | None:
    """Read a 206 answer.

    Args:
        headers: Its fields.
        length: Its Content-Length in bytes, if it has one.
        offset: From where on bytes were asked for.
        state: What the bytes before are of.

    Returns:
        What it brings, perhaps less than was asked for; None if it is of something else by
        now, and should not have been sent.

    Raises:
        ValueError: It is not what was asked for, or contradicts itself.
    """
    value = headers.get("Content-Range", "")
    found = parse_content_range(value)
    total = state.total if found.size is None else found.size
    if found.first != offset or found.last is None:
        raise ValueError(f"content range {value[:80]!r} for bytes={offset}-")
    if total is None:
        raise ValueError(f"content range {value[:80]!r} tells no size, and nothing did before")
    if (state.total is not None and state.total != total) or not _is_same(headers, state):
        return None
    end = found.last + 1
    if end > total:
        raise ValueError(f"content range {value[:80]!r} ends behind the whole of {total} bytes")
    if length is not None and length != end - offset:
        raise ValueError(f"content range {value[:80]!r} with {length} bytes")
    return Rest(end, total)


def is_nothing_left(headers: _Headers, offset: int, state: PartState) -> bool:
    """Whether a 416 answer says that the bytes up to `offset` are the whole."""
    try:
        size = parse_content_range(headers.get("Content-Range", "")).size
    except ValueError:
        return False
    return size == offset and state.total in (None, size) and _is_same(headers, state)


def _is_same(headers: _Headers, state: PartState) -> bool:
    """Whether an answer is of what `state` is of, as far as it says."""
    mine = parse_if_range(state.validator or "")
    theirs = headers.get("ETag" if isinstance(mine, ETag) else "Last-Modified")
    return theirs is None or parse_if_range(theirs) == mine
