"""The plugin's factory fixtures, in tests of each plugin that runs async tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

import httpcore_testing  # noqa: F401  # so that the inner runs need not import it each

pytest_plugins = ["pytester"]

# Each starts pytest, some of them several times.
pytestmark = pytest.mark.timeout(60)

Run: TypeAlias = Callable[..., pytest.RunResult]

# What inner test files begin with: an application, and a log that outlives the tests.
PRELUDE = """
import pathlib

import pytest

import httpserver as web

LOG = pathlib.Path(__file__).with_suffix(".log")

def log(what):
    with LOG.open("a") as file:
        print(what, file=file)

async def hello(request):
    return web.Response(text="hello")

def make_app():
    async def clean_up(app):
        log("app ended")

    app = web.Application()
    app.add_routes([web.get("/", hello)])
    app.on_cleanup.append(clean_up)
    return app
"""

# Tests of all factories, and of a fixture of the user's on top of one.
FACTORIES = """
@fixture
async def page(http_client):
    client = await http_client(make_app())
    yield client
    async with client.get("/") as response:  # the client lives longer than this fixture
        log(await response.text())

class TestFactories:
    async def test_fixture(self, page):
        async with page.get("/") as response:
            assert await response.text() == "hello"

    @pytest.mark.parametrize("transport", ["socket", "memory"])
    async def test_client(self, http_client, transport):
        client = await http_client(make_app(), transport=transport)
        async with client.get("/") as response:
            assert await response.text() == "hello"

    async def test_servers(self, http_client, http_server, http_raw_server):
        for server in [await http_server(make_app()), await http_raw_server(hello)]:
            client = await http_client(server)
            async with client.get("/") as response:
                assert await response.text() == "hello"
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on one file with the prelude before it; warnings are errors."""

    def run(source: str, *args: str, ini: str = "") -> pytest.RunResult:
        settings = ["[pytest]", "filterwarnings = error", ini]
        if "no:asyncio" not in args:
            settings.append("asyncio_default_fixture_loop_scope = function")
        pytester.makeini("\n".join(settings))
        pytester.makepyfile(test_inner=PRELUDE + source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *args)

    return run


BARE = "fixture = pytest.fixture\n"
ANYIO = BARE + "pytestmark = pytest.mark.anyio\n"


def asyncio_in(scope: str, *, marked: bool = True) -> str:
    """Return the head of a file for pytest-asyncio, with fixtures and tests in one loop."""
    return (
        f"import pytest_asyncio\nfixture = pytest_asyncio.fixture(loop_scope={scope!r})\n"
        f"pytestmark = pytest.mark.asyncio({f'loop_scope={scope!r}' if marked else ''})\n"
    )


STRICT = asyncio_in("function", marked=False)


@pytest.mark.parametrize(
    ("marks", "ini", "args", "backends"),
    [
        pytest.param(ANYIO, "", [], 2, id="anyio"),
        pytest.param(ANYIO, "", ["-p", "no:asyncio"], 2, id="anyio-alone"),
        pytest.param(ANYIO, "", ["-n", "2"], 2, id="anyio-xdist"),
        pytest.param(BARE, "anyio_mode = auto", [], 2, id="anyio-auto"),
        pytest.param(STRICT, "", [], 1, id="asyncio-strict"),
        pytest.param(STRICT, "", ["-p", "no:anyio"], 1, id="asyncio-alone"),
        pytest.param(STRICT, "", ["-n", "2"], 1, id="asyncio-xdist"),
        pytest.param(BARE, "asyncio_mode = auto", [], 1, id="asyncio-auto"),
        pytest.param(
            asyncio_in("session", marked=False),
            "asyncio_default_test_loop_scope = session",
            [],
            1,
            id="asyncio-ini-session",
        ),
        *(
            pytest.param(asyncio_in(scope), "", [], 1, id=f"asyncio-{scope}")
            for scope in ("function", "class", "module", "package", "session")
        ),
    ],
)
def test_factories(
    run: Run, pytester: pytest.Pytester, marks: str, ini: str, args: list[str], backends: int
) -> None:
    """Whoever runs the tests, what they open is closed, after the fixtures on top of it."""
    result = run(marks + FACTORIES, *args, ini=ini)
    result.assert_outcomes(passed=4 * backends)
    log = (pytester.path / "test_inner.log").read_text().splitlines()
    assert sorted(log) == ["app ended"] * 4 * backends + ["hello"] * backends
    if "-n" not in args:
        assert log.index("hello") == 0


# One of each that is run, by the plugins together.
BOTH = """
@pytest.mark.anyio
async def test_anyio(http_client):
    assert (await http_client(make_app())).port

