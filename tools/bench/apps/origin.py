"""The origin that all clients talk to: reads a request to its end and writes canned bytes.

It runs on the other core and is not measured; it only has to be faster than any client.
"""

import asyncio
from typing import Final, NoReturn, cast

from ..exchanges import EXCHANGES
from .canned import canned_response
from .settings import BACKLOG, HOST, Settings, run_asyncio

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH_NAME: Final = b"\r\ncontent-length:"
_NO_LENGTH: Final = (
    b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Origin(asyncio.Protocol):
    """One connection; requests come one after the other, not pipelined."""

    def __init__(self, response: bytes) -> None:
        """Make the protocol of one connection that answers `response`."""
        self._response = response
        self._head = b""
        self._missing_size = 0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports do not inherit from asyncio's, so this cannot be an isinstance.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Count bytes until the request is complete, then answer."""
        if self._missing_size:
            self._missing_size -= len(data)
        else:
            self._head += data
            end = self._head.find(_HEAD_END)
            if end < 0:
                return
            size = _body_size(self._head[: end + 2])
            if size is None:
                # A peer that sends its body in chunks would be compared with others that do not.
                self._transport.write(_NO_LENGTH)
                self._transport.close()
                return
            self._missing_size = size - (len(self._head) - end - len(_HEAD_END))
            self._head = b""
        if not self._missing_size:
            self._transport.write(self._response)


def _body_size(head: bytes) -> int | None:
    """Return the announced length, 0 for a GET without one, None for a body without one."""
    lower = head.lower()
    start = lower.find(_LENGTH_NAME)
    if start >= 0:
        value = start + len(_LENGTH_NAME)
        return int(lower[value : lower.index(b"\r\n", value)])
    return 0 if head.startswith(b"GET ") else None


async def serve(response: bytes, port: int) -> NoReturn:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Origin(response), HOST, port, backlog=BACKLOG)
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(
        serve(canned_response(EXCHANGES[settings.work].answer), settings.port), settings.loop
    )
