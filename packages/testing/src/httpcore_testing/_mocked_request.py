"""Requests for handlers that are called by hand, without a server.

The request is a real one: a machine of the protocol core has parsed its head, and sends
what is written to it. Only the connection underneath is a mock.
"""

from __future__ import annotations

import inspect
import ssl
import string
from collections.abc import Awaitable, Mapping
from typing import Any, BinaryIO, Final, Protocol
from unittest import mock
from urllib.parse import quote

import anyio
from multidict import CIMultiDict

import httpcore_proto
from httpcore_proto import (
    ClientConnection,
    EndOfMessage,
    HeadersLike,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    InformationalResponse,
    Limits,
    ServerConnection,
)
from httpcore_proto.aio import EMPTY_PAYLOAD, Link, Runtime, StreamReader, current_runtime
from httpserver import (
    Application,
    PlainResource,
    Request,
    Server,
    StreamResponse,
    UrlMappingMatchInfo,
)

_SOCKNAME: Final = ("127.0.0.1", 80)
_HOST: Final = "127.0.0.1:80"
# Bytes of a file that are read at once; as of the server.
_FILE_BLOCK: Final = 2**18


class Writer(Protocol):
    """What takes the bytes of a response: an `io.BytesIO`, or a mock."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""


class MockedExchange:
    """The connection's side of a mocked request: it sends to a writer.

    Args:
        server: Settings; it does not run.
        machine: The server's side of the protocol; it has the request's head.
        link: What tells facts of the connection.
        writer: Where bytes go.
        expects_continue: Whether the client waits for 100.
    """

    def __init__(
        self,
        server: Server,
        machine: ServerConnection,
        link: Link,
        writer: Writer,
        *,
        expects_continue: bool,
    ) -> None:
        self.link: Link = link
        self._server = server
        self._machine = machine
        self._writer = writer
        self._continue_due = expects_continue
        self._request: Request
        self._response: StreamResponse
        self._sent = 0

    def attach(self, request: Request) -> None:
        """Learn whose exchange it is, for the hooks."""
        self._request = request

    @property
    def keep_alive(self) -> bool:
        """Whether the connection would live on."""
        return self._machine.keep_alive

    @property
    def limits(self) -> Limits:
        """Bounds on heads."""
        return self._server.limits

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body to be read at once; 0 for no limit."""
        return self._server.client_max_size

    @property
    def client_max_fields(self) -> int:
        """Most fields of a form; 0 for no limit."""
        return self._server.client_max_fields

    @property
    def sends_body(self) -> bool:
        """Whether the response has a body on the wire."""
        return self._machine.sends_body

    @property
    def shutting_down(self) -> bool:
        """Never: there is no server that could end."""
        return False

    @property
    def runtime(self) -> Runtime:
        """What fits the event loop that runs."""
        return current_runtime()

    async def wait_shutdown(self) -> None:
        """Wait for ever; may be cancelled."""
        await anyio.sleep_forever()

    async def wait_disconnected(self) -> None:
        """Wait for ever; may be cancelled."""
        await anyio.sleep_forever()

    async def send_continue(self) -> None:
        """Write a 100 if the request waits for one; again does nothing."""
        if self._continue_due:
            self._continue_due = False
            self._write(self._machine.send(InformationalResponse(status=100)))

    async def start_response(self, response: StreamResponse) -> None:
        """Run the application's hooks, and write the head."""
        request, presets = self._request, self._server.presets
        if request.app.has_prepare_signals:
            response.fill_headers(presets)
            await request.app.send_response_prepare(request, response)
        self._response = response
        self._sent = 0
        self._write(self._machine.send(response.make_head(presets)))

    def put_body(self, data: bytes) -> bool:
        """Write a piece of body; False, as for a client that is never slow."""
        self._write(self._machine.send_data(data))
        return False

    async def drain(self) -> None:
        """Return: a writer takes everything at once."""

    async def write_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Write a part of a file as body.

        Raises:
            EOFError: The file is shorter.
        """
        end = offset + count
        while offset < end:
            block = await anyio.to_thread.run_sync(
                _read_at, file, offset, min(end - offset, _FILE_BLOCK)
            )
            if not block:
                raise EOFError(f"the file ended {end - offset} bytes early, at {offset}")
            offset += len(block)
            self.put_body(block)

    async def finish_response(self, trailers: HeadersLike = ()) -> None:
        """Write the end of the body."""
        self._write(self._machine.send(EndOfMessage(trailers)))
        self._response.body_length = self._sent

    async def switch(self, response: object, to: object) -> None:
        """Refuse: behind a mocked request there is no peer to speak another protocol with.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "a mocked request has no connection for a WebSocket: "
            'use TestClient(app, transport="memory"), which needs no socket either'
        )

    def switch_ended(self, *, cancels: bool) -> None:
        """Do nothing: nothing was switched."""

    def _write(self, data: bytes) -> None:
        if data:
            self._sent += len(data)
            self._writer.write(data)


