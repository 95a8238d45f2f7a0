"""The client without httpclient."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar, Unpack

from httpcore_proto import HeadersLike
from httpcore_proto.aio import current_runtime

from ._deflate import Deflate
from ._handshake import ClientHandshake
from ._opening import open_link
from ._options import WebSocketOptions, check_options, make_machine, make_web_socket
from ._sending import Role
from ._web_socket import WebSocket

#: Seconds for connecting and the handshake: the number of the library websockets.
DEFAULT_OPEN_TIMEOUT: Final = 10.0


class Closable(Protocol):
    """What can be closed."""

    async def close(self) -> Any:
        """Close."""


C = TypeVar("C", bound=Closable)


class Connecting(Generic[C]):
    """A connection to be: await it, or enter it to have it closed in the end."""

    __slots__ = ("_connect", "_connected")

    _connected: C

    def __init__(self, connect: Callable[[], Awaitable[C]]) -> None:
        self._connect = connect

    def __await__(self) -> Generator[Any, Any, C]:
        return self._connect().__await__()

    async def __aenter__(self) -> C:
        self._connected = await self._connect()
        return self._connected

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connected.close()


class _OwnRuntime(WebSocket):
    """A WebSocket whose heart has a runtime for itself, which ends with it."""

    __slots__ = ()

    async def _drop(self) -> None:
        try:
            await super()._drop()
        finally:
            await self._runtime.__aexit__(None, None, None)


def connect(
    url: str,
    *,
    protocols: Sequence[str] = (),
    headers: HeadersLike = (),
    origin: str | None = None,
    compress: Deflate | bool = False,
    ssl: Any = None,
    server_hostname: str | None = None,
    sock: Any = None,
    timeout: float | None = DEFAULT_OPEN_TIMEOUT,
    **options: Unpack[WebSocketOptions],
) -> Connecting[WebSocket]:
    """Open a WebSocket: `async with connect(url) as ws`, or `ws = await connect(url)`.

    For cookies, redirects, proxies and a pool take httpclient's `ws_connect`.

    Args:
        url: With scheme ws or wss. User and password in it are sent as Basic credentials.
        protocols: Sub-protocols to offer, the preferred one first.
        headers: Further fields of the request.
        origin: Value for Origin, or None.
        compress: Parameters of permessage-deflate to offer, True for its defaults, False
            not to.
        ssl: An `ssl.SSLContext` for wss; `ssl.create_default_context()` unless given.
        server_hostname: Name for SNI and the certificate in place of the URL's.
        sock: A connected socket, to be used in place of a new one; closed in any case.
        timeout: Seconds for all of it; None for ever.
        **options: Of `WebSocketConnection` and `WebSocket`.

    Raises:
        ValueError: The URL is none of a WebSocket, or an option's value is none that it may
            have.
        LocalProtocolError: A field or sub-protocol cannot be sent.
        TypeError: An option is unknown.
        OSError: No connection could be made, or it was lost; `ssl.SSLError` among them.
        TimeoutError: It took too long.
        WSHandshakeError: The server refused, with its `status` and `headers`, or its
            answer is not one.
    """
    check_options(Role.CLIENT, options)
    handshake = ClientHandshake(protocols=protocols, compress=compress, origin=origin)

    async def open_web_socket() -> WebSocket:
        runtime = current_runtime()
        kind: type[WebSocket] = WebSocket
        if options.get("heartbeat") and runtime.soon is None:
            await runtime.__aenter__()
            kind = _OwnRuntime
        try:
            opened = await open_link(
                runtime,
                url,
                handshake,
                headers=headers,
                ssl=ssl,
                server_hostname=server_hostname,
                sock=sock,
                timeout=timeout,
            )
        except BaseException:
            if kind is _OwnRuntime:
                await runtime.__aexit__(None, None, None)
            raise
        machine = make_machine(Role.CLIENT, opened.agreement.deflate, options)
        ws = make_web_socket(kind, machine, runtime, opened.agreement.protocol, options)
        opened.link.hand_over(ws)
        ws.start(opened.data, opened.eof)
        return ws

    return Connecting(open_web_socket)
