"""One connection of the server: bytes become requests, responses become bytes.

Theory of operation. The link calls in here with bytes, in the call in which they came;
the machine tells what they mean. A request head starts a task that runs the handler, and
from then on bytes go to the body's stream. What comes behind a request stays in the
machine, unparsed, until the exchange is over: requests are answered one at a time and in
order. An idle connection has no task and no timer: `deadline` is a number that the
server's one clock looks at (see `_server.py`).

An exchange ends in one place, `_end_exchange`: with the next request, an idle
connection, or the end. A body that the handler left unread is dropped first, within
bounds, since it would be taken for the next request.

After a 101 the link belongs to another receiver (`switch`). The handler's task is still
one of this connection, which the server goes on to know, until both are done.
"""

from __future__ import annotations

import contextvars
import socket
from typing import TYPE_CHECKING, Final

import anyio

import httpcore_proto
from httpcore_proto import (
    NEED_DATA,
    ContentDecoder,
    ContentEncodingError,
    Data,
    EndOfMessage,
    RemoteProtocolError,
    ServerConnection,
    parse_codings,
)
from httpcore_proto.aio import (
    EMPTY_PAYLOAD,
    Link,
    LinkLostError,
    StreamReader,
    Task,
    Waiter,
    decode_stream,
)

from ._answering import LINGER_AFTER_CLOSE, NEVER, Answering
from ._errors import PayloadAccessError, RequestPayloadError
from ._exchange import OtherProtocol
from ._request import BaseRequest
from ._response import Response
from ._server import Server

if TYPE_CHECKING:
    from ._websocket_response import WebSocketResponse

# Bytes of later requests that may wait in the machine before reading stops.
_BACKLOG_LIMIT: Final = 65536
# Close code 1001 of RFC 6455 section 7.4.1: "a server going down".
_GOING_AWAY: Final = 1001
# To a client that is one too many.
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Connection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"
)


