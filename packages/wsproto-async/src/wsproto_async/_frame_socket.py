"""The lowest level over a link: a call per frame, without a task and without a queue."""

from __future__ import annotations

import logging
from typing import Any, Final

import anyio

from httpcore_proto import NEED_DATA, ConnectionClosed, Request
from httpcore_proto.aio import Link

from ._connection import WebSocketConnection, WSEvent
from ._errors import WebSocketError
from ._messages import WSCloseCode, WSFragment, WSMsgType
from ._sending import Octets
from ._states import WSState

# Seconds for the peer to answer our close frame, and to take what is queued; as of
# `WebSocket`, whose number is aiohttp's.
_CLOSE_TIMEOUT: Final = 10.0

# Members of an enum are slow to look up on its class (Python 3.11).
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG

_logger: Final = logging.getLogger("wsproto_async")


class FrameListener:
    """Is called with what comes, in the call in which it comes; to be derived from.

    Each method must return at once. If one raises, that is logged, and the WebSocket closed
    with 1011.
    """

    __slots__ = ()

    def opened(self, socket: FrameSocket) -> None:
        """The handshake is over; frames may be sent."""

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        """A message has come, or a piece of one if `pieces` is set; or a ping or pong.

        Args:
            socket: Where from.
            kind: TEXT or BINARY, of the message, and of text the octets were checked for
                UTF-8; PING, which is answered by itself; PONG.
            payload: Unmasked and inflated; to keep.
            last: Whether the message ends with it.
        """

    def closed(self, socket: FrameSocket) -> None:
        """The link is lost; `socket.close_code` and `socket.exc` tell why."""


