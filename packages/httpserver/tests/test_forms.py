from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import httpserver as web
from httpcore_proto import LineTooLong, MultipartError
from httpcore_proto.aio import BodyPartReader
from httpserver._forms import SPOOL_SIZE, Upload, close_uploads, parse_urlencoded

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
OCTETS = "application/octet-stream"
END = b"--b--\r\n"


def post(body: bytes, content_type: str | None, method: str = "POST", length: int = -1) -> bytes:
    lines = [f"{method} / HTTP/1.1", "Host: a"]
    lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def part(body: bytes, *fields: str) -> bytes:
    return "\r\n".join(["--b", *fields, "", ""]).encode() + body + b"\r\n"


def field(name: str, body: bytes, *fields: str) -> bytes:
    return part(body, f'Content-Disposition: form-data; name="{name}"', *fields)


def file(name: str, filename: str, body: bytes, *fields: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return part(body, disposition, *fields)


def told(value: Any) -> Any:
    """A value of a form, as JSON carries it."""
    if isinstance(value, web.FileField):
        return [value.filename, value.content_type, value.file.read().decode("latin-1")]
    return value if isinstance(value, str) else f"{type(value).__name__} {value.hex()}"


async def form_handler(request: web.Request) -> web.Response:
    form = await request.post()
    assert await request.post() is form
    found = [[name, told(value)] for name, value in form.items()]
    await request.release_files()
    return web.json_response(found)


async def form_of(serve: Any, request: bytes, **kwargs: Any) -> Any:
    async with serve(form_handler, **kwargs) as origin:
        answer = await origin.ask(request)
    assert answer.status == 200, answer
    return json.loads(answer.text)


async def error_of(serve: Any, request: bytes, **kwargs: Any) -> Exception:
    """What `post` raises."""
    errors: list[Exception] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.post()
        except Exception as exc:
            errors.append(exc)
        return web.Response()

    async with serve(handler, **kwargs) as origin:
        await origin.ask(request)
    return errors[0]


# Urlencoded.


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", URLENCODED, []),
        (b"a=1&b=%20+%C3%A9&a=2", URLENCODED, [["a", "1"], ["b", "  é"], ["a", "2"]]),
        (b"a=&b&=c", URLENCODED, [["a", ""], ["b", ""], ["", "c"]]),
        (b"a=1\r\n", URLENCODED, [["a", "1"]]),
        (b"&&a=1&", URLENCODED, [["a", "1"]]),
        (b"a=1;b=2", URLENCODED, [["a", "1;b=2"]]),
        (b"a=%E9&b=\xe9", f"{URLENCODED}; charset=latin-1", [["a", "é"], ["b", "é"]]),
        (b"a=1", f"{URLENCODED.upper()} ; charset=UTF8", [["a", "1"]]),
        # What cannot be decoded behind the percent signs is replaced, as in query strings.
        (b"a=%FF", URLENCODED, [["a", "�"]]),
    ],
)
async def test_urlencoded_is_parsed(
    serve: Any, body: bytes, content_type: str, expected: list[Any]
) -> None:
    assert await form_of(serve, post(body, content_type)) == expected


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_methods_with_a_form(serve: Any, method: str) -> None:
    assert await form_of(serve, post(b"a=1", URLENCODED, method)) == [["a", "1"]]


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("GET", URLENCODED),
        ("OPTIONS", URLENCODED),
        ("POST", None),
        ("POST", "application/json"),
        ("POST", "multipart/mixed; boundary=b"),
        ("POST", "text/plain"),
    ],
)
async def test_anything_else_is_empty(serve: Any, method: str, content_type: str | None) -> None:
    assert await form_of(serve, post(b"a=1", content_type, method)) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"a&b&c", 200),
        (b"a&b&c&d", 413),
        (b"&&&", 413),
        (b"&" * 1_000_000, 413),
        (b"a=%26&" * 150_000, 413),
    ],
)
async def test_urlencoded_fields_are_counted(serve: Any, body: bytes, status: int) -> None:
    async with serve(form_handler, client_max_fields=3) as origin:
        answer = await origin.ask(post(body, URLENCODED))

    assert answer.status == status
    if status == 413:
        assert answer.text == "Maximum number of form fields 3 exceeded."


