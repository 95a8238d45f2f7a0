"""Multipart bodies to be sent (RFC 2046 section 5.1), also forms (RFC 7578)."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, Self
from urllib.parse import urlencode

from anyio import CancelScope, to_thread

from .._abnf import check_token
from .._codings import ContentEncoder
from .._fields import HeadersLike
from .._multipart import check_boundary, encode_closing, encode_part_head, new_boundary
from .._scan import quote
from ._payload import AbstractStreamWriter, Collector, Payload, get_payload
from ._payload_types import BytesPayload, JsonPayload, StringPayload

_CRLF: Final = b"\r\n"
# Larger pieces are coded in a worker thread; aiohttp's number.
_MAX_SYNC: Final = 1024
# Coded at once, so that a large body is not in memory three times. As much as a file's piece.
_BLOCK: Final = 2**18
_PLAIN_TRANSFER: Final = frozenset({"", "binary", "8bit", "7bit"})


class _Coder(Protocol):
    def encode(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class _Base64:
    """RFC 2045 section 6.8: lines of 76 characters, each from 57 bytes."""

    def __init__(self) -> None:
        self._held = b""

    def encode(self, data: bytes) -> bytes:
        data = self._held + data
        end = len(data) // 57 * 57
        self._held = data[end:]
        view = memoryview(data)
        return b"".join(
            b2a_base64(view[start : start + 57], newline=False) + _CRLF
            for start in range(0, end, 57)
        )

    def finish(self) -> bytes:
        return b2a_base64(self._held, newline=False)


# RFC 2045 section 6.7. Line ends are coded like other octets, since a body is no text here.
_LITERAL: Final = frozenset(b"\t" + bytes(range(0x20, 0x7F))) - {0x3D}
_QUOTED: Final = tuple(
    bytes((octet,)) if octet in _LITERAL else b"=%02X" % octet for octet in range(256)
)


class _QuotedPrintable:
    """RFC 2045 section 6.7: lines of 76 characters, "=" for a soft line end included."""

    def __init__(self) -> None:
        self._held = b""

    def encode(self, data: bytes) -> bytes:
        text = self._held + b"".join(map(_QUOTED.__getitem__, data))
        lines: list[bytes] = []
        start = 0
        while len(text) - start > 75:
            end = start + 75
            escape = text.rfind(b"=", end - 2, end)
            if escape >= 0:
                end = escape
            lines.append(text[start:end] + b"=\r\n")
            start = end
        self._held = text[start:]
        return b"".join(lines)

    def finish(self) -> bytes:
        # A blank at the end of a line does not count, unless it is coded.
        text, last = self._held[:-1], self._held[-1:]
        if last not in (b" ", b"\t"):
            return self._held
        soft = b"=\r\n" if len(text) > 73 else b""
        return text + soft + b"=%02X" % last[0]


_TRANSFER_CODERS: Final[Mapping[str, Callable[[], _Coder]]] = {
    "base64": _Base64,
    "quoted-printable": _QuotedPrintable,
}


class _CodedWriter:
    """Passes on what coders make of what is written."""

    def __init__(self, writer: AbstractStreamWriter, coders: Sequence[_Coder]) -> None:
        self._writer = writer
        self._coders = coders

    async def write(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), _BLOCK):
            piece = chunk[start : start + _BLOCK]
            if len(piece) > _MAX_SYNC:
                coded = await to_thread.run_sync(self._encode, piece)
            else:
                coded = self._encode(piece)
            if coded:
                await self._writer.write(coded)

    async def finish(self) -> None:
        """Write what the coders still have."""
        coded = b""
        for coder in self._coders:
            coded = coder.encode(coded) + coder.finish()
        if coded:
            await self._writer.write(coded)

    def _encode(self, data: bytes) -> bytes:
        for coder in self._coders:
            data = coder.encode(data)
        return data


class _Part(NamedTuple):
    """A part; the codings are to be applied, and empty if there is none."""

    payload: Payload
    encoding: str
    te_encoding: str

    @property
    def coded(self) -> bool:
        return bool(self.encoding or self.te_encoding)

    async def write(self, writer: AbstractStreamWriter) -> None:
        if not self.coded:
            await self.payload.write(writer)
            return
        coders: list[_Coder] = []
        if self.encoding:
            coders.append(ContentEncoder(self.encoding))
        if self.te_encoding:
            coders.append(_TRANSFER_CODERS[self.te_encoding]())
        coded = _CodedWriter(writer, coders)
        await self.payload.write(coded)
        await coded.finish()


class MultipartWriter(Payload):
    """A body of several parts, each a payload with its own fields.

    `len()` is the number of parts, iterating gives `(payload, encoding, te_encoding)` of
    each. The fields of a part can be changed until it is written; codings are applied as
    they were named when it was appended. A writer can be a part of another one.

    Args:
        subtype: What comes after `multipart/`: a token.
        boundary: Up to 70 characters of RFC 2046 section 5.1.1; must be in no part, which
            is not checked. Unless given 128 random bits.

    Raises:
        ValueError: `subtype` or `boundary` is not allowed.
    """

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        check_token(subtype, "subtype")
        self._boundary = new_boundary() if boundary is None else check_boundary(boundary)
        super().__init__(
            None, content_type=f"multipart/{subtype}; boundary={quote(self._boundary)}"
        )
        self._is_form = subtype.lower() == "form-data"
        self._parts: list[_Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: a writer can be sent outside of its `with`."""

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        # Without parts it is a body nevertheless.
        return True

    @property
    def boundary(self) -> str:
        """The boundary, without the hyphens before it."""
        return self._boundary

    @property
    def size(self) -> int | None:
        """Bytes of the whole body, None if a part is coded or does not know its size."""
        total = len(encode_closing(self._boundary))
        for part in self._parts:
            size = None if part.coded else part.payload.size
            if size is None:
                return None
            total += len(self._head(part)) + size + len(_CRLF)
        return total

    @property
    def consumed(self) -> bool:
        """Whether a part is gone."""
        return any(part.payload.consumed for part in self._parts)

    @property
    def replayable(self) -> bool:
        """Whether all parts can be written again."""
        return all(part.payload.replayable for part in self._parts)

    @property
    def autoclose(self) -> bool:
        """Whether no part has anything to close."""
        return all(part.payload.autoclose for part in self._parts)

    def append(self, obj: Any, headers: HeadersLike | None = None) -> Payload:
        """Add a part.

        Args:
            obj: A payload, or anything that the registry has one for.
            headers: Fields of the part; written as given.

        Returns:
            The payload; its `headers` and `set_content_disposition` are the part's.

        Raises:
            PayloadLookupError: The registry has none; a TypeError.
            ValueError: As for `append_payload`.
            RuntimeError: As for `append_payload`.
        """
        if isinstance(obj, Payload):
            obj.headers.update(headers or ())
            return self.append_payload(obj)
        return self.append_payload(get_payload(obj, headers=headers))

    def append_payload(self, payload: Payload) -> Payload:
        """Add a part that is a payload already.

        Content-Length is added if the size is known and nothing is coded, but neither in
        a form nor for a writer, which may still get parts. In a form a part without a
        Content-Disposition gets one with the name `section-` and its number.

        Returns:
            The payload.

        Raises:
            ValueError: This is a form, and the part has a Content-Encoding,
                Content-Length or Content-Transfer-Encoding (RFC 7578 section 4.7); or it
                is a writer whose boundary begins with that of this one.
            RuntimeError: Its Content-Encoding is none of deflate, gzip, identity; or its
                Content-Transfer-Encoding none of base64, quoted-printable, binary, 8bit,
                7bit.
        """
        headers = payload.headers
        if isinstance(payload, MultipartWriter) and payload.boundary.startswith(self._boundary):
            raise ValueError(
                f"the boundary {payload.boundary!r} of a part would end parts of {self._boundary!r}"
            )
        if self._is_form:
            for name in ("Content-Encoding", "Content-Length", "Content-Transfer-Encoding"):
                if name in headers:
                    raise ValueError(f"a part of a form must not have {name}")
            if "Content-Disposition" not in headers:
                payload.set_content_disposition("form-data", name=f"section-{len(self._parts)}")
            self._parts.append(_Part(payload, "", ""))
            return payload
        encoding = headers.get("Content-Encoding", "").lower()
        if encoding not in ("", "deflate", "gzip", "identity"):
            raise RuntimeError(f"unknown content encoding {encoding[:80]!r}")
        transfer = headers.get("Content-Transfer-Encoding", "").lower()
        if transfer not in _PLAIN_TRANSFER and transfer not in _TRANSFER_CODERS:
            raise RuntimeError(f"unknown content transfer encoding {transfer[:80]!r}")
        part = _Part(
            payload,
            "" if encoding == "identity" else encoding,
            "" if transfer in _PLAIN_TRANSFER else transfer,
        )
        if part.coded:
            headers.popall("Content-Length", None)
        elif not isinstance(payload, MultipartWriter) and payload.size is not None:
            headers["Content-Length"] = str(payload.size)
        self._parts.append(part)
        return payload

    def append_json(self, obj: Any, headers: HeadersLike | None = None) -> Payload:
        """Add a part of JSON."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self,
        obj: Mapping[str, Any] | Sequence[tuple[str, Any]],
        headers: HeadersLike | None = None,
    ) -> Payload:
        """Add a part of urlencoded fields.

        Args:
            obj: Names and values; a list as a value is so many fields.
            headers: Fields of the part.
        """
        items = list(obj.items()) if isinstance(obj, Mapping) else obj
        return self.append_payload(
            StringPayload(
                urlencode(items, doseq=True),
                headers=headers,
                content_type="application/x-www-form-urlencoded",
            )
        )

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text, its parts before transfer codings.

        Raises:
            TypeError: A part is coded, or comes only to those who wait.
            UnicodeDecodeError: A part is not text in that charset.
        """
        texts: list[str] = []
        for part in self._parts:
            if part.coded:
                raise TypeError("a coded part has no text; use as_bytes()")
            texts += [
                self._head(part).decode("utf-8", "surrogateescape"),
                part.payload.decode(encoding, errors),
                "\r\n",
            ]
        texts.append(encode_closing(self._boundary).decode("ascii"))
        return "".join(texts)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the whole body; parts that can be had only once are kept."""
        self._check_not_consumed()
        parts: list[_Part] = []
        for part in self._parts:
            body = await part.payload.as_bytes(encoding, errors)
            parts.append(part._replace(payload=BytesPayload(body, headers=part.payload.headers)))
        collector = Collector()
        await self._write_parts(collector, parts, True)
        return b"".join(collector.pieces)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Write all parts.

        Args:
            writer: As for every payload.
            close_boundary: Whether this is the end; False for a stream of
                `multipart/x-mixed-replace`, to which another writer of the same boundary
                will add.

        Raises:
            LocalProtocolError: A field of a part is not fit to be sent; nothing was.
            Exception: What parts raise.
        """
        self._check_not_consumed()
        await self._write_parts(writer, self._parts, close_boundary)

    async def _write_parts(
        self, writer: AbstractStreamWriter, parts: Sequence[_Part], close_boundary: bool
    ) -> None:
        heads = [self._head(part) for part in parts]
        before = b""
        for head, part in zip(heads, parts, strict=True):
            await writer.write(before + head)
            await part.write(writer)
            before = _CRLF
        if close_boundary:
            before += encode_closing(self._boundary)
        if before:
            await writer.write(before)

    async def rewind(self) -> None:
        """Rewind all parts."""
        for part in self._parts:
            await part.payload.rewind()

    async def close(self) -> None:
        """Close all parts.

        Raises:
            Exception: The first error of those that a part raised; all were closed.
        """
        error: BaseException | None = None
        with CancelScope(shield=True):
            for part in self._parts:
                try:
                    await part.payload.close()
                except BaseException as exc:
                    if error is None:
                        error = exc
        if error is not None:
            raise error

    def _head(self, part: _Part) -> bytes:
        return encode_part_head(self._boundary, part.payload.headers)
