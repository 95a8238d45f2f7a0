"""A response: its head, decoded when asked for, and its body."""

from __future__ import annotations

import json as json_module
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDictProxy
from yarl import URL

from httpcore_proto import (
    ContentType,
    Data,
    HttpVersion,
    InformationalResponse,
    RawHeaders,
    Response,
    codec_for_charset,
    parse_content_type,
)
from httpcore_proto.aio import EMPTY_PAYLOAD, StreamReader

from ._connection import ClientHTTPConnection
from ._errors import ClientConnectionError, ClientResponseError, ContentTypeError
from ._exchange import Exchange
from ._request import OutgoingRequest, RequestInfo

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ._session import ClientSession


class Connection:
    """The connection of a response whose body is still under way."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def closed(self) -> bool:
        """Whether the response has let go of it."""
        return not self._exchange.active

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts by asyncio's names: peername, sockname, socket, ssl_object, sslcontext."""
        return self._exchange.info(name, default)

    def close(self) -> None:
        """Close it; the rest of the body is lost."""
        self._exchange.close()


class _Released:
    """What `release` returns: nothing is left to wait for."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


_RELEASED: Final = _Released()


class ClientResponse:
    """A response to a request; made by `ClientSession` only.

    Use it as an async context manager, or read its body to the end: then its connection
    goes back to the pool. `release`, `close` and leaving the context before the end
    close the connection, since reading what nobody wants costs more.

    Redirects are not followed yet: a response with a 3xx status is returned as it is.
    Bodies are not decoded yet, whatever Content-Encoding says, and none is asked for.

    Attributes:
        method: Method of the request.
        status: Status code, 200 to 999, or 101.
        history: Responses before this one; none as long as redirects are not followed.
    """

    __slots__ = (
        "_body",
        "_content",
        "_exchange",
        "_head",
        "_in_context",
        "_piece",
        "_released",
        "_request",
        "_session",
        "method",
        "status",
    )

    history: tuple[ClientResponse, ...] = ()

    def __init__(
        self,
        session: ClientSession,
        request: OutgoingRequest,
        head: Response | InformationalResponse,
        connection: ClientHTTPConnection,
        body: Data | StreamReader | None,
    ) -> None:
        # The session lives as long as its responses: its connections are closed with it.
        self._session = session
        self._request = request
        self._head = head
        self.method: str = request.method
        self.status: int = head.status
        self._body: bytes | None = None
        self._in_context = False
        self._released = False
        self._piece: Data | None = None
        self._content: StreamReader | None = None
        self._exchange: Exchange | None = None
        if isinstance(body, StreamReader):
            self._content = body
            self._exchange = Exchange(connection, body)
        else:
            self._piece = body

    # The head.

    @property
    def version(self) -> HttpVersion:
        """Version that the server speaks."""
        return self._head.http_version

    @property
    def reason(self) -> str:
        """Reason phrase; may be empty."""
        return self._head.reason

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """URL of the request, without fragment."""
        url = self._request.destination.url
        return url.with_fragment(None) if url.raw_fragment else url

    @property
    def real_url(self) -> URL:
        """URL of the request, fragment included."""
        return self._request.destination.url

    @property
    def host(self) -> str:
        """Host of the URL, without port."""
        return self._request.destination.url.host or ""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields; names compare without case."""
        return self._head.headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The fields as bytes, as they were sent."""
        return self._head.raw_headers

    @property
    def content_type(self) -> str:
        """Media type in lower case; `application/octet-stream` if none or malformed."""
        return self._content_type.media_type

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type as the server wrote it."""
        return self._content_type.charset

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes; also of the one that HEAD leaves out."""
        return self._head.content_length

    @property
    def request_info(self) -> RequestInfo:
        """What was asked for."""
        return self._request.info

    @property
    def connection(self) -> Connection | None:
        """The connection, while the body is under way; None afterwards."""
        exchange = self._exchange
        return Connection(exchange) if exchange is not None and exchange.active else None

    @property
    def closed(self) -> bool:
        """Whether the connection is let go of, the body complete or not."""
        return self._exchange is None or not self._exchange.active

    # The body.

    @property
    def content(self) -> StreamReader:
        """The body as a stream."""
        content = self._content
        if content is None:
            piece = self._piece
            if self._released:
                content = StreamReader(None)
                content.set_exception(ClientConnectionError("Connection closed"))
            elif piece is None:
                content = EMPTY_PAYLOAD
            else:
                content = StreamReader(None)
                content.feed_data(piece.data, piece.chunk_ends)
                content.feed_eof()
            self._content = content
            self._piece = None
        return content

    async def read(self) -> bytes:
        """Read the whole body, or what was not yet read through `content`.

        It is kept: a second call returns the same bytes, also after the response was
        released.

        Raises:
            ClientPayloadError: The body is cut or malformed; the connection is closed.
            ClientConnectionError: The response was released before.
            SocketTimeoutError: `sock_read` passed; the connection is closed.
            TimeoutError: `total` passed; the connection is closed.
        """
        body = self._body
        if body is None:
            if self._content is not None:
                try:
                    body = await self._content.read()
                except BaseException:
                    self.close()
                    raise
            elif self._released:
                raise ClientConnectionError("Connection closed")
            else:
                body = self._piece.data if self._piece is not None else b""
                self._piece = None
            self._body = body
        return body

    def get_encoding(self) -> str:
        """Return the name of the codec for the body.

        That is the charset the server names, if Python has it; UTF-8 for JSON; else
        what the session's `fallback_charset_resolver` says.

        Raises:
            RuntimeError: The resolver needs the body, and it is not read yet.
        """
        media_type, charset = self._content_type.media_type, self._content_type.charset
        if charset is not None and (name := codec_for_charset(charset)) is not None:
            return name
        # RFC 8259 section 8.1, and RFC 7483 section 3 for RDAP: always UTF-8.
        if media_type in ("application/json", "application/rdap"):
            return "utf-8"
        if self._body is None:
            raise RuntimeError("Cannot compute fallback encoding of a not yet read body")
        return self._session.fallback_charset_resolver(self, self._body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Read the whole body and decode it.

        Args:
            encoding: A codec; `get_encoding` decides unless given.
            errors: What to do about wrong bytes, as for `bytes.decode`.

        Raises:
            UnicodeDecodeError: There are wrong bytes, and `errors` is `"strict"`.
            LookupError: Python has no codec `encoding`.
        """
        body = await self.read()
        return body.decode(encoding or self.get_encoding(), errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = json_module.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Read the whole body and decode it as JSON.

        Args:
            encoding: A codec; `get_encoding` decides unless given.
            loads: What decodes.
            content_type: Media type the body must have. `application/json` also stands
                for types like `application/problem+json`; any other must match exactly,
                unlike in aiohttp. None for any.

        Returns:
            None for a body that is empty or blank.

        Raises:
            ContentTypeError: The body has another type.
            ValueError: It is no JSON, or nested too deeply.
        """
        body = await self.read()
        if content_type is not None and not self._is_of_type(content_type.lower()):
            raise ContentTypeError(
                self.request_info,
                self.history,
                status=self.status,
                message=f"Attempt to decode JSON with unexpected mimetype: {self.content_type}",
                headers=self.headers,
            )
        stripped = body.strip()
        if not stripped:
            return None
        try:
            return loads(stripped.decode(encoding or self.get_encoding()))
        except RecursionError as exc:
            raise ValueError("JSON is nested too deeply") from exc

    @property
    def _content_type(self) -> ContentType:
        return parse_content_type(self._head.headers.get("Content-Type", ""))

    def _is_of_type(self, expected: str) -> bool:
        actual = self._content_type
        return actual.media_type == expected or (expected == "application/json" and actual.is_json)

    # The end.

    def raise_for_status(self) -> None:
        """Raise if the status is 400 or above; outside of `async with` also release.

        Raises:
            ClientResponseError: It is.
        """
        if self.status >= 400:
            if not self._in_context:
                self.release()
            raise ClientResponseError(
                self.request_info,
                self.history,
                status=self.status,
                message=self.reason,
                headers=self.headers,
            )

    def release(self) -> Awaitable[None]:
        """Let go of the connection; it is closed if the body is not complete.

        What was not read is lost; what `read` returned is kept.

        Returns:
            Something that may be awaited, and need not be.
        """
        if not self._released:
            self._released = True
            self._piece = None
            if self._exchange is not None:
                self._exchange.close()
            content = self._content
            if content is not None and self._body is None and content.exception() is None:
                content.set_exception(ClientConnectionError("Connection closed"))
        return _RELEASED

    def close(self) -> None:
        """Close the connection, unless the body was complete."""
        self.release()

    def enter(self) -> None:
        """Begin what `async with` does; a plain call, since nothing is waited for."""
        self._in_context = True

    def leave(self) -> None:
        """End it."""
        self._in_context = False
        self.release()

    async def __aenter__(self) -> Self:
        self.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<ClientResponse({self.url}) [{self.status} {self.reason}]>"
