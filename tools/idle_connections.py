"""Hold many idle connections open, and tell what they cost.

    python -m tools.idle_connections [--connections 10000] [--backend asyncio]

Every connection makes one request and then stays. Prints memory for each, processor time
while nothing happens, and how long a request takes beside them; exits with 1 if one of them
was closed. Needs Linux, for the figures. Loopback only; ends by itself.
"""

import argparse
import resource
import select
import socket
import sys
import time

from tools.server_process import serving

APP = """
import resource
import httpserver as web

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

async def hello(request):
    return web.Response(text="hello")

app = web.Application()
app.add_routes([web.get("/", hello)])
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE_SECONDS = 5.0


def ask(sock: socket.socket) -> None:
    """Make one request and read its answer."""
    sock.sendall(REQUEST)
    data = b""
    while not data.endswith(b"\r\n\r\nhello"):
        piece = sock.recv(4096)
        if not piece:
            raise ConnectionError(f"closed behind {data!r}")
        data += piece


def main() -> int:
    """Run as told; the exit code."""
    parser = argparse.ArgumentParser(description="Hold idle connections open.")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < options.connections + 100:
        parser.error(f"this process may open only {hard} files")
    arguments = [f"--backend={options.backend}", "--keepalive-timeout=600", "--backlog=1024"]
    with serving(APP, *arguments) as server:
        socks: list[socket.socket] = []
        try:
            with socket.create_connection(server.address, timeout=10) as first:
                ask(first)
            before, began = server.rss(), time.perf_counter()
            for _ in range(options.connections):
                socks.append(socket.create_connection(server.address, timeout=10))
                ask(socks[-1])
            seconds = time.perf_counter() - began
            memory = (server.rss() - before) / options.connections
            cpu = server.cpu()
            time.sleep(IDLE_SECONDS)
            cpu = (server.cpu() - cpu) / IDLE_SECONDS
            times = []
            for _ in range(200):
                began = time.perf_counter()
                ask(socks[0])
                times.append(time.perf_counter() - began)
            poll = select.poll()
            for sock in socks:
                poll.register(sock, select.POLLIN)
            closed = len(poll.poll(0))
            began = time.perf_counter()
            server.process.terminate()
            server.process.wait(timeout=60)
            end = time.perf_counter() - began
        finally:
            for sock in socks:
                sock.close()
    print(
        f"{options.connections} connections on {options.backend}, made in {seconds:.1f} s: "
        f"{memory / 1024:.1f} KiB each, {cpu:.1%} of a processor while idle, "
        f"{sorted(times)[100] * 1e6:.0f} us for a request (median of 200), "
        f"{end:.1f} s to end, {closed} closed meanwhile"
    )
    return 1 if closed else 0


if __name__ == "__main__":
    sys.exit(main())
