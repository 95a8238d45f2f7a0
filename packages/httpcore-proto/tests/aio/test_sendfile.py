"""`Link.sendfile`: what it sends, where it is refused, and how it ends."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
import trustme

from httpcore_proto.aio import (
    AnyioRuntime,
    BusyError,
    Link,
    LinkLostError,
    Runtime,
    current_runtime,
    memory_link_pair,
)

# A test that hangs shall say where.
PATIENCE = 10

# More than the buffers of any socket take.
HUGE = 64 * 2**20

every_runtime = pytest.mark.parametrize("make_runtime", [current_runtime, AnyioRuntime])

MakeRuntime = Callable[[], Runtime]


class Receiver:
    """Keeps what it is told."""

    link: Link

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost = False
        self.exc: Exception | None = None
        self.eof = False
        self.made = anyio.Event()

    def link_made(self, link: Link) -> None:
        self.link = link
        self.made.set()

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.eof = True

    def link_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.exc = exc

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self.link.more()


@asynccontextmanager
async def pair(
    runtime: Runtime,
    *,
    server: ssl.SSLContext | None = None,
    client: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[Receiver, Receiver]]:
    """A server's receiver, and that of the client which connected to it."""
    ours, theirs = Receiver(), Receiver()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with runtime:
        listener = await runtime.listen(lambda: ours, sock, ssl=server)
        await runtime.connect_tcp(theirs, *listener.sockname, ssl=client)
        try:
            with anyio.fail_after(PATIENCE):
                await ours.made.wait()
            yield ours, theirs
        finally:
            with anyio.fail_after(PATIENCE, shield=True):
                for receiver in (ours, theirs):
                    receiver.link.abort()
                    await receiver.link.wait_closed()
                await listener.aclose()


def sends(runtime: Runtime) -> bool:
    """Whether this runtime's links can: anyio shows only a stand-in of asyncio's sockets."""
    return not isinstance(runtime, AnyioRuntime) or "trio" in type(runtime.waiter()).__module__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files: 8 MiB of anything, and more than a socket takes."""
    path = tmp_path_factory.mktemp("files")
    (path / "file").write_bytes(os.urandom(8 * 2**20))
    with (path / "huge").open("wb") as written:
        written.truncate(HUGE)
    return path


@pytest.fixture
def file(folder: Path) -> Iterator[BinaryIO]:
    with (folder / "file").open("rb") as opened:
        yield opened


@pytest.fixture
def huge(folder: Path) -> Iterator[BinaryIO]:
    with (folder / "huge").open("rb") as opened:
        yield opened


@every_runtime
@pytest.mark.parametrize(
    ("offset", "count"), [(0, 8 * 2**20), (1, 100), (3 * 2**20, 2**20 + 1), (8 * 2**20 - 1, 1)]
)
async def test_part_of_a_file_arrives_behind_what_was_written(
    make_runtime: MakeRuntime, file: BinaryIO, offset: int, count: int
) -> None:
    runtime = make_runtime()
    async with pair(runtime) as (ours, theirs):
        ours.link.write(b"before|")
        sent = False

        async def send() -> None:
            nonlocal sent
            sent = await ours.link.sendfile(file, offset, count)
            ours.link.write(b"|after")
            await ours.link.drain()

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await theirs.until(lambda: theirs.data.endswith(b"|after"))

    whole = os.pread(file.fileno(), count, offset) if sent else b""
    assert sent == sends(runtime)
    assert theirs.data == b"before|" + whole + b"|after"
    assert file.tell() == 0


@every_runtime
async def test_much_that_was_written_goes_first(make_runtime: MakeRuntime, file: BinaryIO) -> None:
    runtime = make_runtime()
    written = b"x" * (16 * 2**20)
    async with pair(runtime) as (ours, theirs), anyio.create_task_group() as group:
        ours.link.write(written)
        group.start_soon(ours.link.sendfile, file, 0, 4)
        size = len(written) + 4 * sends(runtime)
        await theirs.until(lambda: len(theirs.data) >= size)

    assert theirs.data == written + os.pread(file.fileno(), 4 * sends(runtime), 0)


async def test_little_that_was_written_goes_first(
    file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies below the low-water mark needs no drain, and is not sent for all that."""
    real, waiting = os.sendfile, []
    async with pair(current_runtime()) as (ours, theirs):
        # Only the transport knows: if both send, it is first as a rule, and not always.
        transport = getattr(ours.link, "_transport", None)

        def sendfile(*args: int) -> int:
            waiting.append(0 if transport is None else transport.get_write_buffer_size())
            return real(*args)

        monkeypatch.setattr(os, "sendfile", sendfile)
        theirs.link.pause_reading()
        # The transport comes to that mark in small steps.
        ours.link.info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        written = b""
        while len(written) < 16 * 2**20 and not ours.link.needs_drain:
            written += b"x" * 10000
            ours.link.write(b"x" * 10000)
        async with anyio.create_task_group() as group:
            group.start_soon(ours.link.sendfile, file, 0, 1000)
            await anyio.wait_all_tasks_blocked()
            theirs.link.resume_reading()
            await theirs.until(lambda: len(theirs.data) == len(written) + 1000)

    assert theirs.data == written + os.pread(file.fileno(), 1000, 0)
    assert set(waiting) == {0}


