"""The octets of permessage-deflate (RFC 7692 section 7.2)."""

from __future__ import annotations

import zlib
from typing import Any, Final

from ._errors import WebSocketError

#: RFC 7692 section 7.2.1: what every flushed message ends with, and is sent without.
TAIL: Final = b"\x00\x00\xff\xff"
#: The smallest window zlib compresses with; of 8 it makes 9, which breaks the agreement.
MIN_COMPRESS_BITS: Final = 9
# A message may be several deflate streams one after the other (RFC 7692 section 7.2.3.4);
# senders use one. aiohttp's bound, for the same reason: each costs a decompressor.
_MAX_STREAMS: Final = 1024
# Input per call behind the first stream: zlib's object copies what a stream leaves over.
_STEP: Final = 4096


class Deflater:
    """Compresses the messages of one side.

    Args:
        window_bits: 9 to 15; the window is 2 to that power octets.
        no_context_takeover: Whether every message begins with an empty window.
        level: zlib's, 1 to 9.
    """

    __slots__ = ("_bits", "_codec", "_level", "_no_context_takeover")

    def __init__(self, window_bits: int, no_context_takeover: bool, level: int) -> None:
        self._bits = window_bits
        self._no_context_takeover = no_context_takeover
        self._level = level
        self._codec: Any = None

    def compress(self, data: bytes, *, last: bool) -> bytes:
        """Return the next octets of a message; all of `data` is in them."""
        codec = self._codec
        if codec is None:
            codec = self._codec = zlib.compressobj(self._level, zlib.DEFLATED, -self._bits)
        out: bytes = codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH)
        if not last:
            return out
        if self._no_context_takeover:
            self._codec = None
        return out[: -len(TAIL)]


class Inflater:
    """Decompresses the messages of one side; output is bounded by who reads it.

    Args:
        window_bits: 8 to 15.
        no_context_takeover: Whether every message begins with an empty window.
    """

    __slots__ = (
        "_bits",
        "_codec",
        "_full",
        "_input",
        "_last",
        "_no_context_takeover",
        "_position",
        "_streams",
    )

    def __init__(self, window_bits: int, no_context_takeover: bool) -> None:
        self._bits = window_bits
        self._no_context_takeover = no_context_takeover
        self._codec: Any = None
        self._input = b""
        self._position = 0
        self._last = False
        self._full = False
        self._streams = 0

    @property
    def pending(self) -> bool:
        """Whether `read` may return more of what was fed."""
        return self._full or self._position < len(self._input)

    def feed(self, data: bytes, *, last: bool) -> None:
        """Take octets of a message, after all that came before was read."""
        self._input = data + TAIL if last else data
        self._position = 0
        self._last = last

    def read(self, max_length: int) -> bytes:
        """Return at most `max_length` octets, all that there are if it is 0.

        Raises:
            WebSocketError: They are not deflate's (1007), or far too many streams (1009).
        """
        pieces: list[bytes] = []
        room = max_length
        while self.pending:
            piece = self._inflate(room)
            pieces.append(piece)
            room -= len(piece)
            self._full = max_length > 0 and room == 0
            if self._full:
                break
        else:
            self._input = b""
            self._position = 0
            if self._last:
                self._streams = 0
                if self._no_context_takeover:
                    self._codec = None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _inflate(self, room: int) -> bytes:
        codec = self._codec
        if codec is None:
            codec = self._codec = zlib.decompressobj(-self._bits)
        end = self._position + _STEP if self._streams else len(self._input)
        data = memoryview(self._input)[self._position : end]
        fault: str | None = None
        try:
            piece: bytes = codec.decompress(data, max(room, 0))
        except zlib.error as exc:
            fault = str(exc)
        if fault is not None:
            # Not where `exc` is: it would be the context, and keep what its frames hold.
            raise WebSocketError(1007, f"bad compressed data: {fault}", rule="deflate-data")
        left = codec.unused_data if codec.eof else codec.unconsumed_tail
        self._position += len(data) - len(left)
        if codec.eof:
            self._codec = None
            self._streams += 1
            if self._streams > _MAX_STREAMS:
                raise WebSocketError(
                    1009,
                    f"message of more than {_MAX_STREAMS} deflate streams",
                    rule="deflate-streams",
                    value=self._streams,
                    allowed=_MAX_STREAMS,
                )
        return piece
