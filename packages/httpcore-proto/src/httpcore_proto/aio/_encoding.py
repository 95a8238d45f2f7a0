"""Applying content codings to a body that is on its way."""

from __future__ import annotations

from .._codings import ContentEncoder
from ._compression import Worker
from ._decoding import DEFAULT_EXECUTOR_SIZE


class AsyncEncoder(Worker):
    """A `ContentEncoder` that leaves the event loop for large pieces.

    One task at a time. A call that is cancelled takes effect all the same; what it would
    have returned stands before the result of the next one.

    Args:
        encoder: New, and used by nobody else.
        executor_size: Pieces above this many bytes are encoded in a worker thread.
    """

    __slots__ = ("_encoder", "_waiting")

    def __init__(self, encoder: ContentEncoder, executor_size: int = DEFAULT_EXECUTOR_SIZE) -> None:
        super().__init__(executor_size)
        self._encoder = encoder
        # Bytes given since the last flush, which the codec may still have to work on.
        self._waiting = 0

    async def encode(self, data: bytes) -> bytes:
        """Encode `data`; much of it may stay in the codec for the time being.

        Raises:
            BusyError: Another task uses this object.
            RuntimeError: `finish` was called.
        """
        self._waiting += len(data)
        if self._job is None and len(data) <= self._max_sync_chunk_size:
            return self._do(self._encoder.encode, data)
        return await self._do_in_thread(self._encoder.encode, data)

    async def flush(self) -> bytes:
        """Return what the peer needs to decode all that was encoded; as of `encode`."""
        if self._job is None and self._waiting <= self._max_sync_chunk_size:
            self._waiting = 0
            return self._do(self._encoder.flush)
        self._waiting = 0
        return await self._do_in_thread(self._encoder.flush)

    async def finish(self) -> bytes:
        """Return the rest of the coded body, once; as of `encode`."""
        if self._job is None and self._waiting <= self._max_sync_chunk_size:
            return self._do(self._encoder.finish)
        return await self._do_in_thread(self._encoder.finish)
