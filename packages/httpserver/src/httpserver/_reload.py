"""Start anew when a file changes: a SIGHUP to ourselves, from a thread that watches."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Final

import watchfiles

logger: Final = logging.getLogger("httpserver.supervisor")


def hang_up_on_change(directory: str) -> None:
    """Send SIGHUP to this process whenever a Python file below a directory changes.

    Raises:
        FileNotFoundError: There is no such directory.
    """
    os.stat(directory)
    threading.Thread(target=_watch, args=[directory], daemon=True).start()


def _watch(directory: str) -> None:
    for changes in watchfiles.watch(
        directory, watch_filter=watchfiles.PythonFilter(), raise_interrupt=False
    ):
        logger.info("changed: %s", ", ".join(sorted(path for _, path in changes)))
        os.kill(os.getpid(), signal.SIGHUP)
