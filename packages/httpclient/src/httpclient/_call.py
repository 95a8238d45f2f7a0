"""One call of a session, from its options to the response: the hops, and who is told.

The usual call (no traces, no middlewares, no redirect) composes a request (`_hop`), takes an
idle connection and sends (`_send`). What fewer calls need stands beside it, behind one test
each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import anyio
from multidict import CIMultiDict
from yarl import URL

from httpcore_proto import HeadersLike, Limits

from ._abstract_cookie_jar import LooseCookies
from ._client_request import ClientRequest
from ._cookie_field import merge_cookies
from ._errors import (
    ClientOSError,
    ClientPayloadError,
    NonHttpUrlClientError,
    ServerDisconnectedError,
    TooManyRedirects,
)
from ._middlewares import ClientMiddlewareType, build_chain
from ._netrc import netrc_authorization
from ._proxy import absolute_target, forwarded_headers, forwards, proxy_for
from ._redirects import REDIRECT_STATUSES, Hop, next_hop, without_fields
from ._request import OutgoingRequest, Progress
from ._request_body import BodyLike, encode_body
from ._request_options import RaiseForStatus
from ._response import ClientResponse
from ._timeouts import NO_TIMEOUT, ClientTimeout
from ._tls import TLSSetting, check_ssl
from ._trace_params import (
    TraceConnectionReuseconnParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
)
from ._tracing import Traces
from ._upload_tracker import UploadTracker
from ._url import ConnectionKey, Destination, Query, destination, destination_below, with_params

if TYPE_CHECKING:
    from ._session import ClientSession

# RFC 9110 section 9.2.2, and RFC 10008 section 2 for QUERY: safe to send again.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
_NOTHING: Final[frozenset[str]] = frozenset()
_DEFAULT_LIMITS: Final = Limits()
# Stands for an option that was not given, where None means something.
_UNSET: Final[Any] = object()


class Call:
    """What one call of a session asks for, and how far it has come.

    Made for one `run`. The options are those of `ClientSession.request`.

    Raises:
        ValueError: The options contradict each other, or the URL cannot be used.
        RuntimeError: The session is closed.
    """

    __slots__ = (
        "_auto_decompress",
        "_body",
        "_chain",
        "_check",
        "_connector",
        "_content_type",
        "_cookies",
        "_dropped",
        "_framing",
        "_headers",
        "_key_options",
        "_max_redirects",
        "_method",
        "_payload",
        "_progress",
        "_proxy",
        "_proxy_headers",
        "_read_bufsize",
        "_read_until_eof",
        "_request",
        "_session",
        "_timeout",
        "_to",
        "_total_at",
        "_trace_request_ctx",
        "_traces",
        "_tracker",
    )

    _request: OutgoingRequest

    def __init__(
        self,
        session: ClientSession,
        method: str,
        url: str | URL,
        *,
        params: Query = None,
        data: BodyLike = None,
        json: Any = None,
        cookies: LooseCookies | None = None,
        headers: HeadersLike | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        allow_redirects: bool = True,
        max_redirects: int = 10,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        raise_for_status: RaiseForStatus | None = None,
        read_until_eof: bool = True,
        proxy: str | URL | None = None,
        proxy_headers: HeadersLike | None = None,
        timeout: ClientTimeout | float | None = _UNSET,
        ssl: TLSSetting = True,
        server_hostname: str | None = None,
        trace_request_ctx: object = None,
        read_bufsize: int | None = None,
        auto_decompress: bool | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        middlewares: Sequence[ClientMiddlewareType] | None = None,
        upload_tracker: UploadTracker | None = None,
        progress: Progress | None = None,
    ) -> None:
        connector = session._connector
        if connector is None or connector.closed:
            raise RuntimeError("Session is closed")
        if method == "CONNECT":
            raise ValueError("CONNECT makes a tunnel, and is not a request to send")
        base_url = session._base_url
        to = destination(url) if base_url is None else destination_below(base_url, url)
        if to.url.scheme not in connector.allowed_protocol_schema_set:
            raise NonHttpUrlClientError(url)
        self._to = with_params(to, params) if params else to
        self._session = session
        self._connector = connector
        self._method = method
        self._body, self._payload, self._content_type = encode_body(
            data, json, session._json_serialize, session._json_serialize_bytes
        )
        self._cookies = cookies
        self._headers = headers
        # What the framing of a body, and generated fields, depend on.
        self._framing: dict[str, Any] = {}
        if (
            compress is not None
            or chunked is not None
            or expect100
            or skip_auto_headers is not None
        ):
            self._framing = {
                "compress": compress,
                "chunked": chunked,
                "expect100": expect100,
                "skip": skip_auto_headers,
            }
        limits = session._limits
        if max_line_size is not None or max_field_size is not None or max_headers is not None:
            limits = with_bounds(limits, max_line_size, max_field_size, max_headers)
        self._key_options: dict[str, Any] = {}
        if ssl is not True or server_hostname is not None or limits is not None:
            check_ssl(ssl)
            self._key_options = {
                "ssl": ssl,
                "server_hostname": server_hostname,
                "limits": limits,
            }
        self._proxy = session._proxy if proxy is None else proxy
        self._proxy_headers = proxy_headers
        if timeout is _UNSET:
            timeout = session._timeout
        elif not isinstance(timeout, ClientTimeout):
            timeout = NO_TIMEOUT if timeout is None else ClientTimeout(total=timeout)
        self._timeout: ClientTimeout = timeout
        self._total_at = connector.now() + timeout.total if timeout.total else None
        # 0 for any number, -1 if they are not followed.
        self._max_redirects = max_redirects if allow_redirects else -1
        self._check = session._raise_for_status if raise_for_status is None else raise_for_status
        self._read_until_eof = read_until_eof
        self._read_bufsize = session._read_bufsize if read_bufsize is None else read_bufsize
        self._auto_decompress = (
            session._auto_decompress if auto_decompress is None else auto_decompress
        )
        self._chain = session._middlewares if middlewares is None else middlewares
        self._traces: Traces | None = None
        self._trace_request_ctx = trace_request_ctx
        self._tracker = upload_tracker
        self._progress = progress
        self._dropped = _NOTHING

    async def run(self) -> ClientResponse:
        """Send what the call asks for, and follow where it leads.

        Raises:
            ClientError: See `ClientSession.request`.
            TimeoutError: `total` passed.
        """
        try:
            if (
                not self._session._trace_configs
                and not self._chain
                and isinstance(self._check, bool)
            ):
                return await self._checked()
            return await self._watched()
        finally:
            if self._payload is not None:
                with anyio.CancelScope(shield=True):
                    await self._payload.close()

    async def _checked(self) -> ClientResponse:
        response = await self._follow()
        check = self._check
        if check is True:
            response.raise_for_status()
        elif check:
            try:
                await check(response)
            except BaseException:
                response.close()
                raise
        return response

    async def _watched(self) -> ClientResponse:
        """Do that where a program takes part, and tell the traces how it begins and ends."""
        method, url = self._method, self._to.url
        shown: CIMultiDict[str] = CIMultiDict()
        try:
            # What a program puts in between is bounded by `total` as well.
            with anyio.CancelScope() as scope:
                if self._total_at is not None:
                    scope.deadline = anyio.current_time() + self._total_at - self._connector.now()
                return await self._traced(shown)
            raise TimeoutError(f"total timeout of {self._timeout.total} s passed (total)")
        except BaseException as exc:
            if self._traces is not None:
                failed = TraceRequestExceptionParams(method, url, shown, exc)
                with anyio.CancelScope(shield=True):
                    await self._traces.send("on_request_exception", failed)
            raise

    async def _traced(self, shown: CIMultiDict[str]) -> ClientResponse:
        """Do that, and tell the traces of all but a failure.

        Args:
            shown: Empty; gets the fields that the traces may change.
        """
        session, method, url = self._session, self._method, self._to.url
        if not session._trace_configs:
            return await self._checked()
        traces = self._traces = Traces.start(
            session, session._trace_configs, self._trace_request_ctx
        )
        shown.extend(self._all_headers())
        await traces.send("on_request_start", TraceRequestStartParams(method, url, shown))
        self._take_headers(shown)
        response = await self._checked()
        try:
            end = TraceRequestEndParams(method, url, shown, response)
            await traces.send("on_request_end", end)
        except BaseException:
            response.close()
            raise
        return response

    def _all_headers(self) -> CIMultiDict[str]:
        """Return the fields of session and call, those of the call instead of the others."""
        merged = self._session.headers.copy()
        given = CIMultiDict(self._headers or ())
        for name in given:
            merged.popall(name, None)
        merged.extend(given)
        return merged

    def _take_headers(self, headers: CIMultiDict[str]) -> None:
        """Use what the traces made of `_all_headers`."""
        self._headers = headers.copy()
        self._dropped = frozenset(
            name.lower() for name in self._session.headers if name not in headers
        )

    async def _follow(self) -> ClientResponse:
        """Send requests until a response is none that leads elsewhere."""
        response = await self._hop()
        limit = self._max_redirects
        if response.status not in REDIRECT_STATUSES or limit < 0:
            return response
        history: list[ClientResponse] = []
        while response.status in REDIRECT_STATUSES:
            try:
                hop = next_hop(
                    self._method,
                    self._to,
                    response.status,
                    response.headers,
                    requote=self._session._requote_redirect_url,
                    allow_insecure=self._session._allow_insecure_redirects,
                )
                history.append(response)
                if hop is None:
                    break
                if self._traces is not None:
                    params = TraceRequestRedirectParams(
                        self._method, self._to.url, self._request.fields, response
                    )
                    await self._traces.send("on_request_redirect", params)
                if limit and len(history) > limit:
                    raise TooManyRedirects(
                        history[0].request_info,
                        tuple(history),
                        status=response.status,
                        message=f"more than max_redirects={limit} redirects",
                        headers=response.headers,
                    )
                await self._turn(hop)
            except BaseException:
                response.close()
                raise
            response.release()
            response = await self._hop()
        response._history = tuple(history)
        return response

    async def _turn(self, hop: Hop) -> None:
        """Take the direction of a redirect."""
        self._method, self._to = hop.method, hop.destination
        self._dropped |= hop.drops
        self._headers = without_fields(self._headers, hop.drops)
        if hop.cross_origin:
            self._cookies = None
        payload = self._payload
        if not hop.keeps_body:
            if payload is not None:
                await payload.close()
            self._body, self._payload, self._content_type = b"", None, None
            self._framing |= {"compress": None, "chunked": None, "expect100": False}
        elif payload is not None and payload.consumed:
            raise ClientPayloadError(
                f"redirected to {hop.destination.url}, but the body was sent, and "
                f"{type(payload).__name__} cannot have it again"
            )

    async def _hop(self) -> ClientResponse:
        """Send one request to where the call has come."""
        session, to, headers = self._session, self._to, self._headers
        jar = session._cookie_jar
        cookie = jar.cookie_header(to.url) if len(jar) else None
        if self._cookies:
            cookie = merge_cookies(cookie, self._cookies, quote=jar.quote_cookie)
        key = to.key
        if self._key_options:
            key = key._replace(**self._key_options)
        dropped = self._dropped
        if session._trust_env and not self._has_authorization():
            login = await netrc_authorization(key.host)
            if login is not None:
                headers = [*CIMultiDict(headers or ()).items(), ("Authorization", login)]
                dropped -= {"authorization"}
        if self._proxy is not None or session._trust_env:
            proxy = await proxy_for(
                to.url,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
                trust_env=session._trust_env,
            )
            if proxy is not None:
                key = key._replace(proxy=proxy)
                if forwards(key):
                    to = Destination(to.url, absolute_target(to), to.url)
                    headers = forwarded_headers(headers, proxy)
                    dropped -= {"proxy-authorization"}
        request = session._defaults.request(
            self._method,
            to,
            headers=headers,
            cookie=cookie,
            body=self._body,
            payload=self._payload,
            content_type=self._content_type,
            drop=dropped,
            close=self._connector.force_close,
            version=session._version,
            **self._framing,
        )
        self._request = request
        if self._traces is not None or self._tracker is not None or self._progress is not None:
            request.watch(traces=self._traces, tracker=self._tracker, progress=self._progress)
        if self._chain or session._request_class is not ClientRequest:
            return await self._send_through(request, key)
        return await self._send(request, key)

    def _has_authorization(self) -> bool:
        given = self._headers
        return "Authorization" in self._session.headers or (
            bool(given) and "Authorization" in CIMultiDict(given or ())
        )

    async def _send_through(self, request: OutgoingRequest, key: ConnectionKey) -> ClientResponse:
        """Send a request through the middlewares, who may send it again, or another, or none."""
        session = self._session
        seen = session._request_class(
            session,
            request,
            key,
            chunked=self._framing.get("chunked"),
            compress=self._framing.get("compress"),
            expect100=self._framing.get("expect100", False),
            skip_auto_headers=[*session.skip_auto_headers, *(self._framing.get("skip") or ())],
            response_class=session._response_class,
        )
        latest, response = seen, None

        async def send(changed: ClientRequest) -> ClientResponse:
            nonlocal latest, response
            latest = changed
            self._request = compiled = changed.compile()
            response = await self._send(compiled, key)
            return response

        try:
            return await build_chain(send, self._chain)(seen)
        except BaseException:
            # A frame that holds it may live on in a traceback.
            if response is not None:
                response.close()
            raise
        finally:
            self._take_body(latest._request)

    def _take_body(self, request: OutgoingRequest) -> None:
        """Go on with the body of a request: `update_body` may have put another in its place."""
        if request.payload is not self._payload or request.body is not self._body:
            self._payload, self._body = request.payload, request.body
            self._content_type = request.head.headers.get("Content-Type")

    async def _send(self, request: OutgoingRequest, key: ConnectionKey) -> ClientResponse:
        """Send one request over a connection; once more if that was closed in the meantime."""
        session, connector = self._session, self._connector
        timeout, total_at, traces = self._timeout, self._total_at, self._traces
        connection = connector.take(key, connector.now())
        if connection is None:
            connection = await connector.acquire(key, timeout, total_at, traces)
        elif traces is not None:
            try:
                await traces.send("on_connection_reuseconn", TraceConnectionReuseconnParams())
            except BaseException:
                connector.keep(connection)
                raise
        try:
            head = await connection.request(request, timeout, total_at, self._read_bufsize)
        except (ClientOSError, ServerDisconnectedError):
            # A used connection that the server has closed while the request was under
            # way: it has seen nothing of it (RFC 9110 section 9.2.2).
            if (
                not connection.reused
                or connection.received
                or not session._retry_connection
                or request.method not in _IDEMPOTENT
                or not request.replayable
            ):
                raise
            connection = await connector.acquire(key, timeout, total_at, traces)
            head = await connection.request(request, timeout, total_at, self._read_bufsize)
        if self._read_until_eof or head.content_length is not None or head.chunked:
            body = connection.receive_body(head)
        else:
            connection.abandon()
            body = None
        response = session._response_class(
            session,
            request,
            head,
            connection,
            body,
            auto_decompress=self._auto_decompress,
            traces=traces,
        )
        if head.has_set_cookie:
            session._cookie_jar.update_cookies_from_headers(
                head.headers.getall("Set-Cookie"), request.destination.url
            )
        return response


def with_bounds(
    limits: Limits | None,
    max_line_size: int | None,
    max_field_size: int | None,
    max_headers: int | None,
) -> Limits | None:
    """Return limits with some bounds replaced; None if they are the default ones."""
    given = {
        "max_line_size": max_line_size,
        "max_field_size": max_field_size,
        "max_headers": max_headers,
    }
    bounds = {name: bound for name, bound in given.items() if bound is not None}
    replaced = dataclasses.replace(limits or _DEFAULT_LIMITS, **bounds)
    return None if replaced == _DEFAULT_LIMITS else replaced