class HTTPConnection(Answering):
    """The receiver of one link, and the carrier of its exchanges."""

    __slots__ = ("_cancelled", "_context", "_dropping", "_left", "_paused")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._machine = ServerConnection(server.limits)
        # The exchange at hand: from the request's head to the end of both messages.
        self._request: BaseRequest | None = None
        self._task: Task | None = None
        self._started = False
        self._cancelled = False
        self._handler_at = NEVER
        self._handler_scope: anyio.CancelScope | None = None
        self._body: StreamReader | None = None  # None once its end was received
        self._error: RemoteProtocolError | None = None  # that ended the body
        self._continue_due = False
        self._sent = 0
        # Of a response in pieces: what this turn of the loop has to write.
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        # Requests that may still be answered, -1 for any number; whether this is the last.
        self._left = server.max_requests or -1
        self._last = False
        self._gone: list[Waiter] | None = None
        # What has the link since a 101.
        self._other: OtherProtocol | None = None
        # The response is sent, and the rest of the request's body is thrown away.
        self._dropping = False
        # Nothing more is answered; whatever comes is thrown away.
        self._lingering = False
        self._paused = False  # because of pipelined requests
        self._eof = False
        self._lost = False
        #: When the client's time is up, on the server's clock; infinite while it is our
        #: turn.
        self.deadline = NEVER

    # The link's side.

    def link_made(self, link: Link) -> None:
        """Wait for the first request."""
        self.link = link
        server = self._server
        if server.max_connections and len(server.connections) >= server.max_connections:
            link.write(_TOO_MANY)
            link.close()
            return
        if server.tcp_keepalive and (sock := link.info("socket")) is not None:
            _keep_alive(sock)
        # A request that was pipelined starts in this context; in the one before's it
        # would see that one's variables.
        self._context = contextvars.copy_context()
        server.connections.add(self)
        self.deadline = server.clock + server.head_timeout
        if server.closing:
            link.close()

    def bytes_received(self, data: bytes) -> None:
        """Take bytes: of a request, of its body, or for later."""
        if self._lingering:
            return
        self._machine.receive_data(data)
        if self._request is None:
            self._begin_exchange()
        elif self._body is not None:
            self._receive_body(self._body)
        else:
            # A pipelined request waits its turn.
            if self._machine.buffered > _BACKLOG_LIMIT and not self._paused:
                self._paused = True
                self.link.pause_reading()

    def eof_received(self) -> None:
        """The client sends nothing more; it may still wait for an answer.

        Few do: most that end here are gone, which only a write would tell. So whoever
        asked to be told is told now.
        """
        self._eof = True
        self._machine.receive_eof()
        if self._lingering:
            self.link.close()
        elif self._request is None:
            self._begin_exchange()
        else:
            if self._body is not None:
                self._receive_body(self._body)
            self._tell_gone()

    def link_lost(self, exc: Exception | None) -> None:
        """The client is gone. A handler goes on, unless it is to be cancelled."""
        self._lost = True
        if self._body is not None:
            self._body.set_exception(LinkLostError("the client is gone"))
            self._body = None
        self._tell_gone()
        if self._task is None:
            self._leave()
        else:
            self._leave_unserved()

    def _tell_gone(self) -> None:
        """The client is gone, or will be: it sends nothing more."""
        if self._gone is not None:
            for waiter in self._gone:
                waiter.set()
        if self._task is not None and not self._cancelled and self._cancels_handler:
            self._cancelled = True
            self._task.cancel()

    @property
    def _cancels_handler(self) -> bool:
        """Whether the handler is to be cancelled when its client goes away."""
        # A request that is not routed yet has no wish.
        wanted = getattr(self._request, "handler_cancellation", None)
        return self._server.handler_cancellation if wanted is None else bool(wanted)

    def _leave_unserved(self) -> None:
        # A task that is cancelled before its first step never makes it, on asyncio, and then
        # nobody else would take this connection off.
        if self._cancelled and self._lost and not self._started:
            self._leave()

    def _leave(self) -> None:
        server = self._server
        server.connections.discard(self)
        server.connection_ended()

    # The server's side.

    def expired(self) -> None:
        """The client's time is up."""
        body, server = self._body, self._server
        if self._handler_scope is not None and self._handler_at <= server.runtime.now():
            self._handler_at = NEVER
            self._handler_scope.cancel()
            return
        if body is not None and not self._dropping:
            if body.paused:
                # The handler is slow, not the client.
                self._set_deadline(server.clock + server.body_timeout)
                return
            self.deadline = NEVER
        self.link.abort()

    def shut_down(self) -> None:
        """End after the request at hand."""
        self._last = True
        if self._task is None:
            # In TLS the client has to answer that.
            self.deadline = self._server.clock + LINGER_AFTER_CLOSE
            self.link.close()

    def go_away(self) -> None:
        """Tell a client that speaks another protocol that the server ends."""
        if self._other is not None and not self._lost:
            self._server.spawn(self._close_other(self._other, _GOING_AWAY))

    def abort(self) -> None:
        """End now."""
        self.link.abort()
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()
            self._leave_unserved()

    # Receiving.

    def _begin_exchange(self) -> None:
        """Take the next request from the machine, if it is there."""
        machine, server = self._machine, self._server
        try:
            event = machine.next_event()
        except RemoteProtocolError as exc:
            self._reject(exc)
            return
        if type(event) is httpcore_proto.Request:
            self._start(event)
        elif event is NEED_DATA:
            # Never later than it was: the time runs from a head's first byte, and does
            # not begin again with every piece.
            self.deadline = min(self.deadline, server.clock + server.head_timeout)
        else:
            self.link.close()

    def _start(self, event: httpcore_proto.Request) -> None:
        server, machine = self._server, self._machine
        content = EMPTY_PAYLOAD
        self.deadline = NEVER
        try:
            following = machine.next_event()
        except RemoteProtocolError as exc:
            content = StreamReader(self.link, server.read_bufsize)
            self._break_body(content, exc)
        else:
            if type(following) is not EndOfMessage:
                content = self._body = StreamReader(self.link, server.read_bufsize)
                self._continue_due = event.expects_continue
                if type(following) is Data:
                    content.feed_data(following.data, following.chunk_ends)
                    self._receive_body(content)
                else:
                    self.deadline = server.clock + server.body_timeout
                if event.has_content_encoding and server.auto_decompress:
                    content = self._decoded(event, content)
        server.requests_count += 1
        self._left -= 1
        self._last = server.closing or not self._left
        request = self._request = server.request_factory(event, content, self)
        self._started = self._cancelled = False
        self._task = server.spawn(self._serve(request))

    def _decoded(self, event: httpcore_proto.Request, coded: StreamReader) -> StreamReader:
        """Return the body with its content codings undone, when it is read."""
        try:
            codings = parse_codings(", ".join(event.headers.getall("Content-Encoding")))
            decoder = ContentDecoder(codings)
        except ContentEncodingError as exc:
            if exc.rule == "coding-unknown":
                # Perhaps the handler knows it: aiohttp hands such a body on as it is.
                return coded
            refused = StreamReader(None)
            refused.set_exception(exc)
            return refused
        return decode_stream(coded, decoder, limit=self._server.read_bufsize)

    def _receive_body(self, body: StreamReader) -> None:
        machine = self._machine
        self._continue_due = False
        try:
            while (event := machine.next_event()) is not NEED_DATA:
                if type(event) is Data:
                    if not self._dropping:
                        body.feed_data(event.data, event.chunk_ends)
                else:
                    self._body = None
                    self.deadline = self._handler_at
                    if self._dropping:
                        self._next()
                    else:
                        body.feed_eof()
                    return
        except RemoteProtocolError as exc:
            self._break_body(body, exc)
            return
        if not self._dropping:
            self._set_deadline(self._server.clock + self._server.body_timeout)

    def _break_body(self, body: StreamReader, exc: RemoteProtocolError) -> None:
        self._body = None
        self._error = exc
        if self._dropping:
            self._linger()
            return
        error = RequestPayloadError(exc.message)
        error.__cause__ = exc
        body.set_exception(error)

    def _reject(self, exc: RemoteProtocolError) -> None:
        """Answer a request that is none, and close."""
        server = self._server
        server.logger.debug("bad request from %s: %s", self.link.info("peername"), exc)
        response = Response(status=exc.status_hint, text=f"{exc.message}\n")
        head = response.make_head(server.presets)
        data = self._machine.send_message(head, response.plain_body)
        self.link.write(data)
        if server.access_logger is not None:
            response.body_length = len(data)
            nobody_knows = httpcore_proto.Request(method="UNKNOWN", target="/")
            request = server.request_factory(nobody_knows, EMPTY_PAYLOAD, self)
            server.access_logger.log(request, response, 0.0)
        self._linger()

    # Between exchanges.

    def _end_exchange(self) -> None:
        """The handler is done: drop what it left of the body, then go on."""
        link, body = self.link, self._body
        if self._lost:
            self._leave()
        elif body is None:
            self._next()
        elif self._continue_due or not self._machine.keep_alive or not self._server.lingering_time:
            # Whether a client that waits for 100 still sends the body is its choice.
            self._body = None
            body.set_exception(PayloadAccessError("the response was sent"))
            self._linger()
        else:
            body.set_exception(PayloadAccessError("the response was sent"))
            self._dropping = True
            self.deadline = self._server.clock + self._server.lingering_time
            if body.paused:
                link.resume_reading()

    def _next(self) -> None:
        """Begin the next exchange, or wait for it, or close."""
        machine, server = self._machine, self._server
        self._dropping = False
        self._request = None
        if not machine.reusable or server.closing:
            if self._other is not None:
                pass  # another task closes it, in its own time
            elif machine.buffered or self._error is not None:
                self._linger()
            else:
                self.link.close()
            return
        machine.start_next_cycle()
        if self._paused:
            self._paused = False
            self.link.resume_reading()
        if machine.buffered or self._eof:
            self._context.run(self._begin_exchange)
        else:
            self.deadline = server.clock + server.keepalive_timeout

    # Other protocols.

    async def switch(self, response: WebSocketResponse, to: OtherProtocol) -> None:
        """Send a head with status 101 and give the link away."""
        await self._run_hook(response)
        server, machine, link = self._server, self._machine, self.link
        head = machine.send(response.switching_head(server.presets))
        self._sent = len(head)
        link.write(head)
        # Before somebody else may be in `drain`; it raises if the client is gone.
        if link.needs_drain:
            await link.drain()
        data, eof = machine.trailing_data
        self._other = to
        # Neither clients nor handlers have to be quick now.
        self._handler_at = self.deadline = NEVER
        link.hand_over(to)
        if self._paused:
            self._paused = False
            link.resume_reading()
        to.start(data, eof)
        if server.closing:
            self.go_away()

    def switch_ended(self, *, cancels: bool) -> None:
        """Called when the link that was given away is done for, once."""
        if not cancels:
            self._cancelled = True
        self.link_lost(None)

    def _linger(self) -> None:
        """Close our side, and give the client time to close the other."""
        self._lingering = True
        if self._eof:
            self.link.close()
            return
        self.link.write_eof()
        self.deadline = self._server.clock + LINGER_AFTER_CLOSE
        # Reading must go on, or the client's close would not be seen.
        self.link.resume_reading()


def _keep_alive(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError:
        # Not every family has it, and what it finds out is found out by time-outs as well.
        pass
