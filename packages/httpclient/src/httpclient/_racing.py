"""Connecting to the first of several addresses that answers (RFC 8305, Happy Eyeballs)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio

from ._sockets import AddrInfoType

T = TypeVar("T")


def interleave(addresses: Sequence[AddrInfoType], first_count: int) -> list[AddrInfoType]:
    """Mix the families, so that one which leads nowhere holds up the other only once.

    Args:
        addresses: The best first; its family is the preferred one.
        first_count: How many of the preferred family go first, before the families take
            turns (RFC 8305 section 4).
    """
    families: dict[int, list[AddrInfoType]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    lines = list(families.values())
    mixed, lines[0] = lines[0][: first_count - 1], lines[0][first_count - 1 :]
    for turn in range(max(map(len, lines))):
        mixed.extend(line[turn] for line in lines if turn < len(line))
    return mixed


class Race(Generic[T]):
    """Attempts one after the other, each with a head start, until one succeeds.

    Args:
        attempt: What is done with an address; its result is closed if it comes too late.
        close: What closes a result.
        delay: Seconds of a head start; a failure cuts it short. None for as long as the
            attempt takes.
    """

    def __init__(
        self,
        attempt: Callable[[AddrInfoType], Awaitable[T]],
        close: Callable[[T], object],
        delay: float | None,
    ) -> None:
        self._attempt = attempt
        self._close = close
        self._delay = delay
        self._won: list[tuple[AddrInfoType, T]] = []
        self._error: Exception | None = None
        #: The addresses whose attempts failed.
        self.failed: list[AddrInfoType] = []

    async def run(self, addresses: Sequence[AddrInfoType]) -> tuple[AddrInfoType, T]:
        """Return the address that answered first, and its result.

        Cancelled, it leaves nothing open.

        Raises:
            Exception: No attempt succeeded; what the last to fail raised.
        """
        if len(addresses) == 1 or self._delay is None:
            for address in addresses:
                try:
                    return address, await self._attempt(address)
                except Exception as exc:
                    self._fail(address, exc)
        else:
            await self._stagger(addresses, self._delay)
            if self._won:
                return self._won[0]
        error, self._error = self._error, None
        assert error is not None
        try:
            raise error
        finally:
            del error  # its traceback leads here, and would keep all of this alive

    def _fail(self, address: AddrInfoType, error: Exception) -> None:
        self.failed.append(address)
        self._error = error

    async def _stagger(self, addresses: Sequence[AddrInfoType], delay: float) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                for address in addresses:
                    ended = anyio.Event()
                    tasks.start_soon(self._try, address, ended, tasks.cancel_scope)
                    with anyio.move_on_after(delay):
                        await ended.wait()
        except BaseException:
            for _, result in self._won:
                self._close(result)
            raise

    async def _try(
        self, address: AddrInfoType, ended: anyio.Event, others: anyio.CancelScope
    ) -> None:
        try:
            result = await self._attempt(address)
        except Exception as exc:
            self._fail(address, exc)
        else:
            if self._won:
                self._close(result)
            else:
                self._won.append((address, result))
                others.cancel()
        finally:
            ended.set()
