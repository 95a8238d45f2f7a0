"""Runners: an application, or a bare handler, made ready to serve."""

from __future__ import annotations

import logging
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from httpcore_proto.aio import Receiver

from ._access_log import (
    AbstractAccessLogger,
    AccessLogger,
    access_logger,
)
from ._application import Application
from ._connection import HTTPConnection
from ._server import Server

if TYPE_CHECKING:
    from ._sites import BaseSite

# Seconds that handlers have to end after their connections were cut by force.
_LAST_GRACE: Final = 1.0


class BaseRunner(ABC):
    """What all runners do: set up, carry sites, shut down in order.

    `await setup()`, start sites, and in the end `await cleanup()`; or `async with` the
    runner, which does the first and the last.

    Args:
        handle_signals: Make SIGTERM end the program as SIGINT does, by KeyboardInterrupt
            (asyncio: by cancelling the main task), so that `finally` blocks run. Only in
            the main thread.
        shutdown_timeout: Seconds that `cleanup` waits for handlers to end, and again
            after it cancelled them. 60, aiohttp's default.
        drain_delay: Seconds between the end of listening and that of idle connections. A
            request that is on its way on a connection accepted just now is answered, not
            cut; of use where another process goes on listening on the same socket.
    """

    def __init__(
        self,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = 60.0,
        drain_delay: float = 0.0,
    ) -> None:
        self._handle_signals = handle_signals
        self._shutdown_timeout = shutdown_timeout
        self._drain_delay = drain_delay
        self._sites: list[BaseSite] = []
        self._ready = False
        self._old_sigterm: Any = None

    @property
    @abstractmethod
    def server(self) -> Server:
        """What all connections share."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Tell the application that the end is near; a step of `cleanup`."""

    @abstractmethod
    async def _begin(self) -> None:
        """Make ready what is served."""

    @abstractmethod
    async def _end(self) -> None:
        """Take down what is served, also if `_begin` failed half-way."""

    @property
    def addresses(self) -> list[Any]:
        """The addresses listened on, as `socket.getsockname` tells them.

        (host, port) for IPv4, a tuple of four for IPv6, the path of a Unix socket.
        """
        return [address for site in self._sites for address in site.addresses]

    @property
    def sites(self) -> set[BaseSite]:
        """The sites that were started."""
        return set(self._sites)

    @property
    def make_receiver(self) -> Callable[[], Receiver]:
        """What a site gives new links to.

        Raises:
            RuntimeError: Before `setup`.
        """
        if not self._ready:
            raise RuntimeError("call runner.setup() before making a site")
        server = self.server
        return lambda: HTTPConnection(server)

    def add_site(self, site: BaseSite) -> None:
        """Called by a site when it listens.

        Raises:
            RuntimeError: It is there already.
        """
        if site in self._sites:
            raise RuntimeError(f"{site!r} is already registered in {self!r}")
        self._sites.append(site)

    def remove_site(self, site: BaseSite) -> None:
        """Called by a site when it stopped.

        Raises:
            RuntimeError: It is not there.
        """
        if site not in self._sites:
            raise RuntimeError(f"{site!r} is not registered in {self!r}")
        self._sites.remove(site)

    async def setup(self) -> None:
        """Start what is served and bind to the running event loop; again does nothing.

        What was started of an application is cleaned up if the rest fails.
        """
        if self._ready:
            return
        try:
            await self._begin()
            await self.server.start()
        except BaseException:
            with anyio.CancelScope(shield=True):
                try:
                    await self._end()
                except Exception:
                    # The first error is the one to be told; this came of it, likely.
                    self.server.logger.exception("error in cleanup after a failed start")
            raise
        self._ready = True
        if self._handle_signals and threading.current_thread() is threading.main_thread():
            self._old_sigterm = signal.signal(signal.SIGTERM, _interrupt)

    async def __aenter__(self) -> Self:
        await self.setup()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cleanup()

    async def cleanup(self) -> None:
        """Stop listening, let handlers end, close every connection; again does nothing.

        In order: sites stop listening; idle connections end, busy ones are told to, and
        `request.shutdown` is set for those that stream; the application's `on_shutdown`;
        up to `shutdown_timeout` seconds for handlers, which then are cancelled and have as
        long again; the application's `on_cleanup`.

        Cancellation: what is left is done by force. Connections are cut, handlers
        cancelled, and `on_cleanup` still runs, shielded.
        """
        if not self._ready:
            return
        self._ready = False
        ended = False
        server = self.server
        try:
            try:
                for site in list(self._sites):
                    await site.stop()
                # What was accepted just now is a connection after one turn of the loop.
                await server.runtime.sleep(self._drain_delay)
                server.pre_shutdown()
                await self.shutdown()
            except Exception:
                # A handler of `on_shutdown` failed, which is not the clients' fault.
                await server.shutdown(self._shutdown_timeout)
                raise
            await server.shutdown(self._shutdown_timeout)
            ended = True
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._end_by_force(server, cut=not ended)
            raise
        except BaseException:
            await self._end_by_force(server, cut=not ended)
            raise
        else:
            # In no scope: a cleanup context may hold a task group across its `yield`, whose
            # scope can be left only where it was entered.
            await self._end()
        finally:
            self._restore_signals()

    async def _end_by_force(self, server: Server, *, cut: bool) -> None:
        try:
            if cut:
                await self._cut(server)
        finally:
            await self._end()

    async def _cut(self, server: Server) -> None:
        for connection in list(server.connections):
            connection.abort()
        await server.shutdown(_LAST_GRACE)

    def _restore_signals(self) -> None:
        if self._old_sigterm is not None:
            signal.signal(signal.SIGTERM, self._old_sigterm)
            self._old_sigterm = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x}>"


