"""Our TestClient: one request to an application, through a socket or in memory."""

import asyncio
import sys
from typing import Any

import httpserver as web
from httpcore_testing import TestClient

from .sampling import Batch, expecting, main
from .settings import Settings, loop_factory

GREETING = "hello"


async def hello(request: web.Request) -> web.Response:
    """Greet."""
    return web.Response(text=GREETING)


def application() -> web.Application:
    """Return an application with one route."""
    app = web.Application()
    app.router.add_get("/", hello)
    return app


def requests(transport: Any) -> Batch:
    """Return what sends so many requests by one client."""
    loop = loop_factory(Settings.from_environ().loop)()
    asyncio.set_event_loop(loop)
    client = TestClient(application(), transport=transport)
    loop.run_until_complete(client.start_server())

    async def run(cycles: int) -> Any:
        text = None
        for _ in range(cycles):
            async with client.get("/") as response:
                text = await response.text()
        return text

    return lambda cycles: loop.run_until_complete(run(cycles))


def clients(transport: Any) -> Batch:
    """Return what makes so many clients, each for one request, as tests do."""
    loop = loop_factory(Settings.from_environ().loop)()
    asyncio.set_event_loop(loop)

    async def run(cycles: int) -> Any:
        text = None
        for _ in range(cycles):
            async with (
                TestClient(application(), transport=transport) as client,
                client.get("/") as response,
            ):
                text = await response.text()
        return text

    return lambda cycles: loop.run_until_complete(run(cycles))


if __name__ == "__main__":
    transport, what = sys.argv[1:]
    make = requests if what == "request" else clients
    main(make(transport), expecting(GREETING))
