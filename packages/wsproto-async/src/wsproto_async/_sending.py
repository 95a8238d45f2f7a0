"""The sending side of a WebSocket: messages in, bytes out."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from httpcore_proto import LocalProtocolError, validate_utf8

from ._compression import MIN_COMPRESS_BITS, Deflater
from ._deflate import Deflate
from ._frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_SIZE,
    PING,
    PONG,
    RSV1,
    TEXT,
    encode_head,
    encode_masked,
    encode_unmasked,
)
from ._states import Step, WebSocketState, WSState

#: What a program sends: octets of any kind.
Octets: TypeAlias = bytes | bytearray | memoryview

# RFC 6455 section 7.4 and IANA's registry: what may be on the wire. 1004 has no meaning;
# 1005, 1006 and 1015 stand for what was not on it.
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_MIN_PRIVATE_CODE: Final = 3000
_MAX_PRIVATE_CODE: Final = 4999


class Role(Enum):
    """Which side of a WebSocket this is."""

    CLIENT = "client"
    SERVER = "server"


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry `code` (RFC 6455 section 7.4)."""
    return code in _CODES or _MIN_PRIVATE_CODE <= code <= _MAX_PRIVATE_CODE


# Members of an enum are slow to look up on its class (Python 3.11).
_OPEN: Final = WSState.OPEN
_MESSAGE: Final = Step.MESSAGE
_SERVER: Final = Role.SERVER


