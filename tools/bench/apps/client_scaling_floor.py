"""A point of a curve, of the floor: lists of idle connections, and one line that waits for them.

What its curve loses is the event loop's and the kernel's: sockets and tasks that are many.
"""

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

from ..exchanges import Exchange
from .canned import canned_response
from .client_floor import Connection
from .client_load import Fetch
from .client_scaling import main


class Origin:
    """Where to connect, what to send there, and the connections that are idle."""

    def __init__(self, url: str) -> None:
        """Make the origin of `url`, without connections."""
        authority = urlsplit(url).netloc
        self.host, _, port = authority.partition(":")
        self.port = int(port)
        self.request = f"GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
        self.idle: list[Connection] = []


@asynccontextmanager
async def client(exchange: Exchange, urls: list[str], limit: int) -> AsyncIterator[Fetch]:
    """Open the client. A limit is for one origin only: who waits gets any connection."""
    assert not exchange.body, "curves are of GET alone"
    assert len(urls) == 1 or not limit, "a limit is for one origin only"
    response = canned_response(exchange.answer)
    head_size = len(response) - len(exchange.answer)
    loop = asyncio.get_running_loop()
    turns = itertools.cycle([Origin(url) for url in urls])
    opened: list[Connection] = []
    waiting: deque[asyncio.Future[Connection]] = deque()
    room = limit or float("inf")

    async def connected(origin: Origin) -> Connection:
        nonlocal room
        if origin.idle:
            return origin.idle.pop()
        if not room:
            waiter: asyncio.Future[Connection] = loop.create_future()
            waiting.append(waiter)
            return await waiter
        room -= 1
        _, connection = await loop.create_connection(
            lambda: Connection(len(response)), origin.host, origin.port
        )
        opened.append(connection)
        return connection

    async def fetch() -> tuple[int, bytes]:
        origin = next(turns)
        connection = await connected(origin)
        answer = await connection.fetch(origin.request)
        if waiting:
            waiting.popleft().set_result(connection)
        else:
            origin.idle.append(connection)
        # A memoryview: cutting the head off must not copy.
        return int(answer[9:12]), cast(bytes, answer[head_size:])

    yield fetch
    for connection in opened:
        connection.close()


if __name__ == "__main__":
    main(client, sys.argv[1:])
