"""A raw server that plays a script, so that each byte it sends is in the test."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

import httpclient
from httpcore_testing import RawPeer, RawServer

# A test that hangs shall say where, before pytest ends it from outside.
PATIENCE = 10.0


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Each asynchronous test runs on all event loops."""
    return request.param


class Peer:
    """The server's end of one connection.

    Attributes:
        number: How many connections were accepted before this one.
    """

    def __init__(
        self, stream: ByteStream, number: int, origin: Origin, raw: RawPeer | None = None
    ) -> None:
        self._raw = raw or RawPeer(stream)
        self._stream = stream
        self._origin = origin
        self._reader = BufferedByteReceiveStream(stream)
        self.number = number

    async def head(self) -> bytes:
        """Read a request head."""
        head = await self._reader.receive_until(b"\r\n\r\n", 65536) + b"\r\n"
        self._origin.heads.append(head.decode("utf-8", "surrogateescape"))
        return head

    async def request(self) -> bytes:
        """Read a whole request and return its body, chunks undone."""
        head = await self.head()
        if match := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
            return await self._reader.receive_exactly(int(match[1]))
        body = b""
        if re.search(rb"transfer-encoding: chunked", head, re.IGNORECASE):
            while size := int(await self._reader.receive_until(b"\r\n", 100), 16):
                body += await self._reader.receive_exactly(size)
                await self._reader.receive_exactly(2)
            await self._reader.receive_exactly(2)
        return body

    async def read(self, size: int) -> bytes:
        """Read bytes."""
        return await self._reader.receive_exactly(size)

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await self._stream.send(data)

    async def answer(self, body: bytes = b"ok", head: bytes = b"") -> None:
        """Read a request and send a 200 with `body`, and lines `head` before it."""
        await self.request()
        await self.send(response(body, head))

    async def answer_all(self, body: bytes = b"ok") -> None:
        """Answer until the client closes."""
        while True:
            await self.answer(body)

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    def reset(self) -> None:
        """Let the end of the script close the connection with a reset."""
        self._raw.reset_when_closed()

    async def closed(self) -> None:
        """Wait until the client has closed."""
        try:
            while True:
                await self._reader.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass


def response(body: bytes = b"ok", head: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """Return a response with Content-Length."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


class Origin:
    """A listening server.

    Attributes:
        url: Its URL, with a slash at the end.
        accepted: How many connections there were.
        heads: Heads of the requests that came.
    """

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}/"
        self.accepted = 0
        self.heads: list[str] = []


Script = Callable[[Peer], Awaitable[None]]


class Serve(Protocol):
    """What the fixture `serve` gives."""

    def __call__(
        self, script: Script, *, tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[Origin]: ...


@pytest.fixture
def serve() -> Serve:
    """Return a context manager that runs a server: `script(peer)` for each connection."""

    @asynccontextmanager
    async def run(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
        async def play(raw: RawPeer) -> None:
            # Not `raw.number`: here only what got through its handshake counts.
            peer = Peer(raw.stream, origin.accepted, origin, raw)
            origin.accepted += 1
            try:
                await script(peer)
            except (
                anyio.EndOfStream,
                anyio.IncompleteRead,
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
            ):
                pass

        with anyio.fail_after(PATIENCE):
            async with RawServer(play, tls=tls) as server:
                origin = Origin(server.port, "http" if tls is None else "https")
                yield origin

    return run


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return the context of a server on the loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "name.test").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context that trusts `authority`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def counts(session: httpclient.ClientSession) -> tuple[int, int]:
    """Return how many connections are in use and how many idle."""
    assert isinstance(session.connector, httpclient.BaseConnector)
    pool = session.connector._pool
    return pool.active_count, pool.idle_count
