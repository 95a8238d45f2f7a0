"""What both machines share: bytes in, events out; events in, bytes out; never a wait.

Theory of operation. `receive_data` only keeps the bytes. `next_event` hands them to the
parser, one message at a time, takes out everything that the parser found in one call,
and gives it away event by event: a head, a piece of body, the end. When a message is
complete the parser stands still, `next_event` says `PAUSED`, and what follows (a
pipelined request, bytes of another protocol) stays untouched until `start_next_cycle`,
so that a request can never be answered before the one ahead of it.

`send` checks the event against the state table, turns it into bytes, and only then
changes state: a refused event leaves no trace. The connection alone writes framing
fields and the close and keep-alive options.

Not here: sockets, time, and any decision about what to answer. What differs between the
roles is in `_server.py` and `_client.py`.
"""

from __future__ import annotations

from typing import ClassVar, Final, NoReturn

from multidict import CIMultiDict

from ._errors import BadHttpMessage, LocalProtocolError, RemoteProtocolError, UnexpectedData
from ._events import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    NoEvent,
    decode,
)
from ._fields import Framing, encode_lines, encode_text
from ._limits import DEFAULT_LIMITS, Limits
from ._parser import (
    CHUNK_END,
    DATA,
    END,
    ERROR,
    HEAD,
    MANY_SPANS,
    OWN_ARENA,
    REST,
    ROLE_CLIENT,
    TRAILERS,
    body_pieces,
    feed,
    finish,
    from_buffer,
    new_parser,
    release,
    unpack,
)
from ._parser_errors import parser_error
from ._states import CLOSED, IDLE, SEND_BODY, SEND_HEAD, ConnectionState

# How the body that we send is delimited; a number from 0 on is what is left of a
# Content-Length.
CHUNKED_BODY: Final = -1
UNTIL_CLOSE: Final = -2
NO_BODY: Final = -3  # HEAD, 204, 304: whatever is given stays here (RFC 9112 section 6.3)

# What one call of the parser can hold besides facts.
_REST_OF_MESSAGE: Final = DATA | END | ERROR
_EVENTS: Final = HEAD | _REST_OF_MESSAGE
_AFTER_DATA: Final = END | ERROR
# States of the peer in which its bytes are parsed.
_OPEN: Final = frozenset({IDLE, SEND_HEAD, SEND_BODY})


