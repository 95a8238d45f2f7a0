"""A server on the loopback, and a client that speaks bytes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from multidict import CIMultiDict

import httpserver as web
from httpcore_testing import RawPeer

# A test that hangs shall say where, before pytest ends it from outside.
_PATIENCE = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


@dataclass
class Answer:
    """A response as it came."""

    head: bytes
    body: bytes

    @property
    def status_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    @property
    def headers(self) -> CIMultiDict[str]:
        lines = self.head.decode().split("\r\n")[1:-2]
        return CIMultiDict(line.split(": ", 1) for line in lines)

    @property
    def text(self) -> str:
        return self.body.decode()


class Peer:
    """A client that sends exactly what it is told."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._data = bytearray()

    async def send(self, data: bytes) -> None:
        with anyio.fail_after(_PATIENCE):
            await self.stream.send(data)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def until(self, mark: bytes) -> bytes:
        """Return what comes up to and with `mark`."""
        while mark not in self._data:
            assert await self._more(), f"the server closed behind {bytes(self._data)!r}"
        return await self.exactly(self._data.index(mark) + len(mark))

    async def exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            assert await self._more(), f"the server closed behind {self._data[-200:]!r}"
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """Return the next response, to its end."""
        answer = Answer(await self.until(b"\r\n\r\n"), b"")
        if bodiless:
            return answer
        headers = answer.headers
        if "Content-Length" in headers:
            answer.body = await self.exactly(int(headers["Content-Length"]))
        elif "Transfer-Encoding" in headers:
            while size := int(await self.until(b"\r\n"), 16):
                answer.body += (await self.exactly(size + 2))[:-2]
            assert await self.until(b"\r\n") == b"\r\n"
        elif answer.status not in (204, 304):
            answer.body = await self.rest()
        return answer

    async def rest(self) -> bytes:
        """Return what comes up to an orderly end."""
        while await self._more():
            pass
        return await self.exactly(len(self._data))

    async def end(self) -> bytes:
        """Return what comes up to the end, orderly or not."""
        try:
            return await self.rest()
        except anyio.BrokenResourceError:
            return bytes(self._data)

    async def close(self) -> None:
        await self.stream.aclose()

    async def _more(self) -> bool:
        with anyio.fail_after(_PATIENCE):
            try:
                self._data += await self.stream.receive()
            except anyio.EndOfStream:
                return False
        return True


class Origin:
    """A server that runs."""

    def __init__(self, runner: web.AppRunner, site: web.TCPSite, host: str) -> None:
        self.runner = runner
        self.site = site
        self._host = host
        self._peers: list[Peer] = []

    @property
    def server(self) -> web.Server:
        return self.runner.server

    async def connect(self, *, tls: ssl.SSLContext | None = None) -> Peer:
        stream: ByteStream = await anyio.connect_tcp(self._host, self.site.port)
        if tls is not None:
            stream = await TLSStream.wrap(
                stream, hostname="localhost", ssl_context=tls, standard_compatible=False
            )
        peer = Peer(stream)
        self._peers.append(peer)
        return peer

    async def ask(self, request: bytes, *, bodiless: bool = False) -> Answer:
        """Return the answer to one request on a connection of its own."""
        peer = await self.connect()
        await peer.send(request)
        answer = await peer.answer(bodiless=bodiless)
        await peer.close()
        return answer

    async def no_connections(self) -> None:
        """Wait until every connection has ended."""
        with anyio.fail_after(_PATIENCE):
            while self.server.connections:
                await anyio.lowlevel.checkpoint()

    async def close(self) -> None:
        with anyio.fail_after(_PATIENCE):
            await self.runner.cleanup()
        with anyio.CancelScope(shield=True):
            for peer in self._peers:
                await peer.close()


class Serve(Protocol):
    """Serve an application, or a handler for everything."""

    def __call__(
        self,
        what: web.Application | Handler,
        *,
        host: str = "127.0.0.1",
        ssl_context: ssl.SSLContext | None = None,
        **kwargs: Any,
    ) -> AbstractAsyncContextManager[Origin]: ...


@asynccontextmanager
async def _serve(
    what: web.Application | Handler,
    *,
    host: str = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
    **kwargs: Any,
) -> AsyncIterator[Origin]:
    if isinstance(what, web.Application):
        app = what
    else:
        app = web.Application()
        app.add_routes([web.route("*", "/{path:.*}", what)])
    runner = web.AppRunner(app, **kwargs)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=ssl_context)
    await site.start()
    origin = Origin(runner, site, host)
    try:
        yield origin
    finally:
        await origin.close()


@pytest.fixture
def serve() -> Serve:
    """Return what serves an application on the loopback."""
    return _serve


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context


@pytest.fixture
def reset() -> Callable[[Peer], Awaitable[None]]:
    """Return what ends a connection the hard way: the server gets RST."""

    async def reset(peer: Peer) -> None:
        await RawPeer(peer.stream).reset()

    return reset
