"""Bars, for a terminal that can draw them; for all else lines."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from producer.cli.answer import clean, complain, read_or_not
from producer.cli.reapply.board import (
    Asking,
    Board,
    Lines,
    Standing,
    Step,
    Total,
    count,
    describe_ending,
    describe_settled,
    describe_total,
    describe_unanswered,
)
from producer.cli.reapply.outcome import GroupOutcome
from producer.cli.reapply.pace import Pace
from workers.core.errors import PrelaunchError

BAR_WIDTH = 24
OTHER_LINES = 3
"""Of a terminal: the total, how many groups more there are, and the one where the cursor stands."""


class Bars:
    """
    Bars, for a terminal: one a group as far as it is high enough, and one for all.

    Parameters:
        live: Where they are drawn.
        clock: Seconds that only grow.
        find_height: Tells how many lines the terminal has by now.
    """

    def __init__(self, live: Live, clock: Callable[[], float], find_height: Callable[[], int]) -> None:
        self._live = live
        self._pace = Pace(clock)
        self._find_height = find_height
        self._step = Step(clock)
        self._asking = Asking()
        self._going: Sequence[Standing] = ()
        self._total: Total | None = None

    def show_step(self, step: str, done: int, of: int) -> None:
        """Draw it."""
        self._step.note(done)
        self._update(_draw_all(step, done, of, self._step.describe(done, of)) if of else Text(f"{step} …"))

    def show_asked(self, asked: int, groups: int, runs: int) -> None:  # noqa: ARG002  # each run has its bar
        """Draw it above what is known of the runs."""
        self._asking = Asking(asked, groups)
        self._redraw()

    def show(self, going: Sequence[Standing], total: Total) -> None:
        """Draw it, those first that have begun."""
        self._pace.note(total.gained)
        self._going, self._total = going, total
        self._redraw()

    def _redraw(self) -> None:
        drawn: list[RenderableType] = []
        if self._total is None or not self._asking.is_over:
            drawn.append(_draw_all("", self._asking.asked, self._asking.groups, self._asking.describe()))
        if self._total is not None:
            fit = self._find_height() - OTHER_LINES - len(drawn)
            drawn += self._draw_runs(self._going, self._total, max(1, fit))
        self._update(Stack(*drawn))

    def _update(self, drawn: RenderableType) -> None:
        with read_or_not():
            self._live.update(drawn, refresh=True)

    def _draw_runs(self, going: Sequence[Standing], total: Total, fit: int) -> Iterator[RenderableType]:
        first = sorted(going, key=lambda each: (each.waiting_for is None, each.done == 0, each.name))[:fit]
        rows = [(clean(each.name), each.done, each.listed, _describe(each)) for each in first]
        if rows:
            yield _draw(rows)
        if len(going) > len(first):
            yield Text(f"and {count(len(going) - len(first), 'group')} more", style="dim")
        told = describe_total(self._pace, total, self._asking.find_to_come(total.listed))
        yield _draw_all("all", total.done, total.listed, told)

    def tell_settled(self, outcome: GroupOutcome) -> None:
        """Print what failed above the bars; what is well is seen by them."""
        if outcome.has_failed:
            self._print(describe_settled(outcome))

    def tell_unanswered(self, error: PrelaunchError) -> None:
        """Print it above the bars, which stand still meanwhile."""
        self._print(describe_unanswered(error))

    def tell_ending(self, groups: int) -> None:
        """Print it above the bars."""
        self._print(describe_ending(groups))

    def _print(self, line: str) -> None:
        with read_or_not():
            self._live.console.print(Text(line))


@contextmanager
def open_board(clock: Callable[[], float] = time.monotonic) -> Iterator[Board]:
    """Open the board that fits to standard error."""
    console = Console(stderr=True)
    # Asked of the stream too: FORCE_COLOR makes rich take a pipe for a terminal. And rich draws nothing where it cannot
    # move the cursor.
    if not sys.stderr.isatty() or not console.is_terminal or console.is_dumb_terminal:
        yield Lines(clock, complain)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Bars(live, clock, lambda: console.height)


def _describe(standing: Standing) -> str:
    waits = f" waits for {clean(standing.waiting_for)}" if standing.waiting_for else ""
    return f"{standing.done}/{standing.listed}{waits}"


def _draw(rows: Sequence[tuple[str, int, int, str]]) -> Table:
    """Draw groups; where the terminal is narrow names, bars and what is said of them give way alike."""
    return _fill(Table.grid("", Column(max_width=BAR_WIDTH), "", padding=(0, 1)), rows)


def _draw_all(name: str, done: int, total: int, told: str) -> Table:
    """Draw what is about all; where the terminal is narrow the bar gives way to the numbers, which say more."""
    return _fill(
        Table.grid("", Column(max_width=BAR_WIDTH), Column(no_wrap=True), padding=(0, 1)), [(name, done, total, told)]
    )


def _fill(table: Table, rows: Sequence[tuple[str, int, int, str]]) -> Table:
    for name, done, total, told in rows:
        bar = ProgressBar(total=max(1, total), completed=done if total else 1)
        table.add_row(Text(name, overflow="ellipsis", no_wrap=True), bar, Text(told, overflow="ellipsis", no_wrap=True))
    return table
