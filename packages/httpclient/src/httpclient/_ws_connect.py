"""Opening a WebSocket: a request like any other, and what its answer has to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypedDict

import anyio
from multidict import CIMultiDict
from yarl import URL

from httpcore_proto import HeadersLike
from httpcore_proto.aio import Runtime, current_runtime
from wsproto_async import (
    DEFAULT_MAX_MSG_SIZE,
    ClientHandshake,
    Deflate,
    Role,
    WebSocketConnection,
    WSHandshakeError,
)

from ._call import Call
from ._client_web_socket import ClientWebSocketResponse
from ._errors import WSServerHandshakeError
from ._request_context import Pending
from ._tls import TLSSetting
from ._url import Query

if TYPE_CHECKING:
    from ._session import ClientSession

# The window bits that zlib can compress with.
_BITS: Final = range(9, 16)
# Of the handshake's fields these are the program's to change.
_CHANGEABLE: Final = frozenset({"Upgrade", "Connection", "Sec-WebSocket-Version"})


@dataclass(frozen=True, slots=True)
class ClientWSTimeout:
    """Bounds on what a WebSocket waits for, in seconds; None for no bound.

    Attributes:
        ws_receive: A message, in `receive`.
        ws_close: The server's close frame, in `close`. Without `timeout=` it is 10.
    """

    ws_receive: float | None = None
    ws_close: float | None = None


#: What a WebSocket uses unless told otherwise; the number is aiohttp's.
DEFAULT_WS_TIMEOUT: Final = ClientWSTimeout(ws_receive=None, ws_close=10.0)


class SocketTasks:
    """What heartbeats run in, on event loops that have no tasks without an owner."""

    __slots__ = ("_entered", "_lock", "_runtime")

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._lock: anyio.Lock | None = None
        self._entered = False

    async def runtime(self, *, entered: bool) -> Runtime:
        """Return the runtime.

        Args:
            entered: Whether tasks are to be spawned.
        """
        if self._runtime is None or self._lock is None:
            self._runtime = current_runtime()
            self._lock = anyio.Lock()
        if entered:
            # It has to be left, so that entering it must not be cut short.
            with anyio.CancelScope(shield=True):
                async with self._lock:
                    if not self._entered:
                        await self._runtime.__aenter__()
                        self._entered = True
        return self._runtime

    async def close(self) -> None:
        """Cancel the tasks."""
        if self._entered and self._runtime is not None:
            self._entered = False
            await self._runtime.__aexit__(None, None, None)


class WSOptions(TypedDict, total=False):
    """Options of a WebSocket; `ClientSession.ws_connect` tells what they mean."""

    method: str
    protocols: Sequence[str]
    timeout: ClientWSTimeout | None
    autoclose: bool
    autoping: bool
    heartbeat: float | None
    origin: str | None
    params: Query
    headers: HeadersLike | None
    proxy: str | URL | None
    proxy_headers: HeadersLike | None
    ssl: TLSSetting
    server_hostname: str | None
    compress: Deflate | int
    max_msg_size: int
    decode_text: bool


class WSConnectContext(Pending[ClientWebSocketResponse]):
    """A WebSocket that was asked for: await it, or enter it with `async with`, once.

    Leaving the context closes the WebSocket.
    """

    __slots__ = ()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._result.close()


async def ws_connect(
    session: ClientSession,
    url: str | URL,
    *,
    method: str = "GET",
    protocols: Sequence[str] = (),
    timeout: ClientWSTimeout | None = None,
    autoclose: bool = True,
    autoping: bool = True,
    heartbeat: float | None = None,
    origin: str | None = None,
    params: Query = None,
    headers: HeadersLike | None = None,
    proxy: str | URL | None = None,
    proxy_headers: HeadersLike | None = None,
    ssl: TLSSetting = True,
    server_hostname: str | None = None,
    compress: Deflate | int = 0,
    max_msg_size: int = DEFAULT_MAX_MSG_SIZE,
    decode_text: bool = True,
) -> ClientWebSocketResponse:
    """Open a WebSocket; see `ClientSession.ws_connect`."""
    if timeout is None:
        timeout = DEFAULT_WS_TIMEOUT
    elif not isinstance(timeout, ClientWSTimeout):
        raise TypeError(f"timeout must be a ClientWSTimeout, not {type(timeout).__name__}")
    runtime = await session._ws_tasks.runtime(entered=bool(heartbeat))
    fields = CIMultiDict(headers or ())
    handshake = ClientHandshake(
        protocols=protocols or _named_protocols(fields),
        compress=_deflate(compress),
        origin=origin,
    )
    for name, value in handshake.headers:
        if name not in _CHANGEABLE or name not in fields:
            fields[name] = value
    response = await Call(
        session,
        method.upper(),
        url,
        params=params,
        headers=fields,
        proxy=proxy,
        proxy_headers=proxy_headers,
        ssl=ssl,
        server_hostname=server_hostname,
        # A status that is none of a WebSocket is raised below, with more to say.
        raise_for_status=False if session.raise_for_status is True else None,
        upgrades=True,
    ).run()
    try:
        agreed = handshake.check(response.status, response.headers)
        exchange = response._exchange
        if exchange is None:
            raise WSHandshakeError("a middleware made the response, without a connection")
        machine = WebSocketConnection(
            Role.CLIENT,
            deflate=agreed.deflate,
            max_msg_size=max_msg_size,
            decode_text=decode_text,
        )
        socket = session._ws_response_class(
            machine,
            response,
            client_notakeover=agreed.deflate is not None
            and agreed.deflate.client_no_context_takeover,
            runtime=runtime,
            protocol=agreed.protocol,
            autoping=autoping,
            autoclose=autoclose,
            heartbeat=heartbeat,
            timeout_close=timeout.ws_close,
            receive_timeout=timeout.ws_receive,
            on_end=exchange.switch_ended,
        )
        data, eof = exchange.switch(socket)
    except WSHandshakeError as exc:
        response.close()
        raise WSServerHandshakeError(
            response.request_info,
            response.history,
            status=response.status,
            message=str(exc),
            headers=response.headers,
        ) from exc
    except BaseException:
        response.close()
        raise
    socket.start(data, eof)
    return socket


def _named_protocols(fields: CIMultiDict[str]) -> list[str]:
    """Return the sub-protocols that a program asks for with a field of its own."""
    lines = fields.getall("Sec-WebSocket-Protocol", ())
    names = [name.strip(" \t") for line in lines for name in line.split(",")]
    return [name for name in names if name]


def _deflate(compress: Deflate | int) -> Deflate | bool:
    if isinstance(compress, (Deflate, bool)):
        return compress
    if not compress:
        return False
    if compress not in _BITS:
        raise ValueError(f"compress={compress!r}: expected 0, or window bits from 9 to 15")
    return Deflate(server_max_window_bits=compress, client_max_window_bits=compress)
