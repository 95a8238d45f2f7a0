"""Rows of the ledger: running a server, on event loops of its own as well.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvloop

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

ASYNCIO = [pytest.param(None, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
LOOPS = [
    pytest.param({"backend": "asyncio"}, id="asyncio"),
    pytest.param({"backend": "asyncio", "loop_factory": uvloop.new_event_loop}, id="uvloop"),
    pytest.param({"backend": "trio"}, id="trio"),
]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def application() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    return app


def run(main: Coroutine[Any, Any, None], loop_factory: Callable[[], Any] | None) -> None:
    """Do as `asyncio.run` does, which takes a factory since Python 3.12."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main)


def ask(sock: socket.socket) -> bytes:
    """Return the answer to a request; the connection is closed behind it."""
    sock.settimeout(10)
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    with sock, sock.makefile("rb") as file:
        return file.read()


def ask_port(port: int) -> bytes:
    return ask(socket.create_connection(("127.0.0.1", port), timeout=10))


def run_app(app: Any, **kwargs: Any) -> tuple[str, list[bytes]]:
    """Run an application, ask once on 127.0.0.1, and stop it; return banner and answers."""
    banners: list[str] = []
    answers: list[bytes] = []
    threads: list[threading.Thread] = []

    def client(port: int) -> None:
        # Who is answered knows that signals are handled by now.
        try:
            answers.append(ask_port(port))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def started(text: str) -> None:
        banners.append(text)
        match = re.search(r"http://127\.0\.0\.1:(\d+)", text)
        assert match
        threads.append(threading.Thread(target=client, args=[int(match[1])]))
        threads[0].start()

    web.run_app(app, host="127.0.0.1", port=0, print=started, **kwargs)
    threads[0].join()
    return banners[0], answers


# Without run_app.


@pytest.mark.parametrize("loop_factory", ASYNCIO)
def test_server_needs_nothing_but_a_loop_and_leaves_no_task(serve: Any, loop_factory: Any) -> None:
    """S014: a server works inside of a bare asyncio.run() and leaves no task behind."""
    answers: list[str] = []

    async def main() -> None:
        async with serve(hello) as origin:
            peer = await origin.connect()
            await peer.send(GET)
            answers.append((await peer.answer()).text)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main(), loop_factory)
    assert answers == ["hello"]


@pytest.mark.parametrize("loop_factory", ASYNCIO)
def test_closed_server_leaves_no_task_and_says_nothing(
    serve: Any, reset: Any, loop_factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S072: closed with idle, busy and broken connections, a server leaves no task behind."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/busy":
            await anyio.sleep_forever()
        return web.Response(text=str(len(await request.read())))

    async def main() -> None:
        async with serve(handler, shutdown_timeout=0.01) as origin:
            idle, busy, reading, broken = [await origin.connect() for _ in range(4)]
            await idle.send(GET)
            assert (await idle.answer()).text == "0"
            await busy.send(GET.replace(b"/ ", b"/busy "))
            for peer in (reading, broken):
                await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            with anyio.fail_after(10):
                while origin.server.requests_count < 4:
                    await anyio.lowlevel.checkpoint()
            await reset(broken)
            await origin.runner.cleanup()
            assert not origin.server.connections
            # What was cancelled last has yet to be told so.
            with anyio.fail_after(10):
                while asyncio.all_tasks() != {asyncio.current_task()}:
                    await anyio.lowlevel.checkpoint()

    run(main(), loop_factory)
    gc.collect()  # says what happened to tasks and futures that nobody waited for
    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []


STOPPED_BY_THE_END = """
import asyncio, gc, sys
import httpserver as web

async def fail(request):
    raise ZeroDivisionError

async def main():
    app = web.Application()
    app.add_routes([web.get("/", fail)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        print((await reader.readline()).decode().strip())
    # One that is still open, and nothing is cleaned up.
    idle = await asyncio.open_connection("127.0.0.1", site.port)

if sys.argv[1] == "uvloop":
    import uvloop
    factory = uvloop.new_event_loop
else:
    factory = None
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main())
del runner
gc.collect()
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_server_stopped_by_the_end_of_its_loop_is_silent(loop: str) -> None:
    """S128: the end of asyncio.run() after handlers that raised tells of no unhandled errors."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_BY_THE_END, loop], capture_output=True, text=True, timeout=15
    )

    assert (done.returncode, done.stdout.count("HTTP/1.1 500")) == (0, 2)
    assert done.stderr.count("error handling <Request GET '/'>") == 2
    for words in ("unhandled exception", "never retrieved", "was destroyed", "never awaited"):
        assert words not in done.stderr


