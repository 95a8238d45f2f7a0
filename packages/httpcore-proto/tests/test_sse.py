from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import BadHttpMessage, EventStreamParser, LineTooLong, ServerSentEvent
from httpcore_proto import encode_event as encode


def parsed(*pieces: bytes, **limits: int) -> list[ServerSentEvent]:
    parser = EventStreamParser(**limits)
    return [event for piece in pieces for event in parser.receive_data(piece)]


def event(data: str, event: str = "message", id: str = "", retry: int | None = None) -> Any:
    return ServerSentEvent(data=data, event=event, id=id, retry=retry)


def splits(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield `data` in all ways to cut it into at most three pieces, and in single bytes."""
    yield tuple(data[at : at + 1] for at in range(len(data)))
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            yield data[:first], data[first:second], data[second:]


# The examples of the standard (WHATWG HTML, section "Server-sent events").


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [event("YHOO\n+2\n10")]),
        (
            (
                b": test stream\n\ndata: first event\nid: 1\n\n"
                b"data:second event\nid\n\ndata:  third event\n\n"
            ),
            [event("first event", id="1"), event("second event"), event(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [event(""), event("\n")]),
        (b"data:test\n\ndata: test\n\n", [event("test"), event("test")]),
        (
            b"event: add\ndata: 7385\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 1134\n\n",
            [event("7385", "add"), event("2153", "remove"), event("1134", "add")],
        ),
    ],
)
def test_examples_of_the_standard(stream: bytes, events: list[ServerSentEvent]) -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        assert parsed(stream.replace(b"\n", end)) == events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: a\r", []),
        (b"data: a\r\n\r", [event("a")]),
        (b"data: a\n\r", [event("a")]),
        (b"data: a\r\r\n", [event("a")]),
        (b"data: a\n\r\ndata: b\r\n\n", [event("a"), event("b")]),
        # Fields are known by their exact names, and one blank belongs to the colon.
        (b"Data: a\n data: a\ndata : a\ndatab: a\n: data: a\n\n", []),
        (b"data:a:b: c\n\n", [event("a:b: c")]),
        (b"data:\ta \n\n", [event("\ta ")]),
        (b"data\n\n", [event("")]),
        (b"event: a\n\ndata: b\n\n", [event("b")]),
        (b"event: a\nevent: b\ndata: c\n\n", [event("c", "b")]),
        (b"event: a\nevent\ndata: c\n\n", [event("c")]),
        (
            b"id: 1\ndata: a\n\ndata: b\n\nid:\ndata: c\n\n",
            [event("a", id="1"), event("b", id="1"), event("c")],
        ),
        (b"id: 1\nid: 2\0\ndata: a\n\n", [event("a", id="1")]),
        (b"retry: 10\ndata: a\n\ndata: b\n\n", [event("a", retry=10), event("b")]),
        (b"retry: 10\n\ndata: b\n\n", [event("b")]),
        (
            b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: \xef\xbb\xbf\n\n",
            [event("a"), event("\ufeff")],
        ),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"\n\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\x0bb\x0cc\xc2\x85d\xe2\x80\xa8e\n\n", [event("a\x0bb\x0cc\x85d\u2028e")]),
        (
            b"data: \xff\xc3\ndata: \xa4\nevent: \xe2\x82\nid: \xf0\x9f\n\n",
            [event("\ufffd\ufffd\n\ufffd", "\ufffd", "\ufffd")],
        ),
    ],
)
def test_stream_is_the_same_however_it_is_cut(stream: bytes, events: list[ServerSentEvent]) -> None:
    for pieces in splits(stream):
        assert parsed(*pieces) == events, pieces


def test_bytes_that_are_not_there_change_nothing() -> None:
    assert parsed(b"data: a\r", b"", b"\n", b"", b"\r", b"", b"\n") == [event("a")]


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"0", 0),
        (b"00010", 10),
        (b"9" * 15, 10**15 - 1),
        (b"9" * 16, None),
        (b"9" * 5000, None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1_0", None),
        (b"1.5", None),
        (b" 1", None),
        (b"1 ", None),
        (b"0x1", None),
        ("\u0661".encode(), None),
        ("\u00b2".encode(), None),
    ],
)
def test_retry_is_ascii_digits(value: bytes, retry: int | None) -> None:
    parser = EventStreamParser()
    assert parser.receive_data(b"retry: " + value + b"\ndata\n\n") == [event("", retry=retry)]
    assert parser.retry == retry


def test_retry_counts_at_once_and_stays() -> None:
    parser = EventStreamParser()
    assert parser.retry is None
    parser.receive_data(b"retry: 10\n")
    assert parser.retry == 10
    parser.receive_data(b"retry: x\n\ndata: a\n\n")
    assert parser.retry == 10


def test_last_event_id_counts_from_the_blank_line_on() -> None:
    """An event that was cut off has to be asked for again."""
    parser = EventStreamParser()
    assert parser.last_event_id == ""
    parser.receive_data(b"id: 1\n")
    assert parser.last_event_id == ""
    assert parser.receive_data(b"\n") == []
    assert parser.last_event_id == "1"
    parser.receive_data(b"data: a\n\nid: 2\ndata: b\n")
    assert parser.last_event_id == "1"
    parser.receive_data(b"\nid\n\n")
    assert parser.last_event_id == ""


def test_event_has_defaults_and_cannot_be_changed() -> None:
    item = ServerSentEvent(data="a")
    assert item == event("a")
    with pytest.raises(FrozenInstanceError):
        item.data = "b"  # type: ignore[misc]  # what is tested


# Limits.


@pytest.mark.parametrize("limit", ["max_line_size", "max_event_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_limit_must_be_positive(limit: str, value: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        EventStreamParser(**{limit: value})


def failure(parser: EventStreamParser, pieces: Iterable[bytes]) -> LineTooLong:
    with pytest.raises(LineTooLong) as caught:
        for piece in pieces:
            parser.receive_data(piece)
    with pytest.raises(LineTooLong) as again:
        parser.receive_data(b"data: a\n\n")
    assert again.value is caught.value
    assert isinstance(caught.value, BadHttpMessage)
    return caught.value


@pytest.mark.parametrize(
    "line", [b"data: 7890", b": 34567890", b"x234567890", b"\xef\xbb\xbf: 67890"]
)
def test_line_size_at_the_edge_and_past_it(line: bytes) -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        start = b"a" + end + end
        for pieces in splits(start * 2 + line + end + b"\n"):
            parsed(*pieces, max_line_size=10)
        for pieces in splits(start + line + b"1" + end + b"\n"):
            error = failure(EventStreamParser(max_line_size=10), pieces)
            assert (error.rule, error.limit) == ("event-line", "max_line_size")
            assert (error.value, error.allowed, error.offset) == (11, 10, len(start))
            assert "line of an event stream has 11 bytes" in error.message
            assert "max_line_size allows 10" in error.message


def test_line_that_never_ends_is_refused_before_it_ends() -> None:
    parser = EventStreamParser(max_line_size=10)
    parser.receive_data(b"0123456789")
    assert failure(parser, [b"0"]).value == 11


def test_event_size_at_the_edge_and_past_it() -> None:
    limits = {"max_event_size": 5}
    stream = b"data: 12\r\nid: 1\r\nevent: long name\r\ndata: 45\r\n"
    for pieces in splits(stream + b"\n"):
        assert parsed(*pieces, **limits) == [event("12\n45", "long name", "1")]
    assert parsed(b"data: 12345\n\n" * 3, **limits) == [event("12345")] * 3
    # The line end before an empty line is one too many, and it is of the data.
    assert failure(EventStreamParser(**limits), [stream + b"data\n"]).value == 6
    for pieces in splits(b"\n" + stream + b"data:6\r\n\r\n"):
        error = failure(EventStreamParser(**limits), pieces)
        assert (error.rule, error.limit) == ("event-size", "max_event_size")
        assert (error.value, error.allowed, error.offset) == (7, 5, len(stream) + 1)
        assert "data of an event has 7 bytes" in error.message


def test_lines_without_data_add_up_too() -> None:
    error = failure(EventStreamParser(max_event_size=100), [b"data\n" * 1000])
    assert (error.rule, error.offset) == ("event-size", 101 * 5)


def test_complete_events_before_an_error_are_not_lost() -> None:
    """`last_event_id` had moved on, and an event that nobody saw was never sent again."""
    parser = EventStreamParser(max_line_size=10)
    piece = b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n" + b"x" * 11
    assert parser.receive_data(piece) == [event("a", id="1"), event("b", id="2")]
    with pytest.raises(LineTooLong):
        parser.receive_data(b"")
    assert parser.last_event_id == "2"


def test_stream_of_comments_never_fills_an_event() -> None:
    parser = EventStreamParser(max_event_size=10)
    for _ in range(1000):
        assert parser.receive_data(b": ping\nunknown: x\n") == []
    assert parser.receive_data(b"data: a\n\n") == [event("a")]


@pytest.mark.parametrize("size", [1, 1000, 2**20])
@pytest.mark.parametrize(
    "stream",
    [
        b"a" * 2**18,
        b"\n" * 2**18,
        b"\r" * 2**18,
        b"data\n" * 2**15,
        b"data:\xf0\n\n" * 2**15,
        b":\r" * 2**17,
    ],
)
def test_long_stream_takes_linear_time(stream: bytes, size: int) -> None:
    """In single bytes this would hang if a line was joined or looked at anew each time."""
    pieces = (stream[at : at + size] for at in range(0, len(stream), size))
    assert len(parsed(*pieces)) == stream.count(b"\n\n") * stream.startswith(b"data")


def test_long_line_in_single_bytes() -> None:
    parser = EventStreamParser()
    for _ in range(2**20):
        parser.receive_data(b"x")
    assert failure(parser, [b"x"]).value == 2**20 + 1


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"data", b"id:", b"\n\n", b"\r"])))
def test_any_bytes_give_the_same_in_one_piece(pieces: list[bytes]) -> None:
    assert parsed(*pieces) == parsed(b"".join(pieces))


# Writing.


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (encode("a"), b"data: a\n\n"),
        (encode(""), b"data: \n\n"),
        (encode("a\nb\rc\r\nd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (encode("a\x0bb\u2028\x85"), b"data: a\x0bb\xe2\x80\xa8\xc2\x85\n\n"),
        (encode(" a"), b"data:  a\n\n"),
        (encode(comment="ping"), b": ping\n\n"),
        (encode(comment=""), b": \n\n"),
        (encode(comment="a\ndata: b"), b": a\n: data: b\n\n"),
        (encode(id=""), b"id: \n\n"),
        (encode(retry=0), b"retry: 0\n\n"),
        (
            encode("ä", event="b", id="c", retry=10, comment="d"),
            b": d\nevent: b\nid: c\nretry: 10\ndata: \xc3\xa4\n\n",
        ),
    ],
)
def test_encode(block: bytes, expected: bytes) -> None:
    assert block == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs data, event, id, retry or comment"),
        ({"event": "a\nb"}, r"event 'a\\nb' contains a line end"),
        ({"event": "a\r"}, "line end"),
        ({"id": "\n"}, r"id '\\n' contains a line end or NUL"),
        ({"id": "a\rb"}, "line end or NUL"),
        ({"id": "a\0b"}, "line end or NUL"),
        ({"retry": -1}, "retry must be 0 to"),
        ({"retry": 10**15}, "retry must be 0 to"),
        ({"data": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_what_cannot_be_encoded(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(**fields)


line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=10)
lines = st.lists(
    line | st.sampled_from(["data: a", ":", "\ufeff", "", " "]), min_size=1, max_size=3
)


@given(
    st.lists(
        st.tuples(lines, st.none() | line, st.none() | line, st.none() | st.integers(0, 10**6))
    ),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.integers(1, 9),
)
def test_round_trip(
    blocks: list[tuple[list[str], str | None, str | None, int | None]], end: str, size: int
) -> None:
    stream = b""
    expected: list[ServerSentEvent] = []
    last_id = ""
    for data, kind, new_id, retry in blocks:
        text = end.join(data)
        stream += encode(text, event=kind, id=new_id, retry=retry, comment=text)
        last_id = last_id if new_id is None else new_id
        expected.append(event("\n".join(data), kind or "message", last_id, retry))
    assert parsed(*(stream[at : at + size] for at in range(0, len(stream), size))) == expected
