"""The client's end of a link to a cassette."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio

from httpclient import ConnectionKey


class CassetteLink:
    """The client's end of a link, which raises what the server's end failed with."""

    link: Any

    def __init__(self, key: ConnectionKey) -> None:
        self.key = key
        self.busy = False
        self._failure: Exception | None = None
        self._scope: anyio.CancelScope | None = None
        self._writer: int | None = None

    def fail(self, failure: Exception) -> None:
        """Have an error raised where the client waits for its answer."""
        self._failure = failure
        if self._scope is not None:
            self._scope.cancel()

    @property
    def idle(self) -> bool:
        """Whether it is done for."""
        return self.link.closing and not self.busy

    # As a link; everything else is as of the one underneath.

    @property
    def deadline(self) -> float | None:
        """As of `Link`."""
        deadline: float | None = self.link.deadline
        return deadline

    @deadline.setter
    def deadline(self, when: float | None) -> None:
        self.link.deadline = when

    def write(self, data: bytes) -> None:
        """As of `Link`."""
        self._writer = anyio.get_current_task().id
        self.link.write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """As of `Link`."""
        self._writer = anyio.get_current_task().id
        self.link.writelines(pieces)

    async def more(self) -> None:
        """As of `Link`."""
        if self._failure is None:
            with anyio.CancelScope() as self._scope:
                await self.link.more()
            self._scope = None
        if self._failure is not None:
            if anyio.get_current_task().id != self._writer:
                # This one only looks for an early answer, and is cancelled when all is sent.
                await anyio.sleep_forever()
            raise self._failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link, name)