async def test_urlencoded_fields_are_counted_in_any_charset(serve: Any) -> None:
    """In EBCDIC an ampersand is another byte, so counting bytes would count none."""
    body = "&".join("abcd").encode("cp500")
    async with serve(form_handler, client_max_fields=3) as origin:
        answer = await origin.ask(post(body, f"{URLENCODED}; charset=cp500"))

    assert answer.status == 413


async def test_urlencoded_zero_client_max_fields_is_no_limit(serve: Any) -> None:
    found = await form_of(serve, post(b"&a" * 5000, URLENCODED), client_max_fields=0)

    assert len(found) == 5000


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
async def test_urlencoded_client_max_size(serve: Any, size: int, status: int) -> None:
    async with serve(form_handler, client_max_size=10) as origin:
        answer = await origin.ask(post(b"a" * size, URLENCODED))

    assert answer.status == status


async def test_urlencoded_zero_client_max_size_is_no_limit(serve: Any) -> None:
    [[name, _]] = await form_of(serve, post(b"a" * 2_000_000, URLENCODED), client_max_size=0)

    assert len(name) == 2_000_000


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"a=\xff", URLENCODED, 400),
        (b"a=1", f"{URLENCODED}; charset=nonsense", 415),
        (b"a=1", f"{URLENCODED}; charset=base64", 415),
        (b"a=1", f"{URLENCODED}; charset=utf-7", 415),
        (b"a=1", f"{URLENCODED}; charset=utf-16", 400),
    ],
)
async def test_urlencoded_in_no_charset_is_the_clients_fault(
    serve: Any, body: bytes, content_type: str, status: int
) -> None:
    async with serve(form_handler) as origin:
        answer = await origin.ask(post(body, content_type))

    assert answer.status == status


@given(
    st.lists(st.sampled_from([b"&", b"=", b"%", b"%2", b"%C3", b"+", b"\xe9", b"a"])).map(b"".join),
    st.sampled_from([None, "utf-8", "latin-1", "utf-16", "cp500", "shift_jis", "big5", "hz"]),
)
def test_urlencoded_raises_nothing_but_answers(body: bytes, charset: str | None) -> None:
    # A HTTPBadRequest or a HTTPRequestEntityTooLarge is an answer; anything else fails.
    with suppress(web.HTTPBadRequest, web.HTTPRequestEntityTooLarge):
        assert len(parse_urlencoded(body, charset, 20)) <= 20


# Multipart.


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (END, []),
        (field("a", b"1") + field("b", b"") + END, [["a", "1"], ["b", ""]]),
        (b"preamble\r\n" + field("a", b"1") + END + b"epilogue", [["a", "1"]]),
        (field("a", "é".encode()) + END, [["a", "é"]]),
        (field("a", b"\xe9", "Content-Type: text/plain; charset=latin-1") + END, [["a", "é"]]),
        (field("a", b"\xff", "Content-Type: image/png") + END, [["a", "bytearray ff"]]),
        (field("a", b"1", "Content-Type: nonsense") + END, [["a", "bytearray 31"]]),
        (field("a", b"1", "Content-Type: TEXT/x") + END, [["a", "1"]]),
        (field("_charset_", b"latin-1") + field("a", b"\xe9") + END, [["a", "é"]]),
        (field("a", b"aGk=", "Content-Transfer-Encoding: base64") + END, [["a", "hi"]]),
        # A form's parts have no content coding (RFC 7578 section 4.8).
        (field("a", b"1", "Content-Encoding: gzip") + END, [["a", "1"]]),
        (field("a", b"1", "Content-Length: 99") + END, [["a", "1"]]),
        (file("f", "x.txt", b"\xff\r\n") + END, [["f", ["x.txt", OCTETS, "\xff\r\n"]]]),
        (file("f", "x", b"1", "Content-Type: a/B;c=D") + END, [["f", ["x", "a/B;c=D", "1"]]]),
        (file("f", "", b"1") + END, [["f", "1"]]),
        (file("f", "", b"", "Content-Type: a/b") + END, [["f", "bytearray "]]),
        (file("f", "../../etc/x", b"") + END, [["f", ["../../etc/x", OCTETS, ""]]]),
        (file("f", "a%2Fb", b"") + END, [["f", ["a%2Fb", OCTETS, ""]]]),
        (
            file("f", "x", b"1") + file("f", "y", b"2") + END,
            [["f", ["x", OCTETS, "1"]], ["f", ["y", OCTETS, "2"]]],
        ),
    ],
)
async def test_multipart_is_parsed(serve: Any, body: bytes, expected: list[Any]) -> None:
    assert await form_of(serve, post(body, MULTIPART)) == expected


