"""Frames on their way out (RFC 6455 section 5.2)."""

from __future__ import annotations

import os
import struct
from typing import Final

from httpcore_proto import LocalProtocolError, encode_masked_frame

FIN: Final = 0x80
RSV1: Final = 0x40
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

#: RFC 6455 section 5.5.
MAX_CONTROL_SIZE: Final = 125

_SHORT: Final = 126
_HEADS: Final[dict[int, tuple[bytes, ...]]] = {
    first: tuple(bytes([first, size]) for size in range(_SHORT))
    for first in (FIN | TEXT, FIN | BINARY)
}
_HEAD_8: Final = struct.Struct("!BB")
_HEAD_16: Final = struct.Struct("!BBH")
_HEAD_64: Final = struct.Struct("!BBQ")

# The kernel is asked once for many keys: the call costs more than the masking of a small
# message. Appending and popping are atomic, so that threads never share a key; a forked
# child must not go on with its parent's.
_KEYS_AT_ONCE: Final = 256
_keys: Final[list[bytes]] = []
if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_keys.clear)


def new_key() -> bytes:
    """Return four octets from the system's entropy, never the same ones twice."""
    try:
        return _keys.pop()
    except IndexError:
        octets = os.urandom(4 * (_KEYS_AT_ONCE + 1))
        keys = [octets[at : at + 4] for at in range(0, len(octets), 4)]
        key = keys.pop()
        _keys.extend(keys)
        return key


def encode_head(first: int, size: int) -> bytes:
    """Return the head of an unmasked frame; `first` is FIN, reserved bits and opcode."""
    if size < _SHORT:
        return _HEAD_8.pack(first, size)
    if size <= 0xFFFF:
        return _HEAD_16.pack(first, 126, size)
    return _HEAD_64.pack(first, 127, size)


def encode_unmasked(first: int, payload: bytes) -> bytes:
    """Return a server's frame."""
    size = len(payload)
    if size < _SHORT and (heads := _HEADS.get(first)) is not None:
        return heads[size] + payload
    return encode_head(first, size) + payload


def encode_masked(first: int, payload: bytes) -> bytes:
    """Return a client's frame."""
    return encode_masked_frame(first, new_key(), payload)


def encode_message(opcode: int, payload: bytes | bytearray | memoryview) -> bytes:
    """Return a whole message as every server may send it, to any number of clients.

    It is neither masked nor compressed. Made once, it may be written to each connection
    whose `WebSocketConnection.can_send_message` is true.

    Args:
        opcode: TEXT or BINARY; the octets of a text are not checked.
        payload: The message.

    Raises:
        LocalProtocolError: `opcode` is another one.
    """
    if opcode not in (TEXT, BINARY):
        raise LocalProtocolError(f"opcode {opcode} is neither TEXT (1) nor BINARY (2)")
    return encode_unmasked(FIN | opcode, bytes(payload))
