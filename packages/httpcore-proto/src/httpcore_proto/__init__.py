"""HTTP/1.1 without I/O: bytes in, events out; events in, bytes out.

A `ServerConnection` or `ClientConnection` belongs to one connection and one thread.
Give it what arrives, take events from it, write the bytes that `send` returns. Nothing
in this package waits, opens a socket or knows an event loop; `httpcore_proto.aio` is the
part that does, and needs the extra `aio`.
"""

from __future__ import annotations

from . import hdrs
from ._client import ClientConnection
from ._errors import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    ContentEncodingError,
    ContentLengthError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    LocalProtocolError,
    MultipartError,
    PayloadEncodingError,
    ProtocolError,
    RemoteProtocolError,
    TransferEncodingError,
    UnexpectedData,
)
from ._events import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    NeedData,
    NoEvent,
    Paused,
    RawHeaders,
    Request,
    Response,
)
from ._fields import HeaderBlock, HeadersLike
from ._http import RESPONSES, SERVER_SOFTWARE, HttpVersion, HttpVersion10, HttpVersion11
from ._limits import Limits
from ._parser import LLHTTP_VERSION
from ._server import ServerConnection
from ._states import State
from ._version import __version__

__all__ = [
    "LLHTTP_VERSION",
    "NEED_DATA",
    "PAUSED",
    "RESPONSES",
    "SERVER_SOFTWARE",
    "BadHttpMessage",
    "BadHttpMethod",
    "BadStatusLine",
    "ClientConnection",
    "ConnectionClosed",
    "ContentEncodingError",
    "ContentLengthError",
    "Data",
    "EndOfMessage",
    "Event",
    "HeaderBlock",
    "HeadersLike",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "InformationalResponse",
    "InvalidHeader",
    "InvalidURLError",
    "Limits",
    "LineTooLong",
    "LocalProtocolError",
    "MultipartError",
    "NeedData",
    "NoEvent",
    "Paused",
    "PayloadEncodingError",
    "ProtocolError",
    "RawHeaders",
    "RemoteProtocolError",
    "Request",
    "Response",
    "ServerConnection",
    "State",
    "TransferEncodingError",
    "UnexpectedData",
    "__version__",
    "hdrs",
]
