"""Peer: httpx2."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from ..exchanges import Exchange
from .client_load import Fetch, main


@asynccontextmanager
async def client(exchange: Exchange, url: str) -> AsyncIterator[Fetch]:
    """Open the client."""
    # The default keeps 20 idle connections: fewer than are in flight, so the rest would be dialled
    # again and again.
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx2.AsyncClient(limits=limits) as session:

        async def get() -> tuple[int, bytes]:
            response = await session.get(url)
            return response.status_code, response.content

        async def post() -> tuple[int, bytes]:
            response = await session.post(url, content=exchange.body)
            return response.status_code, response.content

        yield post if exchange.body else get


if __name__ == "__main__":
    main(client)
