from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import anyio
import pytest

import httpserver as web
from httpcore_proto import HttpVersion10, HttpVersion11

_NUMBERS = itertools.count()


def post(body: bytes, *fields: str, length: int | None = None) -> bytes:
    """A POST with a Content-Length, and other fields."""
    size = len(body) if length is None else length
    lines = ["POST / HTTP/1.1", "Host: a", f"Content-Length: {size}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A POST in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body + b"0\r\n" + trailers + b"\r\n"


async def ask(serve: Any, request: bytes, look: Any, **kwargs: Any) -> Any:
    """Return what `look` finds in the request, as JSON carries it."""

    async def handler(request: web.Request) -> web.Response:
        found = look(request)
        return web.json_response(found if not hasattr(found, "__await__") else await found)

    async with serve(handler, **kwargs) as origin:
        answer = await origin.ask(request)
    assert answer.status == 200, answer
    return json.loads(answer.text)


def target(text: str, host: str = "a:81") -> bytes:
    return f"GET {text} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("/", ["/", "/", "/", "/", "", "http://a:81/"]),
        (
            "/a%20b/%C3%A9?x=%20y",
            [
                "/a%20b/%C3%A9?x=%20y",
                "/a b/é",
                "/a b/é",
                "/a%20b/%C3%A9?x=%20y",
                "x= y",
                "http://a:81/a%20b/%C3%A9?x=%20y",
            ],
        ),
        (
            "/a%2Fb%25",
            ["/a%2Fb%25", "/a%2Fb%25", "/a/b%", "/a%2Fb%25", "", "http://a:81/a%2Fb%25"],
        ),
        ("//x/y", ["//x/y", "//x/y", "//x/y", "//x/y", "", "http://a:81//x/y"]),
        ("/?", ["/?", "/", "/", "/", "", "http://a:81/"]),
        ("/p?q=/?", ["/p?q=/?", "/p", "/p", "/p?q=/?", "q=/?", "http://a:81/p?q=/?"]),
        (
            "http://other:8/p?q=1",
            ["http://other:8/p?q=1", "/p", "/p", "/p?q=1", "q=1", "http://other:8/p?q=1"],
        ),
        ("http://other", ["http://other", "/", "/", "/", "", "http://other/"]),
        (
            "https://u@other?q",
            ["https://u@other?q", "/", "/", "/?q", "q", "http://other/?q"],
        ),
    ],
)
async def test_target_is_told_in_all_its_forms(serve: Any, sent: str, expected: list[str]) -> None:
    def look(request: web.Request) -> list[str]:
        return [
            request.raw_path,
            request.route_path,
            request.path,
            request.path_qs,
            request.query_string,
            str(request.url),
        ]

    assert await ask(serve, target(sent), look) == expected


