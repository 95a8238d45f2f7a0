"""TestServer, RawTestServer and TestClient, through a socket and in memory."""

from __future__ import annotations

import contextvars
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

import httpserver as web
from httpclient import (
    ClientConnectorError,
    ClientError,
    CookieJar,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from httpcore_testing import (
    MemoryConnector,
    RawTestServer,
    TestClient,
    TestServer,
    Transport,
    get_port_socket,
)

pytestmark = pytest.mark.anyio

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


@pytest.fixture(params=["socket", "memory"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param  # type: ignore[no-any-return]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"hello {request.query.get('name', 'you')}")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


def make_app(**handlers: Callable[..., Any]) -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_post("/echo", echo)
    for name, handler in handlers.items():
        app.router.add_route("*", f"/{name}", handler)
    return app


async def test_requests_reach_the_application(transport: Transport) -> None:
    async with TestClient(make_app(), transport=transport) as client:
        async with client.get("/?name=anna") as response:
            assert (response.status, await response.text()) == (200, "hello anna")
        response = await client.post("/echo", data=b"x" * 300_000)
        assert await response.read() == b"x" * 300_000


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "query"])
async def test_each_method_has_a_shorthand(method: str, transport: Transport) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=request.method)

    async with TestClient(make_app(tell=tell), transport=transport) as client:
        async with getattr(client, method)("/tell") as response:
            assert await response.text() == method.upper()


async def test_head_follows_redirects(transport: Transport) -> None:
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/")

    async with TestClient(make_app(away=away), transport=transport) as client:
        async with client.head("/away") as response:
            assert (response.status, response.url.path) == (200, "/")


async def test_a_web_socket_reaches_the_application(transport: Transport) -> None:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        codes.append(socket.close_code)
        return socket

    codes: list[int | None] = []
    async with TestClient(make_app(talk=talk), transport=transport) as client:
        async with client.ws_connect("/talk") as one:
            await one.send_str("a")
            assert await one.receive_str() == "A"
        left_open = await client.ws_connect("/talk", compress=15)
        await left_open.send_str("b" * 100_000)
        assert await left_open.receive_str() == "B" * 100_000
    assert left_open.closed
    assert codes == [1000, 1000]


async def test_what_streams_comes_as_it_is_written(transport: Transport) -> None:
    read = [anyio.Event() for _ in range(3)]

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(b"%d" % number)
            await read[number].wait()
        return response

    async with TestClient(make_app(stream=stream), transport=transport) as client:
        async with client.get("/stream") as response:
            for number in range(3):
                assert await response.content.readany() == b"%d" % number
                read[number].set()
            assert await response.content.readany() == b""


async def test_a_slow_reader_holds_the_writer_up(transport: Transport) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 65536)
            written += 65536
        return response

    async with TestClient(make_app(flood=flood), transport=transport) as client:
        async with client.get("/flood") as response:
            await response.content.readexactly(1)
            await anyio.wait_all_tasks_blocked()
            assert written < 60 * 2**20
            response.close()


async def test_a_client_that_goes_away_cancels_the_handler(transport: Transport) -> None:
    started, ended = anyio.Event(), anyio.Event()

    async def wait(request: web.Request) -> web.Response:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with TestClient(make_app(wait=wait), transport=transport) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get("/wait").__aenter__)
            await started.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()


async def test_handlers_do_not_see_the_variables_of_the_test(transport: Transport) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=seen.get())

    async with TestClient(make_app(tell=tell), transport=transport) as client:
        seen.set("the test's")
        for _ in range(2):
            async with client.get("/tell") as response:
                assert await response.text() == "nothing"


