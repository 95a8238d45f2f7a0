from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from httpcore_testing import loop_context, setup_test_loop, teardown_test_loop

FACTORIES: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]


@pytest.mark.parametrize("factory", FACTORIES)
def test_context_gives_a_loop_and_closes_it(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with loop_context(factory) as loop:
        assert loop.run_until_complete(running()) is loop
        assert ("uvloop" in type(loop).__module__) == (factory is uvloop.new_event_loop)

    assert loop.is_closed()


def test_context_closes_the_loop_of_a_block_that_fails() -> None:
    with pytest.raises(KeyError):
        with loop_context() as loop:
            raise KeyError

    assert loop.is_closed()


def test_setup_makes_the_loop_the_current_one() -> None:
    loop = setup_test_loop()
    try:
        assert asyncio.get_event_loop() is loop
    finally:
        teardown_test_loop(loop)

    with pytest.raises(RuntimeError, match="no current event loop"):
        asyncio.get_event_loop()


def test_teardown_cancels_what_still_runs_and_waits_for_it() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("ended")

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        return task

    loop = setup_test_loop()
    task = loop.run_until_complete(begin())
    teardown_test_loop(loop)

    assert steps == ["ended"]
    assert task.cancelled()


def test_teardown_tells_what_a_cancelled_task_raised() -> None:
    told: list[dict[str, Any]] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("why")

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        return task

    with loop_context() as loop:
        loop.set_exception_handler(lambda loop, context: told.append(context))
        loop.run_until_complete(begin())

    assert [repr(context["exception"]) for context in told] == ["KeyError('why')"]


def test_teardown_ends_asynchronous_generators() -> None:
    steps: list[str] = []

    async def generate() -> Any:
        try:
            yield 1
        finally:
            steps.append("ended")

    async def begin() -> Any:
        generator = generate()
        await anext(generator)
        return generator

    with loop_context() as loop:
        generator = loop.run_until_complete(begin())

    assert steps == ["ended"]
    assert generator is not None


def test_teardown_of_a_closed_loop_does_nothing_to_it() -> None:
    loop = setup_test_loop()
    loop.close()

    teardown_test_loop(loop)

    assert loop.is_closed()


def test_teardown_of_a_running_loop_is_refused() -> None:
    async def try_it() -> None:
        with pytest.raises(RuntimeError, match="running"):
            teardown_test_loop(asyncio.get_running_loop())

    with loop_context() as loop:
        loop.run_until_complete(try_it())


class _Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize("fast", [False, True])
def test_teardown_collects_garbage_unless_fast(fast: bool) -> None:
    gc.disable()
    try:
        with loop_context(fast=fast):
            forgotten = weakref.ref(_Cycle())

        assert (forgotten() is None) == (not fast)
    finally:
        gc.enable()
        gc.collect()
