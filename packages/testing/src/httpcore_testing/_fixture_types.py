"""What the pytest plugin's factory fixtures are, for annotations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, overload

from httpserver import Application, BaseRequest, Request, StreamResponse

from ._test_client import TestClient
from ._test_server import BaseTestServer, RawTestServer, TestServer, Transport

# Takes what closes something, and sees to it that it is called and awaited in time.
_Keep: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]


class HTTPClientFixture:
    """The fixture `http_client`: makes started clients, which are closed after the test.

    Args:
        keep: Called with the `close` of each client, before it is started.
    """

    def __init__(self, keep: _Keep) -> None:
        self._keep = keep

    @overload
    async def __call__(
        self,
        app_or_server: Application | TestServer,
        /,
        *,
        transport: Transport = "socket",
        server_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[Request, Application]: ...

    @overload
    async def __call__(
        self,
        app_or_server: BaseTestServer,
        /,
        *,
        transport: Transport = "socket",
        server_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[BaseRequest, None]: ...

    async def __call__(
        self,
        app_or_server: Application | BaseTestServer,
        /,
        *,
        transport: Transport = "socket",
        server_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> TestClient[Any, Any]:
        """Start a client of an application or a test server, and the server with it.

        Args:
            app_or_server: What it is a client of.
            transport: "socket", or "memory" to go without one; see `TestClient`.
            server_kwargs: Options of the `TestServer` that is made of an application.
            **kwargs: Options of the `TestClient`, and so of its `ClientSession`.

        Raises:
            ValueError: `app_or_server` is neither, or it is a server and there are
                `server_kwargs`, or as for `TestClient`.
            OSError: The server's address cannot be had.
        """
        __tracebackhide__ = True  # a mistake is in the line that calls
        if isinstance(app_or_server, BaseTestServer):
            if server_kwargs is not None:
                raise ValueError(
                    "server_kwargs are for the server that is made of an application, and "
                    f"{app_or_server!r} is made already: give them to it"
                )
            server = app_or_server
        else:
            if not isinstance(app_or_server, Application):
                raise ValueError(
                    "http_client takes an httpserver.Application or a test server, got "
                    f"{_named(app_or_server)}; a bare handler goes through http_raw_server"
                )
            server = TestServer(app_or_server, **(server_kwargs or {}))
        client: TestClient[Any, Any] = TestClient(server, transport=transport, **kwargs)
        self._keep(client.close)
        await client.start_server()
        return client


class HTTPServerFixture:
    """The fixture `http_server`: makes started servers, which are closed after the test.

    Args:
        keep: Called with the `close` of each server, before it is started.
    """

    def __init__(self, keep: _Keep) -> None:
        self._keep = keep

    async def __call__(
        self,
        app: Application,
        /,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,
    ) -> TestServer:
        """Start a server of an application.

        Args:
            app: The application.
            host: Name or address to listen on.
            port: TCP port; any that is free unless given.
            **kwargs: As for `TestServer.start_server`: `ssl`, and options of the runner.

        Raises:
            ValueError: `app` is no application.
            OSError: The address cannot be had.
        """
        __tracebackhide__ = True  # a mistake is in the line that calls
        if not isinstance(app, Application):
            raise ValueError(
                f"http_server takes an httpserver.Application, got {_named(app)}; "
                "a bare handler goes through http_raw_server"
            )
        server = TestServer(app, host=host, port=port)
        self._keep(server.close)
        await server.start_server(**kwargs)
        return server


class HTTPRawServerFixture:
    """The fixture `http_raw_server`: makes servers of bare handlers, closed after the test.

    Args:
        keep: Called with the `close` of each server, before it is started.
    """

    def __init__(self, keep: _Keep) -> None:
        self._keep = keep

    async def __call__(
        self,
        handler: Callable[[Any], Awaitable[StreamResponse]],
        /,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,
    ) -> RawTestServer:
        """Start a server whose requests all go to one handler.

        Args:
            handler: Answers every request.
            host: Name or address to listen on.
            port: TCP port; any that is free unless given.
            **kwargs: As for `RawTestServer.start_server`: `ssl`, and options of the server.

        Raises:
            ValueError: `handler` is an application, or cannot be called.
            OSError: The address cannot be had.
        """
        __tracebackhide__ = True  # a mistake is in the line that calls
        if isinstance(handler, Application) or not callable(handler):
            raise ValueError(
                "http_raw_server takes an async function of a request, got "
                f"{_named(handler)}; an application goes through http_server"
            )
        server = RawTestServer(handler, host=host, port=port)
        self._keep(server.close)
        await server.start_server(**kwargs)
        return server


def _named(value: object) -> str:
    return f"{value!r:.80} of type {type(value).__name__}"
