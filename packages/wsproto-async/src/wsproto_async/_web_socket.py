"""The asynchronous WebSocket, the same for both roles and on every event loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from httpcore_proto import Request
from httpcore_proto.aio import BusyError, Runtime

from ._connection import WebSocketConnection
from ._errors import WebSocketError, WSMessageTypeError
from ._fragments import Fragments
from ._heartbeat import beat
from ._messages import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSFragment,
    WSMessage,
    WSMessageTextBytes,
    WSMsgType,
)
from ._outgoing import Outgoing
from ._receiving import OVERHEAD
from ._sending import Octets, Role
from ._states import WSState

#: Octets that may wait to be received: the low-water mark of httpclient's and httpserver's
#: body streams.
DEFAULT_MAX_QUEUE: Final = 2**18

# Seconds for a peer that broke the protocol to take our close frame and close. If we closed
# at once, what it still sends would make its kernel throw the frame away.
_LINGER: Final = 1.0

_CLOSE: Final = WSMsgType.CLOSE
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_LAST: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED})


class WebSocket(Outgoing):
    """One side of a WebSocket over a link: `link.hand_over(ws)`, then `ws.start(...)`.

    One task at a time may receive, any number may send. There is no task beside theirs,
    unless a heartbeat is set. Messages come in the order of the wire, and so does the end:
    the peer's close frame is answered when `receive` gets to it, so that the messages before
    it can still be answered.

    On trio the link of a client has no task that reads: pings are answered while some call
    here waits, or if a heartbeat is set.

    Args:
        machine: The protocol, behind the handshake.
        runtime: Of the link. Must be entered if a heartbeat is set, unless it is asyncio's.
        protocol: The sub-protocol that was agreed on.
        autoping: Answer pings and drop pongs; else `receive` returns both.
        autoclose: Answer the peer's close frame when `receive` gets to it; else `close`
            must be called.
        heartbeat: Seconds of silence after which the peer is pinged; half as many later
            it is given up. None for never.
        timeout_close: Seconds for the peer to answer our close frame, and to take what is
            queued; None for ever. 10, as in aiohttp.
        receive_timeout: Seconds that `receive` waits unless told otherwise; None for ever.
        max_queue: Octets of messages that may wait to be received, 128 counted for each
            beside its payload; above it reading stops, and from half of it on it goes on.
        on_end: Called once, when the link is lost.
    """

    __slots__ = (
        "_asking",
        "_autoclose",
        "_given",
        "_heartbeat",
        "_pieces",
        "_protocol",
        "_receive_timeout",
        "_receiving",
        "_timeout_close",
        "request",
    )

    #: The request that opened it, of a WebSocket that `serve` made; else None.
    request: Request | None

    #: The error of a peer that does not answer pings; subclasses may have one of their own.
    pong_error: ClassVar[type[Exception]] = TimeoutError

    def __init__(
        self,
        machine: WebSocketConnection,
        *,
        runtime: Runtime,
        protocol: str | None = None,
        autoping: bool = True,
        autoclose: bool = True,
        heartbeat: float | None = None,
        timeout_close: float | None = 10.0,
        receive_timeout: float | None = None,
        max_queue: int = DEFAULT_MAX_QUEUE,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(machine, runtime, autoping=autoping, max_queue=max_queue, on_end=on_end)
        self._protocol = protocol
        self._autoclose = autoclose
        self._heartbeat = heartbeat
        self._timeout_close = timeout_close
        self._receive_timeout = receive_timeout
        self._receiving = False
        self.request = None
        # Of a message in pieces: those that wait for the rest; which iterator asks now, and
        # which has a part of the message already.
        self._pieces: list[Any] = []
        self._asking: Fragments | None = None
        self._given: Fragments | None = None

    def start(self, trailing_data: bytes = b"", eof: bool = False) -> None:
        """Begin, once the link was handed over.

        Args:
            trailing_data: What came behind the handshake.
            eof: Whether the peer sends nothing behind that.

        Raises:
            RuntimeError: A heartbeat is set, and the runtime is not entered.
        """
        if self._heartbeat:
            self._heard_at = self._runtime.now()
            self._heart = self._runtime.spawn(beat(self, self._heartbeat))
        if trailing_data:
            self.bytes_received(trailing_data)
        if eof:
            self.eof_received()
        if self._link.closing:
            # It may have been lost before it was ours; then nobody tells us.
            self.link_lost(None)

    # Facts.

    @property
    def closed(self) -> bool:
        """Whether nothing more can be received: closed by either side, or lost."""
        return self._ended

    @property
    def close_code(self) -> int | None:
        """Code of the peer's close frame, 0 if it had none; None before the end.

        1006 if the connection ended without one; of a peer that broke the protocol, the
        code that it was told.
        """
        return self._close_code

    def exception(self) -> BaseException | None:
        """Return what ended the connection, or None if that was in order."""
        return self._exception

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that was agreed on."""
        return self._protocol

    @property
    def compress(self) -> int:
        """Window bits that this side compresses with, 0 if it does not."""
        return self._machine.compress_bits

    @property
    def role(self) -> Role:
        """Which side this is."""
        return self._machine.role

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact about the link, by asyncio's names; `default` once it is lost."""
        return default if self._lost else self._link.info(name, default)

    # Receiving.

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message, or what ended the connection.

        Cancelling loses no message. Where one is there this does not yield to the event
        loop.

        Args:
            timeout: Seconds to wait; None or 0 for the `receive_timeout` of the connection.

        Returns:
            TEXT or BINARY; PING and PONG only without `autoping`. (With `decode_text=False`
            of the machine TEXT is a `WSMessageTextBytes`.) CLOSE once, when it is
            the turn of the peer's close frame. ERROR once, with the exception as data, if
            the peer broke the protocol or did not answer a ping. CLOSED from then on, and
            if the connection was lost or this side closed it; of a server a call that waits
            while another task closes returns CLOSING. Behind a CLOSE that `close` still has
            to answer, without `autoclose`, CLOSING as well.

        Raises:
            TimeoutError: No message came in time; the connection lives on.
            RuntimeError: Another task is receiving.
        """
        if self._receiving:
            raise BusyError("another task is receiving")
        if self._ended:
            return WS_CLOSED_MESSAGE
        self._receiving = True
        queue = self._queue
        seconds = timeout or self._receive_timeout
        deadline = self._runtime.now() + seconds if seconds else None
        try:
            while True:
                while not queue:
                    if self._ended:
                        closing = self._closing and self._machine.role is Role.SERVER
                        return WS_CLOSING_MESSAGE if closing else WS_CLOSED_MESSAGE
                    if self._over and not self._closing:
                        return WS_CLOSING_MESSAGE
                    if self._reading or self._lost:
                        await self._more(deadline)
                    else:
                        await self._read(deadline)
                event = queue.popleft()
                if type(event) is WSMessage or type(event) is WSMessageTextBytes:
                    message: Any = event
                    if message[0] is _CLOSE:
                        await self._answer_close(message[1])
                    else:
                        self._queued -= OVERHEAD + len(message[1])
                        if self._paused:
                            self._make_room()
                    return message  # type: ignore[no-any-return]
                if type(event) is WSFragment:
                    self._queued -= OVERHEAD + len(event.data)
                    if self._paused:
                        self._make_room()
                    joined: WSMessage | None = self._add_piece(event)
                    if joined is not None:
                        return joined
                elif isinstance(event, Exception):
                    await self._answer_error(event)
                    return WSMessage(WSMsgType.ERROR, event, None)
                else:
                    await self._end_lost()
        finally:
            self._receiving = False

    def _add_piece(self, piece: WSFragment) -> Any:
        """Take a piece of a message; return the message, or the piece if it is asked for."""
        kind, data, last = piece
        asking, given = self._asking, self._given
        if given is not None and given is not asking:
            # The rest of a message that nobody iterates over any more.
            if last:
                self._given = None
            return None
        pieces = self._pieces
        pieces.append(data)
        if asking is None and not last:
            return None
        if len(pieces) > 1:
            data = ("" if isinstance(data, str) else b"").join(pieces)
        self._pieces = []
        if asking is not None:
            self._given = None if last else asking
            return WSFragment(kind, data, last)
        if kind is _TEXT and not isinstance(data, str):
            return WSMessageTextBytes(kind, data, "")
        return WSMessage(kind, data, "")

    async def _receive_piece(self, asking: Fragments, timeout: float | None) -> Any:
        if self._receiving:
            raise BusyError("another task is receiving")
        self._asking = asking
        try:
            event: Any = await self.receive(timeout)
        finally:
            self._asking = None
        if type(event) is not WSFragment and event.type in (_TEXT, _BINARY):
            # It was here before anybody wanted pieces.
            return WSFragment(event.type, event.data, True)
        return event

    def fragments(self, timeout: float | None = None) -> Fragments:
        """Iterate over the next message piece by piece, as it arrives, in `WSFragment`s.

        From the first call on all messages are received so, and `receive` joins what it
        returns. What is left of a message when the iteration is broken off is dropped.
        `max_msg_size` still is the limit of whole messages; 0 lifts it.

        Args:
            timeout: Seconds for each piece, as for `receive`.

        Raises:
            WSMessageTypeError: The connection was closed, or broke, before the message or
                within it; or a ping or pong came, without `autoping`.
            TimeoutError: No piece came in time.
            RuntimeError: Another task is receiving.
        """
        self._machine.streaming = True
        return Fragments(self, timeout)

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Return the data of the next message, which must be TEXT.

        With `decode_text=False` of the machine it is `bytes`.

        Raises:
            WSMessageTypeError: Something else came, such as the end.
            TimeoutError: As for `receive`; as is RuntimeError.
        """
        data: str = await self._receive_data(_TEXT, timeout)
        return data

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Return the data of the next message, which must be BINARY; else as `receive_str`."""
        data: bytes = await self._receive_data(_BINARY, timeout)
        return data

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """Return the next message, which must be TEXT, parsed; else as `receive_str`.

        Args:
            loads: Parses it; what it raises passes through.
            timeout: As for `receive`.
        """
        return loads(await self._receive_data(_TEXT, timeout))

    async def _receive_data(self, kind: WSMsgType, timeout: float | None) -> Any:
        message = await self.receive(timeout)
        if message.type is not kind:
            raise WSMessageTypeError(f"Received {message.type!r}, expected {kind!r}")
        return message.data

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        """Return the next message; the iteration ends with CLOSE, CLOSING or CLOSED."""
        message = await self.receive()
        kind = message[0]
        # A set of enum members hashes in Python, and most messages are of these two.
        if kind is not _TEXT and kind is not _BINARY and kind in _LAST:
            raise StopAsyncIteration
        return message

    # The end.

    async def close(self, *, code: int = 1000, message: str | Octets = b"") -> bool:
        """Close: send the close frame, wait for the peer's, and for the end of the link.

        Messages that wait, or still come, are dropped. A task that is receiving meanwhile
        gets CLOSED or CLOSING. Cancelled, the link is aborted, with close code 1006.

        Args:
            code: Why (RFC 6455 section 7.4).
            message: Reason, at most 123 octets of UTF-8.

        Returns:
            False if the WebSocket was closed before, or another call is closing it.

        Raises:
            LocalProtocolError: The code must not be sent, or the reason is too long or not
                UTF-8. Nothing has changed then.
        """
        machine = self._machine
        if self._ended or machine.our_state is WSState.CLOSED:
            return False
        frame = machine.send_close(code, message)
        self._closing = True
        if self._queue and isinstance(last := self._queue[-1], Exception):
            self._exception = last
        self._queue.clear()
        self._queued = 0
        if self._paused:
            self._go_on()
        self._link.write(frame)
        self._close_code = 1006
        deadline = self._deadline(self._timeout_close)
        try:
            await self._flush(deadline)
            while not (self._over or self._lost):
                await self._more(deadline)
        except TimeoutError as exc:
            self._exception = exc
        except BaseException:
            await self._drop()
            raise
        if machine.their_state is WSState.CLOSED:
            self._close_code = machine.close_code
        elif self._exception is None:
            self._exception = self._lost_because(None)
        await self._finish(deadline)
        return True

    def abort(self) -> None:
        """Drop the connection now; the peer gets no close frame, nor what is queued for it."""
        self._link.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def _answer_close(self, code: int) -> None:
        self._close_code = code
        if self._autoclose:
            self._link.write(self._machine.send_close_reply())
            await self._finish(self._deadline(self._timeout_close))

    async def _answer_error(self, error: Exception) -> None:
        """Tell a peer what it broke, and give it a moment to take that; drop one that is dead."""
        self._exception = error
        self._close_code = error.code if isinstance(error, WebSocketError) else 1006
        try:
            if isinstance(error, WebSocketError):
                link, deadline = self._link, self._deadline(_LINGER)
                link.write(self._machine.send_close(error.code))
                link.write_eof()
                await self._flush(deadline)
                while not (self._eof or self._lost):
                    await self._more(deadline)
        except TimeoutError:
            pass
        finally:
            await self._drop()

    async def _end_lost(self) -> None:
        """The connection ended without a close frame."""
        self._close_code = 1006
        if self._exception is None:
            self._exception = self._lost_because(None)
        await self._finish(self._deadline(self._timeout_close))

    def _deadline(self, seconds: float | None) -> float | None:
        return None if seconds is None else self._runtime.now() + seconds
