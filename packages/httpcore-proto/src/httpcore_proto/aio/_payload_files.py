"""Payloads of files: open ones of every kind, and paths.

Files are read in worker threads, block by block. Each write has a position of its own and
goes there before each block, so writes that share a file do not disturb one another.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import stat
import tempfile
import threading
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import IO, Any, Final, Protocol, Unpack, runtime_checkable
from weakref import WeakKeyDictionary

from anyio import CancelScope, to_thread

from ._payload import (
    AbstractStreamWriter,
    Payload,
    PayloadOptions,
    PayloadSizeError,
    as_piece,
    get_payload,
    payload_type,
    register_payload,
)
from ._payload_types import complete_file_options, complete_text_options

#: Bytes, or characters, that one read asks for; aiohttp's number.
_BLOCK: Final = 2**18
# Opening a FIFO would wait for somebody to write to it. Not every system has each of these.
_OPEN_FLAGS: Final[int] = (
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)


@runtime_checkable
class _AsyncFile(Protocol):
    """What `anyio.AsyncFile` and trio's asynchronous files have in common."""

    @property
    def wrapped(self) -> Any: ...

    async def aclose(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[Any]: ...


class _Gate:
    """Lets one thread at a time at a file, and closes the file once nobody is at it.

    A read that is cancelled goes on in its thread, for ever if it is from a silent pipe.
    Nobody waits for that: whoever leaves last closes.
    """

    __slots__ = ("_closing", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._closing = False

    def close(self, file: IO[Any] | None) -> None:
        """Close the file, now or when the thread that is at it leaves."""
        self._closing = True
        self.leave(file)

    def leave(self, file: IO[Any] | None) -> None:
        """Close the file if that was asked for and no other thread is at it."""
        if self._closing and file is not None and self.lock.acquire(blocking=False):
            try:
                file.close()
            finally:
                self.lock.release()


_gates: Final[WeakKeyDictionary[Any, _Gate]] = WeakKeyDictionary()


class _Reader:
    """Reads on from a position. Its methods block, and are for worker threads.

    Args:
        gate: The gate of the file.
        position: Where to begin, None to read from wherever the file is.
        file: The file, None if it has to be opened.
        path: Path of a file that has to be opened.
    """

    __slots__ = ("_file", "_gate", "_path", "_position")

    def __init__(
        self,
        gate: _Gate,
        position: int | None,
        file: IO[Any] | None,
        path: os.PathLike[Any] | None = None,
    ) -> None:
        self._gate = gate
        self._position = position
        self._file = file
        self._path = path

    def read(self, size: int) -> Any:
        """Read at most so many bytes or characters; all there are if negative."""
        try:
            with self._gate.lock:
                return self._read(size)
        finally:
            self._gate.leave(self._file)

    def _read(self, size: int) -> Any:
        if self._file is None:
            self._file = _open_regular(self._path)
        file = self._file
        if self._position is not None and file.tell() != self._position:
            file.seek(self._position)
        block = file.read(size)
        if block is None:
            raise BlockingIOError(errno.EAGAIN, "the file is non-blocking and has no data")
        if self._position is not None:
            self._position = file.tell()
        return block

    @property
    def opens(self) -> bool:
        """Whether it opens the file, and so has to close it."""
        return self._path is not None

    def close(self) -> None:
        """Close the file."""
        self._gate.close(self._file)


def _open_regular(path: Any) -> IO[Any]:
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        _check_regular(os.fstat(descriptor), path)
        return io.FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result, path: Any) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "only a regular file can be sent by its path", os.fspath(path))


def _inner(file: Any) -> Any:
    """Return the file behind a temporary one."""
    if isinstance(file, tempfile.SpooledTemporaryFile):
        # Its fileno() would move what is in memory to disk.
        return file._file
    return file.file if isinstance(file, tempfile._TemporaryFileWrapper) else file


def _position_of(file: Any) -> int | None:
    try:
        return file.tell() if file.seekable() else None
    except OSError:
        return None  # text that somebody iterates over, or only pretends to be seekable


