"""Tables in Markdown, to be pasted as they are, and the same in JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rounds import Row

_NOTHING = "-"


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lay out a table; the first column is text and the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    # A bar in an error text would start a new cell.
    cells = [[cell.replace("|", "\\|") for cell in line] for line in [header, rule, *lines]]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Peers side by side at one work.

    Attributes:
        unit: Heading of the figure's column.
        references: Peers to whose median the others are put in ratio, one column each.
        with_best: Show the lowest round beside the median.
    """

    title: str
    unit: str
    references: tuple[str, ...]
    rows: Sequence[Row]
    with_best: bool = False

    def markdown(self) -> str:
        """Return heading and table."""
        header = ["peer", *(["best"] if self.with_best else []), self.unit]
        header += [f"x {reference}" for reference in self.references]
        header.append("spread")
        lines = [self._line(row, len(header)) for row in self.rows]
        return f"### {self.title}\n\n{_markdown(header, lines)}"

    def _line(self, row: Row, width: int) -> list[str]:
        if not row.is_figure:
            text = f"not offered: {row.not_offered}" if row.not_offered else f"ERROR: {row.error}"
            return [row.peer, text, *[""] * (width - 2)]
        figures = [f"{row.best:.2f}"] if self.with_best else []
        figures.append(f"{row.median:.2f}")
        ratios = [self._ratio(row, reference) for reference in self.references]
        shown = [_NOTHING if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        return [row.peer, *figures, *shown, f"{row.spread:.0%}"]

    def _ratio(self, row: Row, reference: str) -> float | None:
        medians = {other.peer: other.median for other in self.rows if other.is_figure}
        return row.median / medians[reference] if row.is_figure and reference in medians else None

    def failed(self) -> bool:
        """Tell whether a row is an error."""
        return any(row.error for row in self.rows)

    def record(self) -> dict[str, Any]:
        """Return what is shown, and the single rounds, for JSON."""
        return {
            "title": self.title,
            "unit": self.unit,
            "rows": [
                {
                    **_row_record(row),
                    "ratios": {
                        reference: self._ratio(row, reference) for reference in self.references
                    },
                }
                for row in self.rows
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Figures of each peer along an axis.

    Attributes:
        axis: What the columns count.
        points: The counts.
        rows: For each peer one row per point.
    """

    title: str
    axis: str
    points: tuple[int, ...]
    rows: dict[str, list[Row]]

    def markdown(self) -> str:
        """Return heading and table; the last column is what a flat curve has at 1."""
        header = [self.axis, *(f"{point:,}" for point in self.points), "last / first"]
        lines = [
            [peer, *map(_cell, rows), _growth(rows[0], rows[-1])]
            for peer, rows in self.rows.items()
        ]
        points = [row for rows in self.rows.values() for row in rows]
        notes = [f"- {row.peer}: {row.error}" for row in points if row.error]
        return "\n".join([f"### {self.title}", "", _markdown(header, lines), "", *notes]).rstrip()

    def failed(self) -> bool:
        """Tell whether a point is an error."""
        return any(row.error for rows in self.rows.values() for row in rows)

    def record(self) -> dict[str, Any]:
        """Return what is shown, and the single rounds, for JSON."""
        rows = {peer: [_row_record(row) for row in rows] for peer, rows in self.rows.items()}
        return {"title": self.title, "axis": self.axis, "points": self.points, "rows": rows}


def _cell(row: Row) -> str:
    if row.is_figure:
        return f"{row.median:.2f}"
    return "not offered" if row.not_offered else "ERROR"


def _growth(first: Row, last: Row) -> str:
    is_known = first.is_figure and last.is_figure
    return f"{last.median / first.median:.2f}" if is_known else _NOTHING


def _row_record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {"peer": row.peer, "error": row.error, "not_offered": row.not_offered}
    if row.is_figure:
        record |= {
            "median": row.median,
            "best": row.best,
            "spread": row.spread,
            "samples": row.samples,
        }
    return record
