"""The floor of WebSocket servers, and the server that all clients talk to.

A bare `asyncio.BufferedProtocol`: it counts octets, and writes a canned frame when a frame of the
right size has come. It neither parses nor unmasks, and knows a close frame by its first octet.
"""

import asyncio
import base64
import hashlib
from typing import Final, NoReturn, cast

from ..ws_works import ECHO_WORKS, EchoWork
from .settings import BACKLOG, HOST, Settings, run_asyncio

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_NAME: Final = b"\r\nsec-websocket-key:"
_CLOSE: Final = b"\x88\x02\x03\xe8"
_READ_SIZE: Final = 256 * 1024


class CannedEcho(asyncio.BufferedProtocol):
    """One connection; a message is sent when the echo of the one before it has come."""

    def __init__(self, work: EchoWork) -> None:
        """Make the protocol of one connection."""
        self._frame: Final = work.frame
        self._frame_size: Final = len(work.masked_frame)
        self._buffer: Final = bytearray(_READ_SIZE)
        self._view: Final = memoryview(self._buffer)
        self._head: bytes | None = b""
        self._received_size = 0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports do not inherit from asyncio's, so this cannot be an isinstance.
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the one buffer: nothing in it is looked at."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Count, and answer what is complete."""
        if self._head is not None:
            self._shake_hands(bytes(self._view[:nbytes]))
            return
        if not self._received_size and self._view[0] == _CLOSE[0]:
            self._transport.write(_CLOSE)
            self._transport.close()
            return
        self._received_size += nbytes
        if self._received_size > self._frame_size:
            # Frames of a peer that are longer than they need to be, which then shows as an error.
            self._transport.close()
        elif self._received_size == self._frame_size:
            self._received_size = 0
            self._transport.write(self._frame)

    def _shake_hands(self, data: bytes) -> None:
        assert self._head is not None
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        start = self._head.lower().index(_KEY_NAME) + len(_KEY_NAME)
        key = self._head[start : self._head.index(b"\r\n", start)].strip()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._head = None
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )


async def serve(work: EchoWork, port: int) -> NoReturn:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: CannedEcho(work), HOST, port, backlog=BACKLOG)
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(serve(ECHO_WORKS[settings.work], settings.port), settings.loop)
