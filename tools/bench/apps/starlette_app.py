"""Peer: Starlette, to be served by uvicorn."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..works import STREAM_CHUNK, STREAM_CHUNKS, Work, find_work
from .settings import Settings


def _json_response(document: Any) -> Response:
    """Encode as the other peers do: JSONResponse leaves out blanks, and bodies must be equal."""
    return Response(json.dumps(document), media_type="application/json")


async def hello(request: Request) -> Response:
    """Answer 13 bytes of text."""
    return PlainTextResponse("Hello, World!")


async def as_json(request: Request) -> Response:
    """Answer a small JSON document."""
    return _json_response({"message": "Hello, World!"})


async def param(request: Request) -> Response:
    """Answer with what the path says."""
    return PlainTextResponse(f"Hello, {request.path_params['name']}!")


async def echo(request: Request) -> Response:
    """Decode a JSON body and answer it encoded again."""
    return _json_response(await request.json())


async def read(request: Request) -> Response:
    """Read the body and answer its length."""
    return PlainTextResponse(str(len(await request.body())))


async def stream(request: Request) -> Response:
    """Answer in chunks, the length not announced."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(STREAM_CHUNKS):
            yield STREAM_CHUNK

    return StreamingResponse(chunks(), media_type="application/octet-stream")


async def body(request: Request) -> Response:
    """Answer one large body."""
    return Response(_WORK.answer, media_type="application/octet-stream")


class ForbidFraming:
    """A middleware that changes the response, in the plain ASGI form, which is the fast one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Frame-Options"] = "DENY"
            await send(message)

        await self.app(scope, receive, send_with_header)


class NoteUser:
    """A middleware that leaves something on the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["user"] = "anna"
        await self.app(scope, receive, send)


_HANDLERS: Final = {
    "hello": hello,
    "json": as_json,
    "param": param,
    "echo": echo,
    "read": read,
    "stream": stream,
    "body": body,
}


def build(work: Work, settings: Settings) -> Starlette:
    """Return the application for `work`."""
    routes: list[BaseRoute]
    if work.handler == "static":
        routes = [Mount(work.routes[0], StaticFiles(directory=settings.static_dir))]
    else:
        handler = _HANDLERS[work.handler]
        routes = [Route(path, handler, methods=[work.method]) for path in work.routes]
    if work.name == "middlewares":
        routes = [
            Mount(
                "/sub", routes=routes, middleware=[Middleware(ForbidFraming), Middleware(NoteUser)]
            )
        ]
    return Starlette(routes=routes)


_SETTINGS: Final = Settings.from_environ()
_WORK: Final = find_work(_SETTINGS.work)

app = build(_WORK, _SETTINGS)
