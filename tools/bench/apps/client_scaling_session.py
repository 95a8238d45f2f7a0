"""A point of a curve, of a client in aiohttp's names: aiohttp's or ours."""

import importlib.util
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Any: two modules that share names but no types are passed through here.
from typing import Any

from ..exchanges import Exchange
from .client_load import Fetch
from .client_scaling import Client, main
from .settings import not_offered


def session_client(module: Any) -> Client:
    """Return the client of a module that has `ClientSession` and `TCPConnector`."""

    @asynccontextmanager
    async def client(exchange: Exchange, urls: list[str], limit: int) -> AsyncIterator[Fetch]:
        assert not exchange.body, "curves are of GET alone"
        # Text, as programs write it: what a client does with it again and again is in the figure.
        turns = itertools.cycle(urls)
        connector = module.TCPConnector(limit=limit)
        async with module.ClientSession(connector=connector) as session:

            async def get() -> tuple[int, bytes]:
                async with session.get(next(turns)) as response:
                    return response.status, await response.read()

            yield get

    return client


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if importlib.util.find_spec(name) is None:
        not_offered(f"{name} is not installed")
    main(session_client(importlib.import_module(name)), arguments)
