"""The README's programs do what it says."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio

from .conftest import PATIENCE, MakePair

README = Path(__file__).parent.parent / "README.md"


def programs() -> list[dict[str, Any]]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    namespaces: list[dict[str, Any]] = []
    for block in blocks:
        namespace: dict[str, Any] = {}
        exec(block, namespace)
        namespaces.append(namespace)
    return namespaces


async def test_client_and_server() -> None:
    assert await programs()[0]["main"]() == "hello"


async def test_pieces(pair: MakePair) -> None:
    ws, far = pair()
    file = io.BytesIO()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(programs()[1]["copy"], ws, file)
        await far.send((0x02, b"large "), (0x80, b"message"))
        frames = [await far.frame() for _ in range(3)]
    assert file.getvalue() == b"large message"
    assert frames == [(0x02, b"first"), (0x00, b"second"), (0x80, b"")]


async def test_broadcast(pair: MakePair) -> None:
    server = SimpleNamespace(connections=[])
    far = []
    for _ in range(3):
        ws, end = pair()
        server.connections.append(ws)
        far.append(end)
    assert await programs()[2]["tell_everybody"](server) == 0
    assert [await end.frame() for end in far] == [(0x81, b"news")] * 3


async def test_lowest_level() -> None:
    with anyio.fail_after(PATIENCE):
        assert await programs()[3]["once"]() == b"ping pong"


def test_two_sides_talk() -> None:
    *_, handshake, echo = programs()
    client, server = handshake["open_both"]()
    assert client.compresses
    assert server.compresses
    answers = echo["answers"]
    sent = client.send_text("hello") + client.send_ping(b"1")
    for octets in answers(server, sent):
        client.receive_data(octets)
    assert client.next_event() == (1, "hello", "")
    assert client.next_event() == (10, b"1", "")
    (closing,) = answers(server, client.send_close(4000))
    client.receive_data(closing)
    assert client.next_event() == (8, 4000, "")
    assert client.closed


def test_error_is_answered() -> None:
    *_, handshake, echo = programs()
    _, server = handshake["open_both"]()
    assert echo["answers"](server, b"\x81\x00") == [b"\x88\x02\x03\xea"]