class Sender(WebSocketState):
    """Turns messages into bytes; the base of the connection."""

    __slots__ = (
        "_compressing",
        "_deflater",
        "_encode",
        "_fragment_type",
        "_role",
        "close_code",
        "compress_bits",
    )

    #: Code of the peer's close frame, 0 if it had none; 1006 if the connection ended
    #: without one; None before.
    close_code: int | None
    #: Window bits that this side compresses with, 0 if it does not.
    compress_bits: int

    def __init__(self, role: Role, deflate: Deflate | None, compress_level: int) -> None:
        super().__init__()
        if not 1 <= compress_level <= 9:
            raise ValueError(f"compress_level={compress_level}, expected 1 to 9")
        self._role = role
        self._encode = encode_unmasked if role is Role.SERVER else encode_masked
        self._deflater: Deflater | None = None
        self.compress_bits = 0
        if deflate is not None:
            bits, no_takeover = deflate.of_side(is_server=role is Role.SERVER)
            if bits >= MIN_COMPRESS_BITS:
                self._deflater = Deflater(bits, no_takeover, compress_level)
                self.compress_bits = bits
        # Of the message that is sent in fragments.
        self._compressing = False
        self._fragment_type: type = bytes
        self.close_code = None

    @property
    def role(self) -> Role:
        """Which side this is."""
        return self._role

    @property
    def can_send_message(self) -> bool:
        """Whether a message may be begun: none is half sent, nor was the close frame."""
        return self.our_state is _OPEN

    @property
    def compresses(self) -> bool:
        """Whether messages that are sent go compressed unless told otherwise."""
        return self._deflater is not None

    def sends_as_is(self, compress: bool) -> bool:
        """Whether the payload of a message is sent unchanged, so that `send_head` will do.

        Args:
            compress: Whether to compress the message, where that was agreed on.
        """
        return self._role is _SERVER and not (compress and self._deflater is not None)

    def send_text(self, text: str, *, compress: bool = True) -> bytes:
        """Return the bytes of a text message; write them in order.

        Args:
            text: The message.
            compress: Whether to compress it, where that was agreed on.

        Raises:
            TypeError: `text` is no `str`.
            LocalProtocolError: A message is half sent, the close frame was sent, or
                `text` has a lone surrogate. Nothing has changed then.
        """
        return self._send_message(TEXT, encode_text(text), compress)

    def send_bytes(self, data: Octets, *, compress: bool = True) -> bytes:
        """Return the bytes of a binary message; write them in order.

        Args:
            data: The message.
            compress: Whether to compress it, where that was agreed on.

        Raises:
            TypeError: `data` is no bytes-like object.
            LocalProtocolError: A message is half sent, or the close frame was sent.
                Nothing has changed then.
        """
        if type(data) is not bytes:
            data = encode_octets(data)
        if self._deflater is None and self.our_state is _OPEN:
            return self._encode(FIN | BINARY, data)
        return self._send_message(BINARY, data, compress)

    def send_encoded_text(self, data: Octets, *, compress: bool = True) -> bytes:
        """Return the bytes of a text message that is encoded already.

        Args:
            data: The message in UTF-8.
            compress: Whether to compress it, where that was agreed on.

        Raises:
            TypeError: `data` is no bytes-like object.
            LocalProtocolError: As for `send_bytes`; or `data` is not UTF-8.
        """
        data = encode_octets(data)
        if validate_utf8(data) != 0:
            raise LocalProtocolError("a text message must be UTF-8")
        return self._send_message(TEXT, data, compress)

    def send_head(self, opcode: int, size: int) -> bytes:
        """Return the head of a message whose payload the caller writes right behind it.

        Saves a large payload from being copied. Only of a server, and uncompressed.

        Args:
            opcode: TEXT or BINARY; the octets of a text are not checked.
            size: Octets that follow.

        Raises:
            LocalProtocolError: As for `send_bytes`; or of a client, which must mask what
                it sends; or `opcode` is another one.
        """
        if self._role is Role.CLIENT or opcode not in (TEXT, BINARY):
            raise LocalProtocolError("only a server sends heads alone, and of messages alone")
        self._check_send(_MESSAGE)
        return encode_head(FIN | opcode, size)

    def send_fragment(self, data: str | Octets, *, last: bool, compress: bool = True) -> bytes:
        """Return the bytes of a fragment of a message.

        Args:
            data: Its piece; the message is text if the first one is `str`. May be empty.
            last: Whether the message ends with it. Pings, pongs and the close frame may
                be sent between fragments, messages may not.
            compress: Whether to compress the message, where that was agreed on; counts
                in its first fragment.

        Raises:
            TypeError: `data` is of another type than the fragments before it.
            LocalProtocolError: The close frame was sent, or `data` has a lone surrogate.
        """
        following = self._check_send(Step.LAST_FRAGMENT if last else Step.FRAGMENT)
        begins = self.our_state is _OPEN
        kind: type = str if isinstance(data, str) else bytes
        if not begins and kind is not self._fragment_type:
            raise TypeError(f"a fragment of {kind.__name__} in another message")
        payload = encode_text(data) if isinstance(data, str) else encode_octets(data)
        first = CONTINUATION
        if begins:
            first = TEXT if kind is str else BINARY
            self._fragment_type = kind
            self._compressing = compress
        if self._compressing and self._deflater is not None:
            payload = self._deflater.compress(payload, last=last)
            # Of the message's first frame alone (RFC 7692 section 6.1).
            first |= RSV1 if begins else 0
        self._sent(following)
        return self._encode(first | (FIN if last else 0), payload)

    def send_ping(self, payload: Octets = b"") -> bytes:
        """Return the bytes of a ping.

        Args:
            payload: At most 125 octets; the pong has the same.

        Raises:
            TypeError: `payload` is no bytes-like object.
            LocalProtocolError: It is too long, or the close frame was sent.
        """
        return self._send_control(PING, payload)

    def send_pong(self, payload: Octets = b"") -> bytes:
        """Return the bytes of a pong; otherwise as `send_ping`."""
        return self._send_control(PONG, payload)

    def send_close(self, code: int | None = 1000, reason: str | Octets = "") -> bytes:
        """Return the bytes of the close frame; nothing can be sent after it.

        Args:
            code: Why (RFC 6455 section 7.4), or None to say nothing.
            reason: At most 123 octets of UTF-8.

        Raises:
            LocalProtocolError: The close frame was sent before, the code must not be sent,
                or the reason is too long, not UTF-8, or without a code.
        """
        octets = encode_text(reason) if isinstance(reason, str) else encode_octets(reason)
        payload = b""
        if code is not None:
            if not is_close_code(code):
                raise LocalProtocolError(
                    f"close code {code} must not be sent, only 1000 to 1003, 1007 to 1014 "
                    "and 3000 to 4999"
                )
            payload = code.to_bytes(2, "big")
        elif octets:
            raise LocalProtocolError("a close frame without a code has no reason")
        if validate_utf8(octets) != 0:
            raise LocalProtocolError("the reason of a close frame must be UTF-8")
        return self._send_control(CLOSE, payload + octets)

    def send_close_reply(self) -> bytes:
        """Return the bytes that answer the peer's close frame: ours, with its code.

        Returns:
            Nothing if our close frame was sent before.

        Raises:
            LocalProtocolError: The peer sent no close frame.
        """
        if self.their_state is not WSState.CLOSED:
            raise LocalProtocolError("the peer sent no close frame that could be answered")
        if self.our_state is WSState.CLOSED:
            return b""
        return self.send_close(self.close_code or None)

    def _send_message(self, opcode: int, payload: bytes, compress: bool) -> bytes:
        self._check_send(_MESSAGE)
        first = FIN | opcode
        # An empty message has nothing to compress.
        if compress and payload and self._deflater is not None:
            payload = self._deflater.compress(payload, last=True)
            first |= RSV1
        return self._encode(first, payload)

    def _send_control(self, opcode: int, payload: Octets) -> bytes:
        octets = encode_octets(payload)
        if len(octets) > MAX_CONTROL_SIZE:
            raise LocalProtocolError(
                f"control frame of {len(octets)} octets, at most {MAX_CONTROL_SIZE} are allowed"
            )
        following = self._check_send(Step.CLOSE if opcode == CLOSE else Step.CONTROL)
        self._sent(following)
        return self._encode(FIN | opcode, octets)


def encode_text(text: str) -> bytes:
    """Return the payload of a text message.

    Raises:
        TypeError: `text` is no `str`.
        LocalProtocolError: It has a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"text cannot be encoded: {exc.reason}") from exc


def encode_octets(data: Octets) -> bytes:
    """Return octets as `bytes`.

    Raises:
        TypeError: They are of another type than `Octets`.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
    return bytes(data)
