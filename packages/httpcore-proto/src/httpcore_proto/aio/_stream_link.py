"""A link over an anyio byte stream: trio's link, right on asyncio too.

Theory of operation. Somebody has to read. A *pumped* link (a server's) has a task in
`pump`, which receives, delivers, sends what the receiver itself wrote, and at the end
closes and tells the loss. A *pulled* link (a client's) has no task: `more` receives once
in the task of its caller, and the loss is told by the next `more`, `drain` or
`wait_closed`, because the calls that cause it (`close`, `abort`) must not call back.

`write` only queues. `drain` sends, as does the pump for a receiver that wrote and has no
task. One of them sends at a time; `_sending` is the lock. There is one event for all that
can be waited for, replaced each time it is set; who waits looks at the state again.

Below the link, and below TLS, lies a `Pipe`. It sends what the socket takes without waiting,
and only if something is left it waits, with a reader beside it: two peers that write at each
other cannot block each other, and what fits the socket's buffer costs no second task. What is
left when a `drain` is cancelled stays in the pipe, as in an asyncio transport.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from ._deadlines import in_time
from ._errors import BusyError, LinkLostError
from ._interfaces import Receiver
from ._pipe import RECEIVE_SIZE, STREAM_ERRORS, Pipe, os_error, socket_facts, tls_facts
from ._sendfile import FileSender

# Bytes that a receiver may write back while nothing leaves, before reading stops: asyncio's
# default high-water mark. Without it a peer that sends pings and reads nothing fills memory.
_MAX_UNSENT_SIZE: Final = 65536

# Bytes given to TLS at once, lest a large body be in memory twice; sixteen records.
_TLS_SIZE: Final = 2**18

# Seconds that `close` gives to the queued bytes; asyncio's limit for the end of TLS.
_CLOSE_TIMEOUT: Final = 30.0
# Seconds for what a task that is cancelled may still do.
_LAST_TIMEOUT: Final = 1.0


class StreamLink:
    """A link over `stream`. `hand_over` to its receiver; if it is pumped, run `pump` in a task."""

    __slots__ = (
        "_closing",
        "_deliveries",
        "_drains",
        "_eof",
        "_event",
        "_exc",
        "_facts",
        "_held",
        "_lost",
        "_more",
        "_more_scope",
        "_paused",
        "_pipe",
        "_pumped",
        "_queue",
        "_queued",
        "_reading",
        "_receiver",
        "_scope",
        "_sending",
        "_stash",
        "_stream",
        "_tls",
        "_write_eof",
        "deadline",
        "needs_drain",
    )

    def __init__(self, stream: ByteStream, receiver: Receiver, *, pumped: bool) -> None:
        self._receiver = receiver
        self._pumped = pumped
        self._event: anyio.Event | None = None
        sock = stream.extra(SocketAttribute.raw_socket, None)
        # Asked now: once the peer is gone the socket does not know its name any more.
        self._facts: dict[str, Any] = {} if sock is None else socket_facts(sock)
        self._pipe = Pipe(stream, sock, self)
        self._stream: Pipe | TLSStream = self._pipe
        self._tls = False
        self._queue: list[bytes | memoryview] = []
        self._queued = 0  # bytes
        self._stash: bytes | None = None  # received, not delivered because of a pause
        self._scope: anyio.CancelScope | None = None  # around the pump's reading
        self._more_scope: anyio.CancelScope | None = None  # around what `more` sends
        self._exc: Exception | None = None
        self._deliveries = 0
        self._closing = self._lost = self._eof = self._write_eof = False
        self._reading = self._sending = self._more = self._drains = False
        self._paused = self._held = False
        self.deadline: float | None = None
        self.needs_drain = False

    # For the runtime.

    async def handshake(
        self, context: ssl.SSLContext, hostname: str | None, *, server: bool
    ) -> None:
        """Put TLS on top of the pipe; if that fails the link is to be aborted."""
        self._held = self._pipe.handshaking = True
        error: OSError | None = None
        try:
            # Not standard-compatible: HTTP frames its messages, and half the web ends
            # TLS by closing the socket.
            self._stream = stream = await TLSStream.wrap(
                self._stream,  # the pipe, or TLS with a proxy
                ssl_context=context,
                hostname=hostname,
                server_side=server,
                standard_compatible=False,
            )
            await self._pipe.flush()
        except STREAM_ERRORS as exc:
            error = os_error(exc, "connection lost during the TLS handshake")
        finally:
            self._held = self._pipe.handshaking = False
        if error is not None:
            raise error
        self._tls = True
        self._facts |= tls_facts(stream.extra(TLSAttribute.ssl_object), context)

    async def pump(self) -> None:
        """Read and deliver until the end; returns after the loss was told."""
        try:
            while not self._closing:
                with anyio.CancelScope() as self._scope:
                    await self.read_all(until_written=True)
                self._scope = None
                if self.needs_drain and not self._closing:
                    try:
                        await self._flush()
                    except OSError:
                        pass  # the link is broken now, which ends the loop
            await self._finish()
        finally:
            if not self._lost:
                # Cancelled. What `close` left to be sent gets one chance.
                if self._closing and not self._pipe.closed:
                    with anyio.move_on_after(_LAST_TIMEOUT, shield=True):
                        await self._finish()
                self._release()
                await self._close_all()
                self._tell_lost()

    # The link.

    @property
    def closing(self) -> bool:
        """Whether the link is closed or about to be."""
        return self._closing

    def write(self, data: bytes) -> None:
        """Queue bytes for `drain`."""
        if data and not self._closing and not self._write_eof:
            self._queue.append(data)
            self._queued += len(data)
            self.needs_drain = True

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Queue several pieces."""
        for piece in pieces:
            self.write(piece)

    def write_eof(self) -> None:
        """Half-close behind what is queued; TLS streams cannot."""
        if not self._tls and not self._closing and not self._write_eof:
            self._write_eof = self.needs_drain = True

    async def drain(self) -> None:
        """Send everything that is queued."""
        if self._drains:
            raise BusyError("another task is in drain()")
        if not self.needs_drain:
            return
        self._drains = True
        try:
            if not self._closing:
                await in_time(self.deadline, self._flush)
                return
            if not self._pumped:
                await in_time(self.deadline, self._finish)
        finally:
            self._drains = False
            if self._closing and not self._pumped:
                self._release()
        raise self._lost_error()

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file by a pumped link over a plain socket."""
        await self.drain()
        if self._tls or not self._pumped:
            return False
        sender = FileSender(file.fileno(), offset, count)
        self._drains = self._sending = True
        try:
            return await in_time(self.deadline, lambda: self._pipe.sendfile(sender))
        except STREAM_ERRORS as exc:
            self._break(exc)
            error = os_error(exc, "connection lost")
        finally:
            self._drains = self._sending = False
            self.wake()
        raise error

    async def more(self) -> None:
        """Send what is queued; then receive and deliver, or wait until the pump has."""
        if self._more:
            raise BusyError("another task is in more()")
        self._more = True
        try:
            await in_time(self.deadline, self._deliver)
        finally:
            self._more = False

    def pause_reading(self) -> None:
        """Keep what comes from here on, which is one receive at most."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on, first with what was kept."""
        if self._paused:
            self._paused = False
            self.wake()

    def close(self) -> None:
        """Close behind what is queued.

        The pump does that. Without one the socket is closed here and now if nothing is
        queued, else by the `drain` that is sending, or by `wait_closed`.
        """
        if self._closing:
            return
        self._closing = self.needs_drain = True
        if self._pumped:
            if self._scope is not None:
                self._scope.cancel()
        elif not self._queue and not self._sending:
            self._release()
        self.wake()

    def abort(self) -> None:
        """Close now; the socket is closed when this returns."""
        if not self._lost:
            self._release()

    async def wait_closed(self) -> None:
        """Wait for the loss; a pulled link that was closed sends its rest and tells it here."""
        while not self._lost:
            if self._closing and not self._pumped:
                await self._finish()
            else:
                await self.change()
        if not self._pumped:
            await self._close_all()  # `abort`, or an error, could not wait for it

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Do the handshake in this task, while nobody else reads."""
        if self._closing:
            raise self._lost_error()
        if self._reading and not self._pumped:
            raise BusyError("another task is in more()")
        self._held = True
        try:
            if self._scope is not None:
                self._scope.cancel()  # the pump begins again, and finds the link held
            while self._reading:
                await self.change()
            if self._closing:
                raise self._lost_error()
            await self.handshake(context, server_hostname, server=server_side)
        except BaseException as exc:
            self._break(exc)
            if not self._pumped:
                self._tell_lost()
            raise
        finally:
            self._held = False
            self.wake()

    def hand_over(self, receiver: Receiver) -> None:
        """Call another receiver from here on."""
        self._receiver = receiver
        receiver.link_made(self)

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        """Return False: what is received is bytes already."""
        return False

    def info(self, name: str, default: Any = None) -> Any:
        """Facts taken when the link was made."""
        return self._facts.get(name, default)

    # Reading.

    async def _deliver(self) -> None:
        """Return once the receiver was called, whoever called it."""
        seen = self._deliveries
        if self.needs_drain and not (self._closing or self._sending or self._pipe.torn):
            # A delivery ends this, too: an answer may come before the question is taken.
            with anyio.CancelScope() as self._more_scope:
                try:
                    await self._flush()
                except OSError:
                    pass  # the receiver is told of the loss, which ends the wait
            self._more_scope = None
        while seen == self._deliveries and not self._lost:
            if self._pumped:
                await self.change()
            elif self._closing:
                await self._finish()
            elif self._unreadable():
                await self.change()
            else:
                await self._receive()

    async def read_all(self, *, until_written: bool = False) -> None:
        """Receive and deliver: the pump's loop, and that of a send that waits."""
        while not self._closing and not (until_written and self.needs_drain and not self._sending):
            if self._unreadable() or self._queued > _MAX_UNSENT_SIZE:
                await self.change()
            else:
                await self._receive()

    def _unreadable(self) -> bool:
        return self._paused or self._held or self._reading or self._eof

    async def _receive(self) -> None:
        """Receive once and deliver that. Cancelled it has lost nothing."""
        if self._stash is None:
            self._reading = True
            try:
                self._stash = await self._stream.receive(RECEIVE_SIZE)
            except anyio.EndOfStream:
                self._stash = b""
            except STREAM_ERRORS as exc:
                self._break(exc)
                if not self._pumped:
                    self._tell_lost()
                return
            finally:
                self._reading = False
                self.wake()
        if self._closing or self._paused:
            return  # things may have changed while this waited
        data, self._stash = self._stash, None
        self._deliveries += 1
        if data:
            self._receiver.bytes_received(data)
        else:
            self._eof = True
            self._receiver.eof_received()
            if self._tls:
                self.close()  # TLS has no half-closed state that both sides agree on
        if self._more_scope is not None and self._pipe.resumable:
            self._more_scope.cancel()
        self.wake()

    # Sending.

    async def _flush(self) -> None:
        """Send until nothing is queued."""
        while self._sending:
            await self.change()
        if self._pipe.closed:
            raise self._lost_error()
        self._sending = True
        try:
            await self._pipe.flush()
            while self._queue:
                data = self._take()
                self.wake()  # reading may have stopped because of what was queued
                await self._stream.send(data)  # type: ignore[arg-type]  # any buffer will do
                await self._pipe.flush()
            if self._write_eof and not self._pipe.closed:
                await self._stream.send_eof()
        except STREAM_ERRORS as exc:
            if not self._pumped and not self._pipe.torn:
                await self._read_rest()
            self._break(exc)
            if not self._pumped:
                self._tell_lost()
        finally:
            self._sending = False
            self.wake()
        if self._pipe.closed:
            raise self._lost_error()
        self.needs_drain = self._closing

    def _take(self) -> bytes | memoryview:
        """Take what is queued, or as much of it as TLS should have at once."""
        pieces, self._queue, self._queued = self._queue, [], 0
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._tls and len(data) > _TLS_SIZE:
            view = memoryview(data)
            self._queue.append(view[_TLS_SIZE:])
            data = view[:_TLS_SIZE]
        return data

    async def _read_rest(self) -> None:
        """Deliver what came before a send failed: perhaps the answer that says why.

        After a reset a socket gives what it has and then the error, so this never
        waits; the limit is for streams that are no sockets.
        """
        with anyio.move_on_after(_LAST_TIMEOUT):
            while not self._closing and not self._unreadable():
                await self._receive()

    # The end.

    async def _finish(self) -> None:
        """Send the rest, end TLS, close, tell."""
        if not self._pipe.closed:
            with anyio.move_on_after(_CLOSE_TIMEOUT):
                with contextlib.suppress(*STREAM_ERRORS):  # it was to be closed anyway
                    await self._flush()
                    await self._end_tls()
            self._release()
        await self._close_all()
        self._tell_lost()

    async def _end_tls(self) -> None:
        """Say that the end is an end; the peer's word for the same is not waited for."""
        stream: Any = self._stream
        if self._tls:
            self._pipe.muted = True
            while isinstance(stream, TLSStream):
                with contextlib.suppress(*STREAM_ERRORS):
                    await stream.unwrap()
                stream = stream.transport_stream
            await self._pipe.flush()

    async def _close_all(self) -> None:
        """Close what `Pipe.close` could not: streams with several parts."""
        with anyio.move_on_after(_LAST_TIMEOUT, shield=True):
            with contextlib.suppress(*STREAM_ERRORS):
                await self._pipe.aclose()

    def reads_elsewhere(self) -> bool:
        """Whether a send that waits needs no reader beside it, or must not have one."""
        return self._scope is not None or self._held or self._closing

    def _break(self, exc: BaseException) -> None:
        """Close because of an error; one that comes after `close` is of no interest."""
        if isinstance(exc, Exception) and not self._closing:
            self._exc = os_error(exc, "connection lost")
        self._release()

    def _release(self) -> None:
        """Close the socket, and end all waits for it."""
        if not self._pipe.closed:
            self._closing = self.needs_drain = True
            self._queue.clear()
            self._pipe.close()
            if self._scope is not None:
                self._scope.cancel()
            self.wake()

    def _tell_lost(self) -> None:
        if not self._lost:
            self._lost = self._closing = self.needs_drain = True
            self._deliveries += 1
            self._receiver.link_lost(self._exc)
            self.wake()

    def _lost_error(self) -> LinkLostError:
        error = LinkLostError("the link is closed" if self._exc is None else str(self._exc))
        error.__cause__ = self._exc
        return error

    # Waiting.

    async def change(self) -> None:
        """Wait until anything has changed."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

    def wake(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None
