"""Responses with their whole body at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

import anyio

from httpcore_proto import ContentEncoder, HeadersLike
from httpcore_proto.aio import Payload, PayloadLookupError, get_payload

from ._exchange import Preparable
from ._response_head import OCTET_STREAM, check_reason
from ._stream_response import DEFAULT_EXECUTOR_SIZE
from ._stream_response import ContentCoding as ContentCoding
from ._stream_response import StreamResponse as StreamResponse

_TEXT_UTF8: Final = "text/plain; charset=utf-8"
# For `text` of a response whose content type the program gave without charset.
_DEFAULT_CHARSET: Final = "utf-8"


class Response(StreamResponse):
    """A response with its whole body at hand.

    Args:
        body: The body: bytes, or whatever the payload registry takes: a file, a `FormData`'s
            payload, an async iterable, and so on. A payload's fields are sent, unless
            `headers` has them: a file gets a Content-Disposition, as in aiohttp. Not together
            with `text`.
        status: 200 to 599.
        reason: Reason phrase; the standard one unless given.
        text: The body as text, encoded by `charset`.
        headers: Fields to send.
        content_type: Media type; `text/plain` for text, else `application/octet-stream`.
        charset: For `text`, and told in Content-Type; UTF-8 unless given.
        zlib_executor_size: Bytes above which a body is coded in a worker thread. 1024: the
            thread costs as much as coding a few KiB.
        zlib_executor: Where it is coded then; in one of anyio's threads unless given. One of
            processes would have to copy the body there and back.

    Raises:
        ValueError: Arguments that exclude each other, or a body that is none.
        TypeError: `text` is no `str`.
    """

    _body: bytes | None = None
    _payload: Payload | None = None
    _executor: Executor | None = None

    def __init__(
        self,
        *,
        body: Any = None,
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: HeadersLike | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        zlib_executor_size: int = DEFAULT_EXECUTOR_SIZE,
        zlib_executor: Executor | None = None,
    ) -> None:
        self._status = status
        self._reason = reason if reason is None else check_reason(reason)
        if zlib_executor_size != DEFAULT_EXECUTOR_SIZE:
            self._executor_size = zlib_executor_size
        if zlib_executor is not None:
            self._executor = zlib_executor
        if headers is not None:
            self._set_headers(headers)
            if (content_type or charset) and "Content-Type" in self.headers:
                raise ValueError("Content-Type in headers excludes content_type and charset")
        if content_type is not None and "charset" in content_type:
            raise ValueError("charset must not be in content_type: it has its own argument")
        if text is not None:
            if body is not None:
                raise ValueError("body and text exclude each other")
            if not isinstance(text, str):
                raise TypeError(f"text must be str, got {type(text).__name__}")
            self._body = text.encode(charset or _DEFAULT_CHARSET)
            if content_type is None and charset is None:
                self._content_type = _TEXT_UTF8
            else:
                self._content_type = (
                    f"{content_type or 'text/plain'}; charset={charset or _DEFAULT_CHARSET}"
                )
        else:
            if content_type is not None:
                self._content_type = (
                    f"{content_type}; charset={charset}" if charset else content_type
                )
            elif body is None:
                self._content_type = None
            if body is not None:
                self._set_body(body, told=content_type is not None)

    def _set_body(self, body: Any, *, told: bool) -> None:
        if isinstance(body, (bytes, bytearray, memoryview)):
            self._body, self._payload = bytes(body), None
            return
        try:
            payload = get_payload(body)
        except PayloadLookupError as exc:
            raise ValueError(f"a body cannot be of type {type(body).__name__}") from exc
        self._body, self._payload = None, payload
        self.is_plain = False
        headers = self.headers
        for name, value in payload.headers.items():
            if name.lower() == "content-type":
                if not told and name not in headers:
                    self._content_type = value
                    headers[name] = value
            elif name not in headers:
                headers[name] = value

    @property
    def body(self) -> bytes | Payload | None:
        """The body, or None without one; may be set before the head is sent."""
        return self._body if self._payload is None else self._payload

    @body.setter
    def body(self, value: Any) -> None:
        self._check_unsent()
        if value is None:
            self._body = self._payload = None
        else:
            self._set_body(value, told=self._headers is not None and "Content-Type" in self.headers)

    @property
    def text(self) -> str | None:
        """The body decoded by its charset, or None without one.

        Setting it encodes it by that charset, UTF-8 if there is none yet.
        """
        if self._body is None:
            return None
        return self._body.decode(self.charset or _DEFAULT_CHARSET)

    @text.setter
    def text(self, value: str | None) -> None:
        self._check_unsent()
        self._payload = None
        if value is None:
            self._body = None
            return
        if not isinstance(value, str):
            raise TypeError(f"text must be str, got {type(value).__name__}")
        if self.content_type == OCTET_STREAM:
            self.content_type = "text/plain"
        if self.charset is None:
            self.charset = _DEFAULT_CHARSET
        self._body = value.encode(self.charset or _DEFAULT_CHARSET)

    @property
    def content_length(self) -> int | None:
        """Length of the body in bytes; None if it is not known.

        Raises:
            RuntimeError: When set: the body decides about it.
        """
        told = super().content_length
        if told is not None:
            return told
        if self.chunked:
            return None
        return self._payload.size if self._payload is not None else len(self._body or b"")

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        raise RuntimeError("the body decides about Content-Length")

    @property
    def plain_body(self) -> bytes:
        """The body of a response that `is_plain`."""
        return self._body or b""

    def tell_length(self) -> None:
        """Set Content-Length, unless the program said how the body is framed."""
        headers = self.headers
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            size = len(self._body or b"") if self._payload is None else self._payload.size
            if size is not None:
                headers["Content-Length"] = str(size)

    async def prepare(self, request: Preparable) -> None:
        """Send the head; again does nothing. As of `StreamResponse`."""
        if not self.prepared:
            if self._compresses:
                await self._code(request)
            if self._encoder is None:
                self.tell_length()
        await super().prepare(request)

    async def _code(self, request: Preparable) -> None:
        """Code the body that is here; one that comes in pieces is coded on its way."""
        if self._payload is not None:
            return
        coding = self._choose_coding(request)
        self._compresses = False
        if coding is None or not self._body:
            return
        strategy = self._strategy if coding in ("gzip", "deflate") else None
        encoder = ContentEncoder(coding, strategy=strategy)
        if len(self._body) > self._executor_size:
            self._body = await anyio.to_thread.run_sync(
                _encode_elsewhere, self._executor, encoder, self._body
            )
        else:
            self._body = _encode_whole(encoder, self._body)
        self.headers.pop("Content-Length", None)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, if `prepare` was called by hand.

        Raises:
            ValueError: `data` is given: the body is already there.
        """
        if data:
            raise ValueError("the body of a Response is given when it is made")
        if self._ended:
            return
        if self._payload is None:
            await super().write_eof(self._body or b"")
            return
        try:
            if self._exchange is not None and self._exchange.sends_body:
                await self._payload.write(self)
            await super().write_eof()
        finally:
            await self.close_body()

    async def close_body(self) -> None:
        """Let go of what the body holds, a file, say; again does nothing."""
        payload, self._payload = self._payload, None
        if payload is not None:
            with anyio.CancelScope(shield=True):
                await payload.close()

    def _check_unsent(self) -> None:
        if self.prepared:
            raise RuntimeError("cannot change the body: the head was sent")


def _encode_whole(encoder: ContentEncoder, data: bytes) -> bytes:
    return encoder.encode(data) + encoder.finish()


def _encode_elsewhere(executor: Executor | None, encoder: ContentEncoder, data: bytes) -> bytes:
    if executor is None:
        return _encode_whole(encoder, data)
    # A thread that waits for another one: what waits for a future differs between loops.
    return executor.submit(_encode_whole, encoder, data).result()


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


def json_bytes_response(
    data: Any = None,
    *,
    dumps: Callable[[Any], bytes],
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: HeadersLike | None = None,
    content_type: str = "application/json",
) -> Response:
    """Return a response with `data` as JSON, encoded by a `dumps` that returns bytes.

    Args:
        data: Whatever `dumps` takes; not together with `body`.
        dumps: Makes the JSON, in UTF-8.
        body: JSON that is ready.
        status: As for `Response`.
        reason: As for `Response`.
        headers: As for `Response`.
        content_type: Media type; no charset is told (RFC 8259 section 11).

    Raises:
        ValueError: `data` together with `body`.
    """
    if body is None:
        body = dumps(data)
    elif data is not None:
        raise ValueError("data excludes body")
    return Response(
        body=body, status=status, reason=reason, headers=headers, content_type=content_type
    )
