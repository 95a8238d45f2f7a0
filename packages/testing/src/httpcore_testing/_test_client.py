"""A client for tests: a session that knows its server."""

from __future__ import annotations

from typing import Any, Final, Generic, Self, TypeVar, Unpack, cast, overload

from yarl import URL

from httpclient import (
    AbstractCookieJar,
    ClientSession,
    ClientWebSocketResponse,
    CookieJar,
    RequestContext,
    RequestOptions,
    WSConnectContext,
)
from httpserver import Application, BaseRequest, Request

from ._memory_connector import MemoryConnector
from ._test_server import BaseTestServer, TestServer, Transport

RequestT = TypeVar("RequestT", bound=BaseRequest)
AppT = TypeVar("AppT", Application, None)

_TRANSPORTS: Final = ("socket", "memory")


class TestClient(Generic[RequestT, AppT]):
    """A session whose URLs are paths of one server, which lives and ends with it.

    `await start_server()` and `await close()`, or use it with `async with`. It differs from a
    session in that cookies of IP addresses are kept, and nothing is retried, so that each
    request is one at the server.

    Args:
        server: A test server, or an application to make one of.
        transport: "socket" to go through the loopback interface. "memory" for links in
            memory: the same client, server and protocol code without a socket, which is
            quicker, and needs no port; there is no TLS.
        cookie_jar: `CookieJar(unsafe=True)` unless given.
        **kwargs: As for `httpclient.ClientSession`.

    Raises:
        TypeError: `server` is neither.
        ValueError: `transport` is neither, or goes with a connector.
    """

    __test__ = False  # it is no class of tests, whatever its name says

    @overload
    def __init__(
        self: TestClient[Request, Application],
        server: TestServer | Application,
        *,
        transport: Transport = "socket",
        cookie_jar: AbstractCookieJar | None = None,
        **kwargs: Any,
    ) -> None: ...

    @overload
    def __init__(
        self: TestClient[BaseRequest, None],
        server: BaseTestServer,
        *,
        transport: Transport = "socket",
        cookie_jar: AbstractCookieJar | None = None,
        **kwargs: Any,
    ) -> None: ...

    def __init__(
        self,
        server: BaseTestServer | Application,
        *,
        transport: Transport = "socket",
        cookie_jar: AbstractCookieJar | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(server, Application):
            server = TestServer(server)
        if not isinstance(server, BaseTestServer):
            raise TypeError(
                "server must be a TestServer, a RawTestServer or an Application, "
                f"got {type(server).__name__}"
            )
        if transport not in _TRANSPORTS:
            raise ValueError(f'transport must be "socket" or "memory", got {transport!r}')
        if transport == "memory" and "connector" in kwargs:
            raise ValueError('transport="memory" has a connector of its own: leave out connector')
        self._server = server
        self._transport: Transport = transport
        self._cookie_jar = CookieJar(unsafe=True) if cookie_jar is None else cookie_jar
        self._options = kwargs
        self._session: ClientSession | None = None
        self._sockets: list[ClientWebSocketResponse] = []
        self._closed = False

    @property
    def server(self) -> BaseTestServer:
        """The server."""
        return self._server

    @property
    def app(self) -> AppT:
        """The application; None if it serves a bare handler."""
        return cast(AppT, getattr(self._server, "app", None))

    @property
    def host(self) -> str:
        """The server's host."""
        return self._server.host

    @property
    def port(self) -> int | None:
        """The server's port."""
        return self._server.port

    @property
    def session(self) -> ClientSession:
        """The session.

        Raises:
            RuntimeError: Before the start, or after the end.
        """
        if self._session is None:
            raise RuntimeError(
                "the client is closed"
                if self._closed
                else "the client is not started: use it with async with, or await start_server()"
            )
        return self._session

    async def start_server(self) -> None:
        """Start the server, unless it is started, and open the session; again does nothing.

        Raises:
            OSError: The server's address cannot be had.
            ValueError: The server has TLS, and is to be reached in memory.
        """
        if self._session is not None or self._closed:
            return
        await self._server.start_server(transport=self._transport)
        try:
            self._session = self._make_session()
        except BaseException:
            await self._server.close()
            raise

    def _make_session(self) -> ClientSession:
        server, options = self._server, dict(self._options)
        if self._transport == "memory":
            if server.scheme == "https":
                raise ValueError('transport="memory" has no TLS, which this server speaks')
            assert server.runner is not None
            make_receiver = server.runner.make_receiver
            options["connector"] = MemoryConnector(lambda _: make_receiver())
        session = ClientSession(server.make_url("/"), cookie_jar=self._cookie_jar, **options)
        session._retry_connection = False
        return session

    def make_url(self, path: str | URL) -> URL:
        """Return the URL of a path on the server.

        Raises:
            AssertionError: `path` is an absolute URL.
        """
        return self._server.make_url(path)

    def request(
        self, method: str, path: str | URL, **options: Unpack[RequestOptions]
    ) -> RequestContext:
        """Send a request: await it, or enter it with `async with`.

        Args:
            method: As for `ClientSession.request`.
            path: On the server, with a query or without.
            **options: As for `ClientSession.request`.

        Raises:
            AssertionError: `path` is an absolute URL.
            RuntimeError: The client is not started, or closed.
        """
        # The session knows the server; what is no plain path is looked at first.
        if not isinstance(path, str) or path[:1] != "/" or path[:2] == "//":
            path = self.make_url(path)
        return self.session.request(method, path, **options)

    def get(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a GET request; see `request`."""
        return self.request("GET", path, **options)

    def options(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send an OPTIONS request; see `request`."""
        return self.request("OPTIONS", path, **options)

    def head(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a HEAD request; see `request`. Redirects are followed."""
        return self.request("HEAD", path, **options)

    def post(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a POST request; see `request`."""
        return self.request("POST", path, **options)

    def put(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PUT request; see `request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PATCH request; see `request`."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a DELETE request; see `request`."""
        return self.request("DELETE", path, **options)

    def query(self, path: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a QUERY request; see `request`."""
        return self.request("QUERY", path, **options)

    def ws_connect(self, path: str | URL, **options: Any) -> WSConnectContext:
        """Open a WebSocket: await it, or enter it with `async with`.

        Args:
            path: On the server.
            **options: As for `ClientSession.ws_connect`.

        Raises:
            AssertionError: `path` is an absolute URL.
            RuntimeError: The client is not started, or closed.
        """
        return WSConnectContext(self._open_socket(self.make_url(path), options))

    async def _open_socket(self, url: URL, options: dict[str, Any]) -> ClientWebSocketResponse:
        self._sockets = [socket for socket in self._sockets if not socket.closed]
        socket = await self.session.ws_connect(url, **options)
        self._sockets.append(socket)
        return socket

    async def close(self) -> None:
        """Close WebSockets, responses, the session and the server; again does nothing."""
        if self._closed:
            return
        self._closed = True
        session, self._session = self._session, None
        try:
            for socket in self._sockets:
                await socket.close()
        finally:
            try:
                if session is not None:
                    await session.close()
            finally:
                await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
