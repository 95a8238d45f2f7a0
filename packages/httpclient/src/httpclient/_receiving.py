"""The half of a connection that receives responses.

A body that arrived together with its head is one piece, and never a stream. Of others,
`_pump` moves what the machine has into the stream, whatever calls brought it there.

Everything that ends an exchange goes through `_ended` (the response is complete, the
connection may be used again if the machine says so) or `abandon` (anything else). So a
connection goes back to the pool at one place, with nothing left over in either
direction. Cancellation and time-outs abandon: after them nobody knows what was sent.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from httpcore_proto import (
    ClientConnection,
    Data,
    EndOfMessage,
    Limits,
    RemoteProtocolError,
    Response,
    State,
)
from httpcore_proto.aio import Link, Receiver, StreamReader

from ._body_stream import BodyStream
from ._errors import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    SocketTimeoutError,
)
from ._pool import Place
from ._timeouts import NO_TIMEOUT
from ._upload import FinalResponse, Upload, early_response

_DEFAULT_LIMITS: Final = Limits()


class Keeper(Protocol):
    """Who keeps connections: a connector."""

    def now(self) -> float:
        """Seconds on the runtime's clock."""

    def keep(self, connection: Any) -> None:
        """An exchange ended cleanly; the connection may be used again."""

    def drop(self, connection: Any) -> None:
        """An exchange ended, and the connection with it."""

    def lost(self, connection: Any) -> None:
        """The link is gone, in use or not."""


