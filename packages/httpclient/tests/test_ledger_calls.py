"""Rows of the ledger: sessions, calls and bodies.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import asyncio
import gc
import http.cookies
import inspect
import io
import json
import os
import threading
import warnings
import zlib
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

import httpclient
from httpcore_proto import HttpVersion
from httpcore_proto.aio import BodyPartReader, MultipartReader, MultipartWriter, StreamReader

from .answering import Asked, Site, at_rest, moved
from .conftest import Peer, Serve, response

# Programs.


async def test_program_of_the_readme(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """S004, S014: it prints what it says in a bare `asyncio.run`, and leaves no task behind."""
    left: list[Any] = []

    async def main(url: str) -> None:
        async with httpclient.ClientSession() as session:
            async with session.get(url) as resp:
                print("Status:", resp.status)
                print("Content-type:", resp.headers["content-type"])
                body = await resp.text()
                print("Body:", body[:15], "...")
        left.extend(asyncio.all_tasks() - {asyncio.current_task()})

    page = b"<!doctype html><html>"
    site = Site({"/": response(page, b"Content-Type: text/html; charset=utf-8\r\n")})
    async with serve(site) as origin:
        await anyio.to_thread.run_sync(asyncio.run, main(origin.url))
    assert capsys.readouterr().out == (
        "Status: 200\nContent-type: text/html; charset=utf-8\nBody: <!doctype html> ...\n"
    )
    assert left == []


async def test_life_of_a_request(serve: Serve) -> None:
    """S008: a session serves many requests, bodies are awaited, `with` is refused."""
    async with serve(Site()) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.get(origin.url) as resp:
                assert resp.status == 200
                for method in (resp.read, resp.text, resp.json):
                    assert inspect.iscoroutinefunction(method)
        with pytest.raises(TypeError, match="async with"):
            session.__enter__()
    assert origin.accepted == 1


async def test_many_requests_need_one_connection(serve: Serve) -> None:
    """S013: 300 small requests after each other; how long they take is the benchmarks' matter."""
    async with serve(Site()) as origin, httpclient.ClientSession() as session:
        for _ in range(300):
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"
    assert (origin.accepted, len(origin.heads)) == (1, 300)


