"""Our server behind curl, wrk, a raw socket and nginx; our client in front of nginx.

Needs curl, wrk and nginx (Debian: `apt-get install curl wrk nginx-light`). Prints a line for each
check and exits 1 if one fails. Everything runs on loopback and is ended by process id.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio

import httpclient

SERVER = """
import sys
import httpserver as web

async def hello(request):
    return web.Response(text="Hello, World!")

async def echo(request):
    return web.Response(body=await request.read())

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(100):
        await response.write(b"%d\\n" % number)
    return response

app = web.Application(client_max_size=0)
app.add_routes([web.get("/", hello), web.post("/echo", echo), web.get("/stream", stream)])
options = {}
if sys.argv[2] == "uvloop":
    import uvloop
    options["loop_factory"] = uvloop.new_event_loop
elif sys.argv[2] == "trio":
    options["backend"] = "trio"
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, **options)
"""

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream ours {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        etag on;
        location /proxied/ {{
            proxy_pass http://ours/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""

BIG = bytes(range(256)) * 4096  # 1 MiB


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, **options: Any) -> Iterator[None]:
    """Run a server until the block ends; begin when it accepts."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def curl(*arguments: str) -> str:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_curl(url: str) -> str:
    answer = curl("--include", f"{url}/")
    assert answer.startswith("HTTP/1.1 200 OK"), answer
    assert answer.endswith("Hello, World!"), answer
    assert curl("--data-binary", "some body", f"{url}/echo") == "some body"
    assert curl("--http1.0", f"{url}/stream").endswith("99\n")
    assert curl("--head", f"{url}/").startswith("HTTP/1.1 200 OK")
    # Two transfers of one command share a connection.
    twice = ("-o", "/dev/null", f"{url}/", "-o", "/dev/null", f"{url}/")
    reused = curl("--write-out", "%{num_connects}\n", *twice)
    assert reused.split()[-1] == "0", reused
    return "GET, POST, HEAD, HTTP/1.0 stream, keep-alive"


def check_wrk(url: str) -> str:
    output = subprocess.run(
        ["wrk", "-t1", "-c64", "-d3s", f"{url}/"], capture_output=True, text=True, check=True
    ).stdout
    assert "Socket errors" not in output, output
    assert "Non-2xx" not in output, output
    return re.findall(r"\d+ requests in \S+", output)[0]


def check_pipelining(port: int) -> str:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(request * 99 + last)
        received = b""
        while data := sock.recv(65536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 100, received[-500:]
    return "100 requests in one segment, 100 answers"


def check_behind_nginx(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(50):
        connection.request("GET", "/proxied/")
        assert connection.getresponse().read() == b"Hello, World!"
        connection.request("POST", "/proxied/echo", body=BIG)
        assert connection.getresponse().read() == BIG
    connection.request("GET", "/proxied/stream")
    assert connection.getresponse().read().endswith(b"99\n")
    connection.close()
    return "101 requests over keep-alive upstreams, 1 MiB bodies, a stream"


async def check_client(port: int) -> None:
    async with httpclient.ClientSession(base_url=f"http://127.0.0.1:{port}/") as session:
        for _ in range(20):
            async with session.get("big.bin") as response:
                assert await response.read() == BIG
        async with session.get("proxied/stream") as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert (await response.read()).endswith(b"99\n")
        async with session.head("big.bin") as response:
            assert response.content_length == len(BIG)
            assert await response.read() == b""
            etag = response.headers["ETag"]
        async with session.get("big.bin", headers={"If-None-Match": etag}) as response:
            assert response.status == 304
            assert await response.read() == b""
        async with session.post("proxied/echo", data=BIG) as response:
            assert await response.read() == BIG
        async with session.get("missing") as response:
            assert response.status == 404


def check(name: str, function: Callable[[], object]) -> bool:
    try:
        result = function()
    except (AssertionError, OSError, subprocess.SubprocessError) as exc:
        print(f"FAIL {name}: {exc!r}")
        return False
    print(f"ok   {name}: {result}")
    return True


def main() -> None:
    missing = [tool for tool in ("curl", "wrk", "nginx") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not found: {', '.join(missing)}")
    passed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers may be another user
        (folder / "server.py").write_text(SERVER)
        (folder / "www").mkdir()
        (folder / "www" / "big.bin").write_bytes(BIG)
        for backend in ("asyncio", "uvloop", "trio"):
            ours, nginx = free_port(), free_port()
            url = f"http://127.0.0.1:{ours}"
            (folder / "nginx.conf").write_text(
                NGINX.format(folder=folder, upstream=ours, port=nginx)
            )
            server = [sys.executable, str(folder / "server.py"), str(ours), backend]
            proxy = ["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
            with running(server, ours), running(proxy, nginx):
                passed += [
                    check(f"{backend}, curl", lambda url=url: check_curl(url)),
                    check(f"{backend}, wrk", lambda url=url: check_wrk(url)),
                    check(f"{backend}, raw", lambda port=ours: check_pipelining(port)),
                    check(f"{backend}, nginx", lambda port=nginx: check_behind_nginx(port)),
                    check(
                        f"{backend}, client of nginx",
                        lambda port=nginx, backend=backend: run_client(port, backend),
                    ),
                ]
    raise SystemExit(0 if all(passed) else 1)


def run_client(port: int, backend: str) -> str:
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    name = "trio" if backend == "trio" else "asyncio"
    anyio.run(check_client, port, backend=name, backend_options=options)
    return "keep-alive, chunked, HEAD, 304, 404, 1 MiB both ways"


if __name__ == "__main__":
    main()
