from __future__ import annotations

import errno
import gzip
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpserver as web

MTIME = 1_700_000_000
DATE = formatdate(MTIME, usegmt=True)
CONTENT = bytes(range(256)) * 4
ETAG = f'"{MTIME * 10**9:x}-{len(CONTENT):x}"'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    os.utime(path, (MTIME, MTIME))
    return path


def sends(path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, *args, **kwargs)

    return handler


def asks(*lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    head = [f"{method} / HTTP/{version}", "Host: a", *lines, "", ""]
    return "\r\n".join(head).encode()


def variant(path: Path, suffix: str, content: bytes) -> Path:
    beside = path.with_name(path.name + suffix)
    beside.write_bytes(content)
    return beside


def open_files(path: Path) -> list[str]:
    return [
        link
        for fd in os.listdir("/proc/self/fd")
        if (link := _target(f"/proc/self/fd/{fd}")).startswith(str(path))
    ]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


async def test_whole_file(serve: Any, path: Path) -> None:
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks() * 2)
        answers = [await peer.answer(), await peer.answer()]

    for answer in answers:
        assert answer.status_line == "HTTP/1.1 200 OK"
        assert answer.body == CONTENT
        assert answer.headers["Content-Length"] == str(len(CONTENT))
        assert answer.headers["ETag"] == ETAG
        assert answer.headers["Last-Modified"] == DATE
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "Vary" not in answer.headers
        assert "Content-Encoding" not in answer.headers


async def test_head_tells_what_get_would(serve: Any, path: Path) -> None:
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks(method="HEAD"))
        head = await peer.answer(bodiless=True)
        await peer.send(asks())
        get = await peer.answer()

    ours, theirs = dict(head.headers), dict(get.headers)
    ours.pop("Date")
    theirs.pop("Date")
    assert ours == theirs
    assert get.body == CONTENT


async def test_http_1_0(serve: Any, path: Path) -> None:
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(version="1.0"))

    assert answer.body == CONTENT


