"""Responses: what a handler returns, or writes piece by piece."""

from __future__ import annotations

import http
import json
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final, Protocol

from multidict import CIMultiDict

import httpcore_proto
from httpcore_proto import SERVER_SOFTWARE, HeaderBlock, HeadersLike, parse_content_type
from httpcore_proto.aio import Link

from ._preset import Presets

_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}
_OCTET_STREAM: Final = "application/octet-stream"
_TEXT_UTF8: Final = "text/plain; charset=utf-8"
# For `text` of a response whose content type the program gave without charset.
_DEFAULT_CHARSET: Final = "utf-8"


class Exchange(Protocol):
    """What requests and responses need of the connection that carries them."""

    @property
    def link(self) -> Link:
        """The link that the request came over."""

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body to be read at once; 0 for no limit."""

    async def send_continue(self) -> None:
        """Tell a client that waits for it to send the body."""

    async def start_response(self, response: StreamResponse) -> None:
        """Send the head."""

    async def write_body(self, data: bytes) -> None:
        """Write a piece of body, and wait while the client is slow."""

    async def finish_response(self) -> None:
        """Write the end."""


class Preparable(Protocol):
    """A request, as far as responses know it."""

    @property
    def exchange(self) -> Exchange:
        """The exchange that it began."""


class StreamResponse(MutableMapping[str, Any]):
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
    """

    _headers: CIMultiDict[str] | None = None
    _exchange: Exchange | None = None
    _ended = False
    _force_close = False
    _storage: dict[str, Any] | None = None
    #: Content-Type as long as `headers` was not asked for.
    _content_type: str | None = _OCTET_STREAM

    def __init__(
        self, *, status: int = 200, reason: str | None = None, headers: HeadersLike | None = None
    ) -> None:
        self._status = status
        self._reason = reason
        if headers is not None:
            self._headers = CIMultiDict(headers)

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return _REASONS.get(self._status, "") if self._reason is None else self._reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status and reason.

        Raises:
            RuntimeError: The head was sent.
        """
        if self._exchange is not None:
            raise RuntimeError("cannot change the status: the head was sent")
        self._status = status
        self._reason = reason

    @property
    def prepared(self) -> bool:
        """Whether the head was sent."""
        return self._exchange is not None

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields to send; changes count until the head is sent.

        `Content-Type` is added when the head is sent, if it is not there then.
        """
        if self._headers is None:
            self._headers = CIMultiDict()
            if self._content_type is not None and self._content_type is not _OCTET_STREAM:
                self._headers["Content-Type"] = self._content_type
        return self._headers

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters."""
        return parse_content_type(self._full_content_type or "").media_type

    @property
    def _full_content_type(self) -> str | None:
        value = None if self._headers is None else self._headers.get("Content-Type")
        return self._content_type if value is None else value

    def force_close(self) -> None:
        """End the connection after this response; cannot be taken back."""
        self._force_close = True

    async def prepare(self, request: Preparable) -> None:
        """Send the head; again does nothing.

        Raises:
            LocalProtocolError: A field, the reason or the status is not fit to be sent.
            OSError: The client is gone.
        """
        if self._exchange is None:
            exchange = request.exchange
            await exchange.start_response(self)
            self._exchange = exchange

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a piece of the body; waits while the client takes nothing.

        Raises:
            RuntimeError: Before `prepare` or after `write_eof`.
            LocalProtocolError: More than Content-Length.
            OSError: The client is gone.
        """
        if self._exchange is None:
            raise RuntimeError("cannot write before prepare()")
        if self._ended:
            raise RuntimeError("cannot write after write_eof()")
        await self._exchange.write_body(bytes(data))

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the last piece, if any, and the end; again does nothing.

        Raises:
            RuntimeError: Before `prepare`.
            LocalProtocolError: Less than Content-Length was written.
            OSError: The client is gone.
        """
        if self._ended:
            return
        if data:
            await self.write(data)
        elif self._exchange is None:
            raise RuntimeError("cannot write before prepare()")
        self._ended = True
        await self._exchange.finish_response()  # type: ignore[union-attr]  # write() checked

    def make_head(self, presets: Presets) -> httpcore_proto.Response:
        """Return the head as the protocol core takes it; called once, by the server."""
        headers = self._headers
        if headers is None and not self._force_close:
            return httpcore_proto.Response(
                status=self._status, reason=self._reason, preset=presets.get(self._content_type)
            )
        fields = [] if headers is None else list(headers.items())
        names = {name.lower() for name, _ in fields}
        content_type = None if "content-type" in names else self._content_type
        preset: HeaderBlock | None = presets.get(content_type)
        if "date" in names or "server" in names:
            # The program's own Date or Server stands in for ours.
            preset = None
            for name, value in (
                ("Content-Type", content_type),
                ("Date", presets.date),
                ("Server", SERVER_SOFTWARE),
            ):
                if value is not None and name.lower() not in names:
                    fields.append((name, value))
        if self._force_close:
            fields.append(("Connection", "close"))
        return httpcore_proto.Response(
            status=self._status, reason=self._reason, headers=fields, preset=preset
        )

    def __getitem__(self, key: str) -> Any:
        return (self._storage or {})[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if self._storage is None:
            self._storage = {}
        self._storage[key] = value

    def __delitem__(self, key: str) -> None:
        del (self._storage or {})[key]

    def __iter__(self) -> Iterator[str]:
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


class Response(StreamResponse):
    """A response with its whole body at hand.

    Args:
        body: The body as bytes; not together with `text`.
        status: 200 to 599.
        reason: Reason phrase; the standard one unless given.
        text: The body as text, encoded by `charset`.
        headers: Fields to send.
        content_type: Media type; `text/plain` for text, else `application/octet-stream`.
        charset: For `text`, and told in Content-Type; UTF-8 unless given.

    Raises:
        ValueError: Arguments that exclude each other.
        TypeError: `text` is no `str`, or `body` no bytes.
    """

    def __init__(
        self,
        *,
        body: bytes | bytearray | memoryview | None = None,
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: HeadersLike | None = None,
        content_type: str | None = None,
        charset: str | None = None,
    ) -> None:
        self._status = status
        self._reason = reason
        if headers is not None:
            self._headers = CIMultiDict(headers)
            if (content_type or charset) and "Content-Type" in self._headers:
                raise ValueError("Content-Type in headers excludes content_type and charset")
        if content_type is not None and "charset" in content_type:
            raise ValueError("charset must not be in content_type: it has its own argument")
        if text is not None:
            if body is not None:
                raise ValueError("body and text exclude each other")
            if not isinstance(text, str):
                raise TypeError(f"text must be str, got {type(text).__name__}")
            self._body: bytes | None = text.encode(charset or _DEFAULT_CHARSET)
            if content_type is None and charset is None:
                self._content_type = _TEXT_UTF8
            else:
                self._content_type = (
                    f"{content_type or 'text/plain'}; charset={charset or _DEFAULT_CHARSET}"
                )
        else:
            if body is not None and not isinstance(body, (bytes, bytearray, memoryview)):
                raise TypeError(f"body must be bytes, got {type(body).__name__}")
            self._body = bytes(body) if body is not None else None
            if content_type is not None:
                self._content_type = (
                    f"{content_type}; charset={charset}" if charset else content_type
                )
            elif body is None:
                self._content_type = None

    @property
    def body(self) -> bytes | None:
        """The body, or None without one."""
        return self._body

    @property
    def text(self) -> str | None:
        """The body decoded by its charset, or None without one."""
        if self._body is None:
            return None
        charset = parse_content_type(self._full_content_type or "").charset
        return self._body.decode(charset or _DEFAULT_CHARSET)

    def tell_length(self) -> None:
        """Set Content-Length, unless the program said how the body is framed."""
        headers = self.headers
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            headers["Content-Length"] = str(len(self._body or b""))

    async def prepare(self, request: Preparable) -> None:
        """Send the head; again does nothing. As of `StreamResponse`."""
        if not self.prepared:
            self.tell_length()
        await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, if `prepare` was called by hand.

        Raises:
            ValueError: `data` is given: the body is already there.
        """
        if data:
            raise ValueError("the body of a Response is given when it is made")
        await super().write_eof(self._body or b"")


def json_response(
    data: Any = None,
    *,
    text: str | None = None,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: HeadersLike | None = None,
    content_type: str = "application/json",
    dumps: Callable[[Any], str] = json.dumps,
) -> Response:
    """Return a response with `data` as JSON in UTF-8.

    Args:
        data: Whatever `dumps` takes; not together with `text` or `body`.
        text: JSON that is ready.
        body: JSON that is ready, as bytes.
        status: As for `Response`.
        reason: As for `Response`.
        headers: As for `Response`.
        content_type: Media type.
        dumps: Makes the JSON.

    Raises:
        ValueError: `data` together with `text` or `body`.
    """
    if text is None and body is None:
        text = dumps(data)
    elif data is not None:
        raise ValueError("data excludes text and body")
    return Response(
        text=text,
        body=body,
        status=status,
        reason=reason,
        headers=headers,
        content_type=content_type,
    )
