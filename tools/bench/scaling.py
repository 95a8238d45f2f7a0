"""Curves that must stay flat: the cost of a request as connections and routes become many."""

import contextlib
import resource
from collections.abc import Callable
from functools import partial
from typing import Final

from .report import Curves
from .rounds import Measure, Row, round_robin
from .run import Run
from .server import ServerUnderTest
from .server_peers import ServerPeer, server_peers
from .works import WORKS, find_work

CONNECTION_POINTS: Final = (10, 32, 100, 320, 1000)
ROUTE_POINTS: Final = (10, 100, 1000)

# The rest of the peers adds minutes and says nothing about ours.
_CONNECTION_PEERS: Final = frozenset({"floor", "ours", "aiohttp"})
_ROUTE_PEERS: Final = frozenset({"ours", "aiohttp", "starlette"})

# Every connection is a descriptor in the server and one in wrk; some hundreds for all the rest.
_NEEDED_FILES: Final = max(CONNECTION_POINTS) + 500


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
