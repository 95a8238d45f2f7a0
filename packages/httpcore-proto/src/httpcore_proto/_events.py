"""What passes through a connection, as events.

Events that a connection reports carry what was received and decode it on first use: a
handler that never looks at a header pays for none. Events that a connection is given
carry what the caller wrote; it is checked when it is sent.

Treat every event as immutable.
"""

from __future__ import annotations

import enum
from typing import Final, Literal, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from ._fields import NO_FRAMING, Framing, HeaderBlock, HeadersLike, encode_lines
from ._http import RESPONSES, HttpVersion, HttpVersion10, HttpVersion11
from ._parser import (
    CHUNKED,
    CONTENT_ENCODING,
    EXPECT,
    EXPECT_CONTINUE,
    HTTP10,
    KEEP_ALIVE,
    METHOD_NAMES,
    NUMBER_MASK,
    NUMBER_SHIFT,
    SET_COOKIE,
    UPGRADE,
)

RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]

# Text on the wire is UTF-8 in practice and bytes by right; surrogateescape keeps both
# (the choice of aiohttp, and of os.fsdecode).
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogateescape"


def decode(raw: bytes) -> str:
    """Decode bytes of a head; never fails, and `encode` gives the same bytes back."""
    return raw.decode(_ENCODING, _ERRORS)


def encode(text: str) -> bytes:
    """Encode text of a head.

    Raises:
        UnicodeEncodeError: `text` has a lone surrogate that `decode` did not make.
    """
    return text.encode(_ENCODING, _ERRORS)


class _Head:
    """A start line and its fields, either as received (packed) or as given (pairs).

    The packed form is the parser's: target or reason, then name and value of each
    field, a NUL behind every piece.
    """

    __slots__ = ("_facts", "_headers", "_packed", "_pairs", "content_length", "preset")

    _facts: int
    _packed: bytes
    _pairs: HeadersLike
    _headers: CIMultiDictProxy[str] | None
    #: Announced length of the body in bytes; None without Content-Length.
    content_length: int | None
    #: Fields to be sent before the others.
    preset: HeaderBlock | None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields, names compared without case, values as `str`.

        Bytes that are not UTF-8 stand as surrogates (`surrogateescape`).
        """
        headers = self._headers
        if headers is None:
            if self._packed:
                parts = decode(self._packed).split("\0")
                fields = CIMultiDict(zip(parts[1::2], parts[2::2], strict=False))
            else:
                fields = CIMultiDict(self._pairs)
            headers = self._headers = CIMultiDictProxy(fields)
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The fields as bytes, names in the case they had, in their order."""
        if self._packed:
            parts = self._packed.split(b"\0")
            return tuple(zip(parts[1::2], parts[2::2], strict=False))
        return tuple((encode(name), encode(value)) for name, value in self.headers.items())

    @property
    def http_version(self) -> HttpVersion:
        """The version the sender put on the start line."""
        return HttpVersion10 if self._facts & HTTP10 else HttpVersion11

    @property
    def keep_alive(self) -> bool:
        """Whether the sender lets the connection live on (RFC 9112 section 9.3)."""
        return bool(self._facts & KEEP_ALIVE)

    @property
    def chunked(self) -> bool:
        """Whether the body is sent in chunks."""
        return bool(self._facts & CHUNKED)

    @property
    def upgrade(self) -> bool:
        """On a request: it offers another protocol, by Upgrade or CONNECT.

        On a response: the connection has switched.
        """
        return bool(self._facts & UPGRADE)

    @property
    def has_content_encoding(self) -> bool:
        """Whether a Content-Encoding field is there; cheaper than `headers`."""
        return bool(self._facts & CONTENT_ENCODING)


def _facts_of(http_version: HttpVersion) -> int:
    return HTTP10 if http_version < HttpVersion11 else KEEP_ALIVE


def encode_fields(head: _Head) -> tuple[str, Framing]:
    """Return the lines of a head's fields, and what they say about framing.

    Raises:
        LocalProtocolError: A field is not fit to be sent.
    """
    text = head.preset.text if head.preset is not None else ""
    headers = head._pairs if not head._packed else head.headers
    if not headers:
        return text, NO_FRAMING
    framing = Framing()
    return text + encode_lines(headers, framing), framing


class Request(_Head):
    """A request head.

    Args:
        method: A token; sent as it is, case included.
        target: Request target as it goes on the wire: origin form `/path?query`,
            absolute form, `host:port` for CONNECT, or `*`. Visible ASCII.
        headers: Fields as `str`. Content-Length, Transfer-Encoding, `Connection: close`
            and `Connection: keep-alive` are understood as instructions and written by
            the connection. `Host` is the caller's.
        http_version: 1.1, or 1.0.
        preset: Fields written before `headers`, checked once and for all.
    """

    __slots__ = ("_target", "method")

    method: str

    def __init__(
        self,
        *,
        method: str,
        target: str,
        headers: HeadersLike = (),
        http_version: HttpVersion = HttpVersion11,
        preset: HeaderBlock | None = None,
    ) -> None:
        self.method = method
        self._target: str | None = target
        self.preset = preset
        self._packed = b""
        self._pairs = headers
        self._headers = None
        self._facts = KEEP_ALIVE if http_version is HttpVersion11 else _facts_of(http_version)
        self.content_length: int | None = None

    @property
    def target(self) -> str:
        """The request target as it stood on the request line."""
        target = self._target
        if target is None:
            # The parser lets ASCII pass only.
            packed = self._packed
            target = self._target = packed[: packed.index(0)].decode("ascii")
        return target

    @property
    def raw_target(self) -> bytes:
        """The request target as bytes."""
        return encode(self.target)

    @property
    def is_origin_form(self) -> bool:
        """Whether the target is a path, and not absolute, authority or asterisk form."""
        return self.target.startswith("/")

    @property
    def expects_continue(self) -> bool:
        """Whether the sender waits for 100 before the body (RFC 9110 section 10.1.1).

        False for HTTP/1.0, whose senders cannot mean it.
        """
        facts = self._facts
        return bool(facts & EXPECT_CONTINUE) and not facts & HTTP10

    @property
    def has_expect(self) -> bool:
        """Whether any Expect field is there that means something; cheaper than `headers`.

        False for HTTP/1.0, as above.
        """
        return self._facts & (EXPECT | HTTP10) == EXPECT

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r}>"


