"""Multipart bodies without I/O: a push parser, and the lines that a writer needs.

RFC 2046 section 5.1 is the grammar, RFC 7578 what browsers make of it. The parser is
strict where two readers could disagree on where a part ends: lines end in CRLF, headers
are not folded, a line that begins with the delimiter *is* one, so anything but padding
behind it is an error. Preamble and epilogue are skipped.

Theory of operation. `receive_data` keeps the piece; `next_event` looks for the delimiter in
it. Bytes of a part are handed on as they came (a piece that is all body is the very object
that was given), except for a tail that the delimiter may begin with. So memory is bounded by
one piece, one delimiter and one part head; no byte is searched more than twice.
"""

from __future__ import annotations

import enum
import os
import re
import sys
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from ._abnf import check_text, check_token
from ._errors import BadHttpMessage, LineTooLong, MultipartError
from ._events import NEED_DATA, NeedData, RawHeaders, decode
from ._fields import HeadersLike, encode_text
from ._limits import check_bounds

#: Longest boundary in characters, RFC 2046 section 5.1.1.
MAX_BOUNDARY_LENGTH: Final = 70

_CRLF: Final = b"\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
# RFC 2046 section 5.1.1: bchars, of which the last is no space.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]")
# One line of a part head: field-name ":" OWS field-value OWS (RFC 9110 section 5), no CTL.
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_PADDING: Final = re.compile(rb"[ \t]*+")
# A part head over one of these is aiohttp's LineTooLong; the others are about the body.
_LIMITS_OF_HEADS: Final = frozenset({"max_part_headers", "max_field_size", "max_head_size"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartLimits:
    """Bounds on a multipart body; each is inclusive, sizes are bytes.

    Attributes:
        max_parts: Parts of one body. 1000, as aiohttp allows form fields.
        max_part_headers: Header lines of one part. 128, as in the head of a message.
        max_field_size: One header line of a part, or the padding behind a delimiter. 8190,
            as in the head of a message.
        max_head_size: All header lines of one part. 16 KiB: a part has two or three lines,
            and a thousand parts may come.
        max_part_size: Body of one part; None for no bound, since whoever reads the parts
            knows.
        max_size: Everything up to the closing delimiter, preamble included; None for no
            bound. What is within it is read before more is refused, so it makes no
            difference in which pieces a body comes.

    Raises:
        ValueError: A bound is out of range.
    """

    max_parts: int = 1000
    max_part_headers: int = 128
    max_field_size: int = 8190
    max_head_size: int = 16384
    max_part_size: int | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        check_bounds(self, sys.maxsize)


_DEFAULT_LIMITS: Final = MultipartLimits()


class Part:
    """The head of a part.

    Attributes:
        raw_headers: Its fields as bytes, names in the case they had, in their order.
    """

    __slots__ = ("_headers", "raw_headers")

    def __init__(self, raw_headers: RawHeaders) -> None:
        self.raw_headers: RawHeaders = raw_headers
        self._headers: CIMultiDictProxy[str] | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields, names compared without case, values as `str`.

        Bytes that are not UTF-8 stand as surrogates (`surrogateescape`).
        """
        headers = self._headers
        if headers is None:
            pairs = [(decode(name), decode(value)) for name, value in self.raw_headers]
            headers = self._headers = CIMultiDictProxy(CIMultiDict(pairs))
        return headers

    def __repr__(self) -> str:
        return f"<Part {dict(self.headers)}>"


class MultipartEnd(enum.Enum):
    """What ends without carrying anything."""

    PART = "PART"
    BODY = "BODY"


#: The part is complete.
END_OF_PART: Final = MultipartEnd.PART
#: The closing delimiter was seen; what follows is skipped.
END_OF_MULTIPART: Final = MultipartEnd.BODY

#: `bytes` is a piece of a part's body, never empty.
MultipartEvent: TypeAlias = Part | bytes | MultipartEnd | Literal[NeedData.NEED_DATA]


class _State(enum.Enum):
    PREAMBLE = "preamble"
    DELIMITER = "delimiter"  # right behind its boundary
    HEAD = "head"
    BODY = "body"
    EPILOGUE = "epilogue"
    ERROR = "error"


# Looked up for every piece of a body.
_BODY: Final = _State.BODY
# States in which nothing that comes changes anything.
_DEAF: Final = frozenset({_State.EPILOGUE, _State.ERROR})


class MultipartParser:
    """Parses one multipart body, given in pieces of any size.

    Give it what arrives with `receive_data`, take events with `next_event` until that is
    `NEED_DATA`, and say `receive_eof` at the end. For each part: `Part`, any number of
    `bytes`, `END_OF_PART`; behind the last one `END_OF_MULTIPART`.

    Args:
        boundary: The boundary parameter of Content-Type, 1 to 70 characters.
        limits: Bounds; those of `MultipartLimits()` unless given.

    Raises:
        ValueError: `boundary` is none that RFC 2046 section 5.1.1 allows.
    """

    __slots__ = (
        "_buffer",
        "_delimiter",
        "_eof",
        "_error",
        "_excess",
        "_limits",
        "_max_part_size",
        "_max_size",
        "_part_size",
        "_parts",
        "_position",
        "_received",
        "_searched",
        "_state",
    )

    def __init__(self, boundary: str, limits: MultipartLimits | None = None) -> None:
        self._delimiter = b"\r\n--" + check_boundary(boundary).encode("ascii")
        self._limits = limits or _DEFAULT_LIMITS
        self._max_size = self._limits.max_size or sys.maxsize
        self._max_part_size = self._limits.max_part_size or sys.maxsize
        self._state = _State.PREAMBLE
        # The first delimiter needs no line end before it; with this one all are found alike.
        self._buffer = _CRLF
        self._position = 0
        self._searched = 0  # up to where the end of a head was looked for
        self._received = 0
        self._excess = 0  # bytes beyond max_size, which are not looked at
        self._parts = 0
        self._part_size = 0
        self._eof = False
        self._error: BadHttpMessage | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes; immutable, and the parser's to keep. Take the events before more."""
        if self._state is not _BODY and self._state in _DEAF:
            return
        self._received += len(data)
        if self._received > self._max_size:
            excess = self._received - self._max_size
            data = data[: len(data) - excess]
            self._received = self._max_size
            self._excess += excess
            self._eof = True
        if self._position == len(self._buffer):
            self._buffer = data
            self._searched = 0
        else:
            self._buffer = self._buffer[self._position :] + data
            self._searched -= self._position
        self._position = 0

    def receive_eof(self) -> None:
        """Take the end of the body."""
        self._eof = True

    def next_event(self) -> MultipartEvent:
        """Return what comes next.

        Raises:
            MultipartError: The body is malformed, cut, or over `max_parts`,
                `max_part_size` or `max_size`.
            LineTooLong: A part head, or the padding behind a delimiter, is over its limit.

        After an error the parser holds nothing, and raises one like it again.
        """
        state = self._state
        if state is _BODY:
            return self._next_of_body()
        if self._error is not None:
            raise copy(self._error)
        if state is _State.HEAD:
            return self._next_of_head()
        if state is _State.EPILOGUE:
            return END_OF_MULTIPART
        if state is _State.PREAMBLE:
            found = self._buffer.find(self._delimiter, self._position)
            if found < 0:
                self._position = self._safe_end(self._position)
                return self._need_data("multipart-no-boundary", "no delimiter in it")
            self._position = found + len(self._delimiter)
        return self._next_of_delimiter()

    # Inside: one method per state, each returning the event it comes to.

    def _next_of_delimiter(self) -> MultipartEvent:
        self._state = _State.DELIMITER
        buffer = self._buffer
        padded = _PADDING.match(buffer, self._position)
        end = padded.end()  # type: ignore[union-attr]  # matches emptiness
        allowed = self._limits.max_field_size
        if end - self._position > allowed:
            position = self._position + allowed
            self._over("max_field_size", "padding", end - self._position, allowed, position)
        follows = buffer[end : end + 2]
        if follows == _CRLF:
            self._parts += 1
            if self._parts > self._limits.max_parts:
                self._over("max_parts", "parts", self._parts, self._limits.max_parts, end)
            # The head is looked for with the line end before it: then one without a line
            # ends like all others.
            self._position = self._searched = end
            self._state = _State.HEAD
            return self._next_of_head()
        if follows == b"--" and end == self._position:
            self._state = _State.EPILOGUE
            self._buffer = b""
            self._position = 0
            return END_OF_MULTIPART
        if follows not in (b"", b"\r", b"-"):
            self._fail("multipart-delimiter", "neither CRLF nor -- behind a delimiter", end)
        return self._need_data()

    def _next_of_head(self) -> MultipartEvent:
        buffer, limits = self._buffer, self._limits
        start = self._position + len(_CRLF)
        found = buffer.find(_END_OF_HEAD, self._searched)
        # The last bytes may be the beginning of that, and are none of the head's then.
        end = found if found >= 0 else len(buffer) - len(_END_OF_HEAD) + 1
        size, allowed = end - start, limits.max_head_size
        if size > allowed:
            self._over("max_head_size", "part head", size, allowed, start + allowed)
        if found < 0:
            self._searched = max(self._position, end)
            return self._need_data()
        fields: list[tuple[bytes, bytes]] = []
        if size > 0:
            delimiter = buffer.find(self._delimiter, self._position, end)
            if delimiter >= 0:
                position = delimiter + len(_CRLF)
                self._fail("multipart-delimiter", "delimiter in the head of a part", position)
            lines = buffer[start:end].split(_CRLF)
            count, allowed = len(lines), limits.max_part_headers
            if count > allowed:
                self._over("max_part_headers", "part headers", count, allowed, start)
            allowed = limits.max_field_size
            for line in lines:
                size = len(line)
                if size > allowed:
                    self._over("max_field_size", "part header", size, allowed, start + allowed)
                match = _FIELD.fullmatch(line)
                if match is None:
                    self._fail("multipart-header", "malformed header line in a part", start)
                fields.append((match[1], match[2].rstrip(b" \t")))
                start += size + len(_CRLF)
        # The empty line's CRLF may be that of a delimiter: a part without a body has no more
        # (RFC 2046 section 5.1.1, body-part).
        self._position = found + len(_CRLF)
        self._part_size = -len(_CRLF)
        self._state = _State.BODY
        return Part(tuple(fields))

    def _next_of_body(self) -> MultipartEvent:
        buffer, start = self._buffer, self._position
        size = len(buffer)
        if start == size and not self._eof:
            return NEED_DATA
        found = buffer.find(self._delimiter, start)
        end = found if found >= 0 else self._safe_end(start)
        if self._part_size < 0 and end > start:
            start += len(_CRLF)  # the head's last two bytes, not part of the body
            self._part_size = 0
        self._position = end
        if end > start:
            self._part_size += end - start
            if self._part_size > self._max_part_size:
                allowed = self._max_part_size
                position = end - (self._part_size - allowed)
                self._over("max_part_size", "part", self._part_size, allowed, position)
            return buffer if end - start == size else buffer[start:end]
        if found < 0:
            return self._need_data()
        self._position += len(self._delimiter)
        self._state = _State.DELIMITER
        return END_OF_PART

    def _safe_end(self, start: int) -> int:
        """Return up to where the buffer has no beginning of a delimiter at its end."""
        buffer = self._buffer
        size = len(buffer)
        # A delimiter has one CR, so only the last one can begin it.
        tail = buffer.rfind(b"\r", max(start, size - len(self._delimiter) + 1))
        if tail >= 0 and self._delimiter.startswith(buffer[tail:]):
            return tail
        return size

    def _need_data(
        self, rule: str = "multipart-truncated", what: str = "no closing delimiter"
    ) -> Literal[NeedData.NEED_DATA]:
        if self._eof:
            if self._excess:
                size = self._received + self._excess
                self._over("max_size", "body", size, self._max_size, len(self._buffer))
            self._fail(rule, f"the multipart body ended: {what}", len(self._buffer))
        return NEED_DATA

    def _fail(self, rule: str, message: str, position: int) -> NoReturn:
        offset = self._received - len(self._buffer) + position
        self._stop(MultipartError(f"{message}, at byte {offset}", rule=rule, offset=offset))

    def _over(self, limit: str, what: str, value: int, allowed: int, position: int) -> NoReturn:
        cls = LineTooLong if limit in _LIMITS_OF_HEADS else MultipartError
        offset = self._received - len(self._buffer) + position
        error = cls(
            f"multipart {what}: {value} with {limit}={allowed}, at byte {offset}",
            rule="multipart-limit",
            status_hint=413,
            offset=offset,
            limit=limit,
            value=value,
            allowed=allowed,
        )
        self._stop(error)

    def _stop(self, error: BadHttpMessage) -> NoReturn:
        self._error = error
        self._state = _State.ERROR
        self._buffer = b""
        self._position = 0
        # What is raised gets a traceback, whose frames hold the piece; what is kept must not.
        raise copy(error)


def new_boundary() -> str:
    """Return a boundary that no body contains but by intent: 128 random bits, as hex."""
    return os.urandom(16).hex()


def check_boundary(boundary: str) -> str:
    """Return `boundary` if RFC 2046 section 5.1.1 allows it.

    Raises:
        ValueError: It is empty, longer than 70 characters, ends in a space, or has a
            character that is not allowed there.
    """
    if len(boundary) > MAX_BOUNDARY_LENGTH:
        raise ValueError(f"boundary of {len(boundary)} characters, {MAX_BOUNDARY_LENGTH} allowed")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise ValueError(f"boundary {boundary!r} is not one that RFC 2046 allows")
    return boundary


def encode_part_head(boundary: str, headers: HeadersLike) -> bytes:
    """Return delimiter and head of a part, up to and with the empty line.

    The body follows, then CRLF, then the next of these or `encode_closing`.

    Args:
        boundary: Checked already (`check_boundary`).
        headers: Fields of the part.

    Raises:
        LocalProtocolError: A name is no token, or a value has a control character.
    """
    lines = [f"--{boundary}\r\n"]
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        check_token(name, "field name")
        check_text(value, "field value")
        lines.append(f"{name}: {value}\r\n")
    lines.append("\r\n")
    return encode_text("".join(lines))


def encode_closing(boundary: str) -> bytes:
    """Return the delimiter that closes the body; CRLF must be before it."""
    return f"--{boundary}--\r\n".encode("ascii")
