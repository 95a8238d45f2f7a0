"""Multipart bodies that are being read, part by part."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from .._content_type import codec_for_charset, parse_content_type
from .._errors import MultipartError
from .._events import NEED_DATA
from .._multipart import (
    END_OF_MULTIPART,
    MultipartEnd,
    MultipartLimits,
    MultipartParser,
    Part,
)
from ._body_part import BodyPartReader

# Longest value of `_charset_` that is looked at; aiohttp's bound.
_MAX_CHARSET_LENGTH: Final = 31
# Of a body's epilogue this much is read to free the connection. Bytes.
_MAX_EPILOGUE: Final = 2**16


class Content(Protocol):
    """What a multipart body is read from: a `StreamReader`, or a part of another."""

    async def readany(self) -> bytes:
        """Return what is there, waiting if nothing is; `b""` at the end."""


class MultipartResponse(Protocol):
    """A response, as far as `MultipartReader.from_response` knows it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its fields."""

    @property
    def content(self) -> Content:
        """Its body."""

    def release(self) -> Awaitable[None]:
        """Let go of its connection."""


ResponseT = TypeVar("ResponseT", bound=MultipartResponse)


class MultipartReader:
    """Reads the parts of a multipart body, one after the other.

    `next` gives a `BodyPartReader`, or a `MultipartReader` for a part that is multipart
    itself, or None behind the last one; so does iteration. What was not read of a part is
    skipped. One task at a time may read; cancelling loses nothing.

    Args:
        headers: Fields with the Content-Type, whose boundary is used.
        content: The body.
        client_max_size: Most bytes that `read` of one part returns; 0 for no bound.
        max_field_size: Bytes of one header line of a part.
        max_headers: Header lines of one part.
        max_parts: Parts of this body, nested ones counted by themselves. 1000, as aiohttp
            allows form fields.
        max_depth: How deep multipart bodies may be nested in parts; 5, of which mail uses
            three.
        max_size_error_cls: Makes the error of a part over `client_max_size` from that
            number; unless given it is `MultipartError`, a `ValueError` as in aiohttp.

    Raises:
        MultipartError: Content-Type is not multipart, or has no usable boundary.

    Attributes:
        headers: As given.
    """

    #: What `from_response` returns.
    response_wrapper_cls: ClassVar[type[MultipartResponseWrapper[Any]]]
    #: What reads a nested body; None for the reader's own class.
    multipart_reader_cls: ClassVar[type[MultipartReader] | None] = None
    #: What reads a part.
    part_reader_cls: ClassVar[type[BodyPartReader]] = BodyPartReader

    def __init__(
        self,
        headers: Mapping[str, str],
        content: Content,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int = 8190,
        max_headers: int = 128,
        max_parts: int = 1000,
        max_depth: int = 5,
        max_size_error_cls: Callable[[int], Exception] | None = None,
    ) -> None:
        content_type = parse_content_type(headers.get("Content-Type", ""))
        if not content_type.media_type.startswith("multipart/"):
            raise MultipartError(
                f"content type {content_type.media_type[:80]} is not multipart/*",
                rule="multipart-type",
                status_hint=415,
            )
        limits = MultipartLimits(
            max_field_size=max_field_size, max_part_headers=max_headers, max_parts=max_parts
        )
        try:
            self._parser = MultipartParser(content_type.parameters.get("boundary", ""), limits)
        except ValueError as exc:
            # Without the boundary itself: what is said here may be sent back.
            raise MultipartError(
                "Content-Type has no boundary, or none that RFC 2046 section 5.1.1 allows",
                rule="multipart-boundary",
            ) from exc
        self.headers: Mapping[str, str] = headers
        self._content = content
        self._is_form_data = content_type.media_type == "multipart/form-data"
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        self._limits = limits
        self._max_depth = max_depth
        self._number = 0  # of the part that was made last
        self._in_part = False
        self._ended = False
        self._default_charset: str | None = None

    @classmethod
    def from_response(cls, response: ResponseT) -> MultipartResponseWrapper[ResponseT]:
        """Return a reader of a response's body that releases it behind the last part."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def at_eof(self) -> bool:
        """Whether the closing boundary was seen."""
        return self._ended

    async def next(self) -> BodyPartReader | MultipartReader | None:
        """Return the next part; None behind the last.

        A form's first field, if it is called `_charset_`, is not returned: it is what
        parts without a charset are encoded in (RFC 7578 section 4.6).

        Raises:
            MultipartError: The body is malformed or cut, or over a limit.
            LineTooLong: The head of the part is over a limit.
        """
        part = await self.fetch_next_part()
        if (
            self._number == 1
            and self._is_form_data
            and isinstance(part, BodyPartReader)
            and part.name == "_charset_"
        ):
            self._default_charset = await _read_charset(part)
            part = await self.fetch_next_part()
        return part

    async def fetch_next_part(self) -> BodyPartReader | MultipartReader | None:
        """Return the next part as `next`, a field `_charset_` included."""
        while self._in_part:
            await self._read_piece(self._number)
        if self._ended:
            return None
        event = await self._next_event()
        if event is END_OF_MULTIPART:
            self._ended = True
            return None
        assert isinstance(event, Part)  # nothing else comes between parts
        self._in_part = True
        self._number += 1
        return self._make_part(event)

    async def release(self) -> None:
        """Skip all that is left, what follows the closing boundary included."""
        while await self.fetch_next_part() is not None:
            pass
        while await self._content.readany():
            pass

    async def skip_epilogue(self) -> None:
        """Read what follows the closing boundary, up to 64 KiB of it."""
        left = _MAX_EPILOGUE
        while left > 0 and (data := await self._content.readany()):
            left -= len(data)

    async def __aiter__(self) -> AsyncIterator[BodyPartReader | MultipartReader]:
        """Iterate over the parts."""
        while (part := await self.next()) is not None:
            yield part

    # Inside.

    async def _next_event(self) -> Part | bytes | MultipartEnd:
        parser = self._parser
        while (event := parser.next_event()) is NEED_DATA:
            if data := await self._content.readany():
                parser.receive_data(data)
            else:
                parser.receive_eof()
        return event

    async def _read_piece(self, number: int) -> bytes:
        """Return a piece of a part, for the part; `b""` at its end, and when it is over."""
        if number == self._number and self._in_part:
            event = await self._next_event()
            if isinstance(event, bytes):
                return event
            self._in_part = False
        return b""

    def _make_part(self, head: Part) -> BodyPartReader | MultipartReader:
        headers = head.headers
        if not self._is_form_data and not _is_length(headers.get("Content-Length", "0")):
            raise MultipartError(
                "Content-Length of a part is not a number", rule="multipart-content-length"
            )
        part = self.part_reader_cls(
            headers,
            partial(self._read_piece, self._number),
            is_form_data=self._is_form_data,
            default_charset=self._default_charset,
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
        )
        if not part.content_type.media_type.startswith("multipart/"):
            return part
        if self._max_depth < 1:
            raise MultipartError(
                "multipart bodies are nested too deeply; max_depth is how deep they may be",
                rule="multipart-depth",
                status_hint=413,
                limit="max_depth",
            )
        return (self.multipart_reader_cls or type(self))(
            headers,
            part,
            client_max_size=self._client_max_size,
            max_field_size=self._limits.max_field_size,
            max_headers=self._limits.max_part_headers,
            max_parts=self._limits.max_parts,
            max_depth=self._max_depth - 1,
            max_size_error_cls=self._max_size_error_cls,
        )