async def test_target_asterisk_has_no_path(serve: Any) -> None:
    seen: list[str] = []

    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.extend([request.raw_path, request.path, request.path_qs, request.host])
        return web.Response()

    app = web.Application(middlewares=[middleware])
    async with serve(app) as origin:
        answer = await origin.ask(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.status == 200
    assert seen == ["*", "*", "*", "a"]


async def test_query_keeps_order_and_repeated_names(serve: Any) -> None:
    found = await ask(
        serve, target("/?a=1&b=%26&a=2&c"), lambda request: list(request.query.items())
    )

    assert found == [["a", "1"], ["b", "&"], ["a", "2"], ["c", ""]]


async def test_host_is_the_hosts_field(serve: Any) -> None:
    assert await ask(serve, target("/", "[::1]:8"), lambda request: request.host) == "[::1]:8"


async def test_host_of_absolute_target_wins(serve: Any) -> None:
    found = await ask(serve, target("http://u:p@b:8/x", "a"), lambda request: request.host)

    assert found == "b:8"


async def test_host_missing_is_our_own_address(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.host} {request.url}")

    async with serve(handler) as origin:
        answer = await origin.ask(b"GET /x HTTP/1.0\r\n\r\n")
        port = origin.site.port

    assert answer.text == f"127.0.0.1:{port} http://127.0.0.1:{port}/x"


async def test_host_that_no_url_can_hold_leaves_the_path(serve: Any) -> None:
    found = await ask(serve, target("/x", "a:99999"), lambda request: str(request.url))

    assert found == "/x"


async def test_scheme_is_the_connections(serve: Any) -> None:
    def look(request: web.Request) -> list[Any]:
        return [request.scheme, request.secure]

    request = b"GET https://a/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n"

    assert await ask(serve, request, look) == ["http", False]


async def test_remote_and_extra_info_come_from_the_socket(serve: Any) -> None:
    def look(request: web.Request) -> list[Any]:
        peer = request.get_extra_info("peername")
        return [request.remote, peer[0], request.get_extra_info("nothing", "default")]

    assert await ask(serve, target("/"), look) == ["127.0.0.1", "127.0.0.1", "default"]


async def test_head_is_told(serve: Any) -> None:
    def look(request: web.Request) -> list[Any]:
        raw = [[name.decode(), value.decode()] for name, value in request.raw_headers]
        return [request.method, request.keep_alive, request.headers["x-a"], raw, repr(request)]

    found = await ask(
        serve, b"GET /p HTTP/1.1\r\nhost: a\r\nX-A: 1\r\nConnection: close\r\n\r\n", look
    )

    raw = [["host", "a"], ["X-A", "1"], ["Connection", "close"]]
    assert found == ["GET", False, "1", raw, "<Request GET '/p'>"]


@pytest.mark.parametrize(
    ("line", "version"), [("HTTP/1.0", HttpVersion10), ("HTTP/1.1", HttpVersion11)]
)
async def test_version_is_the_clients(serve: Any, line: str, version: Any) -> None:
    request = f"GET / {line}\r\nHost: a\r\n\r\n".encode()

    assert await ask(serve, request, lambda request: list(request.version)) == list(version)


@pytest.mark.parametrize(
    ("field", "content_type", "charset"),
    [
        ("X: y", "application/octet-stream", None),
        ("Content-Type: Text/HTML ; Charset=Latin-1", "text/html", "Latin-1"),
        ('Content-Type: a/b; x=1; charset="utf-8"', "a/b", "utf-8"),
        ("Content-Type: nonsense", "application/octet-stream", None),
        ("Content-Type: a/b; charset=", "a/b", None),
    ],
)
async def test_content_type_is_parsed(
    serve: Any, field: str, content_type: str, charset: str | None
) -> None:
    found = await ask(serve, post(b"", field), lambda r: [r.content_type, r.charset])

    assert found == [content_type, charset]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b"hello"), "hello"),
        (post(b""), ""),
        (chunked(b"he", b"llo"), "hello"),
        (chunked(), ""),
        (chunked(b"hello", trailers=b"X-Sum: 1\r\n"), "hello"),
        (target("/"), ""),
        (post("é".encode("latin-1"), "Content-Type: text/plain; charset=latin-1"), "é"),
    ],
    ids=["length", "empty", "chunked", "chunked-empty", "trailers", "none", "charset"],
)
async def test_text_is_the_whole_body(serve: Any, request_: bytes, expected: str) -> None:
    assert await ask(serve, request_, lambda request: request.text()) == expected


async def test_json_is_parsed_whatever_the_type(serve: Any) -> None:
    assert await ask(serve, post(b'{"a": [1]}'), lambda request: request.json()) == {"a": [1]}


async def test_read_again_returns_the_same(serve: Any) -> None:
    async def look(request: web.Request) -> list[Any]:
        first = await request.read()
        return [first.decode(), await request.read() is first, request.can_read_body]

    assert await ask(serve, post(b"abc"), look) == ["abc", True, False]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (target("/"), [False, False, None]),
        (post(b"ab"), [True, True, 2]),
        (chunked(b"ab"), [True, True, None]),
    ],
)
async def test_body_facts(serve: Any, request_: bytes, expected: list[Any]) -> None:
    def look(request: web.Request) -> list[Any]:
        return [request.body_exists, request.can_read_body, request.content_length]

    assert await ask(serve, request_, look) == expected


async def test_release_drops_the_rest(serve: Any) -> None:
    async def look(request: web.Request) -> Any:
        await request.release()
        return request.can_read_body

    assert await ask(serve, chunked(b"a" * 1000, b"b"), look) is False


