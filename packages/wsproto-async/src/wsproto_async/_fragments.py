"""A message piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ._errors import WSMessageTypeError
from ._messages import WSFragment, WSMessage

if TYPE_CHECKING:
    from ._web_socket import WebSocket


class Fragments:
    """Iterator over the pieces of one message; see `WebSocket.fragments`."""

    __slots__ = ("_ended", "_timeout", "_ws")

    def __init__(self, ws: WebSocket, timeout: float | None) -> None:
        self._ws = ws
        self._timeout = timeout
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSFragment:
        if self._ended:
            raise StopAsyncIteration
        event: WSMessage | WSFragment = await self._ws._receive_piece(self, self._timeout)
        if type(event) is not WSFragment:
            self._ended = True
            raise WSMessageTypeError(f"Received {event.type!r} in place of a message's piece")
        self._ended = event.last
        return event
