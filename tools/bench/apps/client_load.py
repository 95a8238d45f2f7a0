"""Drive a client: keep requests in flight, warm up, then count requests and CPU time.

The same lines drive every client, so what they cost is in every row, the floor's included.
"""

import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ..exchanges import EXCHANGES, Exchange
from .settings import HOST, Settings, run_asyncio

# Makes one request and returns status and body.
Fetch = Callable[[], Awaitable[tuple[int, bytes]]]

# Opens a client for an exchange with the origin at a URL and gives what fetches from it.
Client = Callable[[Exchange, str], AbstractAsyncContextManager[Fetch]]

# Runs all of these at once and waits for them: the one thing that differs between asyncio and trio.
RunAll = Callable[[list[Callable[[], Awaitable[None]]]], Awaitable[None]]


class Load:
    """Workers that fetch until a point in time."""

    def __init__(self, fetch: Fetch, exchange: Exchange, run_all: RunAll, concurrency: int) -> None:
        """Make it; nothing is sent yet."""
        self._fetch = fetch
        self._answer_size: Final = len(exchange.answer)
        self._run_all = run_all
        self._concurrency = concurrency
        self._request_count = 0
        self._stop_at = 0.0

    async def run(self, seconds: float) -> int:
        """Keep requests in flight for `seconds` and return how many were answered.

        Raises:
            RuntimeError: An answer was not what the origin sends.
        """
        self._request_count = 0
        self._stop_at = time.monotonic() + seconds
        await self._run_all([self._work] * self._concurrency)
        return self._request_count

    async def _work(self) -> None:
        while time.monotonic() < self._stop_at:
            status, body = await self._fetch()
            if status != 200 or len(body) != self._answer_size:
                raise RuntimeError(
                    f"status {status}, {len(body)} bytes; expected 200, {self._answer_size} bytes"
                )
            self._request_count += 1


async def measure(client: Client, settings: Settings, run_all: RunAll) -> None:
    """Print requests and seconds of user and system time, as one line of JSON."""
    exchange = EXCHANGES[settings.work]
    async with client(exchange, f"http://{HOST}:{settings.port}/") as fetch:
        load = Load(fetch, exchange, run_all, settings.concurrency)
        await load.run(settings.warmup)
        before = cpu_seconds()
        requests = await load.run(settings.seconds)
        seconds = cpu_seconds() - before
    print(json.dumps({"requests": requests, "cpu_seconds": seconds}))


def cpu_seconds() -> float:
    # All threads of the process: some clients do their work outside Python's.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run_all_asyncio(workers: list[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(worker() for worker in workers))


async def run_all_trio(workers: list[Callable[[], Awaitable[None]]]) -> None:
    # Imported here: the asyncio clients must not pay for it.
    import trio

    async with trio.open_nursery() as nursery:
        for worker in workers:
            nursery.start_soon(worker)


def main(client: Client) -> None:
    """Measure `client` as the environment of this process says."""
    settings = Settings.from_environ()
    if settings.loop == "trio":
        import trio

        trio.run(measure, client, settings, run_all_trio)
    else:
        run_asyncio(measure(client, settings, run_all_asyncio), settings.loop)
