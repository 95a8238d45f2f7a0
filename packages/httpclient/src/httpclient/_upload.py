"""Sending a body that is large or comes in pieces, and noticing an answer meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Final, TypeAlias

import anyio

from httpcore_proto import (
    NEED_DATA,
    ClientConnection,
    Data,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Response,
)
from httpcore_proto.aio import Link

from ._request import OutgoingRequest

#: A head that no other follows: a response, or 101.
FinalResponse: TypeAlias = Response | InformationalResponse

_END: Final = EndOfMessage()


def early_response(machine: ClientConnection) -> FinalResponse | None:
    """Return the final head, if the machine has it; other interim ones are dropped.

    Raises:
        RemoteProtocolError: The server broke the protocol.
    """
    event = machine.next_event()
    while type(event) is InformationalResponse and event.status != 101:
        event = machine.next_event()
    return event if isinstance(event, (Response, InformationalResponse)) else None


class Upload:
    """One request that is being sent. Its connection tells it when something arrived.

    RFC 9112 section 9.3 tells a client to stop when it sees that the body is not wanted.
    A cancel scope ends the wait for the link, or for the next piece; one per upload,
    since it costs as much as a small request.

    Args:
        link: Where it is sent.
        machine: What encodes it.
        drain: Waits for the link; returns a response that came if the link breaks.

    Attributes:
        response: The response that came before the end.
        torn: The request was not sent to its end, so nothing can follow it.
    """

    __slots__ = ("_drain", "_link", "_machine", "_scope", "_stopped", "response", "torn")

    def __init__(
        self,
        link: Link,
        machine: ClientConnection,
        drain: Callable[[], Awaitable[FinalResponse | None]],
    ) -> None:
        self._link = link
        self._machine = machine
        self._drain = drain
        self._scope = anyio.CancelScope()
        self._stopped = False
        self.response: FinalResponse | None = None
        self.torn = False

    async def send(self, request: OutgoingRequest, seconds: float | None) -> bool:
        """Send head and body.

        Args:
            request: What to send.
            seconds: How long it may take; None for ever.

        Returns:
            Whether the time passed.
        """
        with self._scope as scope:
            if seconds is not None:
                scope.deadline = anyio.current_time() + seconds
            head = self._machine.send(request.head)
            if request.stream is None:
                body = self._machine.send(Data(request.body)), self._machine.send(_END)
                self._link.writelines((head, *body))
                await self._drained()
            else:
                self._link.write(head)
                await self._send_pieces(request.stream)
        if scope.cancelled_caught:
            self.torn = True
            return not self._stopped
        return False

    async def _send_pieces(self, stream: AsyncIterable[bytes | bytearray | memoryview]) -> None:
        machine, link = self._machine, self._link
        try:
            async for piece in stream:
                if not isinstance(piece, (bytes, bytearray, memoryview)):
                    raise TypeError(
                        f"a piece of the body must be bytes, not {type(piece).__name__}"
                    )
                link.write(machine.send(Data(bytes(piece))))
                await self._drained()
                if self._stopped:
                    self.torn = True
                    return
        finally:
            # Nobody else would: a generator that is left suspended is closed some time
            # later, in another task.
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        link.write(machine.send(_END))
        await self._drained()

    async def _drained(self) -> None:
        if self._link.needs_drain and (response := await self._drain()) is not None:
            self.response = response
            self.torn = self._stopped = True

    def look(self) -> None:
        """Something arrived: stop if it is an answer, an end, or no HTTP at all."""
        try:
            if self.response is None:
                self.response = early_response(self._machine)
                if self.response is None and self._machine.next_event() is NEED_DATA:
                    return
        except RemoteProtocolError:
            pass  # the connection gets it again
        self.stop()

    def stop(self) -> None:
        """Stop sending."""
        self._stopped = True
        self._scope.cancel()