def make_mocked_request(
    method: str,
    path: str,
    headers: HeadersLike | None = None,
    *,
    match_info: Mapping[str, str] | None = None,
    version: HttpVersion = HttpVersion11,
    closing: bool = False,
    app: Application | None = None,
    writer: Writer | None = None,
    transport: Link | None = None,
    payload: StreamReader | bytes = EMPTY_PAYLOAD,
    sslcontext: ssl.SSLContext | None = None,
    client_max_size: int = 1024**2,
    client_max_fields: int = 1000,
) -> Request:
    """Return a request for a handler that is called by hand.

    No event loop need run. The handler is called as it is, without routing, middlewares and
    Expect; what it raises is raised. A response may be prepared and written: the hooks of
    `app.on_response_prepare` run, and the bytes of the wire go to `writer`. A WebSocket
    cannot: that needs a peer, so a `TestClient`.

    aiohttp's parameter `protocol` does not exist: requests have none here. `get_extra_info`
    tells `sockname` 127.0.0.1 port 80, and no `peername`.

    Args:
        method: A method that the server knows, in upper case.
        path: The request target: a path that begins with a slash, and query; or an absolute
            URL, `*` of OPTIONS, `host:port` of CONNECT. What is not ASCII is percent-encoded.
        headers: The header fields; `request.headers` has these and no others.
        match_info: Values of the path's parameters, decoded, or what a router found. None for
            no parameters.
        version: `HttpVersion10` or `HttpVersion11`.
        closing: The client wants the connection closed. One of HTTP/1.0 always does here.
        app: `request.app`; an empty one unless given, which takes items and no hooks.
        writer: Has a method `write`, no coroutine, that is called with each piece of bytes
            of a response, head and framing included. A mock unless given.
        transport: A link, or a mock of one: `info(name, default)` tells `get_extra_info`
            its facts. In place of the default one, and of what `sslcontext` would say.
        payload: The body, content codings undone: bytes, or a stream that is fed by hand
            (`StreamReader(None)`). No header field is made of it.
        sslcontext: Of a connection with TLS, whose `scheme` is https. There was no handshake,
            so `request.tls` knows nothing, and raises ValueError.
        client_max_size: Most bytes of a body that is read at once; 0 for no limit. 1 MiB, the
            server's default.
        client_max_fields: Most fields of a form; 0 for no limit. 1000, the server's default.

    Raises:
        ValueError: `path` has none of the forms above, or `version` is another one.
        LocalProtocolError: No client could send such a head.
        RemoteProtocolError: A server would refuse it, and never call the handler.
        RuntimeError: `match_info` is frozen, and not of `app`.
        ssl.SSLError: A connection cannot be made of `sslcontext`.
    """
    fields = CIMultiDict(headers or ())
    server = Server(_refuse, client_max_size=client_max_size, client_max_fields=client_max_fields)
    machine = ServerConnection(server.limits)
    head = _parse_head(machine, method, path, fields, version, closing=closing)
    if transport is None:
        transport = _mock_link(sslcontext)
    exchange = MockedExchange(
        server,
        machine,
        transport,
        mock.Mock() if writer is None else writer,
        expects_continue=head.expects_continue,
    )
    # The clone has the fields that were asked for, without those that only the wire needs.
    request = Request(head, _body_of(payload), exchange).clone(headers=fields)
    exchange.attach(request)
    if app is None:
        app = Application()
        app.on_response_prepare.freeze()
    if not isinstance(match_info, UrlMappingMatchInfo):
        route = PlainResource("/").add_route("*", _refuse)
        match_info = UrlMappingMatchInfo(match_info or {}, route)
    if not match_info.frozen:
        match_info.add_app(app)
        match_info.freeze()
    request.resolved(app, match_info)
    return request


