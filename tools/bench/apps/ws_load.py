"""Drive a WebSocket client: one message in flight on each connection, count echoes and CPU time.

Clients with coroutines are driven by coroutines, clients with callbacks by callbacks: each as its
users drive it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from ..ws_works import ECHO_WORKS, EchoWork
from .client_load import RunAll, cpu_seconds, run_all_asyncio, run_all_trio
from .settings import HOST, Settings, run_asyncio

# Sends a message and returns the octets of its echo.
Echo = Callable[[bytes], Awaitable[int]]

# Opens one connection to a URL.
Connect = Callable[[str], AbstractAsyncContextManager[Echo]]


class Echoes:
    """What connections count on, and how many they are.

    Attributes:
        work: The message.
        url: Where to connect.
        connections: How many to open.
        run_all: Runs coroutines at once.
    """

    def __init__(self, settings: Settings, run_all: RunAll) -> None:
        """Make it; nothing is counted yet."""
        self.work: Final[EchoWork] = ECHO_WORKS[settings.work]
        self.url: Final = f"ws://{HOST}:{settings.port}/"
        self.connections: Final = settings.concurrency
        self.run_all: Final = run_all
        self.count = 0
        self._size: Final = self.work.size
        self._stop_at = 0.0
        self._active = 0
        self._finished: asyncio.Future[None]

    def start(self, seconds: float) -> None:
        """Count from 0 for `seconds`."""
        self.count = 0
        self._stop_at = time.monotonic() + seconds

    def echoed(self, size: int) -> bool:
        """Count an echo of `size` octets; tell whether to send the message again.

        Raises:
            RuntimeError: It is not the echo of the message.
        """
        if size != self._size:
            raise RuntimeError(f"echo of {size} octets; expected {self._size}")
        self.count += 1
        return time.monotonic() < self._stop_at

    async def until_idle(self) -> None:
        """Wait until `idle` or `broken` was called for each connection. Of callbacks."""
        self._active = self.connections
        self._finished = asyncio.get_running_loop().create_future()
        await self._finished

    def idle(self) -> None:
        """Note that a connection sends nothing more."""
        self._active -= 1
        if not self._active:
            self._finished.set_result(None)

    def broken(self, error: Exception) -> None:
        """Let `until_idle` raise `error`."""
        if not self._finished.done():
            self._finished.set_exception(error)


# Opens all connections, and gives what sends on them until `echoed` says no.
Client = Callable[[Echoes], AbstractAsyncContextManager[Callable[[], Awaitable[None]]]]


def client_of(connect: Connect) -> Client:
    """Return the client that has a coroutine for each connection."""

    @asynccontextmanager
    async def client(echoes: Echoes) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        message = echoes.work.message

        async def work(echo: Echo) -> None:
            while echoes.echoed(await echo(message)):
                pass

        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(connect(echoes.url))
                for _ in range(echoes.connections)
            ]
            yield lambda: echoes.run_all([partial(work, echo) for echo in opened])

    return client


async def _measure(client: Client, settings: Settings, run_all: RunAll) -> None:
    """Print requests and seconds of user and system time, as one line of JSON."""
    echoes = Echoes(settings, run_all)
    async with client(echoes) as run:
        if settings.warmup:
            echoes.start(settings.warmup)
            await run()
        before = cpu_seconds()
        echoes.start(settings.seconds)
        await run()
        seconds = cpu_seconds() - before
    print(json.dumps({"requests": echoes.count, "cpu_seconds": seconds}))


def main(client: Client) -> None:
    """Measure `client` as the environment of this process says."""
    settings = Settings.from_environ()
    if settings.loop == "trio":
        import trio

        trio.run(_measure, client, settings, run_all_trio)
    else:
        run_asyncio(_measure(client, settings, run_all_asyncio), settings.loop)
