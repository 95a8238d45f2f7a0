"""The README's programs do what it says."""

from __future__ import annotations

import gzip
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpcore_proto

README = Path(__file__).parent.parent / "README.md"


def programs() -> list[dict[str, Any]]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    namespaces: list[dict[str, Any]] = []
    for block in blocks:
        namespace: dict[str, Any] = {}
        exec(block, namespace)
        namespaces.append(namespace)
    return namespaces


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """A socket whose other end the README's server has."""
    ours, theirs = socket.socketpair()
    serve = programs()[0]["serve"]

    def run() -> None:
        with theirs:
            serve(theirs)

    thread = threading.Thread(target=run)
    thread.start()
    with ours:
        ours.settimeout(10)
        yield ours
    thread.join(10)
    assert not thread.is_alive()


def rest(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_server_is_about_forty_lines() -> None:
    block = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len([line for line in block.splitlines() if line.strip()]) <= 45


def test_client_fetches_from_the_server(peer: socket.socket) -> None:
    fetch = programs()[1]["fetch"]
    assert fetch(peer, "localhost", "/a?b") == (200, b"GET /a?b\n")
    assert fetch(peer, "localhost", "/again") == (200, b"GET /again\n")


def test_server_answers_pipelined_requests_then_refuses_a_bad_one(peer: socket.socket) -> None:
    peer.sendall(
        b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        b"HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /3 HTTP/1.1\r\n\r\n"
    )
    answers = rest(peer)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"\r\n\r\nPOST /1\nabcHTTP/1.1 200 OK\r\n" in answers
    assert answers.endswith(b"Connection: close\r\n\r\nHost header is missing\n")
    assert b"HTTP/1.1 400 Bad Request\r\n" in answers


def test_server_asks_for_an_expected_body(peer: socket.socket) -> None:
    peer.sendall(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(b"hi")
    assert rest(peer).endswith(b"\r\n\r\nPOST /\nhi")


def test_bodies_decode_and_parse() -> None:
    decoded_size = programs()[2]["decoded_size"]
    packed = gzip.compress(bytes(200_000))
    pieces = [packed[at : at + 100] for at in range(0, len(packed), 100)]
    assert decoded_size("gzip", pieces) == 200_000
    with pytest.raises(httpcore_proto.ContentEncodingError):
        decoded_size("gzip", pieces[:-1])

    form_sizes = programs()[3]["form_sizes"]
    head = b'Content-Disposition: form-data; name="%s"'
    body = b"--b\r\n%s\r\n\r\n12345\r\n--b\r\n%s\r\n\r\n\r\n--b--\r\n" % (head % b"x", head % b"y")
    assert form_sizes("b", [body]) == {"x": 5, "y": 0}
    with pytest.raises(httpcore_proto.MultipartError):
        form_sizes("b", [body[:-4]])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_form_goes_round(backend: str) -> None:
    round_trip = programs()[4]["round_trip"]
    assert anyio.run(round_trip, backend=backend) == [
        ("user", None, b"anna"),
        ("photo", "anna.png", b"\x89PNG"),
    ]
