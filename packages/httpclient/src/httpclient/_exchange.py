"""What a response holds of a connection while its body is under way."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from httpcore_proto.aio import Receiver, StreamReader

from ._connection import ClientHTTPConnection
from ._errors import ServerDisconnectedError


class Exchange:
    """A response whose body is still under way. Dropped unfinished, it closes what it holds.

    It stands for one request and its response, not for the socket: with HTTP/2 it will be
    one stream of many.
    """

    __slots__ = ("_connection", "_stream")

    def __init__(self, connection: ClientHTTPConnection, stream: StreamReader) -> None:
        self._connection = connection
        self._stream = stream

    @property
    def active(self) -> bool:
        """Whether the body is still being received."""
        return self._connection.is_receiving(self._stream)

    def info(self, name: str, default: Any = None) -> Any:
        """Facts about the link, by asyncio's names."""
        return self._connection.link.info(name, default)

    def switch(self, receiver: Receiver) -> tuple[bytes, bool]:
        """Give the link to who speaks another protocol, behind a 101 that asked for it.

        Returns:
            What came behind the 101, and whether the server closed behind that.

        Raises:
            ClientConnectionError: The connection is lost, or was let go of.
        """
        if not self.active:
            raise ServerDisconnectedError("the connection was lost behind the 101")
        return self._connection.switch(receiver)

    def switch_ended(self) -> None:
        """The link that was given away is done for; again does nothing."""
        self._connection.switch_ended()

    def close(self) -> None:
        """End it; the connection is not used again."""
        if self.active:
            self._connection.abandon()

    def __del__(self) -> None:
        if self.active:
            if sys.flags.dev_mode:
                warnings.warn("Unclosed response", ResourceWarning, source=self, stacklevel=2)
            self._connection.abandon()
