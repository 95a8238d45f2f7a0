"""The time-outs of getting a connection: which one passes first, and what it says."""

from __future__ import annotations

from typing import NamedTuple

from ._errors import ConnectionTimeoutError, PoolTimeoutError
from ._timeouts import ClientTimeout
from ._url import ConnectionKey


class Bound(NamedTuple):
    """A point on the runtime's clock, and what is raised when it passes.

    Attributes:
        at: Seconds; infinite for no bound.
        error: None for no bound.
    """

    at: float = float("inf")
    error: Exception | None = None


class Bounds:
    """The bounds of one connection, from the moment it is asked for.

    Args:
        key: What is connected to.
        timeout: The time-outs of the request.
        total_at: Point in time at which `total` passes; None for never.
        now: The time.
    """

    __slots__ = ("_both", "_timeout", "_where")

    def __init__(
        self, key: ConnectionKey, timeout: ClientTimeout, total_at: float | None, now: float
    ) -> None:
        self._timeout = timeout
        self._where = f"{key.host}:{key.port}"
        self._both = Bound()
        if total_at is not None:
            text = f"total timeout of {timeout.total} s passed, connecting to {self._where} (total)"
            self._both = Bound(total_at, TimeoutError(text))
        if timeout.connect:
            self._both = self._sooner(now, timeout.connect, "connect")

    def waiting(self, now: float, limit: int, limit_per_host: int) -> Bound:
        """Return the bound on waiting for a free place in the pool."""
        pool = self._timeout.pool
        if not pool or now + pool >= self._both.at:
            return self._both
        text = (
            f"no free place in the pool for {self._where} for {pool} s (pool), with "
            f"limit={limit} and limit_per_host={limit_per_host}"
        )
        return Bound(now + pool, PoolTimeoutError(text))

    def connecting(self, now: float) -> Bound:
        """Return the bound on connecting, which begins now."""
        sock_connect = self._timeout.sock_connect
        return self._sooner(now, sock_connect, "sock_connect") if sock_connect else self._both

    def _sooner(self, now: float, seconds: float, name: str) -> Bound:
        if now + seconds >= self._both.at:
            return self._both
        text = f"no connection to {self._where} for {seconds} s ({name})"
        return Bound(now + seconds, ConnectionTimeoutError(text))