class Connection(ConnectionState):
    """What both roles share: the input side, and the body we send."""

    __slots__ = (
        "_body",
        "_chunk_ends",
        "_data",
        "_eof",
        "_error",
        "_limits",
        "_offset",
        "_packed",
        "_parser",
        "_pending",
        "_sending",
        "_trailers",
        "_upgrade_offered",
    )

    _role: ClassVar[int]

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        self._limits = limits
        self._parser = new_parser(self._role, limits)
        # Input not parsed yet is _data[_offset:]; what the last call of the parser
        # found and next_event has not given away is in _pending's bits and beside it.
        self._data = b""
        self._offset = 0
        self._eof = False
        self._pending = 0
        self._packed = b""
        self._body = b""
        self._chunk_ends: tuple[int, ...] = ()
        self._trailers = b""
        self._error: RemoteProtocolError | None = None
        self._sending = 0
        self._upgrade_offered = False

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """Bytes received but not parsed, and whether the peer closed behind them.

        After a switch of protocols they belong to the new one.
        """
        return self._data[self._offset :], self._eof

    @property
    def buffered(self) -> int:
        """Number of bytes received but not parsed."""
        return len(self._data) - self._offset

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer; `next_event` tells what they mean.

        Stop reading while `next_event` returns `PAUSED`: what is given here is kept.

        Args:
            data: Any number of bytes, cut anywhere; none mean nothing. Copied unless
                they are `bytes`.
        """
        if type(data) is not bytes:
            data = bytes(data)
        if self._offset < len(self._data):
            data = self._data[self._offset :] + data
        self._data = data
        self._offset = 0

    def receive_eof(self) -> None:
        """The peer sends nothing more."""
        self._eof = True

    def next_event(self) -> Event | NoEvent:
        """Return the next event from the peer.

        Returns:
            An event; `NEED_DATA` when all input is used up; `PAUSED` when the peer's
            message is complete and the next may not begin, because the exchange is not
            over, the connection ends with it, or it speaks another protocol now.

        Raises:
            RemoteProtocolError: The peer broke the protocol or a limit. Every later
                call raises the same error.
        """
        pending = self._pending
        if not pending:
            event = self._parse()
            if event is not None:
                return event
            pending = self._pending
        elif pending == END and not self._trailers:
            # Behind a head without body (bench: server hello).
            self._pending = 0
            self._received(EndOfMessage)
            return END_OF_MESSAGE
        if pending & HEAD:
            self._pending = pending & _REST_OF_MESSAGE
            return self._received_head(pending)
        if pending & DATA:
            self._pending = pending & _AFTER_DATA
            body, self._body = self._body, b""
            return Data(body, self._chunk_ends)
        if pending & END:
            self._pending = 0
            self._received(EndOfMessage)
            if self._trailers:
                parts = decode(self._trailers).split("\0")
                self._trailers = b""
                return EndOfMessage(CIMultiDict(zip(parts[0::2], parts[1::2], strict=False)))
            return END_OF_MESSAGE
        self._fail()

    def _parse(self) -> Event | NoEvent | None:
        """Give input to the parser; None when something is pending then."""
        their_state = self.their_state
        if their_state not in _OPEN:
            if their_state is CLOSED:
                return CONNECTION_CLOSED
            if self._error is not None:
                raise self._error
            return PAUSED
        data = self._data
        if self._offset == len(data):
            return self._parse_eof() if self._eof else NEED_DATA
        if their_state is IDLE and self._role == ROLE_CLIENT:
            self._fail(
                UnexpectedData("data from the server that answers no request", rule="unexpected")
            )
        parser = self._parser
        pending: int = feed(parser, data, self._offset, len(data))
        if pending & HEAD:
            self._packed = unpack(parser.head, parser.head_size)
        if pending & DATA:
            if pending & MANY_SPANS:
                self._body, self._chunk_ends = body_pieces(parser, data)
            else:
                offset, length = parser.body_offset, parser.body_length
                # A read that is all body is handed on as the object it came in.
                self._body = data if length == len(data) else data[offset : offset + length]
                self._chunk_ends = (length,) if pending & CHUNK_END else ()
        if pending & TRAILERS:
            self._trailers = unpack(
                parser.head + parser.head_size, parser.arena_size - parser.head_size
            )
        if pending & OWN_ARENA:
            release(parser)
        if pending & REST:
            self._offset = parser.consumed
        else:
            self._data = b""
            self._offset = 0
        if pending & _EVENTS:
            self._pending = pending
            return None
        return NEED_DATA if self._offset == len(self._data) else self._parse()

    def _parse_eof(self) -> Event | None:
        self._pending = pending = finish(self._parser)
        if pending:
            return None
        if self.their_state is SEND_HEAD:
            self._fail(BadHttpMessage("connection closed before a response", rule="no-response"))
        self._received(ConnectionClosed)
        return CONNECTION_CLOSED

    def _received_head(self, facts: int) -> Event:
        raise AssertionError  # pragma: no cover - abstract

    def _switch(self) -> None:
        # What is left of the message that led here was its end.
        self._pending = 0
        super()._switch()

    def _fail(self, error: RemoteProtocolError | None = None) -> NoReturn:
        self._error = error = error or parser_error(self._parser, self._limits)
        self._pending = 0
        self._data = b""
        self._offset = 0
        self._fail_theirs()
        raise error

    def _send_body(self, event: Data | EndOfMessage | ConnectionClosed) -> bytes:
        """Encode what has the same form in both directions."""
        if type(event) is Data:
            return self._encode_data(event.data)
        if type(event) is EndOfMessage:
            return self._encode_end(event)
        return b""

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes of `Data(data)`; as `send`, which this is a short way of.

        Raises:
            LocalProtocolError: No body is being sent, or it has no room for that much.
        """
        if self.our_state is not SEND_BODY:
            self._check_send(Data)
        return self._encode_data(data)

    @property
    def sends_body(self) -> bool:
        """Whether the message whose head was sent has a body on the wire.

        That to HEAD has none, nor those with 204 and 304 (RFC 9112 section 6.3): what is
        sent as their body stays here.
        """
        return self._sending != NO_BODY

    def pass_received(self, data: memoryview) -> None:
        """Take note of bytes of a body that the caller received into memory of its own.

        They are not copied, and there is no `Data` for them; `next_event` goes on behind
        them. Only in the middle of a body with a Content-Length, which they must not exceed,
        and with nothing `buffered`.

        Raises:
            LocalProtocolError: There is no such body, or data that waits.
        """
        if self.their_state is not SEND_BODY or self._pending or self._offset < len(self._data):
            raise LocalProtocolError("pass_received() without a body, or with data that waits")
        pending = feed(self._parser, from_buffer(data), 0, len(data))
        if not pending & DATA or self._parser.body_length != len(data):
            self._fail(RemoteProtocolError("not of the body alone", rule="pass-received"))
        self._pending = pending & _AFTER_DATA

    def pass_body(self, count: int) -> bool:
        """Count bytes of the body that the caller writes by itself, such as with sendfile.

        Args:
            count: How many; all of them must be written, before anything else is.

        Returns:
            Whether they may go out as they are. If not (the body is in chunks, or there is
            none), nothing was counted, and they have to pass through `send`.

        Raises:
            LocalProtocolError: No body is being sent, or it has no room for as many.
        """
        if self.our_state is not SEND_BODY:
            raise LocalProtocolError(f"pass_body() while our_state is {self.our_state.name}")
        sending = self._sending
        if sending >= 0:
            if count > sending:
                raise LocalProtocolError(
                    f"body too long: {count} more bytes, Content-Length leaves {sending}"
                )
            self._sending = sending - count
            return True
        return sending == UNTIL_CLOSE

    def _encode_data(self, data: bytes) -> bytes:
        sending = self._sending
        if sending >= 0:
            if len(data) > sending:
                raise LocalProtocolError(
                    f"body too long: {len(data)} more bytes, Content-Length leaves {sending}"
                )
            self._sending = sending - len(data)
            return data
        if sending == CHUNKED_BODY:
            # An empty chunk would end the body.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return data if sending == UNTIL_CLOSE else b""

    def _encode_end(self, event: EndOfMessage) -> bytes:
        sending = self._sending
        if sending > 0:
            raise LocalProtocolError(
                f"body too short: {sending} bytes of the Content-Length are missing"
            )
        if sending == CHUNKED_BODY:
            if not event.trailers:
                return b"0\r\n\r\n"
            framing = Framing()
            lines = encode_lines(event.trailers, framing)
            if framing.named:
                raise LocalProtocolError(f"{framing.named} cannot be a trailer field")
            return b"0\r\n%b\r\n" % encode_text(lines)
        if event.trailers:
            raise LocalProtocolError("trailers need a chunked body")
        return b""