@every_runtime
async def test_nothing_to_send(make_runtime: MakeRuntime, file: BinaryIO) -> None:
    runtime = make_runtime()
    async with pair(runtime) as (ours, theirs):
        assert await ours.link.sendfile(file, 0, 0) == sends(runtime)
        ours.link.write(b"x")
        await ours.link.drain()
        await theirs.until(lambda: theirs.data == b"x")


@every_runtime
async def test_reading_goes_on_meanwhile(make_runtime: MakeRuntime, huge: BinaryIO) -> None:
    """The loop's own sendfile stops reading, so that two that send block each other."""
    runtime = make_runtime()
    if not sends(runtime):
        runtime = current_runtime()
    async with pair(runtime) as (ours, theirs), anyio.create_task_group() as group:
        theirs.link.pause_reading()
        group.start_soon(lost_while_sending, ours, huge)
        theirs.link.write(b"hello")
        await theirs.link.drain()
        await ours.until(lambda: ours.data == b"hello")
        ours.link.abort()


async def lost_while_sending(receiver: Receiver, huge: BinaryIO) -> None:
    with pytest.raises(OSError, check=lambda exc: not isinstance(exc, TimeoutError)):
        await receiver.link.sendfile(huge, 0, HUGE)


@every_runtime
async def test_tls_is_refused(make_runtime: MakeRuntime, file: BinaryIO) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with pair(make_runtime(), server=server, client=client) as (ours, theirs):
        assert not await ours.link.sendfile(file, 0, 100)
        ours.link.write(b"x")
        await ours.link.drain()
        await theirs.until(lambda: theirs.data == b"x")


async def test_memory_is_refused(file: BinaryIO) -> None:
    ours, _ = memory_link_pair(Receiver(), Receiver())

    assert not await ours.sendfile(file, 0, 100)

    ours.close()
    with pytest.raises(LinkLostError):
        await ours.sendfile(file, 0, 100)


async def test_link_without_a_reader_is_refused(file: BinaryIO) -> None:
    async with pair(AnyioRuntime()) as (_, theirs):
        assert not await theirs.link.sendfile(file, 0, 100)


@every_runtime
async def test_closed_link(make_runtime: MakeRuntime, file: BinaryIO) -> None:
    async with pair(make_runtime()) as (ours, _):
        ours.link.abort()
        with pytest.raises(LinkLostError):
            await ours.link.sendfile(file, 0, 100)
        await ours.link.wait_closed()
        with pytest.raises(LinkLostError):
            await ours.link.sendfile(file, 0, 100)