async def read_handler(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


@pytest.mark.parametrize("make", [post, chunked])
async def test_read_exactly_client_max_size_passes(serve: Any, make: Any) -> None:
    async with serve(read_handler, client_max_size=10) as origin:
        answer = await origin.ask(make(b"x" * 10))

    assert (answer.status, answer.text) == (200, "10")


async def test_read_announced_too_large_is_413_before_the_body_came(serve: Any) -> None:
    async with serve(read_handler, client_max_size=10) as origin:
        answer = await origin.ask(post(b"", length=11))

    assert answer.status == 413
    assert answer.text == "Maximum request body size 10 exceeded, actual body size 11"


async def test_read_chunks_are_counted_together(serve: Any) -> None:
    async with serve(read_handler, client_max_size=10) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.send(b"6\r\nabcdef\r\n")
        await peer.send(b"5\r\nabcde\r\n")
        answer = await peer.answer()

    assert answer.status == 413
    assert "actual body size 11" in answer.text


async def test_read_zero_client_max_size_is_no_limit(serve: Any) -> None:
    async with serve(read_handler, client_max_size=0) as origin:
        answer = await origin.ask(post(b"x" * 2_000_000))

    assert answer.text == "2000000"


async def test_application_client_max_size_is_the_servers(serve: Any) -> None:
    app = web.Application(client_max_size=3)
    app.add_routes([web.post("/", read_handler)])
    assert app.client_max_size == 3

    async def look(request: web.Request) -> int:
        return request.client_max_size

    async with serve(app) as origin:
        assert (await origin.ask(post(b"1234"))).status == 413
    assert await ask(serve, target("/"), look, client_max_size=7) == 7


async def test_content_gives_pieces_as_they_come(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece.upper())
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.until(b"\r\n\r\n")
        await peer.send(b"3\r\nabc\r\n")
        assert await peer.until(b"ABC\r\n") == b"3\r\nABC\r\n"
        await peer.send(b"2\r\nde\r\n")
        assert await peer.until(b"DE\r\n") == b"2\r\nDE\r\n"
        await peer.send(b"0\r\n\r\n")
        assert await peer.until(b"\r\n\r\n") == b"0\r\n\r\n"


async def test_content_unread_stops_the_client(serve: Any) -> None:
    """What a slow handler does not take waits at the client's end."""
    read = anyio.Event()
    size = 32 * 2**20
    most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal most
        await read.wait()
        taken = 0
        async for piece in request.content.iter_any():
            most = max(most, len(piece))
            taken += len(piece)
        return web.Response(text=str(taken))

    async with serve(handler, read_bufsize=4096) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        sent = 0

        async def send() -> None:
            nonlocal sent
            await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            piece = b"x" * 2**16
            while sent < size:
                await peer.send(piece)
                sent += len(piece)

        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sent < size
        read.set()
        answer = await peer.answer()

    assert answer.text == str(size)
    assert most < 2**20


async def test_request_is_a_mapping_and_always_true(serve: Any) -> None:
    key = web.RequestKey("user", str)

    def look(request: web.Request) -> list[Any]:
        found: list[Any] = [bool(request), len(request), list(request), request == request]
        with pytest.raises(KeyError):
            request[key]
        with pytest.raises(KeyError):
            del request[key]
        found += [request.get(key), request.get(key, 1)]
        request[key] = "ann"
        found += [request[key], len(request), list(request) == [key], request.get("no")]
        del request[key]
        return [*found, key in request, len({request}), request == {}]

    expected = [True, 0, [], True, None, 1, "ann", 1, True, None, False, 1, False]
    assert await ask(serve, target("/"), look) == expected


async def test_request_str_key_warns_once(serve: Any) -> None:
    # No other test, and no other event loop, has warned of this one.
    key = f"user of {id(serve):x} {next(_NUMBERS)}"

    def look(request: web.Request) -> str:
        with pytest.warns(web.NotAppKeyWarning, match=key):
            request[key] = "ann"
        request[key] = "bob"
        value: str = request[key]
        return value

    assert await ask(serve, target("/"), look) == "bob"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        target("/", "a b"),
        target("/", "a/b"),
        target("http:///x"),
        target("http://:80/x"),
    ],
)
async def test_host_that_is_none_is_refused(serve: Any, request_: bytes) -> None:
    """It went into `host` and `url` as it was, and from there into links (FR-20, FR-23)."""
    async with serve(read_handler) as origin:
        answer = await origin.ask(request_)

    assert answer.status == 400


