"""The application under test, on 127.0.0.1 until SIGTERM: served.py PORT BACKEND [CERTIFICATE]

The chat, and WebSockets that the page does not have: what a browser must do with them is checked.
"""

import collections
import ssl
import sys
from collections.abc import Awaitable, Callable

import anyio

import httpserver as web

from .chat import make_app, serve

#: How WebSockets ended: path and close code.
ENDED = web.AppKey("ENDED", collections.deque[tuple[str, int | None]])

READ = web.AppKey("READ", anyio.Event)


@web.middleware
async def note_ends(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    response = await handler(request)
    if isinstance(response, web.WebSocketResponse):
        request.app[ENDED].append((request.path, response.close_code))
    return response


async def ended(request: web.Request) -> web.Response:
    return web.json_response(list(request.app[ENDED]))


async def reasons(request: web.Request) -> web.WebSocketResponse:
    """Tell on the next connection how the peer closed this one."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    msg = await ws.receive()
    assert msg.type is web.WSMsgType.CLOSE, msg
    request.app[ENDED].append((msg.extra or "", msg.data))
    return ws


async def closing(request: web.Request) -> web.WebSocketResponse:
    """Close with the code and reason that the query has."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.close(code=int(request.query["code"]), message=request.query["reason"].encode())
    return ws


async def failing(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.receive()
    raise RuntimeError("as it was told to")


async def limited(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(max_msg_size=1000)
    await ws.prepare(request)
    async for msg in ws:
        if msg.type is web.WSMsgType.BINARY:
            await ws.send_str(str(len(msg.data)))
    return ws


async def plain(request: web.Request) -> web.WebSocketResponse:
    """Speak sub-protocols, and do not compress."""
    ws = web.WebSocketResponse(protocols=["chat", "soap"], compress=False)
    await ws.prepare(request)
    await ws.send_json({"protocol": ws.ws_protocol, "compress": ws.compress})
    await ws.receive()
    return ws


async def packed(request: web.Request) -> web.WebSocketResponse:
    """Tell the window bits, then send the same text again and again."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.send_str(str(ws.compress))
    async for msg in ws:
        await ws.send_str(msg.data * 1000)
        await ws.send_str(msg.data * 1000, compress=False)
    return ws


async def pinging(request: web.Request) -> web.WebSocketResponse:
    """Ping ten times a second while nobody says anything."""
    ws = web.WebSocketResponse(heartbeat=0.1)
    await ws.prepare(request)
    await ws.receive(timeout=10)
    await ws.ping(b"how far?")
    async for _ in ws:
        await ws.send_json({"latency": ws.latency})
    return ws


async def read(request: web.Request) -> web.Response:
    request.app[READ].set()
    return web.Response()


async def late(request: web.Request) -> web.WebSocketResponse:
    """Read nothing before it is told to, then count octets until an empty message."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    await request.app[READ].wait()
    size = 0
    while data := await ws.receive_bytes():
        size += len(data)
    await ws.send_str(str(size))
    await ws.receive()
    return ws


def main(port: str, backend: str, certificate: str = "") -> None:
    app = make_app()
    app.middlewares.append(note_ends)
    app[ENDED] = collections.deque(maxlen=100)
    app[READ] = anyio.Event()
    app.add_routes([web.get("/ended", ended), web.post("/read", read)])
    sockets = (reasons, closing, failing, limited, plain, packed, pinging, late)
    app.add_routes([web.get(f"/{handler.__name__}", handler) for handler in sockets])
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    serve(app, int(port), backend, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
