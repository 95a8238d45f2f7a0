"""Peer: pyreqwest, whose work is done in Rust."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from pyreqwest.client import ClientBuilder

from ..exchanges import Exchange
from .client_load import Fetch, main


@asynccontextmanager
async def client(exchange: Exchange, url: str) -> AsyncIterator[Fetch]:
    """Open the client."""
    async with ClientBuilder().build() as session:

        async def get() -> tuple[int, bytes]:
            response = await session.get(url).build().send()
            # Its own bytes type, which has a length as bytes do and is not copied into them.
            return response.status, cast(bytes, await response.bytes())

        async def post() -> tuple[int, bytes]:
            response = await session.post(url).body_bytes(exchange.body).build().send()
            return response.status, cast(bytes, await response.bytes())

        yield post if exchange.body else get


if __name__ == "__main__":
    main(client)
