"""Many deadlines behind one timer of the event loop.

A timer per wait costs more than the wait. Most waits end long before their deadline, so
here a wait is only put into a set and taken out again; the one timer stands at the
earliest deadline seen, and looks at what is really there only when it fires.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Expirable(Protocol):
    """Something that waits."""

    deadline: float | None

    def expired(self) -> None:
        """The deadline passed."""


class Deadlines:
    """The waits of one event loop's links."""

    __slots__ = ("_at", "_loop", "_timer", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waits: set[Expirable] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def add(self, wait: Expirable, deadline: float) -> None:
        """Call `wait.expired()` once `deadline` has passed, unless discarded before."""
        self._waits.add(wait)
        if self._timer is None or deadline < self._at:
            self._set(deadline)

    def discard(self, wait: Expirable) -> None:
        """Forget a wait."""
        self._waits.discard(wait)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # Timers may fire a clock resolution early; half a millisecond late is no harm.
        now = self._loop.time() + 0.0005
        expired = []
        earliest = None
        for wait in self._waits:
            deadline = wait.deadline
            if deadline is None:
                continue
            if deadline <= now:
                expired.append(wait)
            elif earliest is None or deadline < earliest:
                earliest = deadline
        for wait in expired:
            self._waits.discard(wait)
            wait.expired()
        if earliest is not None:
            self._set(earliest)
