"""One part of a multipart body that is being read."""

from __future__ import annotations

import binascii
import json as json_module
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from multidict import CIMultiDictProxy

from .._codings import CodingLimits, ContentDecoder, decode_body, parse_codings
from .._content_disposition import content_disposition_filename, parse_content_disposition
from .._content_type import ContentType, codec_for_charset, parse_content_type
from .._errors import LineTooLong, MultipartError
from ._decoding import AsyncDecoder

# Bytes that one step decodes.
_BLOCK: Final = 2**16
# What `decode` may give at once, since it blocks the event loop; aiohttp's bound.
_MAX_DECODED_SYNC: Final = 2**18
# As StreamReader's high-water mark, which bounds its lines.
_MAX_LINE_SIZE: Final = 2**19
_WHITESPACE: Final = b"\r\n\t "
# RFC 2045 section 6: these change nothing.
_IDENTITIES: Final = frozenset({"", "7bit", "8bit", "binary"})


class BodyPartReader:
    """A part of a `MultipartReader`, which makes them. One task at a time may read.

    Reading stops at the end of the part; what is not read is skipped by the reader's
    `next`, after which this part reads as ended.

    Attributes:
        headers: The part's fields; names compare without case.
        chunk_size: Most bytes that `read_chunk` returns unless told otherwise.
    """

    chunk_size: int = 8192

    def __init__(
        self,
        headers: CIMultiDictProxy[str],
        read_piece: Callable[[], Awaitable[bytes]],
        *,
        is_form_data: bool = False,
        default_charset: str | None = None,
        client_max_size: int = 0,
        max_size_error_cls: Callable[[int], Exception] | None = None,
    ) -> None:
        self.headers: CIMultiDictProxy[str] = headers
        self._read_piece = read_piece
        self._is_form_data = is_form_data
        self._default_charset = default_charset
        self._max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        self._piece = b""
        self._position = 0  # in the piece
        self._ended = False
        self._decoder: AsyncDecoder | None = None
        self._decoder_ended = False
        self._disposition: dict[str, str] | None = None
        encoding = headers.get("Content-Transfer-Encoding", "").strip(" \t")
        # Of other than ASCII, lower() would make letters out of the Kelvin sign and such.
        self._transfer_encoding = encoding.lower() if encoding.isascii() else encoding

    # What the part says of itself.

    @property
    def name(self) -> str | None:
        """The field's name in Content-Disposition; None if absent or malformed."""
        return content_disposition_filename(self._disposition_parameters(), "name")

    @property
    def filename(self) -> str | None:
        """The file name in Content-Disposition; None if absent or malformed.

        It is whatever the peer wrote, path separators included: never part of a path here.
        """
        return content_disposition_filename(self._disposition_parameters(), "filename")

    @property
    def content_type(self) -> ContentType:
        """Media type and parameters; `application/octet-stream` if none or malformed."""
        return parse_content_type(self.headers.get("Content-Type", ""))

    def get_charset(self, default: str) -> str:
        """Return the part's charset: its own, that of a `_charset_` field, or `default`."""
        return self.content_type.charset or self._default_charset or default

    def at_eof(self) -> bool:
        """Whether the part was read to its end."""
        return self._ended and self._position == len(self._piece)

    # Its bytes, as they were sent.

    async def readany(self) -> bytes:
        """Read what is there, waiting only if nothing is; `b""` at the end."""
        if self._position == len(self._piece):
            await self._next_piece()
        return self._take(len(self._piece))

    async def read_chunk(self, size: int | None = None) -> bytes:
        """Read at most `size` bytes, waiting only if nothing is there; `b""` at the end.

        Each chunk of a part in base64 or quoted-printable can be decoded by itself: such
        chunks are a few bytes longer if need be.

        Args:
            size: At least 1; unless given, `chunk_size`.

        Raises:
            ValueError: `size` is less than 1.
        """
        size = self.chunk_size if size is None else size
        if size < 1:
            raise ValueError(f"size={size}: at least 1 expected, as b'' tells the end")
        if self._position == len(self._piece):
            await self._next_piece()
        data = self._take(size)
        if data and self._transfer_encoding == "base64":
            return await self._complete_quartets(data, size)
        if data and self._transfer_encoding == "quoted-printable":
            return await self._complete_escapes(data, size)
        return data

    async def read(self, *, decode: bool = False) -> bytes:
        """Read the rest of the part; `b""` if there is none.

        Args:
            decode: Undo transfer and content codings.

        Raises:
            MultipartError: The part is larger than the reader's `client_max_size`, decoded
                or not, or does not fit its transfer encoding.
            ContentEncodingError: It does not fit its content coding.
        """
        read = self.read_decoded if decode else self.readany
        pieces: list[bytes] = []
        size = 0
        while piece := await read():
            size += len(piece)
            self._check_size(size)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def readline(self, *, max_line_length: int = _MAX_LINE_SIZE) -> bytes:
        """Read through the next `\\n`; the rest at the end of the part.

        Raises:
            LineTooLong: No line end within `max_line_length` bytes, 512 KiB unless given.
        """
        pieces: list[bytes] = []
        size = 0
        while True:
            if self._position == len(self._piece):
                await self._next_piece()
                if not self._piece:
                    return b"".join(pieces)
            end = self._piece.find(b"\n", self._position) + 1
            line = self._piece[self._position : end or len(self._piece)]
            self._position += len(line)
            size += len(line)
            if size > max_line_length:
                raise LineTooLong(
                    f"line of a part: {size} bytes with max_line_length={max_line_length}",
                    rule="stream-line",
                    limit="max_line_length",
                    value=size,
                    allowed=max_line_length,
                )
            pieces.append(line)
            if end:
                return b"".join(pieces)

    async def next(self) -> bytes | None:
        """Read the rest of the part; None if it was read to its end before."""
        return None if self.at_eof() else await self.read()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over what `next` returns: once, with the whole part."""
        while (data := await self.next()) is not None:
            yield data

    async def release(self) -> None:
        """Skip the rest."""
        while await self.readany():
            pass

    # Its bytes, decoded.

    async def read_decoded(self) -> bytes:
        """Read a piece with transfer and content codings undone; `b""` at the end.

        A part of a form has no content coding (RFC 7578 section 4.8); the field is ignored.

        Raises:
            MultipartError: The part does not fit its transfer encoding.
            ContentEncodingError: It does not fit its content coding.
        """
        while self._decoder is None:
            codings = self._codings()
            if codings:
                self._decoder = AsyncDecoder(ContentDecoder(codings))
                break
            chunk = await self.read_chunk(_BLOCK)
            if not chunk or (data := self._decode_transfer(chunk)):
                return data if chunk else b""
        while True:
            if self._decoder.needs_input and not self._decoder_ended:
                if chunk := await self.read_chunk(_BLOCK):
                    self._decoder.feed(self._decode_transfer(chunk))
                else:
                    self._decoder_ended = True
                    self._decoder.feed_eof()
            data = await self._decoder.read(_BLOCK)
            if data or self._decoder_ended:
                return data

    def decode(self, data: bytes) -> bytes:
        """Undo transfer and content codings of `data`, the whole part.

        Raises:
            MultipartError: It does not fit its transfer encoding.
            ContentEncodingError: It does not fit its content coding, or comes to more than
                256 KiB, for which there are `read(decode=True)` and `decode_iter`.
        """
        data = self._decode_transfer(data)
        codings = self._codings()
        limits = CodingLimits(max_size=_MAX_DECODED_SYNC)
        return decode_body(data, codings, limits) if codings else data

    async def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Undo transfer and content codings of `data`, the whole part, piece by piece.

        Raises:
            MultipartError: It does not fit its transfer encoding.
            ContentEncodingError: It does not fit its content coding.
        """
        data = self._decode_transfer(data)
        codings = self._codings()
        if not codings:
            yield data
            return
        decoder = AsyncDecoder(ContentDecoder(codings))
        decoder.feed(data)
        decoder.feed_eof()
        while piece := await decoder.read(_BLOCK):
            yield piece

    async def text(self, *, encoding: str | None = None) -> str:
        """Read the rest of the part as text.

        Args:
            encoding: A codec; unless given what `get_charset` says, else UTF-8.

        Raises:
            MultipartError: The part names a charset that is none.
            UnicodeDecodeError: There are wrong bytes.
        """
        data = await self.read(decode=True)
        return data.decode(encoding or self._codec())

    async def json(self, *, encoding: str | None = None) -> Any:
        """Read the rest of the part as JSON; None if there is none.

        Raises:
            ValueError: It is no JSON, or nested too deeply.
        """
        text = await self.text(encoding=encoding)
        if not text.strip():
            return None
        try:
            return json_module.loads(text)
        except RecursionError as exc:
            raise ValueError("JSON is nested too deeply") from exc

    async def form(
        self, *, encoding: str | None = None, max_fields: int = 1000
    ) -> list[tuple[str, str]]:
        """Read the rest of the part as `application/x-www-form-urlencoded`, blanks kept.

        Raises:
            ValueError: It cannot be decoded, or has more than `max_fields` fields.
        """
        codec = encoding or self._codec()
        text = (await self.read(decode=True)).decode(codec)
        return parse_qsl(
            text.rstrip(),
            keep_blank_values=True,
            encoding=codec,
            errors="strict",
            max_num_fields=max_fields,
        )

    # Inside.

    def _disposition_parameters(self) -> dict[str, str]:
        if self._disposition is None:
            _, self._disposition = parse_content_disposition(
                self.headers.get("Content-Disposition")
            )
        return self._disposition

    def _codec(self) -> str:
        charset = self.get_charset("utf-8")
        codec = codec_for_charset(charset)
        if codec is None:
            raise MultipartError(
                f"unknown charset {charset[:80]!r} in a part", rule="multipart-charset"
            )
        return codec

    def _codings(self) -> tuple[str, ...]:
        if self._is_form_data:
            return ()
        return parse_codings(", ".join(self.headers.getall("Content-Encoding", ())))

    def _decode_transfer(self, data: bytes) -> bytes:
        encoding = self._transfer_encoding
        if encoding in _IDENTITIES:
            return data
        if encoding == "quoted-printable":
            return binascii.a2b_qp(data)
        if encoding != "base64":
            raise MultipartError(
                f"unknown Content-Transfer-Encoding {encoding[:80]!r} in a part",
                rule="multipart-transfer-encoding",
            )
        data = data.translate(None, _WHITESPACE)
        try:
            # Where padding is not at the end, what follows it would be lost without a word.
            if b"=" not in data.rstrip(b"="):
                return binascii.a2b_base64(data)
            problem = "padding within"
        except binascii.Error as exc:
            problem = str(exc)
        raise MultipartError(
            f"malformed base64 in a part: {problem}", rule="multipart-transfer-encoding"
        )

    def _check_size(self, size: int) -> None:
        allowed = self._max_size
        if not allowed or size <= allowed:
            return
        if self._max_size_error_cls is not None:
            raise self._max_size_error_cls(allowed)
        raise MultipartError(
            f"part: {size} bytes or more with client_max_size={allowed}",
            rule="multipart-limit",
            status_hint=413,
            limit="client_max_size",
            value=size,
            allowed=allowed,
        )

    async def _next_piece(self) -> None:
        """Get the next piece, when the last one is used up; an empty one at the end."""
        self._piece = b"" if self._ended else await self._read_piece()
        self._position = 0
        self._ended = not self._piece

    def _take(self, size: int) -> bytes:
        """Take at most `size` bytes of the piece."""
        piece, start = self._piece, self._position
        end = start + size
        if end < len(piece):
            self._position = end
            return piece[start:end]
        self._position = len(piece)
        return piece[start:] if start else piece

    async def _read_some(self, size: int) -> bytes:
        if self._position == len(self._piece):
            await self._next_piece()
        return self._take(size)

    async def _complete_quartets(self, data: bytes, size: int) -> bytes:
        """Make base64 end where four characters do."""
        while surplus := len(data.translate(None, _WHITESPACE)) % 4:
            end = len(data)
            while surplus:
                end -= 1
                surplus -= data[end] not in _WHITESPACE
            if data[:end].translate(None, _WHITESPACE):
                # What stays is of the piece at hand: of one before it there are less than
                # four characters, which begin the data.
                self._position -= len(data) - end
                return data[:end]
            # Fewer than four, which need no whitespace between them.
            more = await self._read_some(max(size, 4))
            if not more:
                break
            data = data.translate(None, _WHITESPACE) + more
        return data

    async def _complete_escapes(self, data: bytes, size: int) -> bytes:
        """Make quoted-printable end behind an escape or a soft line break, not in it."""
        while (start := data.find(b"=", max(0, len(data) - 2))) >= 0:
            if start > 0:
                self._position -= len(data) - start
                return data[:start]
            more = await self._read_some(max(size, 3))
            if not more:
                break
            data += more
        return data
