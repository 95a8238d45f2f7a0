from __future__ import annotations

import inspect
import io
import json
import ssl
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest

import httpserver as web
from httpcore_proto import (
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    LocalProtocolError,
    RemoteProtocolError,
)
from httpcore_proto.aio import StreamReader
from httpcore_testing import make_mocked_coro, make_mocked_request

USER = web.AppKey("user", str)


def body_of(wire: io.BytesIO) -> bytes:
    return wire.getvalue().partition(b"\r\n\r\n")[2]


# Without an event loop.


def test_head_is_as_asked() -> None:
    request = make_mocked_request("POST", "/a%20b?x=1&x=2", {"X-Token": "t", "Cookie": "c=1; d=2"})

    assert type(request) is web.Request
    assert request.method == "POST"
    assert request.path == "/a b"
    assert request.raw_path == "/a%20b?x=1&x=2"
    assert request.query.getall("x") == ["1", "2"]
    assert list(request.headers.items()) == [("X-Token", "t"), ("Cookie", "c=1; d=2")]
    assert request.raw_headers == ((b"X-Token", b"t"), (b"Cookie", b"c=1; d=2"))
    assert request.cookies == {"c": "1", "d": "2"}
    assert request.version == HttpVersion11
    assert request.keep_alive
    assert not request.body_exists
    assert not request.match_info
    assert request.client_max_size == 1024**2
    assert request.client_max_fields == 1000


def test_path_that_is_not_ascii_is_encoded_as_clients_do() -> None:
    request = make_mocked_request("GET", "/é x?q=ü")

    assert request.raw_path == "/%C3%A9%20x?q=%C3%BC"
    assert request.path == "/é x"
    assert request.query["q"] == "ü"


@pytest.mark.parametrize(
    ("method", "path", "url"),
    [
        ("GET", "/", "http://127.0.0.1/"),
        ("GET", "http://there:81/x", "http://there:81/x"),
        ("OPTIONS", "*", "http://127.0.0.1/*"),
        ("CONNECT", "there:443", "http://127.0.0.1"),
    ],
)
def test_target_in_all_its_forms(method: str, path: str, url: str) -> None:
    request = make_mocked_request(method, path)

    assert request.method == method
    assert request.raw_path == path
    assert str(request.url) == url


def test_address_is_that_of_a_server_and_nobody_is_connected() -> None:
    request = make_mocked_request("GET", "/")

    assert request.get_extra_info("sockname") == ("127.0.0.1", 80)
    assert request.host == "127.0.0.1:80"
    assert request.remote is None
    assert request.get_extra_info("peername", "nobody") == "nobody"
    assert request.scheme == "http"
    assert request.tls is None


def test_host_of_the_headers_wins() -> None:
    assert make_mocked_request("GET", "/", {"Host": "there:81"}).host == "there:81"


@pytest.mark.parametrize(
    ("kwargs", "keep_alive"),
    [
        ({}, True),
        ({"closing": True}, False),
        ({"headers": {"Connection": "close"}}, False),
        ({"version": HttpVersion10}, False),
        ({"version": HttpVersion10, "headers": {"Connection": "keep-alive"}}, False),
    ],
)
def test_closing(kwargs: dict[str, Any], keep_alive: bool) -> None:
    request = make_mocked_request("GET", "/", **kwargs)

    assert request.keep_alive is keep_alive
    assert request.version == kwargs.get("version", HttpVersion11)
    assert dict(request.headers) == kwargs.get("headers", {})


def test_match_info_is_that_of_a_route() -> None:
    app = web.Application()
    request = make_mocked_request("GET", "/", match_info={"name": "a b"}, app=app)

    assert request.match_info == {"name": "a b"}
    assert request.match_info["name"] == "a b"
    assert request.match_info.apps == (app,)
    assert request.match_info.current_app is app
    assert request.match_info.http_exception is None
    assert request.match_info.frozen


def test_match_info_of_ones_own() -> None:
    app = web.Application()
    route = app.router.add_get("/{name}", make_mocked_coro(), name="named")
    info = web.UrlMappingMatchInfo({"name": "x"}, route)

    request = make_mocked_request("GET", "/x", match_info=info, app=app)

    assert request.match_info is info
    assert request.match_info.route.name == "named"
    assert make_mocked_request("GET", "/x", match_info=info, app=app).match_info is info
    with pytest.raises(RuntimeError, match="not one of the request's applications"):
        make_mocked_request("GET", "/x", match_info=info)