async def test_multipart_in_single_bytes(serve: Any) -> None:
    body = field("a", b"1\r\n--x") + file("f", "x", b"\r\n") + END
    head, data = post(body, MULTIPART).split(b"\r\n\r\n", 1)
    async with serve(form_handler) as origin:
        peer = await origin.connect()
        await peer.send(head + b"\r\n\r\n")
        for at in range(len(data)):
            await peer.send(data[at : at + 1])
        answer = await peer.answer()

    assert json.loads(answer.text) == [
        ["a", "1\r\n--x"],
        ["f", ["x", "application/octet-stream", "\r\n"]],
    ]


async def test_multipart_leaves_the_connection_for_the_next_request(serve: Any) -> None:
    request = post(field("a", b"1") + END + b"epilogue", MULTIPART)
    async with serve(form_handler) as origin:
        peer = await origin.connect()
        await peer.send(request * 2)
        for _ in range(2):
            assert json.loads((await peer.answer()).text) == [["a", "1"]]


async def test_file_field_is_whole(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        found = form["f"]
        assert isinstance(found, web.FileField)
        assert found.name == "f"
        assert found.headers["x-y"] == "z"
        assert found.file.tell() == 0
        body = found.file.read()
        await request.release_files()
        return web.Response(body=body)

    async with serve(handler) as origin:
        answer = await origin.ask(post(file("f", "x", b"body", "X-Y: z") + END, MULTIPART))

    assert answer.text == "body"


@pytest.mark.parametrize(
    ("body", "rule", "status"),
    [
        (part(b"1") + END, "form-name", 400),
        pytest.param(
            part(b"1", "Content-Disposition: form-data; name=") + END,
            "form-name",
            400,
            marks=pytest.mark.filterwarnings("ignore:malformed Content-Disposition"),
        ),
        (part(b"1", "Content-Disposition: form-data; filename=x") + END, "form-name", 400),
        (field("a", b"--c--", "Content-Type: multipart/mixed; boundary=c"), "form-nested", 400),
        (field("a", b"\xff") + END, "form-charset", 400),
        (field("a", b"1", "Content-Type: text/x; charset=base64") + END, "form-charset", 415),
        (field("a", b"x", "Content-Transfer-Encoding: base64") + END, None, 400),
        (field("_charset_", b"nonsense") + END, "multipart-charset", 400),
        (field("a", b"1"), "multipart-truncated", 400),
        (b"nothing", "multipart-no-boundary", 400),
        (b"", "multipart-no-boundary", 400),
        (b"--bad\r\n", "multipart-delimiter", 400),
        (part(b"", "no header") + END, "multipart-header", 400),
        (part(b"", " folded: x") + END, "multipart-header", 400),
    ],
)
async def test_multipart_malformed_is_a_multipart_error(
    serve: Any, body: bytes, rule: str | None, status: int
) -> None:
    error = await error_of(serve, post(body, MULTIPART))

    assert isinstance(error, MultipartError)
    assert isinstance(error, ValueError)
    assert rule is None or error.rule == rule
    assert error.status_hint == status


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 71}", "; boundary=é"])
async def test_multipart_without_a_boundary(serve: Any, boundary: str) -> None:
    error = await error_of(serve, post(END, f"multipart/form-data{boundary}"))

    assert isinstance(error, MultipartError)


@pytest.mark.parametrize(
    "body",
    [
        part(b"", *(f"h{number}: x" for number in range(129))) + END,
        part(b"", "h: " + "x" * 8190) + END,
        part(b"", *(["h: " + "x" * 8000] * 3)) + END,
        b"--b\r\n" + b"x" * 500_000,
        b"--b" + b" " * 500_000,
    ],
    ids=["count", "line", "head", "endless", "padding"],
)
async def test_multipart_head_bomb(serve: Any, body: bytes) -> None:
    error = await error_of(serve, post(body, MULTIPART))

    assert isinstance(error, LineTooLong)
    assert error.status_hint == 413


