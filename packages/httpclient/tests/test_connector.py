"""The connector: limits, waiting in order, dialling, TLS, and the end."""

from __future__ import annotations

import ssl
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import httpclient
from httpclient import ClientTimeout

from .conftest import Peer, Serve, counts, response


class Gate:
    """A script whose answers are let through one by one."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[None](1000)

    def open(self, count: int = 1) -> None:
        """Let answers through."""
        for _ in range(count):
            self._send.send_nowait(None)

    async def __call__(self, peer: Peer) -> None:
        while True:
            body = await peer.request()
            await self._receive.receive()
            await peer.send(response(body))

    def close(self) -> None:
        """Close the streams, which would complain."""
        self._send.close()
        self._receive.close()


@pytest.mark.parametrize("option", ["limit", "limit_per_host"])
async def test_requests_over_the_limit_wait_in_order(serve: Serve, option: str) -> None:
    gate = Gate()
    options: dict[str, Any] = {option: 1}
    async with serve(gate) as origin:
        connector = httpclient.TCPConnector(**options)
        async with httpclient.ClientSession(connector=connector) as session:
            done: list[int] = []

            async def post(number: int) -> None:
                async with session.post(origin.url, data=str(number)) as resp:
                    assert await resp.text() == str(number)
                    done.append(number)

            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(post, number)
                    await anyio.wait_all_tasks_blocked()
                assert connector._pool.active_count == 1
                assert connector._pool.waiting_count == 5
                gate.open(6)
            assert done == sorted(done)
            assert counts(session) == (0, 1)
            assert connector._pool.waiting_count == 0
    assert origin.accepted == 1
    gate.close()


async def test_limit_per_host_leaves_room_for_others(serve: Serve) -> None:
    gate = Gate()
    async with serve(gate) as busy, serve(Peer.answer_all) as free:
        connector = httpclient.TCPConnector(limit_per_host=1)
        async with (
            httpclient.ClientSession(connector=connector) as session,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(session.get, busy.url)
            tasks.start_soon(session.get, busy.url)
            await anyio.wait_all_tasks_blocked()
            async with session.get(free.url) as resp:
                assert await resp.read() == b"ok"
            gate.open(2)
    assert busy.accepted == 1
    gate.close()


async def test_cancelled_waiter_gives_its_place_on(serve: Serve) -> None:
    gate = Gate()
    async with serve(gate) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with (
            httpclient.ClientSession(connector=connector) as session,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            cancelled = anyio.CancelScope()

            async def give_up() -> None:
                with cancelled:
                    await session.get(origin.url)

            tasks.start_soon(give_up)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            assert connector._pool.waiting_count == 2
            cancelled.cancel()
            await anyio.wait_all_tasks_blocked()
            assert connector._pool.waiting_count == 1
            gate.open(2)
        assert connector._pool.active_count == 0
    assert len(origin.heads) == 2
    gate.close()


async def test_waiter_cancelled_when_served_gives_its_connection_on(serve: Serve) -> None:
    """It gets the connection after it was cancelled, and before its task knows."""
    async with serve(Peer.answer_all) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with httpclient.ClientSession(connector=connector) as session:
            scope = anyio.CancelScope()

            async def give_up() -> None:
                with scope:
                    await session.get(origin.url)

            resp = await session.get(origin.url)
            await resp.read()
            key = next(iter(connector._pool._places))
            assert connector._pool.take(key) is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(give_up)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(session.get, origin.url)
                await anyio.wait_all_tasks_blocked()
                connection = next(iter(connector._open))
                scope.cancel()
                connector.keep(connection)
            assert counts(session) == (0, 1)
    assert origin.accepted == 1
    assert len(origin.heads) == 2


async def test_connection_closed_while_others_wait_makes_room(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    async with serve(script) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with httpclient.ClientSession(connector=connector) as session:

            async def get() -> None:
                async with session.get(origin.url) as resp:
                    assert await resp.read() == b"ok"

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(get)
            assert counts(session) == (0, 0)
    assert origin.accepted == 5


async def test_connection_refused_names_host_and_port(free_tcp_port: int) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{free_tcp_port}/")
        assert (caught.value.host, caught.value.port) == ("127.0.0.1", free_tcp_port)
        assert isinstance(caught.value.os_error, OSError)
        assert counts(session) == (0, 0)


@pytest.mark.parametrize("host", ["name.invalid", "x" * 70 + ".invalid"])
async def test_name_without_address_is_a_dns_error(host: str) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectorDNSError) as caught:
            await session.get(f"http://{host}/")
        assert caught.value.host == host
        assert counts(session) == (0, 0)


async def test_failed_dial_lets_the_next_try(free_tcp_port: int) -> None:
    connector = httpclient.TCPConnector(limit=1)
    errors = []
    async with httpclient.ClientSession(connector=connector) as session:

        async def get() -> None:
            try:
                await session.get(f"http://127.0.0.1:{free_tcp_port}/")
            except httpclient.ClientConnectorError as exc:
                errors.append(exc)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(get)
    assert len(errors) == 3


async def test_cancelled_in_handshake_leaves_nothing(serve: Serve) -> None:
    shaking_hands, closed = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read(5)  # of a ClientHello, which it does not understand
        shaking_hands.set()
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:

        async def get() -> None:
            await session.get(origin.url.replace("http:", "https:"), ssl=False)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get)
            await shaking_hands.wait()
            tasks.cancel_scope.cancel()
        assert isinstance(session.connector, httpclient.BaseConnector)
        assert session.connector._pool.place_count == 0
        await closed.wait()


async def test_tls_verifies_and_is_reused(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(Peer.answer_all, tls=server_tls) as origin:
        connector = httpclient.TCPConnector(ssl=client_tls)
        async with httpclient.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with session.get(origin.url) as resp:
                    assert await resp.read() == b"ok"
            assert counts(session) == (0, 1)
    assert origin.accepted == 1


async def test_tls_settings_share_no_connection(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(Peer.answer_all, tls=server_tls) as origin:
        async with httpclient.ClientSession() as session:
            for options in (
                {"ssl": False},
                {"ssl": client_tls},
                {"ssl": client_tls, "server_hostname": "name.test"},
            ):
                for _ in range(2):
                    async with session.get(origin.url, **options) as resp:  # type: ignore[arg-type]
                        assert await resp.read() == b"ok"
            assert counts(session) == (0, 3)
    assert origin.accepted == 3


async def test_certificate_that_is_not_trusted_is_refused(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(Peer.closed, tls=server_tls) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectorCertificateError) as caught:
            await session.get(origin.url)
        assert isinstance(caught.value.certificate_error, ssl.CertificateError)
        assert "127.0.0.1" in str(caught.value)
        with pytest.raises(httpclient.ClientConnectorCertificateError, match=r"wrong\.test"):
            await session.get(origin.url, ssl=client_tls, server_hostname="wrong.test")
        assert counts(session) == (0, 0)


async def test_server_that_speaks_no_tls_is_an_ssl_error(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.closed()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectorSSLError):
            await session.get(origin.url.replace("http:", "https:"))
        assert counts(session) == (0, 0)


async def test_force_close_uses_a_connection_once(serve: Serve) -> None:
    connector = httpclient.TCPConnector(force_close=True)
    assert connector.force_close
    async with (
        serve(Peer.answer_all) as origin,
        httpclient.ClientSession(connector=connector) as session,
    ):
        for _ in range(2):
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"
            assert counts(session) == (0, 0)
    assert origin.accepted == 2
    assert all("Connection: close\r\n" in head for head in origin.heads)


async def test_idle_connection_is_not_used_after_its_time(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin:
        connector = httpclient.TCPConnector(keepalive_timeout=0)
        async with httpclient.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with session.get(origin.url) as resp:
                    assert await resp.read() == b"ok"
    assert origin.accepted == 2


async def test_sweep_closes_what_is_idle_too_long(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.closed()
        closed.set()

    async with serve(script) as origin:
        connector = httpclient.TCPConnector(keepalive_timeout=100)
        async with httpclient.ClientSession(connector=connector) as session:
            await (await session.get(origin.url)).read()
            connector._sweep(connector.now())
            assert counts(session) == (0, 1)
            connector._sweep(connector.now() + 101)
            assert counts(session) == (0, 0)
            await closed.wait()


async def test_sweep_comes_by_itself_on_asyncio(serve: Serve, anyio_backend_name: str) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.closed()
        closed.set()

    async with serve(script) as origin:
        connector = httpclient.TCPConnector(keepalive_timeout=0.01)
        async with httpclient.ClientSession(connector=connector) as session:
            await (await session.get(origin.url)).read()
            if anyio_backend_name == "asyncio":
                await closed.wait()
                assert counts(session) == (0, 0)


async def test_server_that_closes_idle_connection_is_noticed(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.close()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.post(origin.url) as resp:
                assert await resp.read() == b"ok"
            await closed.wait()
            await anyio.wait_all_tasks_blocked()
            closed = anyio.Event()
    assert origin.accepted == 2


async def test_close_ends_everything(serve: Serve) -> None:
    closed = []
    all_closed = anyio.Event()

    async def script(peer: Peer) -> None:
        if (await peer.head()).startswith(b"GET /idle"):
            await peer.send(response())
        elif peer.number == 1:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await peer.closed()
        closed.append(peer.number)
        if len(closed) == 3:
            all_closed.set()

    async with serve(script) as origin:
        connector = httpclient.TCPConnector(limit=2)
        session = httpclient.ClientSession(connector=connector, timeout=ClientTimeout())
        await (await session.get(f"{origin.url}idle")).read()
        connector._pool.expire(float("inf"))  # not to be taken again
        half = await session.get(f"{origin.url}half")
        errors = []

        async def get() -> None:
            try:
                await session.get(f"{origin.url}busy")
            except httpclient.ClientConnectionError as exc:
                errors.append(str(exc))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(get)
                await anyio.wait_all_tasks_blocked()
            assert connector._pool.waiting_count == 2
            await session.close()
            assert connector.closed
            assert not connector._open
        assert errors.count("Connector is closed.") == 2
        assert len(errors) == 3
        with pytest.raises(httpclient.ClientConnectionError, match="Connector is closed"):
            await half.read()
        assert connector._pool.active_count == 0
        await connector.close()
        while len(closed) < 3:
            await anyio.lowlevel.checkpoint()


def test_connector_refuses_the_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        httpclient.TCPConnector(limit=-1)
    with pytest.raises(ValueError, match="keepalive_timeout"):
        httpclient.TCPConnector(force_close=True, keepalive_timeout=3)
    with pytest.raises(TypeError, match="ssl should be"):
        httpclient.TCPConnector(ssl=None)  # type: ignore[arg-type]
    connector = httpclient.TCPConnector(limit=5, limit_per_host=3)
    assert (connector.limit, connector.limit_per_host, connector.closed) == (5, 3, False)
