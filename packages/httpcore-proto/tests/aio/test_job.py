from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar

import anyio
import pytest

from httpcore_proto.aio import Job


class Gate:
    """A function that waits in its thread until it is let go, and counts its calls."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.calls = 0
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, value: int) -> int:
        self.calls += 1
        self.entered.set()
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return value + 1


async def entered(gate: Gate) -> None:
    assert await anyio.to_thread.run_sync(gate.entered.wait, 10)


def test_run_calls_once() -> None:
    calls: list[int] = []
    job = Job(calls.append, 1)
    assert not job.done
    assert job.run() is None
    assert job.done
    assert job.run() is None
    assert calls == [1]


def test_outcome_may_be_none_or_false() -> None:
    assert Job(lambda: None).run() is None
    assert Job(lambda: 0).run() == 0


def test_arguments_are_dropped() -> None:
    class Large:
        gone = False

        def __del__(self) -> None:
            Large.gone = True

    job = Job(id, Large())
    assert not Large.gone
    job.run()
    assert Large.gone


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_error_is_kept(error: BaseException) -> None:
    gate = Gate(error)
    gate.open.set()
    job = Job(gate, 1)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            job.run()
        assert caught.value is error
        assert job.done
    assert gate.calls == 1


def test_threads_that_run_together_share_one_call() -> None:
    gate = Gate()
    job = Job(gate, 1)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(job.run())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert gate.entered.wait(10)
    assert not job.done
    gate.open.set()
    for thread in threads:
        thread.join(10)
    assert found == [2] * 4
    assert gate.calls == 1


async def test_wait_runs_in_a_worker_thread() -> None:
    job = Job(threading.get_ident)
    assert await job.wait() != threading.get_ident()
    assert await job.wait() == job.run()


async def test_wait_has_the_context_of_the_task() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("x")
    assert await Job(variable.get).wait() == "x"


async def test_wait_raises_what_the_function_raised() -> None:
    job = Job(int, "x")
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            await job.wait()


async def test_tasks_that_wait_together_share_one_call() -> None:
    gate = Gate()
    job = Job(gate, 1)
    found: list[int] = []

    async def wait() -> None:
        found.append(await job.wait())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        await entered(gate)
        gate.open.set()
    assert found == [2] * 3
    assert gate.calls == 1


async def test_wait_in_a_cancelled_scope_can_be_repeated() -> None:
    gate = Gate()
    job = Job(gate, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await job.wait()
    assert gate.calls == 0
    gate.open.set()
    assert await job.wait() == 2
    assert gate.calls == 1


async def test_scope_cancelled_while_the_thread_runs() -> None:
    gate = Gate()
    job = Job(gate, 1)
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(job.wait)
            await entered(gate)
            group.start_soon(anyio.to_thread.run_sync, gate.open.set)
            scope.cancel()
            await job.wait()
        assert await job.wait() == 2
    assert gate.calls == 1


@pytest.mark.parametrize("error", [None, ValueError("x")])
@pytest.mark.parametrize("finished", [True, False])
def test_task_cancelled_by_asyncio_while_the_thread_runs(
    error: ValueError | None, finished: bool
) -> None:
    """asyncio's own cancellation left a thread alone with the object, and lost its result."""
    gate = Gate(error)
    job = Job(gate, 1)

    async def main() -> int:
        task = asyncio.ensure_future(job.wait())
        await entered(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not job.done
        if finished:
            gate.open.set()
            with contextlib.suppress(ValueError):
                await asyncio.to_thread(job.run)
            assert job.done
            return await job.wait()
        task = asyncio.ensure_future(job.wait())
        await asyncio.sleep(0)
        gate.open.set()
        return await task

    if error is None:
        assert asyncio.run(main()) == 2
    else:
        with pytest.raises(ValueError, match="x"):
            asyncio.run(main())
    assert gate.calls == 1
