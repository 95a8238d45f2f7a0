"""The async floor: links, runtimes and body streams, for asyncio, uvloop and trio.

This is the only part of httpcore-proto that knows an event loop; it needs the extra
`aio` (anyio). A connection implements `Receiver`, is given a `Link`, and runs the same
code on every loop; `current_runtime` finds the driver that fits.
"""

from __future__ import annotations

from ._anyio import AnyioRuntime
from ._asyncio import AsyncioRuntime
from ._errors import BusyError, IncompleteReadError, LinkLostError
from ._interfaces import Link, Listener, Receiver, Runtime, Task, Waiter
from ._memory import memory_link_pair
from ._runtime import current_runtime
from ._stream_reader import EMPTY_PAYLOAD, StreamReader

__all__ = [
    "EMPTY_PAYLOAD",
    "AnyioRuntime",
    "AsyncioRuntime",
    "BusyError",
    "IncompleteReadError",
    "Link",
    "LinkLostError",
    "Listener",
    "Receiver",
    "Runtime",
    "StreamReader",
    "Task",
    "Waiter",
    "current_runtime",
    "memory_link_pair",
]