@pytest.mark.parametrize("charset", [b"", field("_charset_", b"utf-8")], ids=["", "_charset_"])
@pytest.mark.parametrize(("count", "status"), [(3, 200), (4, 413), (10_000, 413)])
async def test_multipart_fields_are_counted(
    serve: Any, charset: bytes, count: int, status: int
) -> None:
    async with serve(form_handler, client_max_fields=3) as origin:
        peer = await origin.connect()
        body = charset + field("a", b"1") * count + END
        await peer.send(post(body, MULTIPART)[: 2**18])
        answer = await peer.answer()

    assert answer.status == status
    if status == 413:
        assert answer.text == "Maximum number of form fields 3 exceeded."


async def test_multipart_zero_client_max_fields_is_no_limit(serve: Any) -> None:
    body = field("a", b"1") * 1100 + END

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len([part async for part in await request.multipart()])))

    async with serve(handler, client_max_fields=0) as origin:
        answer = await origin.ask(post(body, MULTIPART))

    assert len(await form_of(serve, post(body, MULTIPART), client_max_fields=0)) == 1100
    assert answer.text == "1100"


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
async def test_multipart_values_are_counted_together(serve: Any, more: int, status: int) -> None:
    body = field("a", b"123") + file("f", "x", b"4567") + field("b", b"890" + b"x" * more) + END
    async with serve(form_handler, client_max_size=10) as origin:
        answer = await origin.ask(post(body, MULTIPART))

    assert answer.status == status


async def test_multipart_decoded_bytes_are_counted(serve: Any) -> None:
    """Transfer encodings make values smaller, which is what counts."""
    body = field("a", b"MTIzNDU2Nzg5MA==", "Content-Transfer-Encoding: base64") + END

    assert await form_of(serve, post(body, MULTIPART), client_max_size=10) == [["a", "1234567890"]]


async def test_multipart_zero_client_max_size_is_no_limit(serve: Any) -> None:
    """Of `multipart` it was the limit 0, so that every part was too large (aiohttp)."""
    body = field("a", b"x" * 3_000_000) + END

    async def handler(request: web.Request) -> web.Response:
        reader = await request.multipart()
        found = await reader.next()
        assert isinstance(found, BodyPartReader)
        return web.Response(text=str(len(await found.read())))

    [[_, value]] = await form_of(serve, post(body, MULTIPART), client_max_size=0)
    async with serve(handler, client_max_size=0) as origin:
        answer = await origin.ask(post(body, MULTIPART))

    assert len(value) == 3_000_000
    assert answer.text == "3000000"


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (2**20 + 21),
        b"\r\n--bx"[:4] * 2**19,
        part(b"", "h: " + "x" * 8000, 'Content-Disposition: form-data; name="a"') * 140,
        END + b"x" * (2**20 + 100),
    ],
    ids=["preamble", "nearly-delimiters", "heads", "announced-epilogue"],
)
async def test_multipart_without_values_is_bounded(serve: Any, body: bytes) -> None:
    """What is no value counted for nothing: a preamble could last for ever, heads filled memory."""
    error = await error_of(serve, post(body, MULTIPART), client_max_size=10, lingering_time=0)

    assert isinstance(error, web.HTTPRequestEntityTooLarge)