async def test_what_breaks_is_not_asked_for_again(transport: Transport) -> None:
    count = 0

    async def fail(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        request.exchange.link.abort()
        return web.Response()

    async with TestClient(make_app(fail=fail), transport=transport) as client:
        async with client.get("/"):
            pass  # so that the next one is on a used connection
        with pytest.raises(ClientError):
            await client.get("/fail")
    assert count == 1


async def test_cookies_of_the_address_are_kept(transport: Transport) -> None:
    async def bake(request: web.Request) -> web.Response:
        response = web.Response(text=request.cookies.get("a", "none"))
        response.set_cookie("a", "b")
        return response

    async with TestClient(make_app(bake=bake), transport=transport) as client:
        assert await (await client.get("/bake")).text() == "none"
        assert await (await client.get("/bake")).text() == "b"
    jar = DummyCookieJar()
    async with TestClient(make_app(bake=bake), transport=transport, cookie_jar=jar) as client:
        await client.get("/bake")
        assert await (await client.get("/bake")).text() == "none"
        assert client.session.cookie_jar is jar


async def test_addresses_are_told_to_both_sides(transport: Transport) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.remote} {request.url}")

    async with TestClient(make_app(tell=tell), transport=transport) as client:
        async with client.get("/tell") as response:
            assert await response.text() == f"127.0.0.1 {client.make_url('/tell')}"


async def test_a_bare_handler_is_served_in_debug_mode(transport: Transport) -> None:
    async def fail(request: web.BaseRequest) -> web.Response:
        raise RuntimeError("seen by the client")

    async with TestClient(RawTestServer(fail), transport=transport) as client:
        assert client.app is None
        async with client.get("/any/path") as response:
            assert response.status == 500
            assert "seen by the client" in await response.text()
    quiet = RawTestServer(fail, debug=False, shutdown_timeout=1)
    async with TestClient(quiet, transport=transport) as client:
        async with client.get("/any/path") as response:
            assert "seen by the client" not in await response.text()


async def test_life_and_end(transport: Transport) -> None:
    app = make_app()
    events: list[str] = []
    app.on_startup.append(lambda app: _note(events, "start"))
    app.on_cleanup.append(lambda app: _note(events, "end"))
    server = TestServer(app)
    client = TestClient(server, transport=transport)
    assert (client.server, client.app, server.started, server.closed) == (server, app, False, False)
    for use in (lambda: client.session, lambda: client.get("/"), lambda: server.handler):
        with pytest.raises(RuntimeError, match="not started"):
            use()
    with pytest.raises(RuntimeError, match="not started"):
        client.make_url("/")
    assert "not started" in repr(server)
    await client.start_server()
    await client.start_server()
    assert server.started
    assert server.runner is not None
    assert server.handler is server.runner.server
    assert (client.host, client.port) == ("127.0.0.1", server.port)
    url = client.make_url("/a?b")
    assert (url.host, url.port, url.path_qs) == ("127.0.0.1", server.port, "/a?b")
    assert "http://127.0.0.1" in repr(server)
    response = await client.get("/")
    session = client.session
    await client.close()
    await client.close()
    await server.close()
    assert events == ["start", "end"]
    assert session.closed and server.closed  # noqa: PT018
    assert response.closed
    with pytest.raises(RuntimeError, match="closed"):
        client.get("/")
    await client.start_server()  # once only
    assert events == ["start", "end"]


async def _note(events: list[str], event: str) -> None:
    events.append(event)


async def test_a_response_left_open_is_closed_with_the_client(transport: Transport) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await anyio.sleep_forever()
        raise AssertionError

    client = TestClient(make_app(endless=endless), transport=transport)
    await client.start_server()
    response = await client.get("/endless")
    await client.close()
    assert response.closed
    with pytest.raises(ClientError):
        await response.read()


async def test_only_paths_are_taken(transport: Transport) -> None:
    async with TestClient(make_app(), transport=transport) as client:
        for url in ("http://example.org/", "//example.org/", URL("http://example.org/")):
            with pytest.raises(AssertionError, match="absolute"):
                client.get(url)
            with pytest.raises(AssertionError, match="absolute"):
                client.ws_connect(url)
        for path in ("?name=b", URL("/?name=b")):
            async with client.get(path) as response:
                assert await response.text() == "hello b"
    async with TestServer(make_app(), skip_url_asserts=True) as server:
        assert str(server.make_url("http://example.org/")) == "http://example.org/"


