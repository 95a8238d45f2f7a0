"""One socket of the client: the protocol machine, a link, and one exchange at a time.

Theory of operation. The link calls `bytes_received`; what arrives goes to the machine.
What happens then depends on what the connection is for at that moment:

* *idle*, in the pool or just taken from it: nobody asked for anything, so whatever comes
  (bytes, end of stream) makes the connection unfit (RFC 9112 section 9.2: it would pass
  for the next answer), and it is closed;
* *waiting for a head*: nothing; the task in `request` takes the events after `more()`;
* *sending a large body*: a response that comes early ends the upload (`_upload.py`);
* *receiving a body*: `_pump` moves it into the stream.

Everything that ends an exchange goes through `_ended` (the response is complete, the
connection may be used again if the machine says so) or `abandon` (anything else). So a
connection goes back to the pool at one place, with nothing left over in either
direction. Cancellation and time-outs abandon: after them nobody knows what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol

from httpcore_proto import (
    NEED_DATA,
    ClientConnection,
    Data,
    EndOfMessage,
    InformationalResponse,
    Limits,
    RemoteProtocolError,
    Response,
    State,
)
from httpcore_proto.aio import Link, StreamReader

from ._errors import (
    ClientConnectionError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
    WriteTimeoutError,
)
from ._pool import Place
from ._request import OutgoingRequest
from ._timeouts import NO_TIMEOUT, ClientTimeout
from ._upload import FinalResponse, Upload, UploadStoppedError, early_response

_DEFAULT_LIMITS: Final = Limits()
# Rules of the machine that only say that the server closed before there was a head.
_DISCONNECTED: Final = frozenset({"no-response", "truncated-head"})


class Keeper(Protocol):
    """Who keeps connections: a connector."""

    def now(self) -> float:
        """Seconds on the runtime's clock."""

    def keep(self, connection: ClientHTTPConnection) -> None:
        """An exchange ended cleanly; the connection may be used again."""

    def drop(self, connection: ClientHTTPConnection) -> None:
        """An exchange ended, and the connection with it."""

    def lost(self, connection: ClientHTTPConnection) -> None:
        """The link is gone, in use or not."""


