"""
Figures with their bars, and the published record of them. Pure but for the one file.

A figure without what it compares to says nothing, so none can be made without. Every bar is the most that is allowed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """One figure."""

    name: str
    """The line's name, a colon, and what of it."""
    value: float
    unit: str
    compared_to: str
    """In words, with the figures of the same run."""
    bar: float | None = None
    """The most that it may be; None for what only stands there to be compared to."""
    below: bool = False
    """Whether it has to stay below the bar: to reach it is too much already."""
    bottleneck: str = ""
    """What the run waited for, and how that is known."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What the plots are drawn from."""
    measured_at: str = ""

    @property
    def holds(self) -> bool | None:
        """Tell whether the bar holds; None without one."""
        if self.bar is None:
            return None
        return self.value < self.bar if self.below else self.value <= self.bar

    @property
    def line(self) -> str:
        """Name the line that it belongs to."""
        return self.name.partition(":")[0]

    def to_json(self) -> dict[str, object]:
        """Render for the record."""
        named = ("name", "value", "unit", "bar", "holds", "compared_to")
        members = {**asdict(self), "holds": self.holds, "value": round(self.value, 4), "bar": _round(self.bar)}
        members["figures"] = {name: round(value, 4) for name, value in self.figures.items()}
        return {name: members[name] for name in (*named, *(rest for rest in members if rest not in named))}


def parse(members: Mapping[str, object]) -> Result:
    """Read a figure of the record."""
    return Result(**{name: value for name, value in members.items() if name != "holds"})  # type: ignore[arg-type]  # as written above


def read(path: Path) -> list[Result]:
    """Read the record; an empty one if there is none yet."""
    return [parse(members) for members in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, results: Iterable[Result]) -> None:
    """Write the record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([result.to_json() for result in results], indent=2, ensure_ascii=False) + "\n")


def merge(before: Sequence[Result], new: Sequence[Result], lines: Sequence[str]) -> list[Result]:
    """
    Put new figures in the place of those of the same lines.

    Parameters:
        before: The record.
        new: What was measured now, whole lines.
        lines: All lines that there are, in order.

    Returns:
        The new record, in the order of the lines; what belongs to no line any more is gone.
    """
    measured = {result.line for result in new}
    kept = [result for result in before if result.line not in measured]
    return [result for line in lines for result in (*kept, *new) if result.line == line]


def find_broken(results: Iterable[Result]) -> list[Result]:
    """Find the figures whose bar does not hold."""
    return [result for result in results if result.holds is False]


def show_value(result: Result) -> str:
    """Show a value with its unit."""
    return f"{_show(result.value)} {result.unit}"


def show_bar(result: Result) -> str:
    """Show the bar, as people write it."""
    if result.bar is None:
        return ""
    return f"{'<' if result.below else '≤'} {_show(result.bar)} {result.unit}"


def show_holds(result: Result) -> str:
    """Say whether it holds."""
    return {None: "", True: "holds", False: "does not hold"}[result.holds]


def render_table(results: Iterable[Result]) -> str:
    """Make the table of the page, in Markdown."""
    lines = ["| What | Measured | Bar | | Compared to |", "|---|---:|---:|---|---|"]
    for result in results:
        holds = f"**{show_holds(result)}**" if result.holds is False else show_holds(result)
        cells = (result.name, show_value(result), show_bar(result), holds, result.compared_to)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def render_bottlenecks(results: Iterable[Result]) -> str:
    """Make the list of what each line waited for, in Markdown."""
    return "\n".join(f"- {result.name}: {result.bottleneck}." for result in results if result.bottleneck)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _show(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
