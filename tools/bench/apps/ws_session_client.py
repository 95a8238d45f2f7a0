"""A client in aiohttp's names, made from aiohttp or from ours by the same lines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Any: two modules that share names but no types are passed through here.
from typing import Any

from .ws_load import Client, Echo, client_of


def session_client(module: Any) -> Client:
    """Return the client of a module that has `ClientSession`."""

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Echo]:
        async with module.ClientSession() as session, session.ws_connect(url) as ws:

            async def echo(message: bytes) -> int:
                await ws.send_bytes(message)
                return len(await ws.receive_bytes())

            yield echo

    return client_of(connect)
