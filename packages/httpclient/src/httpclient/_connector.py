"""Connections on demand: the pool decides, a connector carries out.

Taking an idle connection is a plain call, so that the usual request neither waits nor
enters a time-out scope before it is written. Only who finds none awaits `acquire`, which
stands in line, if need be, and connects.

Idle connections are looked at when they are taken, and swept now and then while there
are any, so that they close although nobody asks.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl as ssl_module
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import anyio

from httpcore_proto.aio import AnyioRuntime, current_runtime

from ._connection import ClientHTTPConnection
from ._errors import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
)
from ._pool import Place, Pool, Ticket
from ._timeouts import ClientTimeout
from ._tls import check_ssl, load_context
from ._url import ConnectionKey

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from httpcore_proto.aio import Link, Runtime, Waiter

# Seconds that close() waits for links to go down; they are aborted, so it is a matter of
# loop iterations, and the bound is for links that misbehave.
_CLOSE_TIMEOUT: Final = 2.0
# Seconds; aiohttp's. Below what the common servers allow, so that they rarely close first.
_KEEPALIVE_TIMEOUT: Final = 15.0


class BaseConnector:
    """Keeps the connections of a session, and makes new ones.

    It may be made outside of an event loop and belongs to the first one it is used in.
    Not for subclassing by users yet.

    Args:
        keepalive_timeout: Seconds for which an unused connection is kept; None for
            ever. 15, as in aiohttp.
        force_close: Close every connection after one exchange.
        limit: Most connections in use at once; 0 for any number. Requests over it wait
            in order.
        limit_per_host: The same for one host, port and TLS setting.

    Raises:
        ValueError: `keepalive_timeout` is given together with `force_close`, or a number
            is negative.
    """

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = _KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
    ) -> None:
        self._closed = True  # until the arguments are found to be good
        if limit < 0 or limit_per_host < 0:
            raise ValueError("limit and limit_per_host must be 0 or more")
        if force_close and keepalive_timeout not in (None, _KEEPALIVE_TIMEOUT):
            raise ValueError("keepalive_timeout cannot be set if force_close is True")
        self._force_close = force_close
        self._keepalive_timeout = float("inf") if keepalive_timeout is None else keepalive_timeout
        self._pool: Pool[ClientHTTPConnection] = Pool(limit, limit_per_host)
        self._waiters: dict[Ticket[ClientHTTPConnection], Waiter] = {}
        self._open: set[ClientHTTPConnection] = set()
        self._bound: Runtime | None = None
        self._polls = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_at = float("-inf")
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

    async def close(self) -> None:
        """Close all connections, in use or not, and wait until they are.

        Requests that wait for a connection fail with `ClientConnectionError`. A second
        call does nothing. Waits for two seconds at the most, and is not cancelled.
        """
        links = [connection.link for connection in self._open]
        self.abort()
        if self._bound is not None:
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                for link in links:
                    await link.wait_closed()
                # Those that were closed just before are told in the next iteration.
                await self._bound.sleep(0)

    def abort(self) -> None:
        """Close everything at once, without waiting for it."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _, tickets = self._pool.clear()
        for ticket in tickets:
            self._wake(ticket)
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

    # For the session.

    def take(self, key: ConnectionKey, now: float) -> ClientHTTPConnection | None:
        """Take an idle connection, if there is one and a limit does not forbid it.

        The caller owes it a `request`.
        """
        while (taken := self._pool.take(key)) is not None:
            connection, since = taken
            if (
                now - since < self._keepalive_timeout
                and connection.usable
                and not (self._polls and _is_readable(connection.link))
            ):
                return connection
            self._discard(connection)
            self._wake(self._pool.free(connection.place))
        return None

    async def acquire(
        self, key: ConnectionKey, timeout: ClientTimeout, total_at: float | None
    ) -> ClientHTTPConnection:
        """Stand in line if the limits say so, then get a connection or make one.

        The caller owes it a `request`. Cancelled, it leaves nothing behind.

        Raises:
            ClientConnectorError: No connection can be made.
            ClientConnectionError: The connector is closed.
            ConnectionTimeoutError: `connect` or `sock_connect` passed.
            TimeoutError: `total` passed.
        """
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        bounds: list[tuple[float, Exception]] = []
        if total_at is not None:
            bounds.append((total_at, TimeoutError(f"total timeout of {timeout.total} s passed")))
        if timeout.connect:
            bounds.append(
                (
                    self.now() + timeout.connect,
                    ConnectionTimeoutError(
                        f"no connection to {key.host}:{key.port} for {timeout.connect} s (connect)"
                    ),
                )
            )
        place = self._pool.reserve(key)
        if place is None:
            place, connection = await self._wait_turn(key, bounds)
            if connection is not None:
                return connection
        if timeout.sock_connect:
            bounds.append(
                (
                    self.now() + timeout.sock_connect,
                    ConnectionTimeoutError(
                        f"no connection to {key.host}:{key.port} for "
                        f"{timeout.sock_connect} s (sock_connect)"
                    ),
                )
            )
        return await self._connect(key, place, bounds)

    # For connections.

    def now(self) -> float:
        """Seconds on the runtime's clock; the first call finds the runtime."""
        now = self._runtime.now
        self.now = now  # type: ignore[method-assign]  # saves a call, twice per request
        return now()

    def keep(self, connection: ClientHTTPConnection) -> None:
        """Take back a connection that may be used again."""
        if self._force_close or self._closed:
            connection.link.close()
            self.drop(connection)
            return
        now = self.now()
        served = self._pool.put(connection.place, connection, now)
        if served is not None:
            self._wake(served)
        if now >= self._sweep_at:
            self._sweep(now)

    def drop(self, connection: ClientHTTPConnection) -> None:
        """Take note that a connection in use is done for, and its link closed."""
        self._open.discard(connection)
        self._wake(self._pool.free(connection.place))

    def lost(self, connection: ClientHTTPConnection) -> None:
        """Take note that a link is gone."""
        self._open.discard(connection)
        self._pool.remove_idle(connection.place, connection)

    # Inside.

    @property
    def _runtime(self) -> Runtime:
        if self._bound is None:
            self._bound = current_runtime()
            # There nobody reads an idle link: ask its socket before using it.
            self._polls = isinstance(self._bound, AnyioRuntime)
        return self._bound

    def _discard(self, connection: ClientHTTPConnection) -> None:
        """Close a connection that the pool has given up.

        Some links tell their loss only to who waits for it, so `lost` may never come.
        """
        self._open.discard(connection)
        connection.link.abort()

    def _wake(self, ticket: Ticket[ClientHTTPConnection] | None) -> None:
        if ticket is not None:
            self._waiters[ticket].set()

    async def _wait_turn(
        self, key: ConnectionKey, bounds: list[tuple[float, Exception]]
    ) -> tuple[Place[ClientHTTPConnection], ClientHTTPConnection | None]:
        """Stand in line; return what was got, a connection or only the room for one."""
        ticket = self._pool.enqueue(key)
        waiter = self._waiters[ticket] = self._runtime.waiter()
        try:
            await self._bounded(waiter.wait(), bounds)
            if self._closed:
                raise ClientConnectionError("Connector is closed.")
        except BaseException:
            if ticket.connection is not None and not ticket.connection.usable:
                ticket.connection = None
            self._wake(self._pool.withdraw(ticket, self.now()))
            raise
        finally:
            del self._waiters[ticket]
        connection = ticket.connection
        if connection is not None and not connection.usable:
            connection = None
        return ticket.place, connection

    async def _connect(
        self,
        key: ConnectionKey,
        place: Place[ClientHTTPConnection],
        bounds: list[tuple[float, Exception]],
    ) -> ClientHTTPConnection:
        connection = ClientHTTPConnection(self, key.limits)
        connection.place = place
        try:
            await self._bounded(self._dial(key, connection), bounds)
            if self._closed:
                connection.link.abort()
                raise ClientConnectionError("Connector is closed.")
        except BaseException:
            self._wake(self._pool.free(place))
            raise
        if connection.usable:
            self._open.add(connection)
        return connection

    async def _bounded(
        self, operation: Awaitable[None], bounds: list[tuple[float, Exception]]
    ) -> None:
        """Await an operation; raise the error of the bound that passes first."""
        if not bounds:
            await operation
            return
        at, error = min(bounds, key=lambda bound: bound[0])
        with anyio.move_on_after(at - self.now()) as scope:
            await operation
        if scope.cancelled_caught:
            raise error

    async def _dial(self, key: ConnectionKey, connection: ClientHTTPConnection) -> None:
        """Connect; a failure leaves no link behind."""
        raise NotImplementedError

    def _sweep(self, now: float) -> None:
        """Close what is idle for too long, and see that it is done again."""
        interval = self._keepalive_timeout
        for connection in self._pool.expire(now - interval):
            self._discard(connection)
        self._sweep_at = now + interval
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if interval == float("inf") or not self._pool.idle_count:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # No timers there: done when a connection is taken or put back.
            return
        self._timer = loop.call_later(interval, _sweep_again, weakref.ref(self))


