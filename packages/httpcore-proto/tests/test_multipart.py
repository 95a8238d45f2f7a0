from __future__ import annotations

import gc
import itertools
import os
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from httpcore_proto import (
    END_OF_MULTIPART,
    END_OF_PART,
    NEED_DATA,
    BadHttpMessage,
    HeadersLike,
    LineTooLong,
    LocalProtocolError,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    Part,
    PayloadEncodingError,
    check_boundary,
    encode_closing,
    encode_part_head,
    new_boundary,
)

PartSeen = tuple[tuple[tuple[bytes, bytes], ...], bytes]


def drain(parser: MultipartParser, seen: list[Any]) -> None:
    """Take all events that are there; pieces of one body are joined."""
    while (event := parser.next_event()) is not NEED_DATA:
        if isinstance(event, Part):
            seen.append((event.raw_headers, b""))
        elif isinstance(event, bytes):
            assert event
            head, body = seen[-1]
            seen[-1] = (head, body + event)
        elif event is END_OF_MULTIPART:
            # Comes as often as it is asked for.
            if seen[-1:] != [event]:
                seen.append(event)
            return
        else:
            seen.append(event)


def facts(error: BadHttpMessage) -> tuple[Any, ...]:
    return (
        type(error),
        error.rule,
        error.status_hint,
        error.offset,
        error.limit,
        error.value,
        error.allowed,
    )


