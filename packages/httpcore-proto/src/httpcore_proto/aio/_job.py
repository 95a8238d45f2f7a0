"""Work in a worker thread that outlives the task which waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple, Unpack, cast

from anyio.to_thread import run_sync

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Job(Generic[T]):
    """A call that is made once, and whose outcome stays until it is fetched.

    A thread cannot be stopped. Where the task that waits for one is cancelled all the
    same (by asyncio's own `Task.cancel`; anyio and trio let the thread finish first), the
    thread goes on with an object that the next call would use as well, and its result has
    nobody to take it. So whoever owns that object keeps the job, and waits for it again
    before doing anything else.

    Args:
        function: What to call. It runs in a worker thread, in a copy of the context of
            the task that waits first.
        args: Its positional arguments.
    """

    __slots__ = ("_call", "_error", "_lock", "_value")

    def __init__(self, function: Callable[[Unpack[Args]], T], *args: *Args) -> None:
        self._lock = threading.Lock()
        # Dropped once it was made: arguments of a body stream are large.
        self._call: Callable[[], T] | None = lambda: function(*args)
        self._value: T | None = None
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether the outcome is there, so that `run` and `wait` return at once."""
        return self._call is None

    def run(self) -> T:
        """Make the call in this thread, or take the outcome of the one that made it.

        Blocks while another thread makes the call.

        Raises:
            BaseException: What the function raised; the same object every time.
        """
        with self._lock:
            if self._call is not None:
                try:
                    self._value = self._call()
                except BaseException as exc:
                    self._error = exc
                self._call = None
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    async def wait(self) -> T:
        """Make the call in a worker thread, or take the outcome of the one that made it.

        May be cancelled and called again, also from another task; nothing is lost and
        nothing is done twice. The threads are anyio's, and count against its limiter.
        Does not yield to the event loop if the outcome is there.

        Raises:
            BaseException: What the function raised; the same object every time.
        """
        return self.run() if self.done else await run_sync(self.run)
