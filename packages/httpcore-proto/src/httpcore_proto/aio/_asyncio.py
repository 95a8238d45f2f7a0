"""The runtime on asyncio and uvloop."""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol, Self

from ._asyncio_link import AsyncioLink
from ._deadlines import Deadlines
from ._interfaces import Receiver
from ._memory_transport import join

# RFC 8305 section 8: the recommended delay between two connection attempts.
_HAPPY_EYEBALLS_DELAY: Final = 0.25

_IP: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class AsyncioWaiter:
    """A waiter over a future."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def set(self) -> None:
        """Wake the waiting task."""
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        """Return once set."""
        await self._future


class AsyncioListener:
    """A listening socket of the event loop."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.sockname: Any = server.sockets[0].getsockname()

    async def aclose(self) -> None:
        """Stop listening.

        `Server.wait_closed` is not for us: since 3.12 it waits for the links as well.
        """
        self._server.close()


class Closable(Protocol):
    """What asyncio gives for a pipe that is listened on."""

    def close(self) -> None:
        """Close."""


class AsyncioPipeListener:
    """A named pipe of Windows that is listened on."""

    def __init__(self, servers: Sequence[Closable], path: str) -> None:
        self._servers = servers
        self.sockname: Any = path

    async def aclose(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()


class AsyncioRuntime:
    """Runtime on the running asyncio loop, uvloop included.

    Tasks need no task group here, so it may be used without being entered.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop)
        self.now: Callable[[], float] = self._loop.time
        self.soon: Callable[[Callable[[], object]], object] | None = self._loop.call_soon
        # The loop keeps only a weak reference to a task: keep the result.
        self.spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]] = self._loop.create_task

    def waiter(self) -> AsyncioWaiter:
        """Return a new waiter."""
        return AsyncioWaiter(self._loop)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def connect_tcp(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        *,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
    ) -> AsyncioLink:
        """Connect with the loop's own RFC 8305 racing; uvloop has none, and tries in turn."""
        options: dict[str, Any] = {}
        if isinstance(self._loop, asyncio.BaseEventLoop):
            options["happy_eyeballs_delay"] = _HAPPY_EYEBALLS_DELAY
        _, link = await self._loop.create_connection(
            lambda: AsyncioLink(self._loop, self._deadlines, receiver),
            host,
            port,
            ssl=ssl,
            server_hostname=server_hostname or (host if ssl is not None else None),
            local_addr=local_addr,
            **options,
        )
        return link

    async def connect_sock(
        self,
        receiver: Receiver,
        sock: socket.socket,
        *,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> AsyncioLink:
        """Give a connected socket to the loop."""
        is_unix = sock.family == getattr(socket, "AF_UNIX", None)
        loop = self._loop
        _, link = await (loop.create_unix_connection if is_unix else loop.create_connection)(
            lambda: AsyncioLink(loop, self._deadlines, receiver),
            sock=sock,
            ssl=ssl,
            server_hostname=server_hostname,
        )
        return link

    async def connect_pipe(self, receiver: Receiver, path: str) -> AsyncioLink:
        """Connect to a named pipe of Windows, which only asyncio's proactor loop can.

        Raises:
            OSError: There is no such pipe, or it is busy.
            RuntimeError: The loop is another one.
        """
        connect = getattr(self._loop, "create_pipe_connection", None)
        if connect is None:
            raise RuntimeError("named pipes need asyncio's ProactorEventLoop")
        link: AsyncioLink
        _, link = await connect(lambda: AsyncioLink(self._loop, self._deadlines, receiver), path)
        return link

    async def listen(
        self,
        make_receiver: Callable[[], Receiver],
        sock: socket.socket,
        *,
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = 128,
    ) -> AsyncioListener:
        """Listen on a bound socket."""
        loop, deadlines = self._loop, self._deadlines
        if sock.family in _IP:
            # What is accepted inherits it. asyncio sets it only where the socket was made for
            # TCP by number, which few are; without it, what is written in two pieces waits for
            # the peer's delayed acknowledgement of the first.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = await loop.create_server(
            lambda: AsyncioLink(loop, deadlines, make_receiver()),
            sock=sock,
            ssl=ssl,
            backlog=backlog,
        )
        return AsyncioListener(server)

    async def listen_pipe(
        self, make_receiver: Callable[[], Receiver], path: str
    ) -> AsyncioPipeListener:
        """Listen on a named pipe of Windows, which only asyncio's proactor loop can.

        Raises:
            OSError: The pipe cannot be had.
            RuntimeError: The loop is another one.
        """
        listen = getattr(self._loop, "start_serving_pipe", None)
        if listen is None:
            raise RuntimeError("named pipes need asyncio's ProactorEventLoop")
        loop, deadlines = self._loop, self._deadlines
        servers = await listen(lambda: AsyncioLink(loop, deadlines, make_receiver()), path)
        return AsyncioPipeListener(servers, path)

    def join(
        self,
        client: Receiver,
        server: Receiver,
        *,
        client_facts: Mapping[str, Any] | None = None,
        server_facts: Mapping[str, Any] | None = None,
    ) -> tuple[AsyncioLink, AsyncioLink]:
        """Put a transport in memory between two links."""
        first = AsyncioLink(self._loop, self._deadlines, client)
        second = AsyncioLink(self._loop, self._deadlines, server)
        join(self._loop, first, second, (client_facts or {}, server_facts or {}))
        return first, second

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to end: tasks here belong to whoever spawned them."""