class AppRunner(BaseRunner):
    """Serves an application on any number of sites.

    Args:
        app: The application; `setup` runs its `on_startup` and freezes it.
        handle_signals: As for `BaseRunner`.
        shutdown_timeout: As for `BaseRunner`.
        drain_delay: As for `BaseRunner`.
        access_log_class: Makes the access log.
        access_log: Where it logs; None for nowhere.
        access_log_format: What it logs, in the language of the class.
        **kwargs: As for `Server`. The application's `handler_args` win over all of them.

    Raises:
        TypeError: `app` is no application, `access_log_class` no `AbstractAccessLogger`,
            or an argument is unknown.
        ValueError: The access log's format is not understood.
    """

    def __init__(
        self,
        app: Application,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = 60.0,
        drain_delay: float = 0.0,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        access_log: logging.Logger | None = access_logger,
        access_log_format: str = AccessLogger.LOG_FORMAT,
        **kwargs: Any,
    ) -> None:
        if not isinstance(app, Application):
            raise TypeError(f"app must be an Application, got {type(app).__name__}")
        super().__init__(
            handle_signals=handle_signals,
            shutdown_timeout=shutdown_timeout,
            drain_delay=drain_delay,
        )
        self._app = app
        self._settings: dict[str, Any] = {
            "access_log_class": access_log_class,
            "access_log": access_log,
            "access_log_format": access_log_format,
            "client_max_size": app.client_max_size,
            "client_max_fields": app.client_max_fields,
            **kwargs,
            **(app.handler_args or {}),
        }
        self._server = self._make_server()

    def _make_server(self) -> Server:
        return Server(self._app.handle, **self._settings)

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    @property
    def server(self) -> Server:
        """What all connections share; another one after each `setup`."""
        return self._server

    async def _begin(self) -> None:
        if self._server.closing:
            self._server = self._make_server()
        app = self._app
        await app.startup()
        app.freeze()
        self._server.on_prepare = app.send_response_prepare if app.has_prepare_signals else None

    async def shutdown(self) -> None:
        """Send the application's `on_shutdown`; a step of `cleanup`."""
        await self._app.shutdown()

    async def _end(self) -> None:
        await self._app.cleanup()


class ServerRunner(BaseRunner):
    """Serves a bare handler, without an application: `ServerRunner(Server(handler))`.

    Args:
        web_server: The server; it serves once.
        handle_signals: As for `BaseRunner`.
        shutdown_timeout: As for `BaseRunner`.
        drain_delay: As for `BaseRunner`.

    Raises:
        TypeError: `web_server` is no server.
    """

    def __init__(
        self,
        web_server: Server,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = 60.0,
        drain_delay: float = 0.0,
    ) -> None:
        if not isinstance(web_server, Server):
            raise TypeError(f"web_server must be a Server, got {type(web_server).__name__}")
        super().__init__(
            handle_signals=handle_signals,
            shutdown_timeout=shutdown_timeout,
            drain_delay=drain_delay,
        )
        self._web_server = web_server

    @property
    def server(self) -> Server:
        """What all connections share."""
        return self._web_server

    async def _begin(self) -> None:
        if self._web_server.closing:
            raise RuntimeError("the server was shut down; it serves once")

    async def shutdown(self) -> None:
        """Nobody is to be told; a step of `cleanup`."""

    async def _end(self) -> None:
        """Nothing was started."""


def _interrupt(number: int, frame: object) -> None:
    # How SIGINT gets out of an event loop, each loop knows by itself.
    signal.raise_signal(signal.SIGINT)
