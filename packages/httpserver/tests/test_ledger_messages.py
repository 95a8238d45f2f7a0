"""Rows of the ledger: requests and responses.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import array
import errno
import io
import logging
import os
import threading
import zlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy, istr
from yarl import URL

import httpserver as web
from httpcore_proto import ContentEncoder, HttpVersion
from httpcore_proto.aio import MultipartReader, StreamReader

TEXT = b"some text that is much shorter when it is coded; " * 500


def get(path: str = "/", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


def post(body: bytes, *lines: str, path: str = "/") -> bytes:
    return get(path, f"Content-Length: {len(body)}", *lines, method="POST") + body


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


# Requests.


async def test_read_bufsize_is_what_is_taken_before_the_handler_reads(serve: Any) -> None:
    """S055: a server with a large `read_bufsize` takes a body that no handler reads yet.

    That one with a small one does not, test_content_unread_stops_the_client shows.
    """
    size = 32 * 2**20
    go = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        await go.wait()
        taken = 0
        async for piece in request.content.iter_any():
            taken += len(piece)
        return web.Response(text=str(taken))

    async with serve(handler, read_bufsize=2 * size) as origin:
        peer = await origin.connect()
        await peer.send(post(bytes(size)))
        go.set()
        assert (await peer.answer()).text == str(size)


@pytest.mark.parametrize(
    "request_", [get(), get(method="POST"), get("/", "Content-Length: 0", method="POST")]
)
async def test_request_without_body(serve: Any, request_: bytes) -> None:
    """S075: `body_exists` is false without a body, and reading it gives nothing."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(
            [request.body_exists, request.can_read_body, (await request.read()).decode()]
        )

    async with serve(handler) as origin:
        assert (await origin.ask(request_)).text == '[false, false, ""]'


async def test_request_has_the_documented_types(serve: Any) -> None:
    """S081: what a request tells is of the documented types."""
    types: dict[str, Any] = {
        "app": web.Application,
        "body_exists": bool,
        "charset": str,
        "content": StreamReader,
        "content_length": int,
        "content_type": str,
        "cookies": Mapping,
        "headers": CIMultiDictProxy,
        "host": str,
        "http_range": slice,
        "if_match": type(None),
        "if_modified_since": type(None),
        "if_range": type(None),
        "keep_alive": bool,
        "match_info": web.UrlMappingMatchInfo,
        "method": str,
        "path": str,
        "path_qs": str,
        "query": MultiDictProxy,
        "query_string": str,
        "raw_headers": tuple,
        "raw_path": str,
        "rel_url": URL,
        "remote": str,
        "scheme": str,
        "secure": bool,
        "url": URL,
        "version": HttpVersion,
    }
    wrong: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        wrong.extend(
            name for name, kind in types.items() if not isinstance(getattr(request, name), kind)
        )
        if request.path == "/multipart":
            if not isinstance(await request.multipart(), MultipartReader):
                wrong.append("multipart")
            await request.release()
        else:
            for method, kind in (("read", bytes), ("text", str), ("post", MultiDictProxy)):
                if not isinstance(await getattr(request, method)(), kind):
                    wrong.append(method)
        return web.Response()

    async with serve(handler) as origin:
        form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
        assert (await origin.ask(post(b"a=b", form, "Cookie: c=d"))).status == 200
        multipart = "Content-Type: multipart/form-data; boundary=b; charset=utf-8"
        answer = await origin.ask(post(b"--b--\r\n", multipart, path="/multipart"))
        assert answer.status == 200
    assert wrong == []


async def test_raw_headers_are_what_was_sent(serve: Any) -> None:
    """S203: `raw_headers` is a tuple of pairs of bytes as they came, repeats kept."""
    found: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        found.append(request.raw_headers)
        return web.Response()

    async with serve(handler) as origin:
        await origin.ask(b"GET / HTTP/1.1\r\nhOST: a\r\nX-a: 2\r\nB:\xe9 \r\nx-A: 1\r\n\r\n")

    assert found == [((b"hOST", b"a"), (b"X-a", b"2"), (b"B", b"\xe9"), (b"x-A", b"1"))]
    assert type(found[0]) is tuple


