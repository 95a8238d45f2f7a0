from __future__ import annotations

from typing import Any

import anyio
import pytest
from yarl import URL

import httpserver as web
from httpcore_proto import HttpVersion11


def get(path: str = "/p?q=1", *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a:81", *fields, "", ""]).encode()


def post(body: bytes, *fields: str) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(serve: Any, request: bytes, look: Any) -> None:
    """Let `look` make its assertions about the request."""

    async def handler(request: web.Request) -> web.Response:
        await look(request)
        return web.Response(text="looked")

    async with serve(handler) as origin:
        answer = await origin.ask(request)
    assert answer.text == "looked"


def facts(request: web.BaseRequest) -> dict[str, Any]:
    """Everything that a clone can have of its own, and what follows from it."""
    return {
        "method": request.method,
        "raw_path": request.raw_path,
        "path": request.path,
        "path_qs": request.path_qs,
        "query": dict(request.query),
        "url": str(request.url),
        "headers": dict(request.headers),
        "raw_headers": request.raw_headers,
        "cookies": dict(request.cookies),
        "content_type": request.content_type,
        "scheme": request.scheme,
        "secure": request.secure,
        "host": request.host,
        "remote": request.remote,
        "client_max_size": request.client_max_size,
        "client_max_fields": request.client_max_fields,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"method": "PUT"}, {"method": "PUT"}),
        (
            {"rel_url": "/a b/%2F?x=é#f"},
            {
                "raw_path": "/a%20b/%2F?x=%C3%A9",
                "path": "/a b//",
                "path_qs": "/a%20b/%2F?x=%C3%A9",
                "query": {"x": "é"},
                "url": "http://a:81/a%20b/%2F?x=%C3%A9",
            },
        ),
        (
            {"rel_url": "//x/y"},
            {
                "raw_path": "//x/y",
                "path": "//x/y",
                "path_qs": "//x/y",
                "query": {},
                "url": "http://a:81//x/y",
            },
        ),
        (
            {"rel_url": URL("/y?q=2")},
            {
                "raw_path": "/y?q=2",
                "path": "/y",
                "path_qs": "/y?q=2",
                "query": {"q": "2"},
                "url": "http://a:81/y?q=2",
            },
        ),
        (
            {"rel_url": "https://b:8/y#f"},
            {
                "raw_path": "https://b:8/y",
                "path": "/y",
                "path_qs": "/y",
                "query": {},
                "host": "b:8",
                "url": "http://b:8/y",
            },
        ),
        (
            {"headers": [("Cookie", "b=2"), ("Content-Type", "text/Y")]},
            {
                "headers": {"Cookie": "b=2", "Content-Type": "text/Y"},
                "raw_headers": ((b"Cookie", b"b=2"), (b"Content-Type", b"text/Y")),
                "cookies": {"b": "2"},
                "content_type": "text/y",
                # Host went with the others.
                "host": None,
                "url": None,
            },
        ),
        ({"scheme": "https"}, {"scheme": "https", "secure": True, "url": "https://a:81/p?q=1"}),
        ({"host": "b"}, {"host": "b", "url": "http://b/p?q=1"}),
        ({"remote": "1.2.3.4"}, {"remote": "1.2.3.4"}),
        ({"client_max_size": 0}, {"client_max_size": 0}),
        ({"client_max_fields": 7}, {"client_max_fields": 7}),
    ],
    ids=lambda value: next(iter(value), "nothing"),
)
async def test_clone_has_other_values_and_the_original_its_own(
    serve: Any, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    async def look(request: web.Request) -> None:
        before = facts(request)
        clone = request.clone(**changes)
        assert type(clone) is web.Request
        assert clone is not request
        found = facts(clone)
        for name, value in expected.items():
            if value is None:
                del before[name], found[name]
        assert found == {**before, **{k: v for k, v in expected.items() if v is not None}}
        assert {name: facts(request)[name] for name in before} == before
        # Of the connection, whatever else is changed.
        assert clone.version == HttpVersion11
        assert clone.keep_alive
        assert not clone.has_expect
        assert clone.content_length is None
        assert clone.exchange is request.exchange
        assert clone.content is request.content
        # A clone of a clone begins with what the clone has.
        assert facts(clone.clone(method="X"))["raw_headers"] == clone.raw_headers
        assert clone.clone().method == clone.method
        assert clone.clone().scheme == clone.scheme

    await ask(serve, get("/p?q=1", "Cookie: a=1", "Content-Type: text/x"), look)


@pytest.mark.parametrize("rel_url", ["x/y", "", "?a=1", URL("x"), "a:1"])
async def test_clone_without_a_path_is_refused(serve: Any, rel_url: Any) -> None:
    async def look(request: web.Request) -> None:
        with pytest.raises(ValueError, match="rel_url"):
            request.clone(rel_url=rel_url)

    await ask(serve, get(), look)


async def test_clone_asterisk_has_no_path(serve: Any) -> None:
    async def look(request: web.Request) -> None:
        assert request.clone(method="OPTIONS", rel_url="*").path == "*"

    await ask(serve, get(), look)


async def test_clone_copies_items(serve: Any) -> None:
    key = web.RequestKey("user", str)

    async def look(request: web.Request) -> None:
        request[key] = "ann"
        clone = request.clone()
        assert clone[key] == "ann"
        clone[key] = "bob"
        assert request[key] == "ann"

    await ask(serve, get(), look)


async def test_clone_reads_the_body(serve: Any) -> None:
    async def look(request: web.Request) -> None:
        clone = request.clone(method="PATCH")
        assert clone.body_exists
        assert clone.content_length == 3
        assert await clone.text() == "abc"

    await ask(serve, post(b"abc"), look)


@pytest.mark.parametrize(
    ("read", "fields"),
    [
        (lambda request: request.read(), []),
        (lambda request: request.post(), ["Content-Type: application/x-www-form-urlencoded"]),
        (lambda request: request.post(), ["Content-Type: multipart/form-data; boundary=b"]),
        (lambda request: request.multipart(), ["Content-Type: multipart/form-data; boundary=b"]),
    ],
    ids=["read", "urlencoded", "post-multipart", "multipart"],
)
async def test_clone_after_reading_is_refused(serve: Any, read: Any, fields: list[str]) -> None:
    async def look(request: web.Request) -> None:
        await read(request)
        with pytest.raises(RuntimeError, match="body was read"):
            request.clone()

    await ask(serve, post(b"--b--\r\n", *fields), look)


async def test_clone_after_an_interrupted_read_is_refused(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        with anyio.CancelScope() as scope:
            cut.append(scope)
            started.set()
            await request.read()
        with pytest.raises(RuntimeError, match="body was read"):
            request.clone()
        return web.Response(text="refused")

    cut: list[anyio.CancelScope] = []
    started = anyio.Event()
    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(post(b"abc")[:-1])
        await started.wait()
        await anyio.wait_all_tasks_blocked()
        cut[0].cancel()
        answer = await peer.answer()
        assert answer.text == "refused"


async def test_clone_of_a_middleware_arrives_with_its_limit(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        clone = request.clone(method="PUT", client_max_size=3, remote="9.9.9.9")
        response: web.StreamResponse = await handler(clone)
        return response

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.remote} {await request.text()}")

    app = web.Application(middlewares=[middleware])
    app.add_routes([web.post("/", handler)])
    async with serve(app) as origin:
        assert (await origin.ask(post(b"abc"))).text == "PUT 9.9.9.9 abc"
        assert (await origin.ask(post(b"abcd"))).status == 413
