"""The session: what a program calls, and the course of a request."""

from __future__ import annotations

import contextlib
import enum
import json as json_module
import ssl as ssl_module
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, Self, TypeAlias, TypedDict, Unpack

from multidict import CIMultiDict, istr
from yarl import URL

from httpcore_proto import HeadersLike, Limits

from ._connector import BaseConnector, TCPConnector
from ._errors import ClientOSError, ServerDisconnectedError
from ._request import BodyLike, HeaderDefaults, encode_body
from ._response import ClientResponse
from ._timeouts import DEFAULT_TIMEOUT, NO_TIMEOUT, ClientTimeout
from ._tls import check_ssl
from ._url import Query, check_base_url, destination, destination_below, with_params

#: Whether, or how, a status of 400 and above becomes an error.
RaiseForStatus: TypeAlias = bool | Callable[[ClientResponse], Awaitable[None]]
#: What gives the codec for a body that names none.
CharsetResolver: TypeAlias = Callable[[ClientResponse, bytes], str]

# RFC 9110 section 9.2.2, and RFC 10008 section 2 for QUERY: safe to send again.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
# Low-water mark of a body stream in bytes; aiohttp's.
_READ_BUFSIZE: Final = 2**18
_DEFAULT_LIMITS: Final = Limits()


class _Unset(enum.Enum):
    UNSET = "UNSET"


_UNSET: Final = _Unset.UNSET


class RequestOptions(TypedDict, total=False):
    """Options of a request; `ClientSession.request` tells what they mean."""

    params: Query
    data: BodyLike | None
    json: Any
    headers: HeadersLike | None
    skip_auto_headers: Iterable[str] | None
    chunked: bool | None
    raise_for_status: RaiseForStatus | None
    timeout: ClientTimeout | float | None
    ssl: ssl_module.SSLContext | bool
    server_hostname: str | None


class RequestContext(Coroutine[Any, Any, ClientResponse]):
    """A request that was asked for: await it, or enter it with `async with`, once.

    Leaving the context releases the response.
    """

    __slots__ = ("_coroutine", "_response")

    _response: ClientResponse

    def __init__(self, coroutine: Coroutine[Any, Any, ClientResponse]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Raise inside, as a coroutine does."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Drop the request, as a coroutine does."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, ClientResponse]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> ClientResponse:
        self._response = response = await self._coroutine
        response.enter()
        return response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.leave()


