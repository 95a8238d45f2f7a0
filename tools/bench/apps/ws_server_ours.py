"""Our WebSockets as a server: of httpserver (`session`), of wsproto_async, or its listeners."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import httpserver as web
import wsproto_async
from wsproto_async import FrameListener, FrameSocket, WebSocket, WSMsgType

from .settings import BACKLOG, HOST, Settings, run_asyncio
from .web_serving import serve
from .ws_echo_app import build


async def serve_session(settings: Settings) -> NoReturn:
    """Serve an application."""
    await serve(web, build(web), settings.port)


async def _echo(ws: WebSocket) -> None:
    async for message in ws:
        if message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)


async def serve_standalone(settings: Settings) -> NoReturn:
    """Serve without httpserver."""
    async with wsproto_async.serve(_echo, HOST, settings.port):
        await asyncio.Event().wait()
    raise AssertionError("the event is never set")


class Listener(FrameListener):
    """Echoes in the call that brings the message."""

    __slots__ = ()

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        """Echo it."""
        if kind is WSMsgType.BINARY:
            socket.send(kind, payload)


async def serve_listener(settings: Settings) -> NoReturn:
    """Serve without tasks."""
    async with wsproto_async.serve_frames(lambda request: Listener(), HOST, settings.port):
        await asyncio.Event().wait()
    raise AssertionError("the event is never set")


_APIS: Final[dict[str, Callable[[Settings], Awaitable[NoReturn]]]] = {
    "session": serve_session,
    "standalone": serve_standalone,
    "listener": serve_listener,
}


def main(api: str) -> None:
    """Serve until the process is ended."""
    settings = Settings.from_environ()
    if settings.loop == "trio":
        web.run_app(
            build(web),
            host=HOST,
            port=settings.port,
            backlog=BACKLOG,
            backend="trio",
            access_log=None,
            print=None,
        )
    else:
        run_asyncio(_APIS[api](settings), settings.loop)


if __name__ == "__main__":
    main(sys.argv[1])