class ClientHTTPConnection:
    """One HTTP/1.1 connection. It has `receiver` methods for its link."""

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
        "place",
        "received",
        "reused",
    )

    _link: Link
    #: Where the pool counts it; set by the connector.
    place: Place[ClientHTTPConnection]

    def __init__(self, keeper: Keeper, limits: Limits | None) -> None:
        self._keeper = keeper
        self._machine = ClientConnection(limits or _DEFAULT_LIMITS)
        self._busy = False
        self._lost = False
        self._error: Exception | None = None
        self._stream: StreamReader | None = None
        self._paused = False
        self._upload: Upload | None = None
        self._torn = False  # an upload was not sent to its end
        # What came before the task looked for it: the head, the body, and its end.
        self._early: FinalResponse | None = None
        self._ahead: StreamReader | None = None
        self._complete = False
        self._read_bufsize = 0
        self._timeout = NO_TIMEOUT
        self._total_at: float | None = None
        self._news = False  # whether the link called since the last request began
        #: Whether a byte arrived since the last request began.
        self.received: bool = False
        #: Whether it has carried an exchange.
        self.reused: bool = False

    # Called by the link.

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self._link = link

    def bytes_received(self, data: bytes) -> None:
        """Take bytes; see the module's theory of operation."""
        stream = self._stream
        if stream is not None:
            self._machine.receive_data(data)
            self._pump(stream)
            return
        if self._news and self._busy and self._upload is None:
            self._read_ahead()
        self.received = self._news = True
        self._machine.receive_data(data)
        if not self._busy:
            self._link.abort()
        elif self._upload is not None:
            self._upload.look()

    def eof_received(self) -> None:
        """Take the end of the server's direction."""
        self._news = True
        self._machine.receive_eof()
        if self._stream is not None:
            self._pump(self._stream)
        elif not self._busy:
            self._link.close()
        elif self._upload is not None:
            self._upload.look()

    def link_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._lost = self._news = True
        self._error = exc
        if self._stream is not None:
            self._cut(self._stream)
        elif self._upload is not None:
            self._upload.stop()
        self._keeper.lost(self)

    # For the connector.

    @property
    def link(self) -> Link:
        """The link underneath."""
        return self._link

    @property
    def usable(self) -> bool:
        """Whether a request may be sent, as far as is known."""
        return not self._lost and not self._link.closing

    # For the session.

    async def request(
        self,
        request: OutgoingRequest,
        timeout: ClientTimeout,
        total_at: float | None,
        read_bufsize: int,
    ) -> FinalResponse:
        """Send a request and wait for the final response head.

        Cancelled, or after an error, the connection is gone; only if the request was
        refused before its first byte was written, it is as good as before.

        Args:
            request: What to send.
            timeout: `write` and `sock_read` are applied from here on.
            total_at: Point in time at which `total` passes.
            read_bufsize: Low-water mark in bytes, if the body becomes a stream.

        Returns:
            The head; informational only if it is 101. `receive_body` must follow.

        Raises:
            ServerDisconnectedError: The server closed the connection first.
            ClientOSError: The connection broke.
            ClientPayloadError: The body of the request is gone, or of another size.
            ClientResponseError: The head is malformed or over a limit.
            ServerTimeoutError: `write` or `sock_read` passed.
            TimeoutError: `total` passed.
            Exception: What the body raises. ValueError: The request is not fit to be sent.
        """
        self._busy = True
        self.received = self._news = False
        self._timeout = timeout
        self._total_at = total_at
        self._read_bufsize = read_bufsize
        link = self._link
        link.deadline = total_at
        try:
            if request.whole:
                link.write(self._machine.send_message(request.head, request.body))
                if link.needs_drain:
                    try:
                        await self._drain(link.drain())
                    except UploadStoppedError as stopped:
                        self._early = stopped.response
            else:
                await self._send_upload(request)
            next_event = self._machine.next_event
            sock_read = timeout.sock_read
            while True:
                # Right after the request was written there is nothing to look at yet.
                if self._news:
                    if self._early is not None:
                        return self._take_early()
                    event = next_event()
                    if type(event) is Response:
                        return event
                    if type(event) is InformationalResponse:
                        if event.status == 101:
                            return event
                        continue
                    if self._lost:
                        raise self._lost_error()
                    if event is not NEED_DATA:
                        raise ServerDisconnectedError
                if sock_read:
                    self._extend_deadline(sock_read)
                try:
                    await link.more()
                except TimeoutError as exc:
                    raise self._timed_out() from exc
        except RemoteProtocolError as exc:
            self.abandon()
            if exc.rule in _DISCONNECTED:
                raise ServerDisconnectedError(f"Server disconnected: {exc.message}") from exc
            raise ClientResponseError(request.info, (), status=400, message=exc.message) from exc
        except BaseException:
            if self._machine.our_state is State.IDLE and self.usable:
                self._busy = False
                self._keeper.keep(self)
            else:
                self.abandon()
            raise

    async def _send_upload(self, request: OutgoingRequest) -> None:
        """Send a body that is not one write, or that is watched, until a response comes."""
        total_at, steps = self._total_at, bool(self._timeout.write)
        upload = self._upload = Upload(request, self._link, self._machine, self._drain, steps)
        try:
            if await upload.send(None if total_at is None else total_at - self._keeper.now()):
                raise TimeoutError(f"total timeout of {self._timeout.total} s passed")
        finally:
            self._upload = None
        self._early, self._torn = upload.response, upload.torn

    async def _drain(self, sending: Awaitable[bool | None]) -> bool | None:
        """Await a `drain` or `sendfile` of the link, within `write` and `total`.

        If the link breaks behind a response, as is usual after an early one, this counts for
        more, and is raised as `UploadStoppedError`.
        """
        write = self._timeout.write
        if write:
            self._extend_deadline(write)
        try:
            return await sending
        except TimeoutError as exc:
            if write and self._link.deadline != self._total_at:
                raise WriteTimeoutError(f"the server took nothing for {write} s (write)") from exc
            raise self._timed_out() from exc
        except OSError as exc:
            early = self._early if self._upload is None else self._upload.response
            response = early or early_response(self._machine)
            if response is None:
                text = f"Can not write request: {exc.strerror or exc}"
                raise ClientOSError(exc.errno, text) from exc
            self._news = True
            raise UploadStoppedError(response) from exc
        finally:
            if write:
                self._link.deadline = self._total_at

    def _take_early(self) -> FinalResponse:
        early, self._early = self._early, None
        assert early is not None
        return early

    def receive_body(self) -> Data | StreamReader | None:
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
                return piece
            if self._machine.their_state is State.SWITCHED:
                # Nobody here speaks the other protocol.
                self.abandon()
                return None
        except RemoteProtocolError:
            pass  # the machine raises it again, in _pump
        stream = self._stream = StreamReader(self, self._read_bufsize)
        if piece is not None:
            stream.feed_data(piece.data, piece.chunk_ends)
            if type(event) is Data and event is not piece:
                stream.feed_data(event.data, event.chunk_ends)
        self._pump(stream)
        if self._lost and self._stream is not None:
            self._cut(stream)
        return stream

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
        if self._timeout.sock_read:
            self._extend_deadline(self._timeout.sock_read)
        try:
            await self._link.more()
        except TimeoutError as exc:
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

    # Inside.

    def _pump(self, stream: StreamReader) -> None:
        """Move what the machine has of the body into the stream."""
        next_event = self._machine.next_event
        try:
            while True:
                event = next_event()
                if type(event) is Data:
                    stream.feed_data(event.data, event.chunk_ends)
                elif type(event) is EndOfMessage:
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
                self._ahead = StreamReader(self, self._read_bufsize)
            while type(event := next_event()) is Data:
                self._ahead.feed_data(event.data, event.chunk_ends)
            if type(event) is EndOfMessage:
                self._complete = True
        except RemoteProtocolError:
            pass

    def _receive_ahead(self, stream: StreamReader) -> StreamReader:
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
        if self._torn:
            self._link.abort()  # close() would first send what is still queued
        else:
            self._link.close()
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

    def _lost_error(self) -> ClientConnectionError:
        """Tell why there is no response."""
        error: ClientConnectionError
        if self._error is None:
            error = ServerDisconnectedError()
        elif isinstance(self._error, OSError):
            error = ClientOSError(*self._error.args)
        else:
            error = ClientConnectionError(str(self._error))
        error.__cause__ = self._error
        return error
