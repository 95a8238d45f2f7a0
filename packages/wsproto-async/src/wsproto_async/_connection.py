"""The WebSocket of either role: bytes in, messages out; messages in, bytes out; never a wait.

Theory of operation. `receive_data` only keeps the bytes. `next_event` hands them to the
frame reader, which takes one read in one call and gives messages and control frames that
are whole and were checked by everything that a frame's head shows. What a payload must be
is checked here: compressed data, text, close codes. Frames that came in one call wait in
a queue of at most 64, and bytes behind them stay bytes: a flood of small
messages costs memory only as fast as somebody takes them.

`send_...` checks the state table, turns the message into bytes, and only then changes
state: a refused message leaves no trace.

Not here: answering pings and close frames, time, sockets.
"""

from __future__ import annotations

import codecs
import zlib
from collections import deque
from typing import Final, NoReturn, TypeAlias

from httpcore_proto import (
    FRAME_COMPRESSED,
    FRAME_LAST,
    FRAME_STREAM,
    NEED_DATA,
    ConnectionClosed,
    FrameFault,
    FrameReader,
    NeedData,
    validate_utf8,
)

from ._compression import Inflater
from ._deflate import Deflate
from ._errors import WebSocketError
from ._frames import BINARY, CLOSE, PING, PONG, TEXT
from ._messages import WSFragment, WSMessage, WSMessageTextBytes, WSMsgType
from ._sending import Octets, Role, Sender, is_close_code
from ._states import Step, WSState

WSEvent: TypeAlias = WSMessage | WSMessageTextBytes | WSFragment | ConnectionClosed

#: Octets of a message (the default of aiohttp).
DEFAULT_MAX_MSG_SIZE: Final = 4 * 1024 * 1024
#: Frames of a message: twice what Autobahn's longest case (9.3.1) sends.
DEFAULT_MAX_FRAGMENTS: Final = 131072

_OPCODE: Final = 0x0F
# A kind of ours: the inflater has more of a streamed message.
_RESUME: Final = 0x80
# Of compressed messages in pieces; what one call inflates at most.
_PIECE: Final = 65536
_CONNECTION_CLOSED: Final = ConnectionClosed()
_TYPES: Final = {kind.value: kind for kind in WSMsgType}
# Members of an enum are slow to look up on its class (Python 3.11).
_OPEN: Final = WSState.OPEN
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_Utf8Decoder: Final = codecs.getincrementaldecoder("utf-8")
# The constructor of a NamedTuple is Python; a message should cost no more than a tuple.
_new: Final = tuple.__new__


