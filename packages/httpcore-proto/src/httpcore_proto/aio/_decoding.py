"""Bodies in a content coding: a stream whose source is the coded stream.

Nothing is decoded before somebody reads, and then a bounded piece at a time: what is skipped
costs no decoding, and a body that unfolds to a thousand times its size is held back where
a plain one would be, in the socket.
"""

from __future__ import annotations

from typing import Final

from .._codings import ContentDecoder
from .._errors import ContentEncodingError
from ._errors import BusyError
from ._job import Job
from ._stream_reader import DEFAULT_LIMIT, StreamReader

#: Coded bytes above which decoding leaves the event loop; below, the thread would cost more
#: than the work. aiohttp's servers compress in a thread from this size on.
DEFAULT_EXECUTOR_SIZE: Final = 1024


def decode_stream(
    coded: StreamReader,
    decoder: ContentDecoder,
    *,
    limit: int = DEFAULT_LIMIT,
    executor_size: int = DEFAULT_EXECUTOR_SIZE,
) -> StreamReader:
    """Return a stream of what `coded` holds, decoded.

    Reading from it reads from `coded`, which nobody else may read from then on. The ends of
    HTTP chunks are kept: each stands behind what its bytes decode to. Reads raise
    `ContentEncodingError` where the body does not fit its coding or is over a limit of the
    decoder, and whatever `coded` raises.

    Args:
        coded: The body as it is received.
        decoder: New, and used by nobody else.
        limit: Low-water mark of the decoded stream in bytes, and the most that one step
            decodes.
        executor_size: Coded pieces above this many bytes are decoded in a worker thread.
    """
    source = _DecodedSource(coded, AsyncDecoder(decoder, executor_size))
    stream = StreamReader(source, limit, coded=coded)
    source.stream = stream
    return stream


class AsyncDecoder:
    """A `ContentDecoder` that leaves the event loop for large pieces.

    One task at a time. A `read` that is cancelled loses nothing: what a thread is doing
    then is taken up by the next one.

    Args:
        decoder: New, and used by nobody else.
        executor_size: Coded pieces above this many bytes are decoded in a worker thread.
    """

    __slots__ = ("_coded_size", "_decoder", "_executor_size", "_job")

    def __init__(self, decoder: ContentDecoder, executor_size: int = DEFAULT_EXECUTOR_SIZE) -> None:
        self._decoder = decoder
        self._executor_size = executor_size
        self._coded_size = 0  # of the piece that is being decoded
        self._job: Job[bytes] | None = None

    @property
    def needs_input(self) -> bool:
        """Whether everything that was fed is decoded and read."""
        return self._job is None and self._decoder.needs_input

    def feed(self, data: bytes) -> None:
        """Take the next piece of the coded body."""
        self._coded_size = len(data)
        self._decoder.feed(data)

    def feed_eof(self) -> None:
        """The coded body is complete."""
        self._decoder.feed_eof()

    async def read(self, max_length: int) -> bytes:
        """Decode at most `max_length` bytes; `b""` if more input is needed, or at the end.

        Raises:
            ContentEncodingError: The body does not fit its coding, or is over a limit.
        """
        if self._job is None:
            if self._coded_size <= self._executor_size:
                return self._decoder.read(max_length)
            self._job = Job(self._decoder.read, max_length)
        try:
            return await self._job.wait()
        finally:
            if self._job.done:
                self._job = None


class _DecodedSource:
    """Feeds a stream from a coded one, when the stream asks for more."""

    __slots__ = ("_busy", "_coded", "_decoder", "_ends_chunk", "_eof", "stream")

    stream: StreamReader

    def __init__(self, coded: StreamReader, decoder: AsyncDecoder) -> None:
        self._coded = coded
        self._decoder = decoder
        self._ends_chunk = False  # whether a chunk ends behind what is being decoded
        self._eof = False
        self._busy = False

    def pause_reading(self) -> None:
        """Do nothing: what is not asked for is not decoded, and so not read."""

    def resume_reading(self) -> None:
        """Do nothing, as above."""

    async def more(self) -> None:
        """Feed the stream once: with bytes, the end of a chunk, or its end."""
        if self._busy:
            raise BusyError("another task is reading this body")
        self._busy = True
        try:
            if self._decoder.needs_input and not self._eof:
                await self._feed_decoder()
            low, _ = self.stream.get_read_buffer_limits()
            self._feed_stream(await self._decoder.read(low))
        except Exception as exc:
            if isinstance(exc, ContentEncodingError) or self._coded.exception() is not None:
                self.stream.set_exception(exc)
            raise
        finally:
            self._busy = False

    async def _feed_decoder(self) -> None:
        data, self._ends_chunk = await self._coded.readchunk()
        if data:
            self._decoder.feed(data)
        elif not self._ends_chunk:
            self._decoder.feed_eof()
            self._eof = True

    def _feed_stream(self, data: bytes) -> None:
        if self._ends_chunk and self._decoder.needs_input:
            self._ends_chunk = False
            self.stream.feed_data(data, (len(data),))
        elif data:
            self.stream.feed_data(data)
        elif self._eof:
            self.stream.feed_eof()
