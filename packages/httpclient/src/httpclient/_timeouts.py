"""How long a request may take, and in which of its phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BOUNDS: Final = ("total", "connect", "sock_connect", "sock_read", "pool", "write")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTimeout:
    """Bounds on the phases of a request, in seconds; None or 0 for no bound.

    Keyword-only, unlike aiohttp's, whose order of positions surprises. Each error says
    which bound passed, and how long it was. There is one more bound, for all requests
    alike: with `Expect: 100-continue` the body is sent after one second without an answer.

    Attributes:
        total: The whole call, redirects, retries and reading of the body included. Raises a
            plain `TimeoutError`.
        connect: Waiting for a free place in the pool and connecting; not applied when
            an idle connection is taken. Raises `ConnectionTimeoutError`.
        sock_connect: Connecting to the host, TLS included. Raises
            `ConnectionTimeoutError`.
        sock_read: Between two receipts of bytes, from the moment the request is sent.
            Raises `SocketTimeoutError`.
        pool: Waiting for a free place in the pool alone. Raises `PoolTimeoutError`. Not in
            aiohttp.
        write: Between two advances of an upload, while it is the server that does not take
            more; an advance is 64 KiB, or less. Raises `WriteTimeoutError`. Not in aiohttp.
        ceil_threshold: Without effect. aiohttp rounds longer bounds up to whole seconds, to
            have fewer timers; here most bounds need none.

    Raises:
        ValueError: A bound is negative, or not a number.
    """

    total: float | None = None
    connect: float | None = None
    sock_connect: float | None = None
    sock_read: float | None = None
    pool: float | None = None
    write: float | None = None
    ceil_threshold: float = 5

    def __post_init__(self) -> None:
        for name in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name}={value!r}: expected seconds, 0 or more, or None")


#: What a session uses unless told otherwise; the numbers are aiohttp's.
DEFAULT_TIMEOUT: Final = ClientTimeout(total=300, sock_connect=30)
#: What `timeout=None` of a request means.
NO_TIMEOUT: Final = ClientTimeout()
