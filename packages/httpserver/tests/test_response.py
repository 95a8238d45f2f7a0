from __future__ import annotations

import email.utils
import json
import logging
from typing import Any

import pytest

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_10 = b"GET / HTTP/1.0\r\n\r\n"
GET_10_KEEP_ALIVE = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def answering(make: Any) -> Any:
    """A handler that returns what `make` makes."""

    async def handler(request: web.Request) -> Any:
        return make()

    return handler


async def ask(serve: Any, make: Any, request: bytes = GET, **kwargs: Any) -> Any:
    async with serve(answering(make)) as origin:
        return await origin.ask(request, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"body": b"", "text": ""}, ValueError),
        ({"content_type": "text/html; charset=utf-8"}, ValueError),
        ({"headers": {"content-type": "a/b"}, "content_type": "a/b"}, ValueError),
        ({"headers": {"content-type": "a/b"}, "charset": "utf-8"}, ValueError),
        ({"text": b"bytes"}, TypeError),
        ({"body": 5}, ValueError),
    ],
)
def test_response_arguments_that_do_not_fit_are_refused(
    kwargs: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        web.Response(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "content_type", "text"),
    [
        ({"text": "é"}, "text/plain; charset=utf-8", "é"),
        ({"text": "é", "charset": "latin-1"}, "text/plain; charset=latin-1", "é"),
        ({"text": "é", "content_type": "text/html"}, "text/html; charset=utf-8", "é"),
        ({"text": "é", "headers": {"Content-Type": "a/b"}}, "a/b", "é"),
        ({"text": "é", "headers": {"X": "1"}}, "text/plain; charset=utf-8", "é"),
        (
            {"text": "é", "charset": "latin-1", "headers": {"X": "1"}},
            "text/plain; charset=latin-1",
            "é",
        ),
        ({"body": b"x"}, "application/octet-stream", "x"),
        ({"body": bytearray(b"x"), "content_type": "a/b"}, "a/b", "x"),
        (
            {"body": memoryview(b"x"), "content_type": "a/b", "charset": "ascii"},
            "a/b; charset=ascii",
            "x",
        ),
        ({}, None, None),
        ({"content_type": "a/b"}, "a/b", None),
    ],
)
async def test_response_content_type_and_text(
    serve: Any, kwargs: dict[str, Any], content_type: str | None, text: str | None
) -> None:
    """`content_type` and `text` forgot the type once there were other headers."""
    response = web.Response(**kwargs)

    assert response.text == text
    expected = (content_type or "application/octet-stream").partition(";")[0]
    assert response.content_type == expected

    answer = await ask(serve, lambda: web.Response(**kwargs))

    assert answer.headers.get("Content-Type") == content_type
    assert answer.body == (response.body or b"")
    assert answer.headers["Content-Length"] == str(len(answer.body))


async def test_response_without_arguments_is_empty(serve: Any) -> None:
    answer = await ask(serve, web.Response)

    assert answer.status_line == "HTTP/1.1 200 OK"
    assert list(answer.headers) == ["Date", "Server", "Content-Length"]
    assert email.utils.parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None
    assert answer.headers["Server"].startswith("Python/")


async def test_response_headers_are_sent_in_their_case(serve: Any) -> None:
    def make() -> web.Response:
        response = web.Response(headers=[("x-one", "1"), ("X-Two", "2")])
        response.headers.add("X-Two", "é")
        return response

    answer = await ask(serve, make)

    assert b"\r\nx-one: 1\r\nX-Two: 2\r\nX-Two: \xc3\xa9\r\n" in answer.head


def test_response_headers_show_the_content_type() -> None:
    assert web.Response(text="x").headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Type" not in web.Response().headers


@pytest.mark.parametrize("name", ["Date", "Server"])
async def test_response_own_date_or_server_stands_in_for_ours(serve: Any, name: str) -> None:
    """With a Date of the program's own, Server was missing."""
    answer = await ask(serve, lambda: web.Response(text="x", headers={name.lower(): "mine"}))

    assert answer.headers.getall(name) == ["mine"]
    assert len(answer.headers.getall("Date")) == 1
    assert len(answer.headers.getall("Server")) == 1
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("kwargs", "line"),
    [
        ({"status": 404}, "HTTP/1.1 404 Not Found"),
        ({"status": 404, "reason": "Gone Fishing"}, "HTTP/1.1 404 Gone Fishing"),
        ({"status": 299}, "HTTP/1.1 299 "),
        ({"reason": ""}, "HTTP/1.1 200 "),
    ],
)
async def test_response_status_line(serve: Any, kwargs: dict[str, Any], line: str) -> None:
    answer = await ask(serve, lambda: web.Response(**kwargs))

    assert answer.status_line == line


