from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def tasks_are(count: int) -> None:
    """Wait until no more than `count` tasks are left."""
    with anyio.fail_after(10):
        while len(anyio.get_running_tasks()) > count:
            await anyio.lowlevel.checkpoint()


def test_runner_takes_applications_only() -> None:
    with pytest.raises(TypeError, match="must be an Application, got function"):
        web.AppRunner(hello)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(TypeError, match="nonsense"):
        web.AppRunner(web.Application(), nonsense=1)


async def test_runner_knows_its_sites(serve: Any) -> None:
    app = web.Application()

    async with serve(app) as origin:
        runner = origin.runner
        assert runner.app is app
        assert runner.sites == {origin.site}
        assert runner.addresses == [origin.site.sockname]
        second = web.TCPSite(runner, "127.0.0.1", 0)
        await second.start()
        assert runner.addresses == [origin.site.sockname, second.sockname]
        await second.stop()
        assert runner.sites == {origin.site}

    assert runner.sites == set()


async def test_runner_may_be_set_up_and_cleaned_up_again() -> None:
    runner = web.AppRunner(web.Application())
    await runner.cleanup()
    await runner.setup()
    await runner.setup()
    await runner.cleanup()
    await runner.cleanup()


async def test_runner_is_a_context_manager() -> None:
    before = len(anyio.get_running_tasks())

    async with web.AppRunner(web.Application()) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    assert runner.sites == set()
    await tasks_are(before)


async def test_stopped_site_takes_no_more_and_keeps_what_it_has(serve: Any) -> None:
    async with serve(hello) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"
        port = origin.site.port
        await origin.site.stop()
        await origin.site.stop()
        with pytest.raises(OSError, match=r"."):
            await anyio.connect_tcp("127.0.0.1", port)
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"


async def test_cleanup_closes_idle_connections(serve: Any) -> None:
    before = len(anyio.get_running_tasks())

    async with serve(hello) as origin:
        fresh = await origin.connect()
        idle = await origin.connect()
        begun = await origin.connect()
        await idle.send(GET)
        assert (await idle.answer()).text == "hello"
        await begun.send(b"GET / HTTP/1.1\r\n")
        await anyio.wait_all_tasks_blocked()
        await origin.runner.cleanup()
        assert not origin.server.connections
        for peer in (fresh, idle, begun):
            assert await peer.end() == b""
        with pytest.raises(OSError, match=r"."):
            await origin.connect()

    await tasks_are(before)


async def test_cleanup_lets_a_request_end_and_closes_behind_it(serve: Any) -> None:
    reached = anyio.Event()
    go = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        await go.wait()
        return web.Response(text="in time")

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await peer.send(GET + GET)
        await reached.wait()
        tasks.start_soon(origin.runner.cleanup)
        await anyio.wait_all_tasks_blocked()
        assert origin.server.closing
        go.set()
        answer = await peer.answer()
        assert (answer.text, answer.headers["Connection"]) == ("in time", "close")
        assert await peer.rest() == b""
        await peer.close()

    assert origin.server.requests_count == 1


async def test_cleanup_ends_a_streamed_response_with_close(serve: Any) -> None:
    reached = anyio.Event()
    go = anyio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        reached.set()
        await go.wait()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"in time")
        return response

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        tasks.start_soon(origin.runner.cleanup)
        await anyio.wait_all_tasks_blocked()
        go.set()
        answer = await peer.answer()
        assert (answer.body, answer.headers["Connection"]) == (b"in time", "close")
        assert await peer.rest() == b""


async def test_cleanup_cancels_what_takes_too_long(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(anyio.get_running_tasks())
    reached = anyio.Event()
    ended = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with serve(handler, shutdown_timeout=0.01) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        await origin.runner.cleanup()
        assert ended.is_set()
        assert not origin.server.connections
        assert await peer.end() == b""

    await tasks_are(before)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_cleanup_does_not_wait_for_a_body_that_nobody_reads(serve: Any) -> None:
    """Shutdown waited until the rest of such a body had come, or its time was up."""
    async with serve(hello) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        assert (await peer.answer()).text == "hello"
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await origin.runner.cleanup()
        assert await peer.end() == b""


async def test_connection_accepted_while_closing_is_closed(serve: Any) -> None:
    async with serve(hello) as origin:
        origin.server.closing = True
        peer = await origin.connect()
        assert await peer.end() == b""


async def test_server_defaults() -> None:
    server = web.Server(hello)

    assert server.client_max_size == 1024**2
    assert server.connections == set()
    assert server.requests_count == 0
