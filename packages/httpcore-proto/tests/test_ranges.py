from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_content_range_header, parse_range_header

from httpcore_proto import (
    MAX_RANGES,
    ByteRange,
    ContentRange,
    parse_content_range,
    parse_range,
    parse_range_slice,
)

NUMBER_MAX = 10**19 - 1
numbers = st.integers(0, NUMBER_MAX)


@st.composite
def byte_ranges(draw: st.DrawFn) -> ByteRange:
    first, last = sorted((draw(numbers), draw(numbers)))
    return draw(
        st.sampled_from([ByteRange(first, last), ByteRange(first, None), ByteRange(None, last)])
    )


# Range.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("bytes=0-499", [(0, 499)]),
        ("bytes=500-", [(500, None)]),
        ("bytes=-500", [(None, 500)]),
        ("bytes=-0", [(None, 0)]),
        ("Bytes=007-0010", [(7, 10)]),
        (" \tBYTES=1-2\t ", [(1, 2)]),
        # RFC 9110 section 14.1.2.
        ("bytes= 0-999, 4500-5499, -1000", [(0, 999), (4500, 5499), (None, 1000)]),
        ("bytes=500-700,601-999", [(500, 700), (601, 999)]),
        ("bytes=,1-2 ,,\t3-,", [(1, 2), (3, None)]),
        ("bytes=0-" + "9" * 19, [(0, NUMBER_MAX)]),
    ],
)
def test_range_is_read(value: str, expected: list[tuple[int | None, int | None]]) -> None:
    assert parse_range(value) == tuple(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "has no unit"),
        ("0-499", "has no unit"),
        ("=0-499", "has no unit"),
        ("bytes", "has no unit"),
        ("bytes 0-499", "has no unit"),
        ("bytes =0-499", "has no unit"),
        ("bytes\x0b=0-499", "has no unit"),
        ("lines=0-9", "range unit 'lines' is unknown; only bytes is known"),
        ("byte=0-9", "range unit 'byte' is unknown"),
        ("bytes-unit=0-9", "range unit 'bytes-unit' is unknown"),
        ("bytes=", "has a unit only"),
        ("bytes= , ,", "has a unit only"),
        ("bytes=-", "range '-' is none of first-last, first- and -length"),
        ("bytes=5", "range '5' is none of"),
        ("bytes=--5", "range '--5' is none of"),
        ("bytes=1-2-3", "is none of"),
        ("bytes=1-2;3-4", "is none of"),
        ("bytes=0-1 2-3", "is none of"),
        ("bytes=0 -1", "is none of"),
        ("bytes=0- 1", "is none of"),
        ("bytes=+0-1", "is none of"),
        ("bytes=0-+1", "is none of"),
        ("bytes=0_0-1_0", "is none of"),
        ("bytes=0x0-0x1", "is none of"),
        ("bytes=1.0-2", "is none of"),
        ("bytes=a-b", "is none of"),
        ('bytes="0-1"', "is none of"),
        ("bytes=\u0660-\u0661", "is none of"),
        ("bytes=\xb2-", "is none of"),
        ("bytes=0-1\n", "is none of"),
        ("bytes=0-1\0", "is none of"),
        ("bytes=0-1,x", "range 'x' is none of"),
        ("bytes=0-" + "9" * 20, "is none of"),
        ("bytes=" + "0" * 20 + "-", "is none of"),
        ("bytes=5-4", "range '5-4' ends before it starts"),
        ("bytes=0-1,5-4", "range '5-4' ends before it starts"),
    ],
)
def test_wrong_range_is_refused(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_range(value)
    if value:
        with pytest.raises(ValueError, match=message):
            parse_range_slice(value)


def test_number_of_ranges_is_bounded() -> None:
    """DO-20: each range may be the whole file."""
    assert MAX_RANGES == 16
    assert len(parse_range("bytes=" + "0-," * 16)) == 16
    with pytest.raises(ValueError, match=r"^17 ranges, but max_ranges allows 16$"):
        parse_range("bytes=" + "0-," * 17)
    with pytest.raises(ValueError, match=r"^1000 ranges, but max_ranges allows 16$"):
        parse_range("bytes=" + "0-," * 1000)
    assert len(parse_range("bytes=" + "0-," * 17, max_ranges=17)) == 17
    with pytest.raises(ValueError, match=r"^2 ranges, but max_ranges allows 1$"):
        parse_range("bytes=0-,1-", max_ranges=1)


@given(st.lists(byte_ranges(), min_size=1, max_size=16))
def test_range_round_trip(ranges: list[ByteRange]) -> None:
    assert parse_range("bytes=" + ", ".join(map(str, ranges))) == tuple(ranges)


@pytest.mark.parametrize(
    ("byte_range", "size", "expected"),
    [
        (ByteRange(0, 0), 10, (0, 1)),
        (ByteRange(0, 9), 10, (0, 10)),
        (ByteRange(0, 10), 10, (0, 10)),
        (ByteRange(9, 99), 10, (9, 10)),
        (ByteRange(10, 10), 10, None),
        (ByteRange(11, 20), 10, None),
        (ByteRange(3, None), 10, (3, 10)),
        (ByteRange(9, None), 10, (9, 10)),
        (ByteRange(10, None), 10, None),
        (ByteRange(None, 3), 10, (7, 10)),
        (ByteRange(None, 10), 10, (0, 10)),
        (ByteRange(None, 11), 10, (0, 10)),
        (ByteRange(None, 0), 10, None),
        (ByteRange(None, None), 10, None),
        # RFC 9110 section 14.1.2 calls the last one satisfiable, but section 14.4 cannot say it.
        (ByteRange(0, 0), 0, None),
        (ByteRange(0, None), 0, None),
        (ByteRange(None, 5), 0, None),
    ],
)
def test_range_is_resolved(
    byte_range: ByteRange, size: int, expected: tuple[int, int] | None
) -> None:
    assert byte_range.resolve(size) == expected


@given(byte_ranges(), st.integers(0, 100) | numbers)
def test_resolved_range_is_within_the_whole(byte_range: ByteRange, size: int) -> None:
    resolved = byte_range.resolve(size)
    if resolved is not None:
        start, stop = resolved
        assert 0 <= start < stop <= size
        written = ContentRange(start, stop - 1, size)
        assert parse_content_range(str(written)) == written


# As a slice.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", slice(None, None, 1)),
        ("bytes=0-9", slice(0, 10, 1)),
        ("BYTES=0-0", slice(0, 1, 1)),
        ("bytes=5-", slice(5, None, 1)),
        ("bytes=-5", slice(-5, None, 1)),
        # Minus zero is zero: aiohttp returns the slice of everything.
        ("bytes=-0", slice(0, 0, 1)),
    ],
)
def test_slice(value: str, expected: slice) -> None:
    assert parse_range_slice(value) == expected


