"""Bodies of other kinds than bytes, content codings, and trailers."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

import httpserver as web
from httpcore_proto import decode_body, supported_codings
from httpcore_proto.aio import BytesPayload, FormData

TEXT = "some text that repeats itself. " * 100


def get(accept: str | None = None, version: str = "1.1", method: str = "GET") -> bytes:
    field = "" if accept is None else f"Accept-Encoding: {accept}\r\n"
    return f"{method} / HTTP/{version}\r\nHost: a\r\n{field}\r\n".encode()


# Kinds of bodies.


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


def form() -> Any:
    data = FormData()
    data.add_field("a", "b")
    return data()


@pytest.mark.parametrize(
    ("make", "fields", "body"),
    [
        (lambda: "ä", {"Content-Type": "text/plain; charset=utf-8"}, "ä".encode()),
        (lambda: io.BytesIO(b"abc"), {"Content-Type": "application/octet-stream"}, b"abc"),
        (lambda: BytesPayload(b"abc", content_type="x/y"), {"Content-Type": "x/y"}, b"abc"),
        (form, {"Content-Type": "application/x-www-form-urlencoded"}, b"a=b"),
        (pieces, {"Content-Type": "application/octet-stream"}, b"one two"),
    ],
)
async def test_body_can_be_a_payload(
    serve: Any, make: Any, fields: dict[str, str], body: bytes
) -> None:
    async def handler(request: web.Request) -> web.Response:
        made = make()
        return web.Response(body=made)

    async with serve(handler) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(get())
            answer = await peer.answer()
            assert answer.body == body
            assert dict(answer.headers).items() >= fields.items()
            sized = "Content-Length" in answer.headers
            assert sized is (make is not pieces)
            assert ("Transfer-Encoding" in answer.headers) is not sized


async def test_given_fields_win_over_those_of_the_payload(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body="x", content_type="text/html", headers={"X": "y"})

    async def other(request: web.Request) -> web.Response:
        return web.Response(body="x", headers={"Content-Type": "text/html"})

    for given in (handler, other):
        async with serve(given) as origin:
            answer = await origin.ask(get())
        assert answer.headers.getall("Content-Type") == ["text/html"]


async def test_file_is_closed_whether_sent_or_not(serve: Any, tmp_path: Any) -> None:
    path = tmp_path / "name.txt"
    path.write_bytes(b"content")
    files = []

    async def handler(request: web.Request) -> web.Response:
        file = path.open("rb")
        files.append(file)
        headers = {"X": "a\nb"} if request.method == "POST" else {}
        return web.Response(body=file, headers=headers)

    async with serve(handler) as origin:
        answer = await origin.ask(get())
        assert answer.body == b"content"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="name.txt"'
        assert answer.headers["Content-Length"] == "7"
        answer = await origin.ask(get(method="HEAD"), bodiless=True)
        assert answer.headers["Content-Length"] == "7"
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        assert (await origin.ask(post)).status == 500
        await origin.no_connections()
    assert [file.closed for file in files] == [True, True, True]


async def test_body_that_fails_on_its_way_is_cut(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("no more")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=broken())

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get())
        data = await peer.end()
    assert b"begun" in data
    assert not data.endswith(b"0\r\n\r\n")
    assert "no more" in caplog.text


# Content codings.


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("deflate, gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, gzip, zstd", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0", None),
        ("*", "br"),
        ("identity;q=1, gzip;q=0.5", None),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_client_decides_about_the_coding(
    serve: Any, accept: str | None, coding: str | None, streams: bool
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if not streams:
            response = web.Response(text=TEXT)
            response.enable_compression()
            assert response.compression
            return response
        stream = web.StreamResponse()
        stream.enable_compression()
        await stream.prepare(request)
        for _ in range(3):
            await stream.write(TEXT.encode()[:1000])
        await stream.write(TEXT.encode()[:100])
        return stream

    expected = TEXT.encode()[:1000] * 3 + TEXT.encode()[:100] if streams else TEXT.encode()
    async with serve(handler) as origin:
        answer = await origin.ask(get(accept))
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (decode_body(answer.body, coding) if coding else answer.body) == expected
    if not streams:
        assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("coding", web.ContentCoding)
@pytest.mark.parametrize("size", [10, 100000])
async def test_coding_can_be_forced(serve: Any, coding: web.ContentCoding, size: int) -> None:
    text = (TEXT * 40)[:size]

    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text=text)
        response.enable_compression(coding)
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(get("deflate;q=0"))
    assert "Vary" not in answer.headers
    if coding is web.ContentCoding.identity:
        assert answer.text == text
    else:
        assert answer.headers["Content-Encoding"] == coding.value
        assert decode_body(answer.body, coding.value) == text.encode()


async def test_payload_is_coded_on_its_way(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(body=io.BytesIO(TEXT.encode()))
        response.enable_compression()
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(get("gzip"))
        assert decode_body(answer.body, "gzip") == TEXT.encode()
        assert "Content-Length" not in answer.headers
        answer = await origin.ask(get())
        assert answer.text == TEXT
        answer = await origin.ask(get("gzip", version="1.0"))
        assert decode_body(answer.body, "gzip") == TEXT.encode()


async def test_what_has_a_coding_or_no_body_is_left_alone(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/coded":
            response = web.Response(body=b"coded", headers={"Content-Encoding": "x"})
        else:
            response = web.Response(status=204)
        response.enable_compression()
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(
            b"GET /coded HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        assert (answer.headers["Content-Encoding"], answer.body) == ("x", b"coded")
        answer = await origin.ask(get("gzip"), bodiless=True)
        assert "Content-Encoding" not in answer.headers


def test_codings_of_the_server_are_those_of_the_core() -> None:
    assert {*supported_codings(), "identity"} == {coding.value for coding in web.ContentCoding}


# Chunks and trailers.


async def test_trailers_are_sent_behind_a_body_in_chunks(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Trailer": "Digest"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(bytearray(b"abc"))
        response.trailers["Digest"] = "x"
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get())
        data = await peer.until(b"\r\n\r\n")
        assert await peer.until(b"\r\n\r\n") == b"3\r\nabc\r\n0\r\nDigest: x\r\n\r\n"
        assert b"Transfer-Encoding: chunked" in data
        # The next one is served over the same connection.
        await peer.send(get())
        await peer.until(b"Digest: x\r\n\r\n")


async def test_chunks_for_http10_are_an_error(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    async with serve(handler) as origin:
        assert (await origin.ask(get(version="1.0"))).status == 500
    assert "HTTP/1.0 has no chunks" in caplog.text


async def test_what_is_no_bytes_is_not_written(serve: Any) -> None:
    errors: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        assert response.keep_alive is None
        await response.prepare(request)
        assert response.keep_alive is True
        for data in ("text", 5, None):
            try:
                await response.write(data)  # type: ignore[arg-type]
            except TypeError as exc:
                errors.append(str(exc))
        response.force_close()
        assert response.keep_alive is False
        return response

    async with serve(handler) as origin:
        assert (await origin.ask(get())).body == b""
    assert len(errors) == 3


async def test_json_in_bytes(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_bytes_response({"a": 1}, dumps=lambda data: json.dumps(data).encode())

    async with serve(handler) as origin:
        answer = await origin.ask(get())
    assert (answer.headers["Content-Type"], answer.text) == ("application/json", '{"a": 1}')
    assert web.json_bytes_response(dumps=lambda data: b"", body=b"[]").body == b"[]"
    with pytest.raises(ValueError, match="excludes"):
        web.json_bytes_response(1, dumps=lambda data: b"", body=b"[]")


async def test_length_of_what_was_sent(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    responses: list[web.StreamResponse] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            response: web.StreamResponse = web.Response(body=b"abc")
        else:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"abc")
        responses.append(response)
        return response

    with caplog.at_level(logging.CRITICAL):
        async with serve(handler) as origin:
            for method in ("GET", "POST"):
                peer = await origin.connect()
                length = "" if method == "GET" else "Content-Length: 0\r\n"
                await peer.send(
                    f"{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{length}\r\n".encode()
                )
                data = await peer.rest()
                await origin.no_connections()
                assert responses[-1].body_length == len(data)
