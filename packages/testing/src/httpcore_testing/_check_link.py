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

import hashlib
from typing import Final

import anyio
import anyio.lowlevel

from httpcore_proto.aio import BusyError

from ._link_scene import (
    HUGE,
    PIECE,
    Check,
    MakePair,
    block,
    expect_error,
    joined_pair,
    link_check,
    send,
)
from ._recording_receiver import RecordingReceiver


@link_check
async def check_both_directions(make_pair: MakePair) -> None:
    """Bytes arrive in both directions, whole and in order; link_made comes first."""
    async with joined_pair(make_pair) as (one, other):
        await send(one, b"ping")
        await other.until(lambda: other.data == b"ping")
        with other.calling():
            other.link.writelines([b"po", b"", b"ng"])
        await other.link.drain()
        await one.until(lambda: one.data == b"pong")


@link_check
async def check_large_transfer(make_pair: MakePair) -> None:
    """Megabytes arrive unchanged."""
    data = PIECE * 64
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(send, one, data)
        await other.until(lambda: other.size == len(data))
    assert hashlib.sha256(other.data).digest() == hashlib.sha256(data).digest()


@link_check
async def check_empty_write(make_pair: MakePair) -> None:
    """An empty write is legal and delivers nothing."""
    async with joined_pair(make_pair) as (one, other):
        await send(one, b"")
        with one.calling():
            one.link.writelines([])
            one.link.writelines([b""])
            one.link.writelines([b"x", b""])
            one.link.close()
        await one.link.wait_closed()
        await other.until(lambda: other.data == b"x")


@link_check
async def check_busy_more(make_pair: MakePair) -> None:
    """A second task in `more` gets `BusyError`; the first goes on waiting."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: bool(one.data))
        await anyio.wait_all_tasks_blocked()
        await expect_error(BusyError, one.link.more)
        await send(other, b"x")


@link_check
async def check_busy_drain(make_pair: MakePair) -> None:
    """A second task in `drain` gets `BusyError`."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await block(one, other, group)
        await expect_error(BusyError, one.link.drain)
        group.cancel_scope.cancel()


@link_check
async def check_writelines_waits(make_pair: MakePair) -> None:
    """`writelines` fills the queue as `write` does: a `drain` behind it waits."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await block(one, other, group, in_lines=True)
        group.cancel_scope.cancel()


@link_check
async def check_more_sends(make_pair: MakePair) -> None:
    """`more` first sends what is queued, for which the peer may be waiting."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        with one.calling():
            one.link.write(b"question")
        group.start_soon(one.until, lambda: one.data == b"answer")
        await other.until(lambda: other.data == b"question")
        await send(other, b"answer")


@link_check
async def check_cancelled_more(make_pair: MakePair) -> None:
    """Cancelling `more` loses no byte and leaves the link usable."""
    async with joined_pair(make_pair) as (one, other):
        for number in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(one.link.more)
                await anyio.wait_all_tasks_blocked()
                if number % 2:
                    await send(other, b"x")
                group.cancel_scope.cancel()
            if not number % 2:
                await send(other, b"x")
        await one.until(lambda: one.size == 20)


@link_check
async def check_pause(make_pair: MakePair) -> None:
    """Nothing is delivered while reading is paused, and all of it afterwards."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await send(one, b"1")
        await other.until(lambda: other.data == b"1")
        with other.calling():
            other.link.pause_reading()
        await send(one, b"2")
        group.start_soon(other.until, lambda: other.data == b"12")
        # A round trip in the other direction: time enough for the bytes to arrive.
        await send(other, b"x")
        await one.until(lambda: one.data == b"x")
        await anyio.wait_all_tasks_blocked()
        assert other.data == b"1", "bytes were delivered while reading was paused"
        with other.calling():
            other.link.resume_reading()


@link_check
async def check_flow_control(make_pair: MakePair) -> None:
    """A receiver that pauses at every delivery gets all of it, and no more than it asks for."""
    data = PIECE * 64
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        other.pauses = True
        one.link.writelines([PIECE] * 64)
        group.start_soon(one.link.drain)
        while other.size < len(data):
            await other.link.more()
            seen = other.size
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            # What is under way may still come, such as one record of TLS.
            assert other.size - seen <= 2 * len(PIECE), "deliveries go on during a pause"
            other.link.resume_reading()
    assert other.data == data


@link_check
async def check_close(make_pair: MakePair) -> None:
    """`close` sends what is queued; both sides learn of the loss once, as their last call."""
    async with joined_pair(make_pair) as (one, other):
        await send(one, b"last words")
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


@link_check
async def check_close_sends(make_pair: MakePair) -> None:
    """`close` sends what no `drain` has; a `write` after it is ignored, a `drain` raises."""
    async with joined_pair(make_pair) as (one, other):
        with one.calling():
            one.link.write(b"last words")
            one.link.close()
            one.link.write(b"nobody hears this")
        assert one.link.needs_drain, "callers look at needs_drain before they drain"
        await expect_error(OSError, one.link.drain)
        await one.link.wait_closed()
        await other.until(lambda: other.eof or other.lost > 0)
        assert other.data == b"last words"


@link_check
async def check_wait_closed(make_pair: MakePair) -> None:
    """Any number of tasks waits for the loss; one of them may be cancelled."""
    async with joined_pair(make_pair) as (one, _), anyio.create_task_group() as group:
        with anyio.move_on_after(0.01):
            await one.link.wait_closed()
            raise AssertionError("wait_closed returned, and nobody closed the link")
        group.start_soon(one.link.wait_closed)
        group.start_soon(one.link.wait_closed)
        await anyio.wait_all_tasks_blocked()
        one.link.close()


@link_check
async def check_abort(make_pair: MakePair) -> None:
    """`abort` ends the link now, also while a `drain` is blocked."""
    async with joined_pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            await block(one, other, group, expect=OSError)
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


@link_check
async def check_abort_ends_more(make_pair: MakePair) -> None:
    """`abort` ends what waits in `more`."""
    async with joined_pair(make_pair) as (one, _), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: one.lost > 0)
        await anyio.wait_all_tasks_blocked()
        with one.calling():
            one.link.abort()


@link_check
async def check_write_after_loss(make_pair: MakePair) -> None:
    """Writing to a lost link is ignored, `more` returns, and `drain` raises OSError."""
    async with joined_pair(make_pair) as (one, _):
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
        await expect_error(OSError, one.link.drain)


@link_check
async def check_peer_close(make_pair: MakePair) -> None:
    """The peer's close ends what waits in `more`."""
    async with joined_pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: one.eof or one.lost > 0)
        await anyio.wait_all_tasks_blocked()
        other.link.close()
        await other.link.wait_closed()


