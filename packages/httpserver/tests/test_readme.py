from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpserver as web
from httpcore_proto import Limits

from .test_websocket import open_socket

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def post(path: str, body: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


_PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="user"\r\n\r\nanna\r\n'
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    b"\x89PNG\r\n--b--\r\n"
)
FORM = (
    f"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {len(_PARTS)}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
).encode() + _PARTS


# A word by which the block is known, and what it answers.
EXPECTED: list[tuple[str, list[tuple[bytes, int, str]]]] = [
    (
        "Anonymous",
        [(get("/"), 200, "Hello, Anonymous"), (get("/Ann%20B"), 200, "Hello, Ann B")],
    ),
    (
        "json_response",
        [
            (post("/add", "[1, 2, 3.5]"), 200, '{"sum": 6.5}'),
            (post("/add", "1"), 400, "expected a list"),
        ],
    ),
    (
        "StreamResponse",
        [(get("/count/3"), 200, "0\n1\n2\n"), (get("/count/x"), 404, "404: Not Found")],
    ),
    ("WebSocketResponse", [(get("/echo"), 400, "Upgrade does not say websocket\n")]),
    (
        "photo",
        [(FORM, 200, '{"user": "anna", "name": "a.png", "size": 4}')],
    ),
    (
        "add_static",
        [(get("/files/missing.txt"), 404, "404: Not Found")],
    ),
    (
        "RouteTableDef",
        [(get("/admin/anna"), 200, "Welcome, anna"), (get("/admin"), 404, "404: Not Found")],
    ),
    ("from trio", [(get("/"), 200, "Hello from trio")]),
    ("from uvloop", [(get("/"), 200, "Hello from uvloop")]),
    ("from a runner", [(get("/"), 200, "Hello from a runner")]),
]

# With what each block calls `run_app`; the last one does not.
RUNS: list[list[tuple[str, str | None]]] = [
    *[[("asyncio", None)]] * 7,
    [("trio", None)],
    [("asyncio", "uvloop")],
    [],
]


def test_every_block_is_known() -> None:
    assert len(BLOCKS) == len(EXPECTED)
    assert all(word in block for (word, _), block in zip(EXPECTED, BLOCKS, strict=True))


@pytest.mark.parametrize("number", range(len(EXPECTED)))
async def test_block_serves_what_it_says(serve: Any, number: int) -> None:
    namespace: dict[str, Any] = {"__name__": "readme", "__file__": __file__}
    exec(BLOCKS[number], namespace)

    async with serve(namespace["app"]) as origin:
        for request, status, text in EXPECTED[number][1]:
            answer = await origin.ask(request)
            assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_block_runs(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def run_app(app: web.Application, **kwargs: Any) -> None:
        backend, factory = kwargs.pop("backend", "asyncio"), kwargs.pop("loop_factory", None)
        assert not kwargs
        runs.append((backend, factory.__module__ if factory is not None else None))

    async def sleep_forever() -> None:
        """Stands for a server that runs until it is told to stop."""

    monkeypatch.setattr(web, "run_app", run_app)
    monkeypatch.setattr(anyio, "sleep_forever", sleep_forever)
    monkeypatch.setattr(web.TCPSite, "start", lambda self: sleep_forever())

    exec(BLOCKS[number], {"__name__": "__main__", "__file__": __file__})

    assert runs == RUNS[number]


async def test_websocket_block_greets(serve: Any) -> None:
    namespace: dict[str, Any] = {"__name__": "readme", "__file__": __file__}
    exec(next(block for block in BLOCKS if "WebSocketResponse" in block), namespace)

    async with serve(namespace["app"]) as origin:
        client = await open_socket(origin, path="/echo")
        await client.text("Anna")
        assert (await client.receive()).data == "Hello, Anna"
        await client.send(client.machine.send_bytes(b"\0"))
        assert (await client.receive()).data == b"\0"
        await client.send(client.machine.send_close())
        message = await client.receive()
        assert message.type is web.WSMsgType.close
        assert await client.end() is None


async def test_table_of_limits_is_true() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise AssertionError

    server = web.Server(handler)
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", README, re.MULTILINE))
    sizes = {"1 MiB": 2**20, "256 KiB": 2**18}

    for name in ("client_max_size", "read_bufsize"):
        assert getattr(server, name) == sizes[rows[name]]
    for name in ("head_timeout", "body_timeout", "lingering_time"):
        assert getattr(server, name) == float(rows[name])
    for name in Limits.__slots__:
        assert getattr(server.limits, name) == int(rows[f"limits.{name}"])
    assert rows["keepalive_timeout"].endswith(f"{server.keepalive_timeout:.0f} in `AppRunner`")
