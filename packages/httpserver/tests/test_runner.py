from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextvars import ContextVar
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


def test_server_runner_takes_servers_only() -> None:
    with pytest.raises(TypeError, match="must be a Server, got Application"):
        web.ServerRunner(web.Application())  # type: ignore[arg-type]  # that is what is tested


async def test_server_runner_serves_a_bare_handler() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.path)

    server = web.Server(handler)
    runner = web.ServerRunner(server)
    assert runner.server is server
    async with runner:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
            await stream.send(b"GET /a HTTP/1.0\r\n\r\n")
            data = b""
            async for piece in stream:
                data += piece
        assert data.endswith(b"\r\n\r\n/a")
    with pytest.raises(RuntimeError, match="serves once"):
        await runner.setup()


async def test_runner_refuses_sites_it_has_or_has_not() -> None:
    async with web.AppRunner(web.Application()) as runner:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        with pytest.raises(RuntimeError, match="is not registered"):
            runner.remove_site(site)
        await site.start()
        with pytest.raises(RuntimeError, match="is already registered"):
            runner.add_site(site)


class Diary:
    """An application that writes down what happens to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.app = web.Application()
        self.app.cleanup_ctx.append(self._context)
        self.app.on_startup.append(self._entry("startup"))
        self.app.on_shutdown.append(self._entry("shutdown"))
        self.app.on_cleanup.append(self._entry("cleanup"))

    def _entry(self, line: str) -> Any:
        async def write(app: web.Application) -> None:
            await anyio.lowlevel.checkpoint()
            self.lines.append(line)

        return write

    async def _context(self, app: web.Application) -> AsyncIterator[None]:
        self.lines.append("enter")
        yield
        self.lines.append("leave")


async def fail(app: web.Application) -> None:
    raise ZeroDivisionError


async def test_order_of_life(serve: Any) -> None:
    diary = Diary()
    reached = anyio.Event()
    told = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        await request.shutdown.wait()
        told.set()
        await anyio.wait_all_tasks_blocked()
        diary.lines.append("handler")
        return web.Response(text="told")

    async def wait(app: web.Application) -> None:
        with anyio.fail_after(5):
            await told.wait()

    diary.app.add_routes([web.get("/", handler)])
    diary.app.on_shutdown.append(wait)
    async with serve(diary.app) as origin, anyio.create_task_group() as tasks:
        assert diary.app.frozen
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        tasks.start_soon(origin.runner.cleanup)
        assert (await peer.answer()).text == "told"
        await peer.close()

    assert diary.lines == ["enter", "startup", "shutdown", "handler", "leave", "cleanup"]


async def test_failed_startup_is_cleaned_up_and_told(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    diary.app.on_startup.append(fail)
    runner = web.AppRunner(diary.app)

    with pytest.raises(ZeroDivisionError):
        await runner.setup()

    assert diary.lines == ["enter", "startup", "leave"]
    with pytest.raises(RuntimeError, match="setup"):
        web.TCPSite(runner)
    await runner.cleanup()
    assert diary.lines == ["enter", "startup", "leave"]


async def test_error_of_the_startup_wins_over_that_of_its_cleanup(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def context(app: web.Application) -> AsyncIterator[None]:
        yield
        raise LookupError

    app = web.Application()
    app.cleanup_ctx.append(context)
    app.on_startup.append(fail)

    with pytest.raises(ZeroDivisionError):
        await web.AppRunner(app).setup()

    assert "error in cleanup after a failed start" in caplog.messages


async def test_failing_shutdown_still_cleans_up(serve: Any) -> None:
    diary = Diary()
    diary.app.on_shutdown.append(fail)
    diary.app.add_routes([web.get("/", hello)])
    async with serve(diary.app) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"
        with pytest.raises(ZeroDivisionError):
            await origin.runner.cleanup()
        assert await peer.end() == b""
        assert not origin.server.connections

    assert diary.lines[-2:] == ["leave", "cleanup"]


async def test_cancelled_cleanup_cuts_connections_and_still_cleans_up(serve: Any) -> None:
    """The hooks did not run, and handlers lived on."""
    diary = Diary()
    reached = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            diary.lines.append("handler")
        raise AssertionError

    diary.app.add_routes([web.get("/", handler)])
    async with serve(diary.app) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(origin.runner.cleanup)
            await anyio.wait_all_tasks_blocked()
            assert diary.lines[-1] == "shutdown"
            tasks.cancel_scope.cancel()
        assert diary.lines[-3:] == ["handler", "leave", "cleanup"]
        assert not origin.server.connections
        assert await peer.end() == b""


async def test_request_on_its_way_is_answered_within_the_drain_delay(serve: Any) -> None:
    """A worker that was to stop closed the connection that it had accepted last."""
    async with serve(hello, drain_delay=5) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(origin.runner.cleanup)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OSError, match=r"."):
            await origin.connect()
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"
        await peer.close()
        tasks.cancel_scope.cancel()


async def test_hooks_of_responses_are_called(serve: Any) -> None:
    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Hook"] = request.path

    app = web.Application()
    app.add_routes([web.get("/", hello)])
    app.on_response_prepare.append(prepare)
    async with serve(app) as origin:
        assert (await origin.ask(GET)).headers["X-Hook"] == "/"


async def test_arguments_of_the_application_win() -> None:
    app = web.Application(
        handler_args={"keepalive_timeout": 7, "access_log": None}, client_max_fields=3
    )
    server = web.AppRunner(app, keepalive_timeout=8, lingering_time=9).server

    assert (server.keepalive_timeout, server.lingering_time) == (7, 9)
    assert (server.client_max_fields, server.access_logger) == (3, None)
    with pytest.raises(TypeError, match="nonsense"):
        web.AppRunner(web.Application(handler_args={"nonsense": 1}))


async def test_variables_of_the_startup_are_seen_by_handlers(serve: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def start(app: web.Application) -> None:
        variable.set("seen")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=variable.get("not seen"))

    app = web.Application()
    app.on_startup.append(start)
    app.add_routes([web.get("/", handler)])
    async with serve(app) as origin:
        assert (await origin.ask(GET)).text == "seen"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_runner_makes_sigterm_end_the_program_if_asked_to(backend: str) -> None:
    lines: list[str] = []

    async def main() -> None:
        async with web.AppRunner(web.Application(), handle_signals=True):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await anyio.sleep_forever()
            finally:
                lines.append("finally")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)

    assert lines == ["finally"]
    assert signal.getsignal(signal.SIGTERM) is before


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


async def test_cleanup_that_is_interrupted_early_cuts_at_once(serve: Any) -> None:
    """A second signal that came before the connections were waited for had them waited for."""

    class Interrupt(BaseException):
        """Stands for KeyboardInterrupt, which would end the tests."""

    async def interrupt(app: web.Application) -> None:
        raise Interrupt

    cancelled: list[bool] = []
    begun = anyio.Event()

    async def hang(request: web.Request) -> web.Response:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hang)
    app.on_shutdown.append(interrupt)
    runner = web.AppRunner(app, shutdown_timeout=3600)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        with anyio.fail_after(15), pytest.raises(Interrupt):
            await runner.cleanup()
    assert cancelled == [True]
