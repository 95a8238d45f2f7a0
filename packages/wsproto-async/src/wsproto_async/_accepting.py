"""A server's opening handshakes over links of its own (RFC 6455 section 4.2)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Self

import anyio
from anyio.abc import SocketAttribute

from httpcore_proto import (
    NEED_DATA,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
)
from httpcore_proto.aio import Link, Listener, Receiver, Runtime, Task, current_runtime

from ._deflate import Deflate
from ._errors import WSHandshakeError
from ._handshake import HandshakeAcceptance, accept_handshake, is_origin_allowed

# Seconds between two looks at handshakes that take too long.
_SWEEP_INTERVAL: Final = 1.0
# Seconds for a client that was refused to take the answer and close.
_LINGER: Final = 2.0

_logger: Final = logging.getLogger("wsproto_async")


class Listening(NamedTuple):
    """Where a server listens, and whom it lets in; see `serve`."""

    host: str | None
    port: int
    sock: Any
    ssl: Any
    protocols: Sequence[str]
    origins: Iterable[str]
    compress: Deflate | bool
    timeout: float


class Acceptor(ABC):
    """Listens, and makes handshakes; what comes of them is a subclass's.

    Attributes:
        runtime: Of all links; there once it is entered.
        openings: Handshakes that are not over.
    """

    runtime: Runtime
    openings: set[Opening]

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.openings = set()
        self._listeners: list[Listener] = []
        self._sweeper: Task | None = None

    @abstractmethod
    def open(
        self, link: Link, request: Request, acceptance: HandshakeAcceptance, data: bytes, eof: bool
    ) -> None:
        """Go on with a link behind the handshake, and with what came behind that."""

    @abstractmethod
    async def close(self) -> None:
        """End everything."""

    @property
    def socknames(self) -> list[Any]:
        """The addresses it listens on, as `socket.getsockname` tells them."""
        return [listener.sockname for listener in self._listeners]

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self.socknames[0][1]
        return port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The address cannot be had.
        """
        self.runtime = current_runtime()
        await self.runtime.__aenter__()
        try:
            for sock in await self._sockets():
                self._listeners.append(
                    await self.runtime.listen(self._make_opening, sock, ssl=self.listening.ssl)
                )
        except BaseException:
            await self.stop_listening()
            await self.runtime.__aexit__(None, None, None)
            raise
        self._sweeper = self.runtime.spawn(self._sweep())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close."""
        await self.close()

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        await anyio.sleep_forever()

    def _make_opening(self) -> Receiver:
        return Opening(self)

    async def _sockets(self) -> list[Any]:
        listening = self.listening
        if listening.sock is not None:
            return [listening.sock]
        async with await anyio.create_tcp_listener(
            local_host=listening.host, local_port=listening.port
        ) as bound:
            # The runtime's own listeners need no more than bound sockets.
            return [
                listener.extra(SocketAttribute.raw_socket).dup() for listener in bound.listeners
            ]

    async def _sweep(self) -> None:
        while True:
            await self.runtime.sleep(_SWEEP_INTERVAL)
            now = self.runtime.now()
            for opening in [opening for opening in self.openings if opening.deadline <= now]:
                opening.link.abort()

    async def stop_listening(self) -> None:
        """Take no more clients."""
        for listener in self._listeners:
            await listener.aclose()
        for opening in list(self.openings):
            opening.link.abort()

    async def stop(self) -> None:
        """Leave the runtime."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
            await self.runtime.__aexit__(None, None, None)
            # What was cancelled ends in this turn of the loop.
            await self.runtime.sleep(0)


class Opening:
    """Receiver of a link until the handshake is over."""

    __slots__ = ("_acceptor", "_machine", "_refused", "_request", "deadline", "link")

    link: Link
    #: When the client's time is up.
    deadline: float

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._machine = ServerConnection()
        self._request: Request | None = None
        self._refused = False

    def link_made(self, link: Link) -> None:
        self.link = link
        self.deadline = self._acceptor.runtime.now() + self._acceptor.listening.timeout
        self._acceptor.openings.add(self)

    def bytes_received(self, data: bytes) -> None:
        if not self._refused:
            self._machine.receive_data(data)
            self._look()

    def eof_received(self) -> None:
        self.link.close()

    def link_lost(self, exc: Exception | None) -> None:
        self._acceptor.openings.discard(self)

    def _look(self) -> None:
        try:
            while (event := self._machine.next_event()) is not NEED_DATA:
                if type(event) is Request:
                    self._request = event
                elif type(event) is EndOfMessage and self._request is not None:
                    self._accept(self._request)
                    return
                else:
                    self._refuse(400, "a WebSocket handshake has no body")
                    return
        except RemoteProtocolError as exc:
            self._refuse(exc.status_hint, exc.message)

    def _accept(self, request: Request) -> None:
        listening = self._acceptor.listening
        try:
            acceptance = accept_handshake(
                request.method,
                request.http_version,
                request.headers,
                protocols=listening.protocols,
                compress=listening.compress,
            )
        except WSHandshakeError as exc:
            self._refuse(exc.status, str(exc), exc.headers)
            return
        if not is_origin_allowed(request.headers, listening.origins):
            self._refuse(403, "pages of this origin may not open a WebSocket here")
            return
        head = InformationalResponse(status=101, headers=acceptance.headers)
        self.link.write(self._machine.send(head))
        self._acceptor.openings.discard(self)
        try:
            self._acceptor.open(self.link, request, acceptance, *self._machine.trailing_data)
        except Exception:
            _logger.exception("no WebSocket could be made")
            self.link.abort()

    def _refuse(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer, close our direction, and wait for the client to close the other."""
        fields = [*headers, ("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
        response = Response(status=status, headers=fields)
        self.link.write(self._machine.send_message(response, f"{text}\n".encode()))
        self.link.write_eof()
        self._refused = True
        self.deadline = self._acceptor.runtime.now() + _LINGER
