"""Connections to Unix sockets, and to the named pipes of Windows."""

from __future__ import annotations

import asyncio
import pickle
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener
from yarl import URL

import httpclient
from httpclient import ClientTimeout, ConnectionKey, Fingerprint, NamedPipeConnector, UnixConnector
from httpclient import _named_pipe_connector as named_pipes
from httpclient._url import Proxy

from .conftest import Origin, Peer


@asynccontextmanager
async def serve_path(path: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """Run a server on a Unix socket that answers everything."""
    listener: Any = await anyio.create_unix_listener(path)
    origin = Origin(0, "http")

    async def handle(stream: ByteStream) -> None:
        peer = Peer(stream, origin.accepted, origin)
        origin.accepted += 1
        async with stream:
            try:
                await peer.answer_all()
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                pass

    if tls is not None:
        listener = TLSListener(listener, tls, standard_compatible=False)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield origin
        tasks.cancel_scope.cancel()


async def test_host_of_the_url_is_only_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serve_path(path) as origin:
        connector = UnixConnector(path)
        assert connector.path == str(path)
        async with httpclient.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with session.get("http://name.test/") as resp:
                    assert await resp.read() == b"ok"
            assert connector.pool.idle_count == 1
    assert origin.accepted == 1
    assert "Host: name.test\r\n" in origin.heads[0]


async def test_path_at_which_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with httpclient.ClientSession(connector=UnixConnector(path)) as session:
        with pytest.raises(httpclient.UnixClientConnectorError) as caught:
            await session.get("http://name.test/")
    error = caught.value
    assert error.path == path
    assert isinstance(error.os_error, FileNotFoundError)
    assert str(error).startswith(f"Cannot connect to unix socket {path} [No such file")
    same = pickle.loads(pickle.dumps(error))
    assert (str(same), same.path, same.host) == (str(error), path, "name.test")


async def test_https_is_tls(
    tmp_path: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Not plain text, as in aiohttp (quirk 30)."""
    async with serve_path(tmp_path / "s", server_tls):
        connector = UnixConnector(tmp_path / "s")
        async with httpclient.ClientSession(connector=connector) as session:
            async with session.get("https://name.test/", ssl=client_tls) as resp:
                assert await resp.read() == b"ok"
            with pytest.raises(httpclient.ClientConnectorCertificateError):
                await session.get("https://other.test/", ssl=client_tls)
            fingerprint: dict[str, Any] = {"ssl": Fingerprint(b"x" * 32)}
            with pytest.raises(httpclient.ServerFingerprintMismatch):
                await session.get("https://name.test/", **fingerprint)
            assert connector.pool.active_count == 0


async def test_cancelled_it_closes_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[socket.socket] = []

    async def stuck(sock: socket.socket, address: str) -> None:
        seen.append(sock)
        await anyio.sleep_forever()

    monkeypatch.setattr("httpclient._unix_connector.connect_socket", stuck)
    async with UnixConnector(tmp_path / "s") as connector:
        key = ConnectionKey("name.test", 80, False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connector.acquire, key, ClientTimeout(), None)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert seen[0].fileno() == -1
        assert connector.pool.active_count == 0


async def test_proxies_are_refused(tmp_path: Path) -> None:
    key = ConnectionKey("name.test", 80, False, proxy=Proxy(URL("http://proxy.test:1")))
    async with UnixConnector(tmp_path / "s") as connector:
        with pytest.raises(httpclient.UnixClientConnectorError, match="a proxy cannot be used"):
            await connector.acquire(key, ClientTimeout(), None)


def test_platform_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(RuntimeError, match="no Unix sockets"):
        UnixConnector("/s")


def test_schemes() -> None:
    http = {"", "http", "https", "ws", "wss"}
    assert UnixConnector.allowed_protocol_schema_set == {*http, "unix"}
    assert NamedPipeConnector.allowed_protocol_schema_set == {*http, "npipe"}


# Named pipes. A Unix socket plays the pipe.


def test_platform_without_named_pipes() -> None:
    with pytest.raises(RuntimeError, match="Windows"):
        NamedPipeConnector(r"\\.\pipe\name")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connectors believe that this is Windows."""
    monkeypatch.setattr(named_pipes, "_IS_WINDOWS", True)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("windows")
async def test_named_pipe(tmp_path: Path, anyio_backend: str) -> None:
    loop: Any = asyncio.get_running_loop()
    loop.create_pipe_connection = loop.create_unix_connection
    path = str(tmp_path / "s")
    connector = NamedPipeConnector(path, limit=3)
    assert (connector.path, connector.limit) == (path, 3)
    async with httpclient.ClientSession(connector=connector) as session:
        with pytest.raises(httpclient.UnixClientConnectorError) as caught:
            await session.get("http://name.test/")
        assert caught.value.path == path
        async with serve_path(tmp_path / "s"):
            async with session.get("http://name.test/") as resp:
                assert await resp.read() == b"ok"
        with pytest.raises(RuntimeError, match="no TLS"):
            await session.get("https://name.test/")
        assert connector.pool.active_count == 0


@pytest.mark.usefixtures("windows")
async def test_named_pipe_needs_the_right_loop() -> None:
    async with httpclient.ClientSession(connector=NamedPipeConnector("name")) as session:
        with pytest.raises(RuntimeError, match="ProactorEventLoop"):
            await session.get("http://name.test/")
