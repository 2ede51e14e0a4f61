"""The pictures of `docs/performance.md`, from the record alone. The same figures draw the same file, to the byte."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
MARKS = {1: "o", 2: "s", 4: "^"}


def draw(folder: Path, results: Sequence[Result]) -> None:
    """Draw every picture."""
    style = mpl.rc_context(
        {
            # Text as text: half the size, and it can be searched.
            "svg.fonttype": "none",
            # Names of shapes are else drawn by chance.
            "svg.hashsalt": "prelaunch",
            "axes.grid": True,
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
        for processes, mark in MARKS.items():
            _dot(
                axes,
                results,
                f"-{processes}: time",
                "seconds",
                color="tab:blue",
                mark=mark,
                label=f"prelaunch, {processes} processes",
            )
        _dot(
            axes, results, "-4: time", "unpaced", color="tab:green", mark="x", label="prelaunch, rates off, 4 processes"
        )
        _dot(
            axes,
            results,
            "neighbour-300: time",
            "seconds",
            color="tab:purple",
            mark="D",
            label="prelaunch beside a neighbour",
        )
        for mode, mark in (("standard", "v"), ("adaptive", "P")):
            failed = sum(int(r.figures["failed"]) for r in results if r.name == f"script-300-{mode}: time")
            label = f"a script, {mode}: {failed} failed"
            _dot(axes, results, f"script-300-{mode}: time", "seconds", color="tab:orange", mark=mark, label=label)
        axes.set_xlabel("changed source servers")
        axes.set_ylabel("seconds until all are settled")
        axes.legend(fontsize="small")


def _dot(axes: Axes, results: Sequence[Result], end: str, figure: str, *, color: str, mark: str, label: str) -> None:
    points = [
        (result.figures["servers"], result.figures[figure])
        for result in results
        if result.name.endswith(end) and figure in result.figures
    ]
    if points:
        axes.plot(*zip(*points, strict=True), mark, color=color, label=label, fillstyle="none")


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
