"""The half of a connection that runs handlers and sends what they return."""

from __future__ import annotations

import os
from typing import BinaryIO, Final

import anyio

import httpcore_proto
from httpcore_proto import (
    BadHttpMessage,
    EndOfMessage,
    HeadersLike,
    InformationalResponse,
    Limits,
    RemoteProtocolError,
    ServerConnection,
    State,
)
from httpcore_proto.aio import Link, LinkLostError, Runtime, StreamReader, Task, Waiter

from ._access_log import AbstractAccessLogger
from ._error_pages import internal_error
from ._errors import RequestPayloadError
from ._exceptions import HTTPException
from ._exchange import OtherProtocol
from ._file_threads import in_thread
from ._request import BaseRequest
from ._response import Response, StreamResponse
from ._server import Server

# Bodies up to this size are copied behind their head, so that both leave in one write.
_COPY_LIMIT: Final = 65536
# Bytes of a file that are read at once where there is no sendfile; aiohttp's number.
_FILE_BLOCK: Final = 2**18
# Bytes of a response in pieces that are written at once; what asyncio's transports hold before
# they say that the client is slow.
_PIECES_LIMIT: Final = 65536

# Seconds for a client to take the last answer and close before we do. If we closed at
# once, bytes still on their way to us would make the kernel throw the answer away.
LINGER_AFTER_CLOSE: Final = 2.0

# Close code of RFC 6455 section 7.4.1, for a handler that failed.
_INTERNAL_ERROR: Final = 1011
NEVER: Final = float("inf")
_END_OF_MESSAGE: Final = EndOfMessage()