class Receiving:
    """What a connection has of an exchange once the request is on its way."""

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_busy",
        "_complete",
        "_early",
        "_error",
        "_keeper",
        "_link",
        "_lost",
        "_machine",
        "_news",
        "_paused",
        "_read_bufsize",
        "_stream",
        "_timeout",
        "_torn",
        "_total_at",
        "_upload",
        "keepalive_hint",
        "place",
        "received",
        "reused",
    )

    _link: Link
    #: Where the pool counts it; set by the connector.
    place: Place[Any]

    def __init__(self, keeper: Keeper, limits: Limits | None) -> None:
        self._keeper = keeper
        self._machine = ClientConnection(limits or _DEFAULT_LIMITS)
        self._busy = False
        self._lost = False
        self._error: Exception | None = None
        self._stream: BodyStream | None = None
        self._paused = False
        self._upload: Upload | None = None
        self._torn = False  # an upload was not sent to its end
        # What came before the task looked for it: the head, the body, and its end.
        self._early: FinalResponse | None = None
        self._ahead: BodyStream | None = None
        self._complete = False
        self._read_bufsize = 0
        self._timeout = NO_TIMEOUT
        self._total_at: float | None = None
        self._news = False  # whether the link called since the last request began
        #: Whether a byte arrived since the last request began.
        self.received: bool = False
        #: Whether it has carried an exchange.
        self.reused: bool = False
        #: Seconds for which the server keeps an idle connection, if it said so.
        self.keepalive_hint: float | None = None

    def receive_body(self, head: FinalResponse) -> Data | StreamReader | None:
        """Begin with the body, right after `request` returned.

        Returns:
            The whole body if it arrived together with the head, as most do: one piece,
            or None if there is none. The exchange is over then. Otherwise a stream.
        """
        if self._ahead is not None:
            return self._receive_ahead(self._ahead)
        piece: Data | None = None
        event: object = None
        next_event = self._machine.next_event
        try:
            event = next_event()
            if type(event) is Data:
                piece = event
                event = next_event()
            if type(event) is EndOfMessage:
                self._ended()
                return piece if not event.trailers else _whole(piece, event)
            if self._machine.their_state is State.SWITCHED:
                # Nobody here speaks the other protocol.
                self.abandon()
                return None
        except RemoteProtocolError:
            pass  # the machine raises it again, in _pump
        stream = self._stream = BodyStream(self, self._read_bufsize, _length(head))
        if piece is not None:
            stream.feed_data(piece.data, piece.chunk_ends)
            if type(event) is Data and event is not piece:
                stream.feed_data(event.data, event.chunk_ends)
        self._pump(stream)
        if self._lost and self._stream is not None:
            self._cut(stream)
        return stream

    def hold(self) -> StreamReader:
        """Keep the connection for `switch`, right after `request` returned a 101.

        Returns:
            A stream without a body, which stands for the exchange.
        """
        self._link.pause_reading()
        stream = self._stream = BodyStream(self, self._read_bufsize, None)
        if self._lost:
            self._cut(stream)
        return stream

    def switch(self, receiver: Receiver) -> tuple[bytes, bool]:
        """Give the link to who speaks the other protocol; its place in the pool stays taken.

        Whoever gets it calls `switch_ended` when the link is done for.

        Returns:
            What came behind the 101, and whether the server closed behind that.
        """
        self._stream = None
        link = self._link
        link.deadline = None
        link.hand_over(receiver)
        link.resume_reading()
        return self._machine.trailing_data

    def switch_ended(self) -> None:
        """The link that was given away is done for; again does nothing."""
        if self._busy:
            self._busy = False
            self._keeper.drop(self)

    def is_receiving(self, stream: StreamReader) -> bool:
        """Whether the body in `stream` is still under way here."""
        return self._stream is stream

    def abandon(self, error: ClientError | None = None) -> None:
        """End the exchange, if there is one, and the connection.

        Args:
            error: What reading the rest of the body raises from now on.
        """
        self._link.abort()
        if not self._busy:
            return
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.set_exception(error or ClientConnectionError("Connection closed"))
        self._busy = False
        self._keeper.drop(self)

    # The source of the stream.

    async def more(self) -> None:
        """Wait until something was received, within the time-outs of the request.

        Raises:
            SocketTimeoutError: `sock_read` passed; the connection is gone.
            TimeoutError: `total` passed; the connection is gone.
        """
        stream = self._stream
        if self._timeout.sock_read:
            self._extend_deadline(self._timeout.sock_read)
        if self._paused:
            self.resume_reading()
        try:
            await self._link.more()
        except TimeoutError as exc:
            if self._stream is not stream:
                return  # the end came at the same time; the connection may be another's by now
            error = self._timed_out()
            self.abandon()
            raise error from exc

    def pause_reading(self) -> None:
        """Stop deliveries while the stream is full."""
        self._paused = True
        self._link.pause_reading()

    def resume_reading(self) -> None:
        """Go on with deliveries."""
        self._paused = False
        self._link.resume_reading()

    def fill(self, stream: BodyStream, buffer: memoryview) -> bool:
        """Have the rest of a body received into a buffer of just its size.

        Returns:
            Whether it is. If not, nothing has changed.
        """
        if stream is not self._stream or self._machine.buffered:
            return False
        filling = self._link.fill(buffer, self._filled)
        if filling and self._paused:
            self.resume_reading()
        return filling

    def _filled(self, data: memoryview) -> bool:
        stream = self._stream
        if stream is None:
            return True
        stream.note(len(data))
        self._machine.pass_received(data)
        self._pump(stream)
        # Nobody can do anything with a part, but the time for the next one begins anew.
        return bool(self._timeout.sock_read)

    # Inside.

    def _pump(self, stream: BodyStream) -> None:
        """Move what the machine has of the body into the stream."""
        next_event = self._machine.next_event
        try:
            while True:
                event = next_event()
                if type(event) is Data:
                    stream.feed_data(event.data, event.chunk_ends)
                elif type(event) is EndOfMessage:
                    stream.trailers = event.trailers
                    self._ended()
                    stream.feed_eof()
                    return
                else:
                    return
        except RemoteProtocolError as exc:
            self._fail(stream, f"Response payload is not completed: {exc!r}", exc)

    def _read_ahead(self) -> None:
        """Parse what is there, since more is coming and the task had no turn to look.

        Event loops read a socket until it is empty, and the machine would copy what it
        holds with every further delivery. Whatever goes wrong shows again when the task
        looks; nothing is ended here, so that it does.
        """
        next_event = self._machine.next_event
        try:
            if self._early is None:
                self._early = early_response(self._machine)
            if type(self._early) is not Response:
                return
            if self._ahead is None:
                self._ahead = BodyStream(self, self._read_bufsize, _length(self._early))
            while type(event := next_event()) is Data:
                self._ahead.feed_data(event.data, event.chunk_ends)
            if type(event) is EndOfMessage:
                self._ahead.trailers = event.trailers
                self._complete = True
        except RemoteProtocolError:
            pass

    def _receive_ahead(self, stream: BodyStream) -> StreamReader:
        """Go on with a body that was begun by `_read_ahead`."""
        self._ahead = None
        if self._complete:
            self._complete = False
            self._ended()
            stream.feed_eof()
            return stream
        self._stream = stream
        self._pump(stream)
        if self._lost and self._stream is not None:
            self._cut(stream)
        return stream

    def _cut(self, stream: StreamReader) -> None:
        """The link is lost in the middle of a body."""
        text = f": {self._error!r}" if self._error is not None else ""
        self._fail(stream, f"Response payload is not completed{text}", self._error)

    def _fail(self, stream: StreamReader, message: str, cause: Exception | None) -> None:
        error = ClientPayloadError(message)
        error.__cause__ = cause
        self.abandon(error)

    def _ended(self) -> None:
        """The response is complete: the connection is free again, or done for."""
        self._stream = None
        self._busy = False
        if self._paused:
            self.resume_reading()
        machine = self._machine
        if machine.reusable and not self._torn and not self._lost:
            machine.start_next_cycle()
            self.reused = True
            self._keeper.keep(self)
            return
        self._link.abort()
        self._keeper.drop(self)

    def _extend_deadline(self, sock_read: float) -> None:
        deadline = self._keeper.now() + sock_read
        total_at = self._total_at
        self._link.deadline = deadline if total_at is None else min(deadline, total_at)

    def _timed_out(self) -> Exception:
        """Tell which time-out the link's deadline stood for."""
        timeout, total_at = self._timeout, self._total_at
        if total_at is not None and self._link.deadline == total_at:
            return TimeoutError(f"total timeout of {timeout.total} s passed")
        return SocketTimeoutError(f"no data from the server for {timeout.sock_read} s")


def _length(head: FinalResponse) -> int | None:
    return None if head.chunked else head.content_length


def _whole(piece: Data | None, end: EndOfMessage) -> BodyStream:
    """Return a body that is complete as a stream, since it has trailers."""
    stream = BodyStream(None)
    if piece is not None:
        stream.feed_data(piece.data, piece.chunk_ends)
    stream.trailers = end.trailers
    stream.feed_eof()
    return stream
