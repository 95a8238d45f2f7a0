"""Peers that need no sockets: processes that time a cycle of their own and print its median."""

from dataclasses import dataclass
from typing import Final

from .apps.settings import Settings
from .measured import measured
from .rounds import Measure
from .run import Run

_WARMUP_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclePeer:
    """A machine or a parser, and how to time it.

    Attributes:
        arguments: What follows the interpreter, separated by blanks.
        is_ours: It runs in the interpreter that has our packages, the others in that of the peers.
    """

    name: str
    arguments: str
    is_ours: bool = False


def cycle_measure(peer: CyclePeer, run: Run, *, us_per_unit: float = 1.0) -> Measure:
    """Return what measures `peer` once, in a fresh process each time.

    Args:
        peer: What to measure.
        run: How long, and on which loop if it needs one.
        us_per_unit: Microseconds in the unit of the figures.
    """
    settings = Settings(work="", port=0, loop=run.loop, seconds=run.seconds, warmup=_WARMUP_SECONDS)
    command = run.interpreters.command(peer.arguments.split(), is_ours=peer.is_ours)
    core = run.cores.measured
    return lambda: measured(command, settings, run, core=core)["median"] / us_per_unit
