"""Peer: the client of websockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import websockets.asyncio.client

from .ws_load import Echo, client_of, main


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Echo]:
    """Open one connection."""
    async with websockets.asyncio.client.connect(
        url, ping_interval=None, compression=None, proxy=None
    ) as ws:

        async def echo(message: bytes) -> int:
            await ws.send(message)
            return len(await ws.recv())

        yield echo


if __name__ == "__main__":
    main(client_of(connect))
