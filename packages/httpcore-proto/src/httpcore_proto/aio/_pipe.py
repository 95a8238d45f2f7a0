"""What lies below a `StreamLink`: an anyio byte stream that never loses count of its bytes.

`send` neither waits nor raises: it sends what the socket takes now, and keeps the rest for
`flush`. So TLS, on top of it, is never cut short in the middle of a record, by a deadline
or by a peer that resets; and a `flush` that was cancelled can be taken up again.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from ._errors import LinkLostError
from ._sendfile import HAS_SENDFILE, FileSender

# Bytes of one receive; what asyncio's transports and trio's streams take as well (64 KiB
# to 256 KiB). More buys little, and is allocated per link that waits.
RECEIVE_SIZE: Final = 65536

# What an anyio stream raises. `ssl.SSLError` is an OSError.
STREAM_ERRORS: Final = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.BusyResourceError,
    anyio.EndOfStream,
    OSError,
)


class PipeOwner(Protocol):
    """The link on top."""

    #: Set when something is left for `flush`.
    needs_drain: bool

    def reads_elsewhere(self) -> bool:
        """Whether input is read while `flush` waits, or must not be."""

    async def read_all(self) -> None:
        """Read and deliver until cancelled."""


class Pipe(ByteStream):
    """The stream without TLS."""

    def __init__(self, stream: ByteStream, sock: Any, link: PipeOwner) -> None:
        self._stream = stream
        self._link = link
        # The event loop's own transports show only a stand-in for their socket.
        self._socket = sock if isinstance(sock, socket.socket) else None
        self._unsent: deque[bytes | memoryview] = deque()
        self._error: OSError | None = None
        self.torn = False  # nobody knows where what was sent ends
        self.closed = False
        self.handshaking = False
        self.muted = False

    @property
    def resumable(self) -> bool:
        """Whether `flush` goes on after it was cancelled; else it raises then."""
        return self._socket is not None

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream."""
        return self._stream.extra_attributes

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Receive. During the handshake nobody else flushes, so this does it first."""
        if self.muted:
            raise anyio.EndOfStream
        if self.handshaking:
            await self.flush()
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes | memoryview) -> None:
        """Send what the socket takes without waiting; errors are for `flush`."""
        self._unsent.append(item)
        self._send_now()
        if self._unsent:
            self._link.needs_drain = True

    def _send_now(self) -> None:
        if self._socket is None or self._error is not None:
            return
        unsent = self._unsent
        try:
            while unsent:
                sent = self._socket.send(unsent[0])
                if sent < len(unsent[0]):
                    unsent[0] = memoryview(unsent[0])[sent:]
                    return
                unsent.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            self._error = exc

    async def flush(self) -> None:
        """Return once everything is sent; one task at a time."""
        await checkpoint_if_cancelled()
        if self.torn:
            raise anyio.BrokenResourceError
        self._send_now()
        if self._unsent:
            if self._link.reads_elsewhere():
                await self._send_rest()
            else:
                await self._send_beside()
        else:
            await cancel_shielded_checkpoint()
        if self._error is not None:
            raise self._error

    async def _send_rest(self) -> None:
        if self._socket is not None:
            while self._unsent and self._error is None:
                await anyio.wait_writable(self._socket)
                self._send_now()
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self.torn = True  # if this is cancelled
        await self._stream.send(data)
        self.torn = False

    async def _send_beside(self) -> None:
        """Read while the peer takes nothing: it may be doing the same as we."""
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._link.read_all)
            try:
                await self._send_rest()
            except Exception as exc:
                error = exc  # raised below, where the group cannot wrap it
            group.cancel_scope.cancel()
        if error is not None:
            raise error

    async def sendfile(self, sender: FileSender) -> bool:
        """Send a part of a file; `flush` comes first, and somebody else reads.

        Returns:
            False if that cannot be done; nothing is sent then.
        """
        if self._socket is None or not HAS_SENDFILE:
            return False
        await checkpoint_if_cancelled()
        while not sender.done:
            if not sender.send(self._socket.fileno()):
                return False
            if not sender.done:
                await anyio.wait_writable(self._socket)
        await cancel_shielded_checkpoint()
        return True

    async def send_eof(self) -> None:
        """Close our direction."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close, with whatever the stream has to wait for."""
        self.closed = True
        await self._stream.aclose()

    def close(self) -> None:
        """Close without waiting: run `aclose` up to its first wait.

        Streams over sockets close first and wait afterwards, only to let others run;
        what others leave open here is closed when `aclose` is awaited.
        """
        self.closed = True
        self._unsent.clear()
        closing: Any = self._stream.aclose()
        try:
            closing.send(None)
        except (StopIteration, *STREAM_ERRORS):
            pass  # closed without any wait, or as far as it can be
        finally:
            closing.close()


def socket_facts(sock: Any) -> dict[str, Any]:
    """Return what `Link.info` tells of a socket."""
    facts: dict[str, Any] = {"socket": sock}
    try:
        facts["sockname"] = sock.getsockname()
        facts["peername"] = sock.getpeername()
    except OSError:
        pass  # reset before anybody asked
    return facts


def tls_facts(ssl_object: ssl.SSLObject, context: ssl.SSLContext) -> dict[str, Any]:
    """Return what `Link.info` tells of TLS."""
    return {
        "ssl_object": ssl_object,
        "sslcontext": context,
        "cipher": ssl_object.cipher(),
        "peercert": ssl_object.getpeercert(),
    }


def os_error(exc: BaseException, text: str) -> OSError:
    """Return the `OSError` behind a stream's error, or one that says `text`."""
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = seen.__cause__
    error = LinkLostError(text)
    error.__cause__ = exc
    return error
