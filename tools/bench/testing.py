"""Test clients and the applications they test, in one process: CPU time per request."""

from typing import Final

from .cycle_peers import CyclePeer, cycle_measure
from .report import Table
from .rounds import round_robin
from .run import Run

#: What is measured, and what it is called in the table.
TESTING_WORKS: Final = {
    "request": "a request by a client that is there",
    "client": "a client, one request, and its end, as in a test",
}


def testing_peers(work: str) -> list[CyclePeer]:
    """Return the peers of a work."""
    ours, theirs = "-m bench.apps.test_clients_ours", "-m bench.apps.test_clients_peers"
    return [
        CyclePeer(name="memory", arguments=f"{ours} memory {work}", is_ours=True),
        CyclePeer(name="socket", arguments=f"{ours} socket {work}", is_ours=True),
        CyclePeer(name="aiohttp", arguments=f"{theirs} aiohttp {work}"),
        CyclePeer(name="httpx2 ASGI", arguments=f"{theirs} asgi {work}"),
    ]


def testing_table(work: str, run: Run) -> Table:
    """Measure the wanted peers."""
    peers = [peer for peer in testing_peers(work) if run.wants(peer.name)]
    rows = round_robin({peer.name: cycle_measure(peer, run) for peer in peers}, run.rounds)
    return Table(
        title=f"testing: {TESTING_WORKS[work]}",
        unit=f"us CPU per {work}",
        references=("socket", "aiohttp"),
        rows=rows,
        with_best=True,
    )
