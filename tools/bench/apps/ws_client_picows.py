"""Peer: the client of picows, with callbacks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from .ws_load import Echoes, main


class Connection(WSListener):
    """One connection."""

    def __init__(self, echoes: Echoes) -> None:
        """Make a connection that counts on `echoes`."""
        self._echoes: Final = echoes
        self._message: Final = echoes.work.message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count it, and send on."""
        if self._echoes.echoed(len(frame.get_payload_as_memoryview())):
            transport.send(WSMsgType.BINARY, self._message)
        else:
            self._echoes.idle()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Fail what waits."""
        self._echoes.broken(ConnectionResetError("closed by the server"))


@asynccontextmanager
async def client(echoes: Echoes) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Open all connections."""
    transports = []
    for _ in range(echoes.connections):
        transport, _ = await ws_connect(lambda: Connection(echoes), echoes.url)
        transports.append(transport)

    async def run() -> None:
        for transport in transports:
            transport.send(WSMsgType.BINARY, echoes.work.message)
        await echoes.until_idle()

    yield run
    for transport in transports:
        transport.disconnect()


if __name__ == "__main__":
    main(client)
