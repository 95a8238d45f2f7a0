from __future__ import annotations

import dataclasses
import json
import re
import ssl
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpclient

from .conftest import Peer, Serve, response
from .test_ws_connect import chat

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
TREE = re.search(r"^```\n(ClientError\n.*?)^```$", README, re.DOTALL | re.MULTILINE)

# A word by which each block is known, and what it prints; `URL` is the server's.
EXPECTED: list[tuple[str, list[str]]] = [
    (
        "asyncio.run(main())",
        ["Status: 200", "Content-type: text/html", "Body: <!doctype html> ..."],
    ),
    ("raise_for_status=True,", ["URL/api/users/1 {'name': 'Ann'}"]),
    ("params=", ["URL/echo?q=a+b&page=2", "URL/echo?tag=x&tag=y"]),
    (
        "json={",
        [
            'application/json {"name": "Ann"}',
            "application/x-www-form-urlencoded name=Ann&town=K%C3%B6ln",
            "image/png bytes",
            "200",
        ],
    ),
    ("response.charset", ["200 OK application/json None", "Ann ['a', 'b']"]),
    ("iter_chunked", ["200000", "one", "two", "three"]),
    ("session.download", ["large.bin 200000 0"]),
    (
        "progress=show",
        ["200000 bytes sent", "200000", "200000 in 1 attempt", "6"],
    ),
    ("response.history", ["[302] /new", "302 /new"]),
    ("CookieJar", ["theme=dark; user=ann", "[('user', 'ann')]"]),
    ("ClientTimeout(total=60", ["200"]),
    ("/missing", ["404 Not Found"]),
    ("Retry(", ["200 at last"]),
    ("middlewares=[authorized]", ["200 yours"]),
    ("TraceConfig", ["GET / 200 first"]),
    (
        "ssl.create_default_context",
        ["secret", "refused: 127.0.0.1", "another certificate of 32 bytes"],
    ),
    ("proxy=", ["by proxy", "200"]),
    ("AddressPolicy", ["127.0.0.1 refused: is not public (public)"]),
    ("limit_per_host", ["http 1 1 2"]),
    ("sse()", ["message hello", "news world", "go on behind 7"]),
    ("ws_connect", ["hello/answer", "1000"]),
]


async def lines(peer: Peer) -> AsyncIterator[bytes]:
    """Read a body in chunks, a chunk at a time."""
    while True:
        line = b""
        while not line.endswith(b"\r\n"):
            line += await peer.read(1)
        size = int(line, 16)
        yield (await peer.read(size + 2))[:-2]
        if not size:
            return


class Site:
    """The server that the programs talk to, and the proxy."""

    def __init__(self) -> None:
        self.failures = 2

    async def __call__(self, peer: Peer) -> None:
        while True:
            head = (await peer.head()).decode()
            method, target, _ = head.split("\r\n")[0].split(" ")
            if target == "/chat":
                await chat(peer, head.encode())
                return
            fields = {
                name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*)\r$", head, re.M)
            }
            if fields.get("expect") == "100-continue":
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = b""
            if "transfer-encoding" in fields:
                body = b"".join([piece async for piece in lines(peer)])
            elif size := int(fields.get("content-length", 0)):
                body = await peer.read(size)
            await peer.send(self.answer(method, target, fields, body))

    def answer(self, method: str, target: str, fields: dict[str, str], body: bytes) -> bytes:
        path = target.partition("?")[0]
        match path:
            case "/":
                return response(b"<!doctype html>...", b"Content-Type: text/html\r\n")
            case "/api/users/1":
                head = b"Content-Type: application/json\r\nX-Tag: a\r\nX-Tag: b\r\n"
                return response(json.dumps({"name": "Ann"}).encode(), head)
            case "/echo":
                kind = fields.get("content-type")
                return response(f"{kind} ".encode() + body if kind else self.cookies(fields))
            case "/large":
                return response(bytes(200_000), b'ETag: "1"\r\n')
            case "/lines":
                return response(b"one\ntwo\r\nthree")
            case "/length":
                return response(str(len(body)).encode())
            case "/old":
                return response(b"", b"Location: /new\r\n", b"302 Found")
            case "/login":
                return response(b"", b"Set-Cookie: user=ann\r\n")
            case "/missing":
                return response(b"", status=b"404 Not Found")
            case "/flaky" if self.failures:
                self.failures -= 1
                return response(b"", status=b"503 Service Unavailable")
            case "/flaky":
                return response(b"at last")
            case "/mine" if fields["authorization"] == "Bearer new" and body == b"abc":
                return response(b"yours")
            case "/mine":
                return response(b"", status=b"401 Unauthorized")
            case "/events":
                events = b"data: hello\n\nevent: news\nid: 7\ndata: world\n\n"
                return response(events, b"Content-Type: text/event-stream\r\n")
        if target.endswith("/proxied") and target.startswith("http://"):
            login = httpclient.encode_basic_auth("ann", "secret")
            assert fields["proxy-authorization"] == login
            return response(b"by proxy")
        return response(b"ok")

    def cookies(self, fields: dict[str, str]) -> bytes:
        return "; ".join(sorted(fields.get("cookie", "").split("; "))).encode()


