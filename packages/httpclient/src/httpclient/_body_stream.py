"""A response body as it is received, and the fields behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy

from httpcore_proto import new_bytes
from httpcore_proto.aio import StreamReader

if TYPE_CHECKING:
    from ._receiving import Receiving

#: Bytes of a body that are worth a buffer of their own.
LARGE: Final = 2**16
# The most that are believed to come: memory is asked for before they do.
_MAX_BUFFER: Final = 2**26

#: Of a body without trailers, as most are.
NO_TRAILERS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())


class BodyStream(StreamReader):
    """The stream that a connection feeds.

    Args:
        connection: Where more comes from; None for a body that is complete.
        limit: Low-water mark in bytes.
        length: Bytes of the whole body, if that is known.

    Attributes:
        trailers: Fields that were sent behind the body (RFC 9110 section 6.5); set by the
            connection before it feeds the end.
    """

    __slots__ = ("_connection", "_length", "trailers")

    trailers: CIMultiDictProxy[str]

    def __init__(
        self,
        connection: Receiving | None,
        limit: int = 2**18,
        length: int | None = None,
    ) -> None:
        super().__init__(connection, limit)
        self._connection = connection
        self._length = length

    async def read(self, n: int = -1) -> bytes:
        """Read up to `n` bytes, or all of them; as `StreamReader.read`.

        All of a large body whose length is known are received where they stay.
        """
        if n < 0 and self._length is not None and self._connection is not None:
            left = self._length - self.total_bytes
            if LARGE <= left <= _MAX_BUFFER and self._exception is None:
                here = self._size
                body, buffer = new_bytes(here + left)
                if self._connection.fill(self, buffer[here:]):
                    if here:
                        buffer[:here] = self._take_all()
                    try:
                        while not self._eof:
                            await self._more()
                    except BaseException:
                        # What came went where nobody looks any more.
                        if self._connection.is_receiving(self):
                            self._connection.abandon()
                        raise
                    return body
        return await super().read(n)

    def note(self, size: int) -> None:
        """Count bytes that were received without being fed."""
        self.total_bytes: int = self.total_bytes + size

    @property
    def received_trailers(self) -> CIMultiDictProxy[str]:
        """`trailers`, or none if the connection set none."""
        return getattr(self, "trailers", NO_TRAILERS)