async def test_empty_file(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    async with serve(sends(tmp_path / "empty")) as origin:
        answer = await origin.ask(asks())
        ranged = await origin.ask(asks("Range: bytes=0-"))

    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert (ranged.status, ranged.headers["Content-Range"]) == (416, "bytes */0")


async def test_over_tls(serve: Any, path: Path, server_tls: Any, client_tls: Any) -> None:
    async with serve(sends(path), ssl_context=server_tls) as origin:
        peer = await origin.connect(tls=client_tls)
        await peer.send(asks())
        answer = await peer.answer()
        await peer.close()

    assert answer.body == CONTENT


async def test_large_file_is_the_same(serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(5 * 2**20 + 1))
    async with serve(sends(str(path))) as origin:
        answer = await origin.ask(asks())

    assert answer.body == path.read_bytes()


async def test_range_of_a_file_of_5_gib(serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)
        file.seek(2**32 + 10)
        file.write(b"needle")
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(f"Range: bytes={2**32 + 9}-{2**32 + 16}"))
        head = await origin.ask(asks(method="HEAD"), bodiless=True)

    assert answer.body == b"\0needle\0"
    assert answer.headers["Content-Range"] == f"bytes {2**32 + 9}-{2**32 + 16}/{5 * 2**30}"
    assert head.headers["Content-Length"] == str(5 * 2**30)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.html", "text/html"),
        ("A.HTML", "text/html"),
        ("a.js", "text/javascript"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.txt.br", "application/x-brotli"),
        ("a.bz2", "application/x-bzip2"),
        ("a.xz", "application/x-xz"),
        ("a.Z", "application/x-compress"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("data:text,a", "application/octet-stream"),
    ],
)
async def test_media_type_by_suffix(serve: Any, tmp_path: Path, name: str, media_type: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    async with serve(sends(tmp_path / name)) as origin:
        answer = await origin.ask(asks())

    assert answer.headers.getall("Content-Type") == [media_type]


async def test_what_is_given_wins(serve: Any, path: Path) -> None:
    given = {
        "Content-Type": "a/b",
        "ETag": '"mine"',
        "Last-Modified": formatdate(1, usegmt=True),
        "Accept-Ranges": "none",
        "X": "1",
    }
    async with serve(sends(path, status=203, reason="Mine", headers=given)) as origin:
        answer = await origin.ask(asks())
        same = await origin.ask(asks('If-None-Match: "mine"'))
        unmodified = await origin.ask(asks(f"If-Modified-Since: {formatdate(1, usegmt=True)}"))
        ranged = await origin.ask(asks("Range: bytes=0-1"))

    assert answer.status_line == "HTTP/1.1 203 Mine"
    assert answer.headers.items() >= given.items()
    assert answer.body == CONTENT
    assert (same.status, unmodified.status) == (304, 304)
    assert (ranged.status, ranged.body) == (203, CONTENT)


async def test_content_type_set_afterwards_and_odd_validators(serve: Any, path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path, headers={"ETag": "odd", "Last-Modified": "odd"})
        response.content_type = "text/plain"
        response.set_cookie("a", "b")
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(asks("If-Match: *"))
        other = await origin.ask(asks(f"If-Modified-Since: {DATE}", "If-None-Match: *"))

    assert answer.status == 412
    assert (other.status, other.body) == (200, CONTENT)
    assert other.headers["Content-Type"] == "text/plain"
    assert other.headers["Set-Cookie"].startswith("a=b")


async def test_error_page_takes_no_conditions(serve: Any, path: Path) -> None:
    async with serve(sends(path, status=404)) as origin:
        answer = await origin.ask(asks("If-None-Match: *", "Range: bytes=0-1"))

    assert (answer.status, answer.body) == (404, CONTENT)


@pytest.mark.parametrize("mtime", [2**33, -(2**30)])
async def test_date_that_cannot_be(serve: Any, path: Path, mtime: int) -> None:
    """RFC 9110 section 8.8.2.1: never later than Date."""
    os.utime(path, (mtime, mtime))
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())
        again = await origin.ask(asks(f"If-Modified-Since: {answer.headers['Last-Modified']}"))

    told, now = (parsedate_to_datetime(answer.headers[name]) for name in ("Last-Modified", "Date"))
    assert datetime(1970, 1, 1, tzinfo=UTC) <= told <= now
    assert again.status == 304


# Conditions.

BEFORE, AFTER = formatdate(MTIME - 1, usegmt=True), formatdate(MTIME + 1, usegmt=True)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"If-Match: {ETAG}"], 200),
        ([f'If-Match: "x", {ETAG}'], 200),
        (['If-Match: "x"', f"If-Match: {ETAG}"], 200),
        (["If-Match: *"], 200),
        (['If-Match: "x"'], 412),
        ([f"If-Match: W/{ETAG}"], 412),
        (["If-Match: x"], 412),
        ([f"If-Unmodified-Since: {DATE}"], 200),
        ([f"If-Unmodified-Since: {AFTER}"], 200),
        ([f"If-Unmodified-Since: {BEFORE}"], 412),
        (["If-Unmodified-Since: yesterday"], 200),
        ([f"If-Match: {ETAG}", f"If-Unmodified-Since: {BEFORE}"], 200),
        ([f"If-None-Match: {ETAG}"], 304),
        ([f"If-None-Match: W/{ETAG}"], 304),
        (["If-None-Match: *"], 304),
        (['If-None-Match: "x"'], 200),
        (["If-None-Match: x"], 200),
        ([f"If-Modified-Since: {DATE}"], 304),
        ([f"If-Modified-Since: {AFTER}"], 304),
        ([f"If-Modified-Since: {BEFORE}"], 200),
        (["If-Modified-Since: yesterday"], 200),
        (['If-None-Match: "x"', f"If-Modified-Since: {DATE}"], 200),
        (['If-Match: "x"', f"If-None-Match: {ETAG}"], 412),
        ([f"If-Match: {ETAG}", f"If-None-Match: {ETAG}"], 304),
        ([f"If-Unmodified-Since: {BEFORE}", f"If-Modified-Since: {DATE}"], 412),
        ([f"If-None-Match: {ETAG}", "Range: bytes=0-1"], 304),
        (['If-Match: "x"', "Range: bytes=5000-"], 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_condition(
    serve: Any, path: Path, lines: list[str], status: int, method: str
) -> None:
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks(*lines, method=method) + asks())
        answer = await peer.answer(bodiless=method == "HEAD")
        following = await peer.answer()

    assert answer.status == status
    if status == 304:
        assert answer.headers["ETag"] == ETAG
        assert answer.headers["Last-Modified"] == DATE
        assert answer.headers.keys().isdisjoint({"Content-Type", "Content-Length"})
    elif status == 412:
        assert answer.headers["Content-Length"] == "0"
    assert following.body == CONTENT


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("If-None-Match: *", 412),
        (f"If-Modified-Since: {DATE}", 200),
        ("Range: bytes=0-1", 200),
        ('If-Match: "x"', 412),
    ],
)
async def test_condition_of_another_method(serve: Any, path: Path, line: str, status: int) -> None:
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(line, "Content-Length: 0", method="POST"))

    assert answer.status == status


