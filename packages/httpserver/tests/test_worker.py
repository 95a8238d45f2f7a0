from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from httpserver.worker import access_log_format

APP = """
import asyncio
from contextvars import ContextVar
import httpserver as web

variable = ContextVar("variable", default="not seen")

async def answer(request):
    loop = type(asyncio.get_running_loop()).__module__
    return web.Response(text=f"{request.scheme} {loop} {variable.get()}")

async def start(app):
    variable.set("seen")

async def clean(app):
    print("cleanup", flush=True)

def make_app():
    app = web.Application()
    app.add_routes([web.get("/", answer)])
    app.on_startup.append(start)
    app.on_cleanup.append(clean)
    return app

app = make_app()

async def make_later():
    return make_app()

def make_runner():
    return web.AppRunner(make_app(), access_log_format="mine %s")

async def fail(app):
    raise ZeroDivisionError

broken = web.Application()
broken.on_startup.append(fail)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@contextmanager
def gunicorn(
    folder: Path, *arguments: str, worker: str = "GunicornWebWorker"
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run Gunicorn; yields the process and the port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "-k", f"httpserver.worker.{worker}"),
                *(f"--bind=fd://{sock.fileno()}", "--no-control-socket", *arguments),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            pass_fds=[sock.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield process, sock.getsockname()[1]
            finally:
                process.kill()


def ask(port: int, tls: ssl.SSLContext | None = None) -> str:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname="localhost")
    with sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            return file.read().partition(b"\r\n\r\n")[2].decode()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(number)
    out, _ = process.communicate(timeout=15)
    assert process.returncode == 0, out
    return out


@pytest.mark.parametrize("target", ["app:app", "app:make_app()", "app:make_app", "app:make_later"])
def test_application_is_served_in_the_task_of_its_start(folder: Path, target: str) -> None:
    with gunicorn(folder, target, "--access-logfile=-") as (process, port):
        assert ask(port) == "http asyncio.unix_events seen"
        out = end(process)

    assert re.search(r'127\.0\.0\.1 \[[^]]+\] "GET / HTTP/1\.0" 200 \d+ "-" "-"\n', out)
    assert "cleanup" in out


def test_worker_of_uvloop(folder: Path) -> None:
    with gunicorn(folder, "app:app", worker="GunicornUVLoopWebWorker") as (process, port):
        assert ask(port) == "http uvloop seen"
        out = end(process, signal.SIGINT)

    assert "cleanup" in out
    assert "GET /" not in out


def test_runner_brings_its_own_settings(folder: Path) -> None:
    with gunicorn(folder, "app:make_runner") as (process, port):
        assert ask(port) == "http asyncio.unix_events seen"
        end(process)


def test_worker_ends_after_max_requests(folder: Path) -> None:
    with gunicorn(folder, "app:app", "--max-requests=1") as (process, port):
        ask(port)
        assert process.stdout is not None
        for line in process.stdout:
            if "served max_requests" in line:
                break
        else:
            raise AssertionError
        assert ask(port) == "http asyncio.unix_events seen"
        end(process)


def test_worker_speaks_tls(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    arguments = ["app:app", "--certfile=server.pem", "--keyfile=server.pem"]
    with gunicorn(folder, *arguments) as (process, port):
        assert ask(port, context) == "https asyncio.unix_events seen"
        end(process)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["app:broken"], "ZeroDivisionError"),
        (["app:app", "--access-logfile=-", "--access-logformat=%(h)s"], "Gunicorn's format of"),
    ],
)
def test_failed_start_is_logged_and_ends_the_master(
    folder: Path, arguments: list[str], error: str
) -> None:
    with gunicorn(folder, *arguments) as (process, _):
        out, _ = process.communicate(timeout=15)

    assert process.returncode == 3
    assert "exception in worker" in out
    assert error in out


def test_formats_of_the_access_log() -> None:
    default = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

    assert access_log_format(default) == '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
    assert access_log_format("%a %s") == "%a %s"
    with pytest.raises(ValueError, match=r"is not understood here; use that of AccessLogger"):
        access_log_format("%a %(s)s")
