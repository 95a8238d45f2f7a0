"""The half of a WebSocket that sends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import anyio

from httpcore_proto import LocalProtocolError

from ._messages import WSMsgType
from ._receiving import Receiving, in_time
from ._sending import Octets
from ._states import WSState

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY

# Octets from which on a payload is not copied behind its head; the number of aiohttp, below
# which two pieces cost more than the copy.
_COPY_LIMIT: Final = 16384


class Outgoing(Receiving):
    """What writes to the link, in any number of tasks."""

    __slots__ = ()

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text message, and wait while the peer takes too little.

        Args:
            data: The message.
            compress: False or 0 not to compress it, where that was agreed on.

        Raises:
            TypeError: `data` is no `str`.
            LocalProtocolError: A message is half sent, or `data` has a lone surrogate.
            OSError: `lost_error`, a `LinkLostError` unless a subclass says otherwise: the
                connection is lost, or this side closed it.
        """
        try:
            frame = self._machine.send_text(data, compress=compress is None or compress > 0)
        except LocalProtocolError as exc:
            raise self._refusal(exc) from None
        self._link.write(frame)
        if self._link.needs_drain:
            await self._drain()

    async def send_bytes(self, data: Octets, compress: int | None = None) -> None:
        """Send a binary message; otherwise as `send_str`.

        Raises:
            TypeError: `data` is no bytes, bytearray or memoryview.
            LocalProtocolError: A message is half sent.
            OSError: As for `send_str`.
        """
        machine, link = self._machine, self._link
        compressed = compress is None or compress > 0
        try:
            if type(data) is bytes and len(data) >= _COPY_LIMIT and machine.sends_as_is(compressed):
                link.writelines((machine.send_head(_BINARY, len(data)), data))
            else:
                link.write(machine.send_bytes(data, compress=compressed))
        except LocalProtocolError as exc:
            raise self._refusal(exc) from None
        if self._link.needs_drain:
            await self._drain()

    async def send_json(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Send a text message of JSON that `dumps` makes; otherwise as `send_str`."""
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]
    ) -> None:
        """Send a binary message of JSON that `dumps` makes; otherwise as `send_bytes`."""
        await self.send_bytes(dumps(data), compress)

    async def send_frame(
        self, message: Octets, opcode: WSMsgType, compress: int | None = None
    ) -> None:
        """Send octets as a message or control frame of any type but CLOSE.

        Args:
            message: Octets; UTF-8 of TEXT, at most 125 of PING and PONG.
            opcode: TEXT, BINARY, PING or PONG.
            compress: As for `send_str`.

        Raises:
            TypeError: As for `send_bytes`, as is OSError.
            LocalProtocolError: A message is half sent, `message` does not fit its type, or
                `opcode` is another one.
        """
        if opcode is WSMsgType.PING:
            await self.ping(message)
        elif opcode is WSMsgType.PONG:
            await self.pong(message)
        elif opcode is _BINARY:
            await self.send_bytes(message, compress)
        elif opcode is _TEXT:
            compressed = compress is None or compress > 0
            await self._send(self._machine.send_encoded_text, message, compress=compressed)
        else:
            raise LocalProtocolError(f"cannot send {opcode!r} as a frame of its own")

    async def send_fragment(
        self, data: str | Octets, *, last: bool, compress: int | None = None
    ) -> None:
        """Send a piece of a message; until the last one no other message may be sent.

        Args:
            data: The piece; the message is text if the first one is `str`. May be empty.
            last: Whether the message ends with it.
            compress: As for `send_str`; counts in the first piece.

        Raises:
            TypeError: `data` is of another type than the pieces before it.
            LocalProtocolError: `data` has a lone surrogate.
            OSError: As for `send_str`.
        """
        compressed = compress is None or compress > 0
        await self._send(self._machine.send_fragment, data, last=last, compress=compressed)

    async def ping(self, message: Octets = b"") -> None:
        """Send a ping; once the pong came `latency` tells how long that took.

        Args:
            message: At most 125 octets.

        Raises:
            TypeError: As for `send_bytes`, as is OSError.
            LocalProtocolError: `message` is too long.
        """
        await self._send(self._encode_ping, message)

    async def pong(self, message: Octets = b"") -> None:
        """Send a pong; otherwise as `ping`."""
        await self._send(self._machine.send_pong, message)

    def _encode_ping(self, payload: Octets) -> bytes:
        frame = self._machine.send_ping(payload)
        # Some loops' clocks stand still within a turn, and count milliseconds.
        self._pinged = bytes(payload), time.perf_counter()
        return frame

    async def _send(self, encode: Callable[..., bytes], data: Any, **options: Any) -> None:
        try:
            frame = encode(data, **options)
        except LocalProtocolError as exc:
            raise self._refusal(exc) from None
        self._link.write(frame)
        if self._link.needs_drain:
            await self._drain()

    def _refusal(self, exc: LocalProtocolError) -> Exception:
        if self._machine.our_state is WSState.CLOSED:
            return self.lost_error("Cannot write to closing transport")
        return exc

    async def _drain(self) -> None:
        if self._drain_lock is None:
            self._drain_lock = anyio.Lock(fast_acquire=True)
        async with self._drain_lock:
            self._link.deadline = None
            try:
                await self._link.drain()
            except OSError as exc:
                raise self._lost_because(exc) from exc
        if self._owed_pong is not None:
            self._pay_pong()

    async def _flush(self, deadline: float | None) -> None:
        """Send what is queued, as far as the peer takes it in time."""
        if self._link.needs_drain:
            try:
                await in_time(deadline, self._drain)
            except OSError:
                pass  # too late, or lost: whoever waits next is told

    # For broadcasts.

    def _put(self, frame: bytes) -> bool:
        """Write without waiting; whether a task sees to it that it is sent."""
        link = self._link
        link.write(frame)
        if link.needs_drain:
            if not self._backlog:
                try:
                    self._flusher = self._runtime.spawn(self._flush_backlog())
                except RuntimeError:
                    return False  # the runtime is not entered
            self._backlog += len(frame)
        return True

    async def _flush_backlog(self) -> None:
        await self._flush(None)
        self._backlog = 0

    def _give_up(self, text: str) -> None:
        """Drop the connection for a reason of ours."""
        self._exception = self._lost_because(None, text)
        self._link.abort()
