"""The half of a WebSocket that the link calls: what arrives is looked at here, at once.

Theory of operation. `bytes_received` gives the bytes to the machine and takes every event
there is. Pings are answered and pongs noted in this very call, so that a slow handler does
not look like a dead peer. Everything else waits in `_queue`, in the order of the wire, for
`receive`; also what ends the connection does, so that a handler may still answer the
messages before it. When the queue is full, reading stops and what has come stays bytes.

Of the tasks that wait for news one is in the link's `more`, which on some links is what
reads; the others have a waiter each, are woken by every delivery, and by the reader when it
leaves, so that one of them goes on in its place.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

import anyio

from httpcore_proto import NEED_DATA, ConnectionClosed
from httpcore_proto.aio import Link, LinkLostError, Runtime, Task, Waiter

from ._connection import WebSocketConnection, WSEvent
from ._errors import WebSocketError
from ._messages import WSMsgType
from ._states import WSState

# What a message costs beside its payload, so that a flood of empty ones is bounded as well;
# aiohttp's number.
OVERHEAD: Final = 128
# Octets of pongs that may wait for a peer that reads nothing, beside what the link holds
# (64 KiB, as its own mark). Behind them only the last ping is answered, which RFC 6455
# section 5.5.3 allows.
_MAX_UNSENT_PONGS: Final = 65536

# Members of an enum are slow to look up on its class (Python 3.11).
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CLOSE: Final = WSMsgType.CLOSE
_PONG: Final = WSMsgType.PONG


class Receiving:
    """The receiver of one link; the base of `WebSocket`."""

    __slots__ = (
        "_autoping",
        "_backlog",
        "_close_code",
        "_closing",
        "_drain_lock",
        "_ended",
        "_eof",
        "_exception",
        "_flusher",
        "_heard_at",
        "_heart",
        "_link",
        "_lost",
        "_machine",
        "_max_queue",
        "_on_end",
        "_over",
        "_owed_pong",
        "_parsing",
        "_paused",
        "_pinged",
        "_queue",
        "_queued",
        "_reading",
        "_runtime",
        "_unsent_pongs",
        "_waiters",
        "latency",
    )

    #: The error of a connection that is lost or closed; subclasses may have one of their own.
    lost_error: ClassVar[type[OSError]] = LinkLostError

    #: Seconds from the last ping that was answered to its pong; None before.
    latency: float | None

    def __init__(
        self,
        machine: WebSocketConnection,
        runtime: Runtime,
        *,
        autoping: bool,
        max_queue: int,
        on_end: Callable[[], None] | None,
    ) -> None:
        self._machine = machine
        self._runtime = runtime
        self._link: Link
        self._autoping = autoping
        self._on_end = on_end
        self._queue: deque[WSEvent | Exception] = deque()
        self._queued = 0
        self._max_queue = max_queue
        # Whether bytes are looked at. Not while the queue is full (`_paused`), and not
        # behind what ends the peer's direction (`_over`).
        self._parsing = True
        self._paused = False
        self._over = False
        self._closing = False  # `close` was called: what still comes is dropped
        self._eof = False
        self._lost = False
        self._ended = False  # nothing more to receive
        self._reading = False
        self._waiters: list[Waiter] = []
        self._drain_lock: anyio.Lock | None = None
        # What was broadcast and is not sent, in octets, and the task that sends it.
        self._backlog = 0
        self._flusher: Task | None = None
        self._exception: BaseException | None = None
        self._close_code: int | None = None
        # Payload of the last ping that is not answered yet; what waits of those that are.
        self._owed_pong: bytes | None = None
        self._unsent_pongs = 0
        self._pinged: tuple[bytes, float] | None = None
        self.latency = None
        self._heart: Task | None = None
        self._heard_at = 0.0

    # Called by the link.

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self._link = link

    def bytes_received(self, data: bytes) -> None:
        """Take bytes, and everything that they complete."""
        if self._heart is not None:
            self._heard_at = self._runtime.now()
        if self._parsing:
            message = self._machine.take_message(data)
            if message is None or self._closing:
                self._parse()
            else:
                self._enqueue(message, message[1])
        else:
            self._machine.receive_data(data)
        if self._owed_pong is not None and not self._link.needs_drain:
            self._pay_pong()
        if self._waiters:
            self._wake()

    def eof_received(self) -> None:
        """Take the end of the peer's direction."""
        self._eof = True
        self._machine.receive_eof()
        if self._parsing:
            self._parse()
        self._wake()

    def link_lost(self, exc: Exception | None) -> None:
        """The link is gone; what had come before can still be received."""
        if self._lost:
            return
        self._lost = True
        self._machine.receive_eof()
        if exc is not None:
            self._exception = self._lost_because(exc)
        if self._parsing:
            self._parse()
        if self._heart is not None:
            self._heart.cancel()
        if self._on_end is not None:
            self._on_end()
        self._wake()

    # What has come.

    def _parse(self) -> None:
        next_event = self._machine.next_event
        try:
            while (event := next_event()) is not NEED_DATA:
                if type(event) is ConnectionClosed:
                    self._put_last(event)
                    self._link.close()
                    return
                kind: WSMsgType = event[0]  # type: ignore[index]  # all others are tuples
                payload: Any = event[1]  # type: ignore[index]
                if kind is _TEXT or kind is _BINARY:
                    if self._closing:
                        continue
                elif kind is _CLOSE:
                    self._put_last(event)
                    return
                elif not self._control(kind, payload):
                    continue
                self._enqueue(event, payload)
                if self._paused:
                    return
        except WebSocketError as exc:
            self._put_last(exc)

    def _enqueue(self, event: WSEvent, payload: str | bytes) -> None:
        """Queue a message; stop reading if there is no room for more."""
        self._queue.append(event)
        self._queued += OVERHEAD + len(payload)
        if self._queued > self._max_queue:
            self._parsing = False
            self._paused = True
            self._link.pause_reading()

    def _put_last(self, event: WSEvent | Exception) -> None:
        """Queue what ends the peer's direction."""
        self._parsing = False
        self._over = True
        if not self._closing:
            self._queue.append(event)
        elif isinstance(event, Exception):
            self._exception = event

    def _control(self, kind: WSMsgType, payload: bytes) -> bool:
        """Take a ping or pong; whether it is to be received as a message."""
        if kind is _PONG:
            if self._pinged is not None and self._pinged[0] == payload:
                self.latency = time.perf_counter() - self._pinged[1]
                self._pinged = None
        elif self._autoping and self._machine.our_state is not WSState.CLOSED:
            self._pong(payload)
        return not (self._autoping or self._closing)

    def _pong(self, payload: bytes) -> None:
        link = self._link
        if not link.needs_drain:
            self._unsent_pongs = 0
        elif self._unsent_pongs > _MAX_UNSENT_PONGS:
            self._owed_pong = payload
            return
        self._owed_pong = None  # to an earlier ping
        frame = self._machine.send_pong(payload)
        self._unsent_pongs += len(frame)
        link.write(frame)

    def _pay_pong(self) -> None:
        """Answer the last ping, now that the peer reads again."""
        payload, self._owed_pong = self._owed_pong, None
        if payload is not None and self._machine.our_state is not WSState.CLOSED:
            self._pong(payload)

    def _make_room(self) -> None:
        """Go on reading if there is room again."""
        if self._queued <= self._max_queue // 2:
            self._go_on()

    def _go_on(self) -> None:
        self._paused = False
        self._parsing = True
        # What comes while reading is paused may have come before it was: any time since
        # counts as silence that was ours.
        self._heard_at = self._runtime.now()
        self._parse()
        if not self._paused:
            self._link.resume_reading()

    # Waiting.

    async def _more(self, deadline: float | None) -> None:
        """Wait for news.

        Raises:
            TimeoutError: `deadline` passed.
        """
        if not self._reading and not self._lost:
            await self._read(deadline)
            return
        waiter = self._runtime.waiter()
        self._waiters.append(waiter)
        try:
            await in_time(deadline, waiter.wait)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def _read(self, deadline: float | None) -> None:
        """Wait for news as the one task that is in the link's `more`."""
        self._reading = True
        self._link.deadline = deadline
        try:
            await self._link.more()
        finally:
            self._reading = False
            if self._waiters:
                self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()

    # The end.

    async def _finish(self, deadline: float | None) -> None:
        """Close the link behind what is queued, and wait until it is lost."""
        link = self._link
        link.close()
        try:
            await in_time(deadline, link.wait_closed)
        except TimeoutError:
            pass  # it does not take what is queued
        finally:
            await self._drop()

    async def _drop(self) -> None:
        """Abort the link, if it is not lost; nothing more is to be received."""
        try:
            await self._drop_link()
        finally:
            self._ended = True
            self._queue.clear()
            self._wake()

    async def _drop_link(self) -> None:
        if not self._lost:
            self._link.abort()
            # Does not wait for the peer, nor for long.
            with anyio.CancelScope(shield=True):
                await self._link.wait_closed()

    def _lost_because(
        self, exc: BaseException | None, text: str = "Connection lost"
    ) -> BaseException:
        error = self.lost_error(str(exc or "") or text)
        error.__cause__ = exc
        return error


async def in_time(deadline: float | None, function: Callable[[], Awaitable[None]]) -> None:
    """Call a function, and raise `TimeoutError` at the deadline."""
    if deadline is None:
        await function()
        return
    with anyio.CancelScope(deadline=deadline):
        await function()
        return
    raise TimeoutError("deadline passed")
