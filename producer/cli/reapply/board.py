"""How far it is, in words, and lines of them for a pipe. On standard error, whatever standard output is used for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from producer.cli.answer import clean
from producer.cli.reapply.outcome import NOT_CONFIGURED, GroupOutcome
from producer.cli.reapply.pace import Pace, say_duration
from workers.core.errors import PrelaunchError
from workers.core.status import Status

LINE_EVERY_SECONDS = 30.0
"""Between two lines about the whole in a pipe: a log is read later, by people."""


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

    def tell_unanswered(self, error: PrelaunchError) -> None:
        """Tell that nobody can say just now how far the runs are."""

    def tell_ending(self, groups: int) -> None:
        """Tell that the end was asked for, and how many groups are still being asked for."""


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
        """Say it now and then, however much is said of single groups meanwhile."""
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
        self._say(describe_settled(outcome))

    def tell_unanswered(self, error: PrelaunchError) -> None:
        """Say it."""
        self._say(describe_unanswered(error))

    def tell_ending(self, groups: int) -> None:
        """Say it."""
        self._say(describe_ending(groups))


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


def describe_unanswered(error: PrelaunchError) -> str:
    """Say in one line that an outage is waited out."""
    return f"the runs go on, and are looked at again: {clean(error.message)}"


def describe_ending(groups: int) -> str:
    """Say in one line why the command does not end at once, and how it does."""
    return f"ending: {count(groups, 'group')} still being asked for; once more ends at once."


def count(number: int, thing: str) -> str:
    """Say how many there are."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
