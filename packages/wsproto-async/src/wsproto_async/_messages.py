"""What passes through a WebSocket: messages, pieces of them, and their types."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias


class WSMsgType(IntEnum):
    """Type of a message: an opcode of RFC 6455 section 5.2, or, above 0xFF, an event of ours."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    CLOSING = 0x100
    CLOSED = 0x101
    ERROR = 0x102

    text = TEXT
    binary = BINARY
    close = CLOSE
    ping = PING
    pong = PONG
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSCloseCode(IntEnum):
    """Close codes of RFC 6455 section 7.4.1 and of IANA's registry.

    ABNORMAL_CLOSURE is never on the wire: it stands for an end without a close frame.
    """

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMessage(NamedTuple):
    """A message, a control frame, or (from the async layer) the end of a connection.

    Attributes:
        type: What it is.
        data: `str` of TEXT, `bytes` of BINARY, PING and PONG; of CLOSE the code, 0 if the
            frame had none; of ERROR the exception; else None.
        extra: The reason of CLOSE; `""` of other frames; else None.
    """

    type: WSMsgType
    data: Any
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """Return `data` parsed as JSON.

        Args:
            loads: Parses it; what it raises passes through.
        """
        return loads(self.data)


class WSMessageTextBytes(NamedTuple):
    """A TEXT message whose octets were checked for UTF-8, but not decoded.

    Attributes:
        type: TEXT.
        data: The text as `bytes`.
        extra: `""`.
    """

    type: WSMsgType
    data: bytes
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """Return `data` parsed as JSON.

        Args:
            loads: Parses it; what it raises passes through.
        """
        return loads(self.data)


class WSFragment(NamedTuple):
    """A piece of a message on a connection that streams, cut anywhere.

    Attributes:
        type: TEXT or BINARY, of the message.
        data: `str` of TEXT if text is decoded, else `bytes`; may be empty if it is last.
        last: Whether the message ends with it.
    """

    type: WSMsgType
    data: str | bytes
    last: bool


#: What comes with `decode_text=True`.
WSMessageDecodeText: TypeAlias = WSMessage
#: What comes with `decode_text=False`.
WSMessageNoDecodeText: TypeAlias = WSMessage | WSMessageTextBytes

WS_CLOSED_MESSAGE: Final = WSMessage(WSMsgType.CLOSED, None, None)
WS_CLOSING_MESSAGE: Final = WSMessage(WSMsgType.CLOSING, None, None)
