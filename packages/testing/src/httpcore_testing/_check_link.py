"""The contract of links (`httpcore_proto.aio.Link`) as checks, for ours and for yours.

A check takes a factory of joined links and raises `AssertionError` if they break the clause
that it is named after. Every check ends within a bounded time, whatever the links do.

Whoever writes a link gives `check_link` a function that makes two of them::

    @asynccontextmanager
    async def my_pair(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
        ...  # connect; call link_made of both receivers
        yield link, peer
        ...  # abort both, and close what is left

    async def test_my_link_keeps_the_contract() -> None:
        await check_link(my_pair)

Most checks look at the first link and use the second as its peer: run them a second time
with the two exchanged. A pair of one link of yours and one of ours will do.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import anyio
import anyio.lowlevel

from httpcore_proto.aio import BusyError, Link, Receiver

from ._recording_receiver import RecordingReceiver

#: Makes two links, each the other's far end, and closes what is left of them.
MakePair = Callable[[Receiver, Receiver], AbstractAsyncContextManager[tuple[Link, Link]]]

#: One clause of the contract.
Check = Callable[[MakePair], Coroutine[Any, Any, None]]

# Seconds after which a check that hangs has failed.
_PATIENCE: Final = 15.0
# More than the buffers of any socket take.
_HUGE: Final = 48 * 2**20
_PIECE: Final = bytes(range(256)) * 256


def _check(function: Check) -> Check:
    """Make every failure of a check, late or wrapped in groups, an `AssertionError`."""

    @functools.wraps(function)
    async def check(make_pair: MakePair) -> None:
        failure: AssertionError | None = None
        try:
            with anyio.fail_after(_PATIENCE):
                await function(make_pair)
        except Exception as exc:
            failure = _failure(exc)
        if failure is not None:
            raise failure

    return check


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
async def _pair(
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


async def _send(receiver: RecordingReceiver, data: bytes) -> None:
    with receiver.calling():
        receiver.link.write(data)
    await receiver.link.drain()


@_check
async def check_both_directions(make_pair: MakePair) -> None:
    """Bytes arrive in both directions, whole and in order; link_made comes first."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"ping")
        await other.until(lambda: other.data == b"ping")
        with other.calling():
            other.link.writelines([b"po", b"", b"ng"])
        await other.link.drain()
        await one.until(lambda: one.data == b"pong")


@_check
async def check_large_transfer(make_pair: MakePair) -> None:
    """Megabytes arrive unchanged."""
    data = _PIECE * 64
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(_send, one, data)
        await other.until(lambda: other.size == len(data))
    assert hashlib.sha256(other.data).digest() == hashlib.sha256(data).digest()


@_check
async def check_empty_write(make_pair: MakePair) -> None:
    """An empty write is legal and delivers nothing."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"")
        with one.calling():
            one.link.writelines([])
            one.link.writelines([b""])
            one.link.writelines([b"x", b""])
            one.link.close()
        await one.link.wait_closed()
        await other.until(lambda: other.data == b"x")


@_check
async def check_busy_more(make_pair: MakePair) -> None:
    """A second task in `more` gets `BusyError`; the first goes on waiting."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: bool(one.data))
        await anyio.wait_all_tasks_blocked()
        await _expect(BusyError, one.link.more)
        await _send(other, b"x")


@_check
async def check_busy_drain(make_pair: MakePair) -> None:
    """A second task in `drain` gets `BusyError`."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await _block(one, other, group)
        await _expect(BusyError, one.link.drain)
        group.cancel_scope.cancel()


@_check
async def check_writelines_waits(make_pair: MakePair) -> None:
    """`writelines` fills the queue as `write` does: a `drain` behind it waits."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await _block(one, other, group, in_lines=True)
        group.cancel_scope.cancel()