async def test_facts_of_the_connection_outlive_it(serve: Any, reset: Any) -> None:
    """What a handler asks after its client has gone is what it was (S176)."""
    gone = anyio.Event()
    found: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        before = [str(request.url), request.path, request.method, request.remote, request.scheme]
        reached.set()
        await request.disconnected()
        # Again, now that it is so.
        await request.disconnected()
        after = [str(request.url), request.path, request.method, request.remote, request.scheme]
        found.append(before == after)
        gone.set()
        return web.Response()

    reached = anyio.Event()
    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(target("/x?y"))
        await reached.wait()
        await reset(peer)
        await gone.wait()

    assert found == [True]


async def test_disconnected_waits_while_the_client_is_there(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        with anyio.move_on_after(0) as scope:
            await request.disconnected()
        return web.Response(text=str(scope.cancelled_caught))

    async with serve(handler) as origin:
        assert (await origin.ask(target("/"))).text == "True"


async def test_shutdown_is_told(serve: Any) -> None:
    """A stream without end learns that the server ends, and ends in order."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"open" if not request.shutdown.is_set() else b"closed")
        await request.shutdown.wait()
        await response.write(b", closed" if request.shutdown.is_set() else b", open")
        return response

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await peer.until(b"open")
        tasks.start_soon(origin.runner.cleanup)
        assert b", closed" in await peer.end()


async def test_read_interrupted_goes_on_where_it_was(serve: Any) -> None:
    """The second call returned what the first one had left as if it were the whole body."""
    scopes: list[anyio.CancelScope] = []

    async def handler(request: web.Request) -> web.Response:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await request.read()
        scopes.append(scope)
        return web.Response(body=await request.read())

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(post(b"abc", length=6))
        while not scopes:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        while len(scopes) < 2:
            await anyio.lowlevel.checkpoint()
        await peer.send(b"def")
        answer = await peer.answer()

    assert answer.text == "abcdef"


async def test_read_too_large_stays_too_large(serve: Any) -> None:
    """After a 413 that was caught, another read returned the end of the body as the whole."""

    async def handler(request: web.Request) -> web.Response:
        for _ in range(2):
            with pytest.raises(web.HTTPRequestEntityTooLarge):
                await request.read()
        return web.Response(text="refused")

    async with serve(handler, client_max_size=3) as origin:
        assert (await origin.ask(chunked(b"ab", b"cd", b"e"))).text == "refused"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b"0123456789"), 200),
        (gzip.compress(b"0123456789x"), 413),
        (gzip.compress(b"x" * 2**24), 413),
        (b"0123456789", 400),
        (gzip.compress(b"0123456789")[:-1], 400),
    ],
    ids=["limit", "over", "bomb", "garbage", "cut"],
)
async def test_read_counts_decoded_bytes(serve: Any, body: bytes, status: int) -> None:
    """The announced length, of the coded body, refused what is within the limit decoded."""
    async with serve(read_handler, client_max_size=10) as origin:
        answer = await origin.ask(post(body, "Content-Encoding: gzip"))

    assert answer.status == status


@pytest.mark.parametrize("charset", ["nonsense", "base64", "utf-7", "\u212a", "x" * 1000, "a/b"])
async def test_text_unknown_charset_is_415(serve: Any, charset: str) -> None:
    """A client that names a charset which is none was a LookupError: 500, and a traceback."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    async with serve(handler) as origin:
        answer = await origin.ask(post(b"x", f'Content-Type: text/plain; charset="{charset}"'))

    assert answer.status == 415
    assert charset not in answer.text


async def test_text_not_in_its_charset_is_a_unicode_error(serve: Any) -> None:
    async def look(request: web.Request) -> str:
        with pytest.raises(UnicodeDecodeError):
            await request.text()
        return (await request.read()).hex()

    assert await ask(serve, post(b"\xff"), look) == "ff"


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 200_000, b'{"a":' * 100_000])
async def test_json_malformed_is_a_value_error(serve: Any, body: bytes) -> None:
    """What was nested too deeply was a RecursionError, which nobody expects of a parser."""

    async def look(request: web.Request) -> str:
        with pytest.raises(ValueError, match=r"JSON|Expect"):
            await request.json()
        return "refused"

    assert await ask(serve, post(body), look) == "refused"


async def test_json_loads_is_the_callers(serve: Any) -> None:
    found = await ask(serve, post(b"[1]"), lambda request: request.json(loads=lambda text: text))

    assert found == "[1]"


async def test_client_max_fields_is_the_servers(serve: Any) -> None:
    found = await ask(
        serve, target("/"), lambda request: request.client_max_fields, client_max_fields=7
    )

    assert found == 7
