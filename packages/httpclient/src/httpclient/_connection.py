"""One socket of the client: the protocol machine, a link, and one exchange at a time.

Theory of operation. The link calls `bytes_received`; what arrives goes to the machine.
What happens then depends on what the connection is for at that moment:

* *idle*, in the pool or just taken from it: nobody asked for anything, so whatever comes
  (bytes, end of stream) makes the connection unfit (RFC 9112 section 9.2: it would pass
  for the next answer), and it is closed;
* *waiting for a head*: nothing; the task in `request` takes the events after `more()`;
* *sending a large body*: a response that comes early ends the upload;
* *receiving a body*: `_pump` moves it into the stream.

Everything that ends an exchange goes through `_ended` (the response is complete, the
connection may be used again if the machine says so) or `abandon` (anything else). So a
connection goes back to the pool at one place, with nothing left over in either
direction. Cancellation and time-outs abandon: after them nobody knows what was sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final, Protocol

import anyio

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
)
from ._pool import Place
from ._request import MAX_JOINED, OutgoingRequest
from ._timeouts import NO_TIMEOUT, ClientTimeout

_DEFAULT_LIMITS: Final = Limits()
_END: Final = EndOfMessage()
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
        "_busy",
        "_early",
        "_error",
        "_keeper",
        "_link",
        "_lost",
        "_machine",
        "_news",
        "_paused",
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
        self._upload: anyio.CancelScope | None = None
        self._torn = False  # an upload was not sent to its end
        self._early: Response | InformationalResponse | None = None
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
        self.received = self._news = True
        self._machine.receive_data(data)
        if self._stream is not None:
            self._pump(self._stream)
        elif not self._busy:
            self._link.abort()
        elif self._upload is not None:
            self._look_for_early_response(self._upload)

    def eof_received(self) -> None:
        """Take the end of the server's direction."""
        self._news = True
        self._machine.receive_eof()
        if self._stream is not None:
            self._pump(self._stream)
        elif not self._busy:
            self._link.close()
        elif self._upload is not None:
            self._look_for_early_response(self._upload)

    def link_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._lost = self._news = True
        self._error = exc
        if self._stream is not None:
            self._cut(self._stream)
        elif self._upload is not None:
            self._upload.cancel()
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
        self, request: OutgoingRequest, timeout: ClientTimeout, total_at: float | None
    ) -> Response | InformationalResponse:
        """Send a request and wait for the final response head.

        Cancelled, or after an error, the connection is gone; only if the request was
        refused before its first byte was written, it is as good as before.

        Args:
            request: What to send.
            timeout: `sock_read` is applied from here on.
            total_at: Point in time at which `total` passes.

        Returns:
            The head; informational only if it is 101. `receive_body` must follow.

        Raises:
            ServerDisconnectedError: The server closed the connection first.
            ClientOSError: The connection broke.
            ClientResponseError: The head is malformed or over a limit.
            SocketTimeoutError: `sock_read` passed.
            TimeoutError: `total` passed.
            ValueError: The request is not fit to be sent.
        """
        self._busy = True
        self.received = self._news = False
        self._timeout = timeout
        self._total_at = total_at
        link = self._link
        link.deadline = total_at
        try:
            if request.stream is None and len(request.body) <= MAX_JOINED:
                link.write(self._machine.send_message(request.head, request.body))
                if link.needs_drain:
                    await self._drain()
            else:
                await self._send_upload(request)
            return await self._head()
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

    async def _head(self) -> Response | InformationalResponse:
        if self._early is not None:
            early, self._early = self._early, None
            return early
        link, next_event = self._link, self._machine.next_event
        sock_read = self._timeout.sock_read
        while True:
            # Right after the request was written there is nothing to look at yet.
            if self._news:
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

    def receive_body(self, read_bufsize: int) -> Data | StreamReader | None:
        """Begin with the body, right after `request` returned.

        Returns:
            The whole body if it arrived together with the head, as most do: one piece,
            or None if there is none. The exchange is over then. Otherwise a stream.
        """
        piece: Data | None = None
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
        stream = self._stream = StreamReader(self, read_bufsize)
        if piece is not None:
            stream.feed_data(piece.data, piece.chunk_ends)
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
        if machine.reusable and not self._torn and self.usable:
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

    # Sending what is large, or comes in pieces.

    async def _drain(self) -> None:
        """Let the link catch up.

        A server that answers early often resets the connection afterwards; its answer
        counts for more than the error.
        """
        try:
            await self._link.drain()
        except TimeoutError as exc:
            raise self._timed_out() from exc
        except OSError as exc:
            if self._early is None:
                event = self._machine.next_event()
                while type(event) is InformationalResponse and event.status != 101:
                    event = self._machine.next_event()
                if type(event) is not Response:
                    raise ClientOSError(
                        exc.errno, f"Can not write request: {exc.strerror or exc}"
                    ) from exc
                self._early = event

    async def _send_upload(self, request: OutgoingRequest) -> None:
        """Send head and body until a response comes.

        The scope is what ends a wait (for the link, or for the next piece) early; one
        per upload, since it costs as much as a small request.
        """
        machine, link = self._machine, self._link
        with anyio.CancelScope() as scope:
            if self._total_at is not None:
                scope.deadline = anyio.current_time() + self._total_at - self._keeper.now()
            self._upload = scope
            try:
                head = machine.send(request.head)
                if request.stream is None:
                    pieces = (head, machine.send(Data(request.body)), machine.send(_END))
                    link.writelines(pieces)
                    if link.needs_drain:
                        await self._drain()
                else:
                    link.write(head)
                    await self._send_pieces(request.stream)
            finally:
                self._upload = None
        if scope.cancelled_caught:
            self._torn = True
            if not self._news:
                raise TimeoutError(f"total timeout of {self._timeout.total} s passed")

    async def _send_pieces(self, stream: AsyncIterable[bytes | bytearray | memoryview]) -> None:
        machine, link = self._machine, self._link
        try:
            async for piece in stream:
                if not isinstance(piece, (bytes, bytearray, memoryview)):
                    raise TypeError(
                        f"a piece of the body must be bytes, not {type(piece).__name__}"
                    )
                link.write(machine.send(Data(bytes(piece))))
                if link.needs_drain:
                    await self._drain()
                if self._early is not None:
                    self._torn = True
                    return
        finally:
            # Nobody else would: a generator that is left suspended is closed some time
            # later, in another task.
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        link.write(machine.send(_END))
        if link.needs_drain:
            await self._drain()

    def _look_for_early_response(self, upload: anyio.CancelScope) -> None:
        """End the upload if the server has answered, or has broken the protocol.

        RFC 9112 section 9.3 tells a client to stop when it sees that the body is not
        wanted. The machine knows that the request is not complete, so the connection
        will not be used again.
        """
        try:
            event = self._machine.next_event()
            while type(event) is InformationalResponse and event.status != 101:
                event = self._machine.next_event()
        except RemoteProtocolError:
            upload.cancel()  # `_head` gets it again
            return
        if isinstance(event, (Response, InformationalResponse)):
            self._early = event
        if event is not NEED_DATA:
            upload.cancel()