# Responses.


async def test_deflate_is_the_zlib_format(serve: Any) -> None:
    """S073: `deflate` is RFC 1950 when sent, whole or in pieces."""

    async def handler(request: web.Request) -> web.StreamResponse:
        whole = request.path == "/whole"
        response = web.Response(body=TEXT) if whole else web.StreamResponse()
        response.enable_compression()
        if not whole:
            await response.prepare(request)
            await response.write(TEXT)
        return response

    async with serve(handler) as origin:
        for path in ("/whole", "/pieces"):
            answer = await origin.ask(get(path, "Accept-Encoding: deflate"))
            assert answer.headers["Content-Encoding"] == "deflate"
            assert zlib.decompress(answer.body) == TEXT


async def test_memoryview_counts_in_bytes(serve: Any) -> None:
    """S085: a view of items wider than a byte is as long as its bytes."""
    view = memoryview(array.array("I", range(100)))

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/whole":
            return web.Response(body=view)
        sized = request.path == "/sized"
        response = web.StreamResponse(headers={"Content-Length": str(view.nbytes)} if sized else {})
        await response.prepare(request)
        await response.write(view)
        return response

    async with serve(handler) as origin:
        for path in ("/whole", "/sized", "/chunked"):
            answer = await origin.ask(get(path))
            assert answer.body == view.tobytes()
            length = answer.headers.get("Content-Length")
            assert length == (None if path == "/chunked" else str(view.nbytes))


@pytest.mark.parametrize("attribute", ["secure", "httponly"])
@pytest.mark.parametrize("value", [True, False, None])
async def test_flag_of_a_cookie_is_set_if_true(
    serve: Any, attribute: str, value: bool | None
) -> None:
    """S098: `secure` and `httponly` add a bare attribute when true, and nothing else."""

    async def handler(request: web.Request) -> web.Response:
        response = web.Response()
        flags: dict[str, Any] = {attribute: value}
        response.set_cookie("name", "value", **flags)
        return response

    async with serve(handler) as origin:
        parts = (await origin.ask(get())).headers["Set-Cookie"].lower().split("; ")

    assert parts == ["name=value", "path=/", *([attribute] if value else [])]


@pytest.mark.parametrize("kind", ["memory", "pieces", "file"])
async def test_client_that_resets_is_no_news(
    serve: Any, reset: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """S136: a client that resets during a response leaves nothing in the log at WARNING."""
    size = 64 * 2**20
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            return web.Response(text="next")
        if kind == "memory":
            return web.Response(body=bytes(size))
        if kind == "file":
            return web.FileResponse(path)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(2**16))

    caplog.set_level(logging.DEBUG)
    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get("/large"))
        await peer.until(b"\r\n\r\n")
        await reset(peer)
        await origin.no_connections()
        assert (await origin.ask(get())).text == "next"

    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []


async def test_names_of_fields_may_be_istr(serve: Any) -> None:
    """S147: names may be given as `istr`, and stay without case."""
    headers = {istr("x-a"): "1", istr("CONTENT-type"): "x/y", istr("server"): "mine"}

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers[istr("HOST")] == "a"
        response = web.Response(body=b"x", headers=headers)
        response.headers[istr("X-B")] = response.headers["X-A"]
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(get())

    assert (answer.headers["X-A"], answer.headers["X-B"]) == ("1", "1")
    assert answer.headers.getall("Content-Type") == ["x/y"]
    assert answer.headers.getall("Server") == ["mine"]
    with pytest.raises(ValueError, match="Content-Type"):
        web.Response(headers=headers, content_type="a/b")


class Recorded(io.FileIO):
    """A file that knows who read it."""

    threads: set[threading.Thread]

    def readinto(self, buffer: Any) -> int:
        self.threads.add(threading.current_thread())
        return super().readinto(buffer) or 0

    def readall(self) -> bytes:
        self.threads.add(threading.current_thread())
        return super().readall()


