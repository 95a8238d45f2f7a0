"""Reading into a buffer, on asyncio: what a transport calls meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._asyncio_link import AsyncioLink


class Filler(asyncio.BufferedProtocol):
    """Stands in for a link while its transport fills a buffer."""

    __slots__ = ("_buffer", "_filled", "_link", "_offset")

    def __init__(
        self, link: AsyncioLink, buffer: memoryview, filled: Callable[[memoryview], bool]
    ) -> None:
        self._link = link
        self._buffer = buffer
        self._filled = filled
        self._offset = 0

    def eof_received(self) -> bool:
        """As for the link, like the three that follow."""
        return self._link.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._link.connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        self._link.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return what is still to be filled."""
        return self._buffer[self._offset :]

    def buffer_updated(self, nbytes: int) -> None:
        """Tell what was filled; step back when all is."""
        start = self._offset
        self._offset = end = start + nbytes
        part = self._buffer[start:end]
        if end == len(self._buffer):
            self._link.speak_as(self._link)
        if self._filled(part) or end == len(self._buffer):
            self._link.wake_more()
