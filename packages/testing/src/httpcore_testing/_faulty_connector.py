"""A client's connections over a network that misbehaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from httpclient import ConnectionKey, TCPConnector

from ._faulty_link import FaultyLink, check_faults


class FaultyConnector(TCPConnector):
    """A `TCPConnector` whose connections receive through a `FaultyLink`.

    So client code meets a response that arrives byte by byte, late, or breaks off. The
    faults begin with each connection anew. With TLS it is the plain text that is cut.

    Args:
        split: As for `FaultyLink`, like the three that follow.
        delay: Seconds before each piece.
        drop_after: Bytes after which the connection is lost.
        half_close_after: Bytes after which the end is told.
        kwargs: As for `TCPConnector`.

    Raises:
        ValueError: As for `FaultyLink` and `TCPConnector`.
    """

    def __init__(
        self,
        *,
        split: int | Sequence[int] | None = None,
        delay: float = 0.0,
        drop_after: int | None = None,
        half_close_after: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_faults(split, delay, drop_after, half_close_after)
        super().__init__(**kwargs)
        self._faults: dict[str, Any] = {
            "split": split,
            "delay": delay,
            "drop_after": drop_after,
            "half_close_after": half_close_after,
        }

    async def _dial(self, key: ConnectionKey, connection: Any, traces: Any) -> None:
        # All that `_dial` asks of a connection is that it receives and tells its link.
        faulty: Any = FaultyLink(connection, **self._faults)
        await super()._dial(key, faulty, traces)
