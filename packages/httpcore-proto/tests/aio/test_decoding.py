from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from httpcore_proto import CodingLimits, ContentDecoder, ContentEncodingError, encode_body
from httpcore_proto.aio import AsyncDecoder, BusyError, StreamReader, decode_stream

TEXT = b"".join(b"line %d of the text\n" % number for number in range(20000))


class Source:
    """Brings one piece with each wait."""

    stream: StreamReader

    def __init__(self, pieces: Iterable[tuple[bytes, tuple[int, ...]]]) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []

    async def more(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self.pieces:
            self.stream.feed_data(*self.pieces.pop(0))
        else:
            self.stream.feed_eof()

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


def coded_stream(
    data: bytes, step: int, *, in_chunks: bool = False, limit: int = 2**16
) -> tuple[StreamReader, Source]:
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    source = Source((piece, (len(piece),) if in_chunks else ()) for piece in pieces)
    source.stream = StreamReader(source, limit)
    return source.stream, source


def decoded(
    data: bytes,
    codings: str = "gzip",
    step: int = 2**16,
    limits: CodingLimits | None = None,
    **options: Any,
) -> StreamReader:
    stream, _ = coded_stream(data, step)
    decoder = ContentDecoder(codings, limits) if limits else ContentDecoder(codings)
    return decode_stream(stream, decoder, **options)


@pytest.mark.parametrize("step", [100, 1024, 1025, 10**6])
@pytest.mark.parametrize("codings", ["gzip", "deflate", "br", "zstd", "gzip, br"])
async def test_body_reads_decoded(codings: str, step: int) -> None:
    names = codings.split(", ")
    stream = decoded(encode_body(TEXT, names), codings, step)
    assert await stream.read() == TEXT
    assert stream.at_eof()
    assert await stream.read() == b""


async def test_one_octet_at_a_time() -> None:
    assert await decoded(gzip.compress(TEXT[:500]), step=1).read() == TEXT[:500]


@pytest.mark.parametrize("executor_size", [0, 10**9])
async def test_all_ways_of_reading(executor_size: int) -> None:
    packed = gzip.compress(TEXT)

    def stream() -> StreamReader:
        return decoded(packed, step=3000, limit=4096, executor_size=executor_size)

    assert b"".join([piece async for piece in stream().iter_any()]) == TEXT
    assert b"".join([piece async for piece in stream().iter_chunked(1000)]) == TEXT
    assert b"".join([piece async for piece, _ in stream().iter_chunks()]) == TEXT
    assert b"".join([line async for line in stream()]) == TEXT
    exact = stream()
    assert await exact.readexactly(5000) == TEXT[:5000]
    assert await exact.readline() == TEXT[5000:].partition(b"\n")[0] + b"\n"
    assert await exact.read() == TEXT[5000:].partition(b"\n")[2]


async def test_counts_of_both_sides() -> None:
    packed = gzip.compress(TEXT)
    stream = decoded(packed, step=1000)
    assert (stream.total_bytes, stream.total_raw_bytes, stream.total_compressed_bytes) == (0, 0, 0)
    await stream.read()
    assert stream.total_bytes == len(TEXT)
    assert stream.total_raw_bytes == stream.total_compressed_bytes == len(packed)
    plain, _ = coded_stream(b"abc", 2)
    await plain.read()
    assert (plain.total_raw_bytes, plain.total_compressed_bytes) == (3, None)


async def test_end_callbacks_and_waiting_for_the_end() -> None:
    stream = decoded(gzip.compress(b"x"), step=5)
    called: list[bool] = []
    stream.on_eof(lambda: called.append(stream.is_eof()))
    await stream.wait_eof()  # of what is received
    assert called == []
    assert await stream.read() == b"x"
    assert called == [True]


# Chunks.


async def test_ends_of_chunks_stand_behind_what_they_decode_to() -> None:
    """A gzip header in a chunk of its own made readchunk stop early in aiohttp 3.5."""
    packer = zlib.compressobj(wbits=31)
    header = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    chunks = [header[:5], header[5:]]
    chunks += [
        packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) for text in (b"one", b"two" * 5000)
    ]
    chunks.append(packer.flush())
    source = Source((chunk, (len(chunk),)) for chunk in chunks)
    source.stream = StreamReader(source)
    stream = decode_stream(source.stream, ContentDecoder("gzip"), limit=4000)
    texts: list[bytes] = [b""]
    async for data, ends in stream.iter_chunks():
        texts[-1] += data
        if ends:
            texts.append(b"")
    assert [text for text in texts if text] == [b"one", b"two" * 5000]


async def test_chunk_end_that_comes_late_is_told() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"one") + packer.flush(zlib.Z_SYNC_FLUSH)
    source = Source([(first, ()), (b"", (0,)), (packer.flush(), ())])
    source.stream = StreamReader(source)
    stream = decode_stream(source.stream, ContentDecoder("gzip"))
    assert await stream.readchunk() == (b"one", False)
    assert await stream.readchunk() == (b"", True)
    assert await stream.readchunk() == (b"", False)
    assert stream.at_eof()


# Bounds.


