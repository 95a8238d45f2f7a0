"""The sans-IO bench: CPU time of one cycle through a protocol machine, without sockets."""

from dataclasses import dataclass
from typing import Final

from .apps.settings import Settings
from .measured import measured
from .report import Table
from .rounds import Measure, round_robin
from .run import Run

_WARMUP_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoPeer:
    """A machine or a parser, and how to time it."""

    name: str
    arguments: tuple[str, ...]
    is_ours: bool = False


PROTO_PEERS: Final = (
    ProtoPeer(name="ours", arguments=("-m", "bench.apps.proto_ours"), is_ours=True),
    ProtoPeer(
        name="ours + headers", arguments=("-m", "bench.apps.proto_ours", "headers"), is_ours=True
    ),
    ProtoPeer(name="httptools parse", arguments=("-m", "bench.apps.proto_httptools")),
    ProtoPeer(name="h11 parse", arguments=("-m", "bench.apps.proto_h11", "parse")),
    ProtoPeer(name="h11", arguments=("-m", "bench.apps.proto_h11", "cycle")),
)


def proto_table(run: Run) -> Table:
    """Measure the wanted machines."""
    peers = [peer for peer in PROTO_PEERS if run.wants(peer.name)]
    rows = round_robin({peer.name: _measure(peer, run) for peer in peers}, run.rounds)
    return Table(
        title="sans-IO cycle: parse a request with 9 headers, take events, send 204, next cycle",
        unit="us CPU per cycle",
        references=("h11 parse", "httptools parse"),
        rows=rows,
        with_best=True,
    )


def _measure(peer: ProtoPeer, run: Run) -> Measure:
    """Return what measures `peer` once, in a fresh process each time."""
    settings = Settings(work="", port=0, loop="", seconds=run.seconds, warmup=_WARMUP_SECONDS)
    command = run.interpreters.command(peer.arguments, is_ours=peer.is_ours)
    return lambda: measured(command, settings, run)["median"]
