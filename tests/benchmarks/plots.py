"""The pictures of `docs/performance.md`, from the record alone. The same figures draw the same file, to the byte."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.floor import MINIMAL_PLAN, find_floor
from tests.benchmarks.results import Result

UNDATED: dict[str, Any] = {"Date": None, "Creator": None}
SIZE, WIDE = (8.0, 4.5), (9.0, 4.5)
MOST_SERVERS = 1050
STEP = 10


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind."""

    names: str
    """The pattern of the names of their figures."""
    figure: str
    color: str
    mark: str
    label: str


SERIES = (
    Series("apply-*-1: time", "seconds", "tab:blue", "o", "prelaunch, 1 worker process"),
    Series("apply-*-2: time", "seconds", "tab:blue", "s", "prelaunch, 2 worker processes"),
    Series("apply-*-4: time", "seconds", "tab:blue", "^", "prelaunch, 4 worker processes"),
    Series("apply-*-4: time", "unpaced", "tab:green", "x", "prelaunch, 4 worker processes, rates off"),
    Series("neighbour-*-1: time", "seconds", "tab:purple", "D", "prelaunch beside a neighbour, 1 worker process"),
    Series("neighbour-*-4: time", "seconds", "tab:purple", "^", "prelaunch beside a neighbour, 4 worker processes"),
)


def draw(folder: Path, results: Sequence[Result]) -> None:
    """Draw every picture."""
    style = mpl.rc_context(
        {
            # Text as text: half the size, and it can be searched.
            "svg.fonttype": "none",
            # Names of shapes are else drawn by chance.
            "svg.hashsalt": "prelaunch",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.3,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    with style:
        _draw_time(folder / "time.svg", results)
        _draw_throttled(folder / "throttled.svg", results)
        _draw_calls(folder / "calls.svg", results)


def _draw_time(path: Path, results: Sequence[Result]) -> None:
    with _picture(path, SIZE) as axes:
        counts = list(range(0, MOST_SERVERS, STEP))
        axes.plot(counts, [find_floor(count) for count in counts], color="black", label="the quota's floor")
        serial = [result.figures for result in results if "serial" in result.figures]
        if serial:
            axes.plot(
                [0, *(each["servers"] for each in serial)],
                [0, *(each["serial"] for each in serial)],
                color="tab:red",
                linestyle=":",
                label="the serial way (computed from 100)",
            )
        for series in (*SERIES, *_name_scripts(results)):
            _dot(axes, results, series)
        axes.set_xlabel("changed source servers")
        axes.set_ylabel("seconds until all are settled")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")


def _name_scripts(results: Sequence[Result]) -> Iterator[Series]:
    """Say of each script how many source servers it did not do: else its time looks good."""
    for result in results:
        mode = result.line.removeprefix("script-300-")
        if "failed" in result.figures:
            label = f"a script, {mode} retries: {result.figures['failed']:.0f} failed"
            yield Series(result.name, "seconds", "tab:orange", "v" if mode == "standard" else "P", label)


def _dot(axes: Axes, results: Sequence[Result], series: Series) -> None:
    points = [
        (result.figures["servers"], result.figures[series.figure])
        for result in results
        if fnmatchcase(result.name, series.names) and series.figure in result.figures
    ]
    if points:
        axes.plot(*zip(*points, strict=True), series.mark, color=series.color, label=series.label, fillstyle="none")


def _draw_throttled(path: Path, results: Sequence[Result]) -> None:
    shown = [result for result in results if result.name.endswith(": throttled")]
    with _picture(path, WIDE) as axes:
        bars = axes.barh([result.line for result in shown], [result.value for result in shown], color="tab:red")
        axes.bar_label(bars, fmt="%.3g %%", padding=3)
        axes.invert_yaxis()
        axes.set_xlabel("calls that AWS throttled, per cent")


def _draw_calls(path: Path, results: Sequence[Result]) -> None:
    shown = [result for result in results if set(MINIMAL_PLAN) <= set(result.figures)]
    with _picture(path, WIDE) as axes:
        lines, left = [result.line for result in shown], [0.0] * len(shown)
        for name in MINIMAL_PLAN:
            each = [result.figures[name] / result.figures["servers"] for result in shown]
            axes.barh(lines, each, left=left, label=name.partition(".")[2])
            left = [before + more for before, more in zip(left, each, strict=True)]
        least = sum(MINIMAL_PLAN.values())
        axes.axvline(least, color="black", linestyle="--", label=f"the minimal plan: {least}")
        axes.invert_yaxis()
        axes.set_xlabel("calls a changed source server")
        axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


@contextmanager
def _picture(path: Path, size: tuple[float, float]) -> Iterator[Axes]:
    figure = Figure(figsize=size, layout="constrained")
    yield figure.add_subplot()
    figure.savefig(path, format="svg", metadata=UNDATED)
