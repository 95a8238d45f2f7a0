"""Time a piece of work that needs no sockets: how often it fits, and what it costs."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

# Any: what a peer makes of its input is of the peer's own type.
from typing import Any, Final

from .settings import Settings, loop_factory

# Does the work so many times and returns what the last time gave.
Batch = Callable[[int], Any]
# Raises if it is given something else than the work should give.
Check = Callable[[Any], None]
# The arguments of `main`.
Timed = tuple[Batch, Check]

# One sample is short enough that some samples are not interrupted, and long enough to be far above
# the clock's grain and what it costs to enter an event loop.
_SAMPLE_SECONDS: Final = 0.005


def main(batch: Batch, check: Check = lambda result: None) -> None:
    """Time `batch` for as long as the environment says; print the median, in us, as JSON.

    Args:
        batch: The work.
        check: Called with a result between samples, so what it costs is not measured.
    """
    settings = Settings.from_environ()
    cycles = _cycles_per_sample(batch, settings.warmup)
    samples: list[float] = []
    stop_at = time.monotonic() + settings.seconds
    while not samples or time.monotonic() < stop_at:
        started = time.process_time_ns()
        result = batch(cycles)
        samples.append((time.process_time_ns() - started) / 1e3 / cycles)
        check(result)
    print(json.dumps({"median": statistics.median(samples)}))


def _cycles_per_sample(batch: Batch, seconds: float) -> int:
    """Warm up for `seconds`, and return how many cycles make a sample."""
    cycles = 0
    started = time.process_time()
    stop_at = time.monotonic() + seconds
    while not cycles or time.monotonic() < stop_at:
        batch(1)
        cycles += 1
    return max(1, int(_SAMPLE_SECONDS * cycles / (time.process_time() - started)))


def repeated(cycle: Callable[[], Any]) -> Batch:
    """Return what calls `cycle` so many times."""

    def batch(cycles: int) -> Any:
        result = None
        for _ in range(cycles):
            result = cycle()
        return result

    return batch


def repeated_on_loop(cycle: Callable[[], Awaitable[Any]]) -> Batch:
    """Return what awaits `cycle` so many times, on the loop that the environment names."""
    loop = loop_factory(Settings.from_environ().loop)()
    asyncio.set_event_loop(loop)

    async def run(cycles: int) -> Any:
        result = None
        for _ in range(cycles):
            result = await cycle()
        return result

    return lambda cycles: loop.run_until_complete(run(cycles))


def expecting(expected: object, shown: Callable[[Any], object] = lambda result: result) -> Check:
    """Return a check: `shown` of a result is `expected`.

    `shown` brings what different peers return into one form.
    """

    def check(result: Any) -> None:
        if (seen := shown(result)) != expected:
            raise RuntimeError(f"wrong result: {seen!r:.500}; expected {expected!r:.500}")

    return check
