"""The session: what a program calls, and what its requests have in common."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, Self, Unpack

from multidict import CIMultiDict, istr
from yarl import URL

from httpcore_proto import CodingLimits, HeadersLike, HttpVersion, HttpVersion11, Limits

from ._abstract_cookie_jar import AbstractCookieJar, LooseCookies
from ._base_connector import BaseConnector
from ._call import Call
from ._call_options import with_bounds
from ._client_request import ClientRequest
from ._client_web_socket import ClientWebSocketResponse
from ._connector import TCPConnector
from ._cookie_jar import CookieJar
from ._download import DownloadProgress, DownloadResult, download, full_jitter
from ._middlewares import ClientMiddlewareType
from ._proxy import parse_proxy
from ._request import HeaderDefaults
from ._request_context import RequestContext
from ._request_options import CharsetResolver, GetOptions, RaiseForStatus, RequestOptions
from ._response import ClientResponse
from ._timeouts import DEFAULT_TIMEOUT, ClientTimeout
from ._tracing import TraceConfig
from ._url import check_base_url
from ._ws_connect import SocketTasks, WSConnectContext, WSOptions, ws_connect

# Low-water mark of a body stream in bytes; aiohttp's.
_READ_BUFSIZE: Final = 2**18
_DEFAULT_LIMITS: Final = Limits()


class ClientSession:
    """What requests have in common: connections, cookies, headers, time-outs.

    One per program, or per service that it talks to. It may be made outside of an event
    loop, and belongs to the first one it is used in; any number of tasks may use it.
    Close it, or use it with `async with`.

    Args:
        base_url: What relative URLs are relative to; its path ends in a slash.
        connector: Keeps the connections; a `TCPConnector` of its own unless given.
        cookies: Cookies for every host, put into the jar.
        headers: Fields of every request; can be changed later through `headers`.
        proxy: URL of the proxy of requests that name none of their own.
        skip_auto_headers: Names of fields not to be generated: Accept, Accept-Encoding,
            User-Agent, Content-Type.
        json_serialize: Makes text of `json` of requests.
        json_serialize_bytes: Makes bytes of it, and goes before `json_serialize`.
        request_class: A subclass of `ClientRequest`, made for each request.
        response_class: A subclass of `ClientResponse`.
        ws_response_class: A subclass of `ClientWebSocketResponse`.
        version: What requests are sent as: HTTP/1.1, or 1.0.
        cookie_jar: Keeps the cookies; a `CookieJar` of its own unless given.
        connector_owner: Whether closing the session closes the connector.
        raise_for_status: Whether a status of 400 and above is raised as
            `ClientResponseError`; or an async function that sees each final response.
        timeout: Default time-outs; None for `ClientTimeout(total=300, sock_connect=30)`.
        auto_decompress: Whether codings are asked for, and undone.
        trust_env: Whether proxies (`http_proxy` and so on) and logins (netrc) are taken from
            the environment.
        requote_redirect_url: Whether the URL of a redirect is spelled anew, as `yarl.URL`
            does; else only what no URL may have is percent-encoded.
        allow_insecure_redirects: Whether redirects may lead from https to http. Not in
            aiohttp, which follows them.
        trace_configs: Who is told of the course of requests; frozen here.
        read_bufsize: Bytes of a body that are kept until they are read; reading from
            the socket stops at twice this.
        max_line_size: Most bytes of a reason phrase or chunk-size line.
        max_field_size: Most bytes of one response field.
        max_headers: Most fields of one response.
        coding_limits: Bounds on what a body in a content coding may unfold to. Not in
            aiohttp.
        fallback_charset_resolver: Called with response and body, gives the codec for
            `text` where the server names none. Unless given that is UTF-8, or, if the body
            is none, what chardet says.
        middlewares: What requests pass through, the outermost first.

    Attributes:
        coding_limits: As given.
        fallback_charset_resolver: As given.

    Raises:
        ValueError: An argument is out of range; `base_url` is no absolute URL.
        InvalidURL: `proxy` is no URL of a proxy.
    """

    _connector: BaseConnector | None = None
    _connector_owner = True

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        connector: BaseConnector | None = None,
        cookies: LooseCookies | None = None,
        headers: HeadersLike | None = None,
        proxy: str | URL | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        json_serialize: Callable[[Any], str] = json_module.dumps,
        json_serialize_bytes: Callable[[Any], bytes] | None = None,
        request_class: type[ClientRequest] = ClientRequest,
        response_class: type[ClientResponse] = ClientResponse,
        ws_response_class: type[ClientWebSocketResponse] = ClientWebSocketResponse,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: RaiseForStatus = False,
        timeout: ClientTimeout | None = None,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        allow_insecure_redirects: bool = False,
        trace_configs: Sequence[TraceConfig[Any]] | None = None,
        read_bufsize: int = _READ_BUFSIZE,
        max_line_size: int = _DEFAULT_LIMITS.max_line_size,
        max_field_size: int = _DEFAULT_LIMITS.max_field_size,
        max_headers: int = _DEFAULT_LIMITS.max_headers,
        coding_limits: CodingLimits | None = None,
        fallback_charset_resolver: CharsetResolver | None = None,
        middlewares: Sequence[ClientMiddlewareType] = (),
    ) -> None:
        if timeout is not None and not isinstance(timeout, ClientTimeout):
            raise ValueError(f"timeout must be a ClientTimeout, not {type(timeout).__name__}")
        self._base_url = check_base_url(base_url)
        self._limits = with_bounds(None, max_line_size, max_field_size, max_headers)
        self._defaults = HeaderDefaults(headers, skip_auto_headers, auto_decompress=auto_decompress)
        if proxy is not None:
            parse_proxy(proxy)
        self._proxy = proxy
        self._json_serialize = json_serialize
        self._json_serialize_bytes = json_serialize_bytes
        self._request_class = request_class
        self._response_class = response_class
        self._ws_response_class = ws_response_class
        self._ws_tasks = SocketTasks()
        self._version = version
        self._cookie_jar = CookieJar() if cookie_jar is None else cookie_jar
        if cookies is not None:
            self._cookie_jar.update_cookies(cookies)
        self._raise_for_status = raise_for_status
        self._timeout = timeout or DEFAULT_TIMEOUT
        self._auto_decompress = auto_decompress
        self._trust_env = trust_env
        self._requote_redirect_url = requote_redirect_url
        self._allow_insecure_redirects = allow_insecure_redirects
        self._trace_configs = tuple(trace_configs or ())
        for config in self._trace_configs:
            config.freeze()
        self._read_bufsize = read_bufsize
        self.coding_limits: CodingLimits = coding_limits or CodingLimits()
        self.fallback_charset_resolver: CharsetResolver | None = fallback_charset_resolver
        self._middlewares = tuple(middlewares)
        # Whether a request is sent again if its connection had been closed meanwhile; test
        # clients turn it off.
        self._retry_connection = True
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
    def cookie_jar(self) -> AbstractCookieJar:
        """What keeps the cookies."""
        return self._cookie_jar

    @property
    def version(self) -> HttpVersion:
        """What requests are sent as."""
        return self._version

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
        """What makes text of `json`."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> RaiseForStatus:
        """What is done about a status of 400 and above."""
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """Whether content codings are undone."""
        return self._auto_decompress

    @property
    def trust_env(self) -> bool:
        """Whether proxies and logins are taken from the environment."""
        return self._trust_env

    @property
    def trace_configs(self) -> tuple[TraceConfig[Any], ...]:
        """Who is told of the course of requests."""
        return self._trace_configs

    @property
    def requote_redirect_url(self) -> bool:
        """Whether the URL of a redirect is spelled anew."""
        return self._requote_redirect_url

    def request(
        self, method: str, url: str | URL, **options: Unpack[RequestOptions]
    ) -> RequestContext:
        """Send a request, follow redirects, and wait for the head of the response.

        Cancelling it leaves nothing behind: its connection is closed.

        Args:
            method: A token; sent in upper case. Not CONNECT.
            url: Absolute, or relative to the session's `base_url`. A `str` is sent as
                it is written, only octets that no URI may have are percent-encoded.
                Without user and password.
            **options: All optional:

                params: Appended to the query of `url`; not for redirects.
                data: The body: bytes-like, `str` (sent as UTF-8), a form (`FormData`, a
                mapping, a list of pairs), a file or a path, an async iterable of bytes
                (sent in chunks), a `Payload`.
                json: The body, encoded by `json_serialize`, unless None.
                cookies: For this request, on top of the jar's; not for other origins.
                headers: Fields; they replace those of the session by name, and
                repeated names are all sent.
                skip_auto_headers: More names of fields not to be generated.
                allow_redirects: Whether to follow 301, 302, 303, 307 and 308.
                max_redirects: How many; 0 for any number.
                compress: Coding for the body, True for deflate.
                chunked: True to send any body in chunks, False never to.
                expect100: Whether the server is asked before the body is sent.
                raise_for_status: In place of the session's.
                read_until_eof: False to take a body without length for none.
                proxy: In place of the session's, or of the environment's.
                proxy_headers: Fields for the proxy alone.
                timeout: In place of the session's; a number is `total` alone, None is
                no bound at all.
                ssl: True for the connector's setting, False for no verification, a
                context, or a `Fingerprint`.
                server_hostname: Name for SNI and the certificate in place of the URL's.
                trace_request_ctx: Handed to the context factories of traces.
                read_bufsize, auto_decompress, max_line_size, max_field_size,
                max_headers, middlewares: In place of the session's.
                upload_tracker: Watches the upload; used once.
                progress: Called with the bytes sent, and all there are.

        Returns:
            An awaitable and async context manager that gives a `ClientResponse`.

        Raises:
            ClientConnectorError: No connection can be made.
            ClientConnectionError: The connection broke, after one retry if that was a
                used one and the request may be sent twice.
            ClientPayloadError: The body of the request is gone, and a redirect wants it.
            ClientResponseError: The response head is malformed, or `raise_for_status`.
            InvalidURL: `url` cannot be used.
            NonHttpUrlClientError: Its scheme is neither http nor https.
            RedirectClientError: A redirect leads where no request may go.
            RuntimeError: The session is closed.
            ServerTimeoutError: A time-out other than `total` passed.
            TimeoutError: `total` passed.
            TooManyRedirects: `max_redirects` were followed, and one more is asked for.
            TypeError: An argument is of a wrong type.
            ValueError: The request cannot be sent as it is.
        """
        return RequestContext(self._request(method.upper(), url, options))

    def get(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a GET request; see `request`."""
        return RequestContext(self._request("GET", url, options))

    def options(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send an OPTIONS request; see `request`."""
        return RequestContext(self._request("OPTIONS", url, options))

    def head(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a HEAD request; see `request`. Redirects are followed only if asked for."""
        options.setdefault("allow_redirects", False)
        return RequestContext(self._request("HEAD", url, options))

    def post(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a POST request; see `request`."""
        return RequestContext(self._request("POST", url, options))

    def put(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PUT request; see `request`."""
        return RequestContext(self._request("PUT", url, options))

    def patch(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a PATCH request; see `request`."""
        return RequestContext(self._request("PATCH", url, options))

    def delete(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a DELETE request; see `request`."""
        return RequestContext(self._request("DELETE", url, options))

    def query(self, url: str | URL, **options: Unpack[RequestOptions]) -> RequestContext:
        """Send a QUERY request, a GET with a body (RFC 10008); see `request`."""
        return RequestContext(self._request("QUERY", url, options))

    def ws_connect(self, url: str | URL, **options: Unpack[WSOptions]) -> WSConnectContext:
        """Open a WebSocket: shake hands with the server (RFC 6455 section 4.1).

        The handshake is a request as others are: cookies, middlewares, traces, redirects
        and the time-outs of the session apply to it, `total` to nothing behind it.
        Cancelling it leaves nothing behind.

        Args:
            url: Absolute, or relative to the session's `base_url`; ws and wss are the same
                as http and https.
            **options: All optional:

                method: GET, unless the server wants another one.
                protocols: Sub-protocols to offer, the preferred one first.
                timeout: A `ClientWSTimeout`; by default 10 s for the server's close frame.
                autoclose: Whether the server's close frame is answered when it is
                received. True.
                autoping: Whether pings are answered, and pings and pongs kept from
                `receive`. True.
                heartbeat: Seconds of silence behind which the server is pinged; it is
                given up if it says nothing for half as long again. None for never.
                origin: Value for Origin.
                params, headers, proxy, proxy_headers, ssl, server_hostname: As for
                `request`. Upgrade, Connection and Sec-WebSocket-Version among `headers`
                replace ours.
                compress: Window bits for compression, 9 to 15, or a `Deflate` with more to
                say; 0, the default, for none.
                max_msg_size: Most octets of a message, decompressed; 0 for no limit. 4 MiB,
                as in aiohttp. Above it the WebSocket is closed with 1009.
                decode_text: Whether text comes as `str`; else as `bytes`. True.

        Returns:
            An awaitable and async context manager that gives a `ClientWebSocketResponse`;
            leaving the context closes it.

        Raises:
            WSServerHandshakeError: The answer is none that makes a WebSocket.
            ValueError: `protocols` or `compress` cannot be offered.
            TypeError: `timeout` is no `ClientWSTimeout`.
            ClientError, RuntimeError, TimeoutError: As for `request`.
        """
        return WSConnectContext(ws_connect(self, url, **options))

    async def download(
        self,
        url: str | URL,
        path: str | os.PathLike[str],
        *,
        resume: bool = True,
        overwrite: bool | None = None,
        progress: DownloadProgress | None = None,
        digest: str | tuple[str, str] | None = None,
        max_size: int | None = None,
        max_resumes: int = 10,
        backoff: Callable[[int], float] = full_jitter,
        **options: Unpack[GetOptions],
    ) -> DownloadResult:
        """Download a URL to a file; `httpclient.download` is the same, and says all about it."""
        return await download(
            self,
            url,
            path,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            digest=digest,
            max_size=max_size,
            max_resumes=max_resumes,
            backoff=backoff,
            **options,
        )

    async def _request(
        self, method: str, url: str | URL, options: RequestOptions
    ) -> ClientResponse:
        tracker = options.get("upload_tracker") if options else None
        if tracker is None:
            return await Call(self, method, url, **options).run()
        tracker.bind()
        try:
            response = await Call(self, method, url, **options).run()
        except BaseException as exc:
            tracker.finish(exc)
            raise
        tracker.finish(None)
        return response

    async def close(self) -> None:
        """Close the session, and its connector if it owns it; wait until that is done.

        A second call does nothing.
        """
        connector, self._connector = self._connector, None
        if connector is not None and self._connector_owner:
            await connector.close()
        await self._ws_tasks.close()

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


@contextlib.asynccontextmanager
async def request(
    method: str,
    url: str | URL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    **options: Unpack[RequestOptions],
) -> AsyncIterator[ClientResponse]:
    """Send one request with a session of its own, as an async context manager.

    Args:
        method: As for `ClientSession.request`, like all that follow.
        url: Absolute.
        version: As for `ClientSession`.
        connector: Is not closed; unless given, the connection is used once.
        **options: As for `ClientSession.request`.

    Raises:
        ClientError: As for `ClientSession.request`.
    """
    owner = connector is None
    if connector is None:
        connector = TCPConnector(force_close=True)
    async with (
        ClientSession(connector=connector, connector_owner=owner, version=version) as session,
        session.request(method, url, **options) as response,
    ):
        yield response
