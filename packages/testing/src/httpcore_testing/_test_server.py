"""Servers for tests: an application or a bare handler, served for as long as a test needs it."""

from __future__ import annotations

import socket
import ssl as ssl_module
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Self, TypeAlias

from yarl import URL

from httpserver import (
    Application,
    AppRunner,
    BaseRunner,
    Server,
    ServerRunner,
    SockSite,
    StreamResponse,
)

from ._ports import get_port_socket

#: How requests reach the server: through a socket, or in memory.
Transport: TypeAlias = Literal["socket", "memory"]
#: Makes a bound socket of host, port and address family.
SocketFactory: TypeAlias = Callable[[str, int, socket.AddressFamily], socket.socket]

# What a runner takes; the rest of the options is the server's.
_RUNNER_OPTIONS: Final = frozenset({"handle_signals", "shutdown_timeout", "drain_delay"})
# Of URLs of a server without a socket.
_DEFAULT_PORT: Final = 80


class BaseTestServer(ABC):
    """What test servers have in common.

    `await start_server()` and `await close()`, or use it with `async with`.

    Args:
        scheme: Of the URLs; "http", or "https" with TLS, unless given.
        host: Name or address to listen on.
        port: TCP port; any that is free unless given.
        skip_url_asserts: Let `make_url` take absolute URLs.
        socket_factory: Makes the bound socket, of host, port (0 for any) and family.
        **kwargs: Of the runner, for `start_server` to add to.

    Attributes:
        host: As given.
        port: As given; after the start the one that is listened on, and 80 in memory.
        scheme: "http" or "https", after the start.
        skip_url_asserts: As given.
        socket_factory: As given.
        runner: What serves; None before the start.
        started: Whether it was started.
        closed: Whether it was closed.
    """

    __test__ = False  # it is no class of tests, whatever its name says

    def __init__(
        self,
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        skip_url_asserts: bool = False,
        socket_factory: SocketFactory = get_port_socket,
        **kwargs: Any,
    ) -> None:
        self.host: str = host
        self.port: int | None = port
        self.scheme: str = scheme
        self.skip_url_asserts: bool = skip_url_asserts
        self.socket_factory: SocketFactory = socket_factory
        self.runner: BaseRunner | None = None
        self.started: bool = False
        self.closed: bool = False
        self._options = kwargs
        self._root: URL | None = None

    @abstractmethod
    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        """Return a runner of what is served; `kwargs` are its options."""

    @property
    def handler(self) -> Server:
        """What all connections share.

        Raises:
            RuntimeError: Before the start.
        """
        if self.runner is None:
            raise RuntimeError("the server is not started: await start_server()")
        return self.runner.server

    async def start_server(
        self,
        *,
        ssl: ssl_module.SSLContext | None = None,
        transport: Transport = "socket",
        **kwargs: Any,
    ) -> None:
        """Start what is served, and listen; again does nothing.

        Args:
            ssl: Speak TLS by this context.
            transport: "memory" to listen nowhere: only a `TestClient` gets there.
            **kwargs: Of the runner, `shutdown_timeout` for instance, and of
                `httpserver.Server`. `handler_cancellation` is on.

        Raises:
            OSError: The address cannot be had.
            TypeError: An option is unknown.
            ValueError: `ssl` is given for a server in memory.
        """
        if self.runner is not None:
            return
        if transport == "memory" and ssl is not None:
            raise ValueError('transport="memory" has no TLS: leave out ssl, or use a socket')
        options = {"handler_cancellation": True, **self._options, **kwargs}
        runner = await self._make_runner(**options)
        await runner.setup()
        try:
            if transport == "socket":
                await self._listen(runner, ssl)
        except BaseException:
            await runner.cleanup()
            raise
        self.runner = runner
        self.scheme = self.scheme or ("http" if ssl is None else "https")
        self.port = self.port or _DEFAULT_PORT
        self._root = URL.build(scheme=self.scheme, host=self.host, port=self.port)
        self.started = True

    async def _listen(self, runner: BaseRunner, ssl: ssl_module.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = self.socket_factory(self.host, self.port or 0, family)
        try:
            site = SockSite(runner, sock, ssl_context=ssl)
            await site.start()
        except BaseException:
            sock.close()
            raise
        _, self.port = site.sockname[:2]

    def make_url(self, path: str | URL) -> URL:
        """Return the URL of a path on this server.

        Args:
            path: A path, with a query or without; relative to "/".

        Raises:
            AssertionError: `path` is an absolute URL.
            RuntimeError: Before the start.
        """
        if self._root is None:
            raise RuntimeError("the server is not started: await start_server()")
        url = URL(path)
        if not self.skip_url_asserts:
            assert not url.absolute, f"give a path of the server, not an absolute URL: {path}"
        return self._root.join(url)

    async def close(self) -> None:
        """Close it as a server is closed, with all that is in `BaseRunner.cleanup`.

        Again, or before the start, does nothing.
        """
        if self.runner is not None and not self.closed:
            self.closed = True
            self._root = None
            await self.runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        where = "not started" if self._root is None else str(self._root)
        return f"<{type(self).__name__} {'closed' if self.closed else where}>"


class TestServer(BaseTestServer):
    """Serves an application.

    Args:
        app: The application.
        scheme: As for `BaseTestServer`.
        host: As for `BaseTestServer`.
        port: As for `BaseTestServer`.
        **kwargs: As for `BaseTestServer`.

    Attributes:
        app: As given.
    """

    def __init__(
        self,
        app: Application,
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self.app: Application = app

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        return AppRunner(self.app, **kwargs)


class RawTestServer(BaseTestServer):
    """Serves a bare handler, in debug mode: errors show their tracebacks.

    Args:
        handler: Answers every request.
        scheme: As for `BaseTestServer`.
        host: As for `BaseTestServer`.
        port: As for `BaseTestServer`.
        **kwargs: As for `BaseTestServer`.
    """

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[StreamResponse]],
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self._handler = handler

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        ours = {name: kwargs.pop(name) for name in _RUNNER_OPTIONS & kwargs.keys()}
        return ServerRunner(Server(self._handler, **{"debug": True, **kwargs}), **ours)