class WebSocketConnection(Sender):
    """One side of a WebSocket, behind the handshake.

    Args:
        role: Which side.
        deflate: What the handshake agreed on, or None.
        max_msg_size: Octets of a message that the peer may send, before and after
            inflation; exactly as many are allowed, 0 means no limit.
        max_fragments: Frames of a message that the peer may send; a message costs no more
            memory for them, so this bounds only how long one may take.
        decode_text: Whether text comes as `str`; else as `bytes`, checked for UTF-8 all
            the same.
        compress_level: Of zlib, 1 (the default, as in aiohttp) to 9.

    Raises:
        ValueError: `compress_level` is another one.
    """

    __slots__ = (
        "_data",
        "_decode_text",
        "_decoder",
        "_eof",
        "_error",
        "_frames",
        "_inflater",
        "_max_msg_size",
        "_offset",
        "_reader",
        "_streamed",
        "_utf8",
        "close_reason",
    )

    close_code: int | None
    #: Reason of the peer's close frame.
    close_reason: str

    def __init__(
        self,
        role: Role,
        *,
        deflate: Deflate | None = None,
        max_msg_size: int = DEFAULT_MAX_MSG_SIZE,
        max_fragments: int = DEFAULT_MAX_FRAGMENTS,
        decode_text: bool = True,
        compress_level: int = zlib.Z_BEST_SPEED,
    ) -> None:
        super().__init__(role, deflate, compress_level)
        # Only what a client sends is masked.
        self._reader = FrameReader(
            masked=role is Role.SERVER,
            compressed=deflate is not None,
            max_msg_size=max_msg_size,
            max_fragments=max_fragments,
        )
        self._max_msg_size = max_msg_size
        self._decode_text = decode_text
        self._inflater: Inflater | None = None
        if deflate is not None:
            self._inflater = Inflater(*deflate.of_side(is_server=role is Role.CLIENT))
        # Input not scanned yet is _data[_offset:]; frames scanned and not given away wait
        # in _frames.
        self._data = b""
        self._offset = 0
        self._eof = False
        self._frames: deque[tuple[int, bytes]] = deque()
        self._error: WebSocketError | None = None
        # Of the message that comes in pieces: octets so far, and text's state.
        self._streamed = 0
        self._utf8 = 0
        self._decoder = _Utf8Decoder()
        self.close_reason = ""

    @property
    def closed(self) -> bool:
        """Whether both close frames passed, or the peer is gone."""
        theirs = self.their_state
        return theirs is WSState.LOST or (
            theirs is WSState.CLOSED and self.our_state is WSState.CLOSED
        )

    @property
    def buffered(self) -> int:
        """Number of octets received that `next_event` has not looked at."""
        return len(self._data) - self._offset

    @property
    def streaming(self) -> bool:
        """Whether messages come as `WSFragment`, piece by piece as they arrive.

        May be changed at any time, and counts for messages that begin behind the frames
        already looked at. `max_msg_size` is a limit of whole messages all the same.
        """
        return self._reader.streaming

    @streaming.setter
    def streaming(self, value: bool) -> None:
        self._reader.streaming = value

    def receive_data(self, data: Octets) -> None:
        """Take bytes from the peer; `next_event` tells what they mean.

        Args:
            data: Any number of bytes, cut anywhere. Copied unless they are `bytes`.
                Behind a close frame or an error they are dropped.
        """
        if type(data) is not bytes:
            data = bytes(data)
        if self._data:
            data = self._data[self._offset :] + data
            self._offset = 0
        if self.their_state is _OPEN:
            self._data = data

    def take_message(self, data: bytes) -> WSMessage | None:
        """Take bytes, and return the message that they are: a short way for most reads.

        Args:
            data: As for `receive_data`.

        Returns:
            The only event, if it is a message that came plain and nothing waits; else None,
            and `next_event` tells.
        """
        if self._data or self._frames or self.their_state is not _OPEN:
            self.receive_data(data)
            return None
        reader = self._reader
        frames = reader.read(data)
        if len(frames) == 1 and reader.position == len(data) and reader.fault is None:
            kind, payload = frames[0]
            if kind == BINARY:
                return _new(WSMessage, (_BINARY, payload, ""))
            if kind == TEXT and self._decode_text:
                try:
                    return _new(WSMessage, (_TEXT, payload.decode(), ""))
                except UnicodeDecodeError:
                    pass  # so will `next_event`, and say so
        self._frames.extend(frames)
        if reader.position < len(data):
            self._data = data
            self._offset = reader.position
        return None

    def receive_eof(self) -> None:
        """The peer sends nothing more."""
        self._eof = True

    def next_event(self) -> WSEvent | NeedData:
        """Return the next event from the peer.

        Returns:
            A message, or a piece of one while `streaming`; a control frame, of which
            pings and close frames are the caller's to answer; `ConnectionClosed` at the
            end of the connection, with `close_code` 1006 if no close frame came before
            it; `NEED_DATA` when all input is used up.

        Raises:
            WebSocketError: The peer broke the protocol or a limit: answer with
                `send_close(error.code)` and close. Every later call raises the same.
        """
        while True:
            if self._frames:
                kind, payload = self._frames.popleft()
            else:
                data = self._data
                if not data:
                    return self._no_frame()
                reader = self._reader
                frames = reader.read(data, self._offset)
                if reader.position == len(data):
                    self._data = b""
                    self._offset = 0
                else:
                    self._offset = reader.position
                if not frames:
                    return self._no_frame()
                kind, payload = frames[0]
                if len(frames) > 1:
                    self._frames.extend(frames[1:])
            if kind == TEXT and self._decode_text:
                return _new(WSMessage, (_TEXT, self._decode(payload), ""))
            if kind == BINARY:
                return _new(WSMessage, (_BINARY, payload, ""))
            event = self._unusual(kind, payload)
            if event is not None:
                return event

    def _no_frame(self) -> ConnectionClosed | NeedData:
        fault = self._reader.fault
        if fault is not None:
            self._fail(fault)
        if self._error is not None:
            raise self._error
        if not self._eof:
            return NEED_DATA
        self._received(Step.END)
        if self.close_code is None:
            self.close_code = 1006
        return _CONNECTION_CLOSED

    def _unusual(self, kind: int, payload: bytes) -> WSEvent | None:
        """Take anything but binary messages, and text to be decoded, that came plain."""
        opcode = kind & _OPCODE
        if kind & (FRAME_STREAM | _RESUME):
            return self._piece(kind, payload)
        if opcode == CLOSE:
            return self._close_frame(payload)
        if opcode in (PING, PONG):
            return WSMessage(_TYPES[opcode], payload, "")
        if kind & FRAME_COMPRESSED:
            payload = self._inflate(payload)
        if opcode == BINARY:
            return WSMessage(_BINARY, payload, "")
        if self._decode_text:
            return WSMessage(_TEXT, self._decode(payload), "")
        if validate_utf8(payload) != 0:
            self._fail_utf8("text message")
        return WSMessageTextBytes(_TEXT, payload, "")

    def _inflate(self, payload: bytes) -> bytes:
        inflater = self._inflater
        assert inflater is not None  # the reader lets RSV1 through only if it was agreed on
        allowed = self._max_msg_size
        inflater.feed(payload, last=True)
        inflated = self._read_inflated(inflater, allowed + 1 if allowed else 0)
        self._check_size(len(inflated))
        return inflated

    def _read_inflated(self, inflater: Inflater, max_length: int) -> bytes:
        try:
            return inflater.read(max_length)
        except WebSocketError as exc:
            error = exc
        self._fail(error)

    def _piece(self, kind: int, payload: bytes) -> WSFragment | None:
        """Make an event of a piece, if there is anything in it."""
        last = bool(kind & FRAME_LAST)
        if kind & FRAME_COMPRESSED:
            inflater = self._inflater
            assert inflater is not None  # the reader lets RSV1 through only if it was agreed on
            if not kind & _RESUME:
                inflater.feed(payload, last=last)
            payload = self._read_inflated(inflater, _PIECE)
            if inflater.pending:
                self._frames.appendleft((kind | _RESUME, b""))
                last = False
        self._streamed += len(payload)
        self._check_size(self._streamed)
        piece: str | bytes = payload
        opcode = kind & _OPCODE
        if opcode == TEXT:
            piece = self._piece_of_text(payload, last)
        if last:
            self._streamed = 0
        if not piece and not last:
            return None
        return WSFragment(_TYPES[opcode], piece, last)

    def _decode(self, payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            # Not from here: the error would keep the text as its context.
            pass
        self._fail_utf8("text message")

    def _piece_of_text(self, payload: bytes, last: bool) -> str | bytes:
        if not self._decode_text:
            self._utf8 = validate_utf8(payload, self._utf8)
            if self._utf8 < 0 or (last and self._utf8 != 0):
                self._fail_utf8("text message")
            return payload
        try:
            return self._decoder.decode(payload, last)
        except UnicodeDecodeError:
            pass
        self._fail_utf8("text message")

    def _close_frame(self, payload: bytes) -> WSMessage:
        code = 0
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) == 1:
                self._fail(
                    FrameFault(1002, "close-payload", "close frame with a payload of 1 octet")
                )
            if not is_close_code(code):
                self._fail(FrameFault(1002, "close-code", f"close frame with code {code}"))
            if validate_utf8(payload[2:]) != 0:
                self._fail_utf8("reason of a close frame")
        self._received(Step.CLOSE)
        self.close_code = code
        self.close_reason = payload[2:].decode()
        return WSMessage(WSMsgType.CLOSE, code, self.close_reason)

    def _check_size(self, size: int) -> None:
        allowed = self._max_msg_size
        if allowed and size > allowed:
            self._fail(
                FrameFault(
                    1009,
                    "message-size",
                    f"message of at least {size} octets with max_msg_size={allowed}",
                    "max_msg_size",
                    size,
                    allowed,
                )
            )

    def _fail_utf8(self, what: str) -> NoReturn:
        self._fail(FrameFault(1007, "text-utf8", f"{what} is not UTF-8"))

    def _fail(self, fault: FrameFault | WebSocketError) -> NoReturn:
        if isinstance(fault, FrameFault):
            fault = WebSocketError(
                fault.code,
                fault.message,
                rule=fault.rule,
                limit=fault.limit,
                value=fault.value,
                allowed=fault.allowed,
            )
        if self._error is None:
            self._received(Step.FAULT)
            self._error = fault
        self._frames.clear()
        self._data = b""
        self._offset = 0
        raise self._error
