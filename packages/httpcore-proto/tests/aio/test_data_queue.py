from __future__ import annotations

import anyio
import pytest

from httpcore_proto.aio import BusyError, DataQueue, EofStream


async def test_items_come_in_their_order_then_the_end() -> None:
    queue: DataQueue[int] = DataQueue()
    queue.feed_data(1)
    queue.feed_data(2)
    assert len(queue) == 2
    assert not queue.is_eof()
    queue.feed_eof()
    assert queue.is_eof()
    assert not queue.at_eof()
    assert [item async for item in queue] == [1, 2]
    assert queue.at_eof()
    with pytest.raises(EofStream):
        await queue.read()


async def test_read_waits_for_an_item() -> None:
    queue: DataQueue[str] = DataQueue()
    got: list[str] = []

    async def read() -> None:
        while True:
            got.append(await queue.read())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for item in "abc":
            await anyio.wait_all_tasks_blocked()
            queue.feed_data(item)
        await anyio.wait_all_tasks_blocked()
        assert got == ["a", "b", "c"]
        tasks.cancel_scope.cancel()


async def test_error_is_raised_behind_the_items_and_wakes() -> None:
    queue: DataQueue[int] = DataQueue()
    queue.feed_data(1)
    error = OSError("gone")
    assert queue.exception() is None
    queue.set_exception(error)
    assert queue.exception() is error
    assert await queue.read() == 1
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await queue.read()

    waited: DataQueue[int] = DataQueue()
    raised: list[BaseException] = []

    async def read() -> None:
        try:
            await waited.read()
        except OSError as exc:
            raised.append(exc)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        waited.set_exception(error)
    assert raised == [error]


async def test_second_reader_is_refused_and_a_cancelled_one_loses_nothing() -> None:
    queue: DataQueue[int] = DataQueue()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.read)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyError):
            await queue.read()
        tasks.cancel_scope.cancel()
    queue.feed_data(7)
    assert await queue.read() == 7