async def test_idle_connection_is_kept_until_its_time_is_up(serve: Any) -> None:
    """S062: an idle connection is not closed before `keepalive_timeout` is over.

    That another one is closed shows that the server has looked at its deadlines since.
    """
    times = {"keepalive_timeout": 60, "head_timeout": 0.01, "sweep_interval": 0.01}
    async with serve(hello, **times) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"
        for _ in range(2):
            assert await (await origin.connect()).end() == b""
        await peer.send(GET)
        assert (await peer.answer()).text == "hello"


async def test_addresses_of_all_kinds_of_sites(tmp_path: Path) -> None:
    """S093: `addresses` has (host, port) for IPv4, four items for IPv6, a path for Unix."""
    async with web.AppRunner(web.Application()) as runner:
        await (first := web.TCPSite(runner, "127.0.0.1", 0)).start()
        await web.UnixSite(runner, tmp_path / "s").start()
        expected: list[Any] = [("127.0.0.1", first.port), str(tmp_path / "s")]
        try:
            await (second := web.TCPSite(runner, "::1", 0)).start()
        except OSError:  # this host has no IPv6
            pass
        else:
            expected.append(("::1", second.port, 0, 0))
        assert runner.addresses == expected


async def test_access_line_with_nothing_configured_but_the_root(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S114, S152: at DEBUG on the root logger each request is a line of httpserver.access."""
    caplog.set_level(logging.DEBUG)
    async with serve(hello) as origin:
        answer = await origin.ask(GET)
        await origin.no_connections()

    (record,) = [item for item in caplog.records if item.name == "httpserver.access"]
    size = len(answer.head + answer.body)
    assert f'"GET / HTTP/1.1" 200 {size} ' in record.getMessage()


def test_access_logger_and_its_format_are_documented() -> None:
    """S152: the README names the default access logger; its format is the documented one."""
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")

    assert "`httpserver.access`" in readme
    assert web.AccessLogger.LOG_FORMAT == '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'


async def test_timeout_that_leaves_a_handler_is_logged(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S201: TimeoutError out of a handler is 504, and at DEBUG logged with its traceback."""

    async def handler(request: web.Request) -> web.Response:
        raise TimeoutError("too late")

    caplog.set_level(logging.DEBUG, "httpserver.server")
    async with serve(handler) as origin:
        assert (await origin.ask(GET)).status == 504

    (record,) = [item for item in caplog.records if item.name == "httpserver.server"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "too late"
    assert "test_ledger_running.py" in caplog.text


@pytest.mark.parametrize(
    ("setting", "line", "status"),
    [
        ("max_line_size", b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 100), 414),
        ("max_field_size", GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * 100), 431),
        ("max_headers", GET[:-2] + b"X: x\r\n" * 100 + b"\r\n", 431),
    ],
)
async def test_limits_are_arguments_of_the_runner(
    serve: Any, setting: str, line: bytes, status: int
) -> None:
    """S202: AppRunner takes the limits of heads by the documented names."""
    async with serve(hello) as origin:
        assert (await origin.ask(line)).status == 200
    async with serve(hello, **{setting: 50}) as origin:
        assert (await origin.ask(GET)).status == 200
        assert (await origin.ask(line)).status == status


@pytest.mark.parametrize("keepalive", [True, False])
async def test_tcp_keepalive_is_an_argument_of_the_runner(serve: Any, keepalive: bool) -> None:
    """S202: `tcp_keepalive` sets SO_KEEPALIVE; times of connections are taken."""

    async def handler(request: web.Request) -> web.Response:
        sock = request.get_extra_info("socket")
        return web.Response(text=str(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))

    settings = {"lingering_time": 3, "keepalive_timeout": 4}
    async with serve(handler, tcp_keepalive=keepalive, **settings) as origin:
        assert (await origin.ask(GET)).text == str(int(keepalive))
        server = origin.server
        assert (server.lingering_time, server.keepalive_timeout) == (3, 4)


# run_app.


