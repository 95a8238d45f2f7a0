"""Memory for large messages is kept by the process, and not given back after each."""

from __future__ import annotations

import functools
from typing import Final

# Bytes. The largest block that a body of the usual limits leads to, a few times over.
_LARGE: Final = 4 * 2**20


@functools.cache
def keep_large_blocks() -> None:
    """Teach the C library to keep blocks of a few MiB for the next message; once.

    glibc gives memory back to the system as soon as 128 KiB at the end of its heap are
    free, and takes larger blocks from there each time. A server that reads bodies of
    64 KiB then has every page of every body made, and cleared, anew: half of its time
    (bench: server read64k). Freeing one block of that kind moves both thresholds to its
    size (mallopt(3), "dynamic mmap threshold"); elsewhere this does nothing.
    """
    bytes(_LARGE)
