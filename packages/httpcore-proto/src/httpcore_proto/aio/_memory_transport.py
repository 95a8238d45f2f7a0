"""asyncio's transport between two protocols of one loop, without a socket.

What one side writes is delivered to the other in the loop's next iteration, all of it at once,
as a socket would do it. So whatever speaks over it takes the very path that it takes over TCP,
less the kernel.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

# Bytes on their way from which on the writer is paused, and at which it goes on: as asyncio's
# own transports.
_HIGH_WATER: Final = 65536
_LOW_WATER: Final = _HIGH_WATER // 4


class MemoryTransport(asyncio.Transport):
    """One end of a pair that `join` makes."""

    __slots__ = (
        "_closing",
        "_eof_due",
        "_eof_told",
        "_facts",
        "_high",
        "_inbox",
        "_lost",
        "_low",
        "_paused",
        "_peer",
        "_protocol",
        "_scheduled",
        "_size",
        "_soon",
        "_writer_paused",
    )

    _peer: MemoryTransport

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: Any, facts: Mapping[str, Any]
    ) -> None:
        super().__init__()
        # What is delivered shall not see the variables of whoever wrote it.
        self._soon = partial(loop.call_soon, context=contextvars.copy_context())
        self._protocol = protocol
        self._facts = facts
        self._inbox: list[bytes] = []
        self._size = 0
        self._scheduled = False
        self._paused = False
        self._closing = False
        self._lost = False
        self._eof_due = False
        self._eof_told = False
        # Whether the peer has heard that our inbox is full.
        self._writer_paused = False
        self._high, self._low = _HIGH_WATER, _LOW_WATER

    # What the protocol calls.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Put bytes into the peer's inbox."""
        peer = self._peer
        if not data or self._closing or peer._eof_due:
            return
        peer._inbox.append(data if type(data) is bytes else bytes(data))
        peer._size += len(data)
        if not peer._scheduled:
            peer._scheduled = True
            peer._soon(peer._deliver)
        if peer._size > self._high and not peer._writer_paused:
            peer._writer_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Write several pieces."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Tell the peer that nothing follows."""
        self._peer._eof_due = True
        self._peer._schedule()

    def close(self) -> None:
        """Close; the peer still gets what was written."""
        if not self._closing:
            self._closing = True
            self._inbox.clear()
            self._size = 0
            self._schedule()
            self._peer._schedule()

    def abort(self) -> None:
        """Close, and take back what the peer did not get."""
        if not self._lost:
            self._peer._inbox.clear()
            self._peer._size = 0
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`."""
        self._paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._paused = False
        self._schedule()

    def is_reading(self) -> bool:
        """Whether there are deliveries."""
        return not self._paused and not self._closing

    def get_write_buffer_size(self) -> int:
        """Return the bytes on their way to the peer."""
        return self._peer._size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the writer is paused, as asyncio does it."""
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return one of the facts."""
        return self._facts.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return what is delivered to."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # Delivery.

    def _schedule(self) -> None:
        if not self._scheduled and not self._lost:
            self._scheduled = True
            self._soon(self._deliver)

    def _deliver(self) -> None:
        """Tell the protocol what happened since the last time."""
        self._scheduled = False
        if self._lost:
            return
        if self._inbox and not self._paused and not self._closing:
            self._deliver_bytes()
        peer = self._peer
        if self._writer_paused and self._size <= peer._low:
            self._writer_paused = False
            peer._protocol.resume_writing()
        if not self._closing:
            if self._inbox or self._paused:
                return
            if (self._eof_due or peer._closing) and not self._eof_told:
                self._eof_told = True
                if not self._protocol.eof_received():
                    self.close()
            if not peer._closing:
                return
        self._lost = self._closing = True
        self._protocol.connection_lost(None)
        peer._schedule()

    def _deliver_bytes(self) -> None:
        inbox = self._inbox
        data = inbox[0] if len(inbox) == 1 else b"".join(inbox)
        inbox.clear()
        self._size = 0
        while data:
            protocol = self._protocol
            if not isinstance(protocol, asyncio.BufferedProtocol):
                protocol.data_received(data)
                return
            # It takes what it has room for, and may then give way to another protocol.
            buffer = memoryview(protocol.get_buffer(len(data)))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            protocol.buffer_updated(size)
            data = data[size:]


def join(
    loop: asyncio.AbstractEventLoop,
    first: asyncio.Protocol,
    second: asyncio.Protocol,
    facts: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> None:
    """Connect two protocols with each other; both hear `connection_made` here."""
    one = MemoryTransport(loop, first, facts[0])
    other = MemoryTransport(loop, second, facts[1])
    one._peer, other._peer = other, one
    first.connection_made(one)
    second.connection_made(other)