class ClientSession:
    """What requests have in common: connections, headers, time-outs.

    One per program, or per service that it talks to. It may be made outside of an event
    loop, and belongs to the first one it is used in; any number of tasks may use it.
    Close it, or use it with `async with`.

    Cookies are not kept yet, and redirects not followed: both come with later versions,
    as does Accept-Encoding.

    Args:
        base_url: What relative URLs are relative to; its path ends in a slash.
        connector: Keeps the connections; a `TCPConnector` of its own unless given.
        headers: Fields of every request; can be changed later through `headers`.
        skip_auto_headers: Names of fields not to be generated: Accept, User-Agent,
            Content-Type.
        json_serialize: Encodes `json` of requests.
        connector_owner: Whether closing the session closes the connector.
        raise_for_status: Whether a status of 400 and above is raised as
            `ClientResponseError`; or an async function that sees each response.
        timeout: Default time-outs; None for `ClientTimeout(total=300, sock_connect=30)`.
        read_bufsize: Bytes of a body that are kept until they are read; reading from
            the socket stops at twice this.
        max_line_size: Most bytes of a reason phrase or chunk-size line.
        max_field_size: Most bytes of one response field.
        max_headers: Most fields of one response.
        fallback_charset_resolver: Called with response and body, gives the codec for
            `text` where the server names none. UTF-8 unless given.

    Raises:
        ValueError: An argument is out of range; `base_url` is no absolute URL.
    """

    _connector: BaseConnector | None = None
    _connector_owner = True

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        connector: BaseConnector | None = None,
        headers: HeadersLike | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        json_serialize: Callable[[Any], str] = json_module.dumps,
        connector_owner: bool = True,
        raise_for_status: RaiseForStatus = False,
        timeout: ClientTimeout | None = None,
        read_bufsize: int = _READ_BUFSIZE,
        max_line_size: int = _DEFAULT_LIMITS.max_line_size,
        max_field_size: int = _DEFAULT_LIMITS.max_field_size,
        max_headers: int = _DEFAULT_LIMITS.max_headers,
        fallback_charset_resolver: CharsetResolver = lambda response, body: "utf-8",
    ) -> None:
        if timeout is not None and not isinstance(timeout, ClientTimeout):
            raise ValueError(f"timeout must be a ClientTimeout, not {type(timeout).__name__}")
        self._base_url = check_base_url(base_url)
        limits = Limits(
            max_line_size=max_line_size, max_field_size=max_field_size, max_headers=max_headers
        )
        self._limits = None if limits == _DEFAULT_LIMITS else limits
        self._defaults = HeaderDefaults(headers, skip_auto_headers)
        self._json_serialize = json_serialize
        self._raise_for_status = raise_for_status
        self._timeout = timeout or DEFAULT_TIMEOUT
        self._read_bufsize = read_bufsize
        self.fallback_charset_resolver = fallback_charset_resolver
        self._connector_owner = connector_owner
        self._connector = TCPConnector() if connector is None else connector

    @property
    def closed(self) -> bool:
        """Whether the session, or its connector, is closed."""
        return self._connector is None or self._connector.closed

    @property
    def connector(self) -> BaseConnector | None:
        """What keeps the connections; None once closed or detached."""
        return self._connector

    @property
    def connector_owner(self) -> bool:
        """Whether closing the session closes the connector."""
        return self._connector_owner

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields of every request; changes take effect with the next one."""
        return self._defaults.headers

    @property
    def skip_auto_headers(self) -> frozenset[istr]:
        """Names of fields that are not generated."""
        return self._defaults.skip

    @property
    def timeout(self) -> ClientTimeout:
        """Default time-outs."""
        return self._timeout

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        """What encodes `json`."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> RaiseForStatus:
        """What is done about a status of 400 and above."""
        return self._raise_for_status

    def request(
        self, method: str, url: str | URL, **options: Unpack[RequestOptions]
    ) -> RequestContext:
        """Send a request and wait for the head of the response.

        Cancelling it leaves nothing behind: its connection is closed.

        Args:
            method: A token; sent in upper case. Not CONNECT.
            url: Absolute, or relative to the session's `base_url`. A `str` is sent as
                it is written, only octets that no URI may have are percent-encoded.
                Without user and password.
            **options: All optional:

                params: Appended to the query of `url`.
                data: The body: bytes-like, `str` (sent as UTF-8), or an async iterable
                of bytes, sent in chunks.
                json: The body, encoded by `json_serialize`, unless None.
                headers: Fields; they replace those of the session by name, and
                repeated names are all sent.
                skip_auto_headers: More names of fields not to be generated.
                chunked: True to send any body in chunks; False to insist on a
                Content-Length header with an async iterable.
                raise_for_status: In place of the session's.
                timeout: In place of the session's; a number is `total` alone, None is
                no bound at all.
                ssl: True for the connector's setting, False for no verification, or a
                context.
                server_hostname: Name for SNI and the certificate in place of the URL's.

        Returns:
            An awaitable and async context manager that gives a `ClientResponse`.

        Raises:
            ClientConnectorError: No connection can be made.
            ClientConnectionError: The connection broke, after one retry if that was a
                used one and the request may be sent twice.
            ClientResponseError: The response head is malformed, or `raise_for_status`.
            InvalidURL: `url` cannot be used.
            NonHttpUrlClientError: Its scheme is neither http nor https.
            RuntimeError: The session is closed.
            ServerTimeoutError: A time-out other than `total` passed.
            TimeoutError: `total` passed.
            TypeError: An argument is of a wrong type.
            ValueError: The request cannot be sent as it is.
        """
        return RequestContext(self._request(method.upper(), url, **options))

    def get(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a GET request; see `request`."""
        return RequestContext(self._request("GET", url, **options))

    def options(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send an OPTIONS request; see `request`."""
        return RequestContext(self._request("OPTIONS", url, **options))

    def head(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a HEAD request; see `request`."""
        return RequestContext(self._request("HEAD", url, **options))

    def post(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a POST request; see `request`."""
        return RequestContext(self._request("POST", url, **options))

    def put(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PUT request; see `request`."""
        return RequestContext(self._request("PUT", url, **options))

    def patch(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PATCH request; see `request`."""
        return RequestContext(self._request("PATCH", url, **options))

    def delete(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a DELETE request; see `request`."""
        return RequestContext(self._request("DELETE", url, **options))

    def query(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a QUERY request, a GET with a body (RFC 10008); see `request`."""
        return RequestContext(self._request("QUERY", url, **options))

    async def close(self) -> None:
        """Close the session, and its connector if it owns it; wait until that is done.

        A second call does nothing.
        """
        connector, self._connector = self._connector, None
        if connector is not None and self._connector_owner:
            await connector.close()

    def detach(self) -> None:
        """Let go of the connector without closing it; the session is closed then."""
        self._connector = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> NoReturn:
        raise TypeError("Use async with instead")

    def __exit__(self, *exc: object) -> None:
        raise AssertionError  # pragma: no cover - __enter__ always raises

    def __del__(self) -> None:
        connector = self._connector
        if connector is None or connector.closed:
            return
        warnings.warn(
            f"Unclosed client session {self!r}", ResourceWarning, stacklevel=1, source=self
        )
        if self._connector_owner:
            try:
                connector.abort()
            except RuntimeError:
                pass  # the event loop is closed, and its sockets with it

    async def _request(
        self,
        method: str,
        url: str | URL,
        *,
        params: Query = None,
        data: BodyLike | None = None,
        json: Any = None,
        headers: HeadersLike | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        chunked: bool | None = None,
        raise_for_status: RaiseForStatus | None = None,
        timeout: ClientTimeout | float | Literal[_Unset.UNSET] | None = _UNSET,
        ssl: ssl_module.SSLContext | bool = True,
        server_hostname: str | None = None,
    ) -> ClientResponse:
        connector = self._connector
        if connector is None or connector.closed:
            raise RuntimeError("Session is closed")
        base_url = self._base_url
        to = destination(url) if base_url is None else destination_below(base_url, url)
        if params:
            to = with_params(to, params)
        body, stream, content_type = encode_body(data)
        if json is not None:
            if data is not None:
                raise ValueError("data and json parameters can not be used at the same time")
            body, content_type = self._json_serialize(json).encode(), "application/json"
        if method == "CONNECT":
            raise ValueError("CONNECT makes a tunnel, and is not a request to send")
        request = self._defaults.request(
            method,
            to,
            headers=headers,
            body=body,
            stream=stream,
            content_type=content_type,
            chunked=chunked,
            skip=skip_auto_headers,
            close=connector.force_close,
        )
        if timeout is _UNSET:
            timeout = self._timeout
        elif not isinstance(timeout, ClientTimeout):
            timeout = NO_TIMEOUT if timeout is None else ClientTimeout(total=timeout)
        key = to.key
        if ssl is not True or server_hostname is not None or self._limits is not None:
            check_ssl(ssl)
            key = key._replace(ssl=ssl, server_hostname=server_hostname, limits=self._limits)
        now = connector.now()
        total_at = now + timeout.total if timeout.total else None

        connection = connector.take(key, now)
        if connection is None:
            connection = await connector.acquire(key, timeout, total_at)
        try:
            head = await connection.request(request, timeout, total_at, self._read_bufsize)
        except (ClientOSError, ServerDisconnectedError):
            # A used connection that the server has closed while the request was under
            # way: it has seen nothing of it (RFC 9110 section 9.2.2).
            if (
                not connection.reused
                or connection.received
                or method not in _IDEMPOTENT
                or not request.replayable
            ):
                raise
            connection = await connector.acquire(key, timeout, total_at)
            head = await connection.request(request, timeout, total_at, self._read_bufsize)
        body_or_stream = connection.receive_body()
        response = ClientResponse(self, request, head, connection, body_or_stream)

        check = self._raise_for_status if raise_for_status is None else raise_for_status
        if check is True:
            response.raise_for_status()
        elif check:
            try:
                await check(response)
            except BaseException:
                response.close()
                raise
        return response


@contextlib.asynccontextmanager
async def request(
    method: str,
    url: str | URL,
    *,
    connector: BaseConnector | None = None,
    **options: Unpack[RequestOptions],
) -> AsyncIterator[ClientResponse]:
    """Send one request with a session of its own, as an async context manager.

    Args:
        method: As for `ClientSession.request`, like all that follow.
        url: Absolute.
        connector: Is not closed; unless given, the connection is used once.
        **options: As for `ClientSession.request`.

    Raises:
        ClientError: As for `ClientSession.request`.
    """
    owner = connector is None
    if connector is None:
        connector = TCPConnector(force_close=True)
    async with (
        ClientSession(connector=connector, connector_owner=owner) as session,
        session.request(method, url, **options) as response,
    ):
        yield response