def _length_of(file: Any) -> int | None:
    """Return how many bytes are in a file, if that is certain.

    It is not for what decodes (gzip.GzipFile has the size of what it reads from), nor for
    pipes and devices.
    """
    inner = _inner(file)
    if isinstance(inner, io.BytesIO):
        return inner.getbuffer().nbytes
    raw = getattr(inner, "raw", inner)
    if not isinstance(raw, io.FileIO):
        return None
    inner.flush()
    status = os.fstat(raw.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


class _FilePayload(Payload):
    """What is common to open files and paths."""

    @abstractmethod
    def _reader(self) -> _Reader:
        """Return a reader at the start."""

    @abstractmethod
    def _find_size(self) -> int | None:
        """Look how many bytes there are from the start on."""

    @property
    def size(self) -> int | None:
        """Bytes from the start to the end of the file, when this was first asked.

        None if that is not certain: pipes, devices, files that decode what they read. The
        file system is asked on the spot, which is quick unless it is a network's.

        Raises:
            OSError: The file cannot be looked at.
        """
        if self._size is None and self._kept is None:
            self._size = self._find_size()
        return super().size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read the file, which blocks, and return it as text."""
        if self._kept is not None:
            return super().decode(encoding, errors)
        body: bytes = self._read_all()
        if self.consumed:
            self._kept = body
        return body.decode(self._encoding or encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the file from its start, in pieces of 256 KiB at most.

        A read is not waited for when the write is cancelled; its thread ends by itself.

        Raises:
            PayloadConsumedError: It was closed, or was written and cannot go back.
            PayloadSizeError: The file became shorter than `size` told. What it grew by
                meanwhile is not sent.
            OSError: It cannot be read, or the peer is gone.
        """
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most so many bytes; no more are read."""
        if self._kept is not None:
            if piece := self._kept[:content_length]:
                await writer.write(piece)
            return
        self._begin()
        size = self.size
        limits = [limit for limit in (size, content_length) if limit is not None]
        left = min(limits, default=None)
        reader = self._reader()
        try:
            while left is None or left > 0:
                block = as_piece(
                    await to_thread.run_sync(
                        reader.read,
                        _BLOCK if left is None else min(left, _BLOCK),
                        abandon_on_cancel=True,
                    )
                )
                if not block:
                    break
                if left is not None:
                    left -= len(block)
                await writer.write(block)
        finally:
            # Right here, which is quick for a file that was read: a task of asyncio that is
            # cancelled would not wait for a thread, nor start one, shield or not.
            if reader.opens:
                reader.close()
        if size is not None and left:
            raise PayloadSizeError(f"the file is {left} bytes short of the {size} it had")

    def _read_all(self) -> Any:
        self._begin()
        size = self.size
        reader = self._reader()
        try:
            return reader.read(-1)[:size]
        finally:
            if reader.opens:
                reader.close()


@payload_type(io.FileIO)
class IOBasePayload(_FilePayload):
    """An open file, from where it is now.

    Each write goes to that place first, if the file can seek; else it can be written once.
    `close` closes the file.

    Args:
        value: A file that is open for reading in binary mode, also a temporary one.
        options: As for `Payload`, with `disposition="attachment"`.

    Raises:
        ValueError: The file is closed.
    """

    def __init__(self, value: IO[Any] | io.IOBase, **options: Unpack[PayloadOptions]) -> None:
        complete_file_options(options, value)
        super().__init__(value, **options)
        # Asks the kernel, not the disk.
        self._start = _position_of(value)
        self._gate = _gates.setdefault(value, _Gate())

    @property
    def consumed(self) -> bool:
        """Whether the file is closed, or was written and cannot seek."""
        return self._kept is None and (self._consumed or self._value.closed)

    @property
    def replayable(self) -> bool:
        """Whether the file is open and can seek, or was read by `as_bytes`."""
        return super().replayable or (self._start is not None and not self._value.closed)

    async def close(self) -> None:
        """Close the file, in a thread; under a read that goes on, when that ends."""
        if not self._value.closed:
            try:
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._gate.close, self._value)
            finally:
                # Cancelling a task of asyncio minds no shield.
                self._gate.close(self._value)

    def _reader(self) -> _Reader:
        return _Reader(self._gate, self._start, self._value)

    def _find_size(self) -> int | None:
        if self._start is None or self._value.closed:
            return None
        length = _length_of(self._value)
        return None if length is None else max(0, length - self._start)


@payload_type((io.BufferedReader, io.BufferedRandom))
class BufferedReaderPayload(IOBasePayload):
    """An open binary file with a buffer; see `IOBasePayload`."""


@payload_type((io.TextIOWrapper, io.TextIOBase))
class TextIOPayload(IOBasePayload):
    """An open text file, from where it is now, encoded on its way.

    Its size is never known: the encoding, the line ends and the mark at the start may
    differ between the file and what is sent.

    Args:
        value: A file that is open for reading in text mode.
        options: As for `StringPayload`, with `disposition="attachment"`.

    Raises:
        LookupError: The charset is unknown.
        ValueError: The file is closed.
    """

    def __init__(self, value: IO[str] | io.TextIOBase, **options: Unpack[PayloadOptions]) -> None:
        self._codec = codecs.lookup(complete_text_options(options)).name
        super().__init__(value, **options)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read the file, which blocks, and return it."""
        if self._kept is not None:
            return super().decode(encoding, errors)
        text: str = self._read_all()
        if self.consumed:
            self._kept = text.encode(self._codec)
        return text

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the file from its start, in pieces of 256 Ki characters at most.

        Raises:
            PayloadConsumedError: It was closed, or was written and cannot go back.
            UnicodeError: It cannot be decoded, or its text cannot be encoded.
            OSError: It cannot be read, or the peer is gone.
        """
        if self._kept is not None:
            await super().write(writer)
            return
        self._begin()
        reader = self._reader()
        # Not str.encode: some charsets begin with a mark, or have states.
        encoder = codecs.getincrementalencoder(self._codec)()
        final = False
        while not final:
            text: str = await to_thread.run_sync(reader.read, _BLOCK, abandon_on_cancel=True)
            final = not text
            if piece := encoder.encode(text, final):
                await writer.write(piece)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most so many bytes."""
        if self._kept is not None:
            await super().write_with_length(writer, content_length)
        else:
            await Payload.write_with_length(self, writer, content_length)

    def _find_size(self) -> int | None:
        return None


@payload_type(os.PathLike)
class PathPayload(_FilePayload):
    """A regular file by its path, opened by each write and closed after it.

    Opened in a worker thread. FIFOs, devices and directories are refused.

    Args:
        value: The path. Its last component is the file name unless one is given.
        options: As for `Payload`, with `disposition="attachment"`.
    """

    def __init__(self, value: os.PathLike[Any], **options: Unpack[PayloadOptions]) -> None:
        complete_file_options(options, value)
        super().__init__(value, **options)

    @property
    def replayable(self) -> bool:
        """True."""
        return True

    @property
    def autoclose(self) -> bool:
        """True: a write closes what it opened."""
        return True

    def _reader(self) -> _Reader:
        return _Reader(_Gate(), None, None, self._value)

    def _find_size(self) -> int | None:
        status = os.stat(self._value)
        _check_regular(status, self._value)
        return status.st_size


def _payload_of_wrapper(value: Any, **options: Unpack[PayloadOptions]) -> Payload:
    return get_payload(value.wrapped, **options)


def _payload_of_file(value: Any, **options: Unpack[PayloadOptions]) -> Payload:
    cls = TextIOPayload if isinstance(_inner(value), io.TextIOBase) else IOBasePayload
    return cls(value, **options)


register_payload(_payload_of_wrapper, _AsyncFile)
register_payload(_payload_of_file, (io.IOBase, tempfile._TemporaryFileWrapper))


def file_of(value: object) -> Any:
    """Return the file or path that `value` is or wraps, None if it is neither."""
    if isinstance(value, _AsyncFile):
        value = value.wrapped
    kinds = (io.IOBase, os.PathLike, tempfile._TemporaryFileWrapper)
    return value if isinstance(value, kinds) else None