async def test_route_of_a_request_is_not_called_by_accident() -> None:
    request = make_mocked_request("GET", "/")

    with pytest.raises(RuntimeError, match="call the handler by hand"):
        await request.match_info.handler(request)


def test_app_is_the_one_given() -> None:
    app = web.Application()
    app[USER] = "somebody"
    request = make_mocked_request("GET", "/", app=app)

    assert request.app is app
    assert request.config_dict[USER] == "somebody"


def test_app_by_default_takes_items_and_no_hooks() -> None:
    request = make_mocked_request("GET", "/")
    request.app[USER] = "somebody"

    assert request.app[USER] == "somebody"
    assert request.config_dict[USER] == "somebody"
    assert make_mocked_request("GET", "/").app.get(USER) is None
    with pytest.raises(RuntimeError, match="frozen"):
        request.app.on_response_prepare.append(make_mocked_coro())


def test_request_takes_items() -> None:
    key = web.RequestKey("key", int)
    request = make_mocked_request("GET", "/")
    request[key] = 1

    assert request[key] == 1
    assert request.clone(method="PUT")[key] == 1


def test_transport_tells_the_facts() -> None:
    transport = mock.Mock()
    transport.info.side_effect = {"peername": ("192.0.2.1", 5)}.get

    request = make_mocked_request("GET", "/", transport=transport)

    assert request.remote == "192.0.2.1"
    assert request.host == ""


@pytest.mark.parametrize("protocol", [ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT])
def test_sslcontext_makes_it_secure(protocol: int) -> None:
    context = ssl.SSLContext(protocol)

    request = make_mocked_request("GET", "/", sslcontext=context)

    assert request.scheme == "https"
    assert request.secure
    assert request.get_extra_info("sslcontext") is context
    assert request.get_extra_info("ssl_object").context is context
    with pytest.raises(ValueError, match="handshake"):
        _ = request.tls


@pytest.mark.parametrize(
    ("path", "kwargs", "error", "tells"),
    [
        ("", {}, ValueError, "begins with a slash"),
        ("a/b", {}, ValueError, "path='a/b'"),
        ("/", {"version": HttpVersion(2, 0)}, ValueError, "HttpVersion11 expected"),
        ("/", {"version": HttpVersion(0, 9)}, ValueError, "HttpVersion11 expected"),
        ("/", {"headers": {"a b": "c"}}, LocalProtocolError, "a b"),
        ("/", {"headers": {"a": "b\r\nc: d"}}, LocalProtocolError, "control character"),
        ("/", {"headers": {"Content-Length": "x"}}, LocalProtocolError, "not a number"),
        ("/", {"headers": {"a": "b" * 10_000}}, RemoteProtocolError, "max_field_size"),
        ("/" + "a" * 10_000, {}, RemoteProtocolError, "max_line_size"),
        ("*", {}, RemoteProtocolError, "target"),
    ],
)
def test_request_that_no_handler_would_get(
    path: str, kwargs: dict[str, Any], error: type[Exception], tells: str
) -> None:
    with pytest.raises(error, match=tells):
        make_mocked_request("GET", path, **kwargs)


@pytest.mark.parametrize(
    ("method", "error"), [("G T", LocalProtocolError), ("UNHEARD", RemoteProtocolError)]
)
def test_method_that_no_handler_would_get(method: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="method"):
        make_mocked_request(method, "/")


# Bodies.


async def test_body_of_bytes() -> None:
    request = make_mocked_request("POST", "/", payload=b'{"a": 1}')

    assert request.body_exists
    assert request.can_read_body
    assert await request.json() == {"a": 1}
    assert await request.read() == b'{"a": 1}'
    assert not request.can_read_body


async def test_body_that_is_fed_while_the_handler_reads() -> None:
    payload = StreamReader(None)
    payload.feed_data(b"one ")
    request = make_mocked_request("POST", "/", payload=payload)

    assert await request.content.readany() == b"one "
    payload.feed_data(b"two")
    payload.feed_eof()
    assert await request.text() == "two"


async def test_body_that_breaks() -> None:
    payload = StreamReader(None)
    payload.set_exception(ConnectionResetError("gone"))

    with pytest.raises(ConnectionResetError):
        await make_mocked_request("POST", "/", payload=payload).read()