@_check
async def check_more_sends(make_pair: MakePair) -> None:
    """`more` first sends what is queued, for which the peer may be waiting."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        with one.calling():
            one.link.write(b"question")
        group.start_soon(one.until, lambda: one.data == b"answer")
        await other.until(lambda: other.data == b"question")
        await _send(other, b"answer")


@_check
async def check_cancelled_more(make_pair: MakePair) -> None:
    """Cancelling `more` loses no byte and leaves the link usable."""
    async with _pair(make_pair) as (one, other):
        for number in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(one.link.more)
                await anyio.wait_all_tasks_blocked()
                if number % 2:
                    await _send(other, b"x")
                group.cancel_scope.cancel()
            if not number % 2:
                await _send(other, b"x")
        await one.until(lambda: one.size == 20)


@_check
async def check_pause(make_pair: MakePair) -> None:
    """Nothing is delivered while reading is paused, and all of it afterwards."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await _send(one, b"1")
        await other.until(lambda: other.data == b"1")
        with other.calling():
            other.link.pause_reading()
        await _send(one, b"2")
        group.start_soon(other.until, lambda: other.data == b"12")
        # A round trip in the other direction: time enough for the bytes to arrive.
        await _send(other, b"x")
        await one.until(lambda: one.data == b"x")
        await anyio.wait_all_tasks_blocked()
        assert other.data == b"1", "bytes were delivered while reading was paused"
        with other.calling():
            other.link.resume_reading()


@_check
async def check_flow_control(make_pair: MakePair) -> None:
    """A receiver that pauses at every delivery gets all of it, and no more than it asks for."""
    data = _PIECE * 64
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        other.pauses = True
        one.link.writelines([_PIECE] * 64)
        group.start_soon(one.link.drain)
        while other.size < len(data):
            await other.link.more()
            seen = other.size
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            # What is under way may still come, such as one record of TLS.
            assert other.size - seen <= 2 * len(_PIECE), "deliveries go on during a pause"
            other.link.resume_reading()
    assert other.data == data


@_check
async def check_close(make_pair: MakePair) -> None:
    """`close` sends what is queued; both sides learn of the loss once, as their last call."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"last words")
        with one.calling():
            one.link.close()
            one.link.close()
        assert one.link.closing
        await other.until(lambda: other.data == b"last words")
        await one.link.wait_closed()
        assert one.lost == 1, "link_lost was not told at close"
        with other.calling():
            other.link.close()
        await other.link.wait_closed()
        assert other.lost == 1
        await one.link.wait_closed()


@_check
async def check_close_sends(make_pair: MakePair) -> None:
    """`close` sends what no `drain` has; a `write` after it is ignored, a `drain` raises."""
    async with _pair(make_pair) as (one, other):
        with one.calling():
            one.link.write(b"last words")
            one.link.close()
            one.link.write(b"nobody hears this")
        assert one.link.needs_drain, "callers look at needs_drain before they drain"
        await _expect(OSError, one.link.drain)
        await one.link.wait_closed()
        await other.until(lambda: other.eof or other.lost > 0)
        assert other.data == b"last words"


@_check
async def check_wait_closed(make_pair: MakePair) -> None:
    """Any number of tasks waits for the loss; one of them may be cancelled."""
    async with _pair(make_pair) as (one, _), anyio.create_task_group() as group:
        with anyio.move_on_after(0.01):
            await one.link.wait_closed()
            raise AssertionError("wait_closed returned, and nobody closed the link")
        group.start_soon(one.link.wait_closed)
        group.start_soon(one.link.wait_closed)
        await anyio.wait_all_tasks_blocked()
        one.link.close()


@_check
async def check_abort(make_pair: MakePair) -> None:
    """`abort` ends the link now, also while a `drain` is blocked."""
    async with _pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            await _block(one, other, group, expect=OSError)
            with one.calling():
                one.link.abort()
                one.link.abort()
        await one.link.wait_closed()
        assert one.lost == 1
        assert one.exc is None, "abort is no error"
        with other.calling():
            other.link.abort()
        await other.link.wait_closed()
        assert other.lost == 1


@_check
async def check_abort_ends_more(make_pair: MakePair) -> None:
    """`abort` ends what waits in `more`."""
    async with _pair(make_pair) as (one, _), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: one.lost > 0)
        await anyio.wait_all_tasks_blocked()
        with one.calling():
            one.link.abort()


@_check
async def check_write_after_loss(make_pair: MakePair) -> None:
    """Writing to a lost link is ignored, `more` returns, and `drain` raises OSError."""
    async with _pair(make_pair) as (one, _):
        with one.calling():
            one.link.close()
        await one.link.wait_closed()
        with one.calling():
            one.link.write(b"nobody hears this")
            one.link.write_eof()
            one.link.pause_reading()
            one.link.resume_reading()
            one.link.close()
            one.link.abort()
        await one.link.more()
        assert one.link.needs_drain, "callers look at needs_drain before they drain"
        await _expect(OSError, one.link.drain)


@_check
async def check_peer_close(make_pair: MakePair) -> None:
    """The peer's close ends what waits in `more`."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: one.eof or one.lost > 0)
        await anyio.wait_all_tasks_blocked()
        other.link.close()
        await other.link.wait_closed()