class MultipartResponseWrapper(Generic[ResponseT]):
    """A `MultipartReader` of a response, which is released behind the last part.

    Attributes:
        resp: The response.
        stream: The reader.
    """

    def __init__(self, resp: ResponseT, stream: MultipartReader) -> None:
        self.resp: ResponseT = resp
        self.stream: MultipartReader = stream

    def at_eof(self) -> bool:
        """Whether the closing boundary was seen."""
        return self.stream.at_eof()

    async def next(self) -> BodyPartReader | MultipartReader | None:
        """Return the next part; None behind the last. As of `MultipartReader`."""
        part = await self.stream.next()
        if part is None:
            await self.stream.skip_epilogue()
            await self.release()
        return part

    async def release(self) -> None:
        """Release the response; what was not read is lost."""
        await self.resp.release()

    async def __aiter__(self) -> AsyncIterator[BodyPartReader | MultipartReader]:
        """Iterate over the parts."""
        while (part := await self.next()) is not None:
            yield part


MultipartReader.response_wrapper_cls = MultipartResponseWrapper


def _is_length(text: str) -> bool:
    # The boundary alone tells where a part ends, but a number that is none is a bad sign.
    text = text.strip(" \t")
    return text.isascii() and text.isdigit()


async def _read_charset(part: BodyPartReader) -> str:
    value = b""
    while len(value) <= _MAX_CHARSET_LENGTH and (
        chunk := await part.read_chunk(_MAX_CHARSET_LENGTH + 1)
    ):
        value += chunk
    charset = value.decode("ascii", "replace").strip(" \t")
    if len(value) > _MAX_CHARSET_LENGTH or codec_for_charset(charset) is None:
        raise MultipartError(
            f"the field _charset_ names no charset: {charset[:_MAX_CHARSET_LENGTH]!r}",
            rule="multipart-charset",
        )
    return charset