def test_slice_of_several_ranges_is_refused() -> None:
    with pytest.raises(ValueError, match="2 ranges, but a slice stands for one"):
        parse_range_slice("bytes=0-1,2-3")
    with pytest.raises(ValueError, match="17 ranges, but max_ranges allows 16"):
        parse_range_slice("bytes=" + "0-," * 17)


@given(byte_ranges(), st.binary(max_size=20))
def test_slice_takes_what_the_range_means(byte_range: ByteRange, data: bytes) -> None:
    start, stop = byte_range.resolve(len(data)) or (0, 0)
    assert data[parse_range_slice(f"bytes={byte_range}")] == data[start:stop]


# Content-Range.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-9/100", (0, 9, 100)),
        ("bytes 0-0/1", (0, 0, 1)),
        ("Bytes 42-1233/1234", (42, 1233, 1234)),
        ("bytes 42-1233/*", (42, 1233, None)),
        ("bytes */1234", (None, None, 1234)),
        ("bytes */0", (None, None, 0)),
        (" bytes 0-9/100\t", (0, 9, 100)),
        ("bytes 00-09/0100", (0, 9, 100)),
    ],
)
def test_content_range_is_read(
    value: str, expected: tuple[int | None, int | None, int | None]
) -> None:
    assert parse_content_range(value) == expected


@pytest.mark.parametrize(
    ("content_range", "expected"),
    [
        (ContentRange(0, 9, 100), "bytes 0-9/100"),
        (ContentRange(0, 9, None), "bytes 0-9/*"),
        (ContentRange(None, None, 100), "bytes */100"),
        (ContentRange(None, None, 0), "bytes */0"),
    ],
)
def test_content_range_is_written(content_range: ContentRange, expected: str) -> None:
    assert str(content_range) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is none of"),
        ("bytes", "is none of"),
        ("0-9/100", "is none of"),
        ("bytes=0-9/100", "is none of"),
        ("bytes  0-9/100", "is none of"),
        ("bytes\t0-9/100", "is none of"),
        ("bytes\xa00-9/100", "is none of"),
        ("bytes 0-9", "is none of"),
        ("bytes 0-9/", "is none of"),
        ("bytes 0-/100", "is none of"),
        ("bytes -9/100", "is none of"),
        ("bytes -/100", "is none of"),
        ("bytes */*", "is none of"),
        ("bytes *", "is none of"),
        ("bytes 0 - 9 / 100", "is none of"),
        ("bytes 0-9/100, 1-2/100", "is none of"),
        ("bytes 0-9/+100", "is none of"),
        ("bytes 0-9/1_00", "is none of"),
        ("bytes \u0660-9/100", "is none of"),
        ("bytes 0-9/100\n", "is none of"),
        ("bytes 0-9/" + "1" * 20, "is none of"),
        ("lines 0-9/100", "range unit 'lines' is unknown; only bytes is known"),
        ("bytes 9-0/100", "content range 9-0 ends before it starts"),
        ("bytes 9-0/*", "content range 9-0 ends before it starts"),
        ("bytes 0-100/100", "content range 0-100 ends behind the whole of 100 bytes"),
        ("bytes 0-0/0", "ends behind the whole of 0 bytes"),
    ],
)
def test_wrong_content_range_is_refused(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_content_range(value)


@given(numbers, numbers, st.none() | numbers)
def test_content_range_round_trip(one: int, other: int, size: int | None) -> None:
    first, last, *_ = sorted((one, other))
    if size is not None:
        first, last, size = sorted((one, other, size))
        size += 1
        if size > NUMBER_MAX:
            size = None
    for written in (ContentRange(first, last, size), ContentRange(None, None, last)):
        assert parse_content_range(str(written)) == written


# Hostile input.


@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000,
        " " * 1_000_000 + "x",
        "bytes=" + "0" * 1_000_000,
        "bytes=" + "-" * 1_000_000,
        "bytes=" + "," * 1_000_000,
        "bytes=" + "0-" * 500_000,
        "bytes=" + "0-," * 300_000,
        "bytes=" + '"' * 1_000_001,
        "bytes=0-" + " " * 1_000_000 + "x",
        "bytes=" + "0-1\t" * 200_000,
        "bytes " + "0-1/" * 200_000,
        "bytes */" + "9" * 1_000_000,
    ],
    ids=lambda value: f"{value[:12]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    for parse in (parse_range, parse_range_slice, parse_content_range):
        with pytest.raises(ValueError, match="range") as caught:
            parse(value)
        assert len(str(caught.value)) < 300