async def test_fractions_of_seconds_do_not_count(serve: Any, path: Path) -> None:
    os.utime(path, ns=(0, MTIME * 10**9 + 999_999_999))
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())
        again = await origin.ask(asks(f"If-Modified-Since: {answer.headers['Last-Modified']}"))

    assert answer.headers["Last-Modified"] == DATE
    assert again.status == 304


# Ranges.


@pytest.mark.parametrize(
    ("value", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("BYTES=10-", 10, 1024),
        ("bytes=1000-5000", 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-5000", 0, 1024),
        ("bytes=0-", 0, 1024),
    ],
)
async def test_range(serve: Any, path: Path, value: str, start: int, stop: int) -> None:
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(f"Range: {value}"))

    assert answer.status_line == "HTTP/1.1 206 Partial Content"
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/1024"
    assert answer.headers["ETag"] == ETAG
    assert answer.body == CONTENT[start:stop]


@pytest.mark.parametrize(
    "value",
    [
        "bytes=1024-",
        "bytes=99999999999999999999-",
        "bytes=5-3",
        "bytes=-0",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes:0-10",
        "bytes=\u0661-",
        "x",
    ],
)
async def test_range_that_there_is_not(serve: Any, path: Path, value: str) -> None:
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks(f"Range: {value}") + asks())
        answer = await peer.answer()
        following = await peer.answer()

    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */1024"
    assert answer.headers["Content-Length"] == "0"
    assert following.body == CONTENT


@pytest.mark.parametrize(
    "lines",
    [
        ["Range: bytes=0-1,3-4"],
        ["Range: bytes=" + ",".join(["0-"] * 2000)],
        ["Range: lines=0-1"],
        ["Range: bytes=0-1", 'If-Range: "x"'],
        ["Range: bytes=0-1", f"If-Range: W/{ETAG}"],
        ["Range: bytes=0-1", f"If-Range: {BEFORE}"],
        ["Range: bytes=0-1", f"If-Range: {AFTER}"],
        ["Range: bytes=0-1", "If-Range: *"],
        ["Range: bytes=5000-", "If-Range: nonsense"],
        [f"If-Range: {ETAG}"],
    ],
)
async def test_range_is_ignored(serve: Any, path: Path, lines: list[str]) -> None:
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(*lines))

    assert (answer.status, answer.body) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("validator", [ETAG, DATE])
async def test_if_range_that_holds(serve: Any, path: Path, validator: str) -> None:
    """If-Range with an entity tag was taken for absent in aiohttp; here it is compared."""
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks("Range: bytes=0-1", f"If-Range: {validator}"))

    assert (answer.status, answer.body) == (206, CONTENT[:2])


