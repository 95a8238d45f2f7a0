"""The floor of the clients: a bare `asyncio.BufferedProtocol`, with a list as its pool.

What no client in Python can get below: the event loop, one write, and reads straight into the
buffer that is handed out. It knows the size of the answer beforehand and parses nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

from ..exchanges import Exchange
from .canned import canned_response
from .client_load import Fetch, main


class Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time."""

    def __init__(self, response_size: int) -> None:
        """Make a connection whose answers have `response_size` bytes, head included."""
        self._response_size: Final = response_size
        self._buffer = memoryview(bytearray())
        self._received_size = 0
        self._answered: asyncio.Future[memoryview]
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports do not inherit from asyncio's, so this cannot be an isinstance.
        self._transport = cast(asyncio.WriteTransport, transport)

    def fetch(self, request: bytes) -> asyncio.Future[memoryview]:
        """Send `request` and return the future of head and body."""
        self._answered = asyncio.get_running_loop().create_future()
        # One byte to spare: uvloop reads on after a read that filled the buffer, and an empty one
        # is an error.
        self._buffer = memoryview(bytearray(self._response_size + 1))
        self._received_size = 0
        self._transport.write(request)
        return self._answered

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the part of the answer that is still missing."""
        return self._buffer[self._received_size :]

    def buffer_updated(self, nbytes: int) -> None:
        """Note what arrived."""
        self._received_size += nbytes
        if self._received_size == self._response_size:
            self._answered.set_result(self._buffer[:-1])

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits, if one does."""
        if not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("closed by the origin"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


@asynccontextmanager
async def client(exchange: Exchange, url: str) -> AsyncIterator[Fetch]:
    """Open the client."""
    authority = urlsplit(url).netloc
    host, _, port = authority.partition(":")
    head = (
        f"{exchange.method} / HTTP/1.1\r\n"
        f"Host: {authority}\r\n"
        f"Content-Length: {len(exchange.body)}\r\n"
        "\r\n"
    )
    request = head.encode() + exchange.body
    response = canned_response(exchange.answer)
    head_size = len(response) - len(exchange.answer)
    loop = asyncio.get_running_loop()
    pool: list[Connection] = []

    async def fetch() -> tuple[int, bytes]:
        if pool:
            connection = pool.pop()
        else:
            _, connection = await loop.create_connection(
                lambda: Connection(len(response)), host, int(port)
            )
        answer = await connection.fetch(request)
        pool.append(connection)
        # A memoryview: cutting the head off must not copy a megabyte.
        return int(answer[9:12]), cast(bytes, answer[head_size:])

    yield fetch
    for connection in pool:
        connection.close()


if __name__ == "__main__":
    main(client)
