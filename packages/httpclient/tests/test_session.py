"""The session: calls, options, and its own life."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from typing import Any

import anyio
import pytest
from yarl import URL

import httpclient

from .conftest import Peer, Serve, counts, response


async def echo(peer: Peer) -> None:
    """Answer with the body that came."""
    while True:
        body = await peer.request()
        await peer.send(response(body))


@pytest.mark.parametrize(
    "method", ["get", "options", "head", "post", "put", "patch", "delete", "query"]
)
async def test_method_of_session_sends_its_method(serve: Serve, method: str) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with getattr(session, method)(origin.url) as resp:
            assert resp.status == 200
            assert resp.method == method.upper()
    assert origin.heads[0].startswith(f"{method.upper()} / HTTP/1.1\r\n")


async def test_request_takes_any_token_as_method(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.request("x-Custom", origin.url):
            pass
        for method in ("a b", "", "ü", "GET\r\nX:", "connect"):
            with pytest.raises(ValueError, match=r"token|CONNECT"):
                await session.request(method, origin.url)
    assert origin.heads == [
        head for head in origin.heads if head.startswith("X-CUSTOM / HTTP/1.1\r\n")
    ]


async def test_request_can_be_awaited_entered_and_made_a_task(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        resp = await session.post(origin.url, data="a")
        assert await resp.text() == "a"
        async with session.post(origin.url, data="b") as resp:
            assert await resp.text() == "b"
        async with await session.post(origin.url, data="c") as resp:
            assert await resp.text() == "c"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.post, origin.url)
    assert len(origin.heads) == 4


async def test_request_can_be_given_to_create_task(serve: Serve, anyio_backend_name: str) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        if anyio_backend_name == "asyncio":
            resp = await asyncio.create_task(session.get(origin.url))
            assert resp.status == 200
        context = session.get(origin.url)
        context.close()
        with pytest.raises(RuntimeError, match="reuse"):
            await context


async def test_json_is_sent_with_its_type(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, json={"a": "ü"}) as resp:
            assert await resp.json(content_type=None) == {"a": "ü"}
        assert "Content-Type: application/json\r\n" in origin.heads[0]
        with pytest.raises(ValueError, match="data and json"):
            await session.post(origin.url, json={}, data=b"")


async def test_json_serialize_of_the_session_is_used(serve: Serve) -> None:
    def dumps(value: Any) -> str:
        return f"<{value}>"

    async with serve(echo) as origin, httpclient.ClientSession(json_serialize=dumps) as session:
        async with session.post(origin.url, json=5) as resp:
            assert await resp.read() == b"<5>"


async def test_base_url_and_params_lead_to_the_target(serve: Serve) -> None:
    async with serve(echo) as origin:
        async with httpclient.ClientSession(f"{origin.url}api/") as session:
            async with session.get("items?x=%7E", params={"y": "1"}) as resp:
                assert resp.url == URL(f"{origin.url}api/items?x=%7E&y=1", encoded=True)
            async with session.get(URL("/top")):
                pass
    assert [head.split(" ")[1] for head in origin.heads] == ["/api/items?x=%7E&y=1", "/top"]


async def test_headers_of_session_and_request_are_sent(serve: Serve) -> None:
    async with serve(echo) as origin:
        async with httpclient.ClientSession(headers={"X-A": "1"}) as session:
            session.headers["X-B"] = "2"
            async with session.get(
                origin.url, headers={"x-a": "own"}, skip_auto_headers=["Accept"]
            ):
                pass
    assert "X-B: 2\r\n" in origin.heads[0]
    assert "x-a: own\r\n" in origin.heads[0]
    assert "X-A: 1" not in origin.heads[0]
    assert "Accept:" not in origin.heads[0]


async def test_options_that_are_not_there_are_refused(serve: Serve) -> None:
    async with httpclient.ClientSession() as session:
        for option in ("auth", "verify_ssl", "fingerprint", "read_timeout"):
            with pytest.raises(TypeError, match=option):
                await session.get("http://h/", **{option: None})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="ssl should be"):
            await session.get("http://h/", ssl="yes")  # type: ignore[arg-type]


async def test_url_that_cannot_be_used_is_refused(serve: Serve) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(httpclient.InvalidUrlClientError):
            await session.get("/relative")
        with pytest.raises(httpclient.NonHttpUrlClientError):
            await session.get("ftp://h/")


async def test_redirect_is_returned_as_it_is_if_asked_for(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response(b"", b"Location: /other\r\n", b"302 Found"))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url, allow_redirects=False) as resp:
            assert resp.status == 302
            assert resp.headers["Location"] == "/other"
            assert resp.history == ()


async def test_closed_session_refuses_requests(serve: Serve) -> None:
    async with serve(echo) as origin:
        session = httpclient.ClientSession()
        async with session:
            await (await session.get(origin.url)).read()
            assert not session.closed
        assert session.closed
        await session.close()
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get(origin.url)


async def test_session_leaves_a_connector_of_others_open(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.TCPConnector() as connector:
        for _ in range(2):
            async with httpclient.ClientSession(
                connector=connector, connector_owner=False
            ) as session:
                await (await session.get(origin.url)).read()
            assert not connector.closed
        session = httpclient.ClientSession(connector=connector)
        session.detach()
        assert session.closed
        assert session.connector is None
        assert not connector.closed
    assert origin.accepted == 1


def test_session_made_outside_of_a_loop_is_used_inside() -> None:
    session = httpclient.ClientSession("http://127.0.0.1:1/")

    async def main() -> None:
        async with session:
            with pytest.raises(httpclient.ClientConnectorError):
                await session.get("x")

    anyio.run(main)
    assert session.closed


def test_session_refuses_the_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="must be a ClientTimeout, not int"):
        httpclient.ClientSession(timeout=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_headers=0"):
        httpclient.ClientSession(max_headers=0)
    session = httpclient.ClientSession()
    with pytest.raises(TypeError, match="async with"):
        with session:
            pass
    session.detach()


def test_session_tells_its_settings() -> None:
    timeout = httpclient.ClientTimeout(total=1)
    session = httpclient.ClientSession(
        timeout=timeout, raise_for_status=True, skip_auto_headers=["Accept"]
    )
    assert session.timeout is timeout
    assert session.raise_for_status is True
    assert session.skip_auto_headers == {"Accept"}
    assert session.connector_owner
    assert session.json_serialize is not None
    assert isinstance(session.connector, httpclient.TCPConnector)
    session.detach()
    default = httpclient.ClientSession()
    assert default.timeout == httpclient.ClientTimeout(total=300, sock_connect=30)
    default.detach()


async def test_session_that_is_dropped_warns_and_closes(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.closed()
        closed.set()

    async with serve(script) as origin:
        session = httpclient.ClientSession()
        await (await session.get(origin.url)).read()
        with pytest.warns(ResourceWarning, match="Unclosed client session"):
            del session
            gc.collect()
        await closed.wait()


async def test_session_lives_as_long_as_its_response(serve: Serve) -> None:
    async with serve(echo) as origin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)

            async def get() -> httpclient.ClientResponse:
                return await httpclient.ClientSession().post(origin.url, data=bytes(1_000_000))

            assert len(await (await get()).read()) == 1_000_000


_DROPPED = """
import asyncio, httpclient