@link_check
async def check_half_close(make_pair: MakePair) -> None:
    """After `write_eof` the peer sees the end, and can still answer."""
    async with joined_pair(make_pair) as (one, other):
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
        await send(other, b"answer")
        await one.until(lambda: one.data == b"answer")
        with one.calling():
            one.link.write(b"after the end")
        other.link.close()
        await other.link.wait_closed()
        assert other.data == b"question"


@link_check
async def check_two_writers(make_pair: MakePair) -> None:
    """Two sides that write at each other before they read do not block each other."""

    async def write_then_read(receiver: RecordingReceiver) -> None:
        await send(receiver, bytes(HUGE))
        await receiver.until(lambda: receiver.size == HUGE)

    async with (
        joined_pair(make_pair, discard=True) as (one, other),
        anyio.create_task_group() as group,
    ):
        group.start_soon(write_then_read, one)
        group.start_soon(write_then_read, other)


@link_check
async def check_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, `more` raises TimeoutError, and loses nothing."""
    async with joined_pair(make_pair) as (one, other):
        one.link.deadline = anyio.current_time() + 0.01
        await expect_error(TimeoutError, one.link.more)
        one.link.deadline = None
        await send(other, b"x")
        await one.until(lambda: one.data == b"x")


@link_check
async def check_drain_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, a blocked `drain` raises TimeoutError."""
    async with joined_pair(make_pair, discard=True) as (one, other):
        one.link.deadline = anyio.current_time() + 0.05
        async with anyio.create_task_group() as group:
            await block(one, other, group, expect=TimeoutError)
        one.link.abort()


@link_check
async def check_two_deadlines(make_pair: MakePair) -> None:
    """`deadline` is read when a wait begins, and for that wait only."""
    async with joined_pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            group.start_soon(one.until, lambda: one.size == 1)
            await anyio.wait_all_tasks_blocked()
            one.link.deadline = anyio.current_time() + 0.05
            await block(one, other, group, expect=TimeoutError)
            # The end of one wait is not the end of the other's deadline.
            await send(other, b"x")
        one.link.abort()


@link_check
async def check_cancelled_drain(make_pair: MakePair) -> None:
    """After a `drain` was cancelled the link still receives."""
    async with joined_pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            await block(one, other, group)
            group.cancel_scope.cancel()
        await send(other, b"x")
        await one.until(lambda: one.size == 1)
        with one.calling():
            one.link.abort()
        await one.link.wait_closed()
        assert one.lost == 1


@link_check
async def check_hand_over(make_pair: MakePair) -> None:
    """Another receiver takes the place of the first, and gets all that comes from then on."""
    async with joined_pair(make_pair) as (one, other):
        await send(other, b"before")
        await one.until(lambda: one.data == b"before")
        second = RecordingReceiver()
        one.link.hand_over(second)
        await send(other, b"behind")
        await second.until(lambda: second.data == b"behind")
        one.link.close()
        await one.link.wait_closed()
        if one.data != b"before" or one.lost or (second.made, second.lost) != (1, 1):
            raise AssertionError("the receiver before is still called, or the new one is not")
        if second.breaches:
            raise AssertionError("; ".join(second.breaches))


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
    check_hand_over,
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
