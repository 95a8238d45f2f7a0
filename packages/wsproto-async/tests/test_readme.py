"""The README's programs do what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"


def programs() -> list[dict[str, Any]]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    namespaces: list[dict[str, Any]] = []
    for block in blocks:
        namespace: dict[str, Any] = {}
        exec(block, namespace)
        namespaces.append(namespace)
    return namespaces


def test_two_sides_talk() -> None:
    handshake, echo = programs()
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
    handshake, echo = programs()
    _, server = handshake["open_both"]()
    assert echo["answers"](server, b"\x81\x00") == [b"\x88\x02\x03\xea"]