@given(st.text("byteslins=0123 -,/*\t") | st.text())
def test_any_text_is_read_or_refused(value: str) -> None:
    for parse in (parse_range, parse_content_range):
        try:
            found = parse(value)
        except ValueError as exc:
            assert "range" in str(exc)  # noqa: PT017 - most texts are refused
        else:
            assert found


# Another parser. Differences are wanted; RFC 9110 decides each of them.


def by_werkzeug(value: str) -> list[tuple[int | None, int | None]] | None:
    found = parse_range_header(value)
    return None if found is None else list(found.ranges)


def ours(value: str) -> list[tuple[int | None, int | None]] | None:
    """Return it as werkzeug does: the stop is not included, a suffix is negative."""
    try:
        ranges = parse_range(value)
    except ValueError:
        return None
    return [
        (-(last or 0), None) if first is None else (first, None if last is None else last + 1)
        for first, last in ranges
    ]


@pytest.mark.parametrize(
    "value",
    ["bytes=0-9", "bytes=5-", "bytes=-5", "bytes=0-1, 3-4,6-", "bytes=x", "bytes=5-4", "5-6"],
)
def test_werkzeug_reads_the_same_range(value: str) -> None:
    assert ours(value) == by_werkzeug(value)


@pytest.mark.parametrize(
    ("value", "expected", "of_werkzeug"),
    [
        # Section 14.1.1: ranges may come in any order, and overlap.
        ("bytes=5-9,0-1", [(5, 10), (0, 2)], None),
        ("bytes=0-5,3-9", [(0, 6), (3, 10)], None),
        ("bytes=-5,0-1", [(-5, None), (0, 2)], None),
        # Section 5.6.1.2: empty elements of a list do not count.
        ("bytes=0-1,", [(0, 2)], None),
        # Section 14.1.1: no blanks around "-" and "=".
        ("bytes=0 - 1", None, [(0, 2)]),
        ("bytes =0-1", None, [(0, 2)]),
        # Section 14.1: other units exist, but are not known here.
        ("lines=0-1", None, [(0, 2)]),
    ],
)
def test_werkzeug_reads_another_range(
    value: str,
    expected: list[tuple[int | None, int | None]] | None,
    of_werkzeug: list[tuple[int | None, int | None]] | None,
) -> None:
    assert ours(value) == expected
    assert by_werkzeug(value) == of_werkzeug


@pytest.mark.parametrize(
    "value", ["bytes 0-9/100", "bytes 0-9/*", "bytes */100", "x", "bytes 9-0/1"]
)
def test_werkzeug_reads_the_same_content_range(value: str) -> None:
    theirs = parse_content_range_header(value)
    if theirs is None:
        with pytest.raises(ValueError, match="content range"):
            parse_content_range(value)
        return
    first, last, size = parse_content_range(value)
    assert (first, None if last is None else last + 1, size) == (
        theirs.start,
        theirs.stop,
        theirs.length,
    )


@pytest.mark.parametrize(
    "value",
    [
        # Section 14.4: what is sent is a part of the whole.
        "bytes 0-9/5",
        # The same: unknown is the one half or the other.
        "bytes */*",
        # Section 14.1: other units exist, but are not known here.
        "lines 0-9/100",
    ],
)
def test_werkzeug_reads_what_is_no_content_range(value: str) -> None:
    assert parse_content_range_header(value) is not None
    with pytest.raises(ValueError, match="range"):
        parse_content_range(value)
