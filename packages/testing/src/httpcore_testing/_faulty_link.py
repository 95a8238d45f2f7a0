"""Networks that misbehave on purpose: bytes in pieces, late, cut off, or half-closed.

Theory of operation. A `FaultyLink` is the receiver of the link below and the link of the
receiver above. What comes from below is held, cut into pieces, and told on. Where nothing
hinders that, it is told inside the call from below. What is late, or was held back by a
pause, is told by `_tell_next`: in `more` and `wait_closed` of the receiver, or in a task, if
there is a runtime for one. Faults concern only what is received; what is sent goes through.
"""

from __future__ import annotations

import errno
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, BinaryIO, Final, TypeVar

import anyio
import anyio.lowlevel

from httpcore_proto.aio import BusyError, Link, Receiver, Runtime, Task

T = TypeVar("T")

# Bytes that are held before the link below is paused, as in asyncio's streams.
_HIGH_WATER: Final = 65536


class FaultyLink:
    """Stands between a link and a receiver, and breaks what is received.

    Give it to what makes links in place of the receiver; the receiver's `link_made` gets
    the `FaultyLink`. Without faults it changes nothing but that `fill` is refused. With TLS
    below, it is the plain text that is cut.

    Args:
        receiver: Who is to suffer.
        split: Where to cut: an int for pieces of at most so many bytes, or the sizes of the
            first pieces, behind which nothing is cut. A piece ends as well where one from
            below does.
        delay: Seconds before each piece.
        drop_after: Bytes after which the link is lost with `ConnectionResetError`; 0 as
            soon as anything comes.
        half_close_after: Bytes after which the end is told, and the rest dropped; 0 as soon
            as anything comes.
        runtime: Whose task tells what is late or was held back. Needed by receivers that
            do not wait in `more`, such as those of a server; it has to be entered.

    Raises:
        ValueError: A number is negative, or a size of `split` is not positive.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        split: int | Sequence[int] | None = None,
        delay: float = 0.0,
        drop_after: int | None = None,
        half_close_after: int | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        check_faults(split, delay, drop_after, half_close_after)
        self.deadline: float | None = None
        self._receiver = receiver
        self._runtime = runtime
        self._delay = delay
        self._drop_after = drop_after
        self._half_close_after = half_close_after
        self._sizes: Iterator[int] = repeat(split) if isinstance(split, int) else iter(split or ())
        self._until_cut = next(self._sizes, None)
        self._below: Link
        # What came, and is to be told in this order: bytes, the end, the loss.
        self._held: deque[bytes] = deque()
        self._offset = 0  # of what is not told in the first of them
        self._size = 0
        self._eof = self._eof_told = False
        self._loss: tuple[Exception | None] | None = None
        self._lost = False
        self._received = 0
        self._paused = self._below_paused = False
        self._told = 0  # calls of the receiver
        self._due: float | None = None  # when the next piece is, once somebody waits for it
        self._telling = self._in_more = False
        self._draining = 0
        self._event: anyio.Event | None = None
        self._scope: anyio.CancelScope | None = None  # around the `more` below
        self._task: Task | None = None

    @property
    def link(self) -> Link:
        """This link; a connection has the same attribute."""
        return self

    # For the link below.

    def link_made(self, link: Link) -> None:
        """Keep the link below, and tell of this one."""
        self._below = link
        self._receiver.link_made(self)

    def bytes_received(self, data: bytes) -> None:
        """Hold bytes, as far as faults let them through, and tell what can be told."""
        before = self._received
        self._received += len(data)
        limits = (self._half_close_after, self._drop_after)
        kept = min([len(data), *(max(0, limit - before) for limit in limits if limit is not None)])
        if kept:
            self._held.append(data[:kept])
            self._size += kept
        if self._half_close_after is not None and self._received >= self._half_close_after:
            self._eof = True
        if self._drop_after is not None and self._received >= self._drop_after:
            self._drop()
        self._tell_or_hold()

    def eof_received(self) -> None:
        """Tell the end behind what is held."""
        self._eof = True
        self._tell_or_hold()

    def link_lost(self, exc: Exception | None) -> None:
        """Tell the loss behind what is held."""
        if self._loss is None:
            self._loss = (exc,)
        self._tell_or_hold()

    # For the receiver.

    @property
    def needs_drain(self) -> bool:
        """That of the link below."""
        return self._below.needs_drain

    @property
    def closing(self) -> bool:
        """That of the link below."""
        return self._below.closing

    def write(self, data: bytes) -> None:
        """Write to the link below."""
        self._below.write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Write to the link below."""
        self._below.writelines(pieces)

    def write_eof(self) -> None:
        """Close our direction of the link below."""
        self._below.write_eof()

    async def drain(self) -> None:
        """Drain the link below, which goes on receiving whatever is held already.

        Raises:
            As `Link.drain`.
        """
        await self._sending(self._below.drain)

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file by the link below.

        Raises:
            As `Link.sendfile`.
        """
        return await self._sending(lambda: self._below.sendfile(file, offset, count))

    async def more(self) -> None:
        """Wait until the receiver was called; tell what is late.

        Raises:
            BusyError: Another task is in `more`.
            TimeoutError: `deadline` passed.
        """
        if self._in_more:
            raise BusyError("another task is in more()")
        self._in_more = True
        try:
            await _in_time(self.deadline, self._until_told)
        finally:
            self._in_more = False

    def pause_reading(self) -> None:
        """Tell nothing more, and pause the link below."""
        self._paused = True
        self._steer()

    def resume_reading(self) -> None:
        """Go on; what was held is told first."""
        self._paused = False
        self._steer()
        if self._tellable:
            self._wake()

    def close(self) -> None:
        """Close the link below; what is held is dropped."""
        self._forget()
        self._below.close()

    def abort(self) -> None:
        """Abort the link below; what is held is dropped."""
        self._forget()
        self._below.abort()

    async def wait_closed(self) -> None:
        """Wait until the link is lost and that is told."""
        while not self._lost:
            if self._tellable:
                await self._tell_next()
            elif self._loss is not None:
                await self._change()
            else:
                await self._below.wait_closed()
        await self._below.wait_closed()

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Go on in TLS below; from here on it is the plain text that is cut.

        Raises:
            As `Link.start_tls`.
        """
        await self._below.start_tls(
            context, server_side=server_side, server_hostname=server_hostname
        )

    def hand_over(self, receiver: Receiver) -> None:
        """Let another receiver suffer; it gets what is held."""
        self._receiver = receiver
        receiver.link_made(self)

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        """Return False: pieces are cut of bytes."""
        return False

    def info(self, name: str, default: Any = None) -> Any:
        """Facts about the link below."""
        return self._below.info(name, default)

    # Telling.

    @property
    def _tellable(self) -> bool:
        if self._lost:
            return False
        if self._held:
            return not self._paused
        return self._loss is not None or (self._eof and not self._eof_told and not self._paused)

    def _tell(self) -> None:
        """Call the receiver once."""
        self._told += 1
        if self._held:
            self._receiver.bytes_received(self._piece())
        elif self._eof and not self._eof_told and not self._paused:
            self._eof_told = True
            self._receiver.eof_received()
        else:
            assert self._loss is not None
            self._lost = True
            self._below.abort()
            self._receiver.link_lost(self._loss[0])

    def _piece(self) -> bytes:
        """Take the next piece of what is held."""
        data = self._held[0]
        end = len(data)
        if self._until_cut is not None:
            end = min(end, self._offset + self._until_cut)
            self._until_cut -= end - self._offset
            self._until_cut = self._until_cut or next(self._sizes, None)
        piece = data[self._offset : end]
        self._size -= len(piece)
        self._offset = end
        if end == len(data):
            self._held.popleft()
            self._offset = 0
        return piece

    def _tell_or_hold(self) -> None:
        """Tell all that can be told now; inside a call from below."""
        while self._tellable and not self._telling and not (self._held and self._delay):
            self._tell()
        self._steer()
        if self._tellable:
            self._wake()

    async def _tell_next(self) -> None:
        """Tell one thing when it is due, or wait for another task that is about to."""
        if self._telling:
            await self._change()
            return
        self._telling = True
        try:
            if self._held and self._delay:
                # Kept if this is cancelled, or who waits in short turns would wait for ever.
                self._due = self._due or anyio.current_time() + self._delay
                await anyio.sleep_until(self._due)
                self._due = None
            else:
                await anyio.lowlevel.checkpoint()
        finally:
            self._telling = False
            self._notify()
        if self._tellable:
            self._tell()
            self._tell_or_hold()
            self._wake()

    async def _until_told(self) -> None:
        told = self._told
        while self._told == told and not self._lost:
            if self._tellable:
                await self._tell_next()
            elif self._loss is not None:
                await self._change()
            else:
                await self._more_below()

    async def _more_below(self) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                await self._below.more()
        finally:
            self._scope = None

    async def _tell_all(self) -> None:
        """What the task does."""
        try:
            while self._tellable:
                await self._tell_next()
        finally:
            self._task = None

    def _wake(self) -> None:
        """See that what is held is told."""
        self._notify()
        if self._scope is not None:
            self._scope.cancel()  # `more` loses nothing by that
        if self._runtime is not None and self._task is None and self._tellable:
            self._task = self._runtime.spawn(self._tell_all())

    def _notify(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def _change(self) -> None:
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

    # Faults and flow.

    def _drop(self) -> None:
        """Lose the link, when what is held is told."""
        if self._loss is None:
            self._loss = (ConnectionResetError(errno.ECONNRESET, "dropped by drop_after"),)

    def _forget(self) -> None:
        self._held.clear()
        self._offset = self._size = 0
        self._eof = False
        if self._loss is not None and not self._lost:
            self._wake()

    def _steer(self) -> None:
        """Pause the link below, or let it go on."""
        full = self._size > _HIGH_WATER and not self._draining
        if (self._paused or full) != self._below_paused:
            self._below_paused = not self._below_paused
            if self._below_paused:
                self._below.pause_reading()
            else:
                self._below.resume_reading()

    async def _sending(self, function: Callable[[], Awaitable[T]]) -> T:
        # Two peers that write at each other would wait for ever if what is held stopped this.
        self._draining += 1
        self._steer()
        try:
            return await _in_time(self.deadline, function)
        finally:
            self._draining -= 1
            self._steer()


def check_faults(
    split: int | Sequence[int] | None,
    delay: float,
    drop_after: int | None,
    half_close_after: int | None,
) -> None:
    """Check the arguments of a `FaultyLink`.

    Raises:
        ValueError: One is out of range.
    """
    sizes = (split,) if isinstance(split, int) else split or ()
    if any(size < 1 for size in sizes):
        raise ValueError(f"split={split!r}: sizes of pieces are 1 or more")
    for name, value in (
        ("delay", delay),
        ("drop_after", drop_after),
        ("half_close_after", half_close_after),
    ):
        if value is not None and not value >= 0:
            raise ValueError(f"{name}={value!r}: expected 0 or more")


async def _in_time(deadline: float | None, function: Callable[[], Awaitable[T]]) -> T:
    if deadline is None:
        return await function()
    with anyio.CancelScope(deadline=deadline):
        return await function()
    raise TimeoutError("deadline passed")