@pytest.mark.parametrize("loop", LOOPS)
def test_run_app_takes_what_is_documented(loop: dict[str, Any], tmp_path: Path) -> None:
    """S036: run_app takes an application or an awaitable, paths, sockets, loggers and None."""

    async def make() -> web.Application:
        return application()

    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket(socket.AF_UNIX) as second:
        second.bind(str(tmp_path / "c"))
        port = first.getsockname()[1]
        banner, answers = run_app(
            make(),
            path=[str(tmp_path / "a"), tmp_path / "b"],
            sock=[first, second],
            ssl_context=None,
            access_log=None,
            reuse_address=None,
            reuse_port=None,
            **loop,
        )
    assert answers[0].endswith(b"\r\n\r\nhello")
    assert len(banner.split(", ")) == 5
    assert f"http://127.0.0.1:{port}" in banner
    for name in "abc":
        assert f"http://unix:{tmp_path / name}:" in banner


@pytest.mark.parametrize(
    "arguments",
    [
        {"app": 42},
        {"app": None},
        {"app": web.Application},
        {"host": 42},
        {"path": 42},
        {"sock": 42},
        {"access_log": "httpserver.access"},
        {"access_log": True},
        {"access_log_class": logging.Logger},
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_run_app_takes_nothing_else(arguments: dict[str, Any], backend: Any) -> None:
    """S036, S156: anything of another type is a TypeError."""
    settings = {"app": application(), "port": 0, "print": None, **arguments}
    with pytest.raises(TypeError):
        web.run_app(backend=backend, **settings)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("own", [True, False])
def test_access_log_of_ones_own_or_none(
    loop: dict[str, Any],
    own: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S156: in debug mode too a logger of one's own gets the lines; None means none."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.INFO)
    _, answers = run_app(
        application(), access_log=logging.getLogger("mine") if own else None, **loop
    )

    assert answers[0].endswith(b"hello")
    lines = [item.name for item in caplog.records if "GET / HTTP/1.0" in item.getMessage()]
    assert lines == (["mine"] if own else [])


@pytest.mark.parametrize("loop_factory", ASYNCIO)
def test_tasks_live_until_the_cleanup_is_done(loop_factory: Any) -> None:
    """S064: at SIGINT hooks run to their end while other tasks live; then those are cancelled."""
    events: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("cancelled")

    async def start(app: web.Application) -> None:
        tasks.append(asyncio.create_task(work()))

    async def context(app: web.Application) -> AsyncIterator[None]:
        yield
        for _ in range(3):
            await asyncio.sleep(0)
        events.append(f"context: done {tasks[0].done()}")

    async def clean(app: web.Application) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        events.append(f"cleanup: done {tasks[0].done()}")

    app = application()
    app.on_startup.append(start)
    app.cleanup_ctx.append(context)
    app.on_cleanup.append(clean)
    run_app(app, loop_factory=loop_factory)

    assert events == ["context: done False", "cleanup: done False", "cancelled"]


@pytest.mark.parametrize("loop", LOOPS)
def test_cleanup_of_run_app_is_not_cancelled(loop: dict[str, Any]) -> None:
    """S064: what awaits in a cleanup hook is not cut off by the end, on no event loop."""
    events: list[str] = []

    async def clean(app: web.Application) -> None:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        events.append("cleaned")

    app = application()
    app.on_cleanup.append(clean)
    run_app(app, **loop)

    assert events == ["cleaned"]


@pytest.mark.parametrize("loop_factory", ASYNCIO)
def test_background_task_lives_as_long_as_the_application(serve: Any, loop_factory: Any) -> None:
    """S150: a context starts a task and cancels it; contexts are left in reverse order."""
    events: list[str] = []

    async def work() -> None:
        events.append("work")
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("work over")

    async def background(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(work())
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        events.append("left first")

    async def second(app: web.Application) -> AsyncIterator[None]:
        yield
        events.append("left second")

    async def main() -> None:
        app = application()
        app.cleanup_ctx.extend([background, second])
        async with serve(app) as origin:
            assert (await origin.ask(GET)).text == "hello"
            assert events == ["work"]

    run(main(), loop_factory)
    assert events == ["work", "left second", "work over", "left first"]


@pytest.mark.parametrize("loop_factory", ASYNCIO)
def test_task_that_failed_long_ago_is_not_reported_at_the_end(
    loop_factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S169: the end of run_app does not report a task that had failed long before."""
    tasks: list[asyncio.Task[None]] = []

    async def fail() -> None:
        raise ZeroDivisionError

    async def start(app: web.Application) -> None:
        tasks.append(asyncio.create_task(fail()))
        await asyncio.wait(tasks)

    app = application()
    app.on_startup.append(start)
    run_app(app, loop_factory=loop_factory)

    assert isinstance(tasks[0].exception(), ZeroDivisionError)
    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []
