"""Sending a request whose body takes more than one write, or whose sending is watched.

The server may answer while the body is on its way; RFC 9112 section 9.3 tells a client to
stop when it sees that the body is not wanted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, Final, TypeAlias

import anyio
import anyio.lowlevel

from httpcore_proto import (
    NEED_DATA,
    ClientConnection,
    ContentEncoder,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Response,
)
from httpcore_proto.aio import (
    AnyioRuntime,
    AsyncEncoder,
    Link,
    PayloadConsumedError,
    PayloadSizeError,
    current_runtime,
)

from ._errors import ClientPayloadError
from ._request import MAX_JOINED, OutgoingRequest
from ._trace_params import TraceRequestChunkSentParams, TraceRequestHeadersSentParams

#: A head that no other follows: a response, or 101.
FinalResponse: TypeAlias = Response | InformationalResponse

#: Seconds to wait for a server that was asked with `Expect: 100-continue`. Many servers and
#: proxies know nothing of it, so RFC 9110 section 10.1.1 wants that the body is sent at last;
#: curl waits as long.
CONTINUE_DELAY: Final[float] = 1.0
# Bytes that are written at once where somebody wants to know how far it is; the number of
# bytes that asyncio's transports take before they want to be drained.
_STEP: Final = 65536
_END: Final = EndOfMessage()


def early_response(machine: ClientConnection) -> FinalResponse | None:
    """Return the final head, if the machine has it; other interim ones are dropped.

    Raises:
        RemoteProtocolError: The server broke the protocol.
    """
    event = machine.next_event()
    while type(event) is InformationalResponse and event.status != 101:
        event = machine.next_event()
    return event if isinstance(event, (Response, InformationalResponse)) else None


class UploadStoppedError(Exception):
    """The rest of a request is not to be sent. It never leaves a connection.

    Attributes:
        response: The answer that came before; None if there is none, but the connection ends.
    """

    def __init__(self, response: FinalResponse | None) -> None:
        super().__init__(response)
        self.response = response


class Upload:
    """One request that is being sent. Its connection tells it when something arrived.

    It is the writer of its payload. A cancel scope ends the wait for the link, or for the
    next piece; one per upload, since it costs as much as a small request.

    Args:
        request: What to send.
        link: Where it is sent.
        machine: What encodes it.
        drain: Awaits the link, within `write`; raises `UploadStoppedError` if the link breaks
            and there is a response.
        in_steps: Whether to write no more than 64 KiB at once.
        written: Whether all is written, and only the link has to send it.

    Attributes:
        response: The response that came before the end.
        torn: The request was not sent to its end, so nothing can follow it.
    """

    __slots__ = (
        "_continued",
        "_drain",
        "_encoder",
        "_finished",
        "_in_handler",
        "_in_steps",
        "_link",
        "_machine",
        "_raw",
        "_request",
        "_scope",
        "_sent",
        "_size",
        "_stopped",
        "_watched",
        "_written",
        "response",
        "torn",
    )

    def __init__(
        self,
        request: OutgoingRequest,
        link: Link,
        machine: ClientConnection,
        drain: Callable[[Awaitable[bool | None]], Awaitable[bool | None]],
        in_steps: bool,
        written: bool = False,
    ) -> None:
        self._request = request
        self._link = link
        self._machine = machine
        self._drain = drain
        self._watched = request.tracker is not None or request.progress is not None
        self._in_steps = in_steps or self._watched
        self._written = written
        self._encoder: AsyncEncoder | None = None
        self._size = request.size  # on the wire, without framing
        self._sent = 0
        self._raw = 0  # bytes of the next pieces that the machine has counted already
        self._scope = anyio.CancelScope()
        self._continued = False
        self._finished = False  # all is written
        self._in_handler = False
        self._stopped = False
        self.response: FinalResponse | None = None
        self.torn = False

    async def send(self, seconds: float | None) -> bool:
        """Send head and body.

        Args:
            seconds: How long it may take; None for ever.

        Returns:
            Whether the time passed.

        Raises:
            ClientPayloadError: The body is gone, or has another size than it told.
            Exception: What the payload, a trace or `progress` raises, or the link.
        """
        with self._scope as scope:
            if seconds is not None:
                scope.deadline = anyio.current_time() + seconds
            try:
                await self._send()
            except UploadStoppedError as stopped:
                self._stopped = self.torn = True
                if self.response is None:
                    self.response = stopped.response
            except (PayloadConsumedError, PayloadSizeError) as exc:
                raise ClientPayloadError(f"Request payload: {exc}") from exc
        if scope.cancelled_caught:
            if self._stopped and self._sent == self._size:
                # The answer came when all was sent, and only the payload was not through.
                self._link.write(self._machine.send(_END))
                self._end()
                return False
            self.torn = True
            return not self._stopped
        return False

    # The writer of a payload.

    async def write(self, chunk: bytes) -> None:
        """Send a piece of the body.

        Raises:
            UploadStoppedError: It is not wanted any more.
            LocalProtocolError: It is more than the head has announced.
            OSError: The connection broke.
            TypeError: It is not bytes.
        """
        if not isinstance(chunk, bytes):
            # Of an integer bytes() would make so many zeros.
            chunk = memoryview(chunk).tobytes()
        encoded = chunk if self._encoder is None else await self._encoder.encode(chunk)
        await self._put(encoded)
        if chunk and self._request.traces is not None:
            await self._tell_chunk(chunk)

    async def write_file(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file by itself; see `FileWriter`.

        Not where each piece has to be seen.
        """
        request = self._request
        if self._in_steps or self._encoder is not None or request.traces is not None:
            return False
        if self._stopped:
            raise UploadStoppedError(self.response)
        if not self._machine.pass_body(count):
            return False
        if await self._drain(self._link.sendfile(file, offset, count)):
            self._sent += count
            return True
        self._raw = count
        return False

    # For the connection.

    def look(self) -> None:
        """Something arrived: stop if it is an answer, an end, or no HTTP at all."""
        try:
            if self.response is None:
                next_event = self._machine.next_event
                event = next_event()
                while type(event) is InformationalResponse and event.status != 101:
                    if event.status == 100:
                        self._continued = True
                    event = next_event()
                if isinstance(event, (Response, InformationalResponse)):
                    self.response = event
                elif event is NEED_DATA:
                    return
        except RemoteProtocolError:
            pass  # the connection gets it again
        self.stop()

    def stop(self) -> None:
        """Stop sending, unless it is through."""
        if not self._finished:
            self._stopped = True
            # A trace handler is not to be cancelled because the server is quick.
            if not self._in_handler:
                self._scope.cancel()

    # Inside.

    async def _send(self) -> None:
        request, link, machine = self._request, self._link, self._machine
        payload, body = request.payload, request.body
        if self._written:
            await self._drained()
            self._end()
            return
        if payload is not None and payload.consumed:
            raise PayloadConsumedError(
                f"{type(payload).__name__} was sent or closed, and cannot be had again"
            )
        if request.tracker is not None:
            request.tracker.begin()
        small = len(body) <= MAX_JOINED
        if (
            payload is None
            and request.coding is None
            and not request.expects_continue
            and (small or not self._in_steps)
        ):
            if small:
                link.write(machine.send_message(request.head, body))
            else:
                head = machine.send(request.head)
                link.writelines((head, machine.send_data(body), machine.send(_END)))
            await self._drained()
            self._count(len(body))
            self._end()
            if request.traces is not None:
                await self._tell_head()
                if body:
                    await self._tell_chunk(body)
            return
        link.write(machine.send(request.head))
        if request.traces is not None:
            await self._tell_head()
        if request.expects_continue:
            await self._wait_for_continue()
            if self._stopped:
                raise UploadStoppedError(self.response)
        if isinstance(current_runtime(), AnyioRuntime):
            await self._listening(self._send_body)
        else:
            await self._send_body()

    async def _send_body(self) -> None:
        request = self._request
        if request.coding is not None:
            self._encoder = AsyncEncoder(ContentEncoder(request.coding))
        if request.payload is not None:
            await request.payload.write(self)
        else:
            await self.write(request.body)
        if self._encoder is not None:
            await self._put(await self._encoder.finish())
        if self._stopped and self._sent != self._size:
            raise UploadStoppedError(self.response)
        self._link.write(self._machine.send(_END))
        await self._drained()
        self._end()

    async def _listening(self, function: Callable[[], Awaitable[None]]) -> None:
        """Call `function` with somebody beside it who reads.

        Where nobody else does, an answer would be seen when the socket is full, which it
        never is if the server takes what it does not want.
        """
        error: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            try:
                await function()
            except Exception as exc:
                error = exc  # a task group would wrap it
            tasks.cancel_scope.cancel()
        if error is not None:
            raise error

    async def _listen(self) -> None:
        while not self._stopped:
            try:
                await self._link.more()
            except TimeoutError:
                await anyio.lowlevel.checkpoint()  # of `write`, or the scope has it too

    def _end(self) -> None:
        """Note that all is written."""
        self._finished = True
        if self._request.tracker is not None:
            self._request.tracker.complete()

    async def _put(self, data: bytes) -> None:
        """Write encoded body, wait while the server is slow, and count."""
        link = self._link
        step = _STEP if self._in_steps else len(data)
        for start in range(0, len(data), step or 1):
            if self._stopped:
                raise UploadStoppedError(self.response)
            piece = data if step == len(data) else data[start : start + step]
            if self._raw:
                self._raw -= len(piece)
                link.write(piece)
            else:
                link.write(self._machine.send_data(piece))
            await self._drained()
            self._count(len(piece))

    async def _drained(self) -> None:
        if self._link.needs_drain:
            await self._drain(self._link.drain())

    def _count(self, number: int) -> None:
        self._sent += number
        if not self._watched or not number:
            return
        request = self._request
        if request.tracker is not None:
            request.tracker.bytes_written = self._sent
        if request.progress is not None:
            request.progress(self._sent, self._size)

    async def _wait_for_continue(self) -> None:
        """Wait for 100, for an answer, or until it is clear that none comes."""
        link = self._link
        deadline, link.deadline = link.deadline, None  # the scope has it
        try:
            with anyio.move_on_after(CONTINUE_DELAY):
                while not self._continued and not self._stopped:
                    await link.more()
        finally:
            link.deadline = deadline

    async def _tell_head(self) -> None:
        info = self._request.info
        params = TraceRequestHeadersSentParams(info.method, info.url, info.headers)
        await self._tell("on_request_headers_sent", params)

    async def _tell_chunk(self, chunk: bytes) -> None:
        url = self._request.url
        params = TraceRequestChunkSentParams(self._request.method, url, chunk)
        await self._tell("on_request_chunk_sent", params)

    async def _tell(self, name: Any, params: object) -> None:
        traces = self._request.traces
        assert traces is not None
        self._in_handler = True
        try:
            await traces.send(name, params)
        finally:
            self._in_handler = False
