"""Time one sans-IO cycle: parse a browser's request, take its events, send 204, next cycle."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Final

from .settings import Settings

REQUEST: Final = (
    b"GET /articles/2026/hello?page=2 HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Referer: https://www.example.com/articles\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"\r\n"
)
HEADER_COUNT: Final = 9

# One repeat is short enough that some repeats are not interrupted, and long enough to be far above
# the clock's grain.
_REPEAT_CYCLES: Final = 2_000


def main(cycle: Callable[[], None]) -> None:
    """Time `cycle` for as long as the environment says; print the median, in us, as JSON."""
    settings = Settings.from_environ()
    _repeat(cycle, settings.warmup)
    print(json.dumps({"median": statistics.median(_repeat(cycle, settings.seconds))}))


def _repeat(cycle: Callable[[], None], seconds: float) -> list[float]:
    samples: list[float] = []
    stop_at = time.monotonic() + seconds
    while not samples or time.monotonic() < stop_at:
        started = time.process_time_ns()
        for _ in range(_REPEAT_CYCLES):
            cycle()
        samples.append((time.process_time_ns() - started) / 1e3 / _REPEAT_CYCLES)
    return samples
