"""sendfile(2): from a file into a socket without a detour through this process."""

from __future__ import annotations

import errno
import os
from typing import Final

#: Whether this platform has the call at all; Windows has not.
HAS_SENDFILE: Final[bool] = hasattr(os, "sendfile")

# Bytes of one call. It reads from the disk if it has to, and other links wait meanwhile.
_PIECE_SIZE: Final = 2**20

# What a file system says that cannot (sendfile(2)).
_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


class FileSender:
    """A part of a file on its way into a socket that does not block."""

    __slots__ = ("_count", "_file", "_offset", "_started")

    def __init__(self, file: int, offset: int, count: int) -> None:
        self._file = file
        self._offset = offset
        self._count = count
        self._started = False

    @property
    def done(self) -> bool:
        """Whether all is sent."""
        return not self._count

    def send(self, sock: int) -> bool:
        """Send what the socket takes now.

        Returns:
            Whether it works; False with nothing sent if sendfile cannot read this file.

        Raises:
            EOFError: The file ends too early.
            OSError: Of the socket or the file.
        """
        try:
            sent = os.sendfile(sock, self._file, self._offset, min(self._count, _PIECE_SIZE))
        except BlockingIOError:
            return True
        except OSError as exc:
            if exc.errno in _CANNOT and not self._started:
                return False
            raise
        if not sent:
            raise EOFError(f"the file ended {self._count} bytes early, at {self._offset}")
        self._started = True
        self._offset += sent
        self._count -= sent
        return True
