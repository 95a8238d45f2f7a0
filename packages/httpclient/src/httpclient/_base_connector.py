"""Connections on demand: the pool decides, a connector carries out.

Taking an idle connection is a plain call, so that the usual request neither waits nor
enters a time-out scope before it is written. Only who finds none awaits `acquire`, which
stands in line, if need be, and connects.

Idle connections are looked at when they are taken, and swept now and then while there
are any: on asyncio by a timer, so that they close although nobody asks; on trio, where a
timer would need a task, whenever one is put back.
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar, Final, cast

import anyio
import anyio.lowlevel

from httpcore_proto.aio import AnyioRuntime, current_runtime

from ._bounds import Bound, Bounds
from ._connection import ClientHTTPConnection
from ._errors import ClientConnectionError
from ._pool import Place, Pool, Ticket
from ._pool_stats import Origin
from ._sockets import is_readable
from ._timeouts import ClientTimeout
from ._trace_params import (
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
)
from ._url import ConnectionKey

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType
    from typing import Self

    from httpcore_proto.aio import Runtime, Waiter

    from ._tracing import Traces

# Seconds that close() waits for links to go down; they are aborted, so it is a matter of
# loop iterations, and the bound is for links that misbehave.
_CLOSE_TIMEOUT: Final = 2.0
# Seconds; aiohttp's. Below what the common servers allow, so that they rarely close first.
KEEPALIVE_TIMEOUT: Final = 15.0
# Seconds by which a connection is given up before a server does that has told its time, or
# half of that time if it is short: a request takes a while to get there.
_HINT_MARGIN: Final = 0.5
# None where the loop is not asyncio's, and costs little enough for each request.
_running_loop: Final = asyncio._get_running_loop


class BaseConnector:
    """Keeps the connections of a session, and makes new ones.

    It may be made outside of an event loop and belongs to the first one it is used in.

    Args:
        keepalive_timeout: Seconds for which an unused connection is kept; None for
            ever. 15, as in aiohttp. A server that names a shorter time in Keep-Alive is
            taken at its word.
        force_close: Close every connection after one exchange.
        limit: Most connections in use at once; 0 for any number. Requests over it wait
            in order.
        limit_per_host: The same for one host, port, TLS setting and proxy.
        timeout_ceil_threshold: Without effect. aiohttp rounds longer time-outs up.

    Raises:
        ValueError: `keepalive_timeout` is given together with `force_close`, or a number
            is negative.
    """

    #: The schemes of URLs that it connects to; "" is that of a relative URL.
    allowed_protocol_schema_set: ClassVar[frozenset[str]] = frozenset(
        {"", "http", "https", "ws", "wss"}
    )

    _closed = True  # until the arguments are found to be good

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        timeout_ceil_threshold: float = 5,
    ) -> None:
        if limit < 0 or limit_per_host < 0:
            raise ValueError("limit and limit_per_host must be 0 or more")
        if keepalive_timeout is not None and not keepalive_timeout >= 0:
            raise ValueError("keepalive_timeout must be 0 or more, or None")
        if force_close and keepalive_timeout not in (None, KEEPALIVE_TIMEOUT):
            raise ValueError("keepalive_timeout cannot be set if force_close is True")
        self._force_close = force_close
        self._keepalive_timeout = float("inf") if keepalive_timeout is None else keepalive_timeout
        self._pool: Pool[ClientHTTPConnection] = Pool(limit, limit_per_host, _origin)
        self._waiters: dict[Ticket[ClientHTTPConnection], Waiter] = {}
        self._open: set[ClientHTTPConnection] = set()
        # Of what waits or connects, to end it in `close`.
        self._scopes: set[anyio.CancelScope] = set()
        self._bound: Runtime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._token: anyio.lowlevel.EventLoopToken | None = None
        self._polls = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_at = float("-inf")
        # For warnings: of this tracemalloc can tell where it was made, and of an instance
        # such as this one it cannot in Python 3.11.
        self._source = bytearray()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def force_close(self) -> bool:
        """Whether connections are closed after one exchange."""
        return self._force_close

    @property
    def limit(self) -> int:
        """Most connections in use at once; 0 for any number."""
        return self._pool.limit

    @property
    def limit_per_host(self) -> int:
        """Most connections in use at once to one host; 0 for any number."""
        return self._pool.limit_per_host

    @property
    def pool(self) -> Pool[ClientHTTPConnection]:
        """The pool, for its `stats()`. Not in aiohttp."""
        return self._pool

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections, in use or not, and wait until they are.

        Requests that wait for a connection, or connect, fail with `ClientConnectionError`.
        A second call does nothing. Waits for two seconds at the most, and is not
        cancelled. In an event loop that is not the connector's it does not wait.

        Args:
            abort_ssl: Without effect: TLS always ends without its farewell here.
        """
        links = [connection.link for connection in self._open]
        try:
            self.abort()
        except RuntimeError:
            return  # the event loop is closed, and its sockets with it
        if self._bound is None or self._is_elsewhere():
            return
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            for link in links:
                await link.wait_closed()
            await self._shut_down()
            # Those that were closed just before are told in the next iteration.
            await self._bound.sleep(0)

    def abort(self) -> None:
        """Close everything at once, without waiting for it.

        Raises:
            RuntimeError: The event loop is closed already.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        idle, tickets = self._pool.clear()
        for place, _ in idle:
            place.tally.close("connector")
        for ticket in tickets:
            self._wake(ticket)
        for scope in list(self._scopes):
            scope.cancel()
        error = ClientConnectionError("Connector is closed.")
        for connection in list(self._open):
            connection.abandon(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._closed or not self._open:
            return
        warnings.warn(
            f"Unclosed connector {self!r}", ResourceWarning, stacklevel=1, source=self._source
        )
        try:
            self.abort()
        except RuntimeError:
            pass  # the event loop is closed, and its sockets with it

    # For the session.

    def take(self, key: ConnectionKey, now: float) -> ClientHTTPConnection | None:
        """Take an idle connection, if there is one and a limit does not forbid it.

        The caller owes it a `request`.

        Raises:
            RuntimeError: This is not the connector's event loop.
        """
        while (taken := self._pool.take(key)) is not None:
            connection, until = taken
            here = _running_loop() is self._loop
            # The usual case without a further call: this is on the way of every request.
            if not (here and now < until and connection.usable) or self._polls:
                if not here:
                    self._pool.put(connection.place, connection, until)
                    self._refuse_elsewhere()
                reason = self._unfit(connection, until, now)
                if reason is not None:
                    self._discard(connection, reason)
                    self._wake(self._pool.free(connection.place))
                    continue
            connection.place.tally.reused += 1
            return connection
        return None

    async def acquire(
        self,
        key: ConnectionKey,
        timeout: ClientTimeout,
        total_at: float | None,
        traces: Traces | None = None,
    ) -> ClientHTTPConnection:
        """Stand in line if the limits say so, then get a connection or make one.

        The caller owes it a `request`. Cancelled, it leaves nothing behind.

        Raises:
            ClientConnectorError: No connection can be made.
            ClientConnectionError: The connector is closed.
            PoolTimeoutError: `pool` passed.
            ConnectionTimeoutError: `connect` or `sock_connect` passed.
            RuntimeError: This is not the connector's event loop.
            TimeoutError: `total` passed.
        """
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        now = self.now()
        if self._is_elsewhere():
            self._refuse_elsewhere()
        bounds = Bounds(key, timeout, total_at, now)
        place = self._pool.reserve(key)
        if place is None:
            bound = bounds.waiting(now, self.limit, self.limit_per_host)
            place, connection = await self._wait_turn(key, bound, traces)
            if connection is not None:
                return connection
        return await self._connect(key, place, bounds.connecting(self.now()), traces)

    # For connections.

    def now(self) -> float:
        """Seconds on the runtime's clock; the first call finds the runtime."""
        if self._bound is None:
            self._bound = current_runtime()
            self._loop = _running_loop()
            self._token = anyio.lowlevel.current_token()
            # There nobody reads an idle link: ask its socket before using it.
            self._polls = isinstance(self._bound, AnyioRuntime)
        now = self._bound.now
        self.now = now  # type: ignore[method-assign]  # saves a call, twice per request
        return now()

    def keep(self, connection: ClientHTTPConnection) -> None:
        """Take back a connection that may be used again."""
        if self._force_close or self._closed:
            connection.link.abort()
            self.drop(connection, "force_close" if self._force_close else "connector")
            return
        now = self.now()
        until = now + self._keepalive_timeout
        hint = connection.keepalive_hint
        if hint is not None:
            until = min(until, now + max(hint - _HINT_MARGIN, hint / 2))
        served = self._pool.put(connection.place, connection, until)
        if served is not None:
            self._wake(served)
        if now >= self._sweep_at:
            self._sweep(now)

    def drop(self, connection: ClientHTTPConnection, reason: str = "used") -> None:
        """Take note that a connection in use is done for, and its link closed."""
        self._open.discard(connection)
        connection.place.tally.close("connector" if self._closed else reason)
        self._wake(self._pool.free(connection.place))

    def lost(self, connection: ClientHTTPConnection) -> None:
        """Take note that a link is gone."""
        self._open.discard(connection)
        if self._pool.remove_idle(connection.place, connection):
            connection.place.tally.close("lost")

    # For connectors of other kinds.

    async def _dial(
        self, key: ConnectionKey, connection: ClientHTTPConnection, traces: Traces | None
    ) -> None:
        """Connect: give `connection` a link. A failure leaves no link behind.

        Raises:
            ClientConnectorError: It cannot be done.
        """
        raise NotImplementedError

    async def _shut_down(self) -> None:
        """Close what else the connector holds, all connections being closed."""

    @property
    def _runtime(self) -> Runtime:
        self.now()
        assert self._bound is not None
        return self._bound

    # Inside.

    def _is_elsewhere(self) -> bool:
        return anyio.lowlevel.current_token() != self._token

    def _refuse_elsewhere(self) -> None:
        raise RuntimeError(
            "this connector belongs to another event loop, the first that it was used in: "
            "make a session for each loop"
        )

    def _unfit(self, connection: ClientHTTPConnection, until: float, now: float) -> str | None:
        """Return why an idle connection is not to be used; None if it is."""
        if now >= until:
            return "expired"
        if not connection.usable:
            return "lost"
        if self._polls and is_readable(connection.link):
            return "unasked"
        return None

    def _discard(self, connection: ClientHTTPConnection, reason: str) -> None:
        """Close a connection that the pool has given up.

        Some links tell their loss only to who waits for it, so `lost` may never come.
        """
        self._open.discard(connection)
        connection.place.tally.close(reason)
        connection.link.abort()

    def _wake(self, ticket: Ticket[ClientHTTPConnection] | None) -> None:
        if ticket is not None:
            self._waiters[ticket].set()

    async def _wait_turn(
        self,
        key: ConnectionKey,
        bound: Bound,
        traces: Traces | None,
    ) -> tuple[Place[ClientHTTPConnection], ClientHTTPConnection | None]:
        """Stand in line; return what was got, a connection or only the room for one."""
        ticket = self._pool.enqueue(key)
        self._waiters[ticket] = self._runtime.waiter()
        try:
            await self._bounded(self._wait(ticket, traces), bound)
        except BaseException:
            self._leave_unfit(ticket)
            self._wake(self._pool.withdraw(ticket))
            raise
        finally:
            del self._waiters[ticket]
        return ticket.place, ticket.connection

    async def _wait(self, ticket: Ticket[ClientHTTPConnection], traces: Traces | None) -> None:
        if traces is not None:
            await traces.send("on_connection_queued_start", TraceConnectionQueuedStartParams())
        await self._waiters[ticket].wait()
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        if traces is not None:
            await traces.send("on_connection_queued_end", TraceConnectionQueuedEndParams())
        self._leave_unfit(ticket)
        if ticket.connection is not None:
            if traces is not None:
                await traces.send("on_connection_reuseconn", TraceConnectionReuseconnParams())
            ticket.place.tally.reused += 1

    def _leave_unfit(self, ticket: Ticket[ClientHTTPConnection]) -> None:
        """Close the connection that a ticket was served with, if it is good no longer."""
        connection = ticket.connection
        if connection is not None:
            reason = self._unfit(connection, ticket.until, self.now())
            if reason is not None:
                ticket.connection = None
                self._discard(connection, reason)

    async def _connect(
        self,
        key: ConnectionKey,
        place: Place[ClientHTTPConnection],
        bound: Bound,
        traces: Traces | None,
    ) -> ClientHTTPConnection:
        connection = ClientHTTPConnection(self, key.limits)
        connection.place = place
        try:
            await self._bounded(self._make(key, connection, traces), bound)
        except BaseException:
            place.tally.failed += 1
            self._wake(self._pool.free(place))
            raise
        place.tally.opened += 1
        if connection.usable:
            self._open.add(connection)
        return connection

    async def _make(
        self, key: ConnectionKey, connection: ClientHTTPConnection, traces: Traces | None
    ) -> None:
        if traces is not None:
            await traces.send("on_connection_create_start", TraceConnectionCreateStartParams())
        await self._dial(key, connection, traces)
        try:
            if traces is not None:
                await traces.send("on_connection_create_end", TraceConnectionCreateEndParams())
            if self._closed:
                raise ClientConnectionError("Connector is closed.")
        except BaseException:
            connection.link.abort()
            raise

    async def _bounded(self, operation: Awaitable[None], bound: Bound) -> None:
        """Await an operation; raise the error of the bound if that passes before."""
        with anyio.CancelScope(deadline=bound.at) as scope:
            self._scopes.add(scope)
            try:
                await operation
                return
            finally:
                self._scopes.discard(scope)
        if self._closed or bound.error is None:
            raise ClientConnectionError("Connector is closed.")
        raise bound.error

    def _sweep(self, now: float) -> None:
        """Close what is idle for too long, and see that it is done again."""
        interval = self._keepalive_timeout
        for _, connection in self._pool.expire(now):
            self._discard(connection, "expired")
        self._sweep_at = now + interval
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if interval == float("inf") or not self._pool.idle_count or self._loop is None:
            return
        self._timer = self._loop.call_later(interval, _sweep_again, weakref.ref(self))


def _origin(key: Hashable) -> Origin:
    key = cast(ConnectionKey, key)
    proxy = None if key.proxy is None else str(key.proxy.url)
    return Origin("https" if key.is_ssl else "http", key.host, key.port, proxy)


def _sweep_again(reference: weakref.ref[BaseConnector]) -> None:
    """Sweep, on the timer of asyncio; the timer keeps no connector alive."""
    connector = reference()
    if connector is not None:
        connector._sweep(connector.now())
