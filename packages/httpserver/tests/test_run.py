from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

import httpserver as web

PROGRAM = """
import httpserver as web

async def hello(request):
    return web.Response(text="hello")

app = web.Application()
app.add_routes([web.get("/", hello)])
web.run_app(app, host="127.0.0.1", port=0, **{arguments!r})
print("Done")
"""

LOOPS = [
    pytest.param({"backend": "asyncio"}, id="asyncio"),
    pytest.param({"backend": "asyncio", "loop_factory": uvloop.new_event_loop}, id="uvloop"),
    pytest.param({"backend": "trio"}, id="trio"),
]


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            return file.read()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def application() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    return app


@pytest.mark.parametrize("handle_signals", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_run_app_ends_with_sigint_and_exits_0(backend: str, handle_signals: bool) -> None:
    arguments = {"backend": backend, "handle_signals": handle_signals}
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "error", "-c", PROGRAM.format(arguments=arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"======== Running on http://127\.0\.0\.1:(\d+) ========\n", line)
        assert match, (line, process.communicate(timeout=10))
        assert ask(int(match[1])).endswith(b"\r\n\r\nhello")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)

    assert (process.returncode, err) == (0, "")
    assert out.endswith("Done\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loop", LOOPS)
def test_run_app_returns_after_a_signal(loop: dict[str, Any], number: signal.Signals) -> None:
    answers: list[bytes] = []

    def client(port: int) -> None:
        # Who is answered knows that the signals are handled by now.
        answers.append(ask(port))
        os.kill(os.getpid(), number)

    def started(text: str) -> None:
        match = re.search(r"http://127\.0\.0\.1:(\d+) ", text)
        assert match
        thread = threading.Thread(target=client, args=[int(match[1])])
        threads.append(thread)
        thread.start()

    threads: list[threading.Thread] = []
    web.run_app(application(), host="127.0.0.1", port=0, print=started, **loop)
    threads[0].join()

    assert answers[0].endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("loop", LOOPS)
def test_run_app_on_a_taken_port_raises(loop: dict[str, Any]) -> None:
    async def make() -> web.Application:
        return application()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"."):
            web.run_app(make(), host="127.0.0.1", port=port, print=None, **loop)


STOP = """
import os, signal, sys
import anyio
import httpserver as web

def say(text):
    print(text, flush=True)

async def startup(app):
    say("startup")
    if {slow}:
        await anyio.sleep_forever()

async def shutdown(app):
    say("shutdown")

async def cleanup(app):
    await anyio.lowlevel.checkpoint()
    say("cleanup")

async def hang(request):
    say("handler")
    try:
        await anyio.sleep_forever()
    finally:
        say("cancelled")

async def told(request):
    say("handler")
    await request.shutdown.wait()
    await anyio.lowlevel.checkpoint()
    return web.Response(text="told")

async def context(app):
    say("enter")
    yield
    await anyio.lowlevel.checkpoint()
    say("leave")

app = web.Application()
app.add_routes([web.get("/", hang), web.get("/told", told)])
app.cleanup_ctx.append(context)
app.on_startup.append(startup)
app.on_shutdown.append(shutdown)
app.on_cleanup.append(cleanup)
web.run_app(app, host="127.0.0.1", port=0, access_log=None, **{arguments!r})
say("Done")
"""


