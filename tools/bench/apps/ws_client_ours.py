"""Our WebSockets as a client: of httpclient (`session`), of wsproto_async, or its listeners."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpclient
from wsproto_async import FrameListener, FrameSocket, WSMsgType, connect, connect_frames

from .ws_load import Client, Echo, Echoes, client_of, main
from .ws_session_client import session_client


@asynccontextmanager
async def standalone(url: str) -> AsyncIterator[Echo]:
    """Open one connection without httpclient."""
    async with connect(url) as ws:

        async def echo(message: bytes) -> int:
            await ws.send_bytes(message)
            return len(await ws.receive_bytes())

        yield echo


class Listener(FrameListener):
    """One connection without a task."""

    __slots__ = ("_echoes", "_message")

    def __init__(self, echoes: Echoes) -> None:
        """Make a listener that counts on `echoes`."""
        self._echoes: Final = echoes
        self._message: Final = echoes.work.message

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        """Count it, and send on."""
        if self._echoes.echoed(len(payload)):
            socket.send(WSMsgType.BINARY, self._message)
        else:
            self._echoes.idle()

    def closed(self, socket: FrameSocket) -> None:
        """Fail what waits."""
        self._echoes.broken(ConnectionResetError("closed by the server"))


@asynccontextmanager
async def listeners(echoes: Echoes) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Open all connections without a task."""
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connect_frames(echoes.url, Listener(echoes)))
            for _ in range(echoes.connections)
        ]

        async def run() -> None:
            for socket in sockets:
                socket.send(WSMsgType.BINARY, echoes.work.message)
            await echoes.until_idle()

        yield run


CLIENTS: Final[dict[str, Client]] = {
    "session": session_client(httpclient),
    "standalone": client_of(standalone),
    "listener": listeners,
}

if __name__ == "__main__":
    main(CLIENTS[sys.argv[1]])
