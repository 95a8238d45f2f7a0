"""A receiver for tests of links and of what stands on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from httpcore_proto.aio import Link


class RecordingReceiver:
    """A receiver that keeps what it is told, and the breaches of the order of calls.

    As every receiver it never raises: an event loop would log that and go on.

    Attributes:
        link: The link, once made.
        data: All bytes received.
        size: Number of bytes received.
        eof: Whether the end was received.
        made: How often `link_made` was called.
        lost: How often the loss was told.
        exc: What the loss was told with.
        discard: Count bytes instead of keeping them.
        pauses: Pause reading at every delivery.
        breaches: What the link did wrong, in words.
    """

    link: Link

    def __init__(self, *, discard: bool = False) -> None:
        self.data: bytearray = bytearray()
        self.size: int = 0
        self.made: int = 0
        self.eof: bool = False
        self.lost: int = 0
        self.exc: Exception | None = None
        self.discard: bool = discard
        self.pauses: bool = False
        self.breaches: list[str] = []
        self._inside = False

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Calls of the link inside this block must not call the receiver."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _expect(self, condition: bool, breach: str) -> None:
        if not condition:
            self.breaches.append(breach)

    def _called(self, name: str) -> None:
        self._expect(not self._inside, f"{name} from inside a call of the link")
        self._expect(not self.lost, f"{name} after link_lost")
        self._expect(bool(self.made) == (name != "link_made"), f"{name} out of order")

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self._called("link_made")
        self.made += 1
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        """Keep bytes."""
        self._called("bytes_received")
        self._expect(not self.eof, "bytes after eof_received")
        self._expect(type(data) is bytes, f"{type(data).__name__} instead of bytes")
        self._expect(bool(data), "empty bytes_received")
        self.size += len(data)
        if not self.discard:
            self.data += data
        if self.pauses:
            self.link.pause_reading()

    def eof_received(self) -> None:
        """Note the end."""
        self._called("eof_received")
        self._expect(not self.eof, "eof_received twice")
        self.eof = True

    def link_lost(self, exc: Exception | None) -> None:
        """Note the loss."""
        self._called("link_lost")
        self.lost += 1
        self.exc = exc

    async def until(self, condition: Callable[[], bool]) -> None:
        """Await `more` until `condition()` holds; the loss of the link ends it, too."""
        while not condition() and not self.lost:
            await self.link.more()
        assert condition(), "the link was lost before what had to come"
