from __future__ import annotations

import logging
import re
from typing import Any

import pytest

import httpserver as web

logger = logging.getLogger("tests.access")


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello", status=201)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger.name)
    return caplog


async def test_line_is_that_of_apache(serve: Any, log: pytest.LogCaptureFixture) -> None:
    async with serve(hello, access_log=logger) as origin:
        await origin.ask(
            b"GET /a?b HTTP/1.1\r\nHost: a\r\nReferer: http://r\r\nUser-Agent: u/1 (x; y)\r\n\r\n"
        )
        await origin.no_connections()

    assert re.fullmatch(
        r"127\.0\.0\.1 \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /a\?b HTTP/1\.1" 201 5 "http://r" "u/1 \(x; y\)"',
        log.messages[0],
    )


async def test_absent_fields_are_dashes(serve: Any, log: pytest.LogCaptureFixture) -> None:
    async with serve(hello, access_log=logger) as origin:
        await origin.ask(b"GET / HTTP/1.0\r\n\r\n")
        await origin.no_connections()

    assert log.messages[0].endswith('"GET / HTTP/1.0" 201 5 "-" "-"')


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b'a"b', r"a\x22b"),
        (b"a\\b", r"a\x5cb"),
        (b"a\tb", r"a\x09b"),
        ("é\u009b".encode(), r"\xc3\xa9\xc2\x9b"),
        ("\u202e".encode(), r"\xe2\x80\xae"),
        (b"\xff", r"\xff"),
    ],
)
async def test_what_the_client_sends_is_escaped(
    serve: Any, log: pytest.LogCaptureFixture, sent: bytes, logged: str
) -> None:
    """Control characters beyond ASCII went to the log as they were."""
    async with serve(hello, access_log=logger) as origin:
        await origin.ask(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + sent + b"\r\n\r\n")
        await origin.no_connections()

    assert log.messages[0].endswith(f' "-" "{logged}"')


async def test_streamed_size_is_counted(serve: Any, log: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"abc")
        return response

    async with serve(handler, access_log=logger) as origin:
        await origin.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await origin.no_connections()

    assert '" 200 9 "' in log.messages[0]


async def test_error_responses_are_logged(serve: Any, log: pytest.LogCaptureFixture) -> None:
    async with serve(web.Application(), access_log=logger) as origin:
        await origin.ask(b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n")
        await origin.no_connections()

    assert '"GET /no HTTP/1.1" 404 14 ' in log.messages[0]


@pytest.mark.parametrize("access_log", [None, logging.getLogger("tests.silent")])
async def test_logger_that_wants_nothing_gets_nothing(
    serve: Any, access_log: logging.Logger | None
) -> None:
    if access_log is not None:
        access_log.setLevel(logging.WARNING)

    async with serve(hello, access_log=access_log) as origin:
        assert origin.server.access_logger is None
        assert (await origin.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status == 201
