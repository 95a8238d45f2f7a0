from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

from httpcore_proto import LineTooLong, PayloadEncodingError
from httpcore_proto.aio import (
    EMPTY_PAYLOAD,
    BusyError,
    IncompleteReadError,
    Link,
    StreamReader,
    memory_link_pair,
)

#: What one `more` brings: a piece, a piece with chunk ends, an error, or the end.
Step = bytes | tuple[bytes, tuple[int, ...]] | Exception | None

END = None


class Source:
    """Stands for a link: each `more` feeds the stream the next step of a script."""

    stream: StreamReader

    def __init__(self, *steps: Step) -> None:
        self.steps = deque(steps)
        self.calls: list[str] = []

    async def more(self) -> None:
        assert self.calls[-1:] != ["pause"], "a read waits for what was told not to come"
        assert self.steps, "a read waits for what never comes"
        await anyio.lowlevel.checkpoint()
        self.feed(self.steps.popleft())

    def feed(self, step: Step) -> None:
        if step is None:
            self.stream.feed_eof()
        elif isinstance(step, Exception):
            self.stream.set_exception(step)
        elif isinstance(step, tuple):
            self.stream.feed_data(*step)
        else:
            self.stream.feed_data(step)

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


def scripted(*steps: Step, limit: int = 2**16) -> StreamReader:
    """Return a stream into which each wait brings the next step."""
    source = Source(*steps)
    source.stream = StreamReader(source, limit)
    return source.stream


def fed(*steps: Step, limit: int = 2**16) -> tuple[StreamReader, Source]:
    """Return a stream into which all the steps were fed, and its source."""
    source = Source()
    source.stream = StreamReader(source, limit)
    for step in steps:
        source.feed(step)
    return source.stream, source


