"""What checks of links are made of: a pair of links, one that is blocked, errors that are due."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import anyio
import anyio.abc

from httpcore_proto.aio import Link, Receiver

from ._recording_receiver import RecordingReceiver

#: Makes two links, each the other's far end, and closes what is left of them.
MakePair = Callable[[Receiver, Receiver], AbstractAsyncContextManager[tuple[Link, Link]]]

#: One clause of the contract.
Check = Callable[[MakePair], Coroutine[Any, Any, None]]

# Seconds after which a check that hangs has failed.
_PATIENCE: Final = 15.0
# More than the buffers of any socket take.
HUGE: Final = 48 * 2**20
PIECE: Final = bytes(range(256)) * 256


def link_check(function: Check) -> Check:
    """Make every failure of a check, late or wrapped in groups, an `AssertionError`."""

    @functools.wraps(function)
    async def checked(make_pair: MakePair) -> None:
        failure: AssertionError | None = None
        try:
            with anyio.fail_after(_PATIENCE):
                await function(make_pair)
        except Exception as exc:
            failure = _failure(exc)
        if failure is not None:
            raise failure

    return checked


def _failure(exc: Exception) -> AssertionError:
    cause: BaseException = exc
    if isinstance(exc, ExceptionGroup):
        cause = exc
        while isinstance(cause, BaseExceptionGroup):
            failed = cause.subgroup(AssertionError)
            cause = (failed or cause).exceptions[0]
    if isinstance(cause, AssertionError):
        return cause
    failure = AssertionError(f"{type(cause).__name__}: {cause}")
    failure.__cause__ = exc
    return failure


@asynccontextmanager
async def joined_pair(
    make_pair: MakePair, *, discard: bool = False
) -> AsyncIterator[tuple[RecordingReceiver, RecordingReceiver]]:
    one, other = RecordingReceiver(discard=discard), RecordingReceiver(discard=discard)
    try:
        async with make_pair(one, other):
            yield one, other
    finally:
        # Told first: whatever else went wrong, went wrong because of this.
        if breaches := one.breaches + other.breaches:
            raise AssertionError("; ".join(breaches))


async def send(receiver: RecordingReceiver, data: bytes) -> None:
    with receiver.calling():
        receiver.link.write(data)
    await receiver.link.drain()


async def block(
    one: RecordingReceiver,
    other: RecordingReceiver,
    group: anyio.abc.TaskGroup,
    *,
    expect: type[Exception] | None = None,
    in_lines: bool = False,
) -> None:
    """Start a task that is blocked in `one.link.drain()`."""
    other.link.pause_reading()
    # In pieces: asyncio's TLS transport does not count what it passes on in one write.
    for _ in range(HUGE // len(PIECE)):
        if in_lines:
            one.link.writelines([PIECE])
        else:
            one.link.write(PIECE)

    async def drain() -> None:
        if expect is None:
            await one.link.drain()
            raise AssertionError("drain returned although the peer reads nothing")
        await expect_error(expect, one.link.drain)

    group.start_soon(drain)
    await anyio.wait_all_tasks_blocked()


async def expect_error(error: type[Exception], function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")
