"""The client's end of a connection to a mock: a link that can also fail as the mock wants it."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, BinaryIO, NoReturn

from anyio.lowlevel import checkpoint

from httpclient import ConnectionKey
from httpcore_proto.aio import Link, LinkLostError, Receiver, memory_link_pair


class _Raising(OSError):
    """A loss that raises an error of its own when the client makes one of it.

    Out of `more` a `TimeoutError` would be taken for that of the client's own deadline.
    """

    def __init__(self, error: TimeoutError) -> None:
        super().__init__()
        self._error = error

    @property
    def args(self) -> NoReturn:  # type: ignore[override]
        """What the client asks for."""
        raise self._error


class MockLink:
    """Link of the client's connection, and receiver of the link in memory below it.

    Args:
        connection: The client's connection.
        key: Where the client believes to be connected to.
        spawn: Starts a task.
        lost: Called when the link is lost.
    """

    _link: Link

    def __init__(
        self,
        connection: Receiver,
        key: ConnectionKey,
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
        lost: Callable[[MockLink], object],
    ) -> None:
        self._connection: Any = connection
        self._receiver = connection
        self._spawn = spawn
        self._lost = lost
        self._failure: BaseException | None = None
        self._ended = False  # by the mock
        self._told = False  # of the loss
        self._draining = False
        self._news = False  # since the last `more` began
        self._reset = False
        self._loss: OSError = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._server_link: Link
        #: Where the client believes to be connected to.
        self.key: ConnectionKey = key
        self._spent = False  # what the server's machine knows of is not what was sent

    def join(self, server: Receiver, facts: dict[str, Any]) -> None:
        """Connect to a server's receiver."""
        _, self._server_link = memory_link_pair(self, server, facts=facts)

    # For replies. What ends the connection raises, so that the server sends nothing more.

    def send(self, data: bytes) -> None:
        """Send exact bytes to the client, past the server's machine; nothing else can follow."""
        self._spent = True
        self._server_link.write(data)

    async def hang_up(self) -> NoReturn:
        """Close the connection behind what was sent.

        Raises:
            LinkLostError: Always.
        """
        # Else the client would send an idempotent request once more, on its own account, if
        # the connection was used before, and take the next reply for this one.
        self._connection.received = self._ended = True
        self._server_link.close()
        await self._server_link.wait_closed()
        raise LinkLostError("the mock has closed the connection")

    async def reset(self) -> NoReturn:
        """Reset the connection behind what was sent.

        Raises:
            LinkLostError: Always.
        """
        self._reset = True
        await self.hang_up()

    async def fail(self, error: BaseException) -> NoReturn:
        """Raise an error where the client waits for an answer.

        Raises:
            LinkLostError: Always.
        """
        if isinstance(error, TimeoutError):
            self._loss = _Raising(error)
        else:
            self._failure = error
        await self.reset()

    # As a receiver.

    def link_made(self, link: Link) -> None:
        """Keep the link, and stand in for it."""
        self._link = link
        self._receiver.link_made(self)

    def bytes_received(self, data: bytes) -> None:
        """Pass on."""
        self._news = True
        self._receiver.bytes_received(data)

    def eof_received(self) -> None:
        """Pass on; there is no orderly end before a reset."""
        if not self._reset:
            self._receiver.eof_received()

    def link_lost(self, exc: Exception | None) -> None:
        """Pass on; in `more` if this is for a failure, which is what the connection shall see."""
        self._lost(self)
        if self._failure is None:
            self._tell_lost(exc)

    def _tell_lost(self, exc: Exception | None) -> None:
        if self._told:
            return
        self._told = True
        if self._reset:
            exc = self._loss
        self._receiver.link_lost(exc)

    # As a link.

    @property
    def deadline(self) -> float | None:
        """As for `Link`, like all that follow."""
        return self._link.deadline

    @deadline.setter
    def deadline(self, when: float | None) -> None:
        self._link.deadline = when

    @property
    def needs_drain(self) -> bool:
        return self._link.needs_drain

    @property
    def closing(self) -> bool:
        # So that no other request is sent: nobody would take it for one.
        return self._spent or self._link.closing

    def write(self, data: bytes) -> None:
        self._link.write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self._link.writelines(pieces)

    def write_eof(self) -> None:
        self._link.write_eof()

    async def drain(self) -> None:
        self._draining = True
        try:
            await self._link.drain()
        except LinkLostError:
            # The server has taken the request, else it had not ended this: `more` tells of that.
            if not self._ended:
                raise
        finally:
            self._draining = False

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        return await self._link.sendfile(file, offset, count)

    async def more(self) -> None:
        self._news = False
        await self._link.more()
        if self._failure is not None and not self._news:
            # On trio a task of its own is in here during an upload, and is cancelled when all
            # is sent. It is not the one to raise this, in a group that would wrap it.
            await checkpoint()
            while self._draining:
                await checkpoint()
            self._tell_lost(None)
            raise self._failure

    def pause_reading(self) -> None:
        self._link.pause_reading()

    def resume_reading(self) -> None:
        self._link.resume_reading()

    def close(self) -> None:
        self._close(self._link.close)

    def abort(self) -> None:
        self._close(self._link.abort)

    def _close(self, close: Callable[[], None]) -> None:
        if not self._link.closing:
            close()
            # Links in memory tell of the loss in calls that await, and nobody may make one.
            self._spawn(self._link.wait_closed())

    async def wait_closed(self) -> None:
        await self._link.wait_closed()

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        await self._link.start_tls(
            context, server_side=server_side, server_hostname=server_hostname
        )

    def hand_over(self, receiver: Receiver) -> None:
        self._receiver = receiver
        receiver.link_made(self)

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        return self._link.fill(buffer, filled)

    def info(self, name: str, default: Any = None) -> Any:
        return self._link.info(name, default)
