"""The table of `make simulate`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.case import Case, Result

_HEAD = (
    "| Case | Processes | Limiter | Used | Throttled | Outsiders throttled | Table calls/s | Bars |\n"
    "|---|---:|---|---:|---:|---:|---:|---|"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One case with one limiter."""

    case: Case
    limiter: str
    result: Result
    bars: tuple[float, float] | None
    """The least share that is to be used, and the greatest that may be throttled; None where nothing is promised."""

    @property
    def holds(self) -> bool | None:
        """Tell whether both bars hold; None where there are none."""
        if self.bars is None:
            return None
        return self.result.used >= self.bars[0] and self.result.throttled_share < self.bars[1]


def render(rows: Sequence[Row], *, head: bool = True) -> str:
    """Render rows as Markdown."""
    return "\n".join([*([_HEAD] if head else []), *map(_line, rows)])


def _line(row: Row) -> str:
    result, case = row.result, row.case
    bars = (
        "" if row.bars is None else f"≥ {row.bars[0]:.0%} and < {row.bars[1]:.1%} {'hold' if row.holds else 'BROKEN'}"
    )
    outsiders = f"{result.outside_throttled} of {result.outside}" if result.outside else ""
    figures = (
        case.name,
        str(case.processes),
        row.limiter,
        f"{result.used:.1%}",
        f"{result.throttled_share:.2%}",
        outsiders,
        f"{result.table_calls / case.seconds:.1f}",
        bars,
    )
    return f"| {' | '.join(figures)} |"