async def test_form() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = make_mocked_request("POST", "/", headers, payload=b"a=1&b=%20")

    assert dict(await request.post()) == {"a": "1", "b": " "}


async def test_multipart_form() -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    part = (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nbytes\r\n--x--\r\n'
    )
    request = make_mocked_request("POST", "/", headers, payload=part)

    field = (await request.post())["f"]

    assert isinstance(field, web.FileField)
    assert field.file.read() == b"bytes"
    await request.release_files()


@pytest.mark.parametrize(
    ("kwargs", "headers"),
    [
        ({"client_max_size": 3}, {}),
        ({"client_max_size": 3}, {"Content-Length": "7"}),
        ({"client_max_fields": 1}, {}),
    ],
)
async def test_limits(kwargs: dict[str, int], headers: dict[str, str]) -> None:
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    request = make_mocked_request("POST", "/", headers, payload=b"a=1&b=2", **kwargs)

    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await request.post()


# Responses.


async def test_handler_is_called_by_hand() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"id": request.match_info["id"], "of": request.app[USER]})

    app = web.Application()
    app[USER] = "somebody"
    request = make_mocked_request("GET", "/x/5", match_info={"id": "5"}, app=app)

    response = await handler(request)

    assert response.status == 200
    assert json.loads(response.text or "") == {"id": "5", "of": "somebody"}
    assert not response.prepared


async def test_handlers_exception_is_raised() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPForbidden

    with pytest.raises(web.HTTPForbidden):
        await handler(make_mocked_request("GET", "/"))


async def test_middleware_and_view() -> None:
    class View(web.View):
        async def get(self) -> web.Response:
            return web.Response(text=self.request.path)

    @web.middleware
    async def shout(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request.clone(rel_url="/other"))
        response.text = response.text.upper()
        return response  # type: ignore[no-any-return]

    response = await shout(make_mocked_request("GET", "/one"), View)

    assert isinstance(response, web.Response)
    assert response.text == "/OTHER"


async def test_response_is_written_as_it_goes_on_the_wire() -> None:
    wire = io.BytesIO()
    request = make_mocked_request("GET", "/", writer=wire)
    response = web.Response(text="hello", headers={"X": "1"})

    await response.prepare(request)
    await response.write_eof()

    lines = wire.getvalue().split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"X: 1" in lines
    assert b"Content-Length: 5" in lines
    assert any(line.startswith(b"Date: ") for line in lines)
    assert body_of(wire) == b"hello"
    assert response.body_length == len(wire.getvalue())


async def test_stream_is_written_piece_by_piece() -> None:
    writer = mock.Mock()
    request = make_mocked_request("GET", "/", writer=writer)
    response = web.StreamResponse()
    response.trailers["X-Sum"] = "3"

    await response.prepare(request)
    head = writer.write.call_args.args[0]
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert response.prepared
    assert response.keep_alive
    writer.write.reset_mock()
    await response.write(b"one")
    await response.write_eof(b"two")

    pieces = [call.args[0] for call in writer.write.call_args_list]
    assert b"".join(pieces) == b"3\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 3\r\n\r\n"
    assert len(pieces) == 3


async def test_writer_by_default_is_there() -> None:
    response = web.StreamResponse()

    await response.prepare(make_mocked_request("GET", "/"))
    await response.write_eof(b"data")

    assert response.body_length > 100


@pytest.mark.parametrize(
    ("method", "kwargs", "body"),
    [
        ("GET", {}, b"4\r\ndata\r\n0\r\n\r\n"),
        ("GET", {"version": HttpVersion10}, b"data"),
        ("HEAD", {}, b""),
    ],
)
async def test_body_is_framed_as_the_request_has_it(
    method: str, kwargs: dict[str, Any], body: bytes
) -> None:
    wire = io.BytesIO()
    response = web.StreamResponse()

    await response.prepare(make_mocked_request(method, "/", writer=wire, **kwargs))
    await response.write_eof(b"data")

    assert body_of(wire) == body


async def test_payload_of_a_response() -> None:
    wire = io.BytesIO()
    response = web.Response(body=io.BytesIO(b"data"))

    await response.prepare(make_mocked_request("GET", "/", writer=wire))
    await response.write_eof()

    assert body_of(wire) == b"data"