def make_mocked_coro(
    return_value: Any = None, raise_exception: BaseException | type[BaseException] | None = None
) -> mock.AsyncMock:
    """Return a mock that is called like a coroutine function, and remembers its calls.

    Args:
        return_value: What awaiting a call returns; if it is awaitable, what awaiting that
            returns.
        raise_exception: What awaiting a call raises instead; None for nothing.
    """
    if raise_exception is not None:
        return mock.AsyncMock(side_effect=raise_exception)
    if not inspect.isawaitable(return_value):
        return mock.AsyncMock(return_value=return_value)
    awaitable: Awaitable[Any] = return_value

    async def wait_for_it(*args: object, **kwargs: object) -> Any:
        return await awaitable

    return mock.AsyncMock(side_effect=wait_for_it)


async def _refuse(request: Request) -> StreamResponse:
    raise RuntimeError("a mocked request has no route: call the handler by hand")


def _parse_head(
    machine: ServerConnection,
    method: str,
    path: str,
    fields: CIMultiDict[str],
    version: HttpVersion,
    *,
    closing: bool,
) -> httpcore_proto.Request:
    """Put a head on the wire, and let the server's machine take it from there."""
    if path[:1] != "/" and "://" not in path and path != "*" and method != "CONNECT":
        raise ValueError(
            f"path={path!r}: a path that begins with a slash, an absolute URL or * expected"
        )
    if version not in (HttpVersion10, HttpVersion11):
        raise ValueError(f"version={version!r}: HttpVersion10 or HttpVersion11 expected")
    sent = fields.copy()
    if "Host" not in sent:
        sent["Host"] = _HOST
    if closing or version < HttpVersion11:
        sent["Connection"] = "close"
    target = quote(path, safe=string.punctuation)
    event = httpcore_proto.Request(method=method, target=target, headers=sent, http_version=version)
    machine.receive_data(ClientConnection().send(event))
    head = machine.next_event()
    assert isinstance(head, httpcore_proto.Request)
    return head


def _mock_link(sslcontext: ssl.SSLContext | None) -> Link:
    facts: dict[str, Any] = {"sockname": _SOCKNAME}
    if sslcontext is not None:
        # A connection in memory, before its handshake.
        of_server = sslcontext.protocol is not ssl.PROTOCOL_TLS_CLIENT
        facts["sslcontext"] = sslcontext
        facts["ssl_object"] = sslcontext.wrap_bio(
            ssl.MemoryBIO(),
            ssl.MemoryBIO(),
            server_side=of_server,
            server_hostname=None if of_server else "localhost",
        )
    link = mock.Mock(spec=Link)
    link.info.side_effect = facts.get
    link.needs_drain = link.closing = False
    return link


def _body_of(payload: StreamReader | bytes) -> StreamReader:
    if isinstance(payload, StreamReader):
        return payload
    body = StreamReader(None)
    body.feed_data(payload)
    body.feed_eof()
    return body


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
