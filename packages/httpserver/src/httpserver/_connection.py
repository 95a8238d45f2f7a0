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
"""

from __future__ import annotations

import contextvars
from typing import Final

import httpcore_proto
from httpcore_proto import (
    NEED_DATA,
    Data,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    ServerConnection,
    State,
)
from httpcore_proto.aio import EMPTY_PAYLOAD, Link, LinkLostError, StreamReader, Task

from ._errors import PayloadAccessError, RequestPayloadError
from ._exceptions import HTTPException, HTTPInternalServerError
from ._request import Request
from ._response import Response, StreamResponse
from ._server import Server

# Bodies up to this size are copied behind their head, so that both leave in one write.
_COPY_LIMIT: Final = 65536
# Bytes of later requests that may wait in the machine before reading stops.
_BACKLOG_LIMIT: Final = 65536
# Seconds for a client to take the last answer and close before we do. If we closed at
# once, bytes still on their way to us would make the kernel throw the answer away.
_LINGER_AFTER_CLOSE: Final = 2.0

_NEVER: Final = float("inf")
_END_OF_MESSAGE: Final = EndOfMessage()


class HTTPConnection:
    """The receiver of one link, and the carrier of its exchanges."""

    __slots__ = (
        "_body",
        "_context",
        "_continue_due",
        "_dropping",
        "_eof",
        "_error",
        "_lingering",
        "_lost",
        "_machine",
        "_paused",
        "_request",
        "_sent",
        "_server",
        "_task",
        "deadline",
        "link",
    )

    link: Link

    def __init__(self, server: Server) -> None:
        self._server = server
        self._machine = ServerConnection(server.limits)
        # The exchange at hand: from the request's head to the end of both messages.
        self._request: Request | None = None
        self._task: Task | None = None
        self._body: StreamReader | None = None  # None once its end was received
        self._error: RemoteProtocolError | None = None  # that ended the body
        self._continue_due = False
        self._sent = 0
        # The response is sent, and the rest of the request's body is thrown away.
        self._dropping = False
        # Nothing more is answered; whatever comes is thrown away.
        self._lingering = False
        self._paused = False  # because of pipelined requests
        self._eof = False
        self._lost = False
        #: When the client's time is up, on the server's clock; infinite while it is our
        #: turn.
        self.deadline = _NEVER

    # The link's side.

    def link_made(self, link: Link) -> None:
        """Wait for the first request."""
        self.link = link
        server = self._server
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
        """The client sends nothing more; it may still wait for an answer."""
        self._eof = True
        self._machine.receive_eof()
        if self._lingering:
            self.link.close()
        elif self._request is None:
            self._begin_exchange()
        elif self._body is not None:
            self._receive_body(self._body)

    def link_lost(self, exc: Exception | None) -> None:
        """The client is gone. A handler goes on, unless it is to be cancelled."""
        self._lost = True
        if self._body is not None:
            self._body.set_exception(LinkLostError("the client is gone"))
            self._body = None
        if self._task is None:
            self._leave()
        elif self._server.handler_cancellation:
            self._task.cancel()

    def _leave(self) -> None:
        server = self._server
        server.connections.discard(self)
        server.connection_ended()

    # The server's side.

    def expired(self) -> None:
        """The client's time is up."""
        body = self._body
        if body is not None and not self._dropping:
            if body.paused:
                # The handler is slow, not the client.
                self.deadline = self._server.clock + self._server.body_timeout
                return
            self.deadline = _NEVER
        self.link.abort()

    def shut_down(self) -> None:
        """End after the request at hand."""
        if self._task is None:
            # In TLS the client has to answer that.
            self.deadline = self._server.clock + _LINGER_AFTER_CLOSE
            self.link.close()

    def abort(self) -> None:
        """End now."""
        if self._task is not None:
            self._task.cancel()
        self.link.abort()

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
        self.deadline = _NEVER
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
        server.requests_count += 1
        request = self._request = Request(event, content, self)
        self._task = server.runtime.spawn(self._serve, request)

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
                    self.deadline = _NEVER
                    if self._dropping:
                        self._next()
                    else:
                        body.feed_eof()
                    return
        except RemoteProtocolError as exc:
            self._break_body(body, exc)
            return
        if not self._dropping:
            self.deadline = self._server.clock + self._server.body_timeout

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
        fields = [("Content-Type", "text/plain; charset=utf-8")]
        head = httpcore_proto.Response(
            status=exc.status_hint, headers=fields, preset=self._server.presets.get(None)
        )
        self._server.logger.debug("bad request from %s: %s", self.link.info("peername"), exc)
        self.link.write(self._machine.send_message(head, f"{exc.message}\n".encode()))
        self._linger()

    # Answering.

    async def _serve(self, request: Request) -> None:
        """Run the handler and send what it returns; the body of a request's task."""
        server = self._server
        try:
            try:
                response = await server.handler(request)
                # isinstance() is slow on what is also a Mapping; most are this very type.
                if type(response) is not Response and not isinstance(response, StreamResponse):
                    raise TypeError(f"handler returned {response!r}, expected a response")
            except HTTPException as exc:
                response = exc
            except Exception as exc:
                response = self._error_response(request, exc)
                if self._machine.our_state is not State.SEND_HEAD:
                    raise LinkLostError("the response was cut") from exc
            if type(response) is Response and not response.prepared:
                self._send_whole(response)
            else:
                await self._send(request, response)
            if self.link.needs_drain:
                await self.link.drain()
            if server.access_logger is not None:
                server.access_logger.log(request, response, self._sent)
        except OSError:
            # The client is gone, takes nothing any more, or must see that its answer is
            # cut; what there was to tell is in the log.
            self.link.abort()
        except Exception:
            server.logger.exception("error while sending the response to %r", request)
            self._give_up()
        except BaseException:
            self._task = None
            self.link.abort()
            self._end_exchange()
            raise
        self._task = None
        if self._body is None and not self._lost:
            self._next()
        else:
            self._end_exchange()
        if self.link.needs_drain and not self.link.closing:
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self.link.drain()
        except OSError:
            self.link.abort()

    def _error_response(self, request: Request, exc: Exception) -> StreamResponse:
        server = self._server
        if isinstance(exc, RequestPayloadError) and self._error is not None:
            status, text = self._error.status_hint, f"{self._error.message}\n"
            response: StreamResponse = Response(status=status, text=text)
        elif isinstance(exc, TimeoutError):
            server.logger.debug("handler of %r timed out", request, exc_info=exc)
            response = Response(status=504, text="504: Gateway Timeout")
        elif isinstance(exc, OSError) and self.link.closing:
            response = HTTPInternalServerError()
        else:
            server.logger.error("error handling %r", request, exc_info=exc)
            response = HTTPInternalServerError()
        response.force_close()
        return response

    def _give_up(self) -> None:
        """Answer 500 in place of a response that was not begun; cut one that was."""
        if self._machine.our_state is State.SEND_HEAD:
            error = HTTPInternalServerError()
            self.link.write(self._machine.send_message(self._head(error), error.body or b""))
        else:
            self.link.abort()

    async def _send(self, request: Request, response: StreamResponse) -> None:
        """Send a response, or what of it the handler left."""
        if response.prepared:
            if self._machine.our_state is State.SEND_HEAD:
                raise RuntimeError(f"{response!r} was sent before, to another request")
            await response.write_eof()
        elif isinstance(response, Response):
            self._send_whole(response)
        else:
            await response.prepare(request)
            await response.write_eof()

    def _send_whole(self, response: Response) -> None:
        machine, link = self._machine, self.link
        if machine.our_state is not State.SEND_HEAD:
            raise RuntimeError(f"{response!r} after another response was begun")
        body = response.body or b""
        if len(body) <= _COPY_LIMIT:
            if self._server.closing:
                response.force_close()
            link.write(machine.send_message(response.make_head(self._server.presets), body))
        else:
            response.tell_length()
            link.write(machine.send(self._head(response)))
            events: tuple[Data | EndOfMessage, ...] = (Data(body), _END_OF_MESSAGE)
            for event in events:
                if data := machine.send(event):
                    link.write(data)
        self._sent = len(body)

    def _head(self, response: StreamResponse) -> httpcore_proto.Response:
        if self._server.closing:
            response.force_close()
        return response.make_head(self._server.presets)

    # What requests and responses call.

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body to be read at once; 0 for no limit."""
        return self._server.client_max_size

    async def send_continue(self) -> None:
        """Tell a client that waits for it to send the body; again does nothing."""
        if self._continue_due:
            self._continue_due = False
            link = self.link
            link.write(self._machine.send(InformationalResponse(status=100)))
            if link.needs_drain:
                await link.drain()

    async def start_response(self, response: StreamResponse) -> None:
        """Send the head of a response that comes in pieces."""
        self._sent = 0
        link = self.link
        link.write(self._machine.send(self._head(response)))
        if link.needs_drain:
            await link.drain()

    async def write_body(self, data: bytes) -> None:
        """Write a piece of body; waits while the client takes nothing."""
        link = self.link
        link.write(self._machine.send(Data(data)))
        self._sent += len(data)
        if link.needs_drain:
            await link.drain()

    async def finish_response(self) -> None:
        """Write the end of the body."""
        link = self.link
        if data := self._machine.send(_END_OF_MESSAGE):
            link.write(data)
        if link.needs_drain:
            await link.drain()

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
        if not machine.reusable or server.closing:
            self._request = None
            if machine.buffered or self._error is not None:
                self._linger()
            else:
                self.link.close()
            return
        machine.start_next_cycle()
        self._request = None
        if self._paused:
            self._paused = False
            self.link.resume_reading()
        if machine.buffered or self._eof:
            self._context.run(self._begin_exchange)
        else:
            self.deadline = server.clock + server.keepalive_timeout

    def _linger(self) -> None:
        """Close our side, and give the client time to close the other."""
        self._lingering = True
        if self._eof:
            self.link.close()
            return
        self.link.write_eof()
        self.deadline = self._server.clock + _LINGER_AFTER_CLOSE
        # Reading must go on, or the client's close would not be seen.
        self.link.resume_reading()
