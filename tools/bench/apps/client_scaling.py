"""Drive a client at one point of a curve: many origins in turn, or many requests that wait.

Other than in `client_load`, what is measured begins and ends while all requests are in flight. Of
ten thousand that wait, the first to come and the last to go would be most of a second.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Self

from ..exchanges import EXCHANGES, Exchange
from .client_load import Fetch, RunAll, cpu_seconds, run_all_asyncio, run_all_trio
from .settings import Settings, run_asyncio

# Loopback is a network of 16 million addresses; octets of 8 bits make them readable.
_OCTET: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a client is given besides the settings that all clients have.

    Attributes:
        origins: How many it asks in turn.
        limit: Most connections that it may have; 0 for any number.
    """

    origins: int
    limit: int

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Self:
        """Read what `to_arguments` wrote."""
        origins, limit = arguments
        return cls(origins=int(origins), limit=int(limit))

    def to_arguments(self) -> list[str]:
        """Return it for a command line."""
        return [str(self.origins), str(self.limit)]


def origin_hosts(count: int) -> list[str]:
    """Return loopback addresses, different ones: each is an origin of its own."""
    return [f"127.0.{number // _OCTET}.{number % _OCTET}" for number in range(1, count + 1)]


# Opens a client that may have so many connections (0: any number), and gives what fetches from
# each of these URLs in turn.
Client = Callable[[Exchange, list[str], int], AbstractAsyncContextManager[Fetch]]


class Load:
    """Requests in flight, counted from when they are warm until a time is over.

    Attributes:
        figures: Requests, and seconds of user and system time, when it is over.
    """

    def __init__(self, fetch: Fetch, settings: Settings, shape: Shape) -> None:
        """Make it; nothing is sent yet, but the time of the warm-up runs."""
        self.figures: dict[str, float] | None = None
        self._fetch = fetch
        self._answer_size: Final = len(EXCHANGES[settings.work].answer)
        # Until every connection was opened, and every request has had to wait.
        self._warm_count: Final = 2 * max(shape.origins, settings.concurrency)
        self._warm_at: Final = time.monotonic() + settings.warmup
        self._seconds: Final = settings.seconds
        self._count = 0
        self._start: tuple[int, float, float] | None = None

    async def work(self) -> None:
        """Fetch again and again until there are figures.

        Raises:
            RuntimeError: An answer was not what the origin sends.
        """
        while self.figures is None:
            status, body = await self._fetch()
            if status != 200 or len(body) != self._answer_size:
                raise RuntimeError(
                    f"status {status}, {len(body)} bytes; expected 200, {self._answer_size} bytes"
                )
            self._answered()

    def _answered(self) -> None:
        self._count += 1
        now = time.monotonic()
        if self._start is None:
            if self._count >= self._warm_count and now >= self._warm_at:
                self._start = self._count, cpu_seconds(), now + self._seconds
            return
        count, seconds, stop_at = self._start
        if self.figures is None and now >= stop_at:
            self.figures = {
                "requests": self._count - count,
                "cpu_seconds": cpu_seconds() - seconds,
            }


async def measure(client: Client, shape: Shape, settings: Settings, run_all: RunAll) -> None:
    """Print the figures as one line of JSON."""
    urls = [f"http://{host}:{settings.port}/" for host in origin_hosts(shape.origins)]
    async with client(EXCHANGES[settings.work], urls, shape.limit) as fetch:
        load = Load(fetch, settings, shape)
        await run_all([load.work] * settings.concurrency)
    print(json.dumps(load.figures))


def main(client: Client, arguments: Sequence[str]) -> None:
    """Measure `client` as the environment of this process and `arguments` say."""
    settings = Settings.from_environ()
    shape = Shape.from_arguments(arguments)
    if settings.loop == "trio":
        # Imported here: the asyncio clients must not pay for it.
        import trio

        trio.run(measure, client, shape, settings, run_all_trio)
    else:
        run_asyncio(measure(client, shape, settings, run_all_asyncio), settings.loop)
