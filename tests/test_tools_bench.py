"""What the curves of clients in tools/bench decide by themselves: whom to ask, what to count."""

import asyncio
import json
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import httpclient
from tools.bench import cli, scaling
from tools.bench.apps import client_scaling_floor
from tools.bench.apps.canned import canned_response
from tools.bench.apps.client_load import run_all_asyncio
from tools.bench.apps.client_scaling import Client, Load, Shape, measure, origin_hosts
from tools.bench.apps.client_scaling_session import session_client
from tools.bench.apps.origin import Origin
from tools.bench.apps.settings import Settings
from tools.bench.cpu import Cores
from tools.bench.exchanges import EXCHANGES
from tools.bench.report import Curves
from tools.bench.rounds import Row
from tools.bench.run import Run
from tools.bench.wrk import WrkMissingError

GET = EXCHANGES["get"]
# No time at all: a load is over with the first answer after those that warm it up.
SETTINGS = Settings(work="get", port=0, loop="asyncio", concurrency=5)
SHAPE = Shape(origins=3, limit=2)


def test_shape_gets_through_a_command_line() -> None:
    assert Shape.from_arguments(SHAPE.to_arguments()) == SHAPE


def test_origins_are_different_loopback_addresses() -> None:
    hosts = origin_hosts(1000)
    assert hosts[:2] == ["127.0.0.1", "127.0.0.2"]
    assert hosts[254:256] == ["127.0.0.255", "127.0.1.0"]
    assert len(set(hosts)) == 1000


async def fetch_at_once() -> tuple[int, bytes]:
    await asyncio.sleep(0)
    return 200, GET.answer


@pytest.mark.parametrize(("origins", "warm"), [(3, 10), (50, 100)])
def test_load_counts_nothing_before_all_are_warm(origins: int, warm: int) -> None:
    answers = 0

    async def fetch() -> tuple[int, bytes]:
        nonlocal answers
        answers += 1
        return await fetch_at_once()

    load = Load(fetch, SETTINGS, replace(SHAPE, origins=origins))
    asyncio.run(run_all_asyncio([load.work] * SETTINGS.concurrency))
    assert load.figures is not None
    assert load.figures["requests"] == 1
    # What the last answer found in flight is awaited, and not counted.
    assert warm + 1 <= answers <= warm + SETTINGS.concurrency


def test_load_lasts_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    answers = 0

    async def fetch() -> tuple[int, bytes]:
        nonlocal now, answers
        now += 1.0
        answers += 1
        return await fetch_at_once()

    monkeypatch.setattr("time.monotonic", lambda: now)
    load = Load(fetch, replace(SETTINGS, concurrency=1, warmup=20.0, seconds=30.0), SHAPE)
    asyncio.run(load.work())
    assert load.figures is not None
    assert load.figures["requests"] == 30
    assert answers == 50


@pytest.mark.parametrize("answer", [(500, GET.answer), (200, GET.answer + b"!")])
def test_load_ends_with_a_wrong_answer(answer: tuple[int, bytes]) -> None:
    async def fetch() -> tuple[int, bytes]:
        return answer

    with pytest.raises(RuntimeError, match="expected 200, 13 bytes"):
        asyncio.run(Load(fetch, SETTINGS, SHAPE).work())


class CountingOrigin(Origin):
    """Counts connections, on the class."""

    opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        CountingOrigin.opened += 1
        super().connection_made(transport)


@pytest.mark.parametrize("client", [client_scaling_floor.client, session_client(httpclient)])
@pytest.mark.parametrize(("limit", "opened"), [(0, 5), (2, 2)])
def test_limit_is_of_connections_and_the_rest_waits(
    client: Client,
    limit: int,
    opened: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(CountingOrigin, "opened", 0)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: CountingOrigin(canned_response(GET.answer)), "127.0.0.1", 0
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            shape = Shape(origins=1, limit=limit)
            await measure(client, shape, replace(SETTINGS, port=port), run_all_asyncio)

    asyncio.run(run())
    assert CountingOrigin.opened == opened
    assert json.loads(capsys.readouterr().out)["requests"] == 1


def test_session_asks_the_origins_in_turn() -> None:
    asked: list[str] = []

    class Module:
        """As much of a client as is used."""

        class TCPConnector:
            def __init__(self, *, limit: int) -> None:
                assert limit == 7

        class ClientSession:
            status = 200

            def __init__(self, *, connector: Any) -> None:
                assert isinstance(connector, Module.TCPConnector)

            async def __aenter__(self) -> Any:
                return self

            async def __aexit__(self, *exc_info: object) -> None:
                pass

            async def read(self) -> bytes:
                return GET.answer

            @asynccontextmanager
            async def get(self, url: str) -> Any:
                asked.append(url)
                yield self

    async def run() -> None:
        async with session_client(Module)(GET, ["a", "b", "c"], 7) as fetch:
            assert [await fetch() for _ in range(4)] == [(200, GET.answer)] * 4

    asyncio.run(run())
    assert asked == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("axis", "origins", "limits", "in_flight"),
    [
        ("origins", [1, 10, 100, 1000], {0}, [32, 32, 32, 32]),
        ("waiters", [1, 1, 1, 1], {32}, [33, 132, 1032, 10032]),
    ],
)
def test_one_thing_grows_along_a_curve(
    axis: str, origins: list[int], limits: set[int], in_flight: list[int]
) -> None:
    curve = scaling.CLIENT_CURVES[axis]
    shapes = [curve.shape(point) for point in curve.points]
    assert [shape.origins for shape in shapes] == origins
    assert {shape.limit for shape in shapes} == limits
    assert [curve.in_flight(point) for point in curve.points] == in_flight


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The curves that the command line asks for; none is measured, and wrk is not there."""
    asked: list[str] = []

    def curves(name: str, run: Run) -> Curves:
        asked.append(name)
        rows = {} if name == "waiters" else {"ours": [Row(peer="ours", samples=[1.0])]}
        return Curves(title=name, axis="x", points=(1,), rows=rows)

    def no_wrk() -> None:
        raise WrkMissingError("no wrk here")

    run = SimpleNamespace(cores=Cores(None, None), loop="uvloop", rounds=1, seconds=1)
    monkeypatch.setattr(cli, "open_run", lambda **options: nullcontext(run))
    monkeypatch.setattr(cli, "require_wrk", no_wrk)
    monkeypatch.setattr(cli, "client_curves", curves)
    monkeypatch.setattr(cli, "route_curves", curves)
    monkeypatch.setattr(cli, "connection_curves", lambda run: curves("connections", run))
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    return asked


def test_curves_of_clients_need_no_wrk(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scaling", "--work", "origins"]) == 0
    assert asked == ["origins"]
    assert "### origins" in capsys.readouterr().out


@pytest.mark.parametrize("work", ["connections", "routes", "all"])
def test_curves_of_servers_need_wrk(
    work: str, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scaling", "--work", work]) == 2
    assert asked == []
    assert capsys.readouterr().err == "no wrk here\n"


def test_all_curves_are_drawn_but_those_without_peers(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "require_wrk", lambda: None)
    assert cli.main(["scaling", "--work", "all"]) == 0
    assert asked == ["connections", "static", "param", "origins", "waiters"]
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("###")]
    assert titles == ["### connections", "### static", "### param", "### origins"]
