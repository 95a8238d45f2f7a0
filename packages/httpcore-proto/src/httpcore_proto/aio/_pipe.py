"""What lies below a `StreamLink`: an anyio byte stream that sends without waiting if it can."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

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

    async def change(self) -> None:
        """Wait until anything has changed."""

    def wake(self) -> None:
        """Tell whoever waits that something has."""

    def reads_elsewhere(self) -> bool:
        """Whether input is read while a send waits."""

    async def read_all(self) -> None:
        """Read and deliver until cancelled."""


class Pipe(ByteStream):
    """The stream without TLS: sends without waiting if it can, and reads if it cannot."""

    def __init__(self, stream: ByteStream, sock: Any, link: PipeOwner) -> None:
        self._stream = stream
        self._link = link
        # The event loop's own transports show only a stand-in for their socket.
        self._socket = sock if isinstance(sock, socket.socket) else None
        self._sending = False
        self.closed = False
        self.muted = False

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        if self.muted:
            raise anyio.EndOfStream
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        link = self._link
        # TLS may have to answer in the middle of a receive. There is one reader and one
        # sender, so that at most one of them waits here, and records keep their order.
        while self._sending:
            await link.change()
        self._sending = True
        try:
            rest = item if self._socket is None else await self._send_now(self._socket, item)
            if not rest:
                return
            if link.reads_elsewhere():
                await self._stream.send(rest)  # type: ignore[arg-type]  # any buffer will do
            else:
                await self._send_beside(rest)
        finally:
            self._sending = False
            link.wake()

    async def _send_now(self, sock: socket.socket, item: bytes) -> memoryview | None:
        """Send what fits into the socket's buffer; return the rest."""
        await checkpoint_if_cancelled()
        try:
            sent = sock.send(item)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as exc:
            raise anyio.BrokenResourceError from exc
        if sent < len(item):
            return memoryview(item)[sent:]
        await cancel_shielded_checkpoint()
        return None

    async def _send_beside(self, item: bytes | memoryview) -> None:
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._link.read_all)
            try:
                await self._stream.send(item)  # type: ignore[arg-type]  # any buffer will do
            except Exception as exc:
                error = exc  # raised below, where the group cannot wrap it
            group.cancel_scope.cancel()
        if error is not None:
            raise error

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()

    def close(self) -> None:
        """Close without waiting: run `aclose` up to its first wait.

        Streams over sockets close first and wait afterwards, only to let others run;
        what others leave open here is closed when `aclose` is awaited.
        """
        self.closed = True
        closing: Any = self._stream.aclose()
        try:
            closing.send(None)
        except (StopIteration, *STREAM_ERRORS):
            pass  # closed without any wait, or as far as it can be
        finally:
            closing.close()
