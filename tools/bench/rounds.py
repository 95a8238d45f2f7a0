"""Round robin over peers and the median over rounds.

Every peer is measured once per round, so a slow second of the machine falls on all of them and not
on one. A row is either a figure, or an error, or `not offered`; an error in one round takes away
the whole row, because a figure from the rounds that went well would look like a result.
"""

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class MeasurementError(Exception):
    """The peer did not do the work: a wrong answer, a socket error, a process that ended."""


class NotOfferedError(Exception):
    """The peer has no way to do this work, or ours has none yet; the text says what lacks."""


@dataclass(slots=True, kw_only=True)
class Row:
    """What one peer's rounds gave.

    Attributes:
        samples: One figure per round, in the unit of the table; empty if there is an error or
            nothing was offered.
        error: What went wrong, or empty.
        not_offered: What is missing, or empty.
    """

    peer: str
    samples: list[float] = field(default_factory=list)
    error: str = ""
    not_offered: str = ""

    @property
    def is_figure(self) -> bool:
        """Tell whether there is something to show."""
        return bool(self.samples)

    @property
    def median(self) -> float:
        """Return the median over rounds."""
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        """Return the lowest round."""
        return min(self.samples)

    @property
    def spread(self) -> float:
        """Return the distance between the worst and the best round, as a share of the median."""
        return (max(self.samples) - min(self.samples)) / self.median


Measure = Callable[[], float]


def round_robin(measures: Mapping[str, Measure], rounds: int) -> list[Row]:
    """Call each of `measures` once per round and return a row for each, in their order.

    A measure that raises `MeasurementError` or `NotOfferedError` is not called again.
    """
    rows = {peer: Row(peer=peer) for peer in measures}
    for number in range(1, rounds + 1):
        for peer, measure in measures.items():
            row = rows[peer]
            if row.error or row.not_offered:
                continue
            try:
                row.samples.append(measure())
                outcome = f"{row.samples[-1]:.2f}"
            except NotOfferedError as reason:
                row.not_offered = outcome = str(reason)
            except MeasurementError as error:
                row.samples.clear()
                row.error = outcome = str(error)
            # Progress goes to stderr, so that stdout can be pasted as it is.
            print(f"round {number}/{rounds}  {peer}: {outcome}", file=sys.stderr, flush=True)
    return list(rows.values())
