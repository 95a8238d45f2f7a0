"""Checks of programs that talk to our server directly: curl, wrk, ab and a raw socket."""

import re
import socket
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from .programs import HOST, OurServer, finish


def answer(server: OurServer, *arguments: str) -> tuple[int, Message, bytes]:
    """Return status, fields and body that curl got."""
    head, _, body = server.curl("--include", *arguments).partition(b"\r\n\r\n")
    status_line, _, fields = head.partition(b"\r\n")
    return int(status_line.split()[1]), BytesHeaderParser().parsebytes(fields), body


def check_curl(server: OurServer, big: bytes, scratch: Path) -> str:
    status, _, body = answer(server, "{url}/")
    assert (status, body) == (200, b"Hello, World!")
    assert server.curl("--data-binary", "some body", "{url}/echo") == b"some body"
    assert server.curl("--http1.0", "{url}/stream").endswith(b"99\n")
    assert server.curl("--head", "{url}/").startswith(b"HTTP/1.1 200 OK")
    sent = scratch / "sent"
    sent.write_bytes(big)
    # Were there no 100, curl would be out of time before it sent the body.
    waits = ("--header", "Expect: 100-continue", "--expect100-timeout", "60")
    assert server.curl(*waits, "--data-binary", f"@{sent}", "{url}/echo") == big
    chunked = ("--header", "Transfer-Encoding: chunked", "--upload-file", str(sent))
    assert server.curl(*chunked, "{url}/echo") == big
    # Two transfers of one command share a connection.
    twice = ("-o", "/dev/null", "{url}/", "-o", "/dev/null", "{url}/")
    reused = server.curl("--write-out", "%{num_connects}\n", *twice).split()
    assert reused[-1] == b"0", reused
    return "GET, POST, HEAD, Expect, chunked PUT, HTTP/1.0 stream, keep-alive"


def check_files(server: OurServer, scratch: Path) -> str:
    """Ranges, conditions and codings of files; which way the content took is looked at."""
    data = (server.folder / "big.bin").read_bytes()
    size, url = len(data), "{url}/static/big.bin"
    before = server.tell()["sendfiles"]
    assert server.curl(url) == data
    status, fields, body = answer(server, "--head", url)
    assert (status, fields["Content-Length"], body) == (200, str(size), b"")
    assert fields["Accept-Ranges"] == "bytes", fields
    for asked, start, stop in [
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        ("-100", size - 100, size),
        (f"{size - 5}-", size - 5, size),
        (f"1-{size * 2}", 1, size),
    ]:
        status, fields, body = answer(server, "--range", asked, url)
        wanted = f"bytes {start}-{stop - 1}/{size}"
        assert (status, fields["Content-Range"]) == (206, wanted), (asked, status, fields.items())
        assert body == data[start:stop], asked
    status, fields, body = answer(server, "--range", f"{size}-", url)
    assert (status, fields["Content-Range"]) == (416, f"bytes */{size}"), (status, fields.items())
    part = scratch / "part"
    part.write_bytes(data[:1000])
    server.curl("--continue-at", "-", "--output", str(part), url)
    assert part.read_bytes() == data
    saved = str(scratch / "etag")
    server.curl("--etag-save", saved, "--remote-time", "--output", str(part), url)
    code = ("--output", str(scratch / "none"), "--write-out", "%{http_code}")
    assert server.curl("--etag-compare", saved, *code, url) == b"304"
    assert server.curl("--time-cond", str(part), *code, url) == b"304"
    assert server.curl("--header", "If-Range: Thu, 01 Jan 1970 00:00:00 GMT", "-r1-2", url) == data
    status, fields, body = answer(server, "--compressed", "{url}/static/text.txt")
    assert (status, fields["Content-Encoding"]) == (200, "gzip"), (status, fields.items())
    assert body == (server.folder / "text.txt").read_bytes()
    assert server.curl("--path-as-is", *code, "{url}/static/../app.py") == b"404"
    calls = server.tell()["sendfiles"] - before
    assert (calls == 0) == (server.trusted is not None), f"{calls} calls of sendfile"
    way = f"{calls} calls of sendfile" if calls else "read in threads"
    return f"206 and 416, resume, 304, If-Range, a gzip'ed variant; {way}"


def check_wrk(server: OurServer) -> str:
    output = finish("wrk", "-t1", "-c64", "-d3s", f"{server.url}/").decode()
    assert "Socket errors" not in output, output
    assert "Non-2xx" not in output, output
    return str(re.findall(r"[0-9]+ requests in [0-9.]+s", output)[0])


def check_ab(server: OurServer, path: str, count: int) -> str:
    """Load with HTTP/1.0 and its `Connection: keep-alive`."""
    output = finish("ab", "-q", "-k", "-n", str(count), "-c", "50", f"{server.url}{path}").decode()
    figures = dict(re.findall(r"^([A-Z][^:\n]+): +([0-9.]+)", output, re.MULTILINE))
    assert figures["Complete requests"] == str(count), output
    assert figures["Failed requests"] == "0", output
    assert "Non-2xx responses" not in figures, output
    assert figures["Keep-Alive requests"] == str(count), output
    return f"{count} requests, all kept alive, none failed; {figures['Requests per second']}/s"


def check_pipelining(server: OurServer) -> str:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection((HOST, server.port), timeout=20) as sock:
        sock.sendall(request * 99 + last)
        received = b""
        while data := sock.recv(65536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 100, received[-500:]
    return "100 requests in one segment, 100 answers"


def check_nodelay(server: OurServer) -> str:
    """With Nagle's algorithm, what comes in two pieces waits 40 ms for the client's ACK."""
    assert server.tell()["nodelay"], "TCP_NODELAY is off"
    return "TCP_NODELAY is on"