async def test_closing_is_told_to_the_client() -> None:
    wire = io.BytesIO()
    response = web.Response()

    await response.prepare(make_mocked_request("GET", "/", writer=wire, closing=True))

    assert response.keep_alive is False
    assert b"\r\nConnection: close\r\n" in wire.getvalue()


async def test_response_that_is_not_fit_to_be_sent() -> None:
    response = web.Response(headers={"a b": "c"})

    with pytest.raises(LocalProtocolError):
        await response.prepare(make_mocked_request("GET", "/"))


async def test_hooks_of_the_application_run_once() -> None:
    seen: list[Any] = []

    async def hook(request: web.Request, response: web.StreamResponse) -> None:
        seen.append((request, response, "Date" in response.headers))
        response.headers["X-Hook"] = "was here"

    app = web.Application()
    app.on_response_prepare.append(hook)
    wire = io.BytesIO()
    request = make_mocked_request("GET", "/", app=app, writer=wire)
    response = web.Response()

    await response.prepare(request)
    await response.prepare(request)

    assert seen == [(request, response, True)]
    assert b"\r\nX-Hook: was here\r\n" in wire.getvalue()


@pytest.mark.parametrize("offset", [0, 5])
async def test_file(tmp_path: Path, offset: int) -> None:
    data = bytes(range(256)) * 2048  # more than is read at once
    (tmp_path / "file").write_bytes(data)
    wire = io.BytesIO()
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    response = web.FileResponse(tmp_path / "file")

    await response.prepare(make_mocked_request("GET", "/", headers, writer=wire))
    await response.write_eof()

    assert response.status == (206 if offset else 200)
    assert body_of(wire) == data[offset:]


async def test_file_that_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    request = make_mocked_request("GET", "/")
    await web.StreamResponse().prepare(request)

    with (tmp_path / "file").open("rb") as file, pytest.raises(EOFError, match="3 bytes early"):
        await request.exchange.write_file(file, 2, 5)


async def test_expect_is_answered_once_and_only_if_it_is_there() -> None:
    wire = io.BytesIO()
    headers = {"Expect": "100-continue", "Content-Length": "1"}
    request = make_mocked_request("POST", "/", headers, writer=wire)
    await request.exchange.send_continue()
    await request.exchange.send_continue()

    assert wire.getvalue() == b"HTTP/1.1 100 Continue\r\n\r\n"

    other = io.BytesIO()
    await make_mocked_request("POST", "/", writer=other).exchange.send_continue()
    assert not other.getvalue()


async def test_websocket_is_refused_with_what_to_use() -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    request = make_mocked_request("GET", "/", headers)
    socket = web.WebSocketResponse()

    assert socket.can_prepare(request)
    with pytest.raises(RuntimeError, match="TestClient"):
        await socket.prepare(request)


async def test_server_never_ends_and_the_client_never_goes() -> None:
    request = make_mocked_request("GET", "/")

    assert not request.shutdown.is_set()
    for wait in (request.shutdown.wait, request.disconnected):
        with anyio.move_on_after(0.01) as scope:
            await wait()
        assert scope.cancelled_caught


# Coroutines.


async def test_mocked_coro_returns_and_remembers() -> None:
    coro = make_mocked_coro(5)

    assert inspect.isawaitable(call := coro(1, a=2))
    assert await call == 5
    coro.assert_called_once_with(1, a=2)
    coro.assert_awaited_once_with(1, a=2)


async def test_mocked_coro_returns_none_unless_told() -> None:
    assert await make_mocked_coro()() is None


async def test_mocked_coro_awaits_what_is_awaitable() -> None:
    coro = make_mocked_coro(make_mocked_coro("inner")())

    assert await coro() == "inner"


@pytest.mark.parametrize("error", [KeyError("why"), KeyError])
async def test_mocked_coro_raises_when_awaited(error: Any) -> None:
    coro = make_mocked_coro(raise_exception=error)
    call = coro()

    with pytest.raises(KeyError):
        await call


async def test_mocked_coro_is_a_handler() -> None:
    response = web.Response()
    handler = make_mocked_coro(response)
    app = web.Application()
    app.router.add_get("/", handler)
    request = make_mocked_request("GET", "/", app=app)

    assert await handler(request) is response
    handler.assert_awaited_once_with(request)