async def test_head_has_no_ranges(serve: Any, path: Path) -> None:
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks("Range: bytes=0-1", method="HEAD"), bodiless=True)

    assert (answer.status, answer.headers["Content-Length"]) == (200, "1024")


# Variants.


@pytest.mark.parametrize(
    ("there", "accepted", "coding"),
    [
        ([".br", ".zst", ".gz"], "gzip, br, zstd", "br"),
        ([".zst", ".gz"], "gzip, br, zstd", "zstd"),
        ([".br", ".gz"], "br;q=0.5, gzip", "gzip"),
        ([".br", ".gz"], "*", "br"),
        ([".gz"], "x-gzip", "gzip"),
        ([".gz"], "GZIP", "gzip"),
        ([".gz"], "gzip;q=0", None),
        ([".gz"], "br", None),
        ([".gz"], "notgzip", None),
        ([".gz"], "gzip;q=0.5, identity", None),
        ([".gz"], None, None),
    ],
)
async def test_variant_that_the_client_likes_best(
    serve: Any, path: Path, there: list[str], accepted: str | None, coding: str | None
) -> None:
    for suffix in there:
        variant(path, suffix, suffix.encode())
    lines = [] if accepted is None else [f"Accept-Encoding: {accepted}"]
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks(*lines))

    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    suffixes = {"br": b".br", "zstd": b".zst", "gzip": b".gz", None: CONTENT}
    assert answer.body == suffixes[coding]
    assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_variant_has_its_own_validators_and_ranges(serve: Any, path: Path) -> None:
    beside = variant(path, ".gz", b"0123456789")
    os.utime(beside, (1, 1))
    accepts = "Accept-Encoding: gzip"
    async with serve(sends(path, headers={"Vary": "Cookie"})) as origin:
        answer = await origin.ask(asks(accepts, "Range: bytes=2-3"))
        plain = await origin.ask(asks(f"If-None-Match: {answer.headers['ETag']}"))
        same = await origin.ask(asks(accepts, f"If-None-Match: {answer.headers['ETag']}"))

    assert (answer.status, answer.body) == (206, b"23")
    assert answer.headers["Content-Range"] == "bytes 2-3/10"
    assert answer.headers["Last-Modified"] == formatdate(1, usegmt=True)
    assert answer.headers["ETag"] == f'"{10**9:x}-a"'
    assert answer.headers.getall("Vary") == ["Cookie", "Accept-Encoding"]
    assert plain.status == 200
    assert same.status == 304
    assert "Accept-Encoding" in same.headers.getall("Vary")


async def test_variants_that_are_no_files_of_their_own(serve: Any, path: Path) -> None:
    (path.parent / "secret").write_bytes(b"secret")
    path.with_name("file.bin.gz").symlink_to(path.parent / "secret")
    path.with_name("file.bin.br").mkdir()
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks("Accept-Encoding: gzip, br"))

    assert answer.body == CONTENT
    assert "Vary" not in answer.headers


