"""Cassettes: one test records against a real server, and then plays without it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from httpclient import (
    ClientConnectionError,
    ClientSession,
    DummyCookieJar,
    FormData,
    HttpVersion10,
    TCPConnector,
)
from httpcore_proto import Limits
from httpcore_testing import (
    Cassette,
    CassetteError,
    CassetteMissError,
    RawTestServer,
    RecordedExchange,
    Redaction,
)
from httpserver import BaseRequest, Response, ServerRunner, StreamResponse

pytestmark = pytest.mark.anyio

Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]
Program = Callable[[ClientSession, str], Awaitable[Any]]


async def echo(request: BaseRequest) -> Response:
    body = await request.read()
    return Response(text=f"{request.method} {request.raw_path} {body.decode('latin-1')}")


class Taper:
    """Runs a program with a real server to record, and without it to play."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0
        self.port: int | None = None

    async def record(self, handler: Handler, program: Program, **options: Any) -> Any:
        async def counted(request: BaseRequest) -> StreamResponse:
            self.asked += 1
            return await handler(request)

        async with RawTestServer(counted, port=self.port) as server:
            self.port = server.port
            return await self.run(program, **({"mode": "all"} | options))

    async def run(self, program: Program, **options: Any) -> Any:
        async with (
            Cassette(self.path, **options) as cassette,
            ClientSession(connector=cassette) as session,
        ):
            return await program(session, f"http://127.0.0.1:{self.port}")

    async def both(self, handler: Handler, program: Program, **options: Any) -> Any:
        """Return what the program gives, which is the same twice."""
        recorded = await self.record(handler, program, **options)
        asked = self.asked
        played = await self.run(program, **options)
        assert self.asked == asked
        assert played == recorded
        return played

    @property
    def document(self) -> Any:
        return json.loads(self.path.read_bytes())


@pytest.fixture
def taper(tmp_path: Path) -> Taper:
    return Taper(tmp_path / "folder" / "tape.json")


async def get_text(session: ClientSession, url: str) -> str:
    async with session.get(f"{url}/a?b=c") as response:
        return await response.text()


async def test_what_is_recorded_is_played(taper: Taper) -> None:
    assert await taper.both(echo, get_text) == "GET /a?b=c "
    assert taper.document == {
        "httpcore-cassette": 1,
        "exchanges": [
            {
                "request": {
                    "method": "GET",
                    "url": f"http://127.0.0.1:{taper.port}/a?b=c",
                    "headers": [["Accept", "*/*"]],
                },
                "response": {
                    "status": 200,
                    "reason": "OK",
                    "headers": [
                        ["Content-Type", "text/plain; charset=utf-8"],
                        ["Server", taper.document["exchanges"][0]["response"]["headers"][1][1]],
                    ],
                    "body": {"text": "GET /a?b=c "},
                },
            }
        ],
    }


