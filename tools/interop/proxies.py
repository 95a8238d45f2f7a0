"""Checks of nginx and haproxy in front of our server, and of nginx behind our client."""

import contextlib
import csv
import gzip
import http.client
from collections.abc import Iterator
from pathlib import Path

import anyio

import httpclient

from .programs import HOST, OurServer, free_port, running, wait_for

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream ours {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        root {files};
        etag on;
        location /proxied/ {{
            proxy_pass http://ours/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
        location /streamed/ {{
            proxy_pass http://ours/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
        location /old/ {{
            proxy_pass http://ours/;
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    option http-keep-alive
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    stats enable
    stats uri /-/stats
    default_backend ours
backend ours
    option httpchk GET /
    http-check expect status 200
    server first 127.0.0.1:{upstream} check inter 200ms
"""


@contextlib.contextmanager
def nginx(server: OurServer, folder: Path) -> Iterator[int]:
    """Run nginx in front of a server, on the port that this gives."""
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(
        NGINX.format(folder=folder, files=server.folder, upstream=server.port, port=port)
    )
    log = folder / "nginx.log"
    with running(["nginx", "-c", str(config), "-e", str(log)], folder / "nginx.out", port):
        yield port


@contextlib.contextmanager
def haproxy(server: OurServer, folder: Path) -> Iterator[int]:
    """Run haproxy in front of a server, on the port that this gives."""
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(upstream=server.port, port=port))
    # -db: in the foreground.
    with running(["haproxy", "-db", "-f", str(config)], folder / "haproxy.out", port):
        yield port


class Front:
    """A connection to a proxy, kept as long as the proxy keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=20)
        self.answer: http.client.HTTPResponse

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        **fields: str,
    ) -> bytes:
        """Send a request, chunked if its body is an iterator; returns the answer's body."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        self._connection.request(method, path, body=body, headers=headers)
        self.answer = self._connection.getresponse()
        return self.answer.read()

    def close(self) -> None:
        self._connection.close()


def check_passing(server: OurServer, port: int, prefix: str, big: bytes) -> str:
    """What each proxy must get through, both ways."""
    with contextlib.closing(Front(port)) as front:
        for _ in range(100):
            assert front.ask("GET", f"{prefix}/") == b"Hello, World!"
            assert front.ask("POST", f"{prefix}/echo", b"some body") == b"some body"
        for _ in range(20):
            assert front.ask("POST", f"{prefix}/echo", big) == big
            assert front.ask("GET", f"{prefix}/static/big.bin") == big
        assert front.ask("HEAD", f"{prefix}/static/big.bin") == b""
        assert front.answer.headers["Content-Length"] == str(len(big))
        assert front.ask("GET", f"{prefix}/stream").endswith(b"99\n")
        assert front.ask("POST", f"{prefix}/echo", iter([big, b"", b"more"])) == big + b"more"
        part = front.ask("GET", f"{prefix}/static/big.bin", Range="bytes=1000-1999")
        assert (front.answer.status, part) == (206, big[1000:2000])
        assert front.answer.headers["Content-Range"] == f"bytes 1000-1999/{len(big)}"
        assert front.ask("GET", f"{prefix}/static/big.bin", Range="bytes=9999999-") == b""
        assert front.answer.status == 416
        packed = gzip.compress(big)
        assert front.ask("POST", f"{prefix}/echo", packed, Content_Encoding="gzip") == big
        pieces = (packed[start : start + 1000] for start in range(0, len(packed), 1000))
        assert front.ask("POST", f"{prefix}/echo", pieces, Content_Encoding="gzip") == big
        front.ask("GET", f"{prefix}/static/text.txt")
        etag = front.answer.headers["ETag"]
        assert front.ask("GET", f"{prefix}/static/text.txt", If_None_Match=etag) == b""
        assert front.answer.status == 304
        front.ask("GET", f"{prefix}/static/missing")
        assert front.answer.status == 404
    return "250 requests, 1 MiB both ways, HEAD, chunked both ways, range, gzip'ed upload, 304"


def check_streaming(server: OurServer, port: int, prefix: str, big: bytes) -> str:
    """A chunked upload reaches our handler while the client has yet to send its end."""

    def arrived() -> bool | None:
        return server.tell()["received"] == len(big) or None

    def body() -> Iterator[bytes]:
        yield big
        wait_for("first megabyte at the server", arrived)
        yield b"the end"

    with contextlib.closing(Front(port)) as front:
        assert front.ask("POST", f"{prefix}/count", body()) == str(len(big) + 7).encode()
    return "an upload is read while it is being sent"


def check_old(port: int, big: bytes) -> str:
    """nginx that speaks HTTP/1.0 with us, as it does by default: no chunks, no keep-alive."""
    with contextlib.closing(Front(port)) as front:
        assert front.ask("GET", "/old/stream").endswith(b"98\n99\n")
        assert front.ask("POST", "/old/echo", iter([big])) == big
        assert front.ask("GET", "/old/static/big.bin") == big
        assert front.ask("GET", "/old/static/big.bin", Range="bytes=-10") == big[-10:]
    return "HTTP/1.0: a stream, 1 MiB both ways, a range"


def check_statistics(port: int) -> str:
    """haproxy finds our server healthy, and uses its connections again."""

    def checked() -> dict[str, str] | None:
        with contextlib.closing(Front(port)) as front:
            text = front.ask("GET", "/-/stats;csv").decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        row = next(row for row in rows if (row["pxname"], row["svname"]) == ("ours", "first"))
        return row if row["check_status"] == "L7OK" else None

    row = wait_for("successful health check", checked)
    assert (row["status"], row["check_code"], row["chkfail"]) == ("UP", "200", "0"), row
    errors = {name: row[name] for name in ("econ", "eresp", "wretr", "wredis", "hrsp_5xx")}
    assert set(errors.values()) == {"0"}, errors
    connects, reuses = int(row["connect"]), int(row["reuse"])
    assert reuses > 10 * connects, (connects, reuses)
    return (
        f"httpchk {row['check_code']}, {connects} connections used {reuses} times again, 0 errors"
    )


def check_client(port: int, backend: str, big: bytes) -> str:
    """Our client in front of nginx."""
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    name = "trio" if backend == "trio" else "asyncio"
    anyio.run(_be_client, port, big, backend=name, backend_options=options)
    return "keep-alive, chunked, HEAD, 304, 404, 1 MiB both ways"


async def _be_client(port: int, big: bytes) -> None:
    async with httpclient.ClientSession(base_url=f"http://{HOST}:{port}/") as session:
        for _ in range(20):
            async with session.get("big.bin") as response:
                assert await response.read() == big
        async with session.get("proxied/stream") as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert (await response.read()).endswith(b"99\n")
        async with session.head("big.bin") as response:
            assert response.content_length == len(big)
            assert await response.read() == b""
            etag = response.headers["ETag"]
        async with session.get("big.bin", headers={"If-None-Match": etag}) as response:
            assert response.status == 304
            assert await response.read() == b""
        async with session.post("proxied/echo", data=big) as response:
            assert await response.read() == big
        async with session.get("missing") as response:
            assert response.status == 404
