"""Whatever comes, the answer is one line and the end, and the next client is served."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import httpserver as web
from httpcore_proto import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HOST = b"Host: a\r\n"

BAD: dict[str, tuple[bytes, int]] = {
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "binary": (bytes(range(256)), 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "http2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http09": (b"GET /\r\n\r\n", 505),
    "http12": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "http2-version": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "version-comma": (b"GET / HTTP/1,1\r\n" + HOST + b"\r\n", 400),
    "version-digits": (b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    "other-protocol": (b"GET / RTSP/1.0\r\n" + HOST + b"\r\n", 400),
    "method-unknown": (b"FROBNICATE / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "method-lower": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "method-no-token": (b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-space": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-tab": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-control": (b"GET /\x1b[2J HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-not-ascii": ("GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n", 400),
    "target-relative": (b"GET x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-asterisk": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-empty-host": (b"GET http:///x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-empty-userinfo-host": (b"GET http://u@/x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target-long": (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "target-endless": (b"GET /" + b"x" * 100_000, 414),
    "host-missing": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "host-twice": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "host-invalid": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "host-path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "field-space-before-colon": (GET[:-2] + b"X : y\r\n\r\n", 400),
    "field-without-colon": (GET[:-2] + b"nonsense\r\n\r\n", 400),
    "field-name-empty": (GET[:-2] + b": y\r\n\r\n", 400),
    "field-name-no-token": (GET[:-2] + b"X(y): z\r\n\r\n", 400),
    "field-folded": (GET[:-2] + b"X: y\r\n z\r\n\r\n", 400),
    "field-nul": (GET[:-2] + b"X: y\0z\r\n\r\n", 400),
    "field-bare-cr": (GET[:-2] + b"X: y\rZ: z\r\n\r\n", 400),
    "field-bare-lf": (GET[:-2] + b"X: y\nZ: z\r\n\r\n", 400),
    "field-large": (GET[:-2] + b"X: " + b"y" * 10_000 + b"\r\n\r\n", 431),
    "fields-many": (GET[:-2] + b"X: y\r\n" * 200 + b"\r\n", 431),
    "head-large": (GET[:-2] + (b"X: " + b"y" * 8000 + b"\r\n") * 10 + b"\r\n", 431),
    "both-framings": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "lengths-differ": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        400,
    ),
    "length-sign": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\n", 400),
    "length-negative": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\n", 400),
    "length-underscore": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\n", 400),
    "length-list": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\n", 400),
    "length-overflow": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 20 + b"\r\n\r\n",
        400,
    ),
    "coding-unknown": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "coding-before-chunked": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        501,
    ),
    "chunked-twice": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n",
        400,
    ),
    "chunked-not-last": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n",
        400,
    ),
    "chunked-obfuscated": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
        400,
    ),
    "chunked-http10": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "connect-path": (b"CONNECT /x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "connect-without-port": (b"CONNECT a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "blank-lines": (b"\r\n" * 10_000, 400),
}


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=await request.text() or "hello")


@pytest.mark.parametrize("name", BAD)
async def test_bad_request_is_answered_in_one_line_and_closed(
    serve: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    request, status = BAD[name]
    caplog.set_level(logging.DEBUG, "httpserver.server")

    async with serve(hello) as origin:
        peer = await origin.connect()
        await peer.send(request)
        answer = await peer.answer()
        assert answer.status == status
        assert answer.headers["Connection"] == "close"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text.endswith("\n")
        assert len(answer.text.splitlines()) == 1
        assert answer.text[:-1].isprintable()
        assert await peer.rest() == b""
        assert (await origin.ask(GET)).text == "hello"
        assert origin.server.requests_count == 1

    records = [record for record in caplog.records if record.name == "httpserver.server"]
    assert [record.levelno for record in records] == [logging.DEBUG]
    assert answer.text[:-1] in records[0].getMessage()


@pytest.mark.parametrize("name", BAD)
async def test_bad_request_behind_a_good_one(serve: Any, name: str) -> None:
    request, status = BAD[name]

    async with serve(hello) as origin:
        peer = await origin.connect()
        await peer.send(GET + request)
        assert (await peer.answer()).text == "hello"
        assert (await peer.answer()).status == status
        assert await peer.rest() == b""


@pytest.mark.parametrize("cut", [1, 5, 20, len(GET) - 1])
async def test_head_cut_by_the_end_is_400(serve: Any, cut: int) -> None:
    async with serve(hello) as origin:
        peer = await origin.connect()
        await peer.send(GET[:cut])
        await peer.send_eof()
        answer = await peer.answer()
        assert answer.status == 400
        assert answer.text == "connection closed inside a message head\n"
        assert await peer.rest() == b""


@pytest.mark.parametrize(
    ("limits", "at", "past", "status"),
    [
        (
            Limits(max_line_size=20),
            b"GET /" + b"x" * 19 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /" + b"x" * 20 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            414,
        ),
        (
            Limits(max_field_size=20),
            GET[:-2] + b"X: " + b"y" * 19 + b"\r\n\r\n",
            GET[:-2] + b"X: " + b"y" * 20 + b"\r\n\r\n",
            431,
        ),
        (
            Limits(max_headers=3),
            GET[:-2] + b"X: y\r\n" * 2 + b"\r\n",
            GET[:-2] + b"X: y\r\n" * 3 + b"\r\n",
            431,
        ),
    ],
)
async def test_limits_hold_at_the_edge_and_one_past_it(
    serve: Any, limits: Limits, at: bytes, past: bytes, status: int
) -> None:
    async with serve(hello, limits=limits) as origin:
        assert (await origin.ask(at)).status == 200
        assert (await origin.ask(past)).status == status
