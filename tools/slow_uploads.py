"""Send many bodies slowly at once, and see that the server serves others meanwhile.

    python -m tools.slow_uploads [--uploads 200] [--seconds 5] [--backend asyncio]

Each upload sends its body in small pieces over the whole time; another client makes small
requests without pause. Prints the figures; exits with 1 if an answer is wrong or missing.
Loopback only; ends by itself.
"""

import argparse
import hashlib
import socket
import sys
import time

from tools.server_process import serving

APP = """
import hashlib
import httpserver as web

async def upload(request):
    digest = hashlib.sha256()
    async for piece in request.content.iter_any():
        digest.update(piece)
    return web.Response(text=digest.hexdigest())

async def hello(request):
    return web.Response(text="hello")

app = web.Application()
app.add_routes([web.post("/", upload), web.get("/", hello)])
"""
PIECE = bytes(range(256)) * 4
PIECES = 50


def answer(sock: socket.socket) -> bytes:
    """Read to the end; the body."""
    with sock.makefile("rb") as file:
        return file.read().partition(b"\r\n\r\n")[2]


def main() -> int:
    """Run as told; the exit code."""
    parser = argparse.ArgumentParser(description="Send bodies slowly.")
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {len(PIECE) * PIECES}\r\n\r\n"
    )
    expected = hashlib.sha256(PIECE * PIECES).hexdigest().encode()
    times: list[float] = []
    with serving(APP, f"--backend={options.backend}") as server:
        socks = [socket.create_connection(server.address, 30) for _ in range(options.uploads)]
        before = server.rss()
        began = time.perf_counter()
        for sock in socks:
            sock.sendall(head.encode())
        for number in range(PIECES):
            for sock in socks:
                sock.sendall(PIECE)
            while time.perf_counter() < began + options.seconds * (number + 1) / PIECES:
                asked = time.perf_counter()
                with socket.create_connection(server.address, 30) as sock:
                    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if answer(sock) != b"hello":
                        raise RuntimeError("a small request had no answer")
                times.append(time.perf_counter() - asked)
        memory = server.rss() - before
        right = sum(answer(sock) == expected for sock in socks)
        seconds = time.perf_counter() - began
        for sock in socks:
            sock.close()
    times.sort()
    print(
        f"{options.uploads} uploads of {len(PIECE) * PIECES} bytes on {options.backend} in "
        f"{seconds:.1f} s: {right} answered rightly, {memory / 2**20:.1f} MiB more memory; "
        f"{len(times)} small requests meanwhile, median {times[len(times) // 2] * 1e3:.1f} ms, "
        f"longest {times[-1] * 1e3:.1f} ms"
    )
    return 0 if right == options.uploads else 1


if __name__ == "__main__":
    sys.exit(main())