async def test_nothing_is_decoded_that_is_not_asked_for() -> None:
    """A body that unfolds is held back in its coded form, and slows the peer down."""
    packed = gzip.compress(bytes(2**24)) + b"x" * 2**16
    stream, _ = coded_stream(packed, 2**16, limit=2**12)
    body = decode_stream(stream, ContentDecoder("gzip"), limit=2**12)
    tracemalloc.start()
    try:
        assert await body.read(10) == bytes(10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert body.total_bytes == 2**12
    assert stream.total_bytes <= 2**16


async def test_coded_stream_pauses_its_link() -> None:
    packed = gzip.compress(TEXT, 0)
    stream, source = coded_stream(packed, 100, limit=1000)
    body = decode_stream(stream, ContentDecoder("gzip"))
    while not stream.is_eof():
        await source.more()
    assert source.calls == ["pause", "resume"]  # the second by the end of the body
    assert await body.read() == TEXT


@pytest.mark.parametrize("executor_size", [0, 10**9])
async def test_bomb_stops_at_the_limit(executor_size: int) -> None:
    limits = CodingLimits(max_size=10**6, max_ratio=None)
    stream = decoded(gzip.compress(bytes(2**24)), limits=limits, executor_size=executor_size)
    tracemalloc.start()
    try:
        with pytest.raises(ContentEncodingError, match="max_size=1000000") as caught:
            await stream.read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status_hint == 413
    assert peak < 2**23
    assert stream.exception() is caught.value
    with pytest.raises(ContentEncodingError) as again:
        await stream.readany()
    assert again.value is caught.value


# Errors.


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (gzip.compress(TEXT)[:-1], "coding-truncated"),
        (gzip.compress(TEXT) + b"garbage", "coding-trailing-data"),
        (b"this is no gzip", "coding-data"),
    ],
)
@pytest.mark.parametrize("executor_size", [0, 10**9])
async def test_body_that_does_not_fit_ends_in_an_error(
    data: bytes, rule: str, executor_size: int
) -> None:
    stream = decoded(data, step=500, executor_size=executor_size)
    with pytest.raises(ContentEncodingError) as caught:
        while await stream.readany():
            pass
    assert caught.value.rule == rule
    assert stream.exception() is caught.value


async def test_error_of_the_connection_comes_through() -> None:
    stream, _ = coded_stream(gzip.compress(TEXT), 1000)
    body = decode_stream(stream, ContentDecoder("gzip"))
    assert await body.readany()
    error = OSError("connection lost")
    stream.set_exception(error)
    for _ in range(2):
        with pytest.raises(OSError, match="connection lost"):
            await body.read()
    assert body.exception() is error


async def test_second_reader_is_refused() -> None:
    body = decoded(gzip.compress(TEXT), step=100)
    refused: list[bool] = []

    async def read() -> None:
        try:
            await body.read()
        except BusyError:
            refused.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(read)
    assert refused == [True]


# Cancellation.


async def test_cancelled_reads_lose_nothing() -> None:
    body = decoded(gzip.compress(TEXT, 0), step=5000, limit=4096, executor_size=0)
    read = b""
    while not body.at_eof():
        with anyio.CancelScope() as scope:
            scope.cancel()
            read += await body.readany()
        with anyio.move_on_after(30):
            read += await body.read(3000)
    assert read == TEXT


class SlowDecoder:
    """Stands before a decoder whose thread works until it is let go."""

    def __init__(self, decoder: ContentDecoder) -> None:
        self.decoder = decoder
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.inside = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.decoder, name)

    def read(self, max_length: int) -> bytes:
        self.inside += 1
        assert self.inside == 1, "two threads are in one decoder"
        self.started.set()
        assert self.go_on.wait(10)
        try:
            return self.decoder.read(max_length)
        finally:
            self.inside -= 1


async def test_task_cancelled_while_a_thread_decodes(anyio_backend_name: str) -> None:
    """asyncio's own cancel does not wait for the thread; its outcome is for the next read."""
    slow = SlowDecoder(ContentDecoder("gzip"))
    stream, _ = coded_stream(gzip.compress(TEXT), 10**6)
    body = decode_stream(stream, slow, executor_size=0)  # type: ignore[arg-type]  # a double

    if anyio_backend_name == "trio":
        pieces: list[bytes] = []

        async def read() -> None:
            pieces.append(await body.readany())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.to_thread.run_sync(slow.started.wait)
            tasks.cancel_scope.cancel()
            slow.go_on.set()
        # The thread was waited for, and so the read was done.
        assert pieces[0] + await body.read() == TEXT
    else:
        task = asyncio.ensure_future(body.readany())
        await anyio.to_thread.run_sync(slow.started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow.go_on.set()
        assert await body.read() == TEXT


async def test_decoder_by_itself() -> None:
    decoder = AsyncDecoder(ContentDecoder("gzip"))
    assert decoder.needs_input
    decoder.feed(gzip.compress(TEXT))
    assert not decoder.needs_input
    decoder.feed_eof()
    pieces: list[bytes] = []
    while piece := await decoder.read(1000):
        assert len(piece) <= 1000
        pieces.append(piece)
    assert b"".join(pieces) == TEXT


async def test_large_pieces_leave_the_event_loop() -> None:
    threads: list[int] = []

    class Noting(SlowDecoder):
        def read(self, max_length: int) -> bytes:
            threads.append(threading.get_ident())
            return self.decoder.read(max_length)

    for size in (1024, 1025):
        threads.clear()
        decoder = AsyncDecoder(Noting(ContentDecoder("gzip")))  # type: ignore[arg-type]  # a double
        packed = gzip.compress(TEXT, 0)[:size]
        decoder.feed(packed)
        assert await decoder.read(10)
        assert (threads == [threading.get_ident()]) is (size == 1024)
