"""Peer: the server of websockets."""

import asyncio
from typing import NoReturn

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen

from .settings import BACKLOG, HOST, Settings, run_asyncio


async def echo(ws: ServerConnection) -> None:
    """Echo until the peer closes."""
    async for message in ws:
        await ws.send(message)


async def serve(port: int) -> NoReturn:
    """Serve until the process is ended."""
    async with listen(echo, HOST, port, backlog=BACKLOG, ping_interval=None, compression=None):
        await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(serve(settings.port), settings.loop)