def _is_readable(link: Link) -> bool:
    """Whether something arrived on a link that nobody reads: unasked bytes, or the end."""
    sock = link.info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    if hasattr(select, "poll"):
        # select() cannot look at descriptors above 1023.
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


def _sweep_again(reference: weakref.ref[BaseConnector]) -> None:
    """Sweep, on the timer of asyncio; the timer keeps no connector alive."""
    connector = reference()
    if connector is not None:
        connector._sweep(connector.now())


class TCPConnector(BaseConnector):
    """Connects over TCP, and TLS for https.

    Args:
        ssl: TLS setting for requests that have none of their own: True to verify
            certificate and host name, False to accept anything, or a context.
        keepalive_timeout: As for `BaseConnector`, like all that follow.
        force_close: Close every connection after one exchange.
        limit: Most connections in use at once; 0 for any number.
        limit_per_host: The same for one host, port and TLS setting.

    Raises:
        TypeError: `ssl` is neither a bool nor a context.
        ValueError: As for `BaseConnector`.
    """

    def __init__(
        self,
        *,
        ssl: ssl_module.SSLContext | bool = True,
        keepalive_timeout: float | None = _KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
        )
        check_ssl(ssl)
        self._ssl = ssl

    async def _dial(self, key: ConnectionKey, connection: ClientHTTPConnection) -> None:
        context = name = None
        if key.is_ssl:
            context = await load_context(self._ssl if key.ssl is True else key.ssl)
            # RFC 6066 section 3: no trailing dot in SNI.
            name = key.server_hostname or key.host.rstrip(".")
        try:
            await self._runtime.connect_tcp(
                connection, key.host, key.port, ssl=context, server_hostname=name
            )
        except ssl_module.SSLCertVerificationError as exc:
            raise ClientConnectorCertificateError(key, exc) from exc
        except ssl_module.SSLError as exc:
            raise ClientConnectorSSLError(key, exc) from exc
        except socket.gaierror as exc:
            raise ClientConnectorDNSError(key, exc) from exc
        except UnicodeError as exc:  # what the resolver makes of a malformed name
            error = socket.gaierror(socket.EAI_NONAME, f"not a host name ({exc})")
            raise ClientConnectorDNSError(key, error) from exc
        except OSError as exc:
            raise ClientConnectorError(key, exc) from exc