class FrameSocket:
    """A WebSocket that hands frames on; see `connect_frames` and `serve_frames`.

    Nothing waits in it: what comes goes to the listener, what is sent to the link. On trio
    the link of a client is read by nobody unless a task is in `wait_closed`, and what is
    sent from outside of a listener's methods leaves in `drain`.

    Attributes:
        link: The link underneath.
        request: The request that opened it, on the side of the server.
        protocol: The sub-protocol that was agreed on.
        exc: What ended it, if that was no close frame.
    """

    __slots__ = (
        "_busy",
        "_listener",
        "_lost",
        "_machine",
        "_over",
        "_paused",
        "exc",
        "link",
        "protocol",
        "request",
    )

    link: Link
    request: Request | None
    protocol: str | None
    exc: Exception | None

    def __init__(
        self,
        machine: WebSocketConnection,
        listener: FrameListener,
        *,
        protocol: str | None = None,
        request: Request | None = None,
    ) -> None:
        self._machine = machine
        self._listener = listener
        self._busy = False  # events are being handed on
        self._paused = False
        self._over = False
        self._lost = False
        self.protocol = protocol
        self.request = request
        self.exc = None

    def start(self, trailing_data: bytes = b"", eof: bool = False) -> None:
        """Begin, once the link was handed over; arguments as of `WebSocket.start`."""
        try:
            self._listener.opened(self)
        except Exception as exc:
            self._fail(exc)
        if trailing_data:
            self.bytes_received(trailing_data)
        if eof:
            self.eof_received()
        if self.link.closing:
            self.link_lost(None)

    @property
    def close_code(self) -> int | None:
        """Code of the peer's close frame, 0 if it had none; 1006 without one; None before."""
        return self._machine.close_code

    @property
    def close_reason(self) -> str:
        """Reason of the peer's close frame."""
        return self._machine.close_reason

    # Called by the link.

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        """Hand on what the bytes complete."""
        self._machine.receive_data(data)
        self._hand_on()

    def eof_received(self) -> None:
        """Take the end of the peer's direction."""
        self._machine.receive_eof()
        self._hand_on()

    def link_lost(self, exc: Exception | None) -> None:
        """Tell the listener."""
        if self._lost:
            return
        self._lost = True
        self.exc = self.exc or exc
        self._machine.receive_eof()
        self._paused = False
        self._hand_on()
        try:
            self._listener.closed(self)
        except Exception:
            _logger.exception("listener of a WebSocket failed")

    def _hand_on(self) -> None:
        if self._busy or self._over:
            return
        self._busy = True
        try:
            while not (self._paused or self._over):
                event = self._machine.next_event()
                if event is NEED_DATA:
                    break
                self._take(event)
        except WebSocketError as exc:
            self.exc = exc
            self._shut(exc.code)
        except Exception as exc:
            self._fail(exc)
        finally:
            self._busy = False

    def _take(self, event: WSEvent) -> None:
        if type(event) is ConnectionClosed:
            self._over = True
            self.link.close()
            return
        kind: WSMsgType = event[0]  # type: ignore[index]  # all others are tuples
        if kind is _CLOSE:
            self._over = True
            self.link.write(self._machine.send_close_reply())
            self.link.close()
            return
        payload: Any = event[1]  # type: ignore[index]
        last = event.last if type(event) is WSFragment else True
        self._listener.frame_received(self, kind, memoryview(payload), last)
        if kind is _PING and self._machine.our_state is not WSState.CLOSED:
            self.link.write(self._machine.send_pong(payload))

    def _fail(self, exc: Exception) -> None:
        _logger.error("listener of a WebSocket failed", exc_info=exc)
        self.exc = exc
        self._shut(WSCloseCode.INTERNAL_ERROR)

    def _shut(self, code: int) -> None:
        self._over = True
        if self._machine.our_state is not WSState.CLOSED:
            self.link.write(self._machine.send_close(code))
        self.link.close()

    # For the listener and its owner.

    def send(self, kind: WSMsgType, payload: Octets, *, compress: bool = True) -> None:
        """Write a message or control frame; never waits, look at `needs_drain`.

        On a link that is lost it goes nowhere.

        Args:
            kind: TEXT, whose payload must be UTF-8, BINARY, PING or PONG.
            payload: Octets.
            compress: Whether to compress a message, where that was agreed on.

        Raises:
            TypeError: `payload` is no bytes, bytearray or memoryview.
            LocalProtocolError: The close frame was sent, or the payload does not fit.
            ValueError: `kind` is another one.
        """
        machine = self._machine
        if kind is _BINARY:
            frame = machine.send_bytes(payload, compress=compress)
        elif kind is _TEXT:
            frame = machine.send_encoded_text(payload, compress=compress)
        elif kind is _PING:
            frame = machine.send_ping(payload)
        elif kind is _PONG:
            frame = machine.send_pong(payload)
        else:
            raise ValueError(f"cannot send {kind!r}, only TEXT, BINARY, PING and PONG")
        self.link.write(frame)

    def send_close(self, code: int = 1000, reason: str | Octets = "") -> None:
        """Write the close frame; the link is closed when the peer's has come.

        Nothing happens if it was sent before. `close` also bounds how long that may take.

        Raises:
            LocalProtocolError: The code must not be sent, or the reason is not fit.
        """
        if self._machine.our_state is not WSState.CLOSED:
            self.link.write(self._machine.send_close(code, reason))

    @property
    def needs_drain(self) -> bool:
        """Whether the peer takes less than is written, so that `drain` would wait."""
        return self.link.needs_drain

    async def drain(self) -> None:
        """Wait until most of what was written has left; one task at a time.

        Raises:
            OSError: The link is lost or closed.
            RuntimeError: Another task is here.
        """
        self.link.deadline = None
        await self.link.drain()

    def pause_reading(self) -> None:
        """Hand nothing more on; the peer is slowed by flow control."""
        self._paused = True
        self.link.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what waits, then go on reading."""
        self._paused = False
        self._hand_on()
        if not self._paused:
            self.link.resume_reading()

    async def wait_closed(self) -> None:
        """Wait until the link is lost, and read meanwhile where nobody else does.

        Raises:
            RuntimeError: Another task is here.
        """
        while not self._lost:
            self.link.deadline = None
            await self.link.more()

    async def close(self, code: int = 1000, reason: str | Octets = "") -> None:
        """Send the close frame, and wait for the peer's at most ten seconds.

        Raises:
            LocalProtocolError: As for `send_close`.
            RuntimeError: Another task is in `wait_closed`.
        """
        self.send_close(code, reason)
        try:
            with anyio.move_on_after(_CLOSE_TIMEOUT):
                await self.wait_closed()
        finally:
            if not self._lost:
                self.link.abort()
                with anyio.CancelScope(shield=True):
                    await self.link.wait_closed()

    def abort(self) -> None:
        """Drop the connection now."""
        self.link.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact about the link, by asyncio's names."""
        return self.link.info(name, default)
