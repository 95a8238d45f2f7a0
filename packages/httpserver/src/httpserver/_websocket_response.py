"""The response that makes a WebSocket of a connection, and that WebSocket (RFC 6455)."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from httpcore_proto import InformationalResponse
from wsproto_async import (
    DEFAULT_MAX_MSG_SIZE,
    Deflate,
    HandshakeAcceptance,
    Octets,
    Role,
    WebSocket,
    WebSocketConnection,
    WSCloseCode,
    WSFragment,
    WSHandshakeError,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
    accept_handshake,
)

from ._exceptions import HTTPBadRequest, HTTPMethodNotAllowed
from ._set_cookie import cookie_line
from ._stream_response import StreamResponse

if TYPE_CHECKING:
    from ._exchange import Exchange, Preparable
    from ._preset import Presets

_logger: Final = logging.getLogger("httpserver.websocket")

# How often a socket that is closed says so, before a loop around `receive` is taken for one
# that never looks at what it gets; aiohttp's number.
_MAX_CLOSED: Final = 4
# What `close_code` is as long as the client has not closed.
_LOST: Final = frozenset({None, WSCloseCode.ABNORMAL_CLOSURE})
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CLOSED: Final = WSMsgType.CLOSED
_ENDS: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED})
# 101 has no body (RFC 9110 section 15.2.2), whatever a hook may say of it.
_NOT_IN_HEAD: Final = frozenset({"content-length", "transfer-encoding", "content-type"})


@dataclass(frozen=True, slots=True)
class WebSocketReady:
    """Whether a request can become a WebSocket; true if it can.

    Attributes:
        ok: Whether it can.
        protocol: The sub-protocol that would be chosen, or None.
    """

    ok: bool
    protocol: str | None

    def __bool__(self) -> bool:
        return self.ok


class WebSocketResponse(StreamResponse):
    """A response that makes a WebSocket of the connection.

    `await prepare(request)` shakes hands; from then on this is the server's end of the
    WebSocket, for the handler to receive and send, and to return in the end. Pings are
    answered while the handler does something else. When the handler returns, the
    WebSocket is closed with 1000; when it raises, with 1011; when the server ends, with
    1001, whatever the handler does.

    One task may receive, others may send and close at the same time. The origin of the
    page that asks is not looked at; `wsproto_async.is_origin_allowed` does.

    Args:
        timeout: Seconds that `close` waits for the client's close frame.
        receive_timeout: Seconds that `receive` waits; None for ever.
        autoclose: Answer the client's close frame.
        autoping: Answer pings, and keep pings and pongs from `receive`.
        heartbeat: Seconds of silence behind which the client is pinged; it is given up if it
            says nothing for half as long again. None for never.
        protocols: Sub-protocols that are spoken. The first of the client's that is among
            them is chosen.
        compress: Whether messages are compressed if the client wants that, or with which
            parameters.
        max_msg_size: Most octets of a message, decompressed; 0 for no limit. 4 MiB, as in
            aiohttp. Above it the WebSocket is closed with 1009.
        writer_limit: Without effect. aiohttp lets so many bytes be written before it waits
            for the client; here the limits of the link hold.
        decode_text: Whether text comes as `str`; else as `bytes`, which are UTF-8 all the
            same.
    """

    _socket: WebSocket | None = None
    _closing: bool = False
    _closed_count: int = 0
    is_plain: bool = False

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        protocols: Sequence[str] = (),
        compress: Deflate | bool = True,
        max_msg_size: int = DEFAULT_MAX_MSG_SIZE,
        writer_limit: int = 2**18,
        decode_text: bool = True,
    ) -> None:
        super().__init__(status=101)
        self._content_type = None
        self._timeout = timeout
        self._receive_timeout = receive_timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._heartbeat = heartbeat
        self._protocols = protocols
        self._compress = compress
        self._max_msg_size = max_msg_size
        self._decode_text = decode_text

    # The handshake.

    def can_prepare(self, request: Preparable) -> WebSocketReady:
        """Tell whether `prepare` would shake hands with this request; nothing is sent.

        Raises:
            RuntimeError: Hands were shaken.
        """
        if self._socket is not None:
            raise RuntimeError("Already started")
        try:
            accepted = self._accept(request)
        except WSHandshakeError:
            return WebSocketReady(False, None)
        return WebSocketReady(True, accepted.protocol)

    async def prepare(self, request: Preparable) -> None:
        """Shake hands (RFC 6455 section 4.2); again does nothing.

        A body of the request is read before that, and kept for `request.read()`.

        Raises:
            HTTPBadRequest: The request asks for no WebSocket, or in a wrong way.
            HTTPMethodNotAllowed: The request is HEAD. All other methods will do.
            HTTPRequestEntityTooLarge: It has a body of more than `client_max_size` bytes.
            OSError: The client is gone.
            LocalProtocolError: A field of the response is not fit to be sent.
        """
        if self._socket is not None:
            return
        try:
            accepted = self._accept(request)
        except WSHandshakeError as exc:
            if exc.status == 405:
                raise HTTPMethodNotAllowed(request.method, ["GET"]) from exc
            versions = [field for field in exc.headers if field[0] == "Sec-WebSocket-Version"]
            raise HTTPBadRequest(text=f"{exc}\n", headers=versions) from exc
        exchange = request.exchange
        if not request.content.at_eof():
            await exchange.send_continue()
            await request.read()
        wanted = request.headers.getall("Sec-WebSocket-Protocol", None)
        if wanted and accepted.protocol is None:
            _logger.warning(
                "the client speaks the sub-protocols %r, of which none is among %r",
                ", ".join(wanted),
                self._protocols,
            )
        self.headers.update(accepted.headers)
        socket = WebSocket(
            WebSocketConnection(
                Role.SERVER,
                deflate=accepted.deflate,
                max_msg_size=self._max_msg_size,
                decode_text=self._decode_text,
            ),
            runtime=exchange.runtime,
            protocol=accepted.protocol,
            autoping=self._autoping,
            autoclose=self._autoclose,
            heartbeat=self._heartbeat,
            timeout_close=self._timeout,
            receive_timeout=self._receive_timeout,
            on_end=functools.partial(self._link_ended, exchange),
        )
        await exchange.switch(self, socket)
        self._socket = socket
        self._exchange = exchange
        self._is_prepared = True
        self._force_close = True

    def switching_head(self, presets: Presets) -> InformationalResponse:
        """Return the head, with status 101; called by the connection."""
        self.fill_headers(presets)
        fields = [
            (name, value)
            for name, value in self.headers.items()
            if name.lower() not in _NOT_IN_HEAD
        ]
        if self._cookies:
            fields += [("Set-Cookie", cookie_line(morsel)) for morsel in self._cookies.values()]
        return InformationalResponse(status=101, reason=self._reason, headers=fields)

    def _accept(self, request: Preparable) -> HandshakeAcceptance:
        return accept_handshake(
            request.method,
            request.version,
            request.headers,
            protocols=self._protocols,
            compress=self._compress,
            methods=None,
        )

    def _link_ended(self, exchange: Exchange) -> None:
        # Whoever closes, or has received the end, knows of it, and shall do in peace what it
        # does behind its loop.
        code = None if self._socket is None else self._socket.close_code
        exchange.switch_ended(cancels=not self._closing and code in _LOST)

    # What is known.

    @property
    def closed(self) -> bool:
        """Whether it is closed, or the connection lost."""
        return self._socket is not None and self._socket.closed

    @property
    def close_code(self) -> int | None:
        """The client's close code, 0 if it gave none; 1006 if it left without; None before."""
        return None if self._socket is None else self._socket.close_code

    @property
    def ws_protocol(self) -> str | None:
        """The sub-protocol that was chosen, or None."""
        return None if self._socket is None else self._socket.protocol

    @property
    def compress(self) -> Deflate | int | bool:
        """Window bits with which messages are compressed, 0 for not at all.

        Before `prepare` what was asked for.
        """
        return self._compress if self._socket is None else self._socket.compress

    @property
    def latency(self) -> float | None:
        """Seconds between the last ping that was answered and its pong; None before.

        Not in aiohttp.
        """
        return None if self._socket is None else self._socket.latency

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts by asyncio's names: peername, sockname, socket, ssl_object, sslcontext."""
        return default if self._socket is None else self._socket.get_extra_info(name, default)

    def exception(self) -> BaseException | None:
        """Return the error with which it ended; None if there was none."""
        return None if self._socket is None else self._socket.exception()

    # Sending.

    async def ping(self, message: Octets = b"") -> None:
        """Send a ping.

        Args:
            message: At most 125 octets.

        Raises:
            RuntimeError: Before `prepare`.
            OSError: It is closed, or the client gone.
            LocalProtocolError: `message` is too long.
        """
        await self._prepared_socket().ping(message)

    async def pong(self, message: Octets = b"") -> None:
        """Send a pong; as `ping`."""
        await self._prepared_socket().pong(message)

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text message; waits while the client takes nothing.

        Args:
            data: The message.
            compress: 0 or False to send it uncompressed. Anything else makes no difference:
                it is compressed if that was agreed on.

        Raises:
            TypeError: `data` is no `str`.
            RuntimeError: Before `prepare`.
            OSError: It is closed, or the client gone.
        """
        await self._prepared_socket().send_str(data, compress)

    async def send_bytes(self, data: Octets, compress: int | None = None) -> None:
        """Send a binary message; as `send_str`."""
        await self._prepared_socket().send_bytes(data, compress)

    async def send_json(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Send a text message with JSON; as `send_str`."""
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], bytes],
    ) -> None:
        """Send a binary message with JSON; as `send_str`."""
        await self.send_bytes(dumps(data), compress)

    async def send_frame(
        self, message: Octets, opcode: WSMsgType, compress: int | None = None
    ) -> None:
        """Send a frame with a payload that is encoded already; as `send_str`.

        Args:
            message: The payload.
            opcode: TEXT, BINARY, PING or PONG.
            compress: As for `send_str`.
        """
        await self._prepared_socket().send_frame(message, opcode, compress)

    async def send_fragment(
        self, data: str | Octets, *, last: bool, compress: int | None = None
    ) -> None:
        """Send a piece of a message; as `send_str`. Not in aiohttp.

        Args:
            data: The piece. The first one says whether the message is text.
            last: Whether the message ends with it.
            compress: As for `send_str`; counts with the first piece.
        """
        await self._prepared_socket().send_fragment(data, last=last, compress=compress)

    # Receiving.

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Receive the next message.

        Args:
            timeout: Seconds to wait, in place of `receive_timeout`.

        Returns:
            TEXT or BINARY; PING or PONG without `autoping`; CLOSE when the client closes;
            CLOSING while another task does; CLOSED when it is closed, or the connection lost
            (`close_code` is 1006 then); ERROR when the client broke the protocol or a limit, or
            did not answer the heartbeat, with the exception as data.

        Raises:
            RuntimeError: Before `prepare`; another task receives; or CLOSED was returned four
                times already.
            TimeoutError: Time is up; the WebSocket is not closed by that.
        """
        message = await self._prepared_socket().receive(timeout)
        if message[0] is _CLOSED:
            self._count_closed()
        return message

    def _count_closed(self) -> None:
        self._closed_count += 1
        if self._closed_count > _MAX_CLOSED:
            raise RuntimeError("WebSocket connection is closed.")

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Receive a text message and return its text; its `bytes` without `decode_text`.

        Raises:
            WSMessageTypeError: Something else came, also if that is the end.
            RuntimeError, TimeoutError: As for `receive`.
        """
        text: str = await self._receive(WSMsgType.TEXT, timeout)
        return text

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Receive a binary message and return its octets; as `receive_str`."""
        octets: bytes = await self._receive(WSMsgType.BINARY, timeout)
        return octets

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """Receive a text message with JSON and return what it means; as `receive_str`."""
        return loads(await self._receive(WSMsgType.TEXT, timeout))

    def fragments(self, timeout: float | None = None) -> AsyncIterator[WSFragment]:
        """Iterate over the pieces of the next message, as they arrive. Not in aiohttp.

        From the first call on all messages are received so, and `receive` joins what it
        returns. `max_msg_size` still is the limit of whole messages; 0 lifts it.

        Args:
            timeout: Seconds for each piece, as for `receive`.

        Raises:
            WSMessageTypeError: While iterating: something else came, also if that is the end.
            RuntimeError, TimeoutError: As for `receive`.
        """
        return self._prepared_socket().fragments(timeout)

    async def _receive(self, kind: WSMsgType, timeout: float | None) -> Any:
        message = await self.receive(timeout)
        if message.type is not kind:
            raise WSMessageTypeError(f"received {message.type!r}, expected {kind!r}")
        return message.data

    def __aiter__(self) -> Self:
        """Iterate over messages, up to the end of the WebSocket; an ERROR is one of them."""
        return self

    async def __anext__(self) -> WSMessage:
        # As `receive`, a coroutine less: this is once per message.
        message = await self._prepared_socket().receive()
        kind = message[0]
        if kind is not _TEXT and kind is not _BINARY and kind in _ENDS:
            if kind is _CLOSED:
                self._count_closed()
            raise StopAsyncIteration
        return message

    # The end.

    async def close(
        self, *, code: int = WSCloseCode.OK, message: str | Octets = b"", drain: bool = True
    ) -> bool:
        """Close the WebSocket: send a close frame, wait for the client's, end the connection.

        A task that receives gets CLOSING.

        Args:
            code: Why (RFC 6455 section 7.4).
            message: Why, in words: at most 123 octets of UTF-8.
            drain: Without effect; aiohttp's.

        Returns:
            False if it was closed before.

        Raises:
            RuntimeError: Before `prepare`.
            LocalProtocolError: The code must not be sent, or the message is too long.
        """
        self._closing = True
        return await self._prepared_socket().close(code=code, message=message)

    async def write_eof(self, data: bytes = b"") -> None:
        """Close the WebSocket, when the handler is done; again does nothing.

        Raises:
            RuntimeError: Before `prepare`.
        """
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("Call .prepare() first")
        if not self._ended:
            self._ended = True
            ends = exchange.shutting_down
            await self.close(code=WSCloseCode.GOING_AWAY if ends else WSCloseCode.OK)

    async def write(self, data: bytes | bytearray | memoryview) -> NoReturn:
        """Only messages can be sent.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("Cannot call .write() for websocket")

    def _prepared_socket(self) -> WebSocket:
        if self._socket is None:
            raise RuntimeError("Call .prepare() first")
        return self._socket
