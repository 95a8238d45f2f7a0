"""Many deadlines behind one timer of the event loop.

A timer per wait costs more than the wait. Most waits end long before their deadline, so
here a wait is only put into a dict and taken out again; the one timer stands at the
earliest deadline seen, and looks at what is really there only when it fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class Deadlines:
    """The waits of one event loop's links."""

    __slots__ = ("_at", "_loop", "_timer", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waits: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def add(self, waiter: asyncio.Future[None], deadline: float) -> None:
        """End the wait with `TimeoutError` once `deadline` has passed, unless discarded before."""
        self._waits[waiter] = deadline
        if self._timer is None or deadline < self._at:
            self._set(deadline)

    def discard(self, waiter: asyncio.Future[None]) -> None:
        """Forget a wait."""
        self._waits.pop(waiter, None)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # Timers may fire a clock resolution early; half a millisecond late is no harm.
        now = self._loop.time() + 0.0005
        for waiter in [waiter for waiter, deadline in self._waits.items() if deadline <= now]:
            del self._waits[waiter]
            if not waiter.done():
                waiter.set_exception(TimeoutError("deadline passed"))
        if self._waits:
            self._set(min(self._waits.values()))


async def in_time(deadline: float | None, function: Callable[[], Awaitable[T]]) -> T:
    """Call a function on any loop, and raise `TimeoutError` at the deadline."""
    if deadline is None:
        return await function()
    with anyio.CancelScope(deadline=deadline):
        return await function()
    raise TimeoutError("deadline passed")