async def test_variant_that_cannot_be_opened(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant(path, ".br", b"br")
    variant(path, ".gz", b"gz")
    real = os.open

    def refuse(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name).endswith(".br"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks("Accept-Encoding: gzip, br"))

    assert answer.body == b"gz"


async def test_file_that_the_program_says_is_coded(serve: Any, path: Path) -> None:
    variant(path, ".gz", b"twice")
    async with serve(sends(path, headers={"Content-Encoding": "gzip"})) as origin:
        answer = await origin.ask(asks("Accept-Encoding: gzip"))

    assert answer.body == CONTENT
    assert answer.headers.getall("Content-Encoding") == ["gzip"]


# Coding while sending.


@pytest.mark.parametrize("chunk_size", [2**18, 100])
async def test_compression(serve: Any, path: Path, chunk_size: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path, chunk_size)
        response.enable_compression()
        return response

    accepts = "Accept-Encoding: gzip"
    async with serve(handler) as origin:
        answer = await origin.ask(asks(accepts, "Range: bytes=0-1"))
        strong = await origin.ask(asks(accepts, f"If-Match: {ETAG}"))
        plain = await origin.ask(asks("Range: bytes=0-1"))
        same = await origin.ask(asks(accepts, f"If-None-Match: {ETAG}"))
        head = await origin.ask(asks(accepts, method="HEAD"), bodiless=True)

    assert answer.status == 200
    assert gzip.decompress(answer.body) == CONTENT
    assert answer.headers["ETag"] == f"W/{ETAG}"
    assert answer.headers.keys().isdisjoint({"Accept-Ranges", "Content-Length"})
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert strong.status == 412
    assert (plain.status, plain.body) == (206, CONTENT[:2])
    assert (same.status, same.headers["ETag"]) == (304, f"W/{ETAG}")
    assert "Content-Encoding" not in same.headers
    assert head.headers["Content-Encoding"] == "gzip"


async def test_variant_is_not_coded_again(serve: Any, path: Path) -> None:
    variant(path, ".gz", b"gz")

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path)
        response.enable_compression(web.ContentCoding.deflate)
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(asks("Accept-Encoding: gzip"))

    assert answer.body == b"gz"
    assert answer.headers.getall("Content-Encoding") == ["gzip"]


async def test_coded_file_that_is_truncated(
    serve: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path, 100)
        response.enable_compression()
        return response

    async def truncate(request: Any, response: web.StreamResponse) -> None:
        os.truncate(path, 50)

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    app.on_response_prepare.append(truncate)
    async with serve(app) as origin:
        peer = await origin.connect()
        await peer.send(asks("Accept-Encoding: gzip"))
        received = await peer.end()

    assert not received.endswith(b"0\r\n\r\n")
    assert "974 bytes early" in caplog.text


async def test_chunked(serve: Any, path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path)
        response.enable_chunked_encoding()
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(asks())
        part = await origin.ask(asks("Range: bytes=1-2"))
        same = await origin.ask(asks("If-None-Match: *"))

    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body == CONTENT
    assert part.body == CONTENT[1:3]
    assert "Transfer-Encoding" not in same.headers


# What is not there, or is no file.


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("missing", 404),
        ("file.bin/below", 404),
        ("x" * 5000, 404),
        ("x" * 300, 404),
        ("nul\0", 404),
        ("undecodable\ud800", 404),
        ("loop", 404),
        ("dangling", 404),
        ("", 403),
        ("pipe", 403),
        ("socket", 403),
        ("/dev/zero", 403),
    ],
)
async def test_no_such_file(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    folder = path.parent
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
        where = os.path.join(folder, name)
        async with serve(sends(where, headers={"X": "1"})) as origin:
            peer = await origin.connect()
            await peer.send(asks("If-None-Match: *", "Range: bytes=0-1") * 2)
            answers = [await peer.answer(), await peer.answer()]

    for answer in answers:
        assert (answer.status, answer.body) == (status, b"")
        assert answer.headers["Content-Length"] == "0"
        assert answer.headers["X"] == "1"
        assert answer.headers.keys().isdisjoint({"ETag", "Last-Modified", "Content-Type"})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), 403),
        (PermissionError(errno.EPERM, "Operation not permitted"), 403),
        (OSError(errno.ESTALE, "Stale file handle"), 404),
        (OSError(errno.EMFILE, "Too many open files"), 503),
        (OSError(errno.EIO, "Input/output error"), 503),
    ],
)
async def test_file_that_cannot_be_opened(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, status: int
) -> None:
    real = os.open

    def refuse(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name) == str(path):
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())

    assert answer.status == status


