"""What all measurements of one run share."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .cpu import Cores, choose_cores
from .environment import Interpreters, find_interpreters
from .works import STATIC_NAME, WORKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where and how long to measure.

    Attributes:
        folder: For scripts, logs and the static file; gone after the run.
        seconds: Length of one measurement, whole because wrk takes nothing else.
        loop: `uvloop` or `asyncio`, for every peer that runs on asyncio.
        wanted: Names of the peers to measure; empty means all.
    """

    interpreters: Interpreters
    cores: Cores
    folder: Path
    rounds: int
    seconds: int
    loop: str
    wanted: frozenset[str]

    @property
    def static_dir(self) -> Path:
        """Return the folder that the static work serves."""
        return self.folder / "static"

    def wants(self, peer: str) -> bool:
        """Tell whether `peer` is to be measured."""
        return not self.wanted or peer in self.wanted


@contextlib.contextmanager
def open_run(*, rounds: int, seconds: int, loop: str, wanted: frozenset[str]) -> Iterator[Run]:
    """Prepare a run: interpreters, cores and a folder that exists for the length of the block."""
    interpreters = find_interpreters()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        run = Run(
            interpreters=interpreters,
            cores=choose_cores(),
            folder=Path(name),
            rounds=rounds,
            seconds=seconds,
            loop=loop,
            wanted=wanted,
        )
        run.static_dir.mkdir()
        (run.static_dir / STATIC_NAME).write_bytes(WORKS["static64k"].answer)
        yield run
