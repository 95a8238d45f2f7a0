"""How long a request may take, and in which of its phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTimeout:
    """Bounds on the phases of a request, in seconds; None or 0 for no bound.

    Keyword-only, unlike aiohttp's, whose order of positions surprises.

    Attributes:
        total: The whole call, retry and reading of the body included. Raises a plain
            `TimeoutError`.
        connect: Waiting for a free place in the pool and connecting; not applied when
            an idle connection is taken. Raises `ConnectionTimeoutError`.
        sock_connect: Connecting to the host, TLS included. Raises
            `ConnectionTimeoutError`.
        sock_read: Between two receipts of bytes, from the moment the request is sent.
            Raises `SocketTimeoutError`.

    Raises:
        ValueError: A bound is negative, or not a number.
    """

    total: float | None = None
    connect: float | None = None
    sock_connect: float | None = None
    sock_read: float | None = None

    def __post_init__(self) -> None:
        for name in ("total", "connect", "sock_connect", "sock_read"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name}={value!r}: expected seconds, 0 or more, or None")


#: What a session uses unless told otherwise; the numbers are aiohttp's.
DEFAULT_TIMEOUT: Final = ClientTimeout(total=300, sock_connect=30)
#: What `timeout=None` of a request means.
NO_TIMEOUT: Final = ClientTimeout()
