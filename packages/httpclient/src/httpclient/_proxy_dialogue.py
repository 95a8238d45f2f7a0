"""A link while a proxy is talked to: what it says is kept until somebody asks."""

from __future__ import annotations

import errno

from httpcore_proto.aio import Link


class Dialogue:
    """Receiver of a link to a proxy, until the link is handed over to a connection.

    Whatever the proxy, or the origin behind it, sends without being asked would pass for
    an answer later, so `check_quiet` goes before the hand-over.
    """

    __slots__ = ("_ended", "_error", "_received", "link")

    link: Link

    def __init__(self) -> None:
        self._received = b""
        self._ended = False
        self._error: Exception | None = None

    # Called by the link.

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        """Keep bytes. Their number is bounded: nobody waits here without taking them."""
        self._received += data

    def eof_received(self) -> None:
        """Take note of the end."""
        self._ended = True

    def link_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._ended = True
        self._error = exc

    # For the task.

    async def receive(self) -> bytes:
        """Wait for bytes and take all there are.

        Raises:
            OSError: The proxy closed the connection, or it broke.
        """
        while not self._received:
            self._check_open()
            await self.link.more()
        data, self._received = self._received, b""
        return data

    async def receive_exactly(self, count: int) -> bytes:
        """Wait for a number of bytes and take them.

        Raises:
            OSError: The proxy closed the connection, or it broke.
        """
        while len(self._received) < count:
            self._check_open()
            await self.link.more()
        data, self._received = self._received[:count], self._received[count:]
        return data

    def put_back(self, data: bytes) -> None:
        """Put back bytes that were taken and not used."""
        self._received = data + self._received

    def check_quiet(self) -> None:
        """Make sure that there is a link, and nothing on it.

        Raises:
            OSError: Something was received that nobody asked for, or the end.
        """
        if self._received:
            raise ConnectionAbortedError(
                errno.ECONNABORTED, "bytes came through the proxy before anything was sent"
            )
        self._check_open()

    def _check_open(self) -> None:
        if isinstance(self._error, OSError):
            raise self._error
        if self._ended:
            raise ConnectionResetError(errno.ECONNRESET, "the proxy closed the connection")
