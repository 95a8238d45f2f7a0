"""Client and server of the lowest level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypedDict, Unpack

import anyio

from httpcore_proto import HeadersLike, Request
from httpcore_proto.aio import Link, current_runtime

from ._accepting import Acceptor, Listening
from ._connect import DEFAULT_OPEN_TIMEOUT, Connecting
from ._connection import WebSocketConnection
from ._deflate import Deflate
from ._frame_socket import FrameListener, FrameSocket
from ._handshake import ClientHandshake, HandshakeAcceptance
from ._messages import WSCloseCode
from ._opening import open_link
from ._sending import Role

# Seconds for the clients to close when the server ends; as of `serve`.
_CLOSE_TIMEOUT: Final = 10.0


class FrameOptions(TypedDict, total=False):
    """Options of `WebSocketConnection`, with their meaning and defaults; and `pieces`.

    `pieces=True` hands messages on in pieces, as they arrive, in place of whole ones.
    """

    max_msg_size: int
    max_fragments: int
    compress_level: int
    pieces: bool


def connect_frames(
    url: str,
    listener: FrameListener,
    *,
    protocols: Sequence[str] = (),
    headers: HeadersLike = (),
    origin: str | None = None,
    compress: Deflate | bool = False,
    ssl: Any = None,
    server_hostname: str | None = None,
    sock: Any = None,
    timeout: float | None = DEFAULT_OPEN_TIMEOUT,
    **options: Unpack[FrameOptions],
) -> Connecting[FrameSocket]:
    """Open a WebSocket of the lowest level; arguments and errors are those of `connect`.

    Args:
        url: As for `connect`, like all that are not here.
        listener: Is called with every frame, from the first one on.
        **options: See `FrameOptions`.
    """
    handshake = ClientHandshake(protocols=protocols, compress=compress, origin=origin)
    _make_machine(Role.CLIENT, None, options)  # refuses what is no option

    async def open_frame_socket() -> FrameSocket:
        opened = await open_link(
            current_runtime(),
            url,
            handshake,
            headers=headers,
            ssl=ssl,
            server_hostname=server_hostname,
            sock=sock,
            timeout=timeout,
        )
        agreement = opened.agreement
        machine = _make_machine(Role.CLIENT, agreement.deflate, options)
        socket = FrameSocket(machine, listener, protocol=agreement.protocol)
        opened.link.hand_over(socket)
        socket.start(opened.data, opened.eof)
        return socket

    return Connecting(open_frame_socket)


class FrameServer(Acceptor):
    """A listening server of the lowest level; made by `serve_frames`.

    Attributes:
        connections: The open WebSockets.
    """

    connections: set[FrameSocket]

    def __init__(
        self,
        make_listener: Callable[[Request], FrameListener],
        listening: Listening,
        options: FrameOptions,
    ) -> None:
        super().__init__(listening)
        self._make_listener = make_listener
        self._options = options
        self.connections = set()

    def open(
        self, link: Link, request: Request, acceptance: HandshakeAcceptance, data: bytes, eof: bool
    ) -> None:
        """Give a link behind the handshake to a listener."""
        machine = _make_machine(Role.SERVER, acceptance.deflate, self._options)
        socket = _ServedFrameSocket(
            machine, self._make_listener(request), protocol=acceptance.protocol, request=request
        )
        socket.connections = self.connections
        self.connections.add(socket)
        link.hand_over(socket)
        socket.start(data, eof)

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Stop listening, and close every WebSocket, within ten seconds.

        Args:
            code: Close code for the clients.
        """
        await self.stop_listening()
        try:
            async with anyio.create_task_group() as tasks:
                for socket in list(self.connections):
                    tasks.start_soon(socket.close, code)
        finally:
            await self.stop()


class _ServedFrameSocket(FrameSocket):
    __slots__ = ("connections",)

    connections: set[FrameSocket]

    def link_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        super().link_lost(exc)


def serve_frames(
    make_listener: Callable[[Request], FrameListener],
    host: str | None = None,
    port: int = 0,
    *,
    sock: Any = None,
    ssl: Any = None,
    protocols: Sequence[str] = (),
    origins: Iterable[str] = (),
    compress: Deflate | bool = True,
    timeout: float = DEFAULT_OPEN_TIMEOUT,
    **options: Unpack[FrameOptions],
) -> FrameServer:
    """Make a server of the lowest level; arguments and errors are those of `serve`.

    Args:
        make_listener: Called with the request of every WebSocket; its result is called with
            every frame, from the first one on. What it raises is logged, and the connection
            dropped.
        host: As for `serve`, like all that are not here.
        **options: See `FrameOptions`.
    """
    _make_machine(Role.SERVER, None, options)  # refuses what is no option
    listening = Listening(host, port, sock, ssl, protocols, tuple(origins), compress, timeout)
    return FrameServer(make_listener, listening, options)


def _make_machine(
    role: Role, deflate: Deflate | None, options: FrameOptions
) -> WebSocketConnection:
    of_machine: dict[str, Any] = dict(options)
    pieces = bool(of_machine.pop("pieces", False))
    machine = WebSocketConnection(role, deflate=deflate, decode_text=False, **of_machine)
    machine.streaming = pieces
    return machine
