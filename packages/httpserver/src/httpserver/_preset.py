"""The header lines that nearly every response has, made once a second."""

from __future__ import annotations

import time

from httpcore_proto import SERVER_SOFTWARE, HeaderBlock, Response, format_http_date


class Presets:
    """Blocks of `Content-Type`, `Date` and `Server` lines, and heads that are nothing else."""

    __slots__ = ("_blocks", "_ends", "_heads", "date")

    def __init__(self) -> None:
        self._ends = 0
        self._blocks: dict[str | None, HeaderBlock] = {}
        self._heads: dict[tuple[int, str | None], Response] = {}
        #: Value of `Date` as of the last `get`.
        self.date: str = ""

    def get(self, content_type: str | None) -> HeaderBlock:
        """Return the block for a content type, or for none."""
        if time.time() >= self._ends:
            self._begin_second()
        block = self._blocks.get(content_type)
        if block is None:
            fields = [("Date", self.date), ("Server", SERVER_SOFTWARE)]
            if content_type is not None:
                fields.insert(0, ("Content-Type", content_type))
            block = self._blocks[content_type] = HeaderBlock(fields)
        return block

    def head(self, status: int, content_type: str | None) -> Response:
        """Return the head of a response that says nothing of its own; many have the same."""
        if time.time() >= self._ends:
            self._begin_second()
        head = self._heads.get((status, content_type))
        if head is None:
            head = Response(status=status, preset=self.get(content_type))
            self._heads[status, content_type] = head
        return head

    def _begin_second(self) -> None:
        second = int(time.time())
        self._ends = second + 1
        self._blocks.clear()
        self._heads.clear()
        self.date = format_http_date(second)