async def test_the_same_recording_has_the_same_bytes(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> None:
        form = FormData({"field": "value"}, default_to_multipart=True)
        async with session.post(url, data=form) as response:
            await response.read()

    async def handler(request: BaseRequest) -> Response:
        await request.read()
        return Response(text="thanks")

    await taper.record(handler, program)
    first = taper.path.read_bytes()
    await taper.record(handler, program)
    assert taper.path.read_bytes() == first
    assert taper.asked == 2
    # The boundary is another one each time, and the request is found all the same.
    await taper.run(program, mode="none")


async def test_modes(taper: Taper) -> None:
    with pytest.raises(CassetteError, match=r'is not there, and mode="none" only plays'):
        Cassette(taper.path, mode="none")
    await taper.record(echo, get_text, mode="once")
    assert taper.asked == 1
    await taper.record(echo, get_text, mode="once")
    await taper.run(get_text, mode="none")
    assert taper.asked == 1
    await taper.record(echo, get_text, mode="all")
    assert taper.asked == 2
    with pytest.raises(ValueError, match="mode must be one of"):
        Cassette(taper.path, mode="new")  # type: ignore[arg-type]


async def test_an_unknown_request_is_told_with_what_comes_nearest(taper: Taper) -> None:
    await taper.record(echo, get_text)

    async def other(session: ClientSession, url: str) -> None:
        await session.get(f"{url}/a?b=d")

    with pytest.raises(CassetteMissError) as caught:
        await taper.run(other)
    assert isinstance(caught.value, AssertionError)
    origin = f"http://127.0.0.1:{taper.port}"
    assert str(caught.value).splitlines() == [
        f"nothing in {taper.path} answers GET {origin}/a?b=d",
        f"nearest is exchange 1, GET {origin}/a?b=c",
        f"  url: recorded '{origin}/a?b=c', requested '{origin}/a?b=d'",
        'to record everything anew: mode="all", in pytest --http-record=all',
    ]


async def test_the_nearest_is_the_one_with_the_fewest_differences(taper: Taper) -> None:
    async def recorded(session: ClientSession, url: str) -> None:
        for method, path in (("PUT", "/far"), ("GET", "/near"), ("PUT", "/far")):
            async with session.request(method, url + path) as response:
                await response.read()

    async def program(session: ClientSession, url: str) -> None:
        await session.get(f"{url}/other")

    await taper.record(echo, recorded)
    with pytest.raises(CassetteMissError, match="nearest is exchange 2, GET"):
        await taper.run(program)


async def test_a_miss_that_is_swallowed_is_raised_at_the_end(taper: Taper) -> None:
    await taper.record(echo, get_text)

    async def other(session: ClientSession, url: str) -> None:
        for _ in range(2):
            with pytest.raises(CassetteMissError):
                await session.post(url, data=b"x" * 100_000)

    with pytest.raises(CassetteMissError, match="method: recorded 'GET', requested 'POST'"):
        await taper.run(other)


async def test_a_miss_behind_other_exchanges_of_a_connection(taper: Taper) -> None:
    await taper.record(echo, get_text)

    async def twice(session: ClientSession, url: str) -> None:
        await get_text(session, url)
        await get_text(session, url)

    with pytest.raises(CassetteMissError, match="it was played already; allow_repeats=True"):
        await taper.run(twice)
    await taper.run(twice, allow_repeats=True)


async def test_equal_requests_are_answered_in_order(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> list[str]:
        return [await get_text(session, url) for _ in range(3)]

    async def count(request: BaseRequest) -> Response:
        return Response(text=str(taper.asked))

    assert await taper.both(count, program) == ["1", "2", "3"]

    async def more(session: ClientSession, url: str) -> list[str]:
        return [*await program(session, url), await get_text(session, url)]

    assert await taper.run(more, allow_repeats=True) == ["1", "2", "3", "3"]


async def test_requests_under_way_together_are_recorded_as_they_arrive(taper: Taper) -> None:
    first_arrived, second_answered = anyio.Event(), anyio.Event()

    async def handler(request: BaseRequest) -> Response:
        if request.raw_path == "/1":
            first_arrived.set()
            await second_answered.wait()
        return Response(text=request.raw_path)

    async def program(session: ClientSession, url: str) -> None:
        async def first() -> None:
            async with session.get(f"{url}/1") as response:
                assert await response.text() == "/1"

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await first_arrived.wait()
            async with session.get(f"{url}/2") as response:
                assert await response.text() == "/2"
            second_answered.set()

    await taper.record(handler, program)
    urls = [exchange["request"]["url"] for exchange in taper.document["exchanges"]]
    assert [url[-2:] for url in urls] == ["/1", "/2"]
    await taper.run(program)


async def test_many_at_once(taper: Taper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks that dialled at the same time both started the server."""

    async def program(session: ClientSession, url: str) -> None:
        async def one(number: int) -> None:
            async with session.get(f"{url}/{number}") as response:
                assert await response.text() == f"GET /{number} "

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)

    await taper.both(echo, program)
    assert len(taper.document["exchanges"]) == 10

    starts = []
    setup = ServerRunner.setup

    async def counted(runner: ServerRunner) -> None:
        starts.append(runner)
        await setup(runner)

    monkeypatch.setattr(ServerRunner, "setup", counted)
    await taper.run(program)
    assert len(starts) == 1


# What comes over the wire.


async def in_chunks(request: BaseRequest) -> StreamResponse:
    response = StreamResponse()
    response.enable_chunked_encoding()
    response.trailers["Checksum"] = "abc"
    await response.prepare(request)
    await response.write(b"one ")
    await response.write(b"two")
    return response


async def in_gzip(request: BaseRequest) -> Response:
    body = gzip.compress(b'{"a": 1}')
    return Response(body=body, headers={"Content-Encoding": "gzip", "X-Other": "1"})


async def in_wrong_gzip(request: BaseRequest) -> Response:
    return Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    ("method", "handler", "expected"),
    [
        ("GET", lambda: Response(status=204), (204, "No Content", b"")),
        ("GET", lambda: Response(status=304, headers={"ETag": '"a"'}), (304, "Not Modified", b"")),
        ("HEAD", lambda: Response(body=b"12345"), (200, "OK", b"")),
        ("GET", lambda: Response(body=bytes(range(256))), (200, "OK", bytes(range(256)))),
        ("GET", lambda: Response(body=b"x" * 300_000), (200, "OK", b"x" * 300_000)),
        ("GET", lambda: Response(status=599, reason="Whatever"), (599, "Whatever", b"")),
        ("OPTIONS", lambda: Response(body=b""), (200, "OK", b"")),
    ],
)
async def test_framing(
    taper: Taper, method: str, handler: Callable[[], Response], expected: tuple[int, str, bytes]
) -> None:
    async def answer(request: BaseRequest) -> Response:
        return handler()

    async def program(session: ClientSession, url: str) -> Any:
        found = []
        for _ in range(2):
            async with session.request(method, url) as response:
                body = await response.read()
                assert (response.status, response.reason, body) == expected
                found.append(list(response.headers.items()))
        return found

    fields = await taper.both(answer, program)
    if method == "HEAD":
        assert ("Content-Length", "5") in fields[0]


async def test_chunks_and_trailers(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(url) as response:
            body = await response.read()
            return body, dict(response.headers), dict(response.trailers)

    body, headers, trailers = await taper.both(in_chunks, program)
    assert body == b"one two"
    assert headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in headers
    assert trailers == {"Checksum": "abc"}


async def test_codings_are_undone(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(url) as response:
            return await response.read(), dict(response.headers)

    body, headers = await taper.both(in_gzip, program)
    assert body == b'{"a": 1}'
    assert "Content-Encoding" not in headers
    assert headers["X-Other"] == "1"
    response = taper.document["exchanges"][0]["response"]
    assert response["body"] == {"json": {"a": 1}, "style": "spaced"}


async def test_a_wrong_coding_is_for_the_client_to_see(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(url, auto_decompress=False) as response:
            return await response.read(), response.headers["Content-Encoding"]

    assert await taper.both(in_wrong_gzip, program) == (b"no gzip", "gzip")


async def test_bodies_of_requests(taper: Taper) -> None:
    async def pieces() -> Any:
        yield b"in "
        yield b"pieces"

    async def program(session: ClientSession, url: str) -> Any:
        found = []
        for options in (
            {"data": pieces()},
            {"data": b"coded", "compress": "gzip"},
            {"json": {"b": 1, "a": [2]}},
            {"data": b"asked", "expect100": True},
            {"data": b""},
        ):
            async with session.post(url, **options) as response:  # type: ignore[arg-type]
                found.append(await response.text())
        return found

    answers = await taper.both(echo, program)
    assert answers[0] == "POST / in pieces"
    assert answers[1] == "POST / coded"
    assert answers[3] == "POST / asked"
    bodies = [exchange["request"].get("body") for exchange in taper.document["exchanges"]]
    assert bodies[1] == {"text": "coded"}
    assert bodies[2] == {"json": {"b": 1, "a": [2]}, "style": "spaced"}
    assert bodies[4] is None


async def test_json_bodies_match_by_value(taper: Taper) -> None:
    async def post(session: ClientSession, url: str, body: bytes) -> None:
        async with session.post(url, data=body) as response:
            await response.read()

    await taper.record(echo, lambda session, url: post(session, url, b'{"a": 1, "b": 2}'))
    await taper.run(lambda session, url: post(session, url, b'{"b":2,"a":1}'))
    with pytest.raises(CassetteMissError, match="body: recorded"):
        await taper.run(lambda session, url: post(session, url, b'{"b":2,"a":2}'))


async def test_redirects_and_cookies_go_their_usual_way(taper: Taper) -> None:
    async def handler(request: BaseRequest) -> Response:
        if request.raw_path == "/start":
            headers = {"Location": "/end?token=s3cr3t-in-a-url", "Set-Cookie": "sid=s3cr3t-cookie"}
            return Response(status=302, headers=headers)
        return Response(text=request.raw_path)

    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(f"{url}/start") as response:
            assert response.history[0].cookies["sid"].value
            return response.status

    assert await taper.both(handler, program) == 200
    assert b"s3cr3t" not in taper.path.read_bytes()


async def test_the_host_field_is_passed_on(taper: Taper) -> None:
    async def handler(request: BaseRequest) -> Response:
        assert request.headers.getall("Host") == ["virtual.test"]
        assert request.headers.getall("X-Twice") == ["1", "2"]
        assert set(request.headers) == {"Host", "X-Twice"}
        return Response(text="good")

    async def program(session: ClientSession, url: str) -> str:
        headers = [("Host", "virtual.test"), ("X-Twice", "1"), ("X-Twice", "2")]
        skip = ["Accept", "Accept-Encoding", "User-Agent"]
        async with session.get(url, headers=headers, skip_auto_headers=skip) as response:
            return await response.text()

    assert await taper.both(handler, program) == "good"


async def test_a_proxy_is_used_for_recording_alone(taper: Taper) -> None:
    """Behind a proxy the request has the form for one, and still is the same request."""
    targets = []

    async def proxy(request: BaseRequest) -> Response:
        targets.append((request.raw_path, request.headers.get("Proxy-Authorization")))
        return Response(text="through the proxy")

    async def through(session: ClientSession, url: str) -> str:
        options = {"proxy": url, "proxy_headers": {"Proxy-Authorization": "Basic YTpi"}}
        async with session.get("http://origin.test/path?a", **options) as response:  # type: ignore[arg-type]
            return await response.text()

    async def straight(session: ClientSession, url: str) -> str:
        async with session.get("http://origin.test/path?a") as response:
            return await response.text()

    assert await taper.both(proxy, through) == "through the proxy"
    assert targets == [("http://origin.test/path?a", "Basic YTpi")]
    assert await taper.run(straight) == "through the proxy"
    assert b"YTpi" not in taper.path.read_bytes()


async def test_https_needs_no_tls_to_play(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    exchange = {
        "request": {"method": "GET", "url": "https://[::1]:4433/x", "headers": []},
        "response": {"status": 200, "reason": "", "headers": [["X-A", "1"]], "body": {"json": []}},
    }
    path.write_text(json.dumps({"httpcore-cassette": 1, "exchanges": [exchange]}))
    async with Cassette(path) as cassette, ClientSession(connector=cassette) as session:
        assert not cassette.recording
        assert cassette.path == str(path)
        assert len(cassette.unplayed) == 1
        async with session.get("https://[::1]:4433/x") as response:
            assert await response.read() == b"[]"
            assert list(response.headers.items()) == [("X-A", "1"), ("Content-Length", "2")]
        assert cassette.unplayed == []


async def test_http_1_0_has_no_chunks(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(url) as response:
            return await response.read()

    await taper.record(in_chunks, program)
    async with (
        Cassette(taper.path) as cassette,
        ClientSession(connector=cassette, version=HttpVersion10) as session,
        session.get(f"http://127.0.0.1:{taper.port}") as response,
    ):
        assert await response.read() == b"one two"
        assert response.headers["Content-Length"] == "7"
        assert response.trailers == {}


async def test_octets_that_are_no_text_are_in_heads_as_well(taper: Taper) -> None:
    async def handler(request: BaseRequest) -> Response:
        return Response(headers={"X-Back": request.headers["X-There"]}, reason="\udce9")

    async def program(session: ClientSession, url: str) -> Any:
        async with session.get(url, headers={"X-There": "caf\udce9"}) as response:
            return dict(response.raw_headers)[b"X-Back"], response.reason

    assert await taper.both(handler, program) == (b"caf\xe9", "\udce9")


async def test_large_heads(taper: Taper) -> None:
    """The limits of a server stood in the way of what another server takes."""
    large = "x" * 20_000

    async def handler(request: BaseRequest) -> Response:
        assert request.headers["X-Large"] == large
        return Response(headers={f"X-{number}": large for number in range(2)})

    async def program(session: ClientSession, url: str) -> int:
        headers = {"X-Large": large}
        async with session.get(url, headers=headers, max_field_size=30_000) as response:
            return len(response.headers["X-1"])

    async def run(url: str) -> int:
        async with (
            Cassette(taper.path) as cassette,
            ClientSession(connector=cassette) as session,
        ):
            return await program(session, url)

    async with RawTestServer(handler) as server:
        server.handler.limits = Limits(max_field_size=30_000, max_head_size=100_000)
        url = str(server.make_url("/"))
        assert await run(url) == 20_000
    assert await run(url) == 20_000


async def test_a_connection_may_be_closed_behind_an_answer(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> Any:
        found = []
        for _ in range(2):
            async with session.get(url, headers={"Connection": "close"}) as response:
                found.append((await response.text(), response.headers.get("Connection")))
        return found

    assert await taper.both(echo, program) == [("GET / ", "close")] * 2
    request = taper.document["exchanges"][0]["request"]
    assert request["headers"] == [["Accept", "*/*"]]


# What goes wrong.


async def test_what_cannot_be_sent_is_told(taper: Taper) -> None:
    """A line end in a field was answered with 500, as if the recorded server had."""
    await taper.record(echo, get_text)
    document = taper.document
    document["exchanges"][0]["response"]["headers"].append(["X", "a\r\nb"])
    taper.path.write_text(json.dumps(document))
    with pytest.raises(CassetteError, match=r"GET /a\?b=c: what is recorded in .* cannot be sent"):
        await taper.run(get_text)


async def test_nothing_is_recorded(taper: Taper) -> None:
    taper.path.parent.mkdir()
    taper.path.write_text('{"httpcore-cassette": 1, "exchanges": []}')
    taper.port = 80
    with pytest.raises(CassetteMissError, match="\nnothing is recorded there\n"):
        await taper.run(get_text)


@pytest.mark.parametrize("size", [1, 300_000])
async def test_a_miss_while_an_upload_is_watched(taper: Taper, size: int) -> None:
    """What listens beside an upload got the error, and made a group of it."""
    await taper.record(echo, get_text)

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * size
        # By now the cassette has all that was announced, and knows that it has no answer.
        await anyio.wait_all_tasks_blocked()

    async def program(session: ClientSession, url: str) -> None:
        with pytest.raises(CassetteMissError):
            length = {"Content-Length": str(3 * size)}
            await session.post(url, data=pieces(), headers=length)
        with pytest.raises(CassetteMissError):
            await session.post(url, data=pieces(), expect100=True)

    with pytest.raises(CassetteMissError):
        await taper.run(program)


@pytest.mark.parametrize(
    ("recorded", "sent", "shown"),
    [
        (b"{broken", b"{broken too", r"recorded b'{broken', requested b'{broken too'"),
        (
            b"a" * 500 + b"b" * 500,
            b"a" * 500 + b"c" * 500,
            r"recorded \.\.\.a{60}b{60}\.\.\., requested \.\.\.a{60}c{60}\.\.\.",
        ),
        (b'{"b": [1], "a": 2}', b"[]", r"""recorded '{"a": 2, "b": \[1\]}', requested '\[\]'"""),
        (b"[" * 500 + b"]" * 500, b"x", "recorded"),
    ],
)
async def test_how_a_difference_is_shown(
    taper: Taper, recorded: bytes, sent: bytes, shown: str
) -> None:
    async def post(session: ClientSession, url: str, body: bytes) -> None:
        async with session.post(url, data=body) as response:
            await response.read()

    await taper.record(echo, lambda session, url: post(session, url, recorded))
    await taper.run(lambda session, url: post(session, url, recorded))
    with pytest.raises(CassetteMissError, match=f"  body: {shown}"):
        await taper.run(lambda session, url: post(session, url, sent))


async def test_an_error_of_a_hook_is_raised(taper: Taper) -> None:
    def hook(exchange: RecordedExchange) -> RecordedExchange:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await taper.record(echo, get_text, before_record=hook)
    assert not taper.path.exists()


async def test_websockets_are_refused(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> None:
        await session.ws_connect(url)

    with pytest.raises(CassetteError, match="a cassette records no WebSockets"):
        await taper.record(echo, program)
    assert not taper.path.exists()


@pytest.mark.parametrize("size", [5000, 500_000])
async def test_large_bodies_are_refused(taper: Taper, size: int) -> None:
    async def large(request: BaseRequest) -> Response:
        return Response(body=b"x" * size)

    async def coded(request: BaseRequest) -> Response:
        return Response(body=gzip.compress(b"x" * size), headers={"Content-Encoding": "gzip"})

    async def program(session: ClientSession, url: str) -> None:
        await session.get(url)

    async def upload(session: ClientSession, url: str) -> None:
        await session.post(url, data=b"x" * size)

    for handler, sender in ((large, program), (coded, program), (echo, upload)):
        with pytest.raises(CassetteError, match="has more than max_body=4999 bytes"):
            await taper.record(handler, sender, max_body=4999)
    assert not taper.path.exists()
    await taper.both(large, upload, max_body=size)


async def test_errors_of_the_network_are_the_programs(taper: Taper) -> None:
    """They are not recorded, and leave the cassette as it was."""
    await taper.record(echo, get_text)
    before = taper.path.read_bytes()

    async def program(session: ClientSession, url: str) -> None:
        with pytest.raises(ClientConnectionError):
            await get_text(session, url)

    await taper.run(program, mode="all")
    assert taper.path.read_bytes() == before


async def test_who_gives_up_leaves_nothing_behind(taper: Taper) -> None:
    arrived, ended = anyio.Event(), anyio.Event()

    async def handler(request: BaseRequest) -> Response:
        if request.raw_path == "/slow":
            arrived.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()
        return Response(text="quick")

    async def program(session: ClientSession, url: str) -> None:
        async with anyio.create_task_group() as group:

            async def slow() -> None:
                await session.get(f"{url}/slow")

            group.start_soon(slow)
            await arrived.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            await ended.wait()
        async with session.get(f"{url}/quick") as response:
            assert await response.text() == "quick"

    await taper.record(handler, program)
    assert ended.is_set()
    (exchange,) = taper.document["exchanges"]
    assert exchange["request"]["url"].endswith("/quick")


async def test_closing_ends_what_is_under_way(taper: Taper) -> None:
    arrived = anyio.Event()

    async def handler(request: BaseRequest) -> Response:
        arrived.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def program(session: ClientSession, url: str) -> None:
        async def slow() -> None:
            with pytest.raises(ClientConnectionError):
                await session.get(url)

        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            await arrived.wait()
            await session.close()

    await taper.record(handler, program)
    assert taper.document["exchanges"] == []


async def test_a_program_that_fails_is_not_masked(taper: Taper) -> None:
    await taper.record(echo, get_text)

    async def program(session: ClientSession, url: str) -> None:
        with pytest.raises(CassetteMissError):
            await session.put(url)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await taper.run(program)


async def test_an_unused_cassette_writes_nothing(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> None:
        pass

    await taper.run(program)
    assert not taper.path.exists()


async def test_the_file_cannot_be_written(taper: Taper) -> None:
    taper.path.parent.write_text("no folder")
    with pytest.raises(OSError, match=r"tape|folder"):
        await taper.record(echo, get_text)


# Options.


async def test_before_record_changes_and_drops(taper: Taper) -> None:
    def hook(exchange: RecordedExchange) -> RecordedExchange | None:
        return None if exchange.request.url.endswith("/drop") else exchange

    async def program(session: ClientSession, url: str) -> None:
        for path in ("/drop", "/keep"):
            async with session.get(url + path) as response:
                await response.read()

    await taper.record(echo, program, before_record=hook)
    (exchange,) = taper.document["exchanges"]
    assert exchange["request"]["url"].endswith("/keep")


@pytest.mark.parametrize(
    ("match_on", "path", "headers", "found"),
    [
        (("method", "url"), "/a?x=1&y=2", {}, True),
        (("method", "url"), "/a?y=2&x=1", {}, False),
        (("origin", "path", "query"), "/a?y=2&x=1", {}, True),
        (("path",), "/a?z", {}, True),
        (("query",), "/b?x=1&y=2", {}, True),
        (("query",), "/a?x=1&y=3", {}, False),
        (("header:x-tenant",), "/b", {"X-Tenant": "one"}, True),
        (("header:X-Tenant",), "/b", {"X-Tenant": "two"}, False),
        (("header:X-Tenant",), "/b", {}, False),
        ((), "/whatever", {}, True),
    ],
)
async def test_match_on(
    taper: Taper, match_on: tuple[str, ...], path: str, headers: dict[str, str], found: bool
) -> None:
    async def ask(session: ClientSession, url: str, path: str, headers: dict[str, str]) -> str:
        async with session.get(url + path, headers=headers) as response:
            return await response.text()

    await taper.record(echo, lambda s, url: ask(s, url, "/a?x=1&y=2", {"X-Tenant": "one"}))

    async def program(session: ClientSession, url: str) -> str:
        return await ask(session, url, path, headers)

    if found:
        assert await taper.run(program, match_on=match_on) == "GET /a?x=1&y=2 "
    else:
        with pytest.raises(CassetteMissError, match="nearest is exchange 1"):
            await taper.run(program, match_on=match_on)


@pytest.mark.parametrize(
    ("match_on", "message"),
    [
        ("header:User-Agent", "is not recorded, see ignore_headers"),
        ("host", "no 'host'; there are"),
    ],
)
def test_match_on_what_there_is_not(tmp_path: Path, match_on: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cassette(tmp_path / "x.json", match_on=[match_on])


async def test_ignore_headers(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> bool:
        async with session.get(url) as response:
            return "Date" in response.headers

    assert await taper.both(echo, program, ignore_headers=()) is True
    assert b"User-Agent" in taper.path.read_bytes()
    assert await taper.both(echo, program) is False


async def test_a_connector_for_recording(taper: Taper) -> None:
    connector = TCPConnector()
    await taper.record(echo, get_text, connector=connector)
    assert connector.closed


# Secrets.


async def test_no_secret_reaches_the_file(taper: Taper) -> None:
    """Requests with the secret, with another one, and with none of worth are the same one."""

    async def handler(request: BaseRequest) -> Response:
        # All of it comes back, in places that nobody has a name for.
        body = (await request.read()).decode()
        told = f"{dict(request.headers)} {request.raw_path} {body}"
        headers = [
            ("Set-Cookie", "sid=c00kie-s3cr3t-1; Path=/"),
            ("Location", "https://joe:p4ss-s3cr3t-word@next.test/?access_token=t0ken-s3cr3t-loc#x"),
            ("X-Echo", request.headers["Authorization"]),
        ]
        document = {"access_token": "t0ken-s3cr3t-json", "expires_in": 5, "told": told}
        return Response(text=json.dumps(document), headers=headers)

    def program_with(secret: str) -> Program:
        async def program(session: ClientSession, url: str) -> str:
            form = {"password": f"{secret}-form", "user": "joe"}
            async with session.post(
                f"{url}/path?api_key={secret}-url&page=2",
                data=form,
                headers={"Authorization": f"Bearer {secret}-bearer", "X-Api-Key": f"{secret}-key"},
                cookies={"sid": f"{secret}-cookie"},
            ) as response:
                assert response.cookies["sid"].value
                document = await response.json(content_type=None)
                assert document["expires_in"] == 5
                return str(document["access_token"])

        return program

    real = await taper.record(handler, program_with("s3cr3t-0123456789"))
    assert real == "t0ken-s3cr3t-json"
    text = taper.path.read_text()
    assert "s3cr3t" not in text
    assert "page=2" in text
    assert "user=joe" in text
    assert "Bearer [redacted]" in text
    for secret in ("s3cr3t-0123456789", "another", "x"):
        assert await taper.run(program_with(secret)) == "[redacted]"


async def test_redaction_can_be_told_more_and_off(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> str:
        async with session.get(f"{url}/u/joe/x?pin=1234&token=abc") as response:
            return await response.text()

    redact = Redaction(names=["PIN"], values=["joe"])
    await taper.record(echo, program, redact=redact)
    request = taper.document["exchanges"][0]["request"]
    assert request["url"].endswith("/u/[redacted]/x?pin=[redacted]&token=abc")
    assert await taper.run(program, redact=redact) == (
        "GET /u/[redacted]/x?pin=[redacted]&token=abc "
    )
    assert await taper.both(echo, program, redact=None) == "GET /u/joe/x?pin=1234&token=abc "


async def test_a_secret_that_is_known_later_is_taken_out_of_what_came_before(taper: Taper) -> None:
    async def program(session: ClientSession, url: str) -> None:
        for path in ("/k3y-s3cr3t-00001/", "/?token=k3y-s3cr3t-00001"):
            async with session.get(url + path) as response:
                await response.read()

    await taper.record(echo, program)
    assert b"s3cr3t" not in taper.path.read_bytes()


async def test_cookies_are_the_programs_affair(taper: Taper) -> None:
    async def handler(request: BaseRequest) -> Response:
        assert "Cookie" not in request.headers
        return Response(headers={"Set-Cookie": "a=1"})

    async with RawTestServer(handler, host="localhost") as server:
        cassette = Cassette(taper.path)
        jar = DummyCookieJar()
        async with ClientSession(connector=cassette, cookie_jar=jar) as session:
            for _ in range(2):
                async with session.get(server.make_url("/")) as response:
                    assert response.status == 200
            cassette.check()
            cassette.save()
            assert len(taper.document["exchanges"]) == 2
