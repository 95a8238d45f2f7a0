from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

import httpserver as web

logger = logging.getLogger("tests.access")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello", status=201, headers={"X-Answer": "yes", "Set-Cookie": "a=b"})


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger.name)
    return caplog


@pytest.fixture
def logged(serve: Any, log: pytest.LogCaptureFixture) -> Callable[..., Any]:
    """Return what asks once and returns the records of that."""

    async def logged(
        request: bytes = GET, *, handler: Any = hello, **kwargs: Any
    ) -> list[logging.LogRecord]:
        async with serve(handler, **{"access_log": logger, **kwargs}) as origin:
            await origin.ask(request)
            await origin.no_connections()
        return [record for record in log.records if record.name == logger.name]

    return logged


async def test_line_is_that_of_apache(logged: Any) -> None:
    (record,) = await logged(
        b"GET /a?b HTTP/1.1\r\nHost: a\r\nReferer: http://r\r\nUser-Agent: u/1 (x; y)\r\n\r\n"
    )

    assert record.levelno == logging.INFO
    assert re.fullmatch(
        r"127\.0\.0\.1 \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /a\?b HTTP/1\.1" 201 \d+ "http://r" "u/1 \(x; y\)"',
        record.getMessage(),
    )


async def test_size_is_that_of_the_response_with_its_head(
    serve: Any, log: pytest.LogCaptureFixture
) -> None:
    async with serve(hello, access_log=logger, access_log_format="%b") as origin:
        answer = await origin.ask(GET)
        await origin.no_connections()

    assert log.messages == [str(len(answer.head) + len(answer.body))]


async def test_streamed_size_is_counted(serve: Any, log: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "9"})
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"abc")
        return response

    async with serve(handler, access_log=logger, access_log_format="%b") as origin:
        answer = await origin.ask(GET)
        await origin.no_connections()

    assert log.messages == [str(len(answer.head) + 9)]


@pytest.mark.parametrize(
    ("log_format", "pattern", "extra"),
    [
        ("%a", r"127\.0\.0\.1", {"remote_address": "127.0.0.1"}),
        pytest.param("%P", f"<{os.getpid()}>", {"process_id": f"<{os.getpid()}>"}, id="process"),
        ("%r", "GET / HTTP/1.1", {"first_request_line": "GET / HTTP/1.1"}),
        ("%s", "201", {"response_status": 201}),
        ("%T s", "[0-9] s", {}),
        ("%Tf", r"[0-9]\.[0-9]{6}", {}),
        ("%D", "[0-9]+", {}),
        ("%{X-Answer}o", "yes", {"response_header": {"X-Answer": "yes"}}),
        (
            "%{Host}i %{No}i",
            "a -",
            {"request_header": {"Host": "a", "No": "-"}},
        ),
        ("100%% %s %%s", "100% 201 %s", {"response_status": 201}),
        ("100%%", "100%", {}),
        ("", "", {}),
    ],
)
async def test_atoms(logged: Any, log_format: str, pattern: str, extra: dict[str, Any]) -> None:
    (record,) = await logged(access_log_format=log_format)

    assert re.fullmatch(pattern, record.getMessage())
    assert {name: getattr(record, name) for name in extra} == extra


