"""What the connections of one server share: settings, the clock, and the end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from httpcore_proto import Limits
from httpcore_proto.aio import Runtime, Task, Waiter, current_runtime

from ._access_log import AccessLogger
from ._preset import Presets
from ._request import Request
from ._response import StreamResponse

access_logger: Final = logging.getLogger("httpserver.access")
server_logger: Final = logging.getLogger("httpserver.server")


class ServedConnection(Protocol):
    """What a server does with its connections."""

    deadline: float

    def expired(self) -> None:
        """The deadline passed."""

    def shut_down(self) -> None:
        """End after the request at hand."""

    def abort(self) -> None:
        """End now; cancel the handler."""


class Server:
    """A request handler, and everything that its connections have in common.

    Args:
        handler: Answers every request.
        client_max_size: Most bytes of a body that `Request.read` takes; 0 for no limit.
        limits: Bounds on request heads.
        keepalive_timeout: Seconds that an idle connection is kept. aiohttp's default,
            longer than any proxy keeps its side.
        head_timeout: Seconds for a request head, from connecting or from its first
            byte. 30, as uvicorn; a browser on a bad line needs a few.
        body_timeout: Seconds between two pieces of a request body while a handler waits
            for them. 60, as nginx.
        lingering_time: Seconds for the rest of a body that the handler left unread; 0
            closes the connection instead.
        sweep_interval: Seconds between two looks at the connections' deadlines. Time-outs
            are never shorter than told, and up to two intervals longer. 1: far below
            any of them, and not felt by a server without connections.
        read_bufsize: Low-water mark of a body's buffer in bytes; reading stops at twice
            this.
        handler_cancellation: Cancel the handler when its client goes away.
        access_log: Where each answered request is logged at INFO; None for nowhere.
        logger: Where errors are logged.
    """

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[StreamResponse]],
        *,
        client_max_size: int = 1024**2,
        limits: Limits | None = None,
        keepalive_timeout: float = 3630.0,
        head_timeout: float = 30.0,
        body_timeout: float = 60.0,
        lingering_time: float = 10.0,
        sweep_interval: float = 1.0,
        read_bufsize: int = 2**18,
        handler_cancellation: bool = False,
        access_log: logging.Logger | None = access_logger,
        logger: logging.Logger = server_logger,
    ) -> None:
        self.handler = handler
        self.client_max_size = client_max_size
        self.limits: Limits = limits or Limits()
        self.keepalive_timeout = keepalive_timeout
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.lingering_time = lingering_time
        self.sweep_interval = sweep_interval
        self.read_bufsize = read_bufsize
        self.handler_cancellation = handler_cancellation
        self.access_logger: AccessLogger | None = (
            AccessLogger(access_log)
            if access_log is not None and access_log.isEnabledFor(logging.INFO)
            else None
        )
        self.logger = logger
        self.presets: Presets = Presets()
        self.connections: set[ServedConnection] = set()
        #: Requests begun so far.
        self.requests_count = 0
        #: Whether connections end after the request at hand.
        self.closing: bool = False
        #: The runtime's clock as it will be at the next sweep: a deadline counted from
        #: it comes rather late than early.
        self.clock: float = 0.0
        self.runtime: Runtime
        self._sweeper: Task | None = None
        self._all_ended: Waiter | None = None

    async def start(self) -> None:
        """Bind to the running event loop."""
        self.runtime = current_runtime()
        await self.runtime.__aenter__()
        self.clock = self.runtime.now() + self.sweep_interval
        self._sweeper = self.runtime.spawn(self._sweep)

    async def _sweep(self) -> None:
        while True:
            await self.runtime.sleep(self.sweep_interval)
            now = self.runtime.now()
            self.clock = now + self.sweep_interval
            for connection in [c for c in self.connections if c.deadline <= now]:
                connection.expired()

    def connection_ended(self) -> None:
        """Called by a connection that took itself off `connections`."""
        if not self.connections and self._all_ended is not None:
            self._all_ended.set()

    async def shutdown(self, timeout: float) -> None:
        """End all connections: idle ones now, busy ones after their request.

        Args:
            timeout: Seconds until handlers are cancelled.
        """
        self.closing = True
        for connection in list(self.connections):
            connection.shut_down()
        await self._wait_ended(timeout)
        for connection in list(self.connections):
            connection.abort()
        await self._wait_ended(timeout)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
            await self.runtime.__aexit__(None, None, None)

    async def _wait_ended(self, timeout: float) -> None:
        if not self.connections:
            return
        self._all_ended = waiter = self.runtime.waiter()
        timer = self.runtime.spawn(self._set_after, waiter, timeout)
        await waiter.wait()
        timer.cancel()
        self._all_ended = None

    async def _set_after(self, waiter: Waiter, seconds: float) -> None:
        await self.runtime.sleep(seconds)
        waiter.set()
