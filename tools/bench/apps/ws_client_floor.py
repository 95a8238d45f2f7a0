"""The floor of WebSocket clients, and the load of all servers.

A bare `asyncio.BufferedProtocol`: it writes a canned frame and counts the octets of the answer, of
which it looks at the first one only.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

from .ws_load import Echoes, main

_READ_SIZE: Final = 256 * 1024


class Connection(asyncio.BufferedProtocol):
    """One connection, one message in flight."""

    def __init__(self, echoes: Echoes) -> None:
        """Make a connection that counts on `echoes`."""
        self._echoes: Final = echoes
        self._request: Final = echoes.work.masked_frame
        self._answer: bytes | None = echoes.work.frame
        self._answer_size: Final = len(echoes.work.frame)
        self._view: Final = memoryview(bytearray(_READ_SIZE))
        self._head: bytes | None = b""
        self._first = bytearray()
        self._received_size = 0
        self._transport: asyncio.WriteTransport
        self.opened: Final = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        # uvloop's transports do not inherit from asyncio's, so this cannot be an isinstance.
        self._transport = cast(asyncio.WriteTransport, transport)
        host = urlsplit(self._echoes.url).netloc
        self._transport.write(
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "\r\n".encode()
        )

    def begin(self) -> None:
        """Send the first message."""
        self._transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the one buffer."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Count, and send on when the echo is complete."""
        if self._head is not None:
            self._receive_head(nbytes)
            return
        if self._answer is not None:
            self._first += self._view[:nbytes]
        self._received_size += nbytes
        if self._received_size < self._answer_size:
            return
        if self._answer is not None:
            if self._first != self._answer:
                self._fail(RuntimeError(f"echo is {bytes(self._first[:40])!r}"))
                return
            self._answer = None
        if self._received_size > self._answer_size:
            self._fail(RuntimeError("more octets than the echo has"))
            return
        self._received_size = 0
        if self._echoes.echoed(self._echoes.work.size):
            self._transport.write(self._request)
        else:
            self._echoes.idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self._fail(exc or ConnectionResetError("closed by the server"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _receive_head(self, nbytes: int) -> None:
        assert self._head is not None
        self._head += self._view[:nbytes]
        if not self._head.endswith(b"\r\n\r\n"):
            return
        if not self._head.startswith(b"HTTP/1.1 101 "):
            self._fail(RuntimeError(f"answer is {self._head[:40]!r}"))
            return
        self._head = None
        self.opened.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        self._echoes.broken(error)


@asynccontextmanager
async def client(echoes: Echoes) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Open all connections."""
    url = urlsplit(echoes.url)
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(echoes.connections):
        _, connection = await loop.create_connection(
            lambda: Connection(echoes), url.hostname, url.port
        )
        await connection.opened
        connections.append(connection)

    async def run() -> None:
        for connection in connections:
            connection.begin()
        await echoes.until_idle()

    yield run
    for connection in connections:
        connection.close()


if __name__ == "__main__":
    main(client)
