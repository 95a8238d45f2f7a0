"""Peers: aiohttp's TestClient, and httpx2 over ASGI with starlette."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from .sampling import Batch, expecting, main
from .settings import Settings, loop_factory

GREETING = "hello"


def aiohttp_client() -> Any:
    """Return a client of an application with one route."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=GREETING)

    app = web.Application()
    app.router.add_get("/", hello)
    return TestClient(TestServer(app))


async def aiohttp_get(client: Any) -> str:
    """Ask for the greeting."""
    async with client.get("/") as response:
        text: str = await response.text()
    return text


def asgi_client() -> Any:
    """Return a client of the same in starlette, without a socket."""
    import httpx2
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Any) -> PlainTextResponse:
        return PlainTextResponse(GREETING)

    transport = httpx2.ASGITransport(Starlette(routes=[Route("/", hello)]))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def asgi_get(client: Any) -> str:
    """Ask for the greeting."""
    text: str = (await client.get("/")).text
    return text


PEERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "aiohttp": (aiohttp_client, aiohttp_get),
    "asgi": (asgi_client, asgi_get),
}


def batch(name: str, what: str) -> Batch:
    """Return what sends requests by one client, or makes a client for each."""
    make, get = PEERS[name]
    loop = loop_factory(Settings.from_environ().loop)()
    asyncio.set_event_loop(loop)

    async def by_one(cycles: int) -> Any:
        text = None
        for _ in range(cycles):
            text = await get(client)
        return text

    async def by_many(cycles: int) -> Any:
        text = None
        for _ in range(cycles):
            async with make() as client:
                text = await get(client)
        return text

    if what == "client":
        return lambda cycles: loop.run_until_complete(by_many(cycles))

    async def start() -> Any:
        return await make().__aenter__()

    client = loop.run_until_complete(start())
    return lambda cycles: loop.run_until_complete(by_one(cycles))


if __name__ == "__main__":
    main(batch(*sys.argv[1:]), expecting(GREETING))
