"""What the tests of proxies have in common: a dialer, a receiver, and proxies that work."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Protocol

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from httpclient._dialer import connect_socket
from httpcore_proto.aio import Link, Receiver, current_runtime


class Reader(Protocol):
    """The end of a connection that a script plays."""

    async def send(self, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...


class Tap:
    """A connection that only keeps what its link tells."""

    link: Link

    def __init__(self) -> None:
        self.made = 0
        self.received = b""
        self.lost = False

    def link_made(self, link: Link) -> None:
        self.link = link
        self.made += 1

    def bytes_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> None:
        self.lost = True

    def link_lost(self, exc: Exception | None) -> None:
        self.lost = True

    async def ask(self, question: bytes) -> bytes:
        """Send bytes, and return what comes until a blank line and two bytes of body."""
        self.link.write(question)
        while not self.received.endswith(b"\r\n\r\nok"):
            assert not self.lost
            await self.link.more()
        answer, self.received = self.received, b""
        return answer


class LoopbackDialer:
    """Connects to the loopback, whatever the host."""

    def __init__(self, names: dict[str, str] | None = None) -> None:
        self.names = names or {}
        self.calls: list[tuple[str, int, ssl.SSLContext | None, str | None, Any]] = []
        self.receivers: list[Receiver] = []
        self.lookups: list[tuple[str, int, Any]] = []

    async def connect(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None,
        server_hostname: str | None,
        traces: Any,
    ) -> Link:
        self.calls.append((host, port, context, server_hostname, traces))
        self.receivers.append(receiver)
        sock = socket.socket()
        try:
            await connect_socket(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return await current_runtime().connect_sock(
            receiver, sock, ssl=context, server_hostname=server_hostname
        )

    async def resolve(self, host: str, port: int, traces: Any) -> list[Any]:
        self.lookups.append((host, port, traces))
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, port)) for address in self.names[host].split()]


async def splice(near: Any, port: int) -> None:
    """Move bytes between a peer and a port of the loopback until one side ends."""
    async with (
        await anyio.connect_tcp("127.0.0.1", port) as far,
        anyio.create_task_group() as tasks,
    ):

        async def back() -> None:
            try:
                async for data in far:
                    await near.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(back)
        try:
            while True:
                await far.send(await near._reader.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        tasks.cancel_scope.cancel()


class Unbuffered(ByteStream):
    """A peer of the fixture `serve` as a stream, to put TLS on."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return bytes(await self._peer._reader.receive(max_bytes))

    async def send(self, item: bytes) -> None:
        await self._peer.send(item)

    async def send_eof(self) -> None:
        await self._peer._stream.send_eof()

    async def aclose(self) -> None:
        await self._peer.close()


async def accept_tls(peer: Any, context: ssl.SSLContext) -> TLSStream:
    """Speak TLS with a peer, as a server."""
    return await TLSStream.wrap(
        Unbuffered(peer), server_side=True, ssl_context=context, standard_compatible=False
    )