@pytest.mark.parametrize(
    ("server", "options", "error", "text"),
    [
        (hello, {}, TypeError, "got function"),
        (None, {}, TypeError, "got NoneType"),
        (web.Application(), {"transport": "pigeon"}, ValueError, "got 'pigeon'"),
        (
            web.Application(),
            {"transport": "memory", "connector": object()},
            ValueError,
            "leave out connector",
        ),
    ],
)
async def test_what_it_cannot_be_made_of(
    server: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        TestClient(server, **options)


async def test_a_failed_start_closes_the_server(transport: Transport) -> None:
    events: list[str] = []
    app = make_app()
    app.on_cleanup.append(lambda app: _note(events, "end"))
    with pytest.raises(TypeError, match="nonsense"):
        async with TestClient(app, transport=transport, nonsense=1):
            raise AssertionError
    assert events == ["end"]


async def test_an_option_that_no_server_has() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        await TestServer(make_app(), nonsense=1).start_server()


async def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    events: list[str] = []
    app = make_app()
    app.on_cleanup.append(lambda app: _note(events, "end"))
    with get_port_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await TestServer(app, port=taken.getsockname()[1]).start_server()
    assert events == ["end"]


async def test_a_port_and_a_socket_of_ones_own() -> None:
    made: list[tuple[str, int, int]] = []

    def make(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
        made.append((host, port, family))
        return get_port_socket(host, port, family)

    async with TestServer(make_app(), socket_factory=make) as server:
        assert made == [("127.0.0.1", 0, socket.AF_INET)]
        port = server.port
    async with TestServer(make_app(), port=port) as server:
        assert server.port == port


async def test_ipv6() -> None:
    async with TestClient(TestServer(make_app(), host="::1")) as client:
        assert client.make_url("/").raw_authority == f"[::1]:{client.port}"
        async with client.get("/") as response:
            assert response.status == 200


async def test_memory_has_no_tls(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ValueError, match="no TLS"):
        await TestServer(make_app()).start_server(ssl=context, transport="memory")
    server = TestServer(make_app())
    await server.start_server(ssl=context)
    assert server.scheme == "https"
    with pytest.raises(ValueError, match="no TLS"):
        await TestClient(server, transport="memory").start_server()
    assert server.closed


async def test_a_server_can_be_reached_both_ways() -> None:
    server = TestServer(make_app())
    await server.start_server()
    in_memory = TestClient(server, transport="memory")
    await in_memory.start_server()
    async with TestClient(server) as client:
        for either in (client, in_memory):
            async with either.get("/") as response:
                assert response.status == 200
        await in_memory.session.close()


async def test_options_reach_the_session(transport: Transport) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["X-A"])

    async with TestClient(
        make_app(tell=tell), transport=transport, headers={"X-A": "b"}, cookie_jar=CookieJar()
    ) as client:
        async with client.get("/tell") as response:
            assert await response.text() == "b"


async def test_a_connector_of_ones_own() -> None:
    connector = TCPConnector(limit=1)
    async with TestClient(make_app(), connector=connector) as client:
        assert client.session.connector is connector


@pytest.mark.parametrize("kind", [TestServer, TestClient])
async def test_sync_with_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="context manager"):
        with kind(make_app()):
            raise AssertionError


async def test_a_memory_connector_can_refuse_to_connect() -> None:
    def refuse(key: object) -> Any:
        raise ConnectionRefusedError(111, "nobody is there")

    async with TestClient(make_app(), connector=MemoryConnector(refuse)) as client:
        with pytest.raises(ClientConnectorError, match="nobody is there"):
            await client.get("/")


async def test_a_server_that_closed_is_noticed() -> None:
    """A link in memory that nobody reads must hear of the end all the same."""
    server = TestServer(make_app())
    client = TestClient(server, transport="memory")
    await client.start_server()
    async with client.get("/"):
        pass
    await server.close()
    with pytest.raises((ServerDisconnectedError, ClientError)):
        await client.get("/")
    await client.close()
