"""Files as bodies, sent past this process's memory where the link can."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from typing import BinaryIO, Final, Protocol, Unpack, runtime_checkable

from anyio import to_thread

from httpcore_proto.aio import (
    AbstractStreamWriter,
    BufferedReaderPayload,
    PathPayload,
    PayloadOptions,
    PayloadSizeError,
)

# Opening a FIFO would wait for somebody to write to it.
_OPEN_FLAGS: Final[int] = getattr(os, "O_NONBLOCK", 0)


@runtime_checkable
class FileWriter(Protocol):
    """A writer that can send files by itself."""

    async def write_file(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file; False, with none of it sent, where that cannot be done.

        Raises:
            EOFError: The file is shorter.
            OSError: The peer is gone, or the file cannot be read.
        """


class OpenFilePayload(BufferedReaderPayload):
    """A file that is open, as a whole body."""

    def __init__(self, value: io.BufferedReader, **options: Unpack[PayloadOptions]) -> None:
        super().__init__(value, **options)
        self._file = value
        self._offset = value.tell() if value.seekable() else 0

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the file from its start; see `BufferedReaderPayload`."""
        size = self.size
        if not (
            size
            and not self._file.closed
            and isinstance(writer, FileWriter)
            and await _send_file(writer, self._file, self._offset, size)
        ):
            await super().write(writer)


class PathFilePayload(PathPayload):
    """A file by its path, as a whole body."""

    def __init__(self, value: os.PathLike[str], **options: Unpack[PayloadOptions]) -> None:
        super().__init__(value, **options)
        self._path = value

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the file; see `PathPayload`."""
        size = self.size
        if size and isinstance(writer, FileWriter):
            opening = _Opening(self._path)
            try:
                file = await to_thread.run_sync(opening.open)
                if await _send_file(writer, file, 0, size):
                    return
            finally:
                opening.close()
        await super().write(writer)


class _Opening:
    """A file that is opened in a thread, and closed even if nobody waits for the thread.

    A task of asyncio that is cancelled does not wait, shield or not; the file would be lost.
    """

    __slots__ = ("_closed", "_file", "_lock", "_path")

    def __init__(self, path: os.PathLike[str]) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._closed = False
        self._lock = threading.Lock()

    def open(self) -> BinaryIO:
        """Open it, once; for a thread."""
        with self._lock:
            file = self._file = _open_regular(self._path)
        if self._closed:
            file.close()
        return file

    def close(self) -> None:
        """Close it now, or when the thread that opens it leaves; does not wait."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            if self._file is not None:
                self._file.close()
            self._lock.release()


async def _send_file(writer: FileWriter, file: BinaryIO, offset: int, size: int) -> bool:
    try:
        return await writer.write_file(file, offset, size)
    except EOFError as exc:
        raise PayloadSizeError(f"the file is shorter than the {size} bytes it had") from exc


def _open_regular(path: os.PathLike[str]) -> BinaryIO:
    file = open(  # noqa: SIM115  # the caller closes it
        path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | _OPEN_FLAGS)
    )
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "only a regular file can be sent by its path", os.fspath(path))
    return file
