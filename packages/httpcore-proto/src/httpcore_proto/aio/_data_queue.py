"""A queue between one writer and one reader, with an end."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from ._errors import BusyError, EofStream
from ._interfaces import Waiter
from ._runtime import current_runtime

T = TypeVar("T")


class DataQueue(Generic[T]):
    """Items in the order in which they were fed; one task at a time may read.

    Not bounded: whoever feeds it decides how much that may be.
    """

    __slots__ = ("_eof", "_exception", "_items", "_waiter")

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: Waiter | None = None

    def __len__(self) -> int:
        return len(self._items)

    def feed_data(self, item: T) -> None:
        """Append an item."""
        self._items.append(item)
        self._wake()

    def feed_eof(self) -> None:
        """Nothing follows."""
        self._eof = True
        self._wake()

    def set_exception(self, exc: BaseException) -> None:
        """End the queue with an error; it is raised behind the items that are there."""
        self._eof = True
        self._exception = exc
        self._wake()

    def exception(self) -> BaseException | None:
        """The error that ended the queue, if one did."""
        return self._exception

    def is_eof(self) -> bool:
        """Whether the end was fed."""
        return self._eof

    def at_eof(self) -> bool:
        """Whether the end was fed and everything before it read."""
        return self._eof and not self._items

    async def read(self) -> T:
        """Return the next item, waiting until there is one. Cancelling loses none.

        Raises:
            EofStream: At the end.
            BusyError: Another task is waiting.
        """
        while not self._items:
            if self._exception is not None:
                raise self._exception
            if self._eof:
                raise EofStream
            if self._waiter is not None:
                raise BusyError("another task is waiting for this queue")
            self._waiter = current_runtime().waiter()
            try:
                await self._waiter.wait()
            finally:
                self._waiter = None
        return self._items.popleft()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate up to the end."""
        while True:
            try:
                item = await self.read()
            except EofStream:
                return
            yield item

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set()
