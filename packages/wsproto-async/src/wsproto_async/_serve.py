"""The server without httpserver."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, Unpack

import anyio

from httpcore_proto import Request
from httpcore_proto.aio import Link, Task

from ._accepting import Acceptor, Listening
from ._connect import DEFAULT_OPEN_TIMEOUT
from ._deflate import Deflate
from ._handshake import HandshakeAcceptance
from ._messages import WSCloseCode
from ._options import WebSocketOptions, check_options, make_machine, make_web_socket
from ._sending import Role
from ._web_socket import WebSocket

#: What serves a WebSocket.
Handler: TypeAlias = Callable[[WebSocket], Awaitable[object]]

# Seconds for what a handler that is cancelled may still do.
_CANCEL_TIMEOUT: Final = 1.0

_logger: Final = logging.getLogger("wsproto_async")


class WebSocketServer(Acceptor):
    """A listening server; made by `serve`, runs within `async with`.

    Attributes:
        connections: The WebSockets whose handlers run, such as for `broadcast`.
    """

    connections: set[WebSocket]

    def __init__(
        self,
        handler: Handler,
        listening: Listening,
        options: WebSocketOptions,
        close_timeout: float,
    ) -> None:
        super().__init__(listening)
        self._handler = handler
        self._options = options
        self._close_timeout = close_timeout
        self.connections = set()
        self._tasks: dict[WebSocket, Task] = {}
        self._all_ended: anyio.Event | None = None

    def open(
        self, link: Link, request: Request, acceptance: HandshakeAcceptance, data: bytes, eof: bool
    ) -> None:
        """Run the handler on a link behind the handshake."""
        machine = make_machine(Role.SERVER, acceptance.deflate, self._options)
        ws = make_web_socket(WebSocket, machine, self.runtime, acceptance.protocol, self._options)
        ws.request = request
        link.hand_over(ws)
        ws.start(data, eof)
        self.connections.add(ws)
        self._tasks[ws] = self.runtime.spawn(self._run(ws))

    async def _run(self, ws: WebSocket) -> None:
        code = WSCloseCode.OK
        try:
            try:
                await self._handler(ws)
            except Exception as exc:
                code = WSCloseCode.INTERNAL_ERROR
                if not (isinstance(exc, OSError) and ws._link.closing):
                    _logger.exception("handler of a WebSocket failed")
            await ws.close(code=code)
        finally:
            ws.abort()
            self.connections.discard(ws)
            self._tasks.pop(ws, None)
            if self._all_ended is not None and not self._tasks:
                self._all_ended.set()

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Stop listening, close every WebSocket, and wait for the handlers.

        Handlers that are not done `close_timeout` seconds later are cancelled.

        Args:
            code: Close code for the clients.
        """
        await self.stop_listening()
        try:
            with anyio.move_on_after(self._close_timeout):
                async with anyio.create_task_group() as tasks:
                    for ws in list(self.connections):
                        tasks.start_soon(_close, ws, code)
                await self._wait_ended()
        finally:
            for task in list(self._tasks.values()):
                task.cancel()
            with anyio.move_on_after(_CANCEL_TIMEOUT, shield=True):
                await self._wait_ended()
            await self.stop()

    async def _wait_ended(self) -> None:
        if self._tasks:
            self._all_ended = anyio.Event()
            await self._all_ended.wait()


async def _close(ws: WebSocket, code: int) -> None:
    await ws.close(code=code)


def serve(
    handler: Handler,
    host: str | None = None,
    port: int = 0,
    *,
    sock: Any = None,
    ssl: Any = None,
    protocols: Sequence[str] = (),
    origins: Iterable[str] = (),
    compress: Deflate | bool = True,
    timeout: float = DEFAULT_OPEN_TIMEOUT,
    close_timeout: float = 10.0,
    **options: Unpack[WebSocketOptions],
) -> WebSocketServer:
    """Make a server: `async with serve(handler, host, port) as server`.

    For routes, pages beside the sockets, cookies and so on take httpserver's
    `WebSocketResponse`.

    Args:
        handler: Awaited with every WebSocket, in a task of its own; when it returns the
            WebSocket is closed with 1000, if it raises with 1011, and the error is logged.
            `WebSocket.request` tells path and headers.
        host: Name or address to listen on; None for all addresses.
        port: Port to listen on; 0 for any, `WebSocketServer.port` tells which.
        sock: A bound socket to be used instead.
        ssl: An `ssl.SSLContext` of a server, to speak TLS.
        protocols: Sub-protocols that are spoken. The first of the client's that is among
            them is chosen.
        origins: Whose pages may open a WebSocket here beside those of the same host and
            port; see `is_origin_allowed`. `"*"` allows all.
        compress: Parameters of permessage-deflate, True for its defaults, False to
            decline it.
        timeout: Seconds for a handshake.
        close_timeout: Seconds that `close` waits for the clients and the handlers.
        **options: Of `WebSocketConnection` and `WebSocket`.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option's value is none that it may have.
    """
    check_options(Role.SERVER, options)
    listening = Listening(host, port, sock, ssl, protocols, tuple(origins), compress, timeout)
    return WebSocketServer(handler, listening, options, close_timeout)