class _ResponseHead(_Head):
    __slots__ = ("_reason", "is_preset", "status")

    status: int
    #: Whether a preset, and nothing else, says what its fields and its reason are.
    is_preset: bool

    def __init__(
        self,
        *,
        status: int,
        reason: str | None = None,
        headers: HeadersLike = (),
        http_version: HttpVersion = HttpVersion11,
        preset: HeaderBlock | None = None,
    ) -> None:
        self.status = status
        self._reason = reason
        self.preset = preset
        self._packed = b""
        self._pairs = headers
        self._headers = None
        self._facts = KEEP_ALIVE if http_version is HttpVersion11 else _facts_of(http_version)
        self.content_length: int | None = None
        self.is_preset = preset is not None and reason is None and not headers

    @property
    def reason(self) -> str:
        """The reason phrase; the standard one if none was given to a response of ours.

        Empty on a received response without one, which is legal.
        """
        reason = self._reason
        if reason is None:
            if self._packed:
                reason = decode(self._packed[: self._packed.index(0)])
            else:
                reason = RESPONSES.get(self.status, ("", ""))[0]
            self._reason = reason
        return reason

    @property
    def has_set_cookie(self) -> bool:
        """Whether a Set-Cookie field is there; cheaper than `headers`."""
        return bool(self._facts & SET_COOKIE)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.reason}>"


class Response(_ResponseHead):
    """A final response head, 200 to 999.

    Args:
        status: Three digits.
        reason: Reason phrase; None for the standard one.
        headers: As for `Request`.
        http_version: Kept for symmetry; a server always answers with HTTP/1.1
            (RFC 9110 section 2.5).
        preset: Fields written before `headers`, checked once and for all.
    """

    __slots__ = ()


class InformationalResponse(_ResponseHead):
    """An interim response head, 100 to 199; 101 ends the HTTP part of a connection."""

    __slots__ = ()


class Data:
    """A piece of body, framing removed.

    Attributes:
        data: The bytes; immutable, and the receiver's to keep.
        chunk_ends: On a received piece of a chunked body, positions in `data` at which
            an HTTP chunk ends. They carry no meaning in HTTP; some protocols misuse
            them as message boundaries.
    """

    __slots__ = ("chunk_ends", "data")

    def __init__(self, data: bytes, chunk_ends: tuple[int, ...] = ()) -> None:
        self.data: bytes = data
        self.chunk_ends: tuple[int, ...] = chunk_ends

    def __repr__(self) -> str:
        return f"<Data {len(self.data)} bytes>"


class EndOfMessage:
    """The end of a message.

    Attributes:
        trailers: Fields sent behind a chunked body; never merged into the headers
            (RFC 9110 section 6.5.1). Names compare without case.
    """

    __slots__ = ("trailers",)

    def __init__(self, trailers: HeadersLike = ()) -> None:
        self.trailers: CIMultiDictProxy[str] = (
            CIMultiDictProxy(CIMultiDict(trailers)) if trailers else _NO_FIELDS
        )

    def __repr__(self) -> str:
        return "<EndOfMessage>"


class ConnectionClosed:
    """The peer, or we, send nothing more, and nothing was cut by it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<ConnectionClosed>"


class NeedData(enum.Enum):
    """What `next_event` returns when it has used up its input."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return self.value


class Paused(enum.Enum):
    """What `next_event` returns while the next message must wait for this one."""

    PAUSED = "PAUSED"

    def __repr__(self) -> str:
        return self.value


NEED_DATA: Final = NeedData.NEED_DATA
PAUSED: Final = Paused.PAUSED

Event: TypeAlias = (
    Request | Response | InformationalResponse | Data | EndOfMessage | ConnectionClosed
)
NoEvent: TypeAlias = Literal[NeedData.NEED_DATA, Paused.PAUSED]

_NO_FIELDS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())
END_OF_MESSAGE: Final = EndOfMessage()
CONNECTION_CLOSED: Final = ConnectionClosed()


def received_request(packed: bytes, facts: int, content_length: int | None) -> Request:
    """Make a request from what the parser found; checks nothing again."""
    event = Request.__new__(Request)
    event._packed = packed
    event._facts = facts
    event._headers = None
    event._target = None
    event.preset = None
    event.method = METHOD_NAMES[facts >> NUMBER_SHIFT & NUMBER_MASK]
    event.content_length = content_length
    return event


def received_response(
    kind: type[Response | InformationalResponse],
    packed: bytes,
    facts: int,
    content_length: int | None,
) -> Response | InformationalResponse:
    """Make a response from what the parser found; checks nothing again."""
    event = kind.__new__(kind)
    event._packed = packed
    event._facts = facts
    event._headers = None
    event._reason = None
    event.preset = None
    event.is_preset = False
    event.status = facts >> NUMBER_SHIFT & NUMBER_MASK
    event.content_length = content_length
    return event
