from __future__ import annotations

import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ipv6_works() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


# The address, and how it looks in an URL.
ADDRESSES = [("127.0.0.1", "127.0.0.1"), *([("::1", "[::1]")] if ipv6_works() else [])]


async def facts(request: web.Request) -> web.Response:
    return web.json_response([request.scheme, request.secure, str(request.url), request.remote])


@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
async def test_site_listens_on_an_address(serve: Any, address: str, shown: str) -> None:
    async with serve(facts, host=address) as origin:
        port = origin.site.port
        assert port > 0
        assert origin.site.name == f"http://{shown}:{port}"
        assert origin.site.sockname[:2] == (address, port)
        answer = await origin.ask(b"GET / HTTP/1.0\r\n\r\n")

    assert answer.text == f'["http", false, "http://{shown}:{port}/", "{address}"]'


async def test_site_without_host_listens_on_all_interfaces() -> None:
    async with web.AppRunner(web.Application()) as runner:
        site = web.TCPSite(runner, port=0)
        await site.start()
        assert site.name == f"http://0.0.0.0:{site.port}"
        for address, _ in ADDRESSES:
            await (await anyio.connect_tcp(address, site.port)).aclose()


async def test_site_default_ports(server_tls: ssl.SSLContext) -> None:
    async with web.AppRunner(web.Application()) as runner:
        assert web.TCPSite(runner).port == 8080
        assert web.TCPSite(runner, ssl_context=server_tls).port == 8443
        site = web.TCPSite(runner, "127.0.0.1", 1, ssl_context=server_tls)
        assert site.name == "https://127.0.0.1:1"


async def test_site_before_setup_is_refused() -> None:
    with pytest.raises(RuntimeError, match="setup"):
        web.TCPSite(web.AppRunner(web.Application()))


async def test_site_misuse_is_told(serve: Any) -> None:
    async with serve(facts) as origin:
        with pytest.raises(RuntimeError, match="was started"):
            await origin.site.start()
        with pytest.raises(RuntimeError, match="does not listen"):
            _ = web.TCPSite(origin.runner, "127.0.0.1", 0).sockname


async def test_site_on_a_taken_port_leaves_nothing_open(serve: Any) -> None:
    async with serve(facts) as origin:
        site = web.TCPSite(origin.runner, "127.0.0.1", origin.site.port)
        with pytest.raises(OSError, match=r"."):
            await site.start()
        assert origin.runner.sites == {origin.site}


async def test_sites_share_a_port_if_asked_to(serve: Any) -> None:
    async with web.AppRunner(web.Application()) as runner:
        first = web.TCPSite(runner, "127.0.0.1", 0, reuse_port=True, reuse_address=False)
        await first.start()
        second = web.TCPSite(runner, "127.0.0.1", first.port, reuse_port=True)
        await second.start()
        assert runner.addresses == [first.sockname] * 2