@pytest.mark.asyncio
async def test_asyncio(http_client):
    assert (await http_client(make_app())).port
"""


def test_both_plugins_in_one_run(run: Run) -> None:
    run(BOTH).assert_outcomes(passed=3)


def test_taken_by_both_plugins(run: Run) -> None:
    """What pytest-asyncio's auto mode takes from anyio's plugin would have two event loops."""
    result = run(BOTH, ini="asyncio_mode = auto")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["test_anyio[[]trio] is taken by both *asyncio_mode*strict*"])


def test_without_event_loop(run: Run) -> None:
    """A test that nobody runs in an event loop fails before it begins, and is told why."""
    fixtures = ("http_client", "http_server", "http_raw_server")
    result = run("".join(f"def test_{name}({name}):\n    log('ran')\n" for name in fixtures))
    result.assert_outcomes(errors=3)
    text = "{0} needs a test that runs in an event loop, and test_{0} does not: *.anyio*.asyncio*"
    result.stdout.fnmatch_lines([text.format(name) for name in fixtures])


MISUSES = {
    "http_client(hello)": "http_client takes an httpserver.Application or a test server, got <func",
    "http_client(make_app)": "got <function make_app",
    "http_client('app')": "got 'app' of type str; a bare handler goes through http_raw_server",
    "http_client(None)": "got None of type NoneType",
    "http_client(await http_server(make_app()), server_kwargs={})": (
        "server_kwargs are for the server that is made of an application, and <TestServer http"
    ),
    "http_client(make_app(), transport='pigeon')": "'pigeon'",
    "http_server(hello)": "http_server takes an httpserver.Application, got <function hello",
    "http_raw_server(make_app())": "http_raw_server takes an async function of a request, got <A",
    "http_raw_server('x')": "got 'x' of type str; an application goes through http_server",
}


def test_misuse(run: Run) -> None:
    """What a factory cannot use is named, beside what it takes, in the line of the test."""
    tests = [
        f"async def test_{number}(http_client, http_server, http_raw_server):\n    await {call}\n"
        for number, call in enumerate(MISUSES)
    ]
    result = run(STRICT + "".join(tests))
    result.assert_outcomes(failed=len(MISUSES))
    text = result.stdout.str()
    for call, message in MISUSES.items():
        _, line, rest = text.partition(f"\n>       await {call}\n")
        assert line
        error = next(part for part in rest.splitlines() if part.startswith("E  "))
        assert "ValueError: " in error
        assert message in error


def test_options(run: Run) -> None:
    """What goes to the server, to the client, and to the session behind it gets there."""
    result = run(
        ANYIO
        + """
async def test_it(http_client, http_server, http_raw_server, free_port):
    ports = [free_port() for _ in range(3)]
    client = await http_client(
        make_app(), server_kwargs={"port": ports[0]}, headers={"X-Key": "k"}
    )
    assert client.port == ports[0]
    assert client.session.headers["X-Key"] == "k"
    server = await http_server(make_app(), host="localhost", port=ports[1], shutdown_timeout=1)
    assert str(server.make_url("/")) == f"http://localhost:{ports[1]}/"
    assert (await http_raw_server(hello, port=ports[2])).port == ports[2]
"""
    )
    result.assert_outcomes(passed=2)


def test_tls(run: Run) -> None:
    result = run(
        ANYIO
        + """
import httpclient

async def test_it(http_client, http_server, http_tls):
    server = await http_server(make_app(), ssl=http_tls.server_context())
    connector = httpclient.TCPConnector(ssl=http_tls.client_context())
    client = await http_client(server, connector=connector)
    async with client.get("/") as response:
        assert response.url.scheme == "https"
        assert await response.text() == "hello"
"""
    )
    result.assert_outcomes(passed=2)


def test_tls_without_trustme(run: Run) -> None:
    result = run("import sys\nsys.modules['trustme'] = None\ndef test_it(http_tls): ...\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["http_tls: *httpcore-testing[[]tls]"])


def test_other_loop(run: Run) -> None:
    """A fixture in a loop that the test is not in is told so, and nothing is left open."""
    result = run(
        """