async def main():
    async def answer(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpclient.ClientSession() as session:
            await session.get(f"http://127.0.0.1:{port}/")

asyncio.run(main())
"""


def test_response_that_is_dropped_warns_in_development_mode() -> None:
    for options, warned in (["-X", "dev"], True), ([], False):
        result = subprocess.run(
            [sys.executable, *options, "-c", _DROPPED], capture_output=True, text=True, check=True
        )
        assert ("Unclosed response" in result.stderr) is warned


async def test_module_function_closes_its_connection(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.closed()
        closed.set()

    async with serve(script) as origin:
        async with httpclient.request("GET", origin.url) as resp:
            assert await resp.read() == b"ok"
        await closed.wait()
    assert "Connection: close\r\n" in origin.heads[0]


async def test_module_function_keeps_a_given_connector(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.TCPConnector() as connector:
        for _ in range(2):
            async with httpclient.request("GET", origin.url, connector=connector) as resp:
                assert resp.status == 200
        assert not connector.closed
    assert origin.accepted == 1


async def test_many_tasks_share_a_session(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:

        async def work(number: int) -> None:
            for step in range(10):
                data = f"{number}-{step}"
                async with session.post(origin.url, data=data) as resp:
                    assert await resp.text() == data

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(work, number)
        assert counts(session) == (0, origin.accepted)
    assert len(origin.heads) == 200
