"""The pytest plugin of httpcore-testing.

It has fixtures and options, none of which does anything unless it is asked for. Loading it
imports nothing but pytest: client, server and test utilities come with the first fixture.

Fixtures: `http_client`, `http_server`, `http_raw_server`, `http_mock`, `http_cassette`,
`http_tls`, `free_port`. Options: `--http-record`, `--http-no-network`, `--http-allow-host`.

They work in tests that anyio's plugin runs, on asyncio and trio, and in those that pytest-asyncio
runs, in each of its modes and loop scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from . import _cassettes
from ._opened import _http_opened_anyio, find_opened, keeper

if TYPE_CHECKING:
    from typing import TypeVar

    from httpcore_testing import (
        Cassette,
        Certificates,
        HTTPClientFixture,
        HTTPRawServerFixture,
        HTTPServerFixture,
        MockConnector,
    )

    AnyChecked = TypeVar("AnyChecked", MockConnector, Cassette)

__all__ = [
    "_http_opened_anyio",
    "free_port",
    "http_cassette",
    "http_client",
    "http_mock",
    "http_raw_server",
    "http_server",
    "http_tls",
]

# What is to be checked when the test is over, by the name of the fixture, unless it failed.
_CHECKS: Final = pytest.StashKey[dict[str, Callable[[], None]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and what stands for them in an ini file."""
    group = parser.getgroup("httpcore", "HTTP (httpcore-testing)")
    group.addoption(
        "--http-record",
        choices=_cassettes.RECORD_MODES,
        help="what http_cassette records: nothing, what has no file yet, or everything anew "
        f"(default: ini http_record_mode, or {_cassettes.DEFAULT_RECORD_MODE})",
    )
    group.addoption(
        "--http-no-network",
        action="store_true",
        help="let no test reach anything but this machine",
    )
    group.addoption(
        "--http-allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="with --http-no-network: a host or address that may be reached; again for more",
    )
    parser.addini(
        "http_record_mode",
        "default of --http-record: none, once or all",
        default=_cassettes.DEFAULT_RECORD_MODE,
    )
    parser.addini("http_no_network", "as --http-no-network", type="bool", default=False)
    parser.addini("http_allow_host", "as --http-allow-host, one a line", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; bar the network, if that is asked for."""
    config.addinivalue_line(
        "markers",
        f"{_cassettes.MARKER}(path=..., match_on=..., **options): path of the test's cassette, "
        "relative to the test's directory, and options as for httpcore_testing.Cassette.",
    )
    _cassettes.record_mode(config)  # a mistake in the ini file is told before the first test
    if config.pluginmanager.has_plugin("asyncio"):
        from . import _asyncio_opened

        config.pluginmanager.register(_asyncio_opened, "httpcore-asyncio")
    if _is_barred(config):
        from httpcore_testing import no_network

        ban = ExitStack()
        ban.enter_context(no_network(allow=_allowed_hosts(config)))
        config.add_cleanup(ban.close)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say that the network is barred."""
    if not _is_barred(config):
        return None
    allowed = ", ".join(_allowed_hosts(config))
    return "http: the network is barred" + (f", but for {allowed}" if allowed else "")


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Tell, with the failure of a test, what its mock or cassette has to say to it."""
    if call.excinfo is None:
        return
    checks = item.stash.get(_CHECKS, {})
    while checks:
        name, check = checks.popitem()
        try:
            check()
        except Exception as exc:
            # What was swallowed is told; what was raised is in the report already.
            if call.when == "call" and str(exc) != str(call.excinfo.value):
                item.add_report_section(call.when, name, str(exc))


def _is_barred(config: pytest.Config) -> bool:
    return bool(config.getoption("http_no_network") or config.getini("http_no_network"))


def _allowed_hosts(config: pytest.Config) -> list[str]:
    return [*config.getini("http_allow_host"), *config.getoption("http_allow_host")]


@pytest.fixture
def http_client(request: pytest.FixtureRequest) -> HTTPClientFixture:
    """Make started clients of an application or a test server, closed after the test.

    `client = await http_client(app)`, then `await client.get("/path")`. `transport="memory"`
    goes without a socket; `server_kwargs` are those of the `TestServer` that is made of an
    application; all else is as for `httpcore_testing.TestClient`.
    """
    keep = keeper(request)
    from httpcore_testing import HTTPClientFixture

    return HTTPClientFixture(keep)


@pytest.fixture
def http_server(request: pytest.FixtureRequest) -> HTTPServerFixture:
    """Make started servers of applications, closed after the test.

    `server = await http_server(app)`, then `server.make_url("/path")`. `host` and `port` say
    where it listens (127.0.0.1, any free port); all else, such as `ssl`, is as for
    `httpcore_testing.TestServer.start_server`.
    """
    keep = keeper(request)
    from httpcore_testing import HTTPServerFixture

    return HTTPServerFixture(keep)


@pytest.fixture
def http_raw_server(request: pytest.FixtureRequest) -> HTTPRawServerFixture:
    """Make started servers of bare handlers, closed after the test.

    `server = await http_raw_server(handler)`: the handler answers every request, whatever its
    path. Options are those of `http_server`.
    """
    keep = keeper(request)
    from httpcore_testing import HTTPRawServerFixture

    return HTTPRawServerFixture(keep)


@pytest.fixture
def http_mock(request: pytest.FixtureRequest) -> Iterator[MockConnector]:
    """Answer requests from rules, without a network: an `httpcore_testing.MockConnector`.

    `http_mock.get("http://api.test/x").reply(json={})`, then `ClientSession(connector=http_mock)`,
    or `with http_mock.everywhere():` for sessions that the code under test makes. A request that
    no rule matches fails the test, and so does, at its end, a rule that was not used.
    """
    from httpcore_testing import MockConnector

    mock = MockConnector()
    yield from _checked(request, mock)


@pytest.fixture
def http_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Record answers of a real server once, and replay them: an `httpcore_testing.Cassette`.

    `ClientSession(connector=http_cassette)`. The file is `cassettes/<module>/<test>.json` beside
    the test's file, unless `@pytest.mark.http_cassette(path=...)` names another;
    `--http-record` says what is recorded.
    """
    from httpcore_testing import Cassette, CassetteError

    options = _cassettes.cassette_options(request.node)
    path = options.pop("path", None) or _cassettes.cassette_path(request.node)
    options.setdefault("mode", _cassettes.record_mode(request.config))
    try:
        cassette = Cassette(request.path.parent / path, **options)
    except CassetteError as exc:
        raise pytest.fail.Exception(f"http_cassette: {exc}", pytrace=False) from None
    yield from _checked(request, cassette)


def _checked(request: pytest.FixtureRequest, connector: AnyChecked) -> Iterator[AnyChecked]:
    """Yield a connector; check it after a test that went well, and close it after any."""
    checks = request.node.stash.setdefault(_CHECKS, {})
    checks[request.fixturename] = connector.check
    # A test without an event loop may run one of its own; what it opens, it closes.
    opened = find_opened(request)
    if opened is not None:
        opened.add(connector.close)
    yield connector
    if checks.pop(request.fixturename, None):
        connector.check()


@pytest.fixture(scope="session")
def http_tls() -> Certificates:
    """A certificate authority of this run, and TLS contexts: `httpcore_testing.Certificates`.

    `await http_server(app, ssl=http_tls.server_context())` and
    `TCPConnector(ssl=http_tls.client_context())`. Needs `httpcore-testing[tls]`.
    """
    from httpcore_testing import Certificates

    try:
        return Certificates()
    except ImportError as exc:
        raise pytest.fail.Exception(f"http_tls: {exc}", pytrace=False) from None


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Find a TCP port of 127.0.0.1 that is free: `port = free_port()`.

    Somebody else may take it before you do. Where port 0 can be given, that cannot happen.
    """
    from httpcore_testing import unused_port

    return unused_port