@_check
async def check_half_close(make_pair: MakePair) -> None:
    """After `write_eof` the peer sees the end, and can still answer."""
    async with _pair(make_pair) as (one, other):
        with one.calling():
            one.link.write(b"question")
            one.link.write_eof()
            one.link.write_eof()
        await one.link.drain()
        await other.until(lambda: other.eof)
        assert other.data == b"question"
        # The end is told once: reading that begins again must not find it again.
        with other.calling():
            other.link.pause_reading()
            other.link.resume_reading()
        await _send(other, b"answer")
        await one.until(lambda: one.data == b"answer")
        with one.calling():
            one.link.write(b"after the end")
        other.link.close()
        await other.link.wait_closed()
        assert other.data == b"question"


@_check
async def check_two_writers(make_pair: MakePair) -> None:
    """Two sides that write at each other before they read do not block each other."""

    async def write_then_read(receiver: RecordingReceiver) -> None:
        await _send(receiver, bytes(_HUGE))
        await receiver.until(lambda: receiver.size == _HUGE)

    async with (
        _pair(make_pair, discard=True) as (one, other),
        anyio.create_task_group() as group,
    ):
        group.start_soon(write_then_read, one)
        group.start_soon(write_then_read, other)


@_check
async def check_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, `more` raises TimeoutError, and loses nothing."""
    async with _pair(make_pair) as (one, other):
        one.link.deadline = anyio.current_time() + 0.01
        await _expect(TimeoutError, one.link.more)
        one.link.deadline = None
        await _send(other, b"x")
        await one.until(lambda: one.data == b"x")


@_check
async def check_drain_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, a blocked `drain` raises TimeoutError."""
    async with _pair(make_pair, discard=True) as (one, other):
        one.link.deadline = anyio.current_time() + 0.05
        async with anyio.create_task_group() as group:
            await _block(one, other, group, expect=TimeoutError)
        one.link.abort()


@_check
async def check_two_deadlines(make_pair: MakePair) -> None:
    """`deadline` is read when a wait begins, and for that wait only."""
    async with _pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            group.start_soon(one.until, lambda: one.size == 1)
            await anyio.wait_all_tasks_blocked()
            one.link.deadline = anyio.current_time() + 0.05
            await _block(one, other, group, expect=TimeoutError)
            # The end of one wait is not the end of the other's deadline.
            await _send(other, b"x")
        one.link.abort()


@_check
async def check_cancelled_drain(make_pair: MakePair) -> None:
    """After a `drain` was cancelled the link still receives."""
    async with _pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            await _block(one, other, group)
            group.cancel_scope.cancel()
        await _send(other, b"x")
        await one.until(lambda: one.size == 1)
        with one.calling():
            one.link.abort()
        await one.link.wait_closed()
        assert one.lost == 1


async def _block(
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
    for _ in range(_HUGE // len(_PIECE)):
        if in_lines:
            one.link.writelines([_PIECE])
        else:
            one.link.write(_PIECE)

    async def drain() -> None:
        if expect is None:
            await one.link.drain()
            raise AssertionError("drain returned although the peer reads nothing")
        await _expect(expect, one.link.drain)

    group.start_soon(drain)
    await anyio.wait_all_tasks_blocked()


async def _expect(error: type[Exception], function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


#: Every check that holds for every link; `check_half_close` is for those that can.
CHECKS: Final[tuple[Check, ...]] = (
    check_both_directions,
    check_large_transfer,
    check_empty_write,
    check_busy_more,
    check_busy_drain,
    check_writelines_waits,
    check_more_sends,
    check_cancelled_more,
    check_pause,
    check_flow_control,
    check_close,
    check_close_sends,
    check_wait_closed,
    check_abort,
    check_abort_ends_more,
    check_write_after_loss,
    check_peer_close,
    check_two_writers,
    check_deadline,
    check_drain_deadline,
    check_two_deadlines,
    check_cancelled_drain,
)


async def check_link(make_pair: MakePair, *, can_half_close: bool = True) -> None:
    """Check the whole contract of links.

    Args:
        make_pair: Makes two joined links for two receivers, as an async context manager;
            called once for every check.
        can_half_close: Whether the links have `write_eof`; TLS has not.

    Raises:
        AssertionError: A link breaks its contract.
    """
    for check in CHECKS:
        await check(make_pair)
    if can_half_close:
        await check_half_close(make_pair)
