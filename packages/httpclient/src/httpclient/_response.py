"""A response: its body, and what becomes of the connection that brings it."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from multidict import CIMultiDictProxy

from httpcore_proto import Data, InformationalResponse, LineTooLong, Response
from httpcore_proto.aio import EMPTY_PAYLOAD, StreamReader

from ._body_items import BodyItems, EventStream
from ._body_stream import NO_TRAILERS, BodyStream
from ._charset import declared_codec, detect_codec, guess_codec
from ._connection import ClientHTTPConnection
from ._decoding import decoded_piece, decoded_stream
from ._errors import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponseError,
    ContentTypeError,
)
from ._exchange import Exchange
from ._line_splitter import MAX_LINE_LENGTH, LineSplitter
from ._request import OutgoingRequest
from ._response_head import ResponseHead
from ._trace_params import TraceResponseChunkReceivedParams

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ._session import ClientSession
    from ._tracing import Traces

# Blanks of JSON, and those that aiohttp takes off beside them.
_BLANKS: Final = " \t\n\r\v\f"


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


class ClientResponse(ResponseHead):
    """A response to a request; made by `ClientSession` only.

    Use it as an async context manager, or read its body to the end: then its connection
    goes back to the pool. `release`, `close` and leaving the context before the end
    close the connection, since reading what nobody wants costs more.

    Content codings (gzip, deflate, br, zstd, and several of them) are undone while the body
    is read, unless `auto_decompress` is off; what the session's `coding_limits` do not
    allow is a `ClientPayloadError`. A coding that nobody here knows leaves the body as it is.

    Args:
        session: What the request was made with.
        request: The request.
        head: What was received so far.
        connection: What it came through.
        body: The body: all of it, None for none, or a stream.
        auto_decompress: Whether to undo content codings.
        traces: Who is told of the body, if anybody is.

    Attributes:
        method: Method of the request.
        status: Status code, 200 to 999, or 101.
    """

    __slots__ = (
        "_body",
        "_coded",
        "_content",
        "_exchange",
        "_guessed",
        "_in_context",
        "_piece",
        "_received",
        "_released",
        "_session",
        "_traces",
    )

    def __init__(
        self,
        session: ClientSession,
        request: OutgoingRequest,
        head: Response | InformationalResponse,
        connection: ClientHTTPConnection,
        body: Data | StreamReader | None,
        *,
        auto_decompress: bool = True,
        traces: Traces | None = None,
    ) -> None:
        # The session lives as long as its responses: its connections are closed with it.
        self._session = session
        self._request = request
        self._head = head
        self._history = ()
        self.method: str = request.method
        self.status: int = head.status
        self._traces = traces
        self._body: bytes | None = None
        self._guessed: str | None = None
        self._in_context = False
        self._released = False
        self._piece: Data | None = None
        self._content: StreamReader | None = None
        self._received: StreamReader | None = None  # the same, its codings not undone
        self._exchange: Exchange | None = None
        # An empty body is one without any coding, as those of HEAD, 204 and 304 are.
        self._coded = body is not None and auto_decompress and head.has_content_encoding
        if isinstance(body, StreamReader):
            self._received = self._content = body
            self._exchange = Exchange(connection, body)
            if self._coded:
                limits = session.coding_limits
                self._content = decoded_stream(body, head, limits, connection)
        else:
            self._piece = body

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
        """The body as a stream, content codings undone.

        Reads raise what `read` does, and `LineTooLong` where they have a limit of their own.
        """
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
                if self._coded:
                    content = decoded_stream(content, self._head, self._session.coding_limits, None)
            self._content = content
            self._piece = None
        return content

    @property
    def trailers(self) -> CIMultiDictProxy[str]:
        """Fields that were sent behind the body (RFC 9110 section 6.5); mostly none.

        They are no part of `headers`, and nothing here acts on them.

        Raises:
            RuntimeError: The body is not received to its end, so nobody knows yet.
        """
        received = self._received
        if received is None:
            return NO_TRAILERS
        if not received.is_eof():
            raise RuntimeError("Trailers come behind the body, which is not yet received")
        return received.received_trailers if isinstance(received, BodyStream) else NO_TRAILERS

    async def read(self) -> bytes:
        """Read the whole body, or what was not yet read through `content`.

        It is kept: a second call returns the same bytes, also after the response was
        released.

        Raises:
            ClientPayloadError: The body is cut or malformed, or does not fit its content
                coding, or that is cut, or over a limit (then `__cause__` is a
                `ContentEncodingError`); the connection is closed.
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
                if self._coded:
                    body = await decoded_piece(body, self._head, self._session.coding_limits)
                self._piece = None
            self._body = body
            if self._traces is not None:
                await self._tell(self._traces, body)
        return body

    async def _tell(self, traces: Traces, body: bytes) -> None:
        params = TraceResponseChunkReceivedParams(self.method, self.url, body)
        await traces.send("on_response_chunk_received", params)

    def get_encoding(self) -> str:
        """Return the name of the codec for the body.

        That is the charset the server names, if Python has it; UTF-8 for JSON; else
        what the session's `fallback_charset_resolver` says; without one UTF-8, if the body
        decodes as that, and else what chardet takes it for. Other than `text`, this looks
        at the body on the spot, which takes some milliseconds.

        Raises:
            RuntimeError: The body is needed, and it is not read yet.
        """
        codec = declared_codec(self._content_type)
        if codec is not None:
            return codec
        if self._body is None:
            raise RuntimeError("Cannot compute fallback encoding of a not yet read body")
        codec = self._resolved_codec(self._body)
        if codec is None:
            self._guessed = codec = guess_codec(self._body)
        return codec

    def _resolved_codec(self, body: bytes) -> str | None:
        """Return the codec for a body that declares none, if that is known already."""
        resolver = self._session.fallback_charset_resolver
        return self._guessed if resolver is None else resolver(self, body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Read the whole body and decode it.

        Args:
            encoding: A codec; unless given it is chosen as by `get_encoding`. Where chardet
                is asked, that is done in a worker thread.
            errors: What to do about wrong bytes, as for `bytes.decode`.

        Raises:
            UnicodeDecodeError: There are wrong bytes, and `errors` is `"strict"`.
            LookupError: Python has no codec `encoding`.
        """
        body = await self.read()
        codec = encoding or declared_codec(self._content_type) or self._resolved_codec(body)
        if codec is None:
            try:
                return body.decode()
            except UnicodeDecodeError as exc:
                wrong = exc.start
            self._guessed = codec = await run_sync(detect_codec, body, wrong)
        return body.decode(codec, errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = json_module.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Read the whole body and decode it as JSON.

        Args:
            encoding: A codec; unless given it is chosen as by `get_encoding`.
            loads: What decodes.
            content_type: Media type the body must have. `application/json` also stands
                for types like `application/problem+json`; any other must match exactly,
                unlike in aiohttp. None for any.

        Returns:
            None for a body that is empty or blank.

        Raises:
            ContentTypeError: The body has another type.
            ValueError: It is no JSON, or nested too deeply, or no text
                (`UnicodeDecodeError`).
        """
        await self.read()
        if content_type is not None:
            self._check_type(content_type, "Attempt to decode JSON with")
        text = (await self.text(encoding)).strip(_BLANKS)
        if not text:
            return None
        try:
            return loads(text)
        except RecursionError as exc:
            raise ValueError("JSON is nested too deeply") from exc

    def _check_type(self, expected: str, attempt: str) -> None:
        if not self._is_of_type(expected.lower()):
            raise ContentTypeError(
                self.request_info,
                self.history,
                status=self.status,
                message=f"{attempt} unexpected mimetype: {self.content_type}",
                headers=self.headers,
            )

    # The body while it is received. None of these keeps what it returns.

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over pieces of at most `n` bytes; as `content.iter_chunked`."""
        return self.content.iter_chunked(n)

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over pieces as they come; as `content.iter_any`."""
        return self.content.iter_any()

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Read through the next `\\n`; the rest at the end of the body, `b""` behind it.

        Args:
            max_line_length: Most bytes to return; twice the session's `read_bufsize` unless
                given.

        Raises:
            ClientPayloadError: The line is longer; the connection is closed. And as `read`.
        """
        try:
            return await self.content.readline(max_line_length=max_line_length)
        except LineTooLong as exc:
            self.close()
            raise ClientPayloadError(exc.message) from exc

    def iter_lines(
        self,
        encoding: str | None = None,
        errors: str = "strict",
        *,
        max_line_length: int = MAX_LINE_LENGTH,
    ) -> AsyncIterator[str]:
        """Iterate over lines of text, without their ends, while they are received.

        Lines end with LF, CRLF or CR, and not with the other characters that
        `str.splitlines` knows: those are text in a line of JSON.

        Args:
            encoding: A codec; unless given, the one that the head declares, else UTF-8: what
                is not there yet cannot be guessed from.
            errors: What to do about wrong bytes, as for `bytes.decode`.
            max_line_length: Most characters of a line; the default, 2**19, is the number of
                bytes that `readline` allows.

        Raises:
            ClientPayloadError: A line is longer; the connection is closed. And as `read`.
            LookupError: Python has no codec `encoding`, or none for pieces.
            UnicodeError: There are wrong bytes, and `errors` is `"strict"`; or UTF-16 or
                UTF-32 of no certain byte order begins without a byte order mark.
            ValueError: `max_line_length` is below 1.
        """
        codec = encoding or declared_codec(self._content_type) or "utf-8"
        return BodyItems(self, LineSplitter(codec, errors, max_line_length))

    def sse(self, *, max_line_size: int = 2**20, max_event_size: int = 2**20) -> EventStream:
        """Iterate over server-sent events (WHATWG HTML) while they are received.

        Mind `ClientTimeout.total`, which ends a long stream as well.

        Args:
            max_line_size: Most bytes of a line; 1 MiB is the default of the core's parser.
            max_event_size: Most bytes of data in one event; the same.

        Raises:
            ContentTypeError: The response is no `text/event-stream`.
            ClientPayloadError: While iterating: a line or an event is larger; the
                connection is closed. And as `read`.
            ValueError: A limit is below 1.
        """
        self._check_type("text/event-stream", "Attempt to read events with")
        return EventStream(self, max_line_size, max_event_size)

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

    async def wait_for_close(self) -> None:
        """Let go of the connection once the request is sent.

        A response that comes before that ends the sending, so there is nothing to wait for.
        """
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
