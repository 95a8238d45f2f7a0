"""The plugin's `http_mock` and `http_cassette`, and the barred network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import pytest

import httpcore_testing  # noqa: F401  # so that the inner runs need not import it each

pytest_plugins = ["pytester"]

# Each starts pytest, some of them several times.
pytestmark = pytest.mark.timeout(60)

Run: TypeAlias = Callable[..., pytest.RunResult]

PRELUDE = """
import pytest

from httpclient import ClientSession

pytestmark = pytest.mark.anyio

async def fetch(url, connector=None, *, owner=False):
    owner = owner or connector is None
    async with ClientSession(connector=connector, connector_owner=owner) as session:
        async with session.get(url) as response:
            return await response.text()
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on one file with the prelude before it; warnings are errors."""

    def run(source: str, *args: str, ini: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(test_inner=PRELUDE + source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio", *args)

    return run


# http_mock.


def test_mock(run: Run) -> None:
    result = run(
        """
async def test_connector(http_mock):
    rule = http_mock.get("http://api.test/x").reply(body="mocked")
    assert await fetch("http://api.test/x", http_mock) == "mocked"
    assert rule.called

async def test_everywhere(http_mock):
    http_mock.get("https://api.test/x").reply(body="mocked")
    with http_mock.everywhere():
        assert await fetch("https://api.test/x") == "mocked"

async def test_unused_but_optional(http_mock):
    http_mock.get("http://api.test/x", optional=True).reply()
"""
    )
    result.assert_outcomes(passed=6)


def test_mock_under_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = session")
    pytester.makepyfile(
        PRELUDE.replace("mark.anyio", "mark.asyncio(loop_scope='module')")
        + """
@pytest.mark.parametrize("number", range(2))
async def test_it(http_mock, number):
    http_mock.get("http://api.test/x").reply(body="mocked")
    with http_mock.everywhere():
        assert await fetch("http://api.test/x") == "mocked"
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", timeout=30)
    result.assert_outcomes(passed=2)


def test_mock_without_event_loop(run: Run) -> None:
    """A plain test may run an event loop of its own."""
    result = run(
        """
import asyncio

pytestmark = []

@pytest.mark.parametrize("times", [1, 2])
def test_it(http_mock, times):
    http_mock.get("http://api.test/x", times=times).reply(body="mocked")
    assert asyncio.run(fetch("http://api.test/x", http_mock, owner=True)) == "mocked"
"""
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it[[]2]*", "*1 of 2 calls*"])


def test_mock_rule_that_is_not_used(run: Run) -> None:
    """It fails a test that went well, and is not held against one that did not."""
    result = run(
        """
RULE = "http://api.test/x"

async def test_passing(http_mock):
    http_mock.get(RULE).reply()

async def test_skipped(http_mock):
    http_mock.get(RULE).reply()
    pytest.skip("not today")

async def test_failing(http_mock):
    http_mock.get(RULE).reply()
    raise ValueError("something else")
"""
    )
    result.assert_outcomes(passed=2, skipped=2, failed=2, errors=2)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_passing*", "E *GET http://api.test/x, 0 of 1 call"]
    )


def test_mock_without_a_rule(run: Run) -> None:
    """A request that no rule matches fails the test, also if the program swallows the error."""
    result = run(
        """
async def test_raised(http_mock):
    http_mock.get("http://api.test/right", optional=True).reply()
    await fetch("http://api.test/wrong", http_mock)

async def swallow(http_mock):
    http_mock.get("http://api.test/right", optional=True).reply()
    try:
        await fetch("http://api.test/wrong", http_mock)
    except Exception:
        pass

async def test_swallowed(http_mock):
    await swallow(http_mock)

async def test_swallowed_and_failed(http_mock):
    await swallow(http_mock)
    raise ValueError("something else")
"""
    )
    result.assert_outcomes(passed=2, failed=4, errors=2)
    text = result.stdout.str()
    # Once where it is raised, at the teardown, and beside another failure; for each backend.
    assert text.count("Captured http_mock call") == 2
    for part in ("test_raised", "at teardown of test_swallowed", "test_swallowed_and_failed"):
        _, found, rest = text.partition(f"_ {part}") if "at" not in part else text.partition(part)
        assert found
        assert "http://api.test/wrong" in rest
        assert "http://api.test/right" in rest


# The barred network. Addresses are of TEST-NET-1, which is nowhere (RFC 5737).


@pytest.mark.parametrize(
    ("args", "ini"),
    [
        (["--http-no-network"], ""),
        ([], "http_no_network = true"),
        (["--http-no-network", "-n1"], ""),
    ],
    ids=["option", "ini", "xdist"],
)
def test_no_network(run: Run, args: list[str], ini: str) -> None:
    result = run(
        """
import socket
import urllib.request

import httpserver as web

async def test_client():
    await fetch("http://192.0.2.1/")

def test_socket():
    socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_name():
    urllib.request.urlopen("http://host.test/", timeout=1)

async def test_server_of_ours(http_client):
    client = await http_client(web.Application())
    async with client.get("/") as response:
        assert response.status == 404
""",
        *args,
        ini=ini,
    )
    result.assert_outcomes(passed=2, failed=4)
    assert result.stdout.str().count("NetworkBarredError: the network is barred") >= 4
    if "-n1" not in args:
        result.stdout.fnmatch_lines(["http: the network is barred"])