class Clocked(web.AccessLogger):
    """An access logger whose requests all took three and a bit seconds."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        super().log(request, response, 3.1415926)


async def test_times_are_rounded_as_aiohttp_does(logged: Any) -> None:
    (record,) = await logged(access_log_class=Clocked, access_log_format="%T %Tf %D")

    assert record.getMessage() == "3 3.141593 3141593"


async def test_start_is_the_time_of_the_request(
    logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpserver._access_log.clock.time", lambda: 1000000003.2)
    (record,) = await logged(access_log_class=Clocked, access_log_format="%t")

    day = re.escape("/Sep/2001:")
    assert re.fullmatch(rf"\[0[89]{day}[0-9]{{2}}:46:40 [+-][0-9]{{4}}\]", record.getMessage())


@pytest.mark.parametrize("log_format", ["%", "%x", "a %(h)s b", "%{a b}i", "%{A}e", "%{A}", "%1s"])
def test_unknown_atom_is_refused(log_format: str) -> None:
    with pytest.raises(ValueError, match=r"unknown atom '%.*known are %%, %a"):
        web.AccessLogger(logger, log_format)
    with pytest.raises(ValueError, match="unknown atom"):
        web.AppRunner(web.Application(), access_log_format=log_format)


@pytest.mark.parametrize("log_format", ["%{" * 500_000, "%{" + "a" * 1_000_000])
def test_long_nonsense_is_refused_in_linear_time(log_format: str) -> None:
    with pytest.raises(ValueError, match="unknown atom") as caught:
        web.AccessLogger(logger, log_format)
    assert len(str(caught.value)) < 300


def test_long_format_is_read_in_linear_time() -> None:
    assert web.AccessLogger(logger, "%%" * 500_000).log_format == "%%" * 500_000


async def test_absent_fields_are_dashes(logged: Any) -> None:
    (record,) = await logged(b"GET / HTTP/1.0\r\n\r\n")

    assert record.getMessage().endswith(' "-" "-"')


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b'a"b', r"a\x22b"),
        (b"a\\b", r"a\x5cb"),
        (b"a\tb", r"a\x09b"),
        ("é\u009b".encode(), r"\xc3\xa9\xc2\x9b"),
        ("\u202e".encode(), r"\xe2\x80\xae"),
        (b"\xff", r"\xff"),
    ],
)
async def test_what_the_client_sends_is_escaped(logged: Any, sent: bytes, seen: str) -> None:
    """Control characters beyond ASCII went to the log as they were."""
    (record,) = await logged(
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + sent + b"\r\n\r\n",
        access_log_format="%{User-Agent}i",
    )

    assert record.getMessage() == seen
    assert record.request_header == {"User-Agent": seen}


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/?token=a&b=c", "/?token=[redacted]&b=c"),
        ("/?b=c&Api_KEY=a=b", "/?b=c&Api_KEY=[redacted]"),
        ("/?client_secret=&password", "/?client_secret=[redacted]&password=[redacted]"),
        ("/?keyword=a&secretary=b", "/?keyword=a&secretary=b"),
        ("/token=a", "/token=a"),
        ("/?", "/?"),
        ("/?a?token=b&&", "/?a?token=[redacted]&&"),
    ],
)
async def test_secrets_in_queries_are_redacted(logged: Any, target: str, seen: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\nReferer: http://a{target}\r\n\r\n"
    (record,) = await logged(request.encode(), access_log_format="%r %{Referer}i")

    assert record.getMessage() == f"GET {seen} HTTP/1.1 http://a{seen}"


async def test_credentials_in_fields_are_redacted(logged: Any) -> None:
    (record,) = await logged(
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\nCookie: a=b\r\n\r\n",
        access_log_format="%{authorization}i %{Cookie}i %{Set-Cookie}o %{Proxy-Authorization}i",
    )

    assert record.getMessage() == "[redacted] [redacted] [redacted] -"


async def test_error_responses_are_logged(logged: Any) -> None:
    (record,) = await logged(
        b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n", handler=web.Application(), access_log_format="%r %s"
    )

    assert record.getMessage() == "GET /no HTTP/1.1 404"


async def test_what_is_no_request_is_logged(logged: Any) -> None:
    (record,) = await logged(b"nonsense\r\n\r\n", access_log_format="%a %s")

    assert record.getMessage() == "127.0.0.1 400"


@pytest.mark.parametrize("access_log", [None, logging.getLogger("tests.silent")])
async def test_logger_that_wants_nothing_gets_nothing(
    serve: Any, access_log: logging.Logger | None
) -> None:
    if access_log is not None:
        access_log.setLevel(logging.WARNING)

    async with serve(hello, access_log=access_log) as origin:
        assert origin.server.access_logger is None
        assert (await origin.ask(GET)).status == 201


async def test_logging_may_be_configured_at_startup(
    serve: Any, log: pytest.LogCaptureFixture
) -> None:
    """The level was looked at before the application had set it."""
    late = logging.getLogger("tests.late")
    late.setLevel(logging.WARNING)

    async def configure(app: web.Application) -> None:
        late.setLevel(logging.INFO)

    app = web.Application()
    app.on_startup.append(configure)
    async with serve(app, access_log=late, access_log_format="%s") as origin:
        await origin.ask(GET)
        await origin.no_connections()

    assert log.messages == ["404"]


async def test_failing_logger_does_not_harm_the_client(
    serve: Any, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: web.BaseRequest) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(web.BaseRequest, "remote", property(fail))
    for log_class in (web.AccessLogger, web.StructuredAccessLogger):
        log.clear()
        async with serve(hello, access_log=logger, access_log_class=log_class) as origin:
            peer = await origin.connect()
            for _ in range(2):
                await peer.send(GET)
                assert (await peer.answer()).text == "hello"
            await peer.close()
            await origin.no_connections()
        assert log.messages == ["error in the access log"] * 2


class Listed(web.AbstractAccessLogger):
    """An access logger of a program's own."""

    seen: list[tuple[str, int, bool]]

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.seen.append((request.path + self.log_format, response.status, time >= 0))


