"""A client in aiohttp's names, made from aiohttp or from ours by the same lines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Any: two modules that share names but no types are passed through here.
from typing import Any

from ..exchanges import Exchange
from .client_load import Client, Fetch


def session_client(module: Any) -> Client:
    """Return the client of a module that has `ClientSession`."""

    @asynccontextmanager
    async def client(exchange: Exchange, url: str) -> AsyncIterator[Fetch]:
        async with module.ClientSession() as session:

            async def get() -> tuple[int, bytes]:
                async with session.get(url) as response:
                    return response.status, await response.read()

            async def post() -> tuple[int, bytes]:
                async with session.post(url, data=exchange.body) as response:
                    return response.status, await response.read()

            yield post if exchange.body else get

    return client
