"""Calls that may wait for a disk, made in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

from anyio.to_thread import run_sync

T = TypeVar("T")
Args = TypeVarTuple("Args")


async def in_thread(function: Callable[[Unpack[Args]], T], *args: *Args) -> T:
    """Call a function in a worker thread.

    On asyncio that is the loop's own pool: its few threads take one call after the other,
    which under load costs half of what anyio's do, each of which waits for its own.

    When this is cancelled the thread may go on, and what it returns is dropped.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return await run_sync(function, *args)
    return await loop.run_in_executor(None, function, *args)
