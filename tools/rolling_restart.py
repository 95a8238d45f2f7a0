"""Replace the workers of a server again and again under load, and count what fails.

    python -m tools.rolling_restart [--workers 2] [--rolls 5] [--clients 4] [--backend asyncio]

Clients ask without pause, each request on a connection of its own; every second one of them
keeps its connection as long as the server lets it. Prints the figures; exits with 1 if a
request failed. Loopback only; ends by itself, at the latest after two minutes.
"""

import argparse
import re
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

from tools.server_process import serving

APP = """
import os
import httpserver as web

async def pid(request):
    return web.Response(text=str(os.getpid()))

app = web.Application()
app.add_routes([web.get("/", pid)])
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n"


@dataclass
class Figures:
    """What the clients saw."""

    answered: int = 0
    reconnected: int = 0
    failed: list[str] = field(default_factory=list)
    pids: set[str] = field(default_factory=set)


def ask(sock: socket.socket, request: bytes) -> str:
    """Return the body of the answer; "" if the server closed instead."""
    sock.sendall(request)
    data = b""
    while True:
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)(?:\r\n|$)", head)
        if length and len(body) >= int(length[1]):
            return body.decode()
        piece = sock.recv(65536)
        if not piece:
            if data:
                raise ConnectionError(f"cut behind {data!r}")
            return ""
        data += piece


def client(address: tuple[str, int], keeps: bool, stop: threading.Event, figures: Figures) -> None:
    """Ask until told to stop."""
    request = REQUEST % (b"" if keeps else b"Connection: close\r\n")
    sock: socket.socket | None = None
    while not stop.is_set():
        fresh = sock is None
        try:
            if sock is None:
                sock = socket.create_connection(address, timeout=10)
            pid = ask(sock, request)
            if not pid and fresh:
                raise ConnectionError("closed without an answer")
        except OSError as exc:
            # On a connection that was used before this may happen at any time (RFC 9112
            # section 9.3.1): the client asks again on another one.
            if fresh:
                figures.failed.append(repr(exc))
            pid = ""
        if pid:
            figures.answered += 1
            figures.pids.add(pid)
        else:
            figures.reconnected += not fresh
        if not pid or not keeps:
            if sock is not None:
                sock.close()
            sock = None


def main() -> int:
    """Run as told; the exit code."""
    parser = argparse.ArgumentParser(description="Replace workers under load.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rolls", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    figures, stop = Figures(), threading.Event()
    arguments = [f"--workers={options.workers}", f"--backend={options.backend}"]
    with serving(APP, *arguments, "--drain-timeout=5") as server:
        server.wait_for("workers serve")
        threads = [
            threading.Thread(target=client, args=(server.address, number % 2 == 1, stop, figures))
            for number in range(options.clients)
        ]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        try:
            for _ in range(options.rolls):
                server.process.send_signal(signal.SIGHUP)
                server.wait_for("workers serve")
        finally:
            stop.set()
        seconds = time.monotonic() - began
        for thread in threads:
            thread.join()
    print(
        f"{options.rolls} rolls of {options.workers} workers in {seconds:.1f} s: "
        f"{figures.answered} answered by {len(figures.pids)} processes, "
        f"{figures.reconnected} kept connections were closed, {len(figures.failed)} failed"
    )
    for failure in sorted(set(figures.failed)):
        print(f"  {figures.failed.count(failure)} x {failure}")
    return 1 if figures.failed else 0


if __name__ == "__main__":
    sys.exit(main())
