"""Errors of the protocol core.

    ProtocolError
      LocalProtocolError (ValueError)       we were asked to send what must not be sent
      RemoteProtocolError                   the peer sent what must not be sent
        BadHttpMessage                      a head or the framing of a body
          LineTooLong                       a limit of `Limits`
          InvalidHeader
          BadStatusLine
            BadHttpMethod
          InvalidURLError                   the request target
          PayloadEncodingError              a body
            TransferEncodingError           chunked framing
            ContentLengthError              fewer bytes than announced
            ContentEncodingError            content coding
            MultipartError (ValueError)     multipart body
        UnexpectedData                      bytes that no request asked for

The fault is in the name; facts are attributes, never text to be parsed.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of everything this package raises about HTTP itself."""


class LocalProtocolError(ProtocolError, ValueError):
    """This side tried to send a message, or a sequence of events, that HTTP forbids.

    Nothing was written, and the connection's state is what it was.
    """


class RemoteProtocolError(ProtocolError):
    """The peer broke RFC 9110 or RFC 9112, or a limit of ours.

    The connection cannot go on: a server answers `status_hint` and closes, a client
    closes.

    Attributes:
        rule: A stable word for the rule that was broken, such as `"host-missing"`.
        status_hint: The status code a server should answer with.
        offset: Position of the first wrong byte in the data given to the last
            `receive_data`, or None where a whole head is at fault.
        limit: Name of the `Limits` field that was exceeded, or None.
        value: The size or count seen, when a limit was exceeded.
        allowed: The limit's value, when one was exceeded.
    """

    def __init__(
        self,
        message: str,
        *,
        rule: str = "protocol",
        status_hint: int = 400,
        offset: int | None = None,
        limit: str | None = None,
        value: int | None = None,
        allowed: int | None = None,
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.status_hint = status_hint
        self.offset = offset
        self.limit = limit
        self.value = value
        self.allowed = allowed

    @property
    def message(self) -> str:
        """The text, safe to send to the peer: it quotes none of the peer's bytes."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.args, self.__dict__)


class BadHttpMessage(RemoteProtocolError):
    """A malformed head, or framing that cannot be trusted."""


class LineTooLong(BadHttpMessage):
    """A line, field, head or count is over its limit."""


class InvalidHeader(BadHttpMessage):
    """A header or trailer field is malformed, missing or repeated."""


class BadStatusLine(BadHttpMessage):
    """The start line is malformed."""


class BadHttpMethod(BadStatusLine):
    """The request method is no token, or not one that this parser knows."""


class InvalidURLError(BadHttpMessage):
    """The request target has none of the four forms of RFC 9112 section 3.2."""


class PayloadEncodingError(BadHttpMessage):
    """A body is malformed or cut."""


class TransferEncodingError(PayloadEncodingError):
    """The chunked framing of a body is malformed or cut."""


class ContentLengthError(PayloadEncodingError):
    """The connection ended before the announced Content-Length."""


class ContentEncodingError(PayloadEncodingError):
    """A body does not fit its Content-Encoding, or that cannot be undone here.

    `offset` is the position in the coded body. `status_hint` is 415 for a coding that is
    unknown or whose codec is not installed (RFC 9110 section 15.5.16), 413 for a limit.
    """


class MultipartError(PayloadEncodingError, ValueError):
    """A multipart body is malformed, cut, or over a limit of its parser.

    Also a `ValueError`, as in aiohttp. `offset` is the position in the body.
    """


class UnexpectedData(RemoteProtocolError):
    """Bytes arrived while no request was waiting for a response (RFC 9112 section 9.2)."""