def started(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_up_to(process: subprocess.Popen[str], mark: str) -> str:
    """Return the line of the output that begins with `mark`."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(mark):
            return line
    raise AssertionError((mark, process.communicate(timeout=10)))


@pytest.mark.parametrize("handle_signals", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_second_signal_cuts_what_is_left_and_cleans_up(backend: str, handle_signals: bool) -> None:
    """Cleanup went on for twice `shutdown_timeout`, or was given up."""
    arguments = {"backend": backend, "handle_signals": handle_signals}
    with started(STOP.format(slow=False, arguments=arguments)) as process:
        match = re.search(r":(\d+) =", lines_up_to(process, "==="))
        assert match
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            lines_up_to(process, "handler")
            process.send_signal(signal.SIGINT)
            lines_up_to(process, "shutdown")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)

    assert (out, err) == ("cancelled\nleave\ncleanup\nDone\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_first_signal_lets_handlers_end(backend: str, number: signal.Signals) -> None:
    with started(STOP.format(slow=False, arguments={"backend": backend})) as process:
        match = re.search(r":(\d+) =", lines_up_to(process, "==="))
        assert match
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=10) as sock:
            sock.sendall(b"GET /told HTTP/1.0\r\n\r\n")
            lines_up_to(process, "handler")
            process.send_signal(number)
            with sock.makefile("rb") as file:
                assert file.read().endswith(b"\r\n\r\ntold")
        out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err) == (0, "shutdown\nleave\ncleanup\nDone\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_signal_ends_a_start_that_takes_long(backend: str, number: signal.Signals) -> None:
    with started(STOP.format(slow=True, arguments={"backend": backend})) as process:
        lines_up_to(process, "startup")
        process.send_signal(number)
        out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err) == (0, "leave\nDone\n", "")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("handle_signals", [True, False])
def test_failed_start_cleans_up_and_is_told(loop: dict[str, Any], handle_signals: bool) -> None:
    """Cleanup did not run after that."""
    lines: list[str] = []

    async def context(app: web.Application) -> AsyncIterator[None]:
        lines.append("enter")
        yield
        lines.append("leave")

    async def fail(app: web.Application) -> None:
        raise ZeroDivisionError

    app = application()
    app.cleanup_ctx.append(context)
    app.on_startup.append(fail)
    with pytest.raises(ZeroDivisionError) as caught:
        web.run_app(app, port=0, handle_signals=handle_signals, print=lines.append, **loop)

    assert lines == ["enter", "leave"]
    assert caught.traceback[-1].name == "fail"


@pytest.mark.parametrize("loop", LOOPS)
def test_taken_port_cleans_up(loop: dict[str, Any]) -> None:
    lines: list[str] = []

    async def cleanup(app: web.Application) -> None:
        lines.append("cleanup")

    app = application()
    app.on_cleanup.append(cleanup)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match=r"."):
            web.run_app(app, host="127.0.0.1", port=taken.getsockname()[1], print=None, **loop)

    assert lines == ["cleanup"]


@pytest.mark.parametrize("loop", LOOPS)
def test_graceful_exit_ends_run_app(loop: dict[str, Any]) -> None:
    lines: list[str] = []

    async def exit(app: web.Application) -> None:
        raise web.GracefulExit

    async def cleanup(app: web.Application) -> None:
        lines.append("cleanup")

    async def context(app: web.Application) -> AsyncIterator[None]:
        yield
        lines.append("leave")

    app = application()
    app.cleanup_ctx.append(context)
    app.on_startup.append(exit)
    web.run_app(app, port=0, print=lines.append, **loop)

    assert lines == ["leave"]
    assert web.GracefulExit().code == 1


def test_graceful_exit_of_a_handler_ends_run_app() -> None:
    async def stop(request: web.Request) -> web.Response:
        raise web.GracefulExit

    lines: list[str] = []

    async def cleanup(app: web.Application) -> None:
        lines.append("cleanup")

    app = web.Application()
    app.add_routes([web.get("/", stop)])
    app.on_cleanup.append(cleanup)
    serve_and_ask(app, None)

    assert lines == ["cleanup"]


def serve_and_ask(
    app: web.Application, number: signal.Signals | None = signal.SIGTERM, **arguments: Any
) -> tuple[str, bytes]:
    """Run an application until its first answer; returns the banner and the answer."""
    banners: list[str] = []
    answers: list[bytes] = []

    def client(address: Any) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        with socket.socket(family) as sock:
            sock.settimeout(10)
            sock.connect(address)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with sock.makefile("rb") as file:
                answers.append(file.read())
        if number is not None:
            os.kill(os.getpid(), number)

    def tell(text: str) -> None:
        banners.append(text)
        port = re.search(r"http://(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", text)
        path = re.search(r"http://unix:(.*):", text)
        address: Any = ("127.0.0.1", int(port[1])) if port else path and path[1]
        threads.append(threading.Thread(target=client, args=[address]))
        threads[0].start()

    threads: list[threading.Thread] = []
    web.run_app(app, print=tell, access_log=arguments.pop("access_log", None), **arguments)
    threads[0].join()
    return banners[0], b"".join(answers)


def test_run_app_listens_on_all_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "s"
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]

    banner, answer = serve_and_ask(
        application(), host=["127.0.0.1", "127.0.0.2"], port=0, path=[path], sock=[sock]
    )

    assert answer.endswith(b"hello")
    names = banner.split("Running on ")[1].split(" =")[0].split(", ")
    assert names == sorted(names)
    assert f"http://127.0.0.1:{port}" in names
    assert f"http://unix:{path}:" in names
    assert len([name for name in names if name.startswith("http://127.0.0.2:")]) == 1
    assert len(names) == 4


@pytest.mark.parametrize("as_str", [True, False])
def test_run_app_on_a_path_has_no_port(tmp_path: Path, as_str: bool) -> None:
    path = tmp_path / "s"

    banner, answer = serve_and_ask(application(), path=str(path) if as_str else path)

    assert answer.endswith(b"hello")
    assert f"Running on http://unix:{path}: =" in banner
    assert not path.exists()


def test_run_app_on_a_socket_and_a_port(tmp_path: Path) -> None:
    sock = socket.create_server(("127.0.0.1", 0))

    banner, answer = serve_and_ask(application(), sock=sock, port=0)

    assert answer.endswith(b"hello")
    assert re.search(r"Running on http://0\.0\.0\.0:\d+, http://127\.0\.0\.1:\d+ =", banner)


def test_run_app_takes_sockets_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr("httpserver._systemd._FIRST_FD", sock.detach())
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")

    _, answer = serve_and_ask(application())

    assert answer.endswith(b"hello")
    assert "LISTEN_FDS" not in os.environ


def test_run_app_tells_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "n"))
        notified.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        serve_and_ask(application(), host="127.0.0.1", port=0)
        assert notified.recv(100) == b"READY=1"
        assert notified.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_debug_mode_shows_the_access_log(backend: str, debug: bool) -> None:
    program = PROGRAM.format(arguments={"backend": backend})
    process = subprocess.Popen(
        [sys.executable, "-u", *(["-X", "dev"] if debug else []), "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        match = re.search(r":(\d+) =", lines_up_to(process, "==="))
        assert match
        ask(int(match[1]))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert ('"GET / HTTP/1.0" 200 ' in err) == debug


def test_debug_mode_leaves_configured_logging_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("httpserver.access")
    caplog.set_level(logging.ERROR, logger.name)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")

    serve_and_ask(application(), host="127.0.0.1", port=0, access_log=logger)

    # asyncio's own logger may tell of a task that another test left.
    messages = [text for name, _, text in caplog.record_tuples if name != "asyncio"]
    assert (logger.level, logger.handlers, messages) == (logging.ERROR, [], [])


def test_run_app_refuses_what_is_no_application() -> None:
    async def make() -> Any:
        return "app"

    with pytest.raises(TypeError, match="must be an Application, got str"):
        web.run_app(make(), print=None)


def test_run_app_passes_settings_on() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        web.run_app(application(), nonsense=1)
