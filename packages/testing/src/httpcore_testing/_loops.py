"""Event loops of asyncio that tests make and take down by hand."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def loop_context(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    fast: bool = False,
) -> Iterator[asyncio.AbstractEventLoop]:
    """Give a block an event loop of its own, for `loop.run_until_complete`.

    Only for asyncio; code that is not to know which loop it runs in uses `anyio.run`.

    Args:
        loop_factory: Makes the loop, `uvloop.new_event_loop` for one.
        fast: As for `teardown_test_loop`.
    """
    loop = setup_test_loop(loop_factory)
    try:
        yield loop
    finally:
        teardown_test_loop(loop, fast=fast)


def setup_test_loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> asyncio.AbstractEventLoop:
    """Make an event loop, the current one of this thread; `teardown_test_loop` ends it.

    Args:
        loop_factory: Makes the loop.
    """
    loop = loop_factory()
    asyncio.set_event_loop(loop)
    return loop


def teardown_test_loop(loop: asyncio.AbstractEventLoop, fast: bool = False) -> None:
    """Cancel what still runs in an event loop, wait for it, and close the loop.

    What a cancelled task raises goes to the loop's exception handler, which logs it. A loop
    that is closed already is left as it is.

    Args:
        loop: From `setup_test_loop`. Must not be running.
        fast: Do not collect garbage. With it, what was forgotten in the test (a coroutine
            without `await`, a session that is open) is told of here and not in another test.

    Raises:
        RuntimeError: The loop is running.
    """
    if loop.is_running():
        raise RuntimeError("a loop that is running cannot be taken down")
    try:
        if not loop.is_closed():
            try:
                _cancel_tasks(loop)
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                loop.close()
    finally:
        asyncio.set_event_loop(None)
        if not fast:
            gc.collect()


def _cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    for task in tasks:
        if not task.cancelled() and (exc := task.exception()) is not None:
            loop.call_exception_handler(
                {"message": "a task failed when it was cancelled", "exception": exc, "task": task}
            )
