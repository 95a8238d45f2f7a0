"""What the connections of one server share: settings, the clock, and the end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias

import anyio

import httpcore_proto
from httpcore_proto import Limits
from httpcore_proto.aio import Runtime, StreamReader, Task, Waiter, current_runtime

from ._access_log import AbstractAccessLogger, AccessLogger, make_access_logger
from ._exchange import Exchange
from ._preset import Presets
from ._request import BaseRequest, Request
from ._response import StreamResponse

#: Makes a request of its head, its body, and the exchange that it begins.
RequestFactory: TypeAlias = Callable[[httpcore_proto.Request, StreamReader, Exchange], BaseRequest]
#: Awaited with request and response right before a head is sent.
PrepareHook: TypeAlias = Callable[[Any, StreamResponse], Awaitable[None]]

_DEFAULT_LIMITS: Final = Limits()

access_logger: Final = logging.getLogger("httpserver.access")
server_logger: Final = logging.getLogger("httpserver.server")


class ServedConnection(Protocol):
    """What a server does with its connections."""

    deadline: float

    def expired(self) -> None:
        """The deadline passed."""

    def shut_down(self) -> None:
        """End after the request at hand."""

    def go_away(self) -> None:
        """Tell a client that is not spoken to in HTTP."""

    def abort(self) -> None:
        """End now; cancel the handler."""


class Server:
    """A request handler, and everything that its connections have in common.

    Args:
        handler: Answers every request.
        request_factory: Makes the request that the handler gets.
        client_max_size: Most bytes of a body that `Request.read` takes; 0 for no limit.
        client_max_fields: Most fields of a form that `Request.post` takes; 0 for no limit.
        limits: Bounds on request heads.
        keepalive_timeout: Seconds that an idle connection is kept. aiohttp's default,
            longer than any proxy keeps its side.
        head_timeout: Seconds for a request head, from connecting or from its first
            byte. 30, as uvicorn; a browser on a bad line needs a few.
        body_timeout: Seconds between two pieces of a request body while a handler waits
            for them. 60, as nginx.
        handler_timeout: Seconds for a handler to return its response, else it is cancelled
            and the answer is 504; None for ever, since handlers may stream. Those of
            WebSockets have as long as they want in any case.
        lingering_time: Seconds for the rest of a body that the handler left unread; 0
            closes the connection instead.
        sweep_interval: Seconds between two looks at the connections' deadlines. Time-outs
            are never shorter than told, and up to two intervals longer. 1: far below
            any of them, and not felt by a server without connections.
        read_bufsize: Low-water mark of a body's buffer in bytes; reading stops at twice
            this.
        auto_decompress: Undo the content codings of request bodies.
        handler_cancellation: Cancel the handler when its client goes away; a route may
            decide otherwise.
        max_connections: Further ones get 503 and are closed; None for no limit but the
            system's.
        max_requests: Requests of one connection, which is closed then; None for any number.
        debug: Show tracebacks to clients.
        on_prepare: Awaited with request and response right before a head is sent.
        access_log_class: Makes what logs answered requests, of the two below.
        access_log: Where it logs; None for nowhere. Asked at `start` whether it wants to.
        access_log_format: What it logs.
        logger: Where errors are logged.
        max_line_size: As `limits.max_line_size`, in place of it.
        max_field_size: As `limits.max_field_size`, in place of it.
        max_headers: As `limits.max_headers`, in place of it.
        tcp_keepalive: Have the kernel ask clients that are silent for hours whether they are
            still there.
    """

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[StreamResponse]],
        *,
        request_factory: RequestFactory = Request,
        client_max_size: int = 1024**2,
        client_max_fields: int = 1000,
        limits: Limits | None = None,
        keepalive_timeout: float = 3630.0,
        head_timeout: float = 30.0,
        body_timeout: float = 60.0,
        handler_timeout: float | None = None,
        lingering_time: float = 10.0,
        sweep_interval: float = 1.0,
        read_bufsize: int = 2**18,
        auto_decompress: bool = True,
        handler_cancellation: bool = False,
        max_connections: int | None = None,
        max_requests: int | None = None,
        debug: bool = False,
        on_prepare: PrepareHook | None = None,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        access_log: logging.Logger | None = access_logger,
        access_log_format: str = AccessLogger.LOG_FORMAT,
        logger: logging.Logger = server_logger,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        tcp_keepalive: bool = True,
    ) -> None:
        self.handler = handler
        self.request_factory = request_factory
        self.client_max_size = client_max_size
        self.client_max_fields = client_max_fields
        bounds = {
            "max_line_size": max_line_size,
            "max_field_size": max_field_size,
            "max_headers": max_headers,
        }
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        limits = limits or _DEFAULT_LIMITS
        self.limits: Limits = replace(limits, **given) if given else limits
        self.keepalive_timeout = keepalive_timeout
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.handler_timeout = handler_timeout
        self.lingering_time = lingering_time
        self.sweep_interval = sweep_interval
        self.read_bufsize = read_bufsize
        self.auto_decompress = auto_decompress
        self.handler_cancellation = handler_cancellation
        self.max_connections = max_connections
        self.max_requests = max_requests
        self.debug = debug
        self.on_prepare = on_prepare
        #: What logs answered requests; None if nothing does, or before `start`.
        self.access_logger: AbstractAccessLogger | None = None
        self._access_log = make_access_logger(access_log_class, access_log, access_log_format)
        self.tcp_keepalive = tcp_keepalive
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
        #: Starts a task; the runtime's own method.
        self.spawn: Callable[..., Task]
        #: Calls a function in the next turn of the loop; None where that gains nothing.
        self.soon: Callable[[Callable[[], object]], object] | None = None
        self._sweeper: Task | None = None
        self._all_ended: Waiter | None = None
        self._shutdown_waiters: list[Waiter] = []

    async def start(self) -> None:
        """Bind to the running event loop."""
        if self._access_log is not None and self._access_log.enabled:
            self.access_logger = self._access_log
        self.runtime = current_runtime()
        self.spawn = self.runtime.spawn
        self.soon = self.runtime.soon
        await self.runtime.__aenter__()
        self.clock = self.runtime.now() + self.sweep_interval
        self._sweeper = self.runtime.spawn(self._sweep())

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

    async def wait_shutdown(self) -> None:
        """Wait until the server begins to end."""
        if not self.closing:
            waiter = self.runtime.waiter()
            self._shutdown_waiters.append(waiter)
            try:
                await waiter.wait()
            finally:
                self._shutdown_waiters.remove(waiter)

    def pre_shutdown(self) -> None:
        """Begin to end: idle connections now, busy ones after their request.

        Whoever is in `wait_shutdown` is told. Again does nothing.
        """
        if not self.closing:
            self.closing = True
            for waiter in self._shutdown_waiters:
                waiter.set()
            for connection in list(self.connections):
                connection.shut_down()

    async def shutdown(self, timeout: float) -> None:
        """End all connections: idle ones now, busy ones after their request.

        WebSockets are closed, with code 1001.

        Args:
            timeout: Seconds until handlers are cancelled.
        """
        self.pre_shutdown()
        # Not before: the application's `on_shutdown` may have more to say to them.
        for connection in list(self.connections):
            connection.go_away()
        await self._wait_ended(timeout)
        for connection in list(self.connections):
            connection.abort()
        await self._wait_ended(timeout)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
            await self.runtime.__aexit__(None, None, None)
            # What was cancelled ends in this turn of the loop.
            await self.runtime.sleep(0)

    async def _wait_ended(self, timeout: float) -> None:
        if not self.connections:
            return
        self._all_ended = waiter = self.runtime.waiter()
        try:
            with anyio.move_on_after(timeout):
                await waiter.wait()
        finally:
            self._all_ended = None
