"""The floor: a bare `asyncio.Protocol` that writes canned bytes.

What no server in Python can get below: the event loop, one read and one write. It does not parse;
it learns the size of a request from the first one on each connection, as a load generator repeats
the same bytes.
"""

import asyncio
from typing import Final, NoReturn, cast

from ..works import Work, find_work
from .canned import canned_response
from .settings import BACKLOG, HOST, Settings, run_asyncio


class CannedServer(asyncio.Protocol):
    """Answers every request on its connection with the same bytes."""

    def __init__(self, response: bytes, body_size: int) -> None:
        """Make the protocol of one connection.

        Args:
            response: Head and body, ready to be written.
            body_size: Length of the body that comes with each request.
        """
        self._response = response
        self._body_size = body_size
        self._request_size = 0
        self._unanswered_size = 0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports do not inherit from asyncio's, so this cannot be an isinstance.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        if not self._request_size:
            # Raises if the head is cut in two, which then shows as an error in the table; heads of
            # one packet on loopback are not.
            self._request_size = data.index(b"\r\n\r\n") + 4 + self._body_size
        self._unanswered_size += len(data)
        while self._unanswered_size >= self._request_size:
            self._unanswered_size -= self._request_size
            self._transport.write(self._response)


async def serve(work: Work, port: int) -> NoReturn:
    """Serve until the process is ended."""
    response: Final = canned_response(work.answer)
    loop = asyncio.get_running_loop()
    await loop.create_server(
        lambda: CannedServer(response, len(work.body)), HOST, port, backlog=BACKLOG
    )
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(serve(find_work(settings.work), settings.port), settings.loop)
