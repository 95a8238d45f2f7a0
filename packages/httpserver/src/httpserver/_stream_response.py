"""A response whose body is written piece by piece."""

from __future__ import annotations

import enum
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from multidict import CIMultiDict

from httpcore_proto import ContentEncoder, HeadersLike, HttpVersion11, choose_coding
from httpcore_proto import supported_codings as codings_we_have
from httpcore_proto.aio import AsyncEncoder

from ._exchange import Exchange, Preparable
from ._response_head import ResponseHead, check_reason

#: Bytes above which a piece of body is coded in a worker thread.
DEFAULT_EXECUTOR_SIZE: Final = 1024
# RFC 9110 section 6.4.1: no content, so nothing to be coded.
_WITHOUT_BODY: Final = frozenset({204, 205, 304})


class ContentCoding(enum.Enum):
    """Codings of a response body; `identity` is none."""

    br = "br"
    zstd = "zstd"
    gzip = "gzip"
    deflate = "deflate"
    identity = "identity"


class StreamResponse(ResponseHead, MutableMapping[str, Any]):
    """A response whose body is written piece by piece.

    `await prepare(request)` sends the head, `await write(data)` pieces of the body,
    `await write_eof()` the end; the server does the last if the handler does not. The
    body is chunked unless `headers` say `Content-Length`, and lasts up to the end of the
    connection for an HTTP/1.0 client.

    Also a mapping, for whatever middlewares and handlers want to keep with it. Equality
    is identity. A response can be sent once.

    Args:
        status: 200 to 599.
        reason: Reason phrase; the standard one unless given, empty for a status that has
            none.
        headers: Fields to send; more can be set in `headers` until the head is sent.

    Raises:
        ValueError: There is a line end in `reason`.
    """

    _exchange: Exchange | None = None
    _ended: bool = False
    _storage: dict[Any, Any] | None = None
    #: Whether the body is to be coded; None for as the client likes it best.
    _compresses: bool = False
    _forced_coding: ContentCoding | None = None
    _strategy: int | None = None
    _encoder: AsyncEncoder | None = None
    _executor_size: int = DEFAULT_EXECUTOR_SIZE
    _trailers: CIMultiDict[str] | None = None
    #: Bytes sent, head included; valid behind the end.
    body_length: int = 0
    #: Whether the hooks saw it; asked by the connection.
    was_told: bool = False
    #: Whether head and body may leave as they are; asked by the connection.
    is_plain: bool = True

    def __init__(
        self, *, status: int = 200, reason: str | None = None, headers: HeadersLike | None = None
    ) -> None:
        self._status = status
        self._reason = check_reason(reason)
        self._set_headers(headers)

    @property
    def prepared(self) -> bool:
        """Whether the head was sent."""
        return self._exchange is not None

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection may live on; None before the head is sent."""
        if self._force_close:
            return False
        return None if self._exchange is None else self._exchange.keep_alive

    @property
    def chunked(self) -> bool:
        """Whether the body is to be sent in chunks whatever is known of its length."""
        return self._headers is not None and "Transfer-Encoding" in self._headers

    def enable_chunked_encoding(self) -> None:
        """Send the body in chunks.

        Raises:
            RuntimeError: There is a Content-Length.
        """
        if "Content-Length" in self.headers:
            raise RuntimeError("a body with Content-Length cannot be sent in chunks")
        self.headers["Transfer-Encoding"] = "chunked"

    @property
    def compression(self) -> bool:
        """Whether the body is to be coded, if the client takes that."""
        return self._compresses

    def enable_compression(
        self, force: ContentCoding | None = None, strategy: int | None = None
    ) -> None:
        """Send the body in a content coding.

        Which one, the client's Accept-Encoding decides with its weights; br, zstd, gzip and
        deflate at equal ones. `Vary` is told. A response that has a Content-Encoding is
        left as it is.

        Args:
            force: Use this one, whatever the client says.
            strategy: zlib's, for gzip and deflate.

        Raises:
            TypeError: `force` is something else, such as the flag of old.
        """
        if force is not None and not isinstance(force, ContentCoding):
            raise TypeError(f"force must be a ContentCoding or None, not {force!r}")
        self._compresses = True
        self.is_plain = False
        self._forced_coding = force
        self._strategy = strategy

    @property
    def trailers(self) -> CIMultiDict[str]:
        """Fields to send behind the body; only a body in chunks has them."""
        if self._trailers is None:
            self._trailers = CIMultiDict()
        return self._trailers

    async def prepare(self, request: Preparable) -> None:
        """Send the head; again does nothing.

        Raises:
            LocalProtocolError: A field, the reason or the status is not fit to be sent.
            RuntimeError: Chunks are asked for, and the client speaks HTTP/1.0.
            OSError: The client is gone.
        """
        if self._exchange is None:
            if self.chunked and request.version < HttpVersion11:
                raise RuntimeError("HTTP/1.0 has no chunks")
            if self._compresses:
                self._start_coding(request)
            exchange = request.exchange
            await exchange.start_response(self)
            self._exchange = exchange
            self._is_prepared = True
            self.is_plain = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a piece of the body; waits while the client takes nothing.

        Raises:
            RuntimeError: Before `prepare` or after `write_eof`.
            TypeError: `data` is not bytes-like.
            LocalProtocolError: More than Content-Length.
            OSError: The client is gone.
        """
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("cannot write before prepare()")
        if self._ended:
            raise RuntimeError("cannot write after write_eof()")
        if type(data) is not bytes:
            if not isinstance(data, (bytearray, memoryview, bytes)):
                raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
            data = bytes(data)
        if self._encoder is not None:
            data = await self._encoder.encode(data)
        if data and exchange.put_body(data):
            await exchange.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the last piece, if any, and the end; again does nothing.

        Raises:
            RuntimeError: Before `prepare`.
            LocalProtocolError: Less than Content-Length was written.
            OSError: The client is gone.
        """
        if self._ended:
            return
        if self._exchange is None:
            raise RuntimeError("cannot write before prepare()")
        if data:
            await self.write(data)
        self._ended = True
        if self._encoder is not None and (rest := await self._encoder.finish()):
            self._exchange.put_body(rest)
        await self._exchange.finish_response(self._trailers or ())

    # Inside.

    def _choose_coding(self, request: Preparable) -> str | None:
        """Return the coding to use and tell it in the head; None for none."""
        headers = self.headers
        if self._status in _WITHOUT_BODY or "Content-Encoding" in headers:
            return None
        if self._forced_coding is not None:
            coding = (
                None if self._forced_coding is ContentCoding.identity else self._forced_coding.value
            )
        else:
            accepted = request.headers.getall("Accept-Encoding", None)
            coding = choose_coding(
                None if accepted is None else ", ".join(accepted), codings_we_have()
            )
            if "accept-encoding" not in headers.get("Vary", "").lower():
                headers.add("Vary", "Accept-Encoding")
        if coding is not None:
            headers["Content-Encoding"] = coding
        return coding

    def _make_encoder(self, coding: str) -> AsyncEncoder:
        strategy = self._strategy if coding in ("gzip", "deflate") else None
        return AsyncEncoder(ContentEncoder(coding, strategy=strategy), self._executor_size)

    def _start_coding(self, request: Preparable) -> None:
        coding = self._choose_coding(request)
        if coding is not None:
            self._encoder = self._make_encoder(coding)
            # How long it becomes shows at its end.
            self.headers.pop("Content-Length", None)

    def __getitem__(self, key: Any) -> Any:
        return (self._storage or {})[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._storage is None:
            self._storage = {}
        self._storage[key] = value

    def __delitem__(self, key: Any) -> None:
        del (self._storage or {})[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._storage or ())

    def __len__(self) -> int:
        return len(self._storage or ())

    def __bool__(self) -> bool:
        # A mapping without items is false; a response never is.
        return True

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.reason}>"
