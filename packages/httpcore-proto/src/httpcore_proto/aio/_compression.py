"""Compressors and decompressors by the names they have in aiohttp.

Each is one codec with a choice: at once, or in a worker thread when there is much to do.
`ContentEncoder` and `ContentDecoder` are what bodies are coded with; these are for programs
that use the names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeVarTuple, Unpack

from .._codecs import ZlibCompressor, zlib_backend
from .._coding_stage import RAW_DEFLATE
from .._codings import CodingLimits, ContentDecoder
from ._errors import BusyError
from ._job import Job

#: Bytes up to which work is done on the spot: a thread would cost more. aiohttp's number.
MAX_SYNC_CHUNK_SIZE: Final = 4096

Args = TypeVarTuple("Args")


class Worker:
    """Does one thing at a time, in a worker thread or on the spot, and loses no result."""

    __slots__ = ("_busy", "_job", "_max_sync_chunk_size")

    def __init__(self, max_sync_chunk_size: int) -> None:
        self._max_sync_chunk_size = max_sync_chunk_size
        self._busy = False
        # What a thread does, or did, for a task that was cancelled.
        self._job: Job[bytes] | None = None

    def _do(self, function: Callable[[Unpack[Args]], bytes], *args: *Args) -> bytes:
        if self._busy:
            raise BusyError("another task is using this codec")
        return self._finish_job() + function(*args)

    async def _do_in_thread(self, function: Callable[[Unpack[Args]], bytes], *args: *Args) -> bytes:
        if self._busy:
            raise BusyError("another task is using this codec")
        earlier = self._job
        # From here on it happens, and in this order, whether or not this task sees it.
        self._job = job = Job(lambda: (earlier.run() if earlier else b"") + function(*args))
        self._busy = True
        try:
            result = await job.wait()
        finally:
            self._busy = False
        self._job = None
        return result

    def _finish_job(self) -> bytes:
        if self._job is None:
            return b""
        result = self._job.run()
        self._job = None
        return result


class ZLibCompressor(Worker):
    """Compresses to gzip, zlib or raw deflate with the module of `set_zlib_backend`.

    What aiohttp calls `executor` is not here: the threads are anyio's. A call that is
    cancelled takes effect all the same; what it would have returned stands before the
    result of the next one. One task may use it at a time.

    Args:
        encoding: "gzip"; "deflate" or None for deflate.
        suppress_deflate_header: Raw deflate instead of the zlib form.
        level: As the backend has it; None for its own default.
        wbits: What zlib takes by this name, instead of `encoding` and
            `suppress_deflate_header`.
        strategy: As the backend has it; None for its own default.
        max_sync_chunk_size: `compress` does this many bytes and less on the spot; the
            default, 4096, is aiohttp's.

    Raises:
        ValueError: `encoding` is something else, or the backend does not take an argument.
    """

    __slots__ = ("_compressor",)

    def __init__(
        self,
        encoding: str | None = None,
        suppress_deflate_header: bool = False,
        level: int | None = None,
        wbits: int | None = None,
        strategy: int | None = None,
        *,
        max_sync_chunk_size: int = MAX_SYNC_CHUNK_SIZE,
    ) -> None:
        super().__init__(max_sync_chunk_size)
        form = _form(encoding, suppress_deflate_header)
        if wbits is None:
            largest = zlib_backend().MAX_WBITS
            wbits = {"gzip": 16 + largest, "deflate": largest, RAW_DEFLATE: -largest}[form]
        self._compressor = ZlibCompressor(wbits, level, strategy)

    def compress_sync(self, data: bytes) -> bytes:
        """Compress `data` in this thread; much of it may stay in the codec.

        Waits, blocking, for a call that was cancelled and still runs.

        Raises:
            BusyError: Another task is using this object.
        """
        return self._do(self._compressor.compress, data)

    async def compress(self, data: bytes) -> bytes:
        """Compress `data`, if it is large in a worker thread.

        Raises:
            BusyError: Another task is using this object.
        """
        if len(data) <= self._max_sync_chunk_size and self._job is None:
            return self.compress_sync(data)
        return await self._do_in_thread(self._compressor.compress, data)

    def flush(self, mode: int | None = None) -> bytes:
        """Return what is still in the codec.

        Args:
            mode: `Z_SYNC_FLUSH`, `Z_FULL_FLUSH` or another of zlib's; None for `Z_FINISH`,
                after which nothing can be compressed.

        Raises:
            BusyError: Another task is using this object.
        """
        if mode is None:
            return self._do(self._compressor.finish)
        return self._do(self._compressor.flush, mode)


def _form(encoding: str | None, suppress_deflate_header: bool) -> str:
    if encoding not in (None, "gzip", "deflate"):
        raise ValueError(f"encoding={encoding!r}: expected 'gzip', 'deflate' or None")
    if encoding == "gzip":
        return encoding
    return RAW_DEFLATE if suppress_deflate_header else "deflate"


# The most that is decoded in one go.
_STEP: Final = 2**20

# A bound on the size is an argument of each call, and the caller's business.
_LIMITS: Final = CodingLimits(max_ratio=None)


class _Decompressor(Worker):
    """What the three have in common."""

    __slots__ = ("_decoder",)

    def __init__(self, coding: str, max_sync_chunk_size: int) -> None:
        super().__init__(max_sync_chunk_size)
        self._decoder = ContentDecoder((coding,), _LIMITS)

    def decompress_sync(self, data: bytes, max_length: int = 0) -> bytes:
        """Decompress in this thread.

        Waits, blocking, for a call that was cancelled and still runs.

        Args:
            data: Compressed bytes; b"" to go on with what was given before.
            max_length: The most bytes to return; 0 for no bound, which is not for data of
                a stranger. Not counted is what a cancelled call left.

        Raises:
            ContentEncodingError: The data is bad, or something follows it. All further
                calls raise it too.
            BusyError: Another task is using this object.
            ValueError: `max_length` is negative.
        """
        return self._do(self._decompress, data, _checked(max_length))

    async def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        """Decompress, if there is much to do in a worker thread.

        A call that is cancelled takes effect all the same; what it would have returned
        stands before the result of the next one.

        Args:
            data: As for `decompress_sync`.
            max_length: As there.

        Raises:
            ContentEncodingError, BusyError, ValueError: As there.
        """
        small = len(data) <= self._max_sync_chunk_size and not self.data_available
        if small and self._job is None:
            return self.decompress_sync(data, max_length)
        return await self._do_in_thread(self._decompress, data, _checked(max_length))

    def flush(self) -> bytes:
        """Decompress what is left of the data that was given. `eof` says whether it was all.

        Raises:
            ContentEncodingError, BusyError: As for `decompress_sync`.
        """
        return self.decompress_sync(b"")

    @property
    def data_available(self) -> bool:
        """Whether there may be more to decompress without further data."""
        return not self._decoder.needs_input

    @property
    def eof(self) -> bool:
        """Whether the data that was given is a whole, with nothing left of it."""
        return self._decoder.complete

    def _decompress(self, data: bytes, max_length: int) -> bytes:
        self._decoder.feed(data)
        pieces: list[bytes] = []
        left = max_length or sys.maxsize
        while left and (piece := self._decoder.read(min(left, _STEP))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _checked(max_length: int) -> int:
    if max_length < 0:
        raise ValueError(f"max_length={max_length!r}: expected 0 or more")
    return max_length


class ZLibDecompressor(_Decompressor):
    """Decompresses gzip, zlib or raw deflate with the module of `set_zlib_backend`.

    Streams that follow each other are one, except for raw deflate. What aiohttp calls
    `executor` is not here: the threads are anyio's. One task may use it at a time.

    Args:
        encoding: "gzip"; "deflate" or None for deflate.
        suppress_deflate_header: Raw deflate. Otherwise either form is taken.
        max_sync_chunk_size: `decompress` takes this many bytes and less on the spot; the
            default, 4096, is aiohttp's.

    Raises:
        ValueError: `encoding` is something else.
    """

    __slots__ = ()

    def __init__(
        self,
        encoding: str | None = None,
        suppress_deflate_header: bool = False,
        *,
        max_sync_chunk_size: int = MAX_SYNC_CHUNK_SIZE,
    ) -> None:
        super().__init__(_form(encoding, suppress_deflate_header), max_sync_chunk_size)


class BrotliDecompressor(_Decompressor):
    """Decompresses one brotli stream. One task may use it at a time.

    Args:
        max_sync_chunk_size: As for `ZLibDecompressor`.

    Raises:
        ContentEncodingError: There is no brotli 1.2 here (rule "coding-missing").
    """

    __slots__ = ()

    def __init__(self, *, max_sync_chunk_size: int = MAX_SYNC_CHUNK_SIZE) -> None:
        super().__init__("br", max_sync_chunk_size)


class ZSTDDecompressor(_Decompressor):
    """Decompresses zstd frames that follow each other. One task may use it at a time.

    Args:
        max_sync_chunk_size: As for `ZLibDecompressor`.

    Raises:
        ContentEncodingError: There is no zstd here (rule "coding-missing").
    """

    __slots__ = ()

    def __init__(self, *, max_sync_chunk_size: int = MAX_SYNC_CHUNK_SIZE) -> None:
        super().__init__("zstd", max_sync_chunk_size)
