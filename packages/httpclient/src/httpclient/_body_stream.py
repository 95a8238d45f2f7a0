"""A response body as it is received, and the fields behind it."""

from __future__ import annotations

from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from httpcore_proto.aio import StreamReader

#: Of a body without trailers, as most are.
NO_TRAILERS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())


class BodyStream(StreamReader):
    """The stream that a connection feeds.

    Attributes:
        trailers: Fields that were sent behind the body (RFC 9110 section 6.5); set by the
            connection before it feeds the end.
    """

    __slots__ = ("trailers",)

    trailers: CIMultiDictProxy[str]

    @property
    def received_trailers(self) -> CIMultiDictProxy[str]:
        """`trailers`, or none if the connection set none."""
        return getattr(self, "trailers", NO_TRAILERS)
