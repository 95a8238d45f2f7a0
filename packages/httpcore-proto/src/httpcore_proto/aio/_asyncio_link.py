"""Links on asyncio and uvloop: the transport is the link.

`AsyncioLink` is the transport's protocol, and nearly nothing else: it hands bytes to the
receiver in the call in which they come, and `write` is the transport's own method. No
stream object, no queue and no reader task lies between the socket and the parser.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl as ssl_module
import sys
from asyncio.sslproto import _SSLProtocolTransport
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final

from ._deadlines import Deadlines
from ._errors import BusyError, LinkLostError
from ._filler import Filler
from ._interfaces import Receiver
from ._sendfile import HAS_SENDFILE, FileSender

# From 3.12.0 to 3.13.1 asyncio's `writelines` knows no high-water mark (CVE-2024-12254), and
# in the first of these an empty piece keeps the loop busy for ever.
_WRITELINES_IS_BROKEN: Final = (3, 12) <= sys.version_info < (3, 13, 2)

# Up to 3.11.7 and 3.12.1 a TLS transport cannot be aborted by the TLS on top of it: it raises
# TypeError in place of what went wrong (gh-113214).
_FORCE_CLOSE_IS_BROKEN: Final = sys.version_info < (3, 11, 8) or (
    (3, 12) <= sys.version_info < (3, 12, 2)
)


class AsyncioLink(asyncio.Protocol):
    """A link over an asyncio transport; made before the transport is."""

    __slots__ = (
        "_closing",
        "_deadlines",
        "_drain_waiter",
        "_eof",
        "_exc",
        "_loop",
        "_lost",
        "_lost_waiters",
        "_more_waiter",
        "_receive",
        "_receiver",
        "_transport",
        "deadline",
        "needs_drain",
        "write",
        "writelines",
    )

    write: Callable[[bytes], None]
    writelines: Callable[[Iterable[bytes]], None]

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deadlines: Deadlines, receiver: Receiver
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._receiver = receiver
        self._receive = receiver.bytes_received
        self._transport: Any = None
        self._more_waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._lost_waiters: list[asyncio.Future[None]] | None = None
        self._lost = False
        self._closing = False
        self._eof = False
        self._exc: Exception | None = None
        self.deadline: float | None = None
        self.needs_drain = False

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind the transport's methods; again after `start_tls` put another below."""
        first = self._transport is None
        self._transport = transport
        self.write = transport.write  # type: ignore[attr-defined]
        if _WRITELINES_IS_BROKEN:
            self.writelines = self._write_joined
        else:
            self.writelines = transport.writelines  # type: ignore[attr-defined]
        if first:
            self._receiver.link_made(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes on, then wake whoever waits for them."""
        self._receive(data)
        if self._more_waiter is not None:
            self.wake_more()

    def eof_received(self) -> bool:
        """Hand the end on; the transport stays open for our direction."""
        self._eof = True
        self._receiver.eof_received()
        if self._transport.get_extra_info("ssl_object") is not None:
            # TLS cannot be half-closed: asyncio closes the transport whatever we say.
            self._refuse_writes()
        self.wake_more()
        return not self._closing

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver, then end every wait."""
        if self._lost:
            return  # a handshake failed: its transport tells it as well, later
        self._lost = True
        self._exc = exc
        self._refuse_writes()
        self._receiver.link_lost(exc)
        self.wake_more()
        waiter = self._drain_waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._lost_error())
        for lost_waiter in self._lost_waiters or ():
            if not lost_waiter.done():
                lost_waiter.set_result(None)

    def pause_writing(self) -> None:
        """The transport's buffer is above its high-water mark."""
        self.needs_drain = True

    def resume_writing(self) -> None:
        """The transport's buffer is below its low-water mark."""
        self.needs_drain = self._closing
        waiter = self._drain_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # The link.

    @property
    def closing(self) -> bool:
        """Whether the link is closed or about to be."""
        return self._closing or self._transport.is_closing()

    def write_eof(self) -> None:
        """Half-close, where the transport can."""
        if not self._closing and self._transport.can_write_eof():
            self.write = self.writelines = _ignore  # the transport would raise
            try:
                self._transport.write_eof()
            except OSError:
                pass  # reset; the transport will find out by itself

    async def drain(self) -> None:
        """Wait while the transport's buffer is above its high-water mark."""
        if self._closing:
            raise self._lost_error()
        if not self.needs_drain:
            return
        if self._drain_waiter is not None:
            raise BusyError("another task is in drain()")
        waiter = self._drain_waiter = self._loop.create_future()
        try:
            await self._wait(waiter)
        finally:
            self._drain_waiter = None

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file, if the transport is a plain socket.

        Not with the loop's own method, which uvloop has not, which stops reading, and which
        never ends if the transport is aborted meanwhile.
        """
        await self.drain()
        transport = self._transport
        sock = transport.get_extra_info("socket")
        if not HAS_SENDFILE or sock is None or self.info("ssl_object") is not None:
            return False
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)
            await self.drain()
            if not self._closing:
                transport.set_write_buffer_limits()
        sender = FileSender(file.fileno(), offset, count)
        while not sender.done:
            if self._closing:
                raise self._lost_error()
            try:
                if not sender.send(sock.fileno()):
                    return False
            except OSError as exc:
                # The socket tells an error once: the transport would see an orderly end.
                transport.abort()
                self.connection_lost(exc)
                raise
            if not sender.done:
                await self._writable(sock)
        return True

    async def _writable(self, sock: socket.socket) -> None:
        waiter = self._drain_waiter = self._loop.create_future()
        # Loops refuse to watch a descriptor that a transport has.
        fd = os.dup(sock.fileno())
        try:
            self._loop.add_writer(fd, self.resume_writing)
            try:
                await self._wait(waiter)
            finally:
                self._loop.remove_writer(fd)
        finally:
            self._drain_waiter = None
            os.close(fd)

    async def more(self) -> None:
        """Park until the transport delivered something."""
        parked = self._more_waiter
        if parked is not None and not parked.done():
            raise BusyError("another task is in more()")
        if self._lost:
            return
        waiter = self._more_waiter = self._loop.create_future()
        try:
            if self.deadline is None:
                await waiter
            else:
                await self._wait(waiter)
        finally:
            # Whoever was woken along with this task may be parked here by now.
            if self._more_waiter is waiter:
                self._more_waiter = None

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        deadline = self.deadline
        if deadline is None:
            await waiter
            return
        self._deadlines.add(waiter, deadline)
        try:
            await waiter
        finally:
            self._deadlines.discard(waiter)

    def pause_reading(self) -> None:
        """Stop the transport from reading."""
        if not self._closing and not self._eof:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the transport read; past the end it would tell the end again."""
        if not self._closing and not self._eof:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close behind what is queued."""
        if not self._closing:
            self._refuse_writes()
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if not self._lost:
            self._refuse_writes()
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait for the transport's end."""
        if self._lost:
            return
        waiter = self._loop.create_future()
        if self._lost_waiters is None:
            self._lost_waiters = []
        self._lost_waiters.append(waiter)
        await waiter

    async def start_tls(
        self,
        context: ssl_module.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Put a TLS transport between this link and the plain one."""
        if self._closing:
            raise self._lost_error()
        below = self._transport
        if _FORCE_CLOSE_IS_BROKEN and isinstance(below, _SSLProtocolTransport):
            below._force_close = lambda exc: below.abort()  # type: ignore[attr-defined]  # the cure
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_side=server_side,
                server_hostname=server_hostname,
            )
            if transport is None or self._closing:
                raise LinkLostError("connection lost during the TLS handshake")
        except BaseException as exc:
            self._transport.abort()
            # The transport does not tell us on every loop: during the handshake its
            # protocol is another.
            self.connection_lost(exc if isinstance(exc, Exception) else None)
            raise
        self.connection_made(transport)

    def hand_over(self, receiver: Receiver) -> None:
        """Call another receiver from here on."""
        self._receiver = receiver
        self._receive = receiver.bytes_received
        receiver.link_made(self)

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        """Have the transport read into the buffer."""
        if self._closing or self._eof:
            return False
        self.speak_as(Filler(self, buffer, filled))
        return True

    def speak_as(self, protocol: asyncio.BaseProtocol) -> None:
        """Change the transport's protocol; uvloop looks at its kind when reading begins."""
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    def info(self, name: str, default: Any = None) -> Any:
        """Facts that the transport knows."""
        return self._transport.get_extra_info(name, default)

    def _refuse_writes(self) -> None:
        """No write from here on, and the next drain must raise."""
        self._closing = self.needs_drain = True
        self.write = self.writelines = _ignore

    def _write_joined(self, pieces: Iterable[bytes]) -> None:
        self._transport.write(b"".join(pieces))

    def wake_more(self) -> None:
        """End the wait of `more`."""
        waiter = self._more_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _lost_error(self) -> LinkLostError:
        error = LinkLostError("the link is closed" if self._exc is None else str(self._exc))
        error.__cause__ = self._exc
        return error


def _ignore(data: object) -> None:
    """Stands for write once the link takes no more."""
