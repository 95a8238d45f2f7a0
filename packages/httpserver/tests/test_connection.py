from __future__ import annotations

import contextvars
import logging
from typing import Any

import anyio
import pytest

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST_CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SWEEP = 0.02


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def post(path: str, body: bytes, *fields: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def echo(request: web.Request) -> web.Response:
    """Answer with the path, and with the body if the path is /read."""
    if request.path == "/read":
        return web.Response(text=f"read {await request.text()}")
    return web.Response(text=request.path)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Pipelining.


async def test_pipelined_requests_are_answered_in_order(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(b"".join(get(f"/{n}") for n in range(50)))
        assert [(await peer.answer()).text for _ in range(50)] == [f"/{n}" for n in range(50)]
        assert origin.server.requests_count == 50


async def test_pipelined_requests_wait_for_the_slow_one_before(serve: Any) -> None:
    running = 0
    most = 0
    reached = anyio.Event()
    go = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if request.path == "/slow":
            reached.set()
            await go.wait()
        running -= 1
        return web.Response(text=request.path)

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get("/slow") + get("/fast"))
        await reached.wait()
        await anyio.wait_all_tasks_blocked()
        go.set()
        assert [(await peer.answer()).text for _ in range(2)] == ["/slow", "/fast"]

    assert most == 1


async def test_pipelined_bodies_are_kept_apart(serve: Any) -> None:
    request = post("/read", b"one") + post("/read", b"two") + get("/three")

    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(request)
        assert [(await peer.answer()).text for _ in range(3)] == ["read one", "read two", "/three"]


async def test_pipelined_request_cut_anywhere(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        data = post("/read", b"one") + get("/two")
        for byte in data:
            await peer.send(bytes([byte]))
        assert [(await peer.answer()).text for _ in range(2)] == ["read one", "/two"]


async def test_pipelined_flood_stops_the_client(serve: Any) -> None:
    """While a handler runs, no more than a bounded number of later requests is taken."""
    go = anyio.Event()
    request = get("/", "X: " + "x" * 1000)
    count = 20_000

    async def handler(request: web.Request) -> web.Response:
        await go.wait()
        response = web.Response(text=str(origin.server.requests_count))
        response.force_close()
        return response

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        sent = 0

        async def send() -> None:
            nonlocal sent
            try:
                for _ in range(count // 200):
                    await peer.stream.send(request * 200)
                    sent += 200
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sent < count
        go.set()
        await peer.close()


async def test_pipelined_flood_is_answered_in_the_end(serve: Any) -> None:
    go = anyio.Event()
    count = 300

    async def handler(request: web.Request) -> web.Response:
        await go.wait()
        return web.Response()

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        tasks.start_soon(peer.send, get("/", "X: " + "x" * 1000) * count + CLOSING)
        await anyio.wait_all_tasks_blocked()
        go.set()
        data = await peer.rest()

    assert data.count(b"HTTP/1.1 200 OK\r\n") == count + 1


async def test_error_behind_a_good_request_is_answered_after_it(serve: Any) -> None:
    reached = anyio.Event()
    go = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        await go.wait()
        return web.Response(text="good")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET + b"nonsense\r\n\r\n")
        await reached.wait()
        go.set()
        assert (await peer.answer()).text == "good"
        answer = await peer.answer()
        assert answer.status == 400
        assert answer.headers["Connection"] == "close"
        assert await peer.rest() == b""


async def test_requests_behind_close_are_ignored(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(CLOSING + get("/never") + b"nonsense\r\n\r\n")
        answer = await peer.answer()
        assert (answer.text, answer.headers["Connection"]) == ("/last", "close")
        assert await peer.rest() == b""
        assert origin.server.requests_count == 1


async def test_requests_behind_a_closing_response_are_ignored(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text=request.path)
        response.force_close()
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get("/one") + get("/two"))
        assert (await peer.answer()).text == "/one"
        await peer.send(get("/three"))
        assert await peer.rest() == b""
        assert origin.server.requests_count == 1


async def test_half_closed_client_gets_all_its_answers(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(get("/one") + get("/two"))
        await peer.send_eof()
        assert [(await peer.answer()).text for _ in range(2)] == ["/one", "/two"]
        assert await peer.rest() == b""


async def test_offered_upgrade_that_is_not_taken_changes_nothing(serve: Any) -> None:
    offer = ("Connection: upgrade", "Upgrade: websocket")

    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(get("/one", *offer) + get("/two"))
        assert [(await peer.answer()).text for _ in range(2)] == ["/one", "/two"]


async def test_connect_accepted_by_a_handler_ends_the_connection(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        return web.Response()

    async with serve(web.Application(middlewares=[middleware])) as origin:
        peer = await origin.connect()
        await peer.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
        data = await peer.rest()

    assert data.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert b"Content-Length" not in data


async def test_empty_lines_before_a_request_are_skipped(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(post("/read", b"x") + b"\r\n" + get("/two"))
        assert [(await peer.answer()).text for _ in range(2)] == ["read x", "/two"]


async def test_connection_without_a_request_is_closed_with_it(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send_eof()
        assert await peer.rest() == b""


# Bodies that nobody reads.


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_unread_body_is_dropped_and_the_next_request_served(serve: Any, size: int) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(post("/one", b"GET /evil HTTP/1.1\r\n\r\n" + b"x" * size))
        await peer.send(get("/two"))
        assert [(await peer.answer()).text for _ in range(2)] == ["/one", "/two"]
        assert origin.server.requests_count == 2


async def test_unread_body_that_comes_later_is_dropped(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(POST_CHUNKED + b"3\r\nabc\r\n")
        assert (await peer.answer()).text == "/"
        await peer.send(b"3\r\ndef\r\n0\r\nX: y\r\n\r\n" + get("/two"))
        assert (await peer.answer()).text == "/two"


async def test_unread_body_that_stopped_the_client_is_dropped(serve: Any) -> None:
    """The handler left a body that had filled its buffer."""
    filled = anyio.Event()
    size = 8 * 2**20

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/one":
            await filled.wait()
        return web.Response(text=request.path)

    async with serve(handler, read_bufsize=1024) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        tasks.start_soon(peer.send, post("/one", b"x" * size) + get("/two"))
        await anyio.wait_all_tasks_blocked()
        filled.set()
        assert [(await peer.answer()).text for _ in range(2)] == ["/one", "/two"]


async def test_unread_body_that_is_malformed_ends_the_connection(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(POST_CHUNKED)
        assert (await peer.answer()).text == "/"
        await peer.send(b"nonsense\r\n" + GET)
        assert await peer.end() == b""


async def test_unread_body_that_is_too_slow_ends_the_connection(serve: Any) -> None:
    async with serve(echo, lingering_time=0.01, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        assert (await peer.answer()).text == "/"
        assert await peer.end() == b""


async def test_unread_body_without_lingering_time_ends_the_connection(serve: Any) -> None:
    async with serve(echo, lingering_time=0) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        assert (await peer.answer()).text == "/"
        assert await peer.rest() == b""


async def test_unread_body_of_a_closing_request_ends_the_connection(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\nabc"
        )
        assert (await peer.answer()).text == "/"
        await peer.send(b"def")
        assert await peer.rest() == b""


async def test_client_that_never_closes_is_closed_after_its_last_answer(serve: Any) -> None:
    async with serve(echo, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        await peer.send(CLOSING + GET)
        assert (await peer.answer()).text == "/last"
        assert await peer.rest() == b""
        await origin.no_connections()


@pytest.mark.parametrize("lingering_time", [0, 10])
async def test_body_read_after_the_response_is_an_error(serve: Any, lingering_time: int) -> None:
    """Such a read never returned, and kept the event loop, if the connection was to end."""
    requests: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response()

    async with serve(handler, lingering_time=lingering_time) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert (await peer.answer()).status == 200
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(web.PayloadAccessError):
            await requests[0].read()


async def test_body_complete_while_reading_was_paused_leaves_the_connection_alive(
    serve: Any,
) -> None:
    """A body whose last piece filled the buffer stopped the connection for ever."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async with serve(handler, read_bufsize=1) as origin:
        peer = await origin.connect()
        for _ in range(3):
            await peer.send(post("/", b"x" * 1000))
            assert (await peer.answer()).text == "1000"


# Bodies that are broken.


@pytest.mark.parametrize("rest", [b"zz\r\n", b"3\r\nabcde\r\n", b"1\r\na\r\n0\r\nX y\r\n\r\n"])
@pytest.mark.parametrize("together", [True, False])
async def test_malformed_body_ends_the_read_and_the_connection(
    serve: Any, rest: bytes, together: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reached = anyio.Event()
    caught: list[Exception] = []

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        try:
            await request.read()
        except web.RequestPayloadError as exc:
            caught.append(exc)
            raise
        raise AssertionError

    async with serve(handler) as origin:
        peer = await origin.connect()
        if together:
            await peer.send(POST_CHUNKED + rest)
        else:
            await peer.send(POST_CHUNKED)
            await reached.wait()
            await anyio.wait_all_tasks_blocked()
            await peer.send(rest)
        answer = await peer.answer()
        assert answer.status == 400
        assert answer.headers["Connection"] == "close"
        assert await peer.rest() == b""

    assert len(caught) == 1
    assert answer.text == f"{caught[0]}\n"
    assert not errors(caplog)


async def test_malformed_body_that_the_handler_outlives_still_ends_the_connection(
    serve: Any,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        with pytest.raises(web.RequestPayloadError):
            await request.read()
        return web.Response(text="anyway")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(POST_CHUNKED + b"zz\r\n")
        answer = await peer.answer()
        assert (answer.text, answer.headers["Connection"]) == ("anyway", "close")
        assert await peer.rest() == b""


async def test_body_cut_by_a_half_close_is_400(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        await peer.send_eof()
        answer = await peer.answer()
        assert answer.status == 400
        assert answer.text == "connection closed before the end of the body: 6 bytes missing\n"
        assert await peer.rest() == b""


# Handlers that fail.


async def test_handler_exception_is_logged_500_and_the_end(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise KeyError("secret")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get("/x"))
        answer = await peer.answer()
        assert (answer.status, answer.text) == (500, "500: Internal Server Error")
        assert answer.headers["Connection"] == "close"
        assert await peer.rest() == b""

    assert errors(caplog) == ["error handling <Request GET '/x'>"]
    assert "secret" in caplog.text


@pytest.mark.parametrize("value", [None, "text", 404, web.HTTPNotFound])
async def test_handler_that_returns_no_response_is_500(
    serve: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> Any:
        return value

    async with serve(handler) as origin:
        assert (await origin.ask(GET)).status == 500

    assert "expected a response" in caplog.text


async def test_handler_timeout_is_504(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise TimeoutError

    async with serve(handler) as origin:
        answer = await origin.ask(GET)

    assert answer.status == 504
    assert answer.headers["Connection"] == "close"
    assert not errors(caplog)


@pytest.mark.parametrize("length", [None, "100"])
async def test_handler_exception_behind_the_head_cuts_the_response(
    serve: Any, length: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": length} if length else {})
        await response.prepare(request)
        await response.write(b"begun")
        raise KeyError("secret")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        data = await peer.end()

    assert not data.endswith(b"0\r\n\r\n")
    assert data.count(b"HTTP/1.1") <= 1
    assert errors(caplog) == ["error handling <Request GET '/'>"]


@pytest.mark.parametrize("kind", ["whole", "stream", "raise"])
async def test_second_response_behind_the_head_cuts_the_first(
    serve: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if kind == "raise":
            raise web.HTTPNotFound
        return web.StreamResponse() if kind == "stream" else web.Response()

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        data = await peer.end()

    assert not data.endswith(b"0\r\n\r\n")
    assert data.count(b"HTTP/1.1") <= 1
    assert errors(caplog) == ["error while sending the response to <Request GET '/'>"]


async def test_handler_raises_a_response(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPBadRequest(text="no good", reason="Bad Luck", headers={"X": "1"})

    async with serve(handler) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(GET)
            answer = await peer.answer()
            assert answer.status_line == "HTTP/1.1 400 Bad Luck"
            assert (answer.text, answer.headers["X"]) == ("no good", "1")


async def test_handler_returns_what_could_be_raised(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.HTTPNotFound()

    async with serve(handler) as origin:
        assert (await origin.ask(GET)).text == "404: Not Found"


async def test_response_of_a_class_of_ones_own(serve: Any) -> None:
    class Plain(web.Response):
        pass

    async def handler(request: web.Request) -> web.Response:
        return Plain(text="own")

    async with serve(handler) as origin:
        assert (await origin.ask(GET)).text == "own"


# Expect.


async def test_expect_continue_is_answered_before_the_handler_reads(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        for expectation in ("100-continue", "100-CONTINUE"):
            head, body = post("/read", b"body", f"Expect: {expectation}").split(b"\r\n\r\n")
            await peer.send(head + b"\r\n\r\n")
            assert await peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await peer.send(body)
            assert (await peer.answer()).text == "read body"


async def test_expect_continue_without_a_route_sends_no_100_and_closes(serve: Any) -> None:
    async with serve(web.Application()) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n")
        await peer.send(b"Expect: 100-continue\r\n\r\n")
        assert (await peer.answer()).status == 404
        assert await peer.rest() == b""


async def test_expect_continue_with_the_whole_body_sends_no_100(serve: Any) -> None:
    """The 100 was sent when nobody waited for it any more."""
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(post("/read", b"body", "Expect: 100-continue") + get("/two"))
        assert (await peer.answer()).text == "read body"
        assert (await peer.answer()).text == "/two"


async def test_expect_continue_without_body_is_answered_once(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(get("/one", "Expect: 100-continue"))
        assert (await peer.answer()).text == "/one"


async def test_expect_anything_else_is_417(serve: Any) -> None:
    async with serve(echo) as origin:
        answer = await origin.ask(get("/", "Expect: miracles"))

    assert (answer.status, answer.text) == (417, "Unknown Expect: miracles")


async def test_expect_of_http10_is_ignored(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(b"POST /read HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        await peer.send(b"body")
        assert (await peer.answer()).text == "read body"


# Clients that go away.


async def test_client_gone_handler_runs_to_its_end(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reached = anyio.Event()
    go = anyio.Event()
    ended = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        await go.wait()
        ended.set()
        return web.Response()

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        await peer.close()
        await anyio.wait_all_tasks_blocked()
        go.set()
        with anyio.fail_after(10):
            await ended.wait()
        await origin.no_connections()

    assert not errors(caplog)


async def test_client_reset_cancels_the_handler_if_asked_to(serve: Any, reset: Any) -> None:
    reached = anyio.Event()
    cancelled = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with serve(handler, handler_cancellation=True) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        await reset(peer)
        with anyio.fail_after(10):
            await cancelled.wait()
        await origin.no_connections()


async def test_client_reset_ends_a_read_with_an_os_error(
    serve: Any, reset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reached = anyio.Event()
    caught: list[BaseException] = []
    ended = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        reached.set()
        try:
            await request.read()
        except Exception as exc:
            caught.append(exc)
            raise
        finally:
            ended.set()
        raise AssertionError

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        await reached.wait()
        await anyio.wait_all_tasks_blocked()
        await reset(peer)
        with anyio.fail_after(10):
            await ended.wait()
        await origin.no_connections()

    assert isinstance(caught[0], OSError)
    assert not errors(caplog)


async def test_client_reset_ends_a_write_with_an_os_error_and_no_log(
    serve: Any, reset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that went away in the middle of a download was logged as an error."""
    reached = anyio.Event()
    caught: list[BaseException] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        reached.set()
        try:
            while True:
                await response.write(b"x" * 65536)
        except Exception as exc:
            caught.append(exc)
            raise

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await reached.wait()
        await reset(peer)
        await origin.no_connections()

    assert isinstance(caught[0], OSError)
    assert not errors(caplog)


async def test_client_reset_while_a_large_response_leaves(
    serve: Any, reset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 16 * 2**20)

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await peer.until(b"\r\n\r\n")
        await reset(peer)
        await origin.no_connections()

    assert not errors(caplog)


# Time-outs.


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:", GET[:-1]])
async def test_head_timeout_closes(serve: Any, sent: bytes) -> None:
    async with serve(echo, head_timeout=0.01, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        if sent:
            await peer.send(sent)
        assert await peer.end() == b""


async def test_head_timeout_is_not_put_off_by_dripping_bytes(serve: Any) -> None:
    async with serve(echo, head_timeout=0.05, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        with pytest.raises(anyio.BrokenResourceError):
            await peer.send(b"GET /")
            while True:
                await peer.send(b"x")
                await anyio.lowlevel.checkpoint()


async def test_head_timeout_holds_for_later_requests(serve: Any) -> None:
    async with serve(echo, head_timeout=0.01, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        await peer.send(get("/one"))
        assert (await peer.answer()).text == "/one"
        await peer.send(b"GET /two HTTP/1.1\r\n")
        assert await peer.end() == b""


async def test_keepalive_timeout_closes_an_idle_connection(serve: Any) -> None:
    async with serve(echo, keepalive_timeout=0.01, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        await peer.send(get("/one"))
        assert (await peer.answer()).text == "/one"
        assert await peer.end() == b""


async def test_timeouts_do_not_hold_for_a_slow_handler(serve: Any) -> None:
    """Many looks at the deadlines pass while the handler waits for two other connections."""
    go = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        await go.wait()
        return web.Response(text="slow")

    timeouts = {"keepalive_timeout": 0.01, "head_timeout": 0.01, "body_timeout": 0.01}
    async with serve(handler, sweep_interval=SWEEP, **timeouts) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        for _ in range(2):
            assert await (await origin.connect()).end() == b""
        go.set()
        assert (await peer.answer()).text == "slow"


async def test_body_timeout_ends_a_read_and_the_connection(serve: Any) -> None:
    caught: list[BaseException] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.read()
        except Exception as exc:
            caught.append(exc)
            raise
        raise AssertionError

    async with serve(handler, body_timeout=0.01, sweep_interval=SWEEP) as origin:
        peer = await origin.connect()
        await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert await peer.end() == b""
        await origin.no_connections()

    assert isinstance(caught[0], OSError)


async def test_body_timeout_does_not_hold_while_the_handler_is_the_slow_one(serve: Any) -> None:
    go = anyio.Event()
    size = 8 * 2**20

    async def handler(request: web.Request) -> web.Response:
        await go.wait()
        return web.Response(text=str(len(await request.read())))

    settings = {"body_timeout": 0.2, "head_timeout": 0.25, "sweep_interval": SWEEP}
    async with (
        serve(handler, read_bufsize=1024, client_max_size=0, **settings) as origin,
        anyio.create_task_group() as tasks,
    ):
        peer = await origin.connect()
        tasks.start_soon(peer.send, post("/", b"x" * size))
        for _ in range(2):
            assert await (await origin.connect()).end() == b""
        go.set()
        assert (await peer.answer()).text == str(size)


# The context of a request.


async def test_context_of_a_request_is_not_seen_by_the_next(serve: Any) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")

    async def handler(request: web.Request) -> web.Response:
        seen = variable.get()
        variable.set(request.path)
        return web.Response(text=seen)

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(get("/1") + post("/2", b"x" * 100) + get("/3"))
        assert [(await peer.answer()).text for _ in range(3)] == ["nothing"] * 3
        await peer.send(get("/4"))
        assert (await peer.answer()).text == "nothing"
