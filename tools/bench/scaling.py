"""Curves that must stay flat: the cost of a request as something becomes many.

For a server that is connections and routes; for a client it is origins, and requests that wait.
"""

import contextlib
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from .apps.client_scaling import Shape
from .apps.settings import Settings
from .client import ClientPeer, client_peers
from .cpu import pinned
from .environment import child_environ
from .measured import measured
from .processes import free_port, running, wait_listening
from .report import Curves
from .rounds import Measure, MeasurementError, Row, round_robin
from .run import Run
from .server import ServerUnderTest
from .server_peers import ServerPeer, server_peers
from .works import WORKS, find_work

CONNECTION_POINTS: Final = (10, 32, 100, 320, 1000)
ROUTE_POINTS: Final = (10, 100, 1000)

# The rest of the peers adds minutes and says nothing about ours.
_CONNECTION_PEERS: Final = frozenset({"floor", "ours", "aiohttp"})
_ROUTE_PEERS: Final = frozenset({"ours", "aiohttp", "starlette"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCurve:
    """What a client has ever more of.

    Attributes:
        title: What is measured, and what stays the same.
        points: How many of it.
        shape: What the client is given at a point.
        in_flight: Requests begun and not yet answered at a point, those that wait included.
    """

    title: str
    points: tuple[int, ...]
    shape: Callable[[int], Shape]
    in_flight: Callable[[int], int]


_CLIENT_CONNECTIONS: Final = 32

CLIENT_CURVES: Final = {
    "origins": ClientCurve(
        title=f"origins asked in turn, {_CLIENT_CONNECTIONS} requests in flight",
        points=(1, 10, 100, 1000),
        shape=lambda origins: Shape(origins=origins, limit=0),
        in_flight=lambda origins: _CLIENT_CONNECTIONS,
    ),
    "waiters": ClientCurve(
        title=f"requests that wait for one of {_CLIENT_CONNECTIONS} connections",
        points=(1, 100, 1000, 10000),
        shape=lambda waiters: Shape(origins=1, limit=_CLIENT_CONNECTIONS),
        in_flight=lambda waiters: _CLIENT_CONNECTIONS + waiters,
    ),
}

# What follows `bench.apps.` on the command line of a client.
_CLIENTS: Final = {
    "floor": "client_scaling_floor",
    "ours": "client_scaling_session httpclient",
    "ours-trio": "client_scaling_session httpclient",
    "aiohttp": "client_scaling_session aiohttp",
}
_CLIENT_PEERS: Final = frozenset({"floor", "ours", "aiohttp"})
_CLIENT_WORK: Final = "get"
_WARMUP_SECONDS: Final = 0.5

# Every connection is a descriptor in the server and one in wrk, or in the client; every origin
# takes another one to listen. Some hundreds are for all the rest.
_NEEDED_FILES: Final = max(*CONNECTION_POINTS, 2 * max(CLIENT_CURVES["origins"].points)) + 500


def connection_curves(run: Run) -> Curves:
    """Measure `hello` with ever more connections, each peer in one process for the whole curve."""
    _raise_file_limit()
    peers = _chosen(run, _CONNECTION_PEERS)
    with contextlib.ExitStack() as stack:
        servers = {peer.name: ServerUnderTest(peer, WORKS["hello"], run, stack) for peer in peers}
        rows = _measure(
            list(servers),
            CONNECTION_POINTS,
            lambda peer, point: partial(servers[peer].measure, point),
            run,
        )
    return Curves(
        title="scaling, server hello: us CPU per request by connections",
        axis="connections",
        points=CONNECTION_POINTS,
        rows=rows,
    )


def route_curves(kind: str, run: Run) -> Curves:
    """Measure a request to the last of ever more routes.

    Args:
        kind: `static` or `param`.
        run: Where and how long.
    """
    peers = {peer.name: peer for peer in _chosen(run, _ROUTE_PEERS)}
    with contextlib.ExitStack() as stack:
        rows = _measure(
            list(peers),
            ROUTE_POINTS,
            lambda peer, point: (
                ServerUnderTest(peers[peer], find_work(f"{kind}-{point}"), run, stack).measure
            ),
            run,
        )
    return Curves(
        title=f"scaling, server, last of N {kind} routes: us CPU per request by routes",
        axis="routes",
        points=ROUTE_POINTS,
        rows=rows,
    )


def client_curves(axis: str, run: Run) -> Curves:
    """Measure `get` of the wanted clients along `axis`, one of `CLIENT_CURVES`.

    There are no rows if none of the wanted peers is a client.
    """
    _raise_file_limit()
    curve = CLIENT_CURVES[axis]
    wanted = run.wanted or _CLIENT_PEERS
    peers = {
        peer.name: peer
        for peer in client_peers(run.loop)
        if peer.name in wanted and peer.name in _CLIENTS
    }
    with _origins(max(curve.shape(point).origins for point in curve.points), run) as port:
        rows = _measure(
            list(peers),
            curve.points,
            lambda peer, point: _client_measure(peers[peer], curve, point, port, run),
            run,
        )
    return Curves(
        title=f"scaling, client get: us CPU per request by {curve.title}",
        axis=axis,
        points=curve.points,
        rows=rows,
    )


@contextlib.contextmanager
def _origins(count: int, run: Run) -> Iterator[int]:
    """Run so many origins for the length of the block and give their port."""
    port = free_port()
    settings = Settings(work=_CLIENT_WORK, port=port, loop="uvloop")
    arguments = ["-m", "bench.apps.client_scaling_origin", str(count)]
    with running(
        pinned(run.interpreters.command(arguments, is_ours=False), run.cores.other),
        environ=child_environ(settings.to_environ()),
        log=run.folder / f"origins-{count}.log",
    ) as process:
        wait_listening(process, port)
        yield port


def _client_measure(
    peer: ClientPeer, curve: ClientCurve, point: int, port: int, run: Run
) -> Measure:
    """Return what measures `peer` once, in a fresh process each time."""
    settings = Settings(
        work=_CLIENT_WORK,
        port=port,
        loop=peer.loop,
        concurrency=curve.in_flight(point),
        seconds=run.seconds,
        warmup=_WARMUP_SECONDS,
    )
    module, *arguments = _CLIENTS[peer.name].split()
    command = run.interpreters.command(
        ["-m", f"bench.apps.{module}", *arguments, *curve.shape(point).to_arguments()],
        is_ours=peer.is_ours,
    )

    def measure() -> float:
        result = measured(command, settings, run, core=run.cores.measured)
        if not result["requests"]:
            raise MeasurementError("not one request was answered")
        return result["cpu_seconds"] / result["requests"] * 1e6

    return measure


def _chosen(run: Run, default: frozenset[str]) -> list[ServerPeer]:
    wanted = run.wanted or default
    return [peer for peer in server_peers(run.loop) if peer.name in wanted]


def _measure(
    peers: list[str], points: tuple[int, ...], measure: Callable[[str, int], Measure], run: Run
) -> dict[str, list[Row]]:
    """Measure all points of all peers in the same rounds, as the points are what is compared."""
    keys = [(peer, point) for point in points for peer in peers]
    rows = round_robin(
        {f"{peer} at {point}": measure(peer, point) for peer, point in keys}, run.rounds
    )
    by_peer: dict[str, list[Row]] = {peer: [] for peer in peers}
    for (peer, _), row in zip(keys, rows, strict=True):
        by_peer[peer].append(row)
    return by_peer


def _raise_file_limit() -> None:
    """Allow this process, and all that it starts, enough open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _NEEDED_FILES and hard >= _NEEDED_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_NEEDED_FILES, hard))
