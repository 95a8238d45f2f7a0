"""An echo in aiohttp's names, made from aiohttp or from ours by the same lines."""

# Any: two modules that share names but no types are passed through here.
from typing import Any


def build(web: Any) -> Any:
    """Return the application of a module that has `WebSocketResponse`."""
    binary = web.WSMsgType.BINARY

    async def echo(request: Any) -> Any:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for msg in ws:
            if msg.type is binary:
                await ws.send_bytes(msg.data)
        return ws

    app = web.Application()
    app.router.add_get("/", echo)
    return app