async def test_tls_site_is_secure(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(facts, ssl_context=server_tls) as origin:
        assert origin.site.name.startswith("https://127.0.0.1:")
        peer = await origin.connect(tls=client_tls)
        for _ in range(2):
            await peer.send(GET)
            answer = await peer.answer()
            assert answer.text == '["https", true, "https://localhost/", "127.0.0.1"]'
        await peer.close()


async def test_tls_large_body_arrives_whole(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    body = bytes(range(256)) * 4096
    async with (
        serve(handler, ssl_context=server_tls) as origin,
        anyio.create_task_group() as tasks,
    ):
        peer = await origin.connect(tls=client_tls)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        tasks.start_soon(peer.send, head + body)
        assert (await peer.answer()).body == body
        await peer.close()


async def test_tls_closing_response_arrives_and_ends(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(facts, ssl_context=server_tls, sweep_interval=0.02) as origin:
        for request, status in ((b"GET / HTTP/1.0\r\n\r\n", 200), (b"nonsense\r\n\r\n", 400)):
            peer = await origin.connect(tls=client_tls)
            await peer.send(request)
            assert (await peer.answer()).status == status
            assert await peer.end() == b""
            await peer.close()


async def test_tls_site_closes_what_is_no_tls(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve(facts, ssl_context=server_tls) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await peer.end()
        assert origin.server.requests_count == 0
        peer = await origin.connect(tls=client_tls)
        await peer.send(GET)
        assert (await peer.answer()).status == 200
        await peer.close()


async def test_tls_client_that_does_not_answer_a_close_does_not_hold_up_cleanup(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Shutdown waited for half a minute for an idle client that had stopped reading."""
    async with serve(facts, ssl_context=server_tls, sweep_interval=0.02) as origin:
        peer = await origin.connect(tls=client_tls)
        await peer.send(GET)
        assert (await peer.answer()).status == 200
        with anyio.fail_after(8):
            await origin.runner.cleanup()
        assert not origin.server.connections


async def ask_unix(path: str) -> bytes:
    data = b""
    async with await anyio.connect_unix(path) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        async for piece in stream:
            data += piece
    return data


@pytest.fixture
async def runner() -> AsyncIterator[web.AppRunner]:
    app = web.Application()
    app.add_routes([web.get("/", facts)])
    async with web.AppRunner(app, access_log=None) as runner:
        yield runner


async def test_unix_site(runner: web.AppRunner, tmp_path: Path) -> None:
    path = tmp_path / "s"
    site = web.UnixSite(runner, path)
    assert site.name == f"http://unix:{path}:"
    await site.start()
    assert runner.addresses == [str(path)]
    answer = await ask_unix(str(path))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'["http", false, ' in answer
    await site.stop()
    assert not path.exists()


async def test_unix_site_tls_name(
    runner: web.AppRunner, tmp_path: Path, server_tls: ssl.SSLContext
) -> None:
    assert web.UnixSite(runner, "/s", ssl_context=server_tls).name == "https://unix:/s:"


async def test_unix_site_replaces_a_dead_socket(runner: web.AppRunner, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    site = web.UnixSite(runner, path)
    await site.start()
    assert (await ask_unix(path)).startswith(b"HTTP/1.1 200 ")


async def test_unix_site_replaces_nothing_that_lives(runner: web.AppRunner, tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = web.UnixSite(runner, path)
    await first.start()
    with pytest.raises(OSError, match="in use"):
        await web.UnixSite(runner, path).start()
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        await web.UnixSite(runner, file).start()
    assert file.read_text() == "mine"
    assert (await ask_unix(str(path))).startswith(b"HTTP/1.1 200 ")


async def test_unix_site_removes_only_its_own_file(runner: web.AppRunner, tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = web.UnixSite(runner, path)
    await old.start()
    path.unlink()
    new = web.UnixSite(runner, path)
    await new.start()
    await old.stop()
    assert (await ask_unix(str(path))).startswith(b"HTTP/1.1 200 ")
    path.unlink()
    await new.stop()


async def test_unix_site_in_the_abstract_namespace(runner: web.AppRunner) -> None:
    path = f"\0httpserver-{os.getpid()}"
    for _ in range(2):
        site = web.UnixSite(runner, path)
        await site.start()
        assert (await ask_unix(path)).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(OSError, match="in use"):
            await web.UnixSite(runner, path).start()
        await site.stop()


@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
async def test_sock_site(runner: web.AppRunner, address: str, shown: str, listens: bool) -> None:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind((address, 0))
    if listens:
        sock.listen()
    port = sock.getsockname()[1]
    site = web.SockSite(runner, sock)
    assert site.name == f"http://{shown}:{port}"
    await site.start()
    assert site.name == f"http://{shown}:{port}"
    async with await anyio.connect_tcp(address, port) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
    await site.stop()
    assert sock.fileno() == -1


async def test_sock_site_of_a_unix_socket(runner: web.AppRunner, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    site = web.SockSite(runner, sock)
    assert site.name == f"http://unix:{path}:"
    await site.start()
    assert (await ask_unix(path)).startswith(b"HTTP/1.1 200 ")
    await site.stop()
    assert stat.S_ISSOCK(os.stat(path).st_mode)  # not ours: we did not make it


async def test_named_pipe_site_is_for_windows(runner: web.AppRunner) -> None:
    with pytest.raises(RuntimeError, match="named pipes need Windows"):
        web.NamedPipeSite(runner, r"\\.\pipe\x")


async def test_site_knows_server_name_and_protocol(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    names: list[str | None] = []
    server_tls.sni_callback = lambda sock, name, context: names.append(name)
    server_tls.set_alpn_protocols(["http/1.1"])
    try:
        async with serve(facts, ssl_context=server_tls) as origin:
            peer = await origin.connect(tls=client_tls)
            await peer.send(GET)
            assert (await peer.answer()).status == 200
            await peer.close()
    finally:
        server_tls.sni_callback = None  # type: ignore[assignment]  # the stubs forbid it

    assert names == ["localhost"]