def test_response_set_status_replaces_both() -> None:
    response = web.Response(status=200, reason="Fine")
    assert (response.status, response.reason) == (200, "Fine")

    response.set_status(404)

    assert (response.status, response.reason) == (404, "Not Found")
    assert repr(response) == "<Response 404 Not Found>"
    assert web.Response(status=299).reason == ""


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [None, b"ignored", b"x" * 100_000])
async def test_response_without_body_has_no_length(
    serve: Any, status: int, body: bytes | None
) -> None:
    async with serve(answering(lambda: web.Response(status=status, body=body))) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(GET)
            answer = await peer.answer()
            assert answer.status == status
            assert "Content-Length" not in answer.headers
            assert "Transfer-Encoding" not in answer.headers


@pytest.mark.parametrize("size", [5, 100_000])
async def test_head_tells_the_length_and_sends_no_body(serve: Any, size: int) -> None:
    async with serve(answering(lambda: web.Response(body=b"x" * size))) as origin:
        peer = await origin.connect()
        await peer.send(HEAD + GET)
        head = await peer.answer(bodiless=True)
        answer = await peer.answer()

    assert head.headers["Content-Length"] == str(size)
    assert answer.status == 200
    assert len(answer.body) == size


async def test_large_body_arrives_whole(serve: Any) -> None:
    body = bytes(range(256)) * 4096

    async with serve(answering(lambda: web.Response(body=body))) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(GET)
            answer = await peer.answer()
            assert answer.headers["Content-Length"] == str(2**20)
            assert answer.body == body


async def test_large_body_with_chunked_asked_for_is_chunked(serve: Any) -> None:
    """A large body with `Transfer-Encoding` was given a length as well and never sent."""
    body = b"x" * 100_000

    answer = await ask(
        serve, lambda: web.Response(body=body, headers={"Transfer-Encoding": "chunked"})
    )

    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body == body


async def test_response_object_is_sent_again(serve: Any) -> None:
    response = web.Response(text="again")

    async with serve(answering(lambda: response)) as origin:
        assert [(await origin.ask(GET)).text for _ in range(2)] == ["again", "again"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [(GET, None), (GET_10_KEEP_ALIVE, "keep-alive"), (GET_10, "close")],
)
async def test_connection_field(serve: Any, request_: bytes, field: str | None) -> None:
    answer = await ask(serve, web.Response, request_)

    assert answer.headers.get("Connection") == field


@pytest.mark.parametrize("request_", [GET, GET_10_KEEP_ALIVE])
async def test_force_close_closes(serve: Any, request_: bytes) -> None:
    def make() -> web.Response:
        response = web.Response(text="bye", headers={"X": "1"})
        response.force_close()
        return response

    async with serve(answering(make)) as origin:
        peer = await origin.connect()
        await peer.send(request_)
        data = await peer.rest()

    assert b"\r\nConnection: close\r\n" in data
    assert data.endswith(b"\r\n\r\nbye")


async def test_http10_keep_alive_serves_the_next(serve: Any) -> None:
    async with serve(answering(lambda: web.Response(text="x"))) as origin:
        peer = await origin.connect()
        for _ in range(3):
            await peer.send(GET_10_KEEP_ALIVE)
            assert (await peer.answer()).text == "x"
        await peer.send(GET_10)
        assert (await peer.rest()).endswith(b"\r\n\r\nx")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X": "1"})
    assert not response.prepared
    await response.prepare(request)
    await response.prepare(request)
    assert response.prepared
    await response.write(b"one")
    await response.write(bytearray(b""))
    await response.write(memoryview(b"two"))
    return response


async def test_stream_is_chunked(serve: Any) -> None:
    async with serve(stream) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(GET)
            head = await peer.until(b"\r\n\r\n")
            assert b"\r\nTransfer-Encoding: chunked\r\n" in head
            assert b"\r\nContent-Type: application/octet-stream\r\n" in head
            body = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            assert await peer.exactly(len(body)) == body


@pytest.mark.parametrize("request_", [GET_10, GET_10_KEEP_ALIVE])
async def test_stream_to_http10_lasts_to_the_end(serve: Any, request_: bytes) -> None:
    async with serve(stream) as origin:
        peer = await origin.connect()
        await peer.send(request_)
        head, _, body = (await peer.rest()).partition(b"\r\n\r\n")

    assert body == b"onetwo"
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close" in head


async def test_stream_to_head_sends_no_body(serve: Any) -> None:
    async with serve(stream) as origin:
        peer = await origin.connect()
        await peer.send(HEAD + GET_10)
        assert (await peer.answer(bodiless=True)).status == 200
        assert (await peer.answer()).body == b"onetwo"


async def test_stream_with_length_is_not_chunked(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "6"})
        await response.prepare(request)
        await response.write(b"abc")
        await response.write_eof(b"def")
        await response.write_eof()
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(GET)

    assert "Transfer-Encoding" not in answer.headers
    assert answer.body == b"abcdef"


