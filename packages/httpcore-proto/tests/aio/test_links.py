"""What sockets add to the contract of links, the same on every driver: TLS, resets, facts."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError, create_default_context

import anyio
import anyio.to_thread
import pytest
import trustme

from httpcore_proto.aio import AnyioRuntime, Link, LinkLostError, Runtime, current_runtime

# A test that hangs shall say where.
PATIENCE = 10

every_runtime = pytest.mark.parametrize("make_runtime", [current_runtime, AnyioRuntime])

MakeRuntime = Callable[[], Runtime]


class Receiver:
    """Keeps what it is told."""

    link: Link

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []
        self.exc: Exception | None = None
        self.made = anyio.Event()

    def link_made(self, link: Link) -> None:
        self.calls.append("made")
        self.link = link
        self.made.set()

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.calls.append("eof")

    def link_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.exc = exc

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self.link.more()


@asynccontextmanager
async def pair(
    runtime: Runtime, *, server: SSLContext | None = None, client: SSLContext | None = None
) -> AsyncIterator[tuple[Receiver, Receiver]]:
    """A receiver that connected and one that was connected to."""
    one, other = Receiver(), Receiver()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with runtime:
        listener = await runtime.listen(lambda: other, sock, ssl=server)
        await runtime.connect_tcp(one, *listener.sockname, ssl=client)
        try:
            with anyio.fail_after(PATIENCE):
                await other.made.wait()
            yield one, other
        finally:
            with anyio.fail_after(PATIENCE, shield=True):
                for receiver in (one, other):
                    receiver.link.abort()
                    await receiver.link.wait_closed()
                await listener.aclose()


@asynccontextmanager
async def connected(runtime: Runtime) -> AsyncIterator[tuple[Receiver, socket.socket]]:
    """A receiver, and the socket at the other end."""
    receiver = Receiver()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await runtime.connect_tcp(receiver, *listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            try:
                yield receiver, accepted
            finally:
                with anyio.fail_after(PATIENCE, shield=True):
                    receiver.link.abort()
                    await receiver.link.wait_closed()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> SSLContext:
    context = create_default_context()
    authority.configure_trust(context)
    return context


# TLS that begins later


@every_runtime
async def test_start_tls_goes_on_with_the_same_receivers(
    make_runtime: MakeRuntime, server_tls: SSLContext, client_tls: SSLContext
) -> None:
    async with pair(make_runtime()) as (one, other):
        one.link.write(b"STARTTLS")
        await one.link.drain()
        await other.until(lambda: other.data == b"STARTTLS")
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def serve() -> None:
                    await other.link.start_tls(server_tls, server_side=True)

                group.start_soon(serve)
                await anyio.wait_all_tasks_blocked()  # or it takes the ClientHello for text
                await one.link.start_tls(client_tls, server_hostname="127.0.0.1")
        assert one.link.info("ssl_object").version() == "TLSv1.3"
        assert other.link.info("ssl_object").version() == "TLSv1.3"
        one.link.write(b"+secret")
        await one.link.drain()
        await other.until(lambda: other.data == b"STARTTLS+secret")
        other.link.write(b"answer")
        await other.link.drain()
        await one.until(lambda: one.data == b"answer")
        assert one.calls == other.calls == ["made"]


@every_runtime
async def test_start_tls_with_a_peer_that_speaks_something_else(
    make_runtime: MakeRuntime, client_tls: SSLContext
) -> None:
    async with connected(make_runtime()) as (receiver, peer):
        peer.send(b"220 this is no TLS\r\n" * 10)
        with anyio.fail_after(PATIENCE), pytest.raises(SSLError):
            await receiver.link.start_tls(client_tls, server_hostname="127.0.0.1")
        await receiver.link.wait_closed()
        with pytest.raises(LinkLostError):
            await receiver.link.drain()
        with pytest.raises(LinkLostError):
            await receiver.link.start_tls(client_tls, server_hostname="127.0.0.1")
    assert receiver.calls == ["made", "lost"]
    assert isinstance(receiver.exc, SSLError)


@every_runtime
async def test_start_tls_with_a_peer_that_goes_away(
    make_runtime: MakeRuntime, client_tls: SSLContext
) -> None:
    async with connected(make_runtime()) as (receiver, peer):
        peer.shutdown(socket.SHUT_WR)
        with anyio.fail_after(PATIENCE), pytest.raises(OSError):  # noqa: PT011  # any of them
            await receiver.link.start_tls(client_tls, server_hostname="127.0.0.1")
        await receiver.link.wait_closed()
    assert receiver.calls[-1] == "lost"
    assert receiver.calls.count("lost") == 1


@every_runtime
async def test_start_tls_that_is_cancelled_loses_the_link(
    make_runtime: MakeRuntime, client_tls: SSLContext
) -> None:
    async with connected(make_runtime()) as (receiver, _):
        with anyio.move_on_after(0.02):
            await receiver.link.start_tls(client_tls, server_hostname="127.0.0.1")
        assert receiver.link.closing
        with anyio.fail_after(PATIENCE):
            await receiver.link.wait_closed()
    assert receiver.calls == ["made", "lost"]


@every_runtime
async def test_close_in_tls_tells_the_peer_that_the_end_is_an_end(
    make_runtime: MakeRuntime, server_tls: SSLContext, client_tls: SSLContext
) -> None:
    """Without that a body that lasts until the end may have been cut by anybody."""
    received: list[bytes] = []

    def read_all(address: tuple[str, int]) -> None:
        with (
            socket.create_connection(address, timeout=PATIENCE) as sock,
            client_tls.wrap_socket(
                sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            ) as tls,
        ):
            while data := tls.recv(100):
                received.append(data)

    other = Receiver()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with make_runtime() as runtime:
        listener = await runtime.listen(lambda: other, sock, ssl=server_tls)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, read_all, listener.sockname)
            await other.made.wait()
            other.link.write(b"the end")
            other.link.close()
        await other.link.wait_closed()
        await listener.aclose()
    assert b"".join(received) == b"the end"


# Peers that reset


@every_runtime
async def test_a_reset_is_told_with_its_error(make_runtime: MakeRuntime) -> None:
    async with connected(make_runtime()) as (receiver, peer):
        reset(peer)
        await receiver.until(lambda: "lost" in receiver.calls)
        assert isinstance(receiver.exc, ConnectionResetError)
        with pytest.raises(LinkLostError) as caught:
            await receiver.link.drain()
        assert caught.value.__cause__ is receiver.exc


@every_runtime
async def test_a_reset_that_nobody_has_seen_yet_raises_nowhere_but_in_drain(
    make_runtime: MakeRuntime,
) -> None:
    """`write_eof` raised ENOTCONN."""
    async with connected(make_runtime()) as (receiver, peer):
        reset(peer)
        receiver.link.write(b"x")
        receiver.link.write_eof()
        receiver.link.write(b"y")
        receiver.link.pause_reading()
        receiver.link.resume_reading()
        receiver.link.close()


# Facts


@every_runtime
async def test_facts_outlive_the_link(make_runtime: MakeRuntime) -> None:
    async with connected(make_runtime()) as (receiver, peer):
        link = receiver.link
        names = (peer.getsockname(), peer.getpeername())
        assert (link.info("peername"), link.info("sockname")) == names
        assert link.info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert link.info("ssl_object") is None
        assert link.info("shoe_size", 42) == 42
        reset(peer)
        await receiver.until(lambda: "lost" in receiver.calls)
        assert (link.info("peername"), link.info("sockname")) == names


@pytest.mark.parametrize("wakes", [False, True])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_buffer_is_filled_and_what_follows_is_received(
    secure: bool, wakes: bool, server_tls: SSLContext, client_tls: SSLContext
) -> None:
    """Links of other loops say that they cannot, and go on as before."""
    contexts = {"server": server_tls, "client": client_tls} if secure else {}
    async with pair(current_runtime(), **contexts) as (one, other):
        other.link.write(b"head")
        await other.link.drain()
        await one.until(lambda: one.data == b"head")
        buffer = bytearray(300_000)
        sizes: list[int] = []

        def filled(part: memoryview) -> bool:
            sizes.append(len(part))
            return wakes

        fills = one.link.fill(memoryview(buffer), filled)
        other.link.write(b"b" * 300_000 + b"tail")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.link.drain)
            await one.until(lambda: one.data.endswith(b"tail"))
        if fills:
            assert one.data == b"headtail"
            assert buffer == b"b" * 300_000
            assert sum(sizes) == 300_000
        else:
            assert len(one.data) == 300_008
            assert sizes == []


async def test_link_that_is_lost_while_a_buffer_is_filled_tells_it() -> None:
    async with pair(current_runtime()) as (one, other):
        one.link.fill(memoryview(bytearray(1000)), lambda part: False)
        other.link.write(b"some")
        await other.link.drain()
        other.link.close()
        await one.until(lambda: "eof" in one.calls or "lost" in one.calls)
        one.link.close()
        await one.link.wait_closed()
        assert one.calls[-1] == "lost"
        assert not one.link.fill(memoryview(bytearray(1000)), lambda part: False)