async def test_example_of_tracing(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """S030: each line is printed once, and nothing is deprecated."""

    async def on_request_start(
        session: httpclient.ClientSession,
        trace_config_ctx: SimpleNamespace,
        params: httpclient.TraceRequestStartParams,
    ) -> None:
        print("Starting request")

    async def on_request_end(
        session: httpclient.ClientSession,
        trace_config_ctx: SimpleNamespace,
        params: httpclient.TraceRequestEndParams,
    ) -> None:
        print("Ending request")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace_config = httpclient.TraceConfig()
        trace_config.on_request_start.append(on_request_start)
        trace_config.on_request_end.append(on_request_end)
        async with serve(Site()) as origin:
            async with httpclient.ClientSession(trace_configs=[trace_config]) as session:
                await session.get(origin.url)
    assert capsys.readouterr().out == "Starting request\nEnding request\n"


async def test_quick_start(serve: Serve, tmp_path: Path) -> None:
    """S095: parameters, JSON, and a body that is written to a file in chunks."""
    body = bytes(range(256)) * 40
    site = Site({"/file": response(body)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url, params={"key1": "value1", "key2": "ü"}) as resp:
            assert str(resp.url) == f"{origin.url}?key1=value1&key2=%C3%BC"
        async with session.get(origin.url, params=[("key", "1"), ("key", "2")]):
            pass
        async with session.post(origin.url, json={"test": "object"}):
            pass
        async with session.get(f"{origin.url}file") as resp:
            with (tmp_path / "file").open("wb") as file:
                async for chunk in resp.content.iter_chunked(1000):
                    assert len(chunk) <= 1000
                    file.write(chunk)
    assert (tmp_path / "file").read_bytes() == body
    assert site.lines[:2] == ["GET /?key1=value1&key2=%C3%BC", "GET /?key=1&key=2"]
    assert site.asked[2].headers["Content-Type"] == "application/json"
    assert json.loads(site.asked[2].body) == {"test": "object"}


# Sessions.


async def test_session_tells_what_it_was_made_with() -> None:
    """S047: as properties; `auth` is among what is deprecated, and not there."""
    jar, timeout = httpclient.DummyCookieJar(), httpclient.ClientTimeout(total=1)
    config = httpclient.TraceConfig()
    given: dict[str, Any] = {
        "auto_decompress": False,
        "connector_owner": False,
        "cookie_jar": jar,
        "json_serialize": repr,
        "raise_for_status": True,
        "requote_redirect_url": False,
        "timeout": timeout,
        "trust_env": True,
        "version": httpclient.HttpVersion10,
    }
    session = httpclient.ClientSession(
        headers={"X-A": "1"},
        skip_auto_headers=["User-Agent"],
        trace_configs=[config],
        **given,
    )
    for name, value in given.items():
        assert getattr(session, name) is value
    assert session.headers == CIMultiDict({"X-A": "1"})
    assert session.skip_auto_headers == {"User-Agent"}
    assert session.trace_configs == (config,)
    session.detach()


def test_requoting_cannot_be_changed_later() -> None:
    """S206: `requote_redirect_url` is for reading."""
    session = httpclient.ClientSession()
    with pytest.raises(AttributeError):
        session.requote_redirect_url = False  # type: ignore[misc]
    session.detach()


@pytest.mark.parametrize("requote", [True, False])
async def test_place_of_a_redirect_is_spelled_anew_or_not(serve: Serve, requote: bool) -> None:
    """S171: also in debug mode, and without a warning."""
    site = Site({"/": moved("/%7Ea%2fb?q=%41%2B")})
    try:
        asyncio.get_running_loop().set_debug(True)
    except RuntimeError:
        pass  # trio has no such mode
    async with serve(site) as origin:
        async with httpclient.ClientSession(requote_redirect_url=requote) as session:
            assert session.requote_redirect_url is requote
            await session.get(origin.url)
    assert site.lines[1] == ("GET /~a%2Fb?q=A%2B" if requote else "GET /%7Ea%2fb?q=%41%2B")


async def test_size_of_the_buffer(serve: Serve) -> None:
    """S055: `read_bufsize` of session and call sets the marks of the stream."""
    site = Site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"})
    async with serve(site) as origin:
        async with httpclient.ClientSession(read_bufsize=5000) as session:
            for options, low in (({}, 5000), ({"read_bufsize": 7000}, 7000)):
                async with session.get(origin.url, **options) as resp:  # type: ignore[arg-type]
                    assert resp.content.get_read_buffer_limits() == (low, 2 * low)


async def test_short_time_out_is_kept_exactly(serve: Serve) -> None:
    """S059: 0.12 s are not rounded up to a second."""
    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with anyio.fail_after(0.9):
            with pytest.raises(TimeoutError, match=r"total timeout of 0\.12 s"):
                await session.get(origin.url, timeout=httpclient.ClientTimeout(total=0.12))


# The function of the module.


@pytest.mark.parametrize("fails", ["at connecting", "inside"])
async def test_session_of_the_function_is_closed_on_error(serve: Serve, fails: str) -> None:
    """S132: there is no warning about one that was not."""
    async with serve(Site()) as origin:
        url = origin.url if fails == "inside" else "http://127.0.0.1:1/"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises((httpclient.ClientConnectorError, LookupError)):
                async with httpclient.request("GET", url):
                    raise LookupError
            gc.collect()
        assert [str(item.message) for item in caught if "nclosed" in str(item.message)] == []


async def test_time_out_of_the_function(serve: Serve) -> None:
    """S178: `ClientTimeout` bounds it."""
    timeout = httpclient.ClientTimeout(sock_read=0.05)
    async with serve(Peer.closed) as origin:
        with pytest.raises(httpclient.SocketTimeoutError):
            async with httpclient.request("GET", origin.url, timeout=timeout):
                pass


async def test_status_of_the_function(serve: Serve) -> None:
    """S194: it is raised if asked for, or given to a function."""
    seen: list[int] = []

    async def check(resp: httpclient.ClientResponse) -> None:
        seen.append(resp.status)

    async with serve(Site({"/": response(status=b"404 No")})) as origin:
        async with httpclient.request("GET", origin.url) as resp:
            assert resp.status == 404
        with pytest.raises(httpclient.ClientResponseError) as info:
            async with httpclient.request("GET", origin.url, raise_for_status=True):
                pass
        assert info.value.status == 404
        async with httpclient.request("GET", origin.url, raise_for_status=check):
            pass
    assert seen == [404]


# Responses.


@pytest.mark.parametrize("status", [200, 302, 399, 400, 404, 500])
async def test_ok(serve: Serve, status: int) -> None:
    """S058: true below 400."""
    async with serve(Site({"/": response(status=b"%d X" % status)})) as origin:
        async with httpclient.ClientSession() as session, session.get(origin.url) as resp:
            assert resp.ok is (status < 400)


async def test_same_site_is_read_back(serve: Serve) -> None:
    """S051: from the cookies of a response."""
    site = Site({"/": response(b"", b"Set-Cookie: a=b; SameSite=Strict; Secure\r\n")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert resp.cookies["a"]["samesite"] == "Strict"


async def test_response_has_the_documented_types(serve: Serve) -> None:
    """S081: what a response tells is of the documented types."""
    types: dict[str, Any] = {
        "charset": str,
        "closed": bool,
        "connection": httpclient.Connection,
        "content": StreamReader,
        "content_disposition": httpclient.ContentDisposition,
        "content_length": int,
        "content_type": str,
        "cookies": http.cookies.SimpleCookie,
        "headers": CIMultiDictProxy,
        "history": tuple,
        "host": str,
        "links": MultiDictProxy,
        "method": str,
        "ok": bool,
        "raw_headers": tuple,
        "real_url": URL,
        "reason": str,
        "request_info": httpclient.RequestInfo,
        "status": int,
        "url": URL,
        "version": HttpVersion,
    }
    fields = b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n%b\r\nx" % fields
    async with serve(Site({"/": head})) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            wrong = [
                name for name, cls in types.items() if not isinstance(getattr(resp, name), cls)
            ]
            assert wrong == []
            assert isinstance(resp.release(), Awaitable)
        async with session.get(origin.url) as resp:
            assert isinstance(resp.headers, Mapping)


# Bodies.


@pytest.mark.parametrize("zlib_form", [True, False])
async def test_deflate_is_the_form_of_zlib(serve: Serve, zlib_form: bool) -> None:
    """S073: that of RFC 1950 is sent; without it, as some servers do it, it is read as well."""
    body = b"deflated " * 100
    coder = zlib.compressobj(wbits=15 if zlib_form else -15)
    coded = coder.compress(body) + coder.flush()
    site = Site({"/": response(coded, b"Content-Encoding: deflate\r\n")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=body, compress=True) as resp:
            assert await resp.read() == body
    (asked,) = site.asked
    assert asked.headers["Content-Encoding"] == "deflate"
    assert zlib.decompress(asked.body) == body


class Recorded(io.FileIO):
    """A file that notes in which threads it is read."""

    threads: set[threading.Thread]

    def readinto(self, buffer: Any) -> Any:
        self.threads.add(threading.current_thread())
        return super().readinto(buffer)


async def test_files_are_read_in_threads(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S160: neither `open` nor `read` of a body is called by the event loop."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2**20))
    threads: set[threading.Thread] = set()
    opened: set[threading.Thread] = set()
    os_open = os.open

    def record(name: Any, *args: Any, **options: Any) -> int:
        if str(name) == str(path):
            opened.add(threading.current_thread())
        return os_open(name, *args, **options)

    site = Site()
    async with serve(site) as origin, httpclient.ClientSession() as session:
        with Recorded(path) as raw:
            raw.threads = threads
            await session.post(origin.url, data=io.BufferedReader(raw), compress="gzip")
        monkeypatch.setattr(os, "open", record)
        await session.post(origin.url, data=path)
    assert site.asked[1].body == path.read_bytes()
    for seen in (threads, opened):
        assert seen
        assert threading.current_thread() not in seen


async def parts_of(reader: MultipartReader) -> list[Any]:
    """Read all parts: name or type, and content; a list for a nested one."""
    found: list[Any] = []
    while (part := await reader.next()) is not None:
        if isinstance(part, MultipartReader):
            found.append(await parts_of(part))
            continue
        assert isinstance(part, BodyPartReader)
        media_type = part.headers["Content-Type"].partition(";")[0]
        if media_type == "application/json":
            found.append(await part.json())
        elif media_type == "application/x-www-form-urlencoded":
            found.append(await part.form())
        elif part.filename:
            found.append((part.filename, bytes(await part.read())))
        else:
            found.append(await part.text())
    return found


async def test_example_of_multipart_sent(serve: Serve) -> None:
    """S102: each part of a writer goes out with its own fields."""
    site = Site()
    with MultipartWriter("mixed") as writer, MultipartWriter("related") as nested:
        writer.append("text")
        writer.append_json({"test": "passed"})
        writer.append_form([("key", "value")])
        part = writer.append(io.BytesIO(b"content"), {"Content-Type": "image/gif"})
        part.set_content_disposition("attachment", filename="a.gif")
        nested.append("inner", {"X-Inner": "1"})
        writer.append(nested)
        async with serve(site) as origin, httpclient.ClientSession() as session:
            await session.post(origin.url, data=writer)
    (asked,) = site.asked
    assert asked.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    for line in (
        b"Content-Type: image/gif\r\n",
        b'Content-Disposition: attachment; filename="a.gif"\r\n',
        b"X-Inner: 1\r\n",
        b"Content-Type: multipart/related; boundary=",
    ):
        assert line in asked.body
    content = StreamReader(None)
    content.feed_data(asked.body)
    content.feed_eof()
    assert await parts_of(MultipartReader(asked.headers, content)) == [
        "text",
        {"test": "passed"},
        [("key", "value")],
        ("a.gif", b"content"),
        ["inner"],
    ]


async def test_example_of_multipart_received(serve: Serve) -> None:
    """S103: `next` gives the parts of a response, a reader for a nested one, then None."""
    lines = [
        "--outer",
        "Content-Type: application/json",
        "",
        '{"a": 1}',
        "--outer",
        "Content-Type: multipart/related; boundary=inner",
        "",
        "--inner",
        "Content-Type: text/plain",
        "",
        "nested",
        "--inner--",
        "--outer",
        "Content-Type: image/gif",
        'Content-Disposition: attachment; filename="a.gif"',
        "",
        "content",
        "--outer--",
        "",
    ]
    body = "\r\n".join(lines).encode()
    site = Site({"/": response(body, b"Content-Type: multipart/mixed; boundary=outer\r\n")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            reader = MultipartReader.from_response(resp)
            found: list[Any] = []
            while (part := await reader.next()) is not None:
                if isinstance(part, MultipartReader):
                    found.append(await parts_of(part))
                elif part.filename:
                    found.append((part.filename, bytes(await part.read())))
                else:
                    found.append(await part.json())
        assert found == [{"a": 1}, ["nested"], ("a.gif", b"content")]
        assert at_rest(session)


async def test_request_that_came_is_what_was_asked(serve: Serve) -> None:
    """S014: nothing has to be set up: one call, one request."""
    site = Site()
    async with serve(site) as origin:
        async with httpclient.request("POST", origin.url, data=b"body") as resp:
            assert resp.status == 200
    (asked,) = site.asked
    assert isinstance(asked, Asked)
    assert (asked.method, asked.target, asked.body) == ("POST", "/", b"body")
