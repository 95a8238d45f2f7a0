"""Limits of a server and its connections, coded request bodies, and what errors look like."""

from __future__ import annotations

import gzip
import logging
from typing import Any

import anyio
import pytest

import httpserver as web
from httpcore_proto import encode_body
from httpcore_proto.aio import MultipartReader

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, **fields: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


# Request bodies in content codings.


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, br"])
async def test_coded_body_reads_decoded(serve: Any, coding: str) -> None:
    text = b"some text " * 1000
    async with serve(echo) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(post(encode_body(text, coding), Content_Encoding=coding))
            answer = await peer.answer()
            assert (answer.status, answer.body) == (200, text)


async def test_coding_stays_told_and_can_be_left(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(
            body=await request.read(), headers={"X": request.headers["Content-Encoding"]}
        )

    packed = gzip.compress(b"x")
    async with serve(handler, auto_decompress=False) as origin:
        answer = await origin.ask(post(packed, Content_Encoding="gzip"))
        assert (answer.body, answer.headers["X"]) == (packed, "gzip")
    async with serve(handler) as origin:
        answer = await origin.ask(post(packed, Content_Encoding="rot13"))
        assert (answer.body, answer.headers["X"]) == (packed, "rot13")
        answer = await origin.ask(post(b"", Content_Encoding="gzip"))
        assert (answer.body, answer.headers["X"]) == (b"", "gzip")


@pytest.mark.parametrize(
    ("coding", "body", "status", "text"),
    [
        ("gzip", b"no gzip", 400, "gzip"),
        ("gzip", gzip.compress(b"x")[:-1], 400, "ends"),
        ("gzip", gzip.compress(b"x") + b"y", 400, "follows"),
        ("gzip", gzip.compress(bytes(2**22)), 413, ""),
        (", ".join(["gzip"] * 6), b"x", 413, "max_codings=5"),
        ("a b", b"x", 400, "tokens"),
    ],
)
async def test_coded_body_that_cannot_be_decoded_is_the_clients_fault(
    serve: Any, coding: str, body: bytes, status: int, text: str
) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        await peer.send(post(body, Content_Encoding=coding))
        answer = await peer.answer()
        assert answer.status == status
        assert text in answer.text
        assert await peer.rest() == b""
        # The next client is served.
        assert (await origin.ask(post(b"x"))).body == b"x"


async def test_coded_body_that_nobody_reads_is_not_decoded(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="done")

    async with serve(handler) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(post(b"no gzip at all" * 1000, Content_Encoding="gzip"))
            assert (await peer.answer()).text == "done"


async def test_malformed_parts_are_the_clients_fault(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        reader = MultipartReader(request.headers, request.content)
        while await reader.next() is not None:
            pass
        return web.Response()

    async with serve(handler) as origin:
        form = "multipart/form-data; boundary=b"
        answer = await origin.ask(post(b"--b\r\nbad\r\n\r\n", Content_Type=form))
        assert (answer.status, "malformed" in answer.text) == (400, True)
        answer = await origin.ask(post(b"x", Content_Type="text/plain"))
        assert (answer.status, answer.headers["Connection"]) == (415, "close")


# Time for handlers.


async def test_handler_has_its_time(serve: Any) -> None:
    ended: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/quick":
            return web.Response(text="quick")
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)
        return web.Response()

    async with serve(handler, handler_timeout=0.02, sweep_interval=0.01) as origin:
        peer = await origin.connect()
        await peer.send(GET.replace(b"/ ", b"/quick "))
        assert (await peer.answer()).text == "quick"
        await peer.send(GET)
        answer = await peer.answer()
        assert (answer.status, answer.headers["Connection"]) == (504, "close")
        assert await peer.rest() == b""
    assert ended == [True]


async def test_time_of_the_handler_goes_on_while_a_body_is_awaited(serve: Any) -> None:
    async with serve(echo, handler_timeout=0.02, sweep_interval=0.01) as origin:
        peer = await origin.connect()
        await peer.send(post(b"xyz")[:-1])
        assert (await peer.answer()).status == 504


# How many.


async def test_one_connection_too_many_is_told_so(serve: Any) -> None:
    async with serve(echo, max_connections=2) as origin:
        peers = [await origin.connect() for _ in range(2)]
        for peer in peers:
            await peer.send(GET)
            assert (await peer.answer()).status == 200
        third = await origin.connect()
        answer = await third.answer()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert await third.rest() == b""
        await peers[0].close()
        with anyio.fail_after(10):
            while len(origin.server.connections) > 1:
                await anyio.lowlevel.checkpoint()
        assert (await origin.ask(GET)).status == 200


async def test_connection_ends_behind_its_last_request(serve: Any) -> None:
    async with serve(echo, max_requests=2) as origin:
        peer = await origin.connect()
        await peer.send(GET * 3)
        assert "Connection" not in (await peer.answer()).headers
        assert (await peer.answer()).headers["Connection"] == "close"
        assert await peer.rest() == b""


# What failures look like.


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/html;q=0.1, text/plain", "text/plain"),
    ],
)
async def test_failure_is_told_in_text_or_html(
    serve: Any, debug: bool, accept: str, kind: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise KeyError("<script>")

    field = f"Accept: {accept}\r\n" if accept else ""
    async with serve(handler, debug=debug) as origin:
        answer = await origin.ask(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())
    assert answer.status == 500
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert ("KeyError" in answer.text) is debug
    assert ("<script>" in answer.text) is (debug and kind == "text/plain")
    assert answer.text.lower().startswith("<!doctype") is (kind == "text/html")


async def test_answer_instead_of_100_tells_that_the_connection_ends(serve: Any) -> None:
    """404 to a request that expects 100 closed the connection without saying so."""
    async with serve(web.Application()) as origin:
        peer = await origin.connect()
        await peer.send(post(b"", Expect="100-continue").replace(b": 0", b": 5"))
        answer = await peer.answer()
        assert (answer.status, answer.headers["Connection"]) == (404, "close")


class Logger(web.AbstractAccessLogger):
    lines: list[tuple[str, int, int]]

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        assert time >= 0
        self.lines.append((request.method, response.status, response.body_length))


async def test_bad_requests_are_in_the_access_log(serve: Any) -> None:
    class Kept(Logger):
        lines: list[tuple[str, int, int]] = []  # noqa: RUF012  # one list for this test

    async with serve(echo, access_log_class=Kept) as origin:
        good = await origin.connect()
        await good.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        sizes = [len(await good.rest())]
        bad = await origin.connect()
        await bad.send(b"BAD\r\n\r\n")
        sizes.append(len(await bad.rest()))
    assert Kept.lines == [("GET", 200, sizes[0]), ("UNKNOWN", 400, sizes[1])]


# The end.


async def test_handler_can_wait_for_the_client_to_go(serve: Any) -> None:
    gone: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request.exchange.wait_disconnected)
            await request.exchange.wait_disconnected()
        await request.exchange.wait_disconnected()
        gone.append(True)
        return web.Response()

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        with anyio.fail_after(10):
            while not origin.server.requests_count:
                await anyio.lowlevel.checkpoint()
        await peer.close()
        await origin.no_connections()
    assert gone == [True]