async def test_stream_returned_unprepared_is_empty(serve: Any) -> None:
    answer = await ask(serve, lambda: web.StreamResponse(status=202))

    assert (answer.status, answer.body) == (202, b"")


async def test_stream_misuse_is_told(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        with pytest.raises(RuntimeError, match="before prepare"):
            await response.write(b"x")
        with pytest.raises(RuntimeError, match="before prepare"):
            await response.write_eof()
        await response.prepare(request)
        with pytest.raises(RuntimeError, match="cannot change the status"):
            response.set_status(404)
        await response.write_eof(b"done")
        with pytest.raises(RuntimeError, match="after write_eof"):
            await response.write(b"x")
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(GET)

    assert (answer.status, answer.body) == (200, b"done")


async def test_response_prepared_by_hand_tells_its_length(serve: Any) -> None:
    """A Response prepared by hand was sent in chunks."""

    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text="by hand")
        await response.prepare(request)
        with pytest.raises(ValueError, match="given when it is made"):
            await response.write_eof(b"more")
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(GET)

    assert answer.headers["Content-Length"] == "7"
    assert answer.text == "by hand"


async def test_stream_sent_twice_is_an_error(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A StreamResponse returned a second time closed the connection without a word."""
    response = web.StreamResponse()

    async def handler(request: web.Request) -> web.StreamResponse:
        await response.prepare(request)
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        assert (await peer.answer()).status == 200
        await peer.send(GET)
        assert (await peer.answer()).status == 500

    assert "sent before" in caplog.text


@pytest.mark.parametrize(
    "kwargs",
    [
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"X\n": "a"}},
        {"headers": {"X": "a\0"}},
        {"headers": {"Content-Length": "17"}},
        {"headers": {"Transfer-Encoding": "gzip"}},
        {"reason": "a\r\nX: y"},
        {"status": 100},
        {"content_type": "a/b\r\nX: y"},
    ],
)
@pytest.mark.parametrize("kind", ["small", "large", "stream", "prepared"])
async def test_unsendable_response_is_a_well_framed_500(
    serve: Any, kwargs: dict[str, Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/good":
            return web.Response(text="good")
        if kind in ("stream", "prepared"):
            stream_kwargs = dict(kwargs)
            if (content_type := stream_kwargs.pop("content_type", None)) is not None:
                stream_kwargs["headers"] = {"Content-Type": content_type}
            if "Content-Length" in stream_kwargs.get("headers", ()):
                stream_kwargs["headers"] = {"Content-Length": "x"}
            response = web.StreamResponse(**stream_kwargs)
            if kind == "prepared":
                await response.prepare(request)
            return response
        if kind == "large" and "Content-Length" in kwargs.get("headers", ()):
            return web.Response(body=b"x" * 100_000, headers={"Content-Length": "x"})
        return web.Response(body=b"x" * (100_000 if kind == "large" else 10), **kwargs)

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        answer = await peer.answer()
        assert answer.status == 500
        assert answer.text == "500: Internal Server Error"
        assert "X" not in answer.headers
        assert (await origin.ask(GET.replace(b"/", b"/good", 1))).text == "good"

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("written", [b"ab", b"abcd"])
async def test_stream_that_breaks_its_length_is_aborted(
    serve: Any, written: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "3"})
        await response.prepare(request)
        await response.write(written)
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        data = await peer.end()

    assert not data.endswith(b"abc")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    ("kwargs", "content_type", "body"),
    [
        ({"data": {"é": [1, None]}}, "application/json; charset=utf-8", {"é": [1, None]}),
        ({"data": None}, "application/json; charset=utf-8", None),
        ({"text": "[1]"}, "application/json; charset=utf-8", [1]),
        ({"body": b"[1]"}, "application/json", [1]),
        ({"data": 1, "dumps": lambda data: f"[{data}]"}, "application/json; charset=utf-8", [1]),
        ({"data": 1, "content_type": "a/b+json", "status": 201}, "a/b+json; charset=utf-8", 1),
    ],
)
def test_json_response(kwargs: dict[str, Any], content_type: str, body: Any) -> None:
    response = web.json_response(**kwargs)

    assert response.headers["Content-Type"] == content_type
    assert response.status == kwargs.get("status", 200)
    assert json.loads(response.body or b"") == body


@pytest.mark.parametrize("kwargs", [{"text": "1"}, {"body": b"1"}])
def test_json_response_data_excludes_text_and_body(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="excludes"):
        web.json_response({}, **kwargs)


def test_response_is_a_mapping_and_always_true() -> None:
    response = web.Response()
    assert response
    assert not len(response)
    assert list(response) == []
    with pytest.raises(KeyError):
        response["a"]
    with pytest.raises(KeyError):
        del response["a"]

    response["a"] = 1

    assert response["a"] == 1
    assert (len(response), list(response)) == (1, ["a"])
    del response["a"]
    assert "a" not in response
    assert response != web.Response()
    assert len({response, response}) == 1