def read(
    pieces: Iterable[bytes], boundary: str = "B", limits: MultipartLimits | None = None
) -> list[Any]:
    """Return the events of a body that comes in pieces; of an error, what it says."""
    parser = MultipartParser(boundary, limits)
    seen: list[Any] = []
    try:
        for piece in pieces:
            parser.receive_data(piece)
            drain(parser, seen)
        parser.receive_eof()
        drain(parser, seen)
    except BadHttpMessage as error:
        seen.append(facts(error))
    return seen


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield the ways to cut a body: at each place, and at all of them."""
    for place in range(len(data) + 1):
        yield [data[:place], data[place:]]
    yield [data[place : place + 1] for place in range(len(data))]


def events(*parts: PartSeen) -> list[Any]:
    return [*(item for part in parts for item in (part, END_OF_PART)), END_OF_MULTIPART]


A = (b"A", b"b")

# Name -> body with the boundary "B", and the parts in it.
GOLDEN: dict[str, tuple[bytes, list[PartSeen]]] = {
    "one part": (b"--B\r\nA: b\r\n\r\nx\r\n--B--\r\n", [((A,), b"x")]),
    "two parts": (
        b"--B\r\nA: b\r\n\r\nx\r\n--B\r\nC: d\r\n\r\ny\r\n--B--\r\n",
        [((A,), b"x"), (((b"C", b"d"),), b"y")],
    ),
    "no part": (b"--B--\r\n", []),
    "no part and no line end": (b"--B--", []),
    "line end before the first": (b"\r\n--B\r\n\r\nx\r\n--B--", [((), b"x")]),
    "preamble": (b"pre\r\namble\r\n--B\r\n\r\nx\r\n--B--", [((), b"x")]),
    "preamble with lookalikes": (
        b"--A\r\n\r\r\n-\r\n--\r\n--C--\r\nx--B--\r\n --B\r\n\n--B\r\n\r\n--B\r\n\r\nx\r\n--B--",
        [((), b"x")],
    ),
    "preamble of blank lines": (b"\r\n" * 9 + b"--B\r\n\r\n\r\n--B--", [((), b"")]),
    "preamble that begins like a delimiter": (b"-\r\n--B--", []),
    "padding": (b"--B \t \r\n\r\nx\r\n--B\t\r\n\r\ny\r\n--B-- \t\r\n", [((), b"x"), ((), b"y")]),
    "empty part": (b"--B\r\nA: b\r\n\r\n\r\n--B--", [((A,), b"")]),
    "part without headers": (b"--B\r\n\r\nx\r\n--B--", [((), b"x")]),
    "empty part without headers": (b"--B\r\n\r\n\r\n--B--", [((), b"")]),
    # RFC 2046 section 5.1.1, body-part: the line end of the empty line is the delimiter's.
    "part without body": (b"--B\r\nA: b\r\n\r\n--B--", [((A,), b"")]),
    "part without anything": (b"--B\r\n\r\n--B\r\n\r\n--B--", [((), b""), ((), b"")]),
    "body of line ends": (b"--B\r\n\r\n\r\n\r\n\r\n--B--", [((), b"\r\n\r\n")]),
    "body of CR": (b"--B\r\n\r\n\r\r\r\n--B--", [((), b"\r\r")]),
    "body of LF": (b"--B\r\n\r\n\n\n\r\n--B--", [((), b"\n\n")]),
    "body that ends in CR": (b"--B\r\n\r\nx\r\r\n--B--", [((), b"x\r")]),
    "body that begins like a delimiter": (b"--B\r\n\r\n--\r\n--B--", [((), b"--")]),
    "lookalikes in the body": (
        b"--B\r\n\r\n\r\n-\r\n--\r\n--A\r\n-B\r\r\n--b\n--B\r--B \r\n --B\r\n--B--",
        [((), b"\r\n-\r\n--\r\n--A\r\n-B\r\r\n--b\n--B\r--B \r\n --B")],
    ),
    "delimiter within a line": (b"--B\r\n\r\nx--B--\r\n--B--", [((), b"x--B--")]),
    "bare line ends never count": (
        b"--B\r\n\r\nx\n--B--\ny\r--B\r\n--B--",
        [((), b"x\n--B--\ny\r--B")],
    ),
    "head in a body": (b"--B\r\n\r\nA: b\r\n\r\nC: d\r\n--B--", [((), b"A: b\r\n\r\nC: d")]),
    "epilogue": (b"--B\r\n\r\nx\r\n--B--\r\nepilogue\r\n--B\r\n\r\ny\r\n--B--", [((), b"x")]),
    # The boundary need only be what a line begins with (RFC 2046 section 5.1.1).
    "junk behind the closing delimiter": (b"--B\r\n\r\nx\r\n--B--junk", [((), b"x")]),
    "closing delimiter without line end": (b"--B\r\n\r\nx\r\n--B--", [((), b"x")]),
    "quotes in a header": (
        b'--B\r\nA: b; c="d\\"e;\xc3\xa4"\r\n\r\n\r\n--B--',
        [(((b"A", b'b; c="d\\"e;\xc3\xa4"'),), b"")],
    ),
    "header that is not UTF-8": (
        b"--B\r\nA: \xff\x80\r\n\r\n\r\n--B--",
        [(((b"A", b"\xff\x80"),), b"")],
    ),
    "repeated header": (
        b"--B\r\na: 1\r\nA: 2\r\nA: 1\r\n\r\n\r\n--B--",
        [(((b"a", b"1"), (b"A", b"2"), (b"A", b"1")), b"")],
    ),
    "blanks around values": (
        b"--B\r\nA:b\r\nA: \t b \tc\t \r\nA:\r\nA: \t\r\n\r\n\r\n--B--",
        [(((b"A", b"b"), (b"A", b"b \tc"), (b"A", b""), (b"A", b"")), b"")],
    ),
    "all characters of a token": (
        b"--B\r\n!#$%&'*+-.^_`|~09azAZ: :\r\n\r\n\r\n--B--",
        [(((b"!#$%&'*+-.^_`|~09azAZ", b":"),), b"")],
    ),
    "body of all bytes": (
        b"--B\r\n\r\n" + bytes(range(256)) + b"\r\n--B--",
        [((), bytes(range(256)))],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_body_is_read_however_it_is_cut(name: str) -> None:
    body, parts = GOLDEN[name]
    expected = events(*parts)
    assert read([body]) == expected
    for pieces in cuts(body):
        assert read(pieces) == expected, pieces


@pytest.mark.parametrize("name", GOLDEN)
def test_body_that_is_cut_off_is_an_error_in_every_state(name: str) -> None:
    """DO-12: the end ends every state."""
    body, parts = GOLDEN[name]
    for end in range(len(body)):
        *seen, last = read([body[:end]])
        if last is END_OF_MULTIPART:
            assert [*seen, last] == events(*parts)
            continue
        rule = (
            "multipart-truncated" if b"\r\n--B" in b"\r\n" + body[:end] else "multipart-no-boundary"
        )
        assert last == (MultipartError, rule, 400, end, None, None, None)
        assert END_OF_MULTIPART not in seen


def test_events_one_by_one() -> None:
    parser = MultipartParser("B")
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"--B\r\nA: b\r\n\r\nxy\r")
    part = parser.next_event()
    assert isinstance(part, Part)
    assert parser.next_event() == b"xy"
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"z\r\n-")
    assert parser.next_event() == b"\rz"
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"")
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"-B")
    assert parser.next_event() is END_OF_PART
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"--")
    for _ in range(3):
        assert parser.next_event() is END_OF_MULTIPART
    parser.receive_data(b"\r\n--B\r\n\r\nx")
    parser.receive_eof()
    for _ in range(3):
        assert parser.next_event() is END_OF_MULTIPART


def test_end_may_be_told_before_the_events_are_taken() -> None:
    parser = MultipartParser("B")
    parser.receive_data(b"--B\r\n\r\nx\r\n--B--")
    parser.receive_eof()
    seen: list[Any] = []
    drain(parser, seen)
    assert seen == events(((), b"x"))


def test_pieces_may_come_before_the_events_are_taken() -> None:
    parser = MultipartParser("B")
    for place in range(20):
        parser.receive_data(b"--B\r\nA: b\r\n\r\nx\r\n--B--"[place : place + 1])
    parser.receive_data(b"--B\r\nA: b\r\n\r\nx\r\n--B--"[20:])
    seen: list[Any] = []
    drain(parser, seen)
    assert seen == events(((A,), b"x"))


def test_body_piece_is_the_object_that_was_given() -> None:
    parser = MultipartParser("B")
    parser.receive_data(b"--B\r\n\r\n")
    parser.next_event()
    assert parser.next_event() is NEED_DATA
    # The first comes with the head's last line end, which may be that of a delimiter.
    parser.receive_data(b"first")
    assert parser.next_event() == b"first"
    for piece in (b"x" * 65536, b"\r\nx", b"y", b"\r\n--A" + b"z" * 9, b"\rx"):
        parser.receive_data(piece)
        assert parser.next_event() is piece
        assert parser.next_event() is NEED_DATA


@pytest.mark.parametrize("boundary", ["B", "-", "--", "a" * 70, "'()+_,-./:=? x", "a:b", "0--0"])
def test_boundary_of_any_kind_is_found(boundary: str) -> None:
    delimiter = b"--" + boundary.encode()
    body = b"\r\n".join((delimiter, b"A: b", b"", b"x" + delimiter + b"\r\n--", delimiter + b"--"))
    expected = events(((A,), b"x" + delimiter + b"\r\n--"))
    for pieces in cuts(body):
        assert read(pieces, boundary) == expected


# Errors. The body, what is seen before, and what the error says. `offset` is where the first
# wrong byte is, or the first one beyond a limit.

SMALL = MultipartLimits(
    max_parts=2, max_part_headers=2, max_field_size=6, max_head_size=12, max_part_size=3
)
X = ((), b"x")


def malformed(rule: str, offset: int) -> tuple[Any, ...]:
    return (MultipartError, rule, 400, offset, None, None, None)


def over(limit: str, offset: int, value: int, allowed: int) -> tuple[Any, ...]:
    is_head = limit in ("max_part_headers", "max_field_size", "max_head_size")
    cls = LineTooLong if is_head else MultipartError
    return (cls, "multipart-limit", 413, offset, limit, value, allowed)


ERRORS: dict[str, tuple[bytes, list[Any], tuple[Any, ...]]] = {
    "nothing": (b"", [], malformed("multipart-no-boundary", 0)),
    "no delimiter": (b"hello\r\n", [], malformed("multipart-no-boundary", 7)),
    "other delimiter": (b"--b\r\n\r\nx\r\n--b--", [], malformed("multipart-no-boundary", 15)),
    "delimiter behind LF": (b"\n--B--", [], malformed("multipart-no-boundary", 6)),
    "delimiter behind CR": (b"x\r--B--", [], malformed("multipart-no-boundary", 7)),
    "delimiter behind a blank": (b" --B--", [], malformed("multipart-no-boundary", 6)),
    "cut behind the boundary": (b"--B", [], malformed("multipart-truncated", 3)),
    "cut in padding": (b"--B  ", [], malformed("multipart-truncated", 5)),
    "cut in a head": (b"--B\r\nA: b\r\n", [], malformed("multipart-truncated", 11)),
    "cut in a body": (b"--B\r\n\r\nx", [X], malformed("multipart-truncated", 8)),
    "cut in a delimiter": (b"--B\r\n\r\nx\r\n--", [X], malformed("multipart-truncated", 12)),
    "cut in the closing": (
        b"--B\r\n\r\nx\r\n--B-",
        [X, END_OF_PART],
        malformed("multipart-truncated", 14),
    ),
    "longer boundary": (
        b"--B\r\n\r\nx\r\n--BX\r\n",
        [X, END_OF_PART],
        malformed("multipart-delimiter", 13),
    ),
    "longer boundary at first": (b"\r\n--BX\r\n--B--", [], malformed("multipart-delimiter", 5)),
    "LF behind a delimiter": (b"--B\n\r\nx\r\n--B--", [], malformed("multipart-delimiter", 3)),
    "CR behind a delimiter": (b"--B\r\r\n\r\nx", [], malformed("multipart-delimiter", 3)),
    "VT behind a delimiter": (b"--B\x0b\r\n\r\nx", [], malformed("multipart-delimiter", 3)),
    "NUL behind a delimiter": (b"--B\0\r\n\r\nx", [], malformed("multipart-delimiter", 3)),
    "one dash behind a delimiter": (b"--B-\r\n", [], malformed("multipart-delimiter", 3)),
    "padding before dashes": (b"--B --\r\n", [], malformed("multipart-delimiter", 4)),
    "text behind padding": (b"--B \tx\r\n", [], malformed("multipart-delimiter", 5)),
    "line without colon": (b"--B\r\nA\r\n\r\n", [], malformed("multipart-header", 5)),
    "second line without colon": (
        b"--B\r\nA: b\r\nC\r\n\r\n",
        [],
        malformed("multipart-header", 11),
    ),
    "no name": (b"--B\r\n: b\r\n\r\n", [], malformed("multipart-header", 5)),
    "blank before the colon": (b"--B\r\nA : b\r\n\r\n", [], malformed("multipart-header", 5)),
    "blank before the name": (b"--B\r\n A: b\r\n\r\n", [], malformed("multipart-header", 5)),
    "folded line": (b"--B\r\nA: b\r\n c\r\n\r\n", [], malformed("multipart-header", 11)),
    "line of blanks": (b"--B\r\nA: b\r\n \r\n\r\n", [], malformed("multipart-header", 11)),
    "name that is no token": (b"--B\r\n\xc3\xa4: b\r\n\r\n", [], malformed("multipart-header", 5)),
    "LF in a head": (b"--B\r\nA:\nC:\r\n\r\n", [], malformed("multipart-header", 5)),
    "CR in a head": (b"--B\r\nA:\rC:\r\n\r\n", [], malformed("multipart-header", 5)),
    "LF at the end of a head": (b"--B\r\nA: b\n\r\n\r\n", [], malformed("multipart-header", 5)),
    "head of LF alone": (b"--B\r\nA: b\n\n\r\n--B--", [], malformed("multipart-truncated", 18)),
    "NUL in a value": (b"--B\r\nA: \0\r\n\r\n", [], malformed("multipart-header", 5)),
    "DEL in a value": (b"--B\r\nA: \x7f\r\n\r\n", [], malformed("multipart-header", 5)),
    "delimiter in a head": (
        b"--B\r\nA: b\r\n--B\r\n\r\n\r\n--B--",
        [],
        malformed("multipart-delimiter", 11),
    ),
    "delimiter as a header": (b"--B\r\n--B: b\r\n\r\n", [], malformed("multipart-delimiter", 5)),
    "too much padding": (b"--B" + b" " * 7 + b"\r\n", [], over("max_field_size", 9, 7, 6)),
    "too many parts": (
        b"--B\r\n\r\nx\r\n--B\r\n\r\nx\r\n--B \r\n",
        [X, END_OF_PART, X, END_OF_PART],
        over("max_parts", 24, 3, 2),
    ),
    "too many headers": (
        b"--B\r\nA:\r\nA:\r\nA:\r\n\r\n",
        [],
        over("max_part_headers", 5, 3, 2),
    ),
    "header too long": (b"--B\r\nA:\r\nA: bcde\r\n\r\n", [], over("max_field_size", 15, 7, 6)),
    "head too long": (b"--B\r\nA: bcd\r\nA: bc\r\n\r\n", [], over("max_head_size", 17, 13, 12)),
    "part too long": (b"--B\r\n\r\nxxxx\r\n--B--", [((), b"")], over("max_part_size", 10, 4, 3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_says_what_is_wrong_and_where(name: str) -> None:
    body, seen, error = ERRORS[name]
    assert read([body], limits=SMALL) == [*seen, error]


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_the_same_however_the_body_is_cut(name: str) -> None:
    """A head at its limit was refused if a piece ended in its empty line, and `offset` of some
    errors was that of the part, or negative."""
    body, _, error = ERRORS[name]
    *most, value, allowed = error
    for pieces in cuts(body):
        *_, (*found, value_found, allowed_found) = read(pieces, limits=SMALL)
        assert [*found, allowed_found] == [*most, allowed], pieces
        # Of what is too long, no more may have come.
        assert value is None or allowed < value_found <= value


@pytest.mark.parametrize(
    "body",
    [
        b"--B" + b" " * 6 + b"\r\n\r\n\r\n--B--",
        b"--B\r\n\r\n\r\n--B\r\n\r\n\r\n--B--",
        b"--B\r\nA:\r\nA:\r\n\r\n\r\n--B--",
        b"--B\r\nA: bcd\r\n\r\n\r\n--B--",
        b"--B\r\nA: bc\r\nA: bc\r\n\r\n\r\n--B--",
        b"--B\r\nA: bc\r\nA: bc\r\n\r\n--B--",
        b"--B\r\n\r\nxxx\r\n--B--",
        b"--B\r\n\r\n\r\nx\r\n--B\r\n\r\nxxx\r\n--B--",
    ],
)
def test_what_is_at_a_limit_is_read_however_it_is_cut(body: bytes) -> None:
    """A head at its limit was refused if a piece ended in its empty line."""
    expected = read([body])
    assert expected[-1] is END_OF_MULTIPART
    for pieces in cuts(body):
        assert read(pieces, limits=SMALL) == expected, pieces


@pytest.mark.parametrize("name", ["two parts", "preamble", "epilogue", "no part"])
def test_size_is_limited_up_to_the_closing_delimiter(name: str) -> None:
    """`max_size` counted an epilogue that came with the closing delimiter, and none that came
    behind it; so whether a body was refused was for the network to say."""
    body, parts = GOLDEN[name]
    needed = re.search(rb"--B--", body).end()  # type: ignore[union-attr]  # it is there
    for max_size in range(1, len(body) + 1):
        limits = MultipartLimits(max_size=max_size)
        expected = read([body], limits=limits)
        if max_size >= needed:
            assert expected == events(*parts)
        else:
            assert expected[-1] == over("max_size", max_size, len(body), max_size)
            assert expected[:-1] == read([body[:max_size]])[:-1]
        for pieces in cuts(body):
            seen = read(pieces, limits=limits)
            if max_size < needed:
                *found, value, allowed = seen.pop()
                assert (*found, allowed) == (*expected[-1][:5], max_size)
                assert max_size < value <= len(body)
                assert seen == expected[:-1]
            else:
                assert seen == expected


def test_size_counts_on_beyond_its_limit() -> None:
    parser = MultipartParser("B", MultipartLimits(max_size=4))
    for _ in range(3):
        parser.receive_data(b"xyz")
    with pytest.raises(MultipartError, match=r"^multipart body: 9 with max_size=4, at byte 4$"):
        parser.next_event()


def test_messages_name_value_and_limit() -> None:
    parser = MultipartParser("B", SMALL)
    parser.receive_data(b"--B\r\nA: bcdefgh\r\n\r\n")
    with pytest.raises(LineTooLong) as caught:
        parser.next_event()
    assert caught.value.message == "multipart part header: 10 with max_field_size=6, at byte 11"
    assert not isinstance(caught.value, MultipartError)


def test_error_of_a_multipart_body_is_a_value_error_and_one_of_the_body() -> None:
    assert issubclass(MultipartError, ValueError)
    assert issubclass(MultipartError, PayloadEncodingError)


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_raised_again_and_again(name: str) -> None:
    body, _, error = ERRORS[name]
    parser = MultipartParser("B", SMALL)
    parser.receive_data(body)
    parser.receive_eof()
    with pytest.raises(BadHttpMessage) as first:
        drain(parser, [])
    for more in (b"", b"\r\n--B\r\n\r\nx\r\n--B--", b"\r\n\r\n"):
        parser.receive_data(more)
        with pytest.raises(BadHttpMessage) as again:
            parser.next_event()
        assert facts(again.value) == facts(first.value) == error
        assert again.value.args == first.value.args
        # Nor does what is raised grow.
        assert len(again.traceback) == 2


# Memory.


def held(action: Callable[[], object]) -> tuple[int, int]:
    """Return bytes that are held behind `action`, and most that were at once."""
    gc.collect()
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


PIECE = 65536


@pytest.mark.parametrize("tail", [b"", b"\r", b"\r\n--B", b"\r\n--BB\r\n--"])
@pytest.mark.parametrize("start", [b"", b"--BB\r\n\r\n"], ids=["preamble", "body"])
def test_memory_does_not_grow_with_the_body(start: bytes, tail: bytes) -> None:
    if tail.startswith(b"\r\n--BB"):
        # Ends each part, and begins one.
        tail = b"\r\n--BB\r\n\r\n"
    piece = os.urandom(PIECE - len(tail)).replace(b"\r", b"") + tail
    parser = MultipartParser("BB", MultipartLimits(max_parts=2000))
    size = 0

    def feed() -> None:
        nonlocal size
        parser.receive_data(start)
        for _ in range(1024):
            parser.receive_data(piece)
            while (event := parser.next_event()) is not NEED_DATA:
                if isinstance(event, bytes):
                    size += len(event)

    _, peak = held(feed)
    assert peak < 2**20
    assert size > 60 * 2**20 or not (start or tail.endswith(b"\r\n\r\n"))


def test_epilogue_is_not_kept() -> None:
    """DO-15."""
    parser = MultipartParser("B")
    closing = b"--B--"

    def end() -> None:
        parser.receive_data(closing + bytes(10_000_000))
        assert parser.next_event() is END_OF_MULTIPART

    now, _ = held(end)
    assert now < 2**20

    def feed() -> None:
        for _ in range(160):
            parser.receive_data(bytes(PIECE))

    _, peak = held(feed)
    assert peak < 2**20
    assert parser.next_event() is END_OF_MULTIPART


def test_nothing_is_kept_behind_an_error() -> None:
    """The error that the parser kept had a traceback, whose frames had the piece."""
    parser = MultipartParser("B")
    start = b"--B\r\nA\r\n\r\n"

    def fail() -> None:
        parser.receive_data(start + bytes(10_000_000))
        with pytest.raises(MultipartError):
            parser.next_event()

    gc.disable()
    try:
        now, _ = held(fail)
    finally:
        gc.enable()
    assert now < 2**20

    def feed() -> None:
        for _ in range(160):
            parser.receive_data(bytes(PIECE))
            with pytest.raises(MultipartError):
                parser.next_event()

    _, peak = held(feed)
    assert peak < 2**20


def test_nothing_beyond_the_size_is_kept() -> None:
    parser = MultipartParser("B", MultipartLimits(max_size=100))

    def feed() -> None:
        for _ in range(160):
            parser.receive_data(bytes(PIECE))

    _, peak = held(feed)
    assert peak < 2**20
    with pytest.raises(MultipartError, match="10485760 with max_size=100"):
        parser.next_event()


# Hostile bodies, whole and in small pieces: each hangs where the time is quadratic.

LONG = "-" * 70
HOSTILE = {
    "CR": b"\r" * 1_000_000,
    "line ends": b"\r\n" * 1_000_000,
    "line ends and dashes": b"\r\n-" * 700_000,
    "dashes": b"x" + b"-" * 1_000_000,
    "delimiters less a character": (b"\r\n--" + LONG.encode()[:-1]) * 27_000,
    "delimiters within lines": (b"\n--" + LONG.encode()) * 27_000,
    "empty heads": b"\r\n\r\n" * 500_000,
}


@pytest.mark.parametrize("piece", [1, 65536, 2_000_000])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_linear_time(name: str, piece: int) -> None:
    """DO-16: a body of CR was searched from its beginning for each piece."""
    body = HOSTILE[name][: 60_000 * piece]
    parser = MultipartParser(LONG)
    parser.receive_data(f"--{LONG}\r\n\r\n".encode())
    parser.next_event()
    size = 0
    for data in [body[at : at + piece] for at in range(0, len(body), piece)]:
        parser.receive_data(data)
        while (event := parser.next_event()) is not NEED_DATA:
            assert isinstance(event, bytes)
            size += len(event)
    assert len(body) - 75 < size <= len(body)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_preambles_take_linear_time(name: str) -> None:
    body = HOSTILE[name]
    for piece in (1, 2_000_000):
        parser = MultipartParser(LONG)
        for at in range(0, min(len(body), 60_000 * piece), piece):
            parser.receive_data(body[at : at + piece])
            assert parser.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("start", "piece", "limits", "limit"),
    [
        (b"--B\r\nA: ", b"x", MultipartLimits(), "max_head_size"),
        (b"--B\r\n", b"\r", MultipartLimits(), "max_head_size"),
        (b"--B\r\n", b"A:\r\n", MultipartLimits(), "max_head_size"),
        (b"--B", b" ", MultipartLimits(), "max_field_size"),
        (b"--B\r\nA: ", b"x", MultipartLimits(max_head_size=50_000), "max_head_size"),
        (b"", b"\r\n--B\r\n\r\n", MultipartLimits(), "max_parts"),
    ],
)
def test_what_has_no_end_comes_to_a_limit(
    start: bytes, piece: bytes, limits: MultipartLimits, limit: str
) -> None:
    """DO-13, DO-14: counts and sizes hold for what comes a byte at a time."""
    parser = MultipartParser("B", limits)
    parser.receive_data(start)
    with pytest.raises(BadHttpMessage) as caught:
        for _ in range(1_000_000):
            drain(parser, [((), b"")])
            parser.receive_data(piece)
    error = caught.value
    assert error.limit == limit
    assert error.allowed == getattr(limits, limit)
    assert error.value == getattr(limits, limit) + 1


def test_head_without_end_in_one_piece_comes_to_a_limit() -> None:
    parser = MultipartParser("B")
    parser.receive_data(b"--B\r\n" + b"A: b\r\n" * 1_000_000)
    with pytest.raises(LineTooLong, match="5999997 with max_head_size=16384"):
        parser.next_event()


def test_many_small_parts_take_linear_time() -> None:
    body = b"--B\r\nA: b\r\n\r\nx\r\n" * 100_000 + b"--B--"
    parser = MultipartParser("B", MultipartLimits(max_parts=100_000))
    parser.receive_data(body)
    count = 0
    while (event := parser.next_event()) is not END_OF_MULTIPART:
        count += event is END_OF_PART
    assert count == 100_000


# Limits.


@pytest.mark.parametrize(
    "field",
    [
        "max_parts",
        "max_part_headers",
        "max_field_size",
        "max_head_size",
        "max_part_size",
        "max_size",
    ],
)
def test_limit_must_be_in_range(field: str) -> None:
    for value in (0, -1, sys.maxsize + 1):
        with pytest.raises(ValueError, match=rf"^{field}={value}: expected 1 to {sys.maxsize}$"):
            MultipartLimits(**{field: value})
    for value in (1, sys.maxsize):
        assert getattr(MultipartLimits(**{field: value}), field) == value


def test_default_limits() -> None:
    limits = MultipartLimits()
    assert (limits.max_parts, limits.max_part_headers) == (1000, 128)
    assert (limits.max_field_size, limits.max_head_size) == (8190, 16384)
    assert (limits.max_part_size, limits.max_size) == (None, None)


@pytest.mark.parametrize(
    ("at_limit", "over_limit", "limit"),
    [
        (b"A: b\r\n" * 128, b"A: b\r\n" * 129, "max_part_headers"),
        (b"A:" + b"x" * 8188 + b"\r\n", b"A:" + b"x" * 8189 + b"\r\n", "max_field_size"),
        (
            (b"A:" + b"x" * 8188 + b"\r\n") * 2,
            (b"A:" + b"x" * 8188 + b"\r\n") * 2 + b"A:\r\n",
            "max_head_size",
        ),
    ],
)
def test_default_limits_of_a_head(at_limit: bytes, over_limit: bytes, limit: str) -> None:
    assert read([b"--B\r\n" + at_limit + b"\r\n\r\n--B--"])[-1] is END_OF_MULTIPART
    error = read([b"--B\r\n" + over_limit + b"\r\n\r\n--B--"])[-1]
    assert error[4] == limit


# The head of a part.


def test_headers_of_a_part() -> None:
    parser = MultipartParser("B")
    parser.receive_data(b"--B\r\nContent-Type: a/b\r\nX: \xc3\xa4\xff\r\nx: 2\r\n\r\n")
    part = parser.next_event()
    assert isinstance(part, Part)
    assert part.raw_headers == (
        (b"Content-Type", b"a/b"),
        (b"X", b"\xc3\xa4\xff"),
        (b"x", b"2"),
    )
    assert part.headers["content-TYPE"] == "a/b"
    assert part.headers.getall("x") == ["ä\udcff", "2"]
    assert [name for name, _ in part.headers.items()] == ["Content-Type", "X", "x"]
    assert part.headers is part.headers
    assert repr(Part(((b"A", b"b"),))) == "<Part {'A': 'b'}>"


# Boundaries.


@pytest.mark.parametrize(
    "boundary",
    ["a", "a" * 70, "'()+_,-./:=?", "gc0pJq0M:08jU534c0p", "a b", " a", "----WebKitFormBoundaryX"],
)
def test_boundary_of_rfc_2046_is_taken(boundary: str) -> None:
    assert check_boundary(boundary) == boundary
    MultipartParser(boundary)


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        ("a" * 71, "boundary of 71 characters, 70 allowed"),
        ("a" * 1_000_000, "boundary of 1000000 characters, 70 allowed"),
        ("", "boundary '' is not one that RFC 2046 allows"),
        (" ", "boundary ' ' is not one that RFC 2046 allows"),
        (" " * 70, "is not one that RFC 2046 allows"),
        ("a ", "boundary 'a ' is not one that RFC 2046 allows"),
        *((char, "is not one that RFC 2046 allows") for char in '\r\n\t\0"\\;<>@[]!#$%&*^`{|}~'),
        ("a\r\nb", "is not one that RFC 2046 allows"),
        ("a\n", "is not one that RFC 2046 allows"),
        ("ä", "is not one that RFC 2046 allows"),
        ("\u212a", "is not one that RFC 2046 allows"),
        ("\u0661", "is not one that RFC 2046 allows"),
        ("\ud800", "is not one that RFC 2046 allows"),
    ],
)
def test_other_boundary_is_refused(boundary: str, message: str) -> None:
    for check in (check_boundary, MultipartParser):
        with pytest.raises(ValueError, match=f"{re.escape(message)}$") as caught:
            check(boundary)
        assert len(str(caught.value)) < 400


def test_new_boundaries_are_random_and_valid() -> None:
    boundaries = {new_boundary() for _ in range(100)}
    assert len(boundaries) == 100
    for boundary in boundaries:
        assert re.fullmatch("[0-9a-f]{32}", check_boundary(boundary))


# Writing.


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], b"--B\r\n\r\n"),
        ({"A": "b", "C": ""}, b"--B\r\nA: b\r\nC: \r\n\r\n"),
        ([("A", "b"), ("A", "c")], b"--B\r\nA: b\r\nA: c\r\n\r\n"),
        (CIMultiDict([("A", "b"), ("a", "c")]), b"--B\r\nA: b\r\na: c\r\n\r\n"),
        (iter([("A", "\tä\udcff ")]), b"--B\r\nA: \t\xc3\xa4\xff \r\n\r\n"),
    ],
)
def test_head_of_a_part_is_written(headers: HeadersLike, expected: bytes) -> None:
    assert encode_part_head("B", headers) == expected


def test_closing_delimiter_is_written() -> None:
    assert encode_closing("B") == b"--B--\r\n"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("", "b", "field name '' is not a token"),
        ("A ", "b", "field name 'A ' is not a token"),
        ("A:", "b", "field name 'A:' is not a token"),
        ("A\r\nC", "b", r"field name 'A\\r\\nC' is not a token"),
        ("ä", "b", "field name 'ä' is not a token"),
        *(
            ("A", f"b{char}", "field value contains the control character")
            for char in map(chr, [*range(9), *range(10, 32), 127])
        ),
        ("A", "b\r\n\r\n--B--", "field value contains the control character"),
        ("A", "\ud800", "text cannot be encoded: surrogates not allowed"),
    ],
)
def test_header_that_injects_is_refused(name: str, value: str, message: str) -> None:
    """IN-07: the head of a part is checked like that of a message."""
    with pytest.raises(LocalProtocolError, match=f"^{message}"):
        encode_part_head("B", [("X", "y"), (name, value)])


# What is written is read, whatever the cuts.

names = st.text("!#$%&'*+.^_`|~09azAZ", min_size=1, max_size=5)
values = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from('\t;"\\\udcff'),
    max_size=8,
).map(lambda text: text.strip(" \t"))
SOUP = [b"\r\n", b"\r", b"\n", b"-", b"--", b"B", b"\r\n--", b"--B", b"x", b" ", b"A: b", b"\0\xff"]
bodies = st.lists(st.sampled_from(SOUP), max_size=12).map(b"".join)
places = st.lists(st.integers(0, 400), max_size=6)


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    places = sorted({0, *(place for place in at if place < len(data)), len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    st.lists(st.tuples(st.lists(st.tuples(names, values), max_size=3), bodies), max_size=4),
    st.sampled_from(["B", "B-", "-", "-" * 9 + "B"]),
    places,
)
def test_what_is_written_is_read(
    parts: list[tuple[list[tuple[str, str]], bytes]], boundary: str, at: list[int]
) -> None:
    delimiter = b"\r\n--" + boundary.encode()
    written = b""
    expected: list[PartSeen] = []
    for headers, body in parts:
        while delimiter in b"\r\n" + body + b"\r\n":
            body = (b"\r\n" + body + b"\r\n").replace(delimiter, b"")[2:-2]
        written += encode_part_head(boundary, headers) + body + b"\r\n"
        raw = [(name.encode(), value.encode(errors="surrogateescape")) for name, value in headers]
        expected.append((tuple(raw), body))
    written += encode_closing(boundary)
    assert read(cut(written, at), boundary) == events(*expected)


# The same grammar, written down in another way: the whole body at once, without states.


def model(data: bytes) -> tuple[list[PartSeen], bool]:
    """Return the parts that are complete, and whether the body is."""
    parts: list[PartSeen] = []
    _, *pieces = (b"\r\n" + data).split(b"\r\n--B")
    for number, piece in enumerate(pieces):
        if piece.startswith(b"--"):
            return parts, True
        match = re.match(rb"[ \t]*(?=\r\n)", piece)
        if match is None or number + 1 == len(pieces):
            break
        head, empty, body = (piece[match.end() :] + b"\r\n").partition(b"\r\n\r\n")
        lines = head[2:].split(b"\r\n") if head else []
        if not empty or any(re.fullmatch(rb"[!-9;-~]+:[^\0\r\n]*", line) is None for line in lines):
            break
        fields = [line.partition(b":")[::2] for line in lines]
        parts.append((tuple((n, v.strip(b" \t")) for n, v in fields), body[:-2]))
    return parts, False


def of_parser(seen: list[Any]) -> tuple[list[PartSeen], bool]:
    parts = [item for item, end in itertools.pairwise(seen) if end is END_OF_PART]
    return parts, seen[-1] is END_OF_MULTIPART


LINES = [
    b"\r\n--B",
    b"\r\n--B\r\n",
    b"\r\n\r\n",
    b"\r\n--B--",
    b"A: b",
    b":",
    b"\t",
    b"\r\n--B\r\n\r\n",
]


@given(st.lists(st.sampled_from(SOUP + LINES * 3), max_size=25).map(b"".join), places)
def test_any_body_is_read_as_the_grammar_says(data: bytes, at: list[int]) -> None:
    data = b"--B\r\n" + data
    expected = model(data)
    seen = read(cut(data, at))
    assert of_parser(seen) == expected
    assert seen == read([data])


@pytest.mark.parametrize("name", GOLDEN)
def test_model_reads_the_golden_bodies(name: str) -> None:
    body, parts = GOLDEN[name]
    if name not in ("all characters of a token", "repeated header"):
        assert model(body) == (parts, True)