import pytest_asyncio

@pytest_asyncio.fixture(loop_scope="module")
async def client(http_client):
    return await http_client(make_app())

@pytest.mark.asyncio
async def test_it(client): ...
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*RuntimeError: http_client was called in another event loop*"])


@pytest.mark.parametrize("marks", [ANYIO, STRICT], ids=["anyio", "asyncio"])
def test_failure_of_closing(run: Run, pytester: pytest.Pytester, marks: str) -> None:
    """What cannot be closed does not keep the rest open, and is reported: all of it."""
    result = run(
        marks
        + """
def make_bad_app(what):
    async def fail(app):
        raise ValueError(f"no end of {what}")

    app = make_app()
    app.on_cleanup.append(fail)
    return app

async def test_one(http_client):
    await http_client(make_app())
    await http_client(make_bad_app("one"))
    await http_client(make_app())

async def test_two(http_client, http_server):
    await http_server(make_bad_app("first"))
    await http_client(make_bad_app("second"))
"""
    )
    backends = 2 if marks == ANYIO else 1
    result.assert_outcomes(passed=2 * backends, errors=2 * backends)
    text = result.stdout.str()
    assert "ValueError: no end of one" in text
    assert "ExceptionGroup: closing what the test had opened (2 sub-exceptions)" in text
    assert "ValueError: no end of first" in text
    assert "ValueError: no end of second" in text
    assert (pytester.path / "test_inner.log").read_text() == "app ended\n" * 5 * backends


def test_last_is_closed_first(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        STRICT
        + """
async def test_it(http_client, http_server):
    for number, start in enumerate([http_server, http_client, http_server]):
        async def end(app, number=number):
            log(number)

        app = web.Application()
        app.on_cleanup.append(end)
        await start(app)
"""
    )
    result.assert_outcomes(passed=1)
    assert (pytester.path / "test_inner.log").read_text().split() == ["2", "1", "0"]


def test_failed_start_is_closed(run: Run) -> None:
    """A client whose server cannot start was never started, and is closed all the same."""
    result = run(
        ANYIO
        + """
async def test_it(http_client, http_server):
    port = (await http_server(make_app())).port
    with pytest.raises(OSError):
        await http_client(make_app(), server_kwargs={"port": port})
"""
    )
    result.assert_outcomes(passed=2)


def test_unittest(run: Run) -> None:
    """A TestCase gets fixtures by an automatic fixture of its own."""
    result = run(
        """
import asyncio
import unittest

import httpclient
from httpcore_testing import AioHTTPTestCase

class Plain(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def take(self, http_mock, free_port):
        self.mock, self.port = http_mock, free_port()

    def test_it(self):
        async def main():
            async with httpclient.ClientSession() as session:
                async with session.get(f"http://api.test:{self.port}/") as response:
                    return await response.text()

        self.mock.get(f"http://api.test:{self.port}/").reply(body="mocked")
        with self.mock.everywhere():
            self.assertEqual(asyncio.run(main()), "mocked")

class Async(AioHTTPTestCase):
    async def get_application(self):
        return make_app()

    async def test_it(self):
        async with self.client.get("/") as response:
            self.assertEqual(await response.text(), "hello")
"""
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("loaded_by", ["option", "conftest"])
def test_aiohttp_names(run: Run, pytester: pytest.Pytester, loaded_by: str) -> None:
    """Tests written for pytest-aiohttp find its fixtures, if they ask for that plugin."""
    args = []
    if loaded_by == "option":
        args = ["-p", "pytest_httpcore.aiohttp_names"]
    else:
        pytester.makeconftest('pytest_plugins = ["pytest_httpcore.aiohttp_names"]')
    result = run(
        """
async def test_it(aiohttp_client, aiohttp_server, aiohttp_raw_server, aiohttp_unused_port):
    port = aiohttp_unused_port()
    for server in [await aiohttp_server(make_app(), port=port), await aiohttp_raw_server(hello)]:
        client = await aiohttp_client(server)
        response = await client.get("/")
        assert response.status == 200
        assert await response.text() == "hello"
""",
        *args,
        ini="asyncio_mode = auto",
    )
    result.assert_outcomes(passed=1)


def test_aiohttp_names_are_not_loaded_by_themselves(run: Run) -> None:
    result = run("def test_it(aiohttp_client): ...\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'aiohttp_client' not found"])
