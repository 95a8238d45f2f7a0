"""The sans-IO bench: CPU time of one cycle through a protocol machine, without sockets."""

from typing import Final

from .cycle_peers import CyclePeer, cycle_measure
from .report import Table
from .rounds import round_robin
from .run import Run

PROTO_PEERS: Final = (
    CyclePeer(name="ours", arguments="-m bench.apps.proto_ours", is_ours=True),
    CyclePeer(name="ours + headers", arguments="-m bench.apps.proto_ours headers", is_ours=True),
    CyclePeer(name="httptools parse", arguments="-m bench.apps.proto_httptools"),
    CyclePeer(name="h11 parse", arguments="-m bench.apps.proto_h11 parse"),
    CyclePeer(name="h11", arguments="-m bench.apps.proto_h11 cycle"),
)


def proto_table(run: Run) -> Table:
    """Measure the wanted machines."""
    peers = [peer for peer in PROTO_PEERS if run.wants(peer.name)]
    rows = round_robin({peer.name: cycle_measure(peer, run) for peer in peers}, run.rounds)
    return Table(
        title="sans-IO cycle: parse a request with 9 headers, take events, send 204, next cycle",
        unit="us CPU per cycle",
        references=("h11 parse", "httptools parse"),
        rows=rows,
        with_best=True,
    )
