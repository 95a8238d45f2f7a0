"""A chat, an echo, and the page for both."""

from pathlib import Path
from typing import Any

import httpserver as web

BACKENDS = ("asyncio", "uvloop", "trio")
PAGE = Path(__file__).with_name("page.html")
ROOM = web.AppKey("ROOM", set[web.WebSocketResponse])


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for msg in ws:
        if msg.type is web.WSMsgType.TEXT:
            await ws.send_str(msg.data)
        elif msg.type is web.WSMsgType.BINARY:
            await ws.send_bytes(msg.data)
    return ws


async def chat(request: web.Request) -> web.WebSocketResponse:
    """Say to everybody in the room what somebody says."""
    ws = web.WebSocketResponse(heartbeat=20)
    await ws.prepare(request)
    room = request.app[ROOM]
    room.add(ws)
    try:
        await say(room, "server", f"{len(room)} here")
        async for msg in ws:
            spoken = msg.json()
            await say(room, spoken["name"], spoken["text"])
    finally:
        room.discard(ws)
        await say(room, "server", f"{len(room)} here")
    return ws


async def say(room: set[web.WebSocketResponse], name: str, text: str) -> None:
    for ws in list(room):
        try:
            await ws.send_json({"name": name, "text": text})
        except OSError:
            # It is gone, and its handler is about to find out.
            pass


def make_app() -> web.Application:
    app = web.Application()
    app[ROOM] = set()
    app.add_routes([web.get("/", page), web.get("/echo", echo), web.get("/chat", chat)])
    return app


def serve(app: web.Application, port: int, backend: str, **options: Any) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    if backend == "uvloop":
        import uvloop

        options["loop_factory"] = uvloop.new_event_loop
    elif backend == "trio":
        options["backend"] = "trio"
    web.run_app(app, host="127.0.0.1", port=port, **options)
