"""A recorded response, on its way to the client."""

from __future__ import annotations

from typing import Any

import httpcore_proto
from httpcore_proto import HttpVersion11
from httpserver import StreamResponse

from ._cassette_exchange import (
    HeaderList,
    RecordedResponse,
    carries_body,
    field_of,
    without_fields,
)


class RecordedReply(StreamResponse):
    """A response that has the fields that are recorded, and no others of the server's."""

    def __init__(self, method: str, recorded: RecordedResponse) -> None:
        super().__init__(status=recorded.status)
        self._recorded = recorded
        self._carries = carries_body(method, recorded.status)
        self._chunked = field_of(recorded.headers, "transfer-encoding") is not None

    async def prepare(self, request: Any) -> None:
        """Send the head, and the body with it; called once."""
        self._chunked = self._chunked and request.version >= HttpVersion11
        if self._chunked:
            self.trailers.extend(self._recorded.trailers)
        await super().prepare(request)
        if self._carries:
            await self.write(self._recorded.body)

    def make_head(self, presets: Any) -> httpcore_proto.Response:
        """Return the head as it is recorded, framed for the body as it is here."""
        recorded = self._recorded
        fields: HeaderList = without_fields(recorded.headers, {"transfer-encoding"})
        if self._chunked and self._carries:
            fields += (("Transfer-Encoding", "chunked"),)
        elif self._carries:
            fields += (("Content-Length", str(len(recorded.body))),)
        return httpcore_proto.Response(
            status=recorded.status, reason=recorded.reason, headers=fields
        )
