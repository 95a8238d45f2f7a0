from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Every start says "pid" and its process, so that the tests need not ask which ones there are.
APP = """
import os
import anyio
import httpserver as web

async def pid(request):
    return web.Response(text=str(os.getpid()))

async def slow(request):
    print("slow", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        print("cancelled", flush=True)

async def clean(app):
    print("cleanup", flush=True)

app = web.Application()
app.add_routes([web.get("/", pid), web.get("/slow", slow)])
app.on_cleanup.append(clean)
"""
BROKEN = """
with open("tries", "a") as file:
    file.write("x")
raise RuntimeError("broken")
"""


class Running:
    """A server with workers, and what it says."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        variables = ("HTTPSERVER_", "LISTEN_", "NOTIFY_SOCKET", "PORT", "WEB_CONCURRENCY")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(variables)}
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "httpserver", "app:app"),
                *("-H127.0.0.1", "-P0", "--no-access-log", *arguments),
            ],
            cwd=folder,
            env={**kept, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.port = 0

    def until(self, pattern: str) -> str:
        """Return what it says up to a line with a pattern."""
        assert self.process.stdout is not None
        seen = ""
        for line in self.process.stdout:
            seen += line
            if re.search(pattern, line):
                return seen
        raise AssertionError((pattern, seen, self.process.wait(timeout=10)))

    def started(self) -> Running:
        seen = self.until("workers serve")
        match = re.search(r"Running on http://127\.0\.0\.1:(\d+) =", seen)
        assert match, seen
        self.port = int(match[1])
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=15)
        return self.process.returncode, out

    def children(self) -> set[int]:
        """Return the processes that it started (`ps` is on every POSIX system)."""
        listed = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True)
        pairs = [line.split() for line in listed.stdout.splitlines()]
        return {int(pid) for parent, pid in pairs if int(parent) == self.process.pid}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, path: str = "/") -> bytes:
        with self.connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with sock.makefile("rb") as file:
                return file.read().partition(b"\r\n\r\n")[2]


@contextmanager
def running(folder: Path, *arguments: str, **env: str) -> Iterator[Running]:
    server = Running(folder, *arguments, **env)
    with server.process:
        try:
            yield server
        finally:
            server.process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int) -> None:
    """Wait until a process is no more."""
    deadline = time.monotonic() + 15
    while alive(pid):
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_workers_share_the_socket_and_end_together(
    folder: Path, backend: str, number: signal.Signals
) -> None:
    with running(folder, "-w2", f"--backend={backend}") as server:
        server.started()
        pids = {int(server.ask()) for _ in range(10)}
        assert server.process.pid not in pids
        code, out = server.end(number)
        assert not any(alive(pid) for pid in pids)

    assert (code, out.count("cleanup")) == (0, 2)
    assert "Traceback" not in out


class Client(threading.Thread):
    """Asks without pause, each time on a new connection."""

    def __init__(self, server: Running) -> None:
        super().__init__()
        self._server = server
        self.stop = threading.Event()
        self.pids: set[bytes] = set()
        self.failed: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                pid = self._server.ask()
            except OSError as exc:
                self.failed.append(repr(exc))
            else:
                self.pids.add(pid)
                if not pid:
                    self.failed.append("closed without an answer")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sighup_replaces_the_workers_without_a_failed_request(folder: Path, backend: str) -> None:
    with running(folder, "-w2", f"--backend={backend}") as server:
        server.started()
        before = {server.ask() for _ in range(20)}
        client = Client(server)
        client.start()
        try:
            for _ in range(2):
                server.process.send_signal(signal.SIGHUP)
                server.until("workers serve")
        finally:
            client.stop.set()
            client.join()
        for pid in before:
            gone(int(pid))
        after = {server.ask() for _ in range(20)}
        code, _ = server.end()

    assert client.failed == []
    assert code == 0
    assert not before & after
    assert len(client.pids) >= 3


def test_new_code_is_served_after_sighup(folder: Path) -> None:
    with running(folder, "-w2") as server:
        server.started()
        before = {server.ask() for _ in range(20)}
        (folder / "app.py").write_text(APP.replace("str(os.getpid())", '"new"'))
        server.process.send_signal(signal.SIGHUP)
        server.until("workers serve")
        for pid in before:
            gone(int(pid))
        assert server.ask() == b"new"


def test_workers_stay_if_the_new_ones_do_not_start(folder: Path) -> None:
    with running(folder, "-w2") as server:
        server.started()
        before = {server.ask() for _ in range(20)}
        (folder / "app.py").write_text(BROKEN)
        server.process.send_signal(signal.SIGHUP)
        assert "RuntimeError: broken" in server.until("the workers that serve stay")
        assert {server.ask() for _ in range(100)} <= before
        # It does not try again by itself.
        assert {int(pid) for pid in before} == server.children()
        assert (folder / "tries").read_text() == "x"
        (folder / "app.py").write_text(APP)
        server.process.send_signal(signal.SIGHUP)
        server.until("workers serve")
        for pid in before:
            gone(int(pid))
        assert server.end()[0] == 0


def test_dead_worker_is_replaced(folder: Path) -> None:
    with running(folder, "-w2") as server:
        server.started()
        before = {server.ask() for _ in range(20)}
        dead = int(server.ask())
        os.kill(dead, signal.SIGKILL)
        assert f"worker {dead} ended with status -9" in server.until("ended with")
        deadline = time.monotonic() + 15
        while server.ask() in before:
            assert time.monotonic() < deadline
        assert server.end()[0] == 0


def test_failed_start_is_told_by_3_and_ends_all(folder: Path) -> None:
    (folder / "app.py").write_text(
        APP + "import pathlib\n"
        "try:\n    pathlib.Path('first').touch(exist_ok=False)\n"
        "except FileExistsError:\n    raise RuntimeError('second')\n"
    )
    with running(folder, "-w2") as server:
        out, _ = server.process.communicate(timeout=15)

    assert server.process.returncode == 3
    assert "RuntimeError: second" in out
    assert "did not start: status 3" in out
    assert "Running on" not in out


def test_second_signal_cuts_what_is_left(folder: Path) -> None:
    with running(folder, "-w2") as server, server.started().connect() as sock:
        sock.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        server.until("slow")
        server.process.send_signal(signal.SIGTERM)
        server.until("cleanup")  # of the worker that had nothing to do
        code, out = server.end()

    assert (code, out.count("cancelled"), out.count("cleanup")) == (0, 1, 1)


def test_workers_end_with_their_parent(folder: Path) -> None:
    with running(folder, "-w2") as server:
        server.started()
        pids = {int(server.ask()) for _ in range(10)}
        server.process.kill()
        # The end of the output: nobody has the other side of it any more.
        out, _ = server.process.communicate(timeout=15)
        for pid in pids:
            gone(pid)

    assert out.count("cleanup") == 2


def test_service_manager_is_told(folder: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "n"))
        notified.settimeout(10)
        with running(folder, "-w2", NOTIFY_SOCKET=str(tmp_path / "n")) as server:
            server.started()
            assert notified.recv(100) == b"READY=1"
            server.process.send_signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notified.recv(100))
            assert notified.recv(100) == b"READY=1"
            assert server.end()[0] == 0
            assert notified.recv(100) == b"STOPPING=1"
            notified.setblocking(False)
            with pytest.raises(BlockingIOError):
                notified.recv(100)  # workers say nothing


def test_unix_socket_survives_the_workers(folder: Path) -> None:
    with running(folder, "-w2", "-U", "s") as server:
        server.until("workers serve")
        server.process.send_signal(signal.SIGHUP)
        server.until("workers serve")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(folder / "s"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert server.end()[0] == 0

    assert not (folder / "s").exists()


def test_reload_serves_what_was_written(folder: Path) -> None:
    with running(folder, "--reload", WATCHFILES_FORCE_POLLING="true") as server:
        server.started()
        pid = int(server.ask())
        (folder / "app.py").write_text(APP.replace("str(os.getpid())", '"new"'))
        # Polling compares whole seconds.
        os.utime(folder / "app.py", (2 * 10**9, 2 * 10**9))
        server.until("changed: .*app.py")
        server.until("workers serve")
        gone(pid)
        assert server.ask() == b"new"
        assert server.end()[0] == 0
