from __future__ import annotations

import asyncio
import threading
import zlib

import anyio
import pytest

from httpcore_proto import ContentEncoder, decode_body
from httpcore_proto.aio import AsyncEncoder, BusyError

TEXT = b"".join(b"line %d of the text\n" % number for number in range(5000))


class Watched(ContentEncoder):
    """Notes which thread works, and can be made to wait in it."""

    __slots__ = ("gate", "started", "threads")

    def __init__(self, gate: threading.Event | None = None) -> None:
        super().__init__("gzip")
        self.threads: list[bool] = []
        self.started = threading.Event()
        self.gate = gate

    def encode(self, data: bytes) -> bytes:
        self.threads.append(threading.current_thread() is threading.main_thread())
        if self.gate is not None:
            self.started.set()
            assert self.gate.wait(10)
        return super().encode(data)


@pytest.mark.parametrize("size", [10, 1024, 1025, 100000])
@pytest.mark.parametrize("codings", ["gzip", "deflate", "br", "zstd", "gzip, br"])
async def test_pieces_make_one_body(codings: str, size: int) -> None:
    encoder = AsyncEncoder(ContentEncoder(codings))
    text = TEXT[: size * 10]
    coded = b"".join(
        [await encoder.encode(text[at : at + size]) for at in range(0, len(text), size)]
    )
    coded += await encoder.finish()
    assert decode_body(coded, codings) == text
    with pytest.raises(RuntimeError):
        await encoder.encode(b"more")


async def test_flush_lets_the_peer_read_on() -> None:
    encoder = AsyncEncoder(ContentEncoder("gzip"))
    decoder = zlib.decompressobj(wbits=31)
    for text in (b"one", TEXT, b"three"):
        coded = await encoder.encode(text) + await encoder.flush()
        assert decoder.decompress(coded) == text


@pytest.mark.parametrize(("size", "on_the_loop"), [(1024, True), (1025, False)])
async def test_large_pieces_leave_the_event_loop(size: int, on_the_loop: bool) -> None:
    watched = Watched()
    await AsyncEncoder(watched).encode(bytes(size))
    assert watched.threads == [on_the_loop]


async def test_second_task_is_refused() -> None:
    gate = threading.Event()
    watched = Watched(gate)
    encoder = AsyncEncoder(watched)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(encoder.encode, TEXT)
        await anyio.to_thread.run_sync(watched.started.wait)
        with pytest.raises(BusyError):
            await encoder.encode(b"x")
        gate.set()


async def test_what_a_cancelled_call_encoded_is_not_lost(anyio_backend_name: str) -> None:
    """asyncio's own cancel leaves the thread running; nothing may enter the codec beside it."""
    gate = threading.Event()
    watched = Watched(gate)
    encoder = AsyncEncoder(watched)
    coded = b""

    async def encode() -> None:
        nonlocal coded
        coded += await encoder.encode(TEXT)

    if anyio_backend_name == "trio":
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(encode)
            await anyio.to_thread.run_sync(watched.started.wait)
            tasks.cancel_scope.cancel()
            gate.set()
    else:
        task = asyncio.ensure_future(encode())
        await anyio.to_thread.run_sync(watched.started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
    coded += await encoder.encode(b"more") + await encoder.finish()
    assert decode_body(coded, "gzip") == TEXT + b"more"
