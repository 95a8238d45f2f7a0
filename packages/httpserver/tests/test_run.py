from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
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


def test_run_app_passes_settings_on() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        web.run_app(application(), nonsense=1)
