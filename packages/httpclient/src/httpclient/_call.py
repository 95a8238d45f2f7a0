"""One call of a session, from its options to the response: the hops, and who is told.

The usual call (no traces, no middlewares, no redirect) composes a request (`_hop`), takes an
idle connection and sends (`_send`). What fewer calls need stands beside it, behind one test
each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Final

import anyio
from multidict import CIMultiDict

from httpcore_proto import HeadersLike
from httpcore_proto.aio import StreamReader

from ._call_options import CallOptions
from ._client_request import ClientRequest
from ._cookie_field import merge_cookies
from ._errors import (
    ClientOSError,
    ClientPayloadError,
    ServerDisconnectedError,
    TooManyRedirects,
)
from ._exchange import Exchange
from ._middlewares import build_chain
from ._netrc import netrc_authorization
from ._proxy import absolute_target, forwarded_headers, forwards, proxy_for
from ._redirects import REDIRECT_STATUSES, Hop, next_hop, without_fields
from ._request import OutgoingRequest
from ._response import ClientResponse
from ._trace_params import (
    TraceConnectionReuseconnParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
)
from ._tracing import Traces
from ._url import ConnectionKey, Destination

# RFC 9110 section 9.2.2, and RFC 10008 section 2 for QUERY: safe to send again.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})


class Call(CallOptions):
    """One call of a session, from its options to the response. Made for one `run`."""

    __slots__ = ()

    def run(self) -> Coroutine[Any, Any, ClientResponse]:
        """Send what the call asks for, and follow where it leads.

        Returns:
            What to await; a coroutine less than if this were one.

        Raises:
            ClientError: See `ClientSession.request`.
            TimeoutError: `total` passed.
        """
        plain = (
            not self._session._trace_configs and not self._chain and isinstance(self._check, bool)
        )
        running = self._checked() if plain else self._watched()
        return running if self._payload is None and plain else self._closing(running)

    async def _closing(self, running: Coroutine[Any, Any, ClientResponse]) -> ClientResponse:
        """Close the body in the end, whichever it is by then."""
        try:
            return await running
        finally:
            if self._payload is not None:
                with anyio.CancelScope(shield=True):
                    await self._payload.close()

    async def _checked(self) -> ClientResponse:
        response = await self._hop()
        if response.status in REDIRECT_STATUSES and self._max_redirects >= 0:
            response = await self._follow(response)
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

    async def _follow(self, response: ClientResponse) -> ClientResponse:
        """Send requests until a response is none that leads elsewhere."""
        limit = self._max_redirects
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

    def _hop(self) -> Awaitable[ClientResponse]:
        """Send one request to where the call has come."""
        session, to = self._session, self._to
        jar = session._cookie_jar
        cookie = jar.cookie_header(to.url) if len(jar) else None
        if self._cookies:
            cookie = merge_cookies(cookie, self._cookies, quote=jar.quote_cookie)
        key = to.key
        if self._key_options:
            key = key._replace(**self._key_options)
        if self._proxy is not None or session._trust_env:
            return self._hop_through(to, key, cookie)
        return self._dispatch(to, key, self._headers, cookie, self._dropped)

    async def _hop_through(
        self, to: Destination, key: ConnectionKey, cookie: str | None
    ) -> ClientResponse:
        """Look for a proxy and a login first."""
        session, headers, dropped = self._session, self._headers, self._dropped
        if session._trust_env and not self._has_authorization():
            login = await netrc_authorization(key.host)
            if login is not None:
                headers = [*CIMultiDict(headers or ()).items(), ("Authorization", login)]
                dropped -= {"authorization"}
        proxy = await proxy_for(
            to.url,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
            trust_env=session._trust_env,
        )
        if proxy is not None:
            if self._upgrades:
                # An intermediary need not know the other protocol (RFC 6455 section 4.1).
                proxy = proxy._replace(tunnel=True)
            key = key._replace(proxy=proxy)
            if forwards(key):
                to = Destination(to.url, absolute_target(to), to.url)
                headers = forwarded_headers(headers, proxy)
                dropped -= {"proxy-authorization"}
            else:
                # Meant for the proxy, which hears of it with CONNECT alone (CVE-2023-32681).
                dropped |= {"proxy-authorization"}
        return await self._dispatch(to, key, headers, cookie, dropped)

    def _dispatch(
        self,
        to: Destination,
        key: ConnectionKey,
        headers: HeadersLike | None,
        cookie: str | None,
        dropped: frozenset[str],
    ) -> Awaitable[ClientResponse]:
        """Compose a request and send it."""
        session = self._session
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
            return self._send_through(request, key)
        return self._send(request, key)

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
        held: StreamReader | None = None
        if self._upgrades and head.status == 101:
            held, body = connection.hold(), None
        elif self._read_until_eof or head.content_length is not None or head.chunked:
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
        if held is not None:
            response._exchange = Exchange(connection, held)
        if head.has_set_cookie:
            session._cookie_jar.update_cookies_from_headers(
                head.headers.getall("Set-Cookie"), request.destination.url
            )
        return response