def splits(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield `data` in all ways to cut it into at most three pieces, and in single bytes."""
    yield tuple(data[at : at + 1] for at in range(len(data)))
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            pieces = data[:first], data[first:second], data[second:]
            yield tuple(piece for piece in pieces if piece)


# read and readany


async def test_read_joins_everything_up_to_the_end() -> None:
    assert await scripted(b"ab", b"c", b"de", END).read() == b"abcde"
    assert await scripted(b"ab", END).read(-1) == b"ab"
    assert await scripted(END).read() == b""


async def test_read_of_zero_bytes_waits_for_nothing() -> None:
    stream = scripted()
    assert await stream.read(0) == b""


async def test_read_returns_what_is_there() -> None:
    stream = scripted(b"abc", b"def", END)
    assert await stream.read(2) == b"ab"
    assert await stream.read(5) == b"c"
    assert await stream.read(3) == b"def"
    assert await stream.read(1) == b""


async def test_read_takes_from_several_pieces() -> None:
    stream, _ = fed(b"abc", b"def", b"ghi", END)
    assert await stream.read(1) == b"a"
    assert await stream.read(6) == b"bcdefg"
    assert await stream.read() == b"hi"


async def test_read_is_the_piece_that_was_fed() -> None:
    piece = bytes(range(32))
    stream, _ = fed(piece, END)
    assert await stream.read() is piece


async def test_readany_takes_all_there_is() -> None:
    stream = scripted(b"ab", b"cd", END)
    assert await stream.readany() == b"ab"
    stream.feed_data(b"+")
    stream.feed_data(b"-")
    assert await stream.readany() == b"+-"
    assert await stream.readany() == b"cd"
    assert await stream.readany() == b""
    assert await stream.readany() == b""


async def test_readany_behind_a_part_of_a_piece() -> None:
    stream, _ = fed(b"abc", b"d")
    assert await stream.read(1) == b"a"
    assert await stream.readany() == b"bcd"


async def test_total_bytes_counts_what_was_fed() -> None:
    stream, _ = fed(b"abc", (b"de", (1,)))
    await stream.read(4)
    assert stream.total_bytes == 5


# readexactly


async def test_readexactly_collects() -> None:
    stream = scripted(b"ab", b"cd", b"ef", END)
    assert await stream.readexactly(3) == b"abc"
    assert await stream.readexactly(0) == b""
    assert await stream.readexactly(3) == b"def"


async def test_readexactly_of_a_body_that_is_too_short() -> None:
    stream = scripted(b"ab", b"c", END)
    with pytest.raises(IncompleteReadError, match="3 bytes read on a total of 4") as caught:
        await stream.readexactly(4)
    assert isinstance(caught.value, EOFError)
    assert (caught.value.partial, caught.value.expected) == (b"abc", 4)


def test_incomplete_read_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(IncompleteReadError(b"ab", 3)))
    assert (error.partial, error.expected) == (b"ab", 3)
    assert str(error) == "2 bytes read on a total of 3 expected bytes"


# readline and readuntil


async def test_readline() -> None:
    stream = scripted(b"a\n\nb", b"c\r\nd", END)
    lines = [await stream.readline() for _ in range(5)]
    assert lines == [b"a\n", b"\n", b"bc\r\n", b"d", b""]


@pytest.mark.parametrize("separator", [b"\n", b"--", b"aab", b"\r\n--x\r\n"])
async def test_readuntil_finds_a_separator_wherever_pieces_are_cut(separator: bytes) -> None:
    data = b"-a" + separator + separator + b"r"
    first = data[: data.index(separator) + len(separator)]
    for pieces in splits(data):
        stream = scripted(*pieces, END)
        assert await stream.readuntil(separator) == first, pieces
        assert await stream.read() == data[len(first) :], pieces


async def test_readuntil_finds_what_began_twice() -> None:
    for pieces in splits(b"aaab."):
        stream = scripted(*pieces, END)
        assert await stream.readuntil(b"aab") == b"aaab", pieces
        assert await stream.read() == b".", pieces


async def test_readuntil_begins_behind_what_was_read() -> None:
    stream, _ = fed(b"\n\na\n", END)
    assert await stream.read(1) == b"\n"
    assert await stream.readuntil(b"\n\n") == b"\na\n"


async def test_readuntil_returns_the_rest_at_the_end() -> None:
    for pieces in splits(b"abc-"):
        assert await scripted(*pieces, END).readuntil(b"--") == b"abc-", pieces


async def test_readuntil_needs_a_separator() -> None:
    with pytest.raises(ValueError, match="separator must not be empty"):
        await scripted(b"a").readuntil(b"")


async def test_readuntil_returns_at_most_max_size() -> None:
    for pieces in splits(b"abc\r\nx"):
        stream = scripted(*pieces, END)
        assert await stream.readuntil(b"\r\n", max_size=5) == b"abc\r\n", pieces
        assert await stream.readuntil(b"\r\n", max_size=1) == b"x", pieces


@pytest.mark.parametrize("data", [b"abc\r\n", b"abcde"], ids=["separator", "none"])
async def test_readuntil_past_max_size(data: bytes) -> None:
    for pieces in splits(data):
        with pytest.raises(LineTooLong) as caught:
            await scripted(*pieces, END).readuntil(b"\r\n", max_size=4)
        error = caught.value
        assert (error.rule, error.limit, error.value, error.allowed) == (
            "stream-line",
            "max_size",
            5,
            4,
        ), pieces


async def test_lines_are_at_most_as_long_as_the_high_water_mark() -> None:
    stream = scripted(b"1234567\n", b"12345678", b"\n", limit=4)
    assert await stream.readline() == b"1234567\n"
    with pytest.raises(LineTooLong):
        await stream.readline()


async def test_readline_up_to_max_line_length() -> None:
    stream = scripted(b"12\n", b"123\n")
    assert await stream.readline(max_line_length=3) == b"12\n"
    with pytest.raises(LineTooLong):
        await stream.readline(max_line_length=3)


# Chunks


async def test_readchunk_tells_where_chunks_end() -> None:
    stream = scripted((b"abcde", (2, 4)), b"f", (b"gh", (1,)), (b"", (0,)), END)
    chunks = [await stream.readchunk() for _ in range(8)]
    assert chunks == [
        (b"ab", True),
        (b"cd", True),
        (b"e", False),
        (b"f", False),
        (b"g", True),
        (b"h", False),
        (b"", True),
        (b"", False),
    ]


async def test_readchunk_joins_the_pieces_of_a_chunk() -> None:
    stream, _ = fed(b"ab", b"c", (b"de", (1,)), END)
    assert await stream.readchunk() == (b"abcd", True)
    assert await stream.readchunk() == (b"e", False)
    assert await stream.readchunk() == (b"", False)


async def test_readchunk_without_chunks_returns_the_pieces() -> None:
    stream, _ = fed(b"abc", b"de", END)
    assert await stream.read(1) == b"a"
    assert await stream.readchunk() == (b"bc", False)
    assert await stream.readchunk() == (b"de", False)
    assert await stream.readchunk() == (b"", False)


async def test_a_read_takes_the_chunk_ends_in_it() -> None:
    stream, _ = fed((b"abcdef", (1, 3, 5)), END)
    assert await stream.read(3) == b"abc"
    assert await stream.readchunk() == (b"de", True)
    assert await stream.readany() == b"f"
    assert await stream.readchunk() == (b"", False)


async def test_readany_takes_all_chunk_ends() -> None:
    stream, _ = fed((b"abc", (1, 3)))
    assert await stream.readany() == b"abc"
    stream.feed_data(b"de", (1,))
    assert await stream.readchunk() == (b"d", True)


async def test_chunk_end_behind_what_readany_took() -> None:
    stream = scripted(b"ab", (b"", (0,)), (b"c", (1,)), END)
    assert await stream.readany() == b"ab"
    assert await stream.readchunk() == (b"", True)
    assert await stream.readchunk() == (b"c", True)


# Iterators


async def test_iter_chunks() -> None:
    stream = scripted((b"ab", (1,)), (b"", (0,)), (b"c", (1,)), END)
    chunks = [chunk async for chunk in stream.iter_chunks()]
    assert chunks == [(b"a", True), (b"b", False), (b"", True), (b"c", True)]


async def test_iter_chunked() -> None:
    stream = scripted(b"abc", b"defgh", END)
    assert [piece async for piece in stream.iter_chunked(3)] == [b"abc", b"def", b"gh"]


async def test_iter_chunked_raises_the_marks_to_its_size() -> None:
    stream = scripted(END, limit=4)
    assert [piece async for piece in stream.iter_chunked(6)] == []
    assert stream.get_read_buffer_limits() == (6, 12)


async def test_iter_any() -> None:
    stream = scripted(b"abc", b"defgh", END)
    assert [piece async for piece in stream.iter_any()] == [b"abc", b"defgh"]


async def test_a_stream_iterates_over_lines() -> None:
    stream = scripted(b"a\nb", b"\n\nc", END)
    assert [line async for line in stream] == [b"a\n", b"b\n", b"\n", b"c"]


# read_nowait


def test_read_nowait() -> None:
    stream, _ = fed(b"abc", b"def")
    assert stream.read_nowait(2) == b"ab"
    assert stream.read_nowait(0) == b""
    assert stream.read_nowait() == b"cdef"
    assert stream.read_nowait() == b""
    assert stream.read_nowait(3) == b""


# The end


def test_is_eof_and_at_eof() -> None:
    stream, _ = fed(b"ab")
    assert (stream.is_eof(), stream.at_eof()) == (False, False)
    stream.feed_eof()
    assert (stream.is_eof(), stream.at_eof()) == (True, False)
    stream.read_nowait(1)
    assert (stream.is_eof(), stream.at_eof()) == (True, False)
    stream.read_nowait(1)
    assert (stream.is_eof(), stream.at_eof()) == (True, True)


def test_an_empty_buffer_is_not_the_end() -> None:
    stream, _ = fed(b"ab")
    stream.read_nowait()
    assert (stream.is_eof(), stream.at_eof()) == (False, False)


def test_on_eof() -> None:
    called: list[str] = []
    stream, _ = fed(b"ab")
    stream.on_eof(lambda: called.append("first"))
    stream.on_eof(lambda: called.append("second"))
    assert called == []
    stream.feed_eof()
    assert called == ["first", "second"]
    stream.on_eof(lambda: called.append("late"))
    assert called == ["first", "second", "late"]


async def test_wait_eof() -> None:
    stream = scripted(b"ab", b"c", END)
    await stream.wait_eof()
    assert stream.is_eof()
    assert await stream.read() == b"abc"
    await stream.wait_eof()


async def test_without_a_source_nothing_more_comes() -> None:
    stream = StreamReader(None)
    stream.feed_data(b"ab")
    assert await stream.readany() == b"ab"
    with pytest.raises(RuntimeError, match="Connection closed"):
        await stream.readany()


# Errors

READS: dict[str, Callable[[StreamReader], Awaitable[object]]] = {
    "read": lambda stream: stream.read(),
    "read-n": lambda stream: stream.read(1),
    "readany": lambda stream: stream.readany(),
    "readexactly": lambda stream: stream.readexactly(1),
    "readline": lambda stream: stream.readline(),
    "readuntil": lambda stream: stream.readuntil(b"--"),
    "readchunk": lambda stream: stream.readchunk(),
    "iter_any": lambda stream: anext(stream.iter_any()),
    "iter_chunked": lambda stream: anext(stream.iter_chunked(1)),
    "iter_chunks": lambda stream: anext(stream.iter_chunks()),
    "iter_lines": lambda stream: anext(aiter(stream)),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("buffered", [b"", b"a\n"], ids=["empty", "buffered"])
async def test_every_read_raises_the_error_first(
    read: Callable[[StreamReader], Awaitable[object]], buffered: bytes
) -> None:
    error = PayloadEncodingError("cut")
    stream, _ = fed(buffered, error)
    assert stream.exception() is error
    for _ in range(2):
        with pytest.raises(PayloadEncodingError) as caught:
            await read(stream)
        assert caught.value is error


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
async def test_a_read_that_waits_raises_the_error(
    read: Callable[[StreamReader], Awaitable[object]],
) -> None:
    error = PayloadEncodingError("cut")
    with pytest.raises(PayloadEncodingError) as caught:
        await read(scripted(error))
    assert caught.value is error


async def test_wait_eof_and_read_nowait_raise_the_error() -> None:
    stream = scripted(b"ab", PayloadEncodingError("cut"))
    assert stream.exception() is None
    with pytest.raises(PayloadEncodingError):
        await stream.wait_eof()
    with pytest.raises(PayloadEncodingError):
        stream.read_nowait()
    assert not stream.is_eof()


def test_an_error_is_no_end() -> None:
    called: list[str] = []
    stream, _ = fed()
    stream.on_eof(lambda: called.append("eof"))
    stream.set_exception(PayloadEncodingError("cut"))
    stream.feed_eof()
    assert called == []


# Flow control


def test_marks() -> None:
    stream, _ = fed(limit=4)
    assert stream.get_read_buffer_limits() == (4, 8)
    stream.set_read_chunk_size(5)
    assert stream.get_read_buffer_limits() == (5, 10)
    stream.set_read_chunk_size(4)
    assert stream.get_read_buffer_limits() == (5, 10)


def test_reading_pauses_above_the_high_and_resumes_at_the_low_water_mark() -> None:
    stream, source = fed(b"1234", b"5678", limit=4)
    assert (source.calls, stream.paused) == ([], False)
    stream.feed_data(b"9")
    assert (source.calls, stream.paused) == (["pause"], True)
    stream.feed_data(b"0")
    assert source.calls == ["pause"]
    stream.read_nowait(5)
    assert (source.calls, stream.paused) == (["pause"], True)
    stream.read_nowait(1)
    assert (source.calls, stream.paused) == (["pause", "resume"], False)
    stream.read_nowait(1)
    assert source.calls == ["pause", "resume"]


async def test_a_read_to_the_end_lets_a_paused_source_go_on() -> None:
    stream = scripted(b"x" * 10, b"y" * 10, b"z" * 10, END, limit=4)
    assert await stream.read() == b"x" * 10 + b"y" * 10 + b"z" * 10


async def test_a_long_line_lets_a_paused_source_go_on() -> None:
    stream = scripted(b"x" * 10, b"y" * 10, b"z\n", limit=4)
    assert await stream.readline(max_line_length=22) == b"x" * 10 + b"y" * 10 + b"z\n"


async def test_chunk_ends_have_a_mark_of_their_own() -> None:
    stream, source = fed((b"x" * 8, tuple(range(1, 9))), limit=128)
    assert source.calls == []
    stream.feed_data(b"x", (1,))
    assert (source.calls, stream.paused) == (["pause"], True)
    for _ in range(4):
        assert await stream.readchunk() == (b"x", True)
    assert (source.calls, stream.paused) == (["pause"], True)
    assert await stream.readchunk() == (b"x", True)
    assert (source.calls, stream.paused) == (["pause", "resume"], False)


async def test_a_stream_of_chunk_ends_alone_is_read_to_its_end() -> None:
    pieces = [(b"x" * 9, tuple(range(1, 10)))] * 3
    stream = scripted(*pieces, END, limit=16)
    assert [chunk async for chunk in stream.iter_chunks()] == [(b"x", True)] * 27
    stream = scripted(*pieces, END, limit=16)
    assert [piece async for piece in stream.iter_any()] == [b"x" * 9] * 3
    stream = scripted(*pieces, END, limit=16)
    assert [piece async for piece in stream.iter_chunked(3)] == [b"xxx"] * 9


async def test_chunks_without_bytes_end_once() -> None:
    """Above the mark for chunk ends `readany` waited for a link that it had paused itself."""
    nothing = b"", (0,)
    stream = scripted(*[nothing] * 20, (b"ab", (0, 2)), END, limit=16)
    assert await stream.readany() == b"ab"
    stream, source = fed(*[nothing] * 20, limit=16)
    assert source.calls == []
    assert await stream.readchunk() == (b"", True)
    stream.feed_eof()
    assert await stream.readchunk() == (b"", False)


async def test_a_body_without_source_is_never_paused_for_long() -> None:
    stream = StreamReader(None, limit=4)
    stream.feed_data(b"x" * 9)
    stream.feed_eof()
    assert await stream.read() == b"x" * 9
    assert not stream.paused


def test_an_end_that_arrives_while_paused_resumes_reading() -> None:
    """The next request on the connection was never read."""
    stream, source = fed(b"123456789", limit=4)
    stream.feed_eof()
    assert (source.calls, stream.paused) == (["pause", "resume"], False)
    # What is read late must not meddle with the reading of the next body.
    assert stream.read_nowait() == b"123456789"
    assert source.calls == ["pause", "resume"]


def test_an_end_that_arrives_while_not_paused_changes_nothing() -> None:
    _, source = fed(b"12345678", END, limit=4)
    assert source.calls == []


def test_an_error_that_arrives_while_paused_resumes_reading() -> None:
    stream, source = fed(b"123456789", PayloadEncodingError("cut"), limit=4)
    assert (source.calls, stream.paused) == (["pause", "resume"], False)


def test_an_error_that_arrives_while_not_paused_changes_nothing() -> None:
    _, source = fed(b"12345678", PayloadEncodingError("cut"), limit=4)
    assert source.calls == []


# More than one task


class Body:
    """A receiver that feeds a stream whose source is its link."""

    stream: StreamReader

    def link_made(self, link: Link) -> None:
        self.stream = StreamReader(link)

    def bytes_received(self, data: bytes) -> None:
        self.stream.feed_data(data)

    def eof_received(self) -> None:
        self.stream.feed_eof()

    def link_lost(self, exc: Exception | None) -> None:
        pass


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
async def test_a_second_task_that_reads_is_refused(
    read: Callable[[StreamReader], Awaitable[object]],
) -> None:
    body = Body()
    link, _ = memory_link_pair(Body(), body)
    taken: list[bytes] = []

    async def first() -> None:
        taken.append(await body.stream.readany())

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyError):
            await read(body.stream)
        link.write(b"abc")
        await link.drain()
    assert taken == [b"abc"]


async def test_readany_that_is_cancelled_loses_no_byte() -> None:
    body = Body()
    link, _ = memory_link_pair(Body(), body)
    taken: list[bytes] = []
    scope = anyio.CancelScope()

    async def first() -> None:
        with scope:
            taken.append(await body.stream.readany())

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
    assert taken == []
    link.write(b"abc")
    link.write_eof()
    await link.drain()
    assert await body.stream.read() == b"abc"


async def test_readany_that_is_cancelled_when_its_bytes_are_there_loses_none() -> None:
    arrived = anyio.Event()
    taken: list[bytes] = []
    scope = anyio.CancelScope()

    class Pushing(Source):
        async def more(self) -> None:
            await arrived.wait()

    stream = StreamReader(Pushing())

    async def first() -> None:
        with scope:
            taken.append(await stream.readany())

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        stream.feed_data(b"abc")
        arrived.set()
        scope.cancel()
    # Whether the read still got them is the event loop's choice.
    assert b"".join(taken) + stream.read_nowait() == b"abc"


# No body


async def test_empty_payload() -> None:
    called: list[str] = []
    EMPTY_PAYLOAD.on_eof(lambda: called.append("eof"))
    assert called == ["eof"]
    EMPTY_PAYLOAD.set_exception(PayloadEncodingError("cut"))
    assert EMPTY_PAYLOAD.exception() is None
    assert EMPTY_PAYLOAD.is_eof()
    assert EMPTY_PAYLOAD.at_eof()
    await EMPTY_PAYLOAD.wait_eof()
    assert await EMPTY_PAYLOAD.read() == b""
    assert await EMPTY_PAYLOAD.read(1) == b""
    assert await EMPTY_PAYLOAD.readany() == b""
    assert await EMPTY_PAYLOAD.readline() == b""
    assert await EMPTY_PAYLOAD.readchunk() == (b"", False)
    assert EMPTY_PAYLOAD.read_nowait() == b""
    assert [line async for line in EMPTY_PAYLOAD] == []
    with pytest.raises(IncompleteReadError):
        await EMPTY_PAYLOAD.readexactly(1)
