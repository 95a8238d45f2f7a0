"""The client's end of a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from wsproto_async import WebSocket, WebSocketConnection

from ._errors import ClientConnectionResetError, ServerTimeoutError

if TYPE_CHECKING:
    from ._response import ClientResponse


class ClientWebSocketResponse(WebSocket):
    """The client's end of a WebSocket; made by `ClientSession.ws_connect` only.

    `wsproto_async.WebSocket` tells what it can do. Its connection counts as one in use until
    it is closed, and never carries another request. What concerns the connection is raised
    as `ClientConnectionResetError`; a heartbeat without an answer is a `ServerTimeoutError`.

    Args:
        machine: The protocol, behind the handshake.
        response: The response that made the WebSocket.
        client_notakeover: Whether every message is compressed for itself.
        **options: As for `wsproto_async.WebSocket`.
    """

    lost_error: ClassVar[type[OSError]] = ClientConnectionResetError
    pong_error: ClassVar[type[Exception]] = ServerTimeoutError

    def __init__(
        self,
        machine: WebSocketConnection,
        response: ClientResponse,
        *,
        client_notakeover: bool,
        **options: Any,
    ) -> None:
        super().__init__(machine, **options)
        self._response = response
        self._client_notakeover = client_notakeover

    @property
    def response(self) -> ClientResponse:
        """The response that made the WebSocket, with status 101. Not in aiohttp."""
        return self._response

    @property
    def client_notakeover(self) -> bool:
        """Whether every message is compressed for itself, as the handshake agreed."""
        return self._client_notakeover
