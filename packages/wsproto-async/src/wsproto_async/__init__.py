"""WebSocket for client and server: RFC 6455, and permessage-deflate of RFC 7692.

`connect` and `serve` for programs that need no more; `WebSocket` over any link, which
httpclient and httpserver use; `connect_frames` and `serve_frames` with a call per frame. Below
them, and without I/O, `accept_handshake` and `ClientHandshake` are the opening handshake over
header fields, and `WebSocketConnection` is what follows: give it what arrives, take messages
from it, write the bytes that its `send_...` return. The octets are `httpcore_proto`'s.
"""

from __future__ import annotations

from ._broadcast import SlowPolicy, broadcast
from ._connect import DEFAULT_OPEN_TIMEOUT, Connecting, connect
from ._connection import (
    DEFAULT_MAX_FRAGMENTS,
    DEFAULT_MAX_MSG_SIZE,
    WebSocketConnection,
    WSEvent,
)
from ._deflate import Deflate
from ._errors import WebSocketError, WSHandshakeError, WSMessageTypeError
from ._fragments import Fragments
from ._frame_peers import FrameOptions, FrameServer, connect_frames, serve_frames
from ._frame_socket import FrameListener, FrameSocket
from ._frames import encode_message
from ._handshake import (
    WS_VERSIONS,
    ClientHandshake,
    HandshakeAcceptance,
    HandshakeAgreement,
    accept_handshake,
    is_origin_allowed,
)
from ._messages import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSCloseCode,
    WSFragment,
    WSMessage,
    WSMessageDecodeText,
    WSMessageNoDecodeText,
    WSMessageTextBytes,
    WSMsgType,
)
from ._options import WebSocketOptions
from ._sending import Octets, Role, is_close_code
from ._serve import Handler, WebSocketServer, serve
from ._states import WSState
from ._version import __version__
from ._web_socket import DEFAULT_MAX_QUEUE, WebSocket

__all__ = [
    "DEFAULT_MAX_FRAGMENTS",
    "DEFAULT_MAX_MSG_SIZE",
    "DEFAULT_MAX_QUEUE",
    "DEFAULT_OPEN_TIMEOUT",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WS_VERSIONS",
    "ClientHandshake",
    "Connecting",
    "Deflate",
    "Fragments",
    "FrameListener",
    "FrameOptions",
    "FrameServer",
    "FrameSocket",
    "Handler",
    "HandshakeAcceptance",
    "HandshakeAgreement",
    "Octets",
    "Role",
    "SlowPolicy",
    "WSCloseCode",
    "WSEvent",
    "WSFragment",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageDecodeText",
    "WSMessageNoDecodeText",
    "WSMessageTextBytes",
    "WSMessageTypeError",
    "WSMsgType",
    "WSState",
    "WebSocket",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketOptions",
    "WebSocketServer",
    "__version__",
    "accept_handshake",
    "broadcast",
    "connect",
    "connect_frames",
    "encode_message",
    "is_close_code",
    "is_origin_allowed",
    "serve",
    "serve_frames",
]
