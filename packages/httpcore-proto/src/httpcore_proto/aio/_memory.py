"""Two links joined in memory: no socket, no task, the same on every loop.

What one side writes lies in the other side's inbox. It is delivered inside the calls that
await: in the other side's own `more` if it is in there, else in the `drain`, `more` or
`wait_closed` of either side. `close` and `abort` are followed by no such call, perhaps: a
runtime that joins receivers sees to it that the other side hears of them all the same.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from typing import Any, BinaryIO, Final, TypeAlias

import anyio

from ._deadlines import in_time
from ._errors import BusyError, LinkLostError
from ._interfaces import Receiver

#: Calls a function in a while, outside of any call of a link.
Later: TypeAlias = Callable[[Callable[[], None]], None]

# Bytes in an inbox from which on the writer's `drain` waits, as asyncio's transports.
_HIGH_WATER: Final = 65536


class MemoryLink:
    """One end of a pair."""

    __slots__ = (
        "_closing",
        "_delivering",
        "_drain_event",
        "_eof_due",
        "_eof_told",
        "_facts",
        "_inbox",
        "_later",
        "_lost",
        "_more_event",
        "_paused",
        "_peer",
        "_receiver",
        "_run",
        "_size",
        "_wait_event",
        "deadline",
        "needs_drain",
    )

    _peer: MemoryLink

    def __init__(
        self, receiver: Receiver, facts: Mapping[str, Any], later: Later | None = None
    ) -> None:
        self._later = later
        # What is delivered by a joined link shall not see the variables of whoever wrote it.
        self._run: Callable[..., Any] = _call if later is None else copy_context().run
        self._receiver = receiver
        self._facts = facts
        self._inbox: deque[bytes] = deque()
        self._size = 0
        self._eof_due = False
        self._eof_told = False
        self._paused = False
        self._closing = False
        self._lost = False
        self._delivering = False
        self._more_event: anyio.Event | None = None
        self._drain_event: anyio.Event | None = None
        self._wait_event: anyio.Event | None = None
        self.deadline: float | None = None
        self.needs_drain = False

    @property
    def closing(self) -> bool:
        """Whether the link is closed or about to be."""
        return self._closing

    def write(self, data: bytes) -> None:
        """Put bytes into the peer's inbox."""
        peer = self._peer
        if data and not self._closing and not peer._eof_due:
            peer._inbox.append(data)
            peer._size += len(data)
            peer._wake()
            self.needs_drain = True

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Write several pieces."""
        for piece in pieces:
            self.write(piece)

    def write_eof(self) -> None:
        """Tell the peer that nothing follows."""
        if not self._closing:
            self._peer._eof_due = True
            self._peer._wake()
            self.needs_drain = True

    async def drain(self) -> None:
        """Deliver; wait while the peer reads nothing and has its inbox full."""
        if self._drain_event is not None:
            raise BusyError("another task is in drain()")
        self._settle()
        await anyio.lowlevel.checkpoint()
        while self._peer._size > _HIGH_WATER and not self._lost:
            self._drain_event = anyio.Event()
            try:
                await in_time(self.deadline, self._drain_event.wait)
            finally:
                self._drain_event = None
            self._settle()
        if self._closing:
            raise LinkLostError("the link is closed")
        self.needs_drain = False

    async def more(self) -> None:
        """Take what is in the inbox, or wait for something to come."""
        parked = self._more_event
        if parked is not None and not parked.is_set():
            raise BusyError("another task is in more()")
        if self._lost:
            return
        event = self._more_event = anyio.Event()
        try:
            if not self._deliverable:
                self._peer._deliver()
                await in_time(self.deadline, event.wait)
            else:
                await anyio.lowlevel.checkpoint()
        finally:
            # Whoever was woken along with this task may be parked here by now.
            if self._more_event is event:
                self._more_event = None
        self._settle()

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Tell that there is no socket to send it by.

        Raises:
            OSError: The link is closed.
        """
        if self._closing:
            raise LinkLostError("the link is closed")
        return False

    def pause_reading(self) -> None:
        """Deliver nothing more."""
        self._paused = True

    def resume_reading(self) -> None:
        """Deliver again, from the next awaiting call on."""
        self._paused = False
        self._wake()

    def close(self) -> None:
        """Close; the peer still gets what was written."""
        if not self._closing:
            self._closing = self.needs_drain = True
            for link in (self, self._peer):
                link._wake()
                link._wake_closed()
            if self._later is not None:
                self._later(self._settle)

    def abort(self) -> None:
        """Close, and take back what the peer did not get."""
        if not self._lost:
            self._peer._inbox.clear()
            self._peer._size = 0
        self.close()

    async def wait_closed(self) -> None:
        """Wait until the link is lost."""
        self._settle()
        while not self._lost:
            if self._wait_event is None:
                self._wait_event = anyio.Event()
            await self._wait_event.wait()
            self._settle()

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Refuse: there is nobody to hide from.

        Raises:
            OSError: Always.
        """
        raise OSError("a link in memory has no TLS")

    def hand_over(self, receiver: Receiver) -> None:
        """Call another receiver from here on."""
        self._receiver = receiver
        receiver.link_made(self)

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        """Return False: what is received is bytes already."""
        return False

    def info(self, name: str, default: Any = None) -> Any:
        """Facts that were given to `memory_link_pair`."""
        return self._facts.get(name, default)

    # Delivery.

    @property
    def _deliverable(self) -> bool:
        # Not every close counts: what comes before it may be waiting behind a pause.
        if self._closing or (self._peer._closing and not self._inbox):
            return True
        return not self._paused and (bool(self._inbox) or (self._eof_due and not self._eof_told))

    def _wake(self) -> None:
        """Wake whoever has to deliver to us, or waits for our inbox to empty."""
        if self._more_event is not None and self._deliverable:
            self._more_event.set()
        elif self._peer._drain_event is not None:
            self._peer._drain_event.set()

    def _wake_closed(self) -> None:
        if self._wait_event is not None:
            self._wait_event.set()
            self._wait_event = None

    def _settle(self) -> None:
        """Deliver to both sides; a side that is in `more` does it itself."""
        for link in (self, self._peer):
            if link._more_event is None:
                link._deliver()
            else:
                link._wake()

    def _deliver(self) -> None:
        if self._delivering or self._lost:
            return
        self._delivering = True
        try:
            while self._inbox and not self._paused and not self._closing:
                data = self._inbox.popleft()
                self._size -= len(data)
                self._run(self._receiver.bytes_received, data)
            if not self._inbox and not self._closing:
                ended = self._eof_due or self._peer._closing
                if ended and not self._eof_told and not self._paused:
                    self._eof_told = True
                    self._run(self._receiver.eof_received)
            if self._closing or (self._peer._closing and not self._inbox):
                self._lose()
        finally:
            self._delivering = False
        if self._size <= _HIGH_WATER and self._peer._drain_event is not None:
            self._peer._drain_event.set()

    def _lose(self) -> None:
        self._lost = self._closing = True
        self._inbox.clear()
        self._size = 0
        self.needs_drain = True  # the next drain must raise
        self._run(self._receiver.link_lost, None)
        self._wake_closed()
        if self._drain_event is not None:
            self._drain_event.set()
        if self._peer._drain_event is not None:
            self._peer._drain_event.set()
        if self._peer._more_event is not None:
            self._peer._more_event.set()


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def memory_link_pair(
    first: Receiver, second: Receiver, *, facts: Mapping[str, Any] | None = None
) -> tuple[MemoryLink, MemoryLink]:
    """Return two links, each the other's far end.

    Args:
        first: Gets what is written to the second link.
        second: Gets what is written to the first link.
        facts: What `info` of both tells, by asyncio's names.
    """
    return join_links(MemoryLink(first, facts or {}), MemoryLink(second, facts or {}))


def join_links(one: MemoryLink, other: MemoryLink) -> tuple[MemoryLink, MemoryLink]:
    """Make each the other's far end, and give them to their receivers."""
    one._peer, other._peer = other, one
    one._receiver.link_made(one)
    other._receiver.link_made(other)
    return one, other