def program(block: str, urls: dict[str, str]) -> Any:
    """Return a block as an async function of a session."""
    for known, real in urls.items():
        block = block.replace(known, real)
    if "__main__" not in block:
        block = f"import httpclient\nasync def main(session):\n{textwrap.indent(block, '    ')}"
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(block, namespace)
    return namespace["main"]


def test_every_block_is_known() -> None:
    assert len(BLOCKS) == len(EXPECTED)
    assert all(word in block for (word, _), block in zip(EXPECTED, BLOCKS, strict=True))


@pytest.mark.parametrize("number", range(len(EXPECTED)))
async def test_block_prints_what_it_says(
    serve: Serve, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", "no-such-file")
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    authority = trustme.CA()
    authority.cert_pem.write_to_path("authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def secret(peer: Peer) -> None:
        await peer.answer(b"secret")

    async with serve(Site()) as site, serve(secret, tls=context) as tls:
        urls = {
            "127.0.0.1:8080": f"127.0.0.1:{site.port}",
            "127.0.0.1:3128": f"127.0.0.1:{site.port}",
            "127.0.0.1:8443": f"127.0.0.1:{tls.port}",
        }
        main = program(BLOCKS[number], urls)
        if "__main__" in BLOCKS[number]:
            await main()
        else:
            async with httpclient.ClientSession() as session:
                await main(session)

    printed = capsys.readouterr().out.replace(site.url.rstrip("/"), "URL")
    assert printed.splitlines() == EXPECTED[number][1]


async def test_table_of_timeouts_is_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+|none) \|.*\| `(\w+)` \|$", README, re.MULTILINE)
    async with httpclient.ClientSession() as session:
        defaults = dataclasses.asdict(session.timeout)
    del defaults["ceil_threshold"]
    assert {name: None if text == "none" else float(text) for name, text, _ in rows} == defaults
    for _, _, error in rows:
        assert error == "TimeoutError" or issubclass(getattr(httpclient, error), TimeoutError)


def test_tree_of_errors_is_true() -> None:
    above: list[type] = []
    assert TREE is not None
    for line in TREE[1].splitlines():
        mark = re.match(r"[^\w]*", line)
        assert mark is not None
        depth = len(mark[0]) // 4
        error = getattr(httpclient, line[mark.end() :].split()[0])
        assert issubclass(error, above[depth - 1] if depth else Exception)
        above[depth:] = [error]
        for name in re.findall(r"\b[A-Z]\w+Error\b", line.partition("  ")[2]):
            if hasattr(httpclient, name):
                assert issubclass(getattr(httpclient, name), error)
    assert len(above) > 1
