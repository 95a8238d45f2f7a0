"""Time-outs: which class for which phase, and nothing left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

import httpclient
from httpclient import ClientTimeout

from .conftest import Peer, Serve, counts

# Seconds; long enough to be armed, short enough not to be waited for.
SOON = 0.02


async def half(peer: Peer) -> None:
    """Answer with a part of the body, and no more."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (ClientTimeout(total=SOON), TimeoutError),
        (SOON, TimeoutError),
        (ClientTimeout(sock_read=SOON), httpclient.SocketTimeoutError),
        (ClientTimeout(total=30, sock_read=SOON), httpclient.SocketTimeoutError),
        (ClientTimeout(total=SOON, sock_read=30), TimeoutError),
    ],
)
async def test_server_that_does_not_answer(
    serve: Serve, timeout: ClientTimeout | float, error: type[Exception]
) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError) as caught:
            await session.get(origin.url, timeout=timeout)
        assert type(caught.value) is error
        assert str(SOON) in str(caught.value)
        assert counts(session) == (0, 0)
        if origin.heads:  # on a busy machine it is over before the server has seen anything
            await closed.wait()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (ClientTimeout(total=SOON), TimeoutError),
        (ClientTimeout(sock_read=SOON), httpclient.SocketTimeoutError),
    ],
)
async def test_server_that_does_not_finish(
    serve: Serve, timeout: ClientTimeout, error: type[Exception]
) -> None:
    async with serve(half) as origin, httpclient.ClientSession(timeout=timeout) as session:
        resp = await session.get(origin.url)
        with pytest.raises(TimeoutError) as caught:
            await resp.read()
        assert type(caught.value) is error
        assert counts(session) == (0, 0)


async def test_sock_read_begins_anew_with_each_byte(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":
            await peer.send(bytes([byte]))
            await anyio.sleep(0.002)

    async with serve(script) as origin:
        timeout = ClientTimeout(sock_read=0.08)
        async with httpclient.ClientSession(timeout=timeout) as session:
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"hello"


@pytest.mark.parametrize("in_pieces", [True, False])
async def test_total_ends_an_upload_that_nobody_reads(serve: Serve, in_pieces: bool) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async def script(peer: Peer) -> None:
        await anyio.sleep_forever()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        data: Any = endless() if in_pieces else bytes(50_000_000)
        with pytest.raises(TimeoutError, match="total"):
            await session.post(origin.url, data=data, timeout=0.1)
        assert counts(session) == (0, 0)


async def test_total_ends_a_body_that_does_not_come(serve: Serve) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"first"
        await anyio.sleep_forever()

    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError, match="total"):
            await session.post(origin.url, data=stuck(), timeout=SOON)
        assert counts(session) == (0, 0)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (ClientTimeout(connect=SOON), httpclient.ConnectionTimeoutError),
        (ClientTimeout(total=SOON), TimeoutError),
    ],
)
async def test_waiting_for_the_pool_ends(
    serve: Serve, timeout: ClientTimeout, error: type[Exception]
) -> None:
    async with serve(half) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with httpclient.ClientSession(connector=connector) as session:
            async with session.get(origin.url):
                with pytest.raises(TimeoutError) as caught:
                    await session.get(origin.url, timeout=timeout)
                assert type(caught.value) is error
                assert connector._pool.waiting_count == 0
                assert counts(session) == (1, 0)
            assert counts(session) == (0, 0)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (ClientTimeout(sock_connect=SOON), httpclient.ConnectionTimeoutError),
        (ClientTimeout(connect=SOON, sock_connect=30), httpclient.ConnectionTimeoutError),
        (ClientTimeout(total=SOON, sock_connect=30), TimeoutError),
    ],
)
async def test_handshake_that_does_not_end(
    serve: Serve, timeout: ClientTimeout, error: type[Exception]
) -> None:
    """The server accepts and says nothing, so TLS does not come about."""
    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError) as caught:
            await session.get(origin.url.replace("http:", "https:"), timeout=timeout, ssl=False)
        assert type(caught.value) is error
        assert counts(session) == (0, 0)


async def test_timeout_none_means_none(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin:
        async with httpclient.ClientSession(timeout=ClientTimeout(total=SOON)) as session:
            async with session.get(origin.url, timeout=None) as resp:
                assert await resp.read() == b"ok"
            async with session.get(origin.url, timeout=ClientTimeout(total=0)) as resp:
                assert await resp.read() == b"ok"


BOUNDS = ("total", "connect", "sock_connect", "sock_read", "pool", "write")


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_bound_that_is_no_duration_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        ClientTimeout(**{name: value})


def test_bounds_may_be_none_and_are_a_value() -> None:
    nothing = ClientTimeout(**dict.fromkeys(BOUNDS))
    assert nothing == ClientTimeout() == ClientTimeout(ceil_threshold=5)
    assert hash(nothing) == hash(ClientTimeout())
    assert nothing != ClientTimeout(pool=0.5)
    with pytest.raises(AttributeError):
        nothing.total = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        ClientTimeout(1.0)  # type: ignore[misc]


async def test_cancelled_while_waiting_for_head_leaves_nothing(serve: Serve) -> None:
    waiting, closed = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        waiting.set()
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.get, origin.url)
            await waiting.wait()
            assert counts(session) == (1, 0)
            tasks.cancel_scope.cancel()
        assert counts(session) == (0, 0)
        await closed.wait()


async def test_cancelled_while_reading_body_leaves_nothing(serve: Serve) -> None:
    async with serve(half) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url)
        reading = anyio.Event()

        async def read() -> None:
            reading.set()
            await resp.read()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await reading.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert resp.closed
        assert counts(session) == (0, 0)


async def test_cancelled_read_of_content_loses_no_byte(serve: Serve) -> None:
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await half(peer)
        await go_on.wait()
        await peer.send(b"-whole")
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.content.read(4) == b"half"
            with anyio.move_on_after(SOON) as scope:
                await resp.content.read(1)
            assert scope.cancelled_caught
            go_on.set()
            assert await resp.content.read() == b"-whole"
        assert counts(session) == (0, 1)


async def test_cancelled_while_sending_leaves_nothing(serve: Serve) -> None:
    sending = anyio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"first"
        sending.set()
        await anyio.sleep_forever()

    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:

        async def post() -> None:
            await session.post(origin.url, data=stuck())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await sending.wait()
            tasks.cancel_scope.cancel()
        assert counts(session) == (0, 0)