async def test_multipart_chunked_preamble_is_bounded(serve: Any) -> None:
    async with serve(form_handler, client_max_size=10) as origin:
        peer = await origin.connect()
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {MULTIPART}\r\n"
        await peer.send(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
        for _ in range(17):
            await peer.send(piece)
        answer = await peer.answer()

    assert answer.status == 413


@pytest.mark.parametrize("cut", [0, 1, 30, 45, 60, 64, -2])
@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
async def test_body_cut_is_an_error_and_ends_the_connection(
    serve: Any, cut: int, content_type: str
) -> None:
    """The end of input in the middle of a part made other servers wait or loop for ever."""
    errors: list[Exception] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.post()
        except Exception as exc:
            errors.append(exc)
            raise
        raise AssertionError

    body = file("f", "x", b"0123456789") + END
    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(post(body[:cut], content_type, length=len(body)))
        await peer.send_eof()
        ended = await peer.end()
        await origin.no_connections()

    assert ended.startswith(b"HTTP/1.1 400 ")
    [error] = errors
    assert isinstance(error, web.RequestPayloadError)


async def test_client_gone_is_an_os_error(serve: Any, reset: Any) -> None:
    errors: list[Exception] = []
    started = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        started.set()
        try:
            await request.post()
        except OSError as exc:
            errors.append(exc)
            raise
        raise AssertionError

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(post(file("f", "x", b"01234"), MULTIPART, length=1000))
        await started.wait()
        await reset(peer)
        await origin.no_connections()

    assert len(errors) == 1


@pytest.mark.parametrize("again", ["post", "multipart"])
async def test_post_interrupted_is_not_begun_again(serve: Any, again: str) -> None:
    """A second try would take what is left of the body for all of it."""
    scopes: list[anyio.CancelScope] = []

    async def handler(request: web.Request) -> web.Response:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            if again == "post":
                await request.post()
            else:
                await (await request.multipart()).next()
        with pytest.raises(RuntimeError, match="read before"):
            await request.post()
        return web.Response(text="refused")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(post(field("a", b"1"), MULTIPART, length=1000)[:-40])
        while not scopes:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        answer = await peer.answer()

    assert answer.text == "refused"


# Files.


def in_memory(file: Any) -> bool:
    return not file._rolled


@pytest.mark.parametrize("over", [0, 1])
async def test_file_is_in_memory_up_to_a_mebibyte(serve: Any, over: int) -> None:
    """A temporary file for each part took as many descriptors as a client cared to name."""
    content = bytes(range(256)) * 4096 + b"x" * over

    async def handler(request: web.Request) -> web.Response:
        found = (await request.post())["f"]
        assert isinstance(found, web.FileField)
        looked = [in_memory(found.file), found.file.read() == content]
        await request.release_files()
        return web.json_response(looked)

    body = file("f", "x", content) + END
    async with serve(handler, client_max_size=0) as origin:
        answer = await origin.ask(post(body, MULTIPART))

    assert json.loads(answer.text) == [not over, True]


async def test_file_on_disk_is_written_off_the_loop(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    make = tempfile.TemporaryFile

    def made(*args: Any, **kwargs: Any) -> Any:
        threads.add(threading.get_ident())
        return make(*args, **kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    body = file("f", "x", b"x" * 3_000_000) + END

    await form_of(serve, post(body, MULTIPART), client_max_size=0)

    assert threads
    assert threading.get_ident() not in threads


async def test_files_of_a_clone_are_the_requests(serve: Any) -> None:
    """The server knows the request that it made, and not what a middleware made of it."""

    async def handler(request: web.Request) -> web.Response:
        form = await request.clone().post()
        found = form["f"]
        assert isinstance(found, web.FileField)
        assert not found.file.closed
        await request.release_files()
        return web.Response(text=str(found.file.closed))

    async with serve(handler) as origin:
        answer = await origin.ask(post(file("f", "x", b"") + END, MULTIPART))

    assert answer.text == "True"


@pytest.mark.parametrize("size", [10, SPOOL_SIZE + 1])
async def test_release_files_closes_them_now(serve: Any, size: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.release_files()
        found = (await request.post())["f"]
        assert isinstance(found, web.FileField)
        await request.release_files()
        await request.release_files()
        return web.Response(text=str(found.file.closed))

    async with serve(handler, client_max_size=0) as origin:
        answer = await origin.ask(post(file("f", "x", b"x" * size) + END, MULTIPART))

    assert answer.text == "True"


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (file("f", "x", b"x" * 100), 99),
        (file("f", "x", b"x" * 100) + part(b"") + END, 1000),
        (file("f", "x", b"x" * (SPOOL_SIZE + 100)) + field("a", b"\xff") + END, 0),
    ],
    ids=["too-large", "malformed", "on-disk"],
)
async def test_files_of_a_failed_form_are_closed(
    serve: Any, monkeypatch: pytest.MonkeyPatch, body: bytes, limit: int
) -> None:
    made: list[Any] = []
    make = tempfile.SpooledTemporaryFile

    def record(**kwargs: Any) -> Any:
        made.append(make(**kwargs))
        return made[-1]

    monkeypatch.setattr("httpserver._forms.SpooledTemporaryFile", record)
    closed: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        with pytest.raises((web.HTTPException, MultipartError)):
            await request.post()
        closed.extend(file.closed for file in made)
        return web.Response()

    async with serve(handler, client_max_size=limit) as origin:
        await origin.ask(post(body, MULTIPART))

    assert closed == [True]


async def test_upload_that_cannot_be_written_is_closed(anyio_backend: Any) -> None:
    """A full disk: whoever receives learns it, whoever cleans up does not."""
    upload = Upload()
    upload.file.close()
    full = FullDisk()
    upload.file = full  # type: ignore[assignment]
    with pytest.raises(OSError, match="full"):
        await upload.write(b"x" * (SPOOL_SIZE + 1))

    await close_uploads([upload])

    assert full.closed


class FullDisk:
    def __init__(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> int:
        raise OSError("full")

    def close(self) -> None:
        self.closed = True
        raise OSError("full")


class SlowFile:
    """A file whose `write` waits, as on a slow disk."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.calls: list[str] = []

    def write(self, data: bytes) -> int:
        self.calls.append("begin")
        self.go.wait(10)
        self.calls.append("end")
        return len(data)

    def close(self) -> None:
        self.calls.append("close")


async def test_upload_cancelled_closes_behind_its_thread(anyio_backend: Any) -> None:
    """A cancelled asyncio task leaves its thread with the file, which was closed under it."""
    upload = Upload()
    upload.file.close()
    slow = SlowFile()
    upload.file = slow  # type: ignore[assignment]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(upload.write, b"x" * (SPOOL_SIZE + 1))
        while not slow.calls:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
        slow.go.set()
        await close_uploads([upload])

    assert slow.calls == ["begin", "end", "close"]


@pytest.mark.parametrize("turns", range(1, 5))
async def test_upload_closing_cannot_be_cancelled(anyio_backend: Any, turns: int) -> None:
    """asyncio's own cancelling came before the thread had begun, and the file stayed open."""
    upload = Upload()
    await upload.write(b"x" * (SPOOL_SIZE + 1))
    if anyio_backend[0] == "trio":
        with anyio.CancelScope() as scope:
            scope.cancel()
            await close_uploads([upload])
    else:
        task = asyncio.ensure_future(close_uploads([upload]))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    assert upload.file.closed


# multipart().


async def test_multipart_limits_are_the_servers(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        reader = await request.multipart()
        found = await reader.next()
        assert isinstance(found, BodyPartReader)
        assert await found.read() == b"0123456789"
        found = await reader.next()
        assert isinstance(found, BodyPartReader)
        with pytest.raises(web.HTTPRequestEntityTooLarge):
            await found.read()
        with pytest.raises(MultipartError, match="max_parts=2"):
            await reader.next()
        return web.Response(text="limited")

    body = field("a", b"0123456789") + field("b", b"0123456789x") + field("c", b"") + END
    async with serve(handler, client_max_size=10, client_max_fields=2) as origin:
        answer = await origin.ask(post(body, MULTIPART))

    assert answer.text == "limited"


async def test_multipart_of_another_type_is_415(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        with pytest.raises(MultipartError) as info:
            await request.multipart()
        return web.Response(text=str(info.value.status_hint))

    async with serve(handler) as origin:
        assert (await origin.ask(post(b"", "text/plain"))).text == "415"


async def test_client_faults_leave_no_traceback(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What the client got wrong is answered, and not logged as an error of ours."""
    bad: list[Callable[[], bytes]] = [
        lambda: post(part(b"1") + END, MULTIPART),
        lambda: post(field("a", b"\xff") + END, MULTIPART),
        lambda: post(b"a=\xff", URLENCODED),
        lambda: post(b"&" * 2000, URLENCODED),
        lambda: post(b"x", "multipart/form-data"),
    ]
    async with serve(form_handler) as origin:
        statuses = [(await origin.ask(make())).status for make in bad]

    assert statuses == [400, 400, 400, 413, 400]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("size", [10, SPOOL_SIZE + 1])
async def test_files_are_closed_when_the_handler_is_done(serve: Any, size: int) -> None:
    files: list[Any] = []

    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        # The files of a clone are the request's.
        response: web.StreamResponse = await handler(request.clone())
        assert not files[-1].closed
        return response

    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        files.extend(value.file for value in form.values() if isinstance(value, web.FileField))
        return web.Response()

    app = web.Application(middlewares=[middleware], client_max_size=0)
    app.add_routes([web.post("/", handler)])
    async with serve(app) as origin:
        body = file("f", "x", b"x" * size) + file("g", "y", b"y") + END
        peer = await origin.connect()
        await peer.send(post(body, MULTIPART))
        assert (await peer.answer()).status == 200
        # The next answer is not sent before everything of the last exchange is done.
        await peer.send(post(body, MULTIPART))
        await peer.answer()
        assert [file.closed for file in files[:2]] == [True, True]