async def test_access_logger_may_be_ones_own(serve: Any) -> None:
    Listed.seen = []

    async with serve(
        hello, access_log=logger, access_log_class=Listed, access_log_format="!"
    ) as origin:
        await origin.ask(GET)
        await origin.no_connections()

    assert Listed.seen == [("/!", 201, True)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"access_log_class": logging.Logger},
        {"access_log_class": lambda logger, log_format: None},
        {"access_log": True},
        {"access_log": "httpserver.access"},
    ],
)
def test_wrong_type_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="access_log"):
        web.AppRunner(web.Application(), **arguments)
    with pytest.raises(TypeError, match="access_log"):
        web.AppRunner(web.Application(handler_args=arguments))


async def test_structured_fields(logged: Any) -> None:
    app = web.Application()
    app.add_routes([web.post("/users/{name}", hello)])
    (record,) = await logged(
        b"POST /users/a%20b?key=1&x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        b"User-Agent: u\r\nReferer: http://r/?token=1\r\nX-Request-ID: 7\r\n\r\nab",
        handler=app,
        access_log_class=web.StructuredAccessLogger,
    )

    assert record.getMessage() == "POST '/users/a%20b?key=[redacted]&x' 201"
    found = vars(record)
    assert isinstance(found["duration"], float)
    assert found["bytes_sent"] > 100
    expected = {
        "client": "127.0.0.1",
        "method": "POST",
        "target": "/users/a%20b?key=[redacted]&x",
        "protocol": "HTTP/1.1",
        "route": "/users/{name}",
        "scheme": "http",
        "status": 201,
        "bytes_received": 2,
        "user_agent": "u",
        "referer": "http://r/?token=[redacted]",
        "request_id": "7",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("request_", "status"), [(b"GET /no HTTP/1.0\r\n\r\n", 404), (b"nonsense\r\n\r\n", 400)]
)
async def test_structured_fields_of_what_has_no_route(
    logged: Any, request_: bytes, status: int
) -> None:
    (record,) = await logged(
        request_, handler=web.Application(), access_log_class=web.StructuredAccessLogger
    )

    assert (record.status, record.route, record.user_agent) == (status, None, None)
    assert (record.bytes_received, record.request_id, record.referer) == (None, None, None)


def test_structured_logger_asks_its_logger() -> None:
    quiet = logging.getLogger("tests.quiet")
    quiet.setLevel(logging.WARNING)

    assert not web.StructuredAccessLogger(quiet).enabled
    assert not web.AccessLogger(quiet).enabled
    assert Listed(quiet, "").enabled


def formatted(formatter: logging.Formatter, *args: Any, **kwargs: Any) -> dict[str, Any]:
    record = logger.makeRecord(logger.name, logging.ERROR, "f", 1, *args, **kwargs)
    line = formatter.format(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_json_of_a_record() -> None:
    found = formatted(
        web.JSONFormatter(),
        "a %s",
        ("b\n\x1b\udcff\u2028",),
        None,
        extra={"client": None, "odd": {1}, "level": "mine"},
    )

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "ERROR",
        "logger": "tests.access",
        "message": "a b\n\x1b\udcff\u2028",
        "client": None,
        "odd": "{1}",
    }


def test_json_of_an_exception() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        found = formatted(web.JSONFormatter(), "a", (), sys.exc_info(), sinfo="Stack:\nx")

    assert found["exception"].endswith("ValueError: no")
    assert found["stack"] == "Stack:\nx"


def test_json_fields_may_be_renamed_and_left_out() -> None:
    formatter = web.JSONFormatter(rename={"client": "client.ip", "time": "@timestamp", "level": ""})

    found = formatted(formatter, "a", (), None, extra={"client": "b"})

    assert sorted(found) == ["@timestamp", "client.ip", "logger", "message"]
