"""The body of a message as a stream: fed by a connection, read by one task.

What a connection feeds is kept in the pieces in which it came and is joined at most
once, on its way out. Above the high-water mark the link stops reading, so a slow reader
slows the peer down and not our memory up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from .._errors import LineTooLong
from ._errors import IncompleteReadError

#: Low-water mark in bytes; reading stops at twice this. aiohttp's read_bufsize.
DEFAULT_LIMIT: Final = 2**18


class Source(Protocol):
    """The part of a link that a stream uses."""

    async def more(self) -> None:
        """Wait until something was received."""

    def pause_reading(self) -> None:
        """Stop deliveries."""

    def resume_reading(self) -> None:
        """Go on with deliveries."""


class StreamReader:
    """A body being received, content codings included.

    Not made by users: it is `ClientResponse.content` and `Request.content`. One task at
    a time may read; a second gets `BusyError` (a `RuntimeError`). Cancelling a read
    loses no byte, except in `read()`, `readexactly` and `readuntil`, whose bytes so far
    are gone with them.

    Args:
        source: Where more comes from; None for a body that is complete as it is.
        limit: Low-water mark in bytes; the high-water mark is twice that.
        coded: The body in its content codings, if this is what it decodes to.
    """

    __slots__ = (
        "_chunk_ends",
        "_coded",
        "_eof",
        "_eof_callbacks",
        "_exception",
        "_high",
        "_low",
        "_max_chunk_ends",
        "_offset",
        "_paused",
        "_pieces",
        "_size",
        "_source",
        "total_bytes",
    )

    def __init__(
        self,
        source: Source | None,
        limit: int = DEFAULT_LIMIT,
        *,
        coded: StreamReader | None = None,
    ) -> None:
        self._source = source
        self._coded = coded
        self._set_marks(limit)
        self._pieces: deque[bytes] = deque()
        self._offset = 0  # into the first piece
        self._size = 0
        #: Bytes fed so far, read or not.
        self.total_bytes: int = 0
        self._chunk_ends: deque[int] = deque()  # as positions in total_bytes
        self._paused = False
        self._eof = False
        self._exception: BaseException | None = None
        self._eof_callbacks: list[Callable[[], None]] = []

    # For the connection that feeds it.

    def feed_data(self, data: bytes, chunk_ends: tuple[int, ...] = ()) -> None:
        """Append bytes, which must not change afterwards.

        Args:
            data: May be empty if only a chunk ended.
            chunk_ends: Positions in `data` at which an HTTP chunk ends.
        """
        if chunk_ends:
            ends = self._chunk_ends
            for end in chunk_ends:
                position = self.total_bytes + end
                # Chunks out of which a content coding makes no bytes end at one position.
                if not ends or ends[-1] != position:
                    ends.append(position)
        if data:
            self._pieces.append(data)
            self._size += len(data)
            self.total_bytes += len(data)
        if (
            self._size > self._high or len(self._chunk_ends) > self._max_chunk_ends
        ) and not self._paused:
            self._paused = True
            if self._source is not None:
                self._source.pause_reading()

    def feed_eof(self) -> None:
        """The body is complete."""
        self._eof = True
        source, self._source = self._source, None
        if self._paused and source is not None:
            # What comes now is not of this body, which would never ask for it.
            self._paused = False
            source.resume_reading()
        callbacks, self._eof_callbacks = self._eof_callbacks, []
        for callback in callbacks:
            callback()

    def set_exception(self, exc: BaseException) -> None:
        """End the body with an error, which every later read raises."""
        self._exception = exc
        self._eof_callbacks.clear()
        if self._paused and self._source is not None:
            self._paused = False
            self._source.resume_reading()

    # For the user.

    @property
    def total_raw_bytes(self) -> int:
        """Bytes received so far, content codings not undone; as of `total_bytes` if none is."""
        return self.total_bytes if self._coded is None else self._coded.total_bytes

    @property
    def total_compressed_bytes(self) -> int | None:
        """Bytes received so far of a body in content codings; None of any other."""
        return None if self._coded is None else self._coded.total_bytes

    def exception(self) -> BaseException | None:
        """The error that ended the body, if one did."""
        return self._exception

    def is_eof(self) -> bool:
        """Whether the body was received to its end."""
        return self._eof

    @property
    def paused(self) -> bool:
        """Whether reading stopped because nobody takes what is here."""
        return self._paused

    def at_eof(self) -> bool:
        """Whether the body was read to its end."""
        return self._eof and not self._size

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once the end was received; at once if it was."""
        if self._eof:
            callback()
        else:
            self._eof_callbacks.append(callback)

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Return the low- and high-water mark in bytes."""
        return self._low, self._high

    def set_read_chunk_size(self, size: int) -> None:
        """Raise the marks to hold pieces of `size` bytes; never lowers them."""
        if size > self._low:
            self._set_marks(size)

    async def wait_eof(self) -> None:
        """Wait until the end was received; somebody has to read meanwhile.

        In content codings that is the end of the coded body, decoded or not.
        """
        if self._coded is not None:
            await self._coded.wait_eof()
            return
        while not self._eof:
            await self._more()

    async def read(self, n: int = -1) -> bytes:
        """Read up to `n` bytes, or all of them.

        Args:
            n: Negative for everything up to the end; 0 for nothing. Else returns what
                is there, at most `n` bytes, and waits only if nothing is.

        Returns:
            `b""` at the end.

        Raises:
            BadHttpMessage: The body is malformed or cut.
            OSError: The connection broke.
        """
        if n < 0:
            pieces: list[bytes] = []
            while True:
                self._check()
                if self._size:
                    pieces.append(self._take_all())
                elif self._eof:
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                else:
                    await self._more()
        if n == 0:
            return b""
        await self._wait_data()
        return self._take(n)

    async def readany(self) -> bytes:
        """Read what is there, waiting only if nothing is; `b""` at the end."""
        await self._wait_data()
        return self._take_all()

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes.

        Raises:
            IncompleteReadError: The body ended before; it carries what there was.
        """
        pieces: list[bytes] = []
        left = n
        while left > 0:
            data = await self.read(left)
            if not data:
                raise IncompleteReadError(b"".join(pieces), n)
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Read through the next `\\n`; the rest at the end of the body."""
        return await self.readuntil(b"\n", max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """Read through the next separator; the rest at the end of the body.

        Args:
            separator: One byte or more; may lie across pieces.
            max_size: Most bytes to return; the high-water mark unless given.

        Raises:
            ValueError: The separator is empty.
            LineTooLong: No separator within `max_size` bytes.
        """
        if not separator:
            raise ValueError("separator must not be empty")
        allowed = self._high if max_size is None else max_size
        pieces: list[bytes] = []
        size = 0
        tail = b""  # what the separator may have begun in, of the pieces taken
        while True:
            self._check()
            if not self._size:
                if self._eof:
                    return b"".join(pieces)
                await self._more()
                continue
            first = self._pieces[0]
            start = self._offset
            straddle = (tail + first[start : start + len(separator) - 1]).find(separator)
            if straddle >= 0:
                end = start + straddle + len(separator) - len(tail)
            else:
                found = first.find(separator, start)
                end = found + len(separator) if found >= 0 else -1
            piece = self._take((end if end >= 0 else len(first)) - start)
            size += len(piece)
            if size > allowed:
                raise LineTooLong(
                    f"line too long: {size} bytes without separator with max_size={allowed}",
                    rule="stream-line",
                    limit="max_size",
                    value=size,
                    allowed=allowed,
                )
            pieces.append(piece)
            if end >= 0:
                return b"".join(pieces)
            if len(separator) > 1:
                tail = (tail + piece)[1 - len(separator) :]

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read to the end of an HTTP chunk, or what is there of it.

        Returns:
            The bytes, and whether a chunk ends behind them; `(b"", True)` where only
            the end was left to tell, `(b"", False)` at the end of the body.
        """
        while True:
            self._check()
            position = self.total_bytes - self._size
            ends = self._chunk_ends
            while ends and ends[0] < position:
                ends.popleft()
            if ends:
                size = ends[0] - position
                if size <= self._size:
                    ends.popleft()
                    return self._take(size, keep_ends=True), True
            if self._size:
                return self._take_first(), False
            if self._eof:
                return b"", False
            await self._more()

    def read_nowait(self, n: int = -1) -> bytes:
        """Return what is there, at most `n` bytes if `n` is not negative."""
        self._check()
        return self._take_all() if n < 0 else self._take(n)

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over pieces of at most `n` bytes."""
        self.set_read_chunk_size(n)
        while data := await self.read(n):
            yield data

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over pieces as they come."""
        while data := await self.readany():
            yield data

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Iterate over what `readchunk` returns."""
        while (item := await self.readchunk()) != (b"", False):
            yield item

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over lines."""
        while line := await self.readline():
            yield line

    # Inside.

    def _check(self) -> None:
        if self._exception is not None:
            raise self._exception

    async def _more(self) -> None:
        self._check()
        source = self._source
        if source is None:
            raise RuntimeError("Connection closed.")
        await source.more()

    def _set_marks(self, low: int) -> None:
        self._low = low
        self._high = low * 2
        # Chunk ends have a mark of their own: a body in one-byte chunks costs more for
        # them than for its bytes.
        self._max_chunk_ends = max(4, low // 16)

    async def _wait_data(self) -> None:
        while not self._size and not self._eof:
            await self._more()
        self._check()

    def _took(self, size: int) -> None:
        self._size -= size
        if (
            self._paused
            and self._size <= self._low
            and len(self._chunk_ends) <= self._max_chunk_ends // 2
        ):
            self._paused = False
            if self._source is not None:
                self._source.resume_reading()

    def _take_all(self) -> bytes:
        pieces = self._pieces
        if self._offset:
            pieces[0] = pieces[0][self._offset :]
            self._offset = 0
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._chunk_ends.clear()
        self._took(len(data))
        return data

    def _take_first(self) -> bytes:
        return self._take(len(self._pieces[0]) - self._offset, keep_ends=True)

    def _take(self, n: int, *, keep_ends: bool = False) -> bytes:
        """Take at most `n` bytes of what is there."""
        if n >= self._size and not keep_ends:
            return self._take_all() if self._size else b""
        taken: list[bytes] = []
        left = n
        while left > 0:
            piece = self._pieces[0]
            rest = len(piece) - self._offset
            if rest <= left:
                taken.append(piece[self._offset :] if self._offset else piece)
                self._pieces.popleft()
                self._offset = 0
                left -= rest
            else:
                taken.append(piece[self._offset : self._offset + left])
                self._offset += left
                left = 0
        if not keep_ends:
            position = self.total_bytes - self._size + n
            while self._chunk_ends and self._chunk_ends[0] <= position:
                self._chunk_ends.popleft()
        self._took(n)
        return taken[0] if len(taken) == 1 else b"".join(taken)


class _EmptyStreamReader(StreamReader):
    """The body of a message that has none; shared by all of them."""

    __slots__ = ()

    def set_exception(self, exc: BaseException) -> None:
        """Change nothing: nothing can go wrong with no body."""


#: A body that is complete and empty.
EMPTY_PAYLOAD: Final[StreamReader] = _EmptyStreamReader(None)
EMPTY_PAYLOAD.feed_eof()
