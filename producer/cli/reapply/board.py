"""How far it is: bars on a terminal, lines in a pipe. On standard error, whatever standard output is used for."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from producer.cli.answer import clean, complain, silence
from producer.cli.reapply.outcome import NOT_CONFIGURED, GroupOutcome
from producer.cli.reapply.pace import Pace, say_duration
from workers.core.status import Status

LINE_EVERY_SECONDS = 30.0
"""Between two lines about the whole in a pipe: a log is read later, by people."""
BAR_WIDTH = 24
OTHER_LINES = 3
"""Of a terminal: the total, how many groups more there are, and the one where the cursor stands."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the run of a group is."""

    name: str
    done: int
    listed: int
    waiting_for: str | None


@dataclass(frozen=True, slots=True)
class Total:
    """How far all runs are that are followed, those that are over too."""

    done: int
    listed: int
    before: int = 0
    """How many of them were done before anybody asked for them here: they say nothing of the pace."""

    @property
    def gained(self) -> int:
        """Tell how many were done since."""
        return self.done - self.before


@dataclass(slots=True)
class Asking:
    """Of how many groups the runs are asked for."""

    asked: int = 0
    groups: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether it is all of them."""
        return self.asked >= self.groups

    def find_to_come(self, listed: int) -> float:
        """Tell about how many source servers the other groups bring, by those of the groups that were asked for."""
        return 0.0 if self.is_over or not self.asked else listed / self.asked * (self.groups - self.asked)

    def describe(self) -> str:
        """Say it."""
        return f"{self.asked} of {count(self.groups, 'group')} asked for"


class Step:
    """
    How far a step is that comes before the runs, or instead of them.

    Parameters:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pace = Pace(clock)

    def note(self, done: int) -> None:
        """Note of how many groups it is done; of none: it begins."""
        if not done:
            self._pace = Pace(self._clock)
        self._pace.note(done)

    def describe(self, done: int, of: int) -> str:
        """Say how far it is, and how long the rest takes."""
        return f"{done} of {count(of, 'group')}, {say_duration(self._pace.find_left(of - done))} left"


class Board(Protocol):
    """Where it is shown how far it is."""

    def show_step(self, step: str, done: int, of: int) -> None:
        """Show a step before the runs or instead of them, and of how many groups it is done; of 0: not known yet."""

    def show_asked(self, asked: int, groups: int, runs: int) -> None:
        """Show of how many groups it is known what comes of them, and how many have a run."""

    def show(self, going: Sequence[Standing], total: Total) -> None:
        """Show how far the runs are that are not over, and how many source servers of all are done, of how many."""

    def tell_settled(self, outcome: GroupOutcome) -> None:
        """Tell what became of a group."""


class Lines:
    """
    Lines, for a pipe: one a group when it is over, and now and then one about the whole.

    Parameters:
        clock: Seconds that only grow.
        say: Writes a line.
    """

    def __init__(self, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._say = say
        self._clock = clock
        self._pace = Pace(clock)
        self._said_at = clock()
        self._step = Step(clock)
        self._asking = Asking()

    def show_step(self, step: str, done: int, of: int) -> None:
        """Say it when it begins, and then if nothing was said for a while."""
        self._step.note(done)
        if not of:
            self._said_at = self._clock()
            self._say(f"{step}.")
        elif not done:
            self._said_at = self._clock()
            self._say(f"{count(of, 'group')}: {step}.")
        elif done < of and self._clock() >= self._said_at + LINE_EVERY_SECONDS:
            self._said_at = self._clock()
            self._say(f"{step}: {self._step.describe(done, of)}.")

    def show_asked(self, asked: int, groups: int, runs: int) -> None:
        """Say it once, when all are asked and there is anything to wait for."""
        self._asking = Asking(asked, groups)
        if runs and asked == groups:
            self._say(f"{count(groups, 'group')} asked for: {count(runs, 'run')}.")

    def show(self, going: Sequence[Standing], total: Total) -> None:
        """Say it if nothing was said for a while."""
        self._pace.note(total.gained)
        if going and self._clock() >= self._said_at + LINE_EVERY_SECONDS:
            self._said_at = self._clock()
            waits = {each.waiting_for: each.name for each in reversed(going) if each.waiting_for}
            told = "".join(f"; {clean(name)} waits for {clean(wait)}" for wait, name in waits.items())
            asked = "" if self._asking.is_over else f", {self._asking.describe()}"
            line = describe_total(self._pace, total, self._asking.find_to_come(total.listed))
            self._say(f"{line}{asked}, {count(len(going), 'group')} to go{told}.")

    def tell_settled(self, outcome: GroupOutcome) -> None:
        """Say it."""
        self._said_at = self._clock()
        self._say(describe_settled(outcome))


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
        with _read_or_not():
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
            with _read_or_not():
                self._live.console.print(Text(describe_settled(outcome)))


@contextmanager
def _read_or_not() -> Iterator[None]:
    """Go on where the terminal is gone: what is on its way to our tables must not be broken off for that."""
    try:
        yield
    except OSError:
        silence(sys.stderr)


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


def describe_total(pace: Pace, total: Total, to_come: float) -> str:
    """Say how many source servers are done, how fast that goes and how long the rest takes, with those to come."""
    left = say_duration(pace.find_left(total.listed - total.done + to_come))
    return f"{total.done} of {count(total.listed, 'source server')}, {pace.rate:.1f}/s, {left} left"


def describe_settled(outcome: GroupOutcome) -> str:
    """Say in one line what became of a group."""
    named = f"{clean(outcome.group.name)} ({outcome.group.group_id})"
    if outcome.code:
        return f"{named} failed: {outcome.code}: {clean(outcome.message)}"
    if outcome.status == NOT_CONFIGURED:
        return f"{named}: no launch config, nothing to apply."
    counts = ", ".join(f"{outcome.count(status)} {status}" for status in (Status.READY, Status.FAILED))
    return f"{named} is {outcome.status.upper()}: {counts}."


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


def count(number: int, thing: str) -> str:
    """Say how many there are."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