class Answering:
    """One request at a time gets its answer; see `HTTPConnection`, which receives."""

    __slots__ = (
        "_body",
        "_continue_due",
        "_eof",
        "_error",
        "_gone",
        "_handler_at",
        "_handler_scope",
        "_last",
        "_lingering",
        "_lost",
        "_machine",
        "_other",
        "_pieces",
        "_pieces_size",
        "_request",
        "_sent",
        "_server",
        "_started",
        "_task",
        "deadline",
        "link",
    )

    link: Link
    deadline: float
    _server: Server
    _machine: ServerConnection
    _task: Task | None
    _body: StreamReader | None
    _error: RemoteProtocolError | None
    _continue_due: bool
    _eof: bool
    _handler_at: float
    _request: BaseRequest | None
    _handler_scope: anyio.CancelScope | None
    _last: bool
    _lingering: bool
    _lost: bool
    _other: OtherProtocol | None
    _gone: list[Waiter] | None
    _pieces: list[bytes]
    _pieces_size: int
    _sent: int
    _started: bool

    def _next(self) -> None:
        raise NotImplementedError

    def _end_exchange(self) -> None:
        raise NotImplementedError

    async def _serve(self, request: BaseRequest) -> None:
        """Run the handler and send what it returns; the body of a request's task."""
        server = self._server
        self._started = True
        access_logger = server.access_logger
        began = server.runtime.now() if access_logger is not None else 0.0
        failure: Exception | None = None
        try:
            try:
                if server.handler_timeout is None:
                    response = await server.handler(request)
                else:
                    response = await self._handle_in_time(request, server.handler_timeout)
                # isinstance() is slow on what is also a Mapping; most are this very type.
                if type(response) is not Response and not isinstance(response, StreamResponse):
                    raise TypeError(f"handler returned {response!r}, expected a response")
            except HTTPException as exc:
                response = failure = exc
            except Exception as exc:
                failure = exc
                response = self._error_response(request, exc)
                if self._machine.our_state is not State.SEND_HEAD:
                    if self._other is not None:
                        await self._close_other(self._other, _INTERNAL_ERROR)
                    raise LinkLostError("the response was cut") from exc
            if type(response) is Response and response.is_plain and server.on_prepare is None:
                self._send_whole(response)
            else:
                await self._send(request, response)
            if self.link.needs_drain and self._other is None:
                await self.link.drain()
            response.body_length = self._sent
            if access_logger is not None:
                _log(access_logger, request, response, server.runtime.now() - began, failure)
        except OSError:
            # The client is gone, takes nothing any more, or must see that its answer is
            # cut; what there was to tell is in the log.
            self._write_pieces()
            self.link.abort()
        except Exception as exc:
            server.logger.exception("error while sending the response to %r", request)
            await self._give_up(request, exc)
        except BaseException:
            if request.extras is not None:
                await request.release_files()
            self._task = None
            self.link.abort()
            self._end_exchange()
            raise
        if request.extras is not None:
            await request.release_files()
        self._task = None
        if self._body is None and not self._lost:
            self._next()
        else:
            self._end_exchange()
        if self.link.needs_drain and not self.link.closing:
            await self._flush()

    async def _handle_in_time(self, request: BaseRequest, seconds: float) -> StreamResponse:
        """Run the handler; cancel it when the server's clock finds that its time is up."""
        self._handler_at = self._server.clock + seconds
        self._set_deadline(self.deadline)
        try:
            with anyio.CancelScope() as self._handler_scope:
                return await self._server.handler(request)
        finally:
            self._handler_scope = None
            self._handler_at = NEVER
        raise TimeoutError(f"handler_timeout of {seconds} s passed")

    def _set_deadline(self, when: float) -> None:
        """Set when the client's time is up, or the handler's if that is earlier."""
        self.deadline = when if when < self._handler_at else self._handler_at

    async def _flush(self) -> None:
        """Send what is left of the last answer."""
        if self._lingering:
            # A client that takes it slowly has the time of one that sends slowly.
            self.deadline = self._server.clock + self._server.body_timeout
        try:
            await self.link.drain()
        except OSError:
            self.link.abort()
        if self._lingering:
            self.deadline = self._server.clock + LINGER_AFTER_CLOSE

    def _error_response(self, request: BaseRequest, exc: Exception) -> StreamResponse:
        server = self._server
        error = exc.__cause__ if isinstance(exc, RequestPayloadError) else exc
        if isinstance(error, BadHttpMessage):
            response: StreamResponse = Response(status=error.status_hint, text=f"{error.message}\n")
        elif isinstance(exc, TimeoutError):
            server.logger.debug("handler of %r timed out", request, exc_info=exc)
            response = Response(status=504, text="504: Gateway Timeout")
        else:
            if not (isinstance(exc, OSError) and self.link.closing):
                server.logger.error("error handling %r", request, exc_info=exc)
            response = internal_error(request, exc, debug=server.debug)
        response.force_close()
        return response

    async def _give_up(self, request: BaseRequest, exc: Exception) -> None:
        """Answer 500 in place of a response that was not begun; cut one that was."""
        if self._machine.our_state is State.SEND_HEAD:
            self._send_whole(internal_error(request, exc, debug=self._server.debug))
        else:
            self._write_pieces()
            if self._other is not None:
                await self._close_other(self._other, _INTERNAL_ERROR)
            self.link.abort()

    async def _close_other(self, other: OtherProtocol, code: int) -> None:
        """End what is spoken in place of HTTP; the handler has failed, or the server ends."""
        try:
            await other.close(code=code)
        except Exception:
            self._server.logger.exception("error while closing %r", other)

    async def _send(self, request: BaseRequest, response: StreamResponse) -> None:
        """Send a response, or what of it the handler left."""
        if not isinstance(response, Response):
            await self._send_stream(request, response)
        elif response.is_plain and (self._server.on_prepare is None or await self._tell(response)):
            self._send_whole(response)
            response.was_told = False  # it may be sent again
        else:
            try:
                await self._send_stream(request, response)
            finally:
                await response.close_body()

    async def _tell(self, response: Response) -> bool:
        """Run the hook on a response that may leave whole; whether it still may."""
        response.tell_length()
        await self._run_hook(response)
        return response.is_plain

    async def _run_hook(self, response: StreamResponse) -> None:
        server, request = self._server, self._request
        if server.on_prepare is not None and request is not None and not response.was_told:
            response.was_told = True
            response.fill_headers(server.presets)
            await server.on_prepare(request, response)

    async def _send_stream(self, request: BaseRequest, response: StreamResponse) -> None:
        if response.prepared:
            if self._machine.our_state is State.SEND_HEAD:
                raise RuntimeError(f"{response!r} was sent before, to another request")
        else:
            await response.prepare(request)
        await response.write_eof()

    def _send_whole(self, response: Response) -> None:
        machine, link = self._machine, self.link
        if machine.our_state is not State.SEND_HEAD:
            raise RuntimeError(f"{response!r} after another response was begun")
        body = response.plain_body
        if len(body) <= _COPY_LIMIT:
            if self._last or self._continue_due:
                response.force_close()
            data = machine.send_message(response.make_head(self._server.presets), body)
            self._sent = len(data)
            link.write(data)
        else:
            response.tell_length()
            pieces = (
                machine.send(self._head(response)),
                machine.send_data(body),
                machine.send(_END_OF_MESSAGE),
            )
            self._sent = sum(map(len, pieces))
            # Together, so that the head does not leave in a packet of its own.
            link.writelines([piece for piece in pieces if piece])

    def _head(self, response: StreamResponse) -> httpcore_proto.Response:
        # Whether a client that waits for 100 sends the body all the same is its choice, so
        # that nobody could tell where the next request begins.
        if self._last or self._continue_due:
            response.force_close()
        return response.make_head(self._server.presets)

    # What requests and responses call; see `Exchange`.

    @property
    def keep_alive(self) -> bool:
        """Whether the connection lives on, as far as is known."""
        return self._machine.keep_alive

    @property
    def limits(self) -> Limits:
        """Bounds on heads."""
        return self._server.limits

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body to be read at once; 0 for no limit."""
        return self._server.client_max_size

    @property
    def client_max_fields(self) -> int:
        """Most fields of a form; 0 for no limit."""
        return self._server.client_max_fields

    @property
    def sends_body(self) -> bool:
        """Whether the response has a body on the wire."""
        return self._machine.sends_body

    @property
    def shutting_down(self) -> bool:
        """Whether the server ends."""
        return self._server.closing

    @property
    def runtime(self) -> Runtime:
        """What the link belongs to."""
        return self._server.runtime

    async def wait_shutdown(self) -> None:
        """Wait until the server ends."""
        await self._server.wait_shutdown()

    async def wait_disconnected(self) -> None:
        """Wait until the client is gone, or at least sends nothing more."""
        if self._lost or self._eof:
            return
        waiter = self._server.runtime.waiter()
        if self._gone is None:
            self._gone = []
        self._gone.append(waiter)
        try:
            await waiter.wait()
        finally:
            self._gone.remove(waiter)

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
        await self._run_hook(response)
        self._sent = 0
        self._put(self._machine.send(self._head(response)))
        if self.link.needs_drain:
            await self.link.drain()

    def put_body(self, data: bytes) -> bool:
        """Write a piece of body; whether the client is slow, so that `drain` must follow."""
        if encoded := self._machine.send_data(data):
            self._put(encoded)
        return self.link.needs_drain

    def _put(self, data: bytes) -> None:
        """Write bytes together with those that follow in this turn of the loop.

        A write is a system call, and most responses in pieces have small ones.
        """
        self._sent += len(data)
        soon, pieces = self._server.soon, self._pieces
        if soon is None or len(data) > _PIECES_LIMIT:
            self._write_pieces()
            self.link.write(data)
            return
        if not pieces:
            soon(self._write_pieces)
            self._pieces_size = 0
        pieces.append(data)
        self._pieces_size += len(data)
        if self._pieces_size > _PIECES_LIMIT:
            self._write_pieces()

    def _write_pieces(self) -> None:
        if pieces := self._pieces:
            self.link.write(b"".join(pieces))
            pieces.clear()

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        self._write_pieces()
        await self.link.drain()

    async def write_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Write a part of a file as body.

        Raises:
            OSError: The client is gone, or the file cannot be read.
            EOFError: The file is shorter.
        """
        self._write_pieces()
        passes = self._machine.pass_body(count)
        if passes:
            self._sent += count
            if await self.link.sendfile(file, offset, count):
                return
        while count > 0:
            size = min(count, _FILE_BLOCK)
            block = await in_thread(_read_at, file, offset, size)
            if not block:
                raise EOFError(f"the file ended {count} bytes early, at {offset}")
            offset += len(block)
            count -= len(block)
            if passes:
                self.link.write(block)
            else:
                self.put_body(block)
            if self.link.needs_drain:
                await self.link.drain()

    async def finish_response(self, trailers: HeadersLike = ()) -> None:
        """Write the end of the body."""
        end = self._machine.send(EndOfMessage(trailers) if trailers else _END_OF_MESSAGE)
        self._sent += len(end)
        if self._pieces:
            self._pieces.append(end)
            self._write_pieces()
        elif end:
            self.link.write(end)
        if self.link.needs_drain:
            await self.link.drain()


def _log(
    access_logger: AbstractAccessLogger,
    request: BaseRequest,
    response: StreamResponse,
    seconds: float,
    failure: Exception | None,
) -> None:
    """Log one exchange, with what the handler raised in `sys.exc_info`."""
    if failure is None:
        access_logger.log(request, response, seconds)
        return
    traceback = failure.__traceback__
    try:
        raise failure
    except Exception:
        failure.__traceback__ = traceback
        access_logger.log(request, response, seconds)


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset, os.SEEK_SET)
    return file.read(size)
