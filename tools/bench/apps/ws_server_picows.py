"""Peer: the server of picows, with callbacks."""

import asyncio
from typing import NoReturn

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from .settings import BACKLOG, HOST, Settings, run_asyncio


class Echo(WSListener):
    """One connection."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo it."""
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


async def serve(port: int) -> NoReturn:
    """Serve until the process is ended."""
    await ws_create_server(lambda request: Echo(), HOST, port, backlog=BACKLOG)
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(serve(settings.port), settings.loop)