async def test_handler_can_wait_for_the_server_to_end(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun ")
        assert not request.exchange.shutting_down
        await request.exchange.wait_shutdown()
        assert request.exchange.shutting_down
        await request.exchange.wait_shutdown()
        await response.write(b"ended")
        return response

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        await peer.until(b"begun ")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(origin.runner.cleanup)
            await peer.until(b"ended")
            assert await peer.rest() == b"\r\n0\r\n\r\n"
        assert not origin.server.connections


async def test_task_that_is_cancelled_before_it_begins_leaves_no_connection(serve: Any) -> None:
    """asyncio never runs a task that was cancelled before its first step."""
    async with serve(echo) as origin:
        peer = await origin.connect()
        spawn = origin.server.spawn
        aborted: list[bool] = []

        def spawn_and_abort(coroutine: Any) -> Any:
            task = spawn(coroutine)

            async def abort() -> None:
                for connection in list(origin.server.connections):
                    connection.abort()
                    aborted.append(True)

            spawn(abort())
            task.cancel()
            return task

        origin.server.spawn = spawn_and_abort
        await peer.send(GET)
        assert await peer.end() == b""
        await origin.no_connections()
        origin.server.spawn = spawn
    assert aborted


async def test_hook_sees_the_whole_head_right_before_it_is_sent(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, str]] = []

    async def hook(request: web.Request, response: web.StreamResponse) -> None:
        seen.append(dict(response.headers))
        response.headers["X"] = "y"
        if request.path == "/fail":
            raise KeyError("hook")

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", echo)])
    app.on_response_prepare.append(hook)
    async with serve(app) as origin:
        answer = await origin.ask(post(b"abc"))
        assert answer.body == b"abc"
        assert answer.headers["X"] == "y"
        assert seen[0].keys() == {"Content-Length", "Content-Type", "Date", "Server"}
        assert answer.headers.getall("Date") == [seen[0]["Date"]]
        with caplog.at_level(logging.CRITICAL):
            answer = await origin.ask(GET.replace(b"/ ", b"/fail "))
        assert answer.status == 500


@pytest.mark.parametrize(
    ("of_the_server", "of_the_route", "cancelled"),
    [(False, None, False), (False, True, True), (True, None, True), (True, False, False)],
)
async def test_route_decides_whether_its_handler_is_cancelled(
    serve: Any, of_the_server: bool, of_the_route: bool | None, cancelled: bool
) -> None:
    ended: list[bool] = []
    begun = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        begun.set()
        try:
            await request.exchange.wait_disconnected()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        except BaseException:
            ended.append(True)
            raise
        ended.append(False)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler, handler_cancellation=of_the_route)
    async with serve(app, handler_cancellation=of_the_server) as origin:
        peer = await origin.connect()
        await peer.send(GET)
        with anyio.fail_after(10):
            await begun.wait()
        await peer.close()
        await origin.no_connections()
    assert ended == [cancelled]
