"""Which runtime fits the event loop that runs."""

from __future__ import annotations

import asyncio

from ._anyio import AnyioRuntime
from ._asyncio import AsyncioRuntime
from ._heap import keep_large_blocks


def current_runtime() -> AsyncioRuntime | AnyioRuntime:
    """Return a new runtime for the running event loop.

    asyncio and uvloop get the driver that is the transport's protocol; every other
    loop that anyio knows, such as trio, the one over anyio's streams.

    Raises:
        RuntimeError: No event loop is running.
    """
    keep_large_blocks()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return AnyioRuntime()
    return AsyncioRuntime()