@pytest.mark.parametrize("ended_by", ["abort", "reset"])
async def test_link_that_is_lost_meanwhile(huge: BinaryIO, ended_by: str) -> None:
    """asyncio's own sendfile waits for ever when its transport is aborted.

    Ours told nobody of a reset: the socket had told its error to sendfile, and then showed
    the transport an orderly end.
    """
    async with pair(current_runtime()) as (ours, theirs):
        theirs.link.pause_reading()
        async with anyio.create_task_group() as group:
            group.start_soon(lost_while_sending, ours, huge)
            await anyio.wait_all_tasks_blocked()
            if ended_by == "abort":
                ours.link.abort()
            else:
                sock = theirs.link.info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                theirs.link.abort()
        with anyio.fail_after(PATIENCE):
            await ours.link.wait_closed()
        assert ours.lost
        assert isinstance(ours.exc, OSError) == (ended_by == "reset")
        transport = getattr(ours.link, "_transport", None)
        assert transport is None or transport.is_closing()


async def test_deadline(huge: BinaryIO) -> None:
    runtime = current_runtime()
    async with pair(runtime) as (ours, theirs):
        theirs.link.pause_reading()
        ours.link.deadline = runtime.now() + 0.01
        with pytest.raises(TimeoutError), anyio.fail_after(PATIENCE):
            await ours.link.sendfile(huge, 0, HUGE)


async def test_cancelled(huge: BinaryIO) -> None:
    async with pair(current_runtime()) as (ours, theirs):
        theirs.link.pause_reading()
        async with anyio.create_task_group() as group:
            group.start_soon(ours.link.sendfile, huge, 0, HUGE)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        ours.link.abort()
        await ours.link.wait_closed()
        theirs.link.resume_reading()
        await theirs.until(lambda: theirs.lost or theirs.eof)
        assert len(theirs.data) < HUGE


async def test_second_task_is_busy(huge: BinaryIO) -> None:
    async with pair(current_runtime()) as (ours, theirs):
        theirs.link.pause_reading()
        async with anyio.create_task_group() as group:
            group.start_soon(ours.link.sendfile, huge, 0, HUGE)
            await anyio.wait_all_tasks_blocked()
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: ours.link.sendfile(huge, 0, 1),
                ours.link.drain,
            ]
            for call in calls:
                ours.link.needs_drain = True
                with pytest.raises(BusyError):
                    await call()
            group.cancel_scope.cancel()


async def test_file_that_is_too_short(file: BinaryIO) -> None:
    async with pair(current_runtime()) as (ours, theirs), anyio.create_task_group() as group:

        async def send() -> None:
            with pytest.raises(EOFError, match="100 bytes early, at 8388608"):
                await ours.link.sendfile(file, 0, 8 * 2**20 + 100)
            ours.link.abort()

        group.start_soon(send)
        await theirs.until(lambda: theirs.lost or theirs.eof)


async def test_file_that_cannot_be_sent_so(file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems answer EINVAL; before anything was sent that is a refusal."""
    real, failing_call = os.sendfile, 0
    calls = 0

    def sendfile(*args: int) -> int:
        nonlocal calls
        calls += 1
        if calls > failing_call:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(*args)

    monkeypatch.setattr(os, "sendfile", sendfile)
    async with pair(current_runtime()) as (ours, theirs):
        assert not await ours.link.sendfile(file, 0, 100)
        ours.link.write(b"x")
        await ours.link.drain()
        await theirs.until(lambda: theirs.data == b"x")

        calls, failing_call = 0, 1
        with pytest.raises(OSError, match="Invalid argument"):
            await ours.link.sendfile(file, 0, 8 * 2**20)


async def test_socket_that_is_full(file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refused = os.sendfile, False

    def sendfile(*args: int) -> int:
        nonlocal refused
        refused = not refused
        if refused:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return real(*args)

    monkeypatch.setattr(os, "sendfile", sendfile)
    async with pair(current_runtime()) as (ours, theirs), anyio.create_task_group() as group:
        group.start_soon(ours.link.sendfile, file, 0, 8 * 2**20)
        await theirs.until(lambda: len(theirs.data) == 8 * 2**20)

    assert theirs.data == os.pread(file.fileno(), 8 * 2**20, 0)
