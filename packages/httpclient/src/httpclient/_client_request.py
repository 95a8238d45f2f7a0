"""A request as middlewares see it: everything that will be sent, and still to be changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict, CIMultiDictProxy, getversion, istr
from yarl import URL

import httpcore_proto
from httpcore_proto import HttpVersion, HttpVersion11
from httpcore_proto.aio import BytesPayload, Payload

from ._errors import ClientPayloadError
from ._framing import frame_body, frame_nothing
from ._request import NOT_OF_A_REQUEST, OutgoingRequest, RequestInfo
from ._request_body import OCTETS, TEXT, BodyLike, encode_body
from ._url import ConnectionKey

if TYPE_CHECKING:
    from ._response import ClientResponse
    from ._session import ClientSession
    from ._tracing import Traces

# Content types of bodies that say nothing about what they are: no body, bytes, text.
_KEEPING: Final = frozenset({None, OCTETS, TEXT})


class ClientRequest:
    """A request before it is sent; made by `ClientSession`, for middlewares.

    Its headers may be changed, and its body with `update_body`. It can be sent more than once
    if its body can.

    Args:
        session: The session.
        request: The request as it was asked for.
        key: Where it connects to, and how.
        chunked: As it was asked for, like all that follow.
        compress: Content coding, for a body that is set later.
        expect100: Whether to ask the server first, for a body that is set later.
        skip_auto_headers: Names of fields that are not generated.
        response_class: What its response will be; None for `ClientResponse`.
    """

    def __init__(
        self,
        session: ClientSession,
        request: OutgoingRequest,
        key: ConnectionKey,
        *,
        chunked: bool | None = None,
        compress: str | bool | None = None,
        expect100: bool = False,
        skip_auto_headers: Collection[str] = (),
        response_class: type[ClientResponse] | None = None,
    ) -> None:
        self._session = session
        self._request = request
        self._key = key
        self._chunked = chunked
        self._compress = compress
        self._expect100 = expect100
        self._skip = frozenset(map(istr, skip_auto_headers))
        self._response_class = response_class
        # Made when somebody looks at them; until then the request is sent as it is.
        self._headers: CIMultiDict[str] | None = None
        self._version = -1  # of `_headers`, when `_request` was made of them
        self._body: Payload | None = None

    @property
    def method(self) -> str:
        """Method, in upper case."""
        return self._request.method

    @property
    def url(self) -> URL:
        """The URL, without fragment."""
        return self._request.url

    @property
    def original_url(self) -> URL:
        """The URL, fragment included."""
        return self._request.destination.url

    @property
    def host(self) -> str:
        """Host of the URL, without port."""
        return self.url.host or ""

    @property
    def port(self) -> int:
        """Port that the URL leads to."""
        return self._request.destination.key.port

    def is_ssl(self) -> bool:
        """Whether the URL is https."""
        return self._request.destination.key.is_ssl

    @property
    def headers(self) -> CIMultiDict[str]:
        """All fields that will be sent: names compare without case, changes take effect.

        Content-Length and Transfer-Encoding say how the body is sent; leave them to
        `update_body`.
        """
        if self._headers is None:
            self._headers = self._request.fields
            self._version = getversion(self._headers)  # type: ignore[arg-type]  # the stub is invariant
        return self._headers

    @property
    def version(self) -> HttpVersion:
        """HTTP/1.1, or 1.0."""
        return self._request.head.http_version

    @property
    def compress(self) -> str | None:
        """Content coding that will be applied to the body."""
        return self._request.coding

    @property
    def chunked(self) -> bool:
        """Whether the body will be sent in chunks."""
        return "Transfer-Encoding" in self.headers

    @property
    def ssl(self) -> Any:
        """TLS setting as it was given: True, False, a context or a fingerprint."""
        return self._key.ssl

    @property
    def server_hostname(self) -> str | None:
        """Name in SNI and in the certificate, if it is not that of the URL."""
        return self._key.server_hostname

    @property
    def proxy(self) -> URL | None:
        """The proxy, without credentials."""
        return self._key.proxy.url if self._key.proxy is not None else None

    @property
    def proxy_headers(self) -> CIMultiDict[str] | None:
        """What the proxy is told, Proxy-Authorization included; a copy."""
        return CIMultiDict(self._key.proxy.headers) if self._key.proxy is not None else None

    @property
    def connection_key(self) -> ConnectionKey:
        """What requests that may share a connection have in common."""
        return self._key

    @property
    def response_class(self) -> type[ClientResponse]:
        """What its response will be."""
        if self._response_class is None:
            from ._response import ClientResponse

            return ClientResponse
        return self._response_class

    @property
    def skip_auto_headers(self) -> frozenset[istr]:
        """Names of fields that are not generated."""
        return self._skip

    @property
    def session(self) -> ClientSession:
        """The session."""
        return self._session

    @property
    def traces(self) -> Traces | None:
        """The traces of the call."""
        return self._request.traces

    @property
    def request_info(self) -> RequestInfo:
        """What is asked for, as it stands now."""
        headers = CIMultiDictProxy(CIMultiDict(self.headers))
        return RequestInfo(self.url, self.method, headers, self.original_url)

    @property
    def body(self) -> Payload | bytes:
        """The body, and b"" if there is none."""
        request = self._request
        if request.payload is not None:
            return request.payload
        if not request.body:
            return b""
        if self._body is None:
            content_type = self.headers.get("Content-Type")
            self._body = BytesPayload(request.body, content_type=content_type)
        return self._body

    async def update_body(self, body: BodyLike) -> None:
        """Send another body, and close the present one.

        Content-Length and Transfer-Encoding are made anew. Content-Type is that of the new
        body if this is a form, a file or another payload; bytes and text keep what there is.

        Args:
            body: Whatever `data` may be; None for no body.

        Raises:
            TypeError: It is nothing that can be sent.
            ValueError: It cannot be sent in the way that was asked for.
        """
        data, payload, content_type = encode_body(body)
        headers = CIMultiDict(self.headers)
        for name in ("Content-Length", "Transfer-Encoding"):
            headers.popall(name, None)
        if self._request.coding is not None:
            headers.popall("Content-Encoding", None)
        if payload is not None or content_type not in _KEEPING:
            headers.popall("Content-Type", None)
        fields = payload.headers if payload is not None else {"Content-Type": content_type}
        for name, value in fields.items():
            if (
                value is not None
                and name not in headers
                and name not in self._skip
                and name.lower() not in NOT_OF_A_REQUEST
            ):
                headers[name] = value
        pairs = list(headers.items())
        names = frozenset(name.lower() for name in headers)
        coding, expects = None, False
        if data or payload is not None:
            coding, expects = frame_body(
                pairs,
                names,
                size=len(data) if payload is None else payload.size,
                chunked=self._chunked,
                compress=self._compress,
                expect100=self._expect100,
                http10=self.version < HttpVersion11,
            )
        else:
            frame_nothing(pairs, names, self.method)
        old = self._request.payload
        self._body = None
        self._compose(pairs, data, payload, coding, expects)
        self.headers.clear()
        self.headers.extend(pairs)
        self._version = getversion(self.headers)  # type: ignore[arg-type]  # as above
        if old is not None and old is not payload:
            await old.close()

    def compile(self) -> OutgoingRequest:
        """Return the request as it stands, to be sent.

        Raises:
            ClientPayloadError: Its body was sent, or closed, and cannot be had again.
            ValueError: Its headers contradict its body.
        """
        request = self._request
        payload = request.payload
        if payload is not None and payload.consumed:
            raise ClientPayloadError(
                f"the body of the request was sent or closed, and {type(payload).__name__} cannot "
                "have it again; update_body() sets another"
            )
        headers = self._headers
        if headers is None or getversion(headers) == self._version:  # type: ignore[arg-type]  # as above
            return request
        pairs = list(headers.items())
        names = frozenset(name.lower() for name in headers)
        coding = request.coding if "content-encoding" in names else None
        expects = False
        if request.body or payload is not None:
            # What was coded or was not is in the fields already.
            _, expects = frame_body(
                pairs,
                names,
                size=request.size if coding is None else None,
                http10=self.version < HttpVersion11,
            )
        else:
            frame_nothing(pairs, names, self.method)
        self._version = getversion(headers)  # type: ignore[arg-type]  # as above
        return self._compose(pairs, request.body, payload, coding, expects)

    def _compose(
        self,
        pairs: list[tuple[str, str]],
        body: bytes,
        payload: Payload | None,
        coding: str | None,
        expects: bool,
    ) -> OutgoingRequest:
        old = self._request
        # RFC 9110 section 7.2: Host should come first, and has to be there.
        pairs.sort(key=lambda field: field[0].lower() != "host")
        if not pairs or pairs[0][0].lower() != "host":
            pairs.insert(0, ("Host", old.destination.host_field))
        head = httpcore_proto.Request(
            method=old.method, target=old.head.target, headers=pairs, http_version=self.version
        )
        request = OutgoingRequest(old.destination, head, (), body, payload, coding, expects)
        request.watch(traces=old.traces, tracker=old.tracker, progress=old.progress)
        self._request = request
        return request

    async def close(self) -> None:
        """Close the body; for the session, when nothing more is to be sent."""
        if self._request.payload is not None:
            await self._request.payload.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.url}>"