async def test_files_are_read_in_threads(serve: Any, tmp_path: Path) -> None:
    """S160: `read` of a file that is a body is called in worker threads."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2**20))
    threads: set[threading.Thread] = set()

    async def handler(request: web.Request) -> web.Response:
        raw = Recorded(path)
        raw.threads = threads
        return web.Response(body=io.BufferedReader(raw))

    async with serve(handler) as origin:
        assert (await origin.ask(get())).body == path.read_bytes()

    assert threads
    assert threading.current_thread() not in threads


async def test_file_that_sendfile_cannot_read_is_served_whole(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S033: where sendfile does not work, a static file is served whole, and in ranges."""
    content = os.urandom(2**20 + 1)
    (tmp_path / "file").write_bytes(content)
    calls: list[int] = []

    def sendfile(*args: Any) -> int:
        calls.append(1)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", sendfile)
    app = web.Application()
    app.router.add_static("/files", tmp_path)

    async with serve(app) as origin:
        peer = await origin.connect()
        await peer.send(get("/files/file"))
        assert (await peer.answer()).body == content
        await peer.send(get("/files/file", "Range: bytes=1000-70000"))
        answer = await peer.answer()

    assert (answer.status, answer.body) == (206, content[1000:70001])
    assert len(calls) == 2


@pytest.fixture
def coded_in(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Return the threads in which bodies are coded."""
    threads: list[threading.Thread] = []
    real = ContentEncoder.encode

    def encode(self: ContentEncoder, *args: Any, **kwargs: Any) -> bytes:
        threads.append(threading.current_thread())
        return real(self, *args, **kwargs)

    monkeypatch.setattr(ContentEncoder, "encode", encode)
    return threads


@asynccontextmanager
async def coding(serve: Any, **options: Any) -> AsyncIterator[Any]:
    async def handler(request: web.Request) -> web.Response:
        body = TEXT[: int(request.match_info["path"])]
        response = web.Response(body=body, **options)
        response.enable_compression(web.ContentCoding.deflate)
        return response

    async with serve(handler) as origin:
        yield origin


async def test_large_body_is_coded_in_a_thread(
    serve: Any, coded_in: list[threading.Thread]
) -> None:
    """S177: a body above `zlib_executor_size` is coded in a thread, a shorter one is not."""
    async with coding(serve, zlib_executor_size=5000) as origin:
        for size in (5000, 5001):
            answer = await origin.ask(get(f"/{size}"))
            assert zlib.decompress(answer.body) == TEXT[:size]

    here = threading.current_thread()
    assert [thread is here for thread in coded_in] == [True, False]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_large_body_is_coded_in_the_executor_given(
    serve: Any, coded_in: list[threading.Thread]
) -> None:
    """S177: with a `zlib_executor` the body is coded there."""
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        async with coding(serve, zlib_executor_size=5000, zlib_executor=executor) as origin:
            answer = await origin.ask(get("/5001"))

    assert zlib.decompress(answer.body) == TEXT[:5001]
    assert [thread.name[:4] for thread in coded_in] == ["mine"]


@pytest.mark.parametrize("kind", [web.Response, web.StreamResponse])
@pytest.mark.parametrize("make", [dict, CIMultiDict, lambda pairs: CIMultiDictProxy(pairs)])
async def test_headers_of_any_kind_of_mapping(serve: Any, kind: Any, make: Any) -> None:
    """S185: `headers` may be a CIMultiDictProxy, repeated names included, or a dict."""
    pairs = CIMultiDict([("X", "1"), ("Y", "2"), *([] if make is dict else [("x", "3")])])

    async def handler(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = kind(headers=make(pairs))
        return response

    async with serve(handler) as origin:
        headers = (await origin.ask(get())).headers

    assert headers.getall("X") == pairs.getall("X")
    assert headers.getall("Y") == ["2"]


@pytest.mark.parametrize("flag", [True, False])
def test_compression_takes_no_flag(flag: bool) -> None:
    """S208: `enable_compression` takes a coding or None, and refuses a flag."""
    with pytest.raises((TypeError, ValueError)):
        web.Response(body=b"x").enable_compression(flag)  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", [None, *web.ContentCoding])
def test_compression_takes_a_coding(coding: web.ContentCoding | None) -> None:
    """S208: all codings and None are taken without a warning."""
    response = web.Response(body=b"x")
    response.enable_compression(coding)

    assert response.compression
