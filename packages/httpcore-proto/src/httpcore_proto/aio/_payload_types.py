"""Payloads of what is in memory, and of what comes piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from io import BytesIO, StringIO
from pathlib import PurePath
from typing import Any, Final, Unpack

from multidict import CIMultiDict

from .._content_type import parse_content_type
from .._fields import HeadersLike
from ._body_part import BodyPartReader
from ._payload import (
    AbstractStreamWriter,
    Order,
    Payload,
    PayloadOptions,
    PayloadSizeError,
    as_piece,
    payload_type,
)
from ._stream_reader import StreamReader

# Fields of a part that say how it was sent, and not what it is.
_OF_A_CODED_PART: Final = (
    "Content-Length",
    "Content-Encoding",
    "Content-Transfer-Encoding",
    "Transfer-Encoding",
)


def complete_text_options(options: PayloadOptions) -> str:
    """Give text a content type and an encoding, where they are missing; return the latter.

    The charset is `encoding`, else that of the content type, else UTF-8.
    """
    headers = CIMultiDict(options.get("headers") or ())
    content_type = headers.get("Content-Type") or options.get("content_type")
    encoding = options.get("encoding")
    if encoding is None:
        encoding = parse_content_type(content_type or "").charset or "utf-8"
    options["content_type"] = content_type or f"text/plain; charset={encoding}"
    options["encoding"] = encoding
    return encoding


def complete_file_options(options: PayloadOptions, file: Any) -> None:
    """Give a file a name and a disposition, where they are missing."""
    options.setdefault("disposition", "attachment")
    if options.get("filename") is None:
        options["filename"] = name_of(file)


def name_of(file: Any) -> str | None:
    """Return the name of a file or path without its directories, None if it has none.

    What is not Unicode in it becomes `?`.
    """
    name = os.fsdecode(file) if isinstance(file, os.PathLike) else getattr(file, "name", None)
    # Standard streams and the like are called `<stdin>`.
    if not isinstance(name, str) or (name[:1] == "<" and name[-1:] == ">"):
        return None
    return PurePath(name).name.encode("utf-8", "replace").decode("utf-8") or None


@payload_type((bytes, bytearray, memoryview))
class BytesPayload(Payload):
    """A body in memory, written in one piece.

    aiohttp warns of one above 1 MiB, which it copies around; here it is passed on as it
    is, and there is no warning.

    Args:
        value: The body. What could still change is copied.
        options: As for `Payload`.

    Raises:
        TypeError: `value` is not bytes, bytearray or memoryview.
    """

    def __init__(
        self, value: bytes | bytearray | memoryview, **options: Unpack[PayloadOptions]
    ) -> None:
        super().__init__(as_piece(value), **options)
        self._size = len(self._value)

    @property
    def replayable(self) -> bool:
        """True."""
        return True

    @property
    def autoclose(self) -> bool:
        """True."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text; one made of text is decoded as it was encoded."""
        body: bytes = self._value
        return body.decode(self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body."""
        body: bytes = self._value
        return body

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body in one piece; nothing if it is empty."""
        if self._value:
            await writer.write(self._value)


@payload_type(str)
class StringPayload(BytesPayload):
    """A body of text.

    Args:
        value: The text.
        options: As for `Payload`. The charset is `encoding`, else that of the content
            type, else UTF-8; the content type is `text/plain` with the charset, unless
            given.

    Raises:
        LookupError: The charset is unknown.
        UnicodeEncodeError: The charset lacks a character of the text.
    """

    def __init__(self, value: str, **options: Unpack[PayloadOptions]) -> None:
        encoding = complete_text_options(options)
        super().__init__(value.encode(encoding), **options)


@payload_type(StringIO)
class StringIOPayload(StringPayload):
    """What is in a `StringIO` behind its position, at this moment; the position stays."""

    def __init__(self, value: StringIO, **options: Unpack[PayloadOptions]) -> None:
        super().__init__(_rest_of(value), **options)


@payload_type(BytesIO)
class BytesIOPayload(BytesPayload):
    """What is in a `BytesIO` behind its position, at this moment; the position stays.

    Args:
        value: The buffer; a `name` that it was given is taken for a file name.
        options: As for `Payload`, with `disposition="attachment"`.
    """

    def __init__(self, value: BytesIO, **options: Unpack[PayloadOptions]) -> None:
        complete_file_options(options, value)
        super().__init__(_rest_of(value), **options)


def _rest_of(buffer: Any) -> Any:
    position = buffer.tell()
    try:
        return buffer.read()
    finally:
        buffer.seek(position)


class JsonPayload(BytesPayload):
    """A body of JSON.

    Args:
        value: What to send.
        encoding: Charset; RFC 8259 section 8.1 wants UTF-8 between strangers.
        content_type: Media type.
        dumps: Makes text of `value`.
        headers: As for `Payload`.

    Raises:
        TypeError: `value` cannot be written as JSON (from `dumps`).
    """

    def __init__(
        self,
        value: Any,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: Callable[[Any], str] = json.dumps,
        *,
        headers: HeadersLike | None = None,
    ) -> None:
        text = dumps(value)
        super().__init__(
            text.encode(encoding), headers=headers, content_type=content_type, encoding=encoding
        )


class JsonBytesPayload(BytesPayload):
    """A body of JSON, by a serializer that makes bytes.

    Args:
        value: What to send.
        dumps: Makes bytes of `value`.
        content_type: Media type.
        headers: As for `Payload`.

    Raises:
        TypeError: `dumps` returned something else, such as `str`.
    """

    def __init__(
        self,
        value: Any,
        dumps: Callable[[Any], bytes],
        content_type: str = "application/json",
        *,
        headers: HeadersLike | None = None,
    ) -> None:
        super().__init__(dumps(value), headers=headers, content_type=content_type, encoding="utf-8")


@payload_type(AsyncIterable, order=Order.try_last)
class AsyncIterablePayload(Payload):
    """A body that comes piece by piece, once.

    A generator is closed when it is through, and also when the write fails, is cancelled
    or has enough of it. `as_bytes` keeps the body, which can then be sent at any time.

    Args:
        value: Yields bytes, bytearray or memoryview.
        size: How many bytes will come, if that is known; they can then be sent with a
            Content-Length.
        options: As for `Payload`.

    Raises:
        TypeError: `value` is not an asynchronous iterable.
    """

    def __init__(
        self,
        value: AsyncIterable[bytes | bytearray | memoryview],
        *,
        size: int | None = None,
        **options: Unpack[PayloadOptions],
    ) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(f"not an asynchronous iterable: {type(value).__name__}")
        super().__init__(value, **options)
        self._size = size

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the pieces as they come.

        Raises:
            TypeError: A piece is not bytes.
            PayloadConsumedError: The pieces were written before.
            PayloadSizeError: They are more or less than `size`.
            Exception: What `value` raises.
        """
        if self._kept is not None:
            await writer.write(self._kept)
            return
        self._begin()
        iterator = self._iterate()
        left = self._size
        try:
            async for item in iterator:
                piece = as_piece(item)
                if left is not None:
                    left -= len(piece)
                    if left < 0:
                        raise PayloadSizeError(f"the body has more than size={self._size} bytes")
                if piece:
                    await writer.write(piece)
        finally:
            # Nobody else would: a generator that is left suspended is closed some time
            # later, in another task.
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
        if left:
            raise PayloadSizeError(f"the body is {left} bytes short of size={self._size}")

    def _iterate(self) -> AsyncIterator[bytes | bytearray | memoryview]:
        iterator: AsyncIterator[bytes | bytearray | memoryview] = aiter(self._value)
        return iterator


@payload_type(StreamReader)
class StreamReaderPayload(AsyncIterablePayload):
    """A body that is being received, passed on as it comes."""

    def _iterate(self) -> AsyncIterator[bytes | bytearray | memoryview]:
        stream: StreamReader = self._value
        return stream.iter_any()


@payload_type(BodyPartReader, order=Order.try_first)
class BodyPartReaderPayload(Payload):
    """A part of a multipart body that is being received, passed on decoded.

    Its fields go with it, but for those of its length and its codings, which are undone.

    Args:
        value: The part.
        options: As for `Payload`; `headers` are those of the part unless given.
    """

    def __init__(self, value: BodyPartReader, **options: Unpack[PayloadOptions]) -> None:
        if options.get("headers") is None:
            headers = CIMultiDict(value.headers)
            for name in _OF_A_CODED_PART:
                headers.popall(name, None)
            options["headers"] = headers
        super().__init__(value, **options)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the rest of the part."""
        self._begin()
        part: BodyPartReader = self._value
        while data := await part.read_decoded():
            await writer.write(data)
