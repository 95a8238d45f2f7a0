"""Multipart readers in aiohttp's names, aiohttp's or ours, fed and read by the same lines."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

# Any: two modules that share names but no types are passed through here.
from typing import Any

from .body_inputs import FILE_SIZE, FORM, MULTIPART_HEADERS, STREAM_LIMIT, file_pieces, form_pieces
from .sampling import Batch, Timed, expecting, repeated_on_loop


class PieceFeeder:
    """Stands for a connection: one piece per turn of the loop, none while it is paused.

    To aiohttp's stream it is the protocol, to ours the source.
    """

    # What aiohttp's stream asks its protocol.
    connected = True

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Make it; it feeds nothing before `start`."""
        self._pieces = iter(pieces)
        self._loop = asyncio.get_running_loop()
        self._stream: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_scheduled = False
        self._has_ended = False

    def start(self, stream: Any) -> None:
        """Begin to feed."""
        self._stream = stream
        self._schedule()

    def pause_reading(self) -> None:
        """Feed nothing for the time being."""
        self._is_paused = True

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """Go on; aiohttp's own connection has a parser that is to be resumed as well."""
        self._is_paused = False
        self._schedule()

    async def more(self) -> None:
        """Wait for a piece. aiohttp's stream does not call it: it has a future of its own."""
        self._waiter = self._loop.create_future()
        await self._waiter

    def _schedule(self) -> None:
        if not (self._is_paused or self._is_scheduled or self._has_ended):
            self._is_scheduled = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._is_scheduled = False
        if piece := next(self._pieces, b""):
            self._stream.feed_data(piece)
        else:
            self._has_ended = True
            self._stream.feed_eof()
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None
        self._schedule()


# Reads a body with a reader and returns what is expected of it.
_Read = Callable[[Any], Awaitable[object]]


def file_reader(module: Any, *sizes: int) -> Timed:
    """Return what reads the file chunk by chunk; with the default size if none is given."""

    async def read(reader: Any) -> int:
        received = 0
        while (part := await reader.next()) is not None:
            while chunk := await part.read_chunk(*sizes):
                received += len(chunk)
        return received

    return _batch(module, file_pieces(), read), expecting(FILE_SIZE)


def form_reader(module: Any) -> Timed:
    """Return what reads the fields of the form."""

    async def read(reader: Any) -> list[tuple[str, bytes]]:
        fields = []
        while (part := await reader.next()) is not None:
            fields.append((part.name, await part.read()))
        return fields

    return _batch(module, form_pieces(), read), expecting(FORM)


def _batch(module: Any, pieces: Sequence[bytes], read: _Read) -> Batch:
    async def cycle() -> object:
        feeder = PieceFeeder(pieces)
        stream = module.StreamReader(feeder, STREAM_LIMIT)
        feeder.start(stream)
        return await read(module.MultipartReader(MULTIPART_HEADERS, stream))

    return repeated_on_loop(cycle)
