"""The header lines that nearly every response has, made once a second."""

from __future__ import annotations

import time

from httpcore_proto import SERVER_SOFTWARE, HeaderBlock, format_http_date


class Presets:
    """Blocks of `Content-Type`, `Date` and `Server` lines, by content type."""

    __slots__ = ("_blocks", "_second", "date")

    def __init__(self) -> None:
        self._second = 0
        self._blocks: dict[str | None, HeaderBlock] = {}
        #: Value of `Date` as of the last `get`.
        self.date: str = ""

    def get(self, content_type: str | None) -> HeaderBlock:
        """Return the block for a content type, or for none."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._blocks.clear()
            self.date = format_http_date(second)
        block = self._blocks.get(content_type)
        if block is None:
            fields = [("Date", self.date), ("Server", SERVER_SOFTWARE)]
            if content_type is not None:
                fields.insert(0, ("Content-Type", content_type))
            block = self._blocks[content_type] = HeaderBlock(fields)
        return block
