"""The octets of WebSocket (RFC 6455 section 5): frames found, unmasked, checked; frames masked.

What goes over every octet is done in C, once and in one call per read; there is no other
implementation. Messages, closing, compression and the handshake are `wsproto_async`'s.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from ._native import ffi, lib

#: Bits of a frame's kind beside its opcode. The message had RSV1, it is compressed.
FRAME_COMPRESSED: Final[int] = lib.HCP_WS_COMPRESSED
#: A piece of a message, not all of it.
FRAME_STREAM: Final[int] = lib.HCP_WS_STREAM
#: The last piece of a message.
FRAME_LAST: Final[int] = lib.HCP_WS_LAST

_MANY: Final[int] = lib.HCP_WS_MANY
_ERROR: Final[int] = lib.HCP_WS_ERROR
_REST: Final[int] = lib.HCP_WS_REST
_OWN: Final[int] = lib.HCP_WS_OWN
_LENGTH_SHIFT: Final[int] = lib.HCP_WS_LENGTH_SHIFT
_SMALL: Final[int] = lib.HCP_WS_SMALL
_KIND_MASK: Final = 0x7F
_CONTROL: Final = 0x08
# Any of these takes the long way; without them there is one message, or nothing.
_UNUSUAL: Final = _CONTROL | _MANY | _ERROR | _REST | _OWN

_INVALID: Final[int] = lib.HCP_UTF8_INVALID
_UNLIMITED: Final = 2**64 - 1
# hcp_ws_item: offset, length, kind.
_ITEM: Final = struct.Struct("=QQQ")
_HEAD_16: Final = struct.Struct("!BBH")
_HEAD_64: Final = struct.Struct("!BBQ")

_new_reader = lib.hcp_ws_new
_free_reader = lib.hcp_ws_free
_feed = lib.hcp_ws_feed
_release = lib.hcp_ws_release
_frame = lib.hcp_ws_frame
_mask = lib.hcp_mask
_utf8 = lib.hcp_utf8
_unpack = ffi.unpack


class FrameFault(NamedTuple):
    """What a peer's frame broke.

    Attributes:
        code: The close code to answer with (RFC 6455 section 7.4.1): 1002, 1007 or 1009.
        rule: A stable word for it, such as `"frame-masking"`.
        message: Text that quotes none of the peer's octets.
        limit: Name of the parameter of `FrameReader` that was exceeded, or None.
        value: The size or count seen, when a limit was exceeded.
        allowed: The limit's value, when one was exceeded.
    """

    code: int
    rule: str
    message: str
    limit: str | None = None
    value: int | None = None
    allowed: int | None = None


# Of the limits the text is a template.
_FAULTS: Final[dict[int, FrameFault]] = {
    lib.HCP_WS_E_RSV: FrameFault(1002, "frame-rsv", "a reserved bit is set that has no meaning"),
    lib.HCP_WS_E_OPCODE: FrameFault(1002, "frame-opcode", "reserved opcode"),
    lib.HCP_WS_E_CONTROL_FRAGMENTED: FrameFault(
        1002, "control-fragmented", "fragmented control frame"
    ),
    lib.HCP_WS_E_CONTROL_SIZE: FrameFault(
        1002, "control-size", "control frame with more than 125 octets"
    ),
    lib.HCP_WS_E_CONTINUATION: FrameFault(
        1002, "frame-continuation", "continuation frame without a message to go on with"
    ),
    lib.HCP_WS_E_INTERLEAVED: FrameFault(
        1002, "frame-interleaved", "a new message begins within a fragmented one"
    ),
    lib.HCP_WS_E_UNMASKED: FrameFault(1002, "frame-masking", "frame from a client is not masked"),
    lib.HCP_WS_E_MASKED: FrameFault(1002, "frame-masking", "frame from a server is masked"),
    lib.HCP_WS_E_LENGTH: FrameFault(
        1002, "frame-length", "length not in its shortest form, or above 63 bits"
    ),
    lib.HCP_WS_E_UTF8: FrameFault(1007, "text-utf8", "text message is not UTF-8"),
    lib.HCP_WS_E_SIZE: FrameFault(
        1009, "message-size", "message of at least {} octets with {}={}", "max_msg_size"
    ),
    lib.HCP_WS_E_FRAGMENTS: FrameFault(
        1009, "message-fragments", "message of at least {} frames with {}={}", "max_fragments"
    ),
}


class FrameReader:
    """Finds the messages and control frames in what a peer sends.

    Judges every frame by its head, before its payload is kept: reserved bits, opcodes,
    shortest lengths, masking, fragmentation, sizes (RFC 6455 sections 5.1 to 5.5,
    RFC 7692 section 6). Fragments are joined, and text is checked for UTF-8 as it arrives;
    only of text in one frame that arrived in one read the check is left to who decodes it.

    Args:
        masked: Whether the peer must mask: True for what a client sent, False for what a
            server sent.
        compressed: Whether permessage-deflate was agreed on, so that messages may have RSV1.
        max_msg_size: Octets of a message; exactly as many are allowed, 0 means no limit. A
            frame that announces more is refused at once. Of compressed messages this is
            their size before inflation, with 1/1024 and 1024 octets more.
        max_fragments: Frames of a message.

    Raises:
        MemoryError: There is no memory for it.
    """

    __slots__ = ("_limits", "_reader", "_small", "fault", "position")

    #: What the peer did wrong; set by the call of `read` that returns what came before it.
    fault: FrameFault | None
    #: How far the last `read` got in its input; the end unless it found many frames.
    position: int

    def __init__(
        self, *, masked: bool, compressed: bool, max_msg_size: int, max_fragments: int
    ) -> None:
        reader = _new_reader(masked, compressed, max_msg_size or _UNLIMITED, max_fragments)
        if not reader:
            raise MemoryError("no memory for a WebSocket")
        self._reader: Any = ffi.gc(reader, _free_reader)
        self._small: Any = ffi.buffer(reader.small)
        self._limits = {"max_msg_size": max_msg_size, "max_fragments": max_fragments}
        self.fault = None
        self.position = 0

    @property
    def streaming(self) -> bool:
        """Whether messages that begin from now on come in pieces, as they arrive.

        Their text is not checked for UTF-8.
        """
        return bool(self._reader.streaming)

    @streaming.setter
    def streaming(self, value: bool) -> None:
        self._reader.streaming = value

    def read(self, data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
        """Return what `data[offset:]` completes.

        Nothing of `data` before `position` needs to be kept. Behind a close frame or a
        fault everything is used up and nothing returned.

        Returns:
            Pairs of kind and payload in the order of the wire. A kind is a message's or
            control frame's opcode, with bits FRAME_COMPRESSED, FRAME_STREAM and FRAME_LAST.
            While `streaming`, messages come in pieces: one for each call at most, and the
            last may be empty.
        """
        reader = self._reader
        facts: int = _feed(reader, data, offset, len(data))
        if facts & _UNUSUAL:
            return self._read_unusual(facts)
        self.position = len(data)
        if not facts:
            return []
        size = facts >> _LENGTH_SHIFT
        if size <= _SMALL:
            return [(facts & _KIND_MASK, self._small[:size])]
        return [(facts & _KIND_MASK, _unpack(reader.payload, size))]

    def _read_unusual(self, facts: int) -> list[tuple[int, bytes]]:
        reader = self._reader
        self.position = reader.consumed
        frames: list[tuple[int, bytes]] = []
        if facts & _MANY:
            payload: bytes = _unpack(reader.payload, reader.payload_size)
            control: bytes = _unpack(reader.control, reader.control_size)
            items = ffi.buffer(reader.items, reader.count * _ITEM.size)
            for offset, length, kind in _ITEM.iter_unpack(items):
                octets = control if kind & _CONTROL else payload
                frames.append((kind, octets[offset : offset + length]))
        elif kind := facts & _KIND_MASK:
            size = facts >> _LENGTH_SHIFT
            data = self._small[:size] if size <= _SMALL else _unpack(reader.payload, size)
            frames.append((kind, data))
        if facts & _ERROR:
            self.fault = self._explain(reader.error, reader.error_value)
        if facts & _OWN:
            _release(reader)
        return frames

    def _explain(self, error: int, value: int) -> FrameFault:
        fault = _FAULTS.get(error)
        if fault is None:
            raise MemoryError(f"no memory for a message of {value} octets")
        if fault.limit is None:
            return fault
        allowed = self._limits[fault.limit]
        message = fault.message.format(value, fault.limit, allowed)
        return fault._replace(message=message, value=value, allowed=allowed)


def encode_masked_frame(first: int, key: bytes, payload: bytes) -> bytes:
    """Return a frame as a client sends it: head, masking key, masked payload.

    Args:
        first: The first octet: FIN, reserved bits and opcode (RFC 6455 section 5.2).
        key: Four octets that nobody can predict (RFC 6455 section 5.3).
        payload: What is to be masked.

    Raises:
        ValueError: `key` has another length, or `first` is not an octet.
    """
    if len(key) != 4 or not 0 <= first <= 0xFF:
        raise ValueError(f"masking key has {len(key)} octets, not 4, or {first} is no octet")
    size = len(payload)
    frame = _frame(first, key, payload, size)
    if frame:
        octets: bytes = _unpack(frame, size + (6 if size < 126 else 8))
        return octets
    head = _HEAD_16.pack(first, 0xFE, size) if size <= 0xFFFF else _HEAD_64.pack(first, 0xFF, size)
    out = bytearray(len(head) + 4 + size)
    start = len(head) + 4
    out[:start] = head + key
    _mask(ffi.from_buffer(out) + start, payload, size, key, 0)
    return bytes(out)


def mask_octets(data: bytes, key: bytes, phase: int = 0) -> bytes:
    """Return `data` masked, or what is masked unmasked (RFC 6455 section 5.3).

    Args:
        data: Any octets.
        key: Four octets.
        phase: How many octets of the same frame came before `data`.

    Raises:
        ValueError: `key` has another length, or `phase` is negative.
    """
    out = bytearray(len(data))
    _mask(ffi.from_buffer(out), data, len(data), *_key(key, phase))
    return bytes(out)


def mask_octets_in_place(buffer: bytearray | memoryview, key: bytes, phase: int = 0) -> None:
    """Mask or unmask `buffer` where it is; otherwise as `mask_octets`.

    Raises:
        ValueError: As for `mask_octets`.
        BufferError: `buffer` is read-only or not contiguous.
    """
    with ffi.from_buffer(buffer, require_writable=True) as octets:
        _mask(octets, octets, len(octets), *_key(key, phase))


def _key(key: bytes, phase: int) -> tuple[bytes, int]:
    if len(key) != 4 or phase < 0:
        raise ValueError(f"masking key has {len(key)} octets, not 4, or phase {phase} < 0")
    return key, phase % 4


def validate_utf8(data: bytes, state: int = 0) -> int:
    """Go on checking that a text is UTF-8 (RFC 3629), cut anywhere.

    Args:
        data: The next octets.
        state: What the call before returned.

    Returns:
        0 where `data` ends between two characters, -1 if it is not UTF-8, else the state
        within a character.

    Raises:
        OverflowError: `state` is nothing this function returned.
    """
    if state < 0:
        return -1
    state = _utf8(state, data, len(data))
    return -1 if state == _INVALID else state