async def test_symlink_is_followed(serve: Any, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    async with serve(sends(link)) as origin:
        answer = await origin.ask(asks())

    assert answer.body == CONTENT


# Races and ends.


async def test_facts_are_those_of_what_was_opened(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Length and tag come from the descriptor: a name may mean another file any time."""
    real = os.open

    def replace_then_open(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name) == str(path):
            other = path.with_name("other")
            other.write_bytes(b"other content")
            os.utime(other, (1, 1))
            other.replace(path)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", replace_then_open)
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())

    assert answer.body == b"other content"
    assert answer.headers["ETag"] == f'"{10**9:x}-{len(b"other content"):x}"'


async def test_pipe_put_in_place_of_the_file(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def replace_then_open(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name) == str(path):
            path.unlink()
            os.mkfifo(path)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", replace_then_open)
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())

    assert answer.status == 403
    assert not open_files(path)


@pytest.mark.parametrize("tls", [False, True])
async def test_file_that_is_truncated_meanwhile(
    serve: Any,
    path: Path,
    tls: bool,
    server_tls: Any,
    client_tls: Any,
) -> None:
    """A response shorter than its Content-Length must not look like a whole one."""

    async def truncate(request: Any, response: web.StreamResponse) -> None:
        os.truncate(path, 100)

    app = web.Application()
    app.add_routes([web.get("/", sends(path))])
    app.on_response_prepare.append(truncate)
    async with serve(app, ssl_context=server_tls if tls else None) as origin:
        peer = await origin.connect(tls=client_tls if tls else None)
        await peer.send(asks() * 2)
        received = await peer.end()

    assert received.count(b"HTTP/1.1") <= 1
    assert len(received.partition(b"\r\n\r\n")[2]) <= 100
    assert not open_files(path)


async def test_client_that_leaves(
    serve: Any, tmp_path: Path, reset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**30)
    caplog.set_level(logging.WARNING)
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks())
        await peer.until(b"\r\n\r\n")
        await reset(peer)
        await origin.no_connections()
        assert not open_files(path)
        following = await origin.ask(asks("Range: bytes=0-3"))

    assert following.body == b"\0\0\0\0"
    assert not caplog.records


async def test_shutdown_cuts_and_closes(serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**30)
    async with serve(sends(path), shutdown_timeout=0.01) as origin:
        peer = await origin.connect()
        await peer.send(asks())
        await peer.until(b"\r\n\r\n")
        await origin.close()
        assert not open_files(path)


async def test_files_are_opened_in_threads(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    real_open, real_lstat = os.open, os.lstat

    def opened(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name) == str(path):
            threads.append(threading.current_thread())
        return real_open(name, *args, **kwargs)

    def looked_at(name: str, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(name).startswith(str(path)):
            threads.append(threading.current_thread())
        return real_lstat(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "lstat", looked_at)
    async with serve(sends(path)) as origin:
        await origin.ask(asks())

    assert len(threads) == 4
    assert threading.current_thread() not in threads


async def test_plain_tcp_uses_sendfile(
    serve: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    real = os.sendfile

    def sendfile(out: int, source: int, offset: int, count: int) -> int:
        sent.append(count)
        return real(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", sendfile)
    async with serve(sends(path)) as origin:
        answer = await origin.ask(asks())
        await origin.ask(asks(method="HEAD"), bodiless=True)

    assert answer.body == CONTENT
    assert sent == [len(CONTENT)]


async def test_slow_reader_holds_the_file_back(serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(16 * 2**20))
    async with serve(sends(path)) as origin:
        peer = await origin.connect()
        await peer.send(asks())
        await anyio.wait_all_tasks_blocked()
        answer = await peer.answer()

    assert answer.body == path.read_bytes()


async def test_prepare_twice_and_write_eof(serve: Any, path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path)
        await response.prepare(request)
        await response.prepare(request)
        await response.write_eof()
        assert response.prepared
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(asks() * 2)
        answers = [await peer.answer(), await peer.answer()]

    assert [answer.body for answer in answers] == [CONTENT, CONTENT]