def test_no_network_but_for_a_host(run: Run) -> None:
    """Hosts of the ini file and of the options may be reached, and are shown."""
    result = run(
        """
import socket

@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
def test_it(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        try:
            sock.connect((address, 9))
        except OSError:
            pass  # there may be no network to bar
""",
        "--http-no-network",
        "--http-allow-host=192.0.2.1",
        ini="http_allow_host = 192.0.2.2",
    )
    result.stdout.fnmatch_lines(["http: the network is barred, but for 192.0.2.2, 192.0.2.1"])
    result.stdout.fnmatch_lines(["FAILED test_inner.py::test_it[[]192.0.2.3]*"])
    assert result.stdout.str().count("FAILED") == 1


# http_cassette.

CASSETTE = """
import os

@pytest.fixture
def url():
    return os.environ["URL"]
"""


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A server for the inner tests, whose URL is in the environment; gives what stops it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    monkeypatch.setenv("URL", f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    yield stop
    stop()


def test_cassette(run: Run, pytester: pytest.Pytester, server: Callable[[], None]) -> None:
    """What is recorded once is played without a server, each test from its own file."""
    source = (
        CASSETTE
        + """
class TestHello:
    async def test_it(self, http_cassette, url):
        assert await fetch(url, http_cassette) == "hello"

async def test_it(http_cassette, url):
    assert await fetch(url, http_cassette) == "hello"
"""
    )
    run(source, "-n2").assert_outcomes(passed=4)
    files = sorted(pytester.path.glob("cassettes/test_inner/*"))
    assert [file.name for file in files] == [
        "TestHello.test_it[asyncio].json",
        "TestHello.test_it[trio].json",
        "test_it[asyncio].json",
        "test_it[trio].json",
    ]
    assert json.loads(files[0].read_bytes())["httpcore-cassette"] == 1

    server()
    run(source, "--http-record=none").assert_outcomes(passed=4)
    run(source).assert_outcomes(passed=4)
    run(source, "--http-record=all").assert_outcomes(failed=4)


@pytest.mark.usefixtures("server")
def test_cassette_that_is_not_there(run: Run, pytester: pytest.Pytester) -> None:
    source = CASSETTE + "async def test_it(http_cassette, url): ...\n"
    result = run(source, ini="http_record_mode = none")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["http_cassette: *--http-record=once*"])
    assert not (pytester.path / "cassettes").exists()


@pytest.mark.usefixtures("server")
def test_cassette_without_the_request(run: Run) -> None:
    """A request that is not recorded fails the test, also if the program swallows the error."""
    source = """
async def test_it(http_cassette, url):
    for path in {paths}:
        try:
            await fetch(url + path, http_cassette)
        except Exception:
            pass
"""
    run(CASSETTE + source.format(paths=[""])).assert_outcomes(passed=2)
    result = run(CASSETTE + source.format(paths=["", "other"]))
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "E *CassetteMissError*other*"])


@pytest.mark.usefixtures("server")
def test_cassette_marker(run: Run, pytester: pytest.Pytester) -> None:
    """Markers choose path and options, the nearest first."""
    result = run(
        CASSETTE
        + """
pytestmark = [pytest.mark.anyio, pytest.mark.http_cassette(path="a.json", allow_repeats=True)]

@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param

async def test_one(http_cassette, url):
    assert await fetch(url, http_cassette) == "hello"

@pytest.mark.http_cassette(path="sub/b.json", match_on=["method", "path"])
async def test_two(http_cassette, url):
    assert await fetch(url, http_cassette) == "hello"

@pytest.mark.http_cassette("c.json")
async def test_three(http_cassette): ...
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=2, errors=1)
    assert (pytester.path / "a.json").is_file()
    assert (pytester.path / "sub" / "b.json").is_file()
    result.stdout.fnmatch_lines(
        ["*UsageError: *mark.http_cassette takes arguments by name*'c.json'*"]
    )


@pytest.mark.usefixtures("server")
def test_cassette_names(run: Run, pytester: pytest.Pytester) -> None:
    """Names that no file can have, or that are too long for one, get one that is their own."""
    result = run(
        CASSETTE
        + r"""
NAMES = ["a/b", "a:b", "a?b", "..", "x" * 400, "x" * 401, "\u00e4"]

@pytest.mark.parametrize("name", NAMES)
async def test_it(http_cassette, url, name):
    assert await fetch(url, http_cassette) == "hello"
"""
    )
    result.assert_outcomes(passed=14)
    names = {file.name for file in pytester.path.glob("cassettes/test_inner/*")}
    assert len(names) == 14
    assert all(name.startswith("test_it[") and name.endswith(".json") for name in names)
    assert all(len(name.encode()) <= 200 for name in names)
    assert not any(set(name) & set('<>:"/\\|?*') for name in names)


def test_record_mode_that_there_is_not(run: Run) -> None:
    result = run("", ini="http_record_mode = twice")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: http_record_mode is 'twice'*none, once, all"])
