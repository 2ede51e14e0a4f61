"""The servers' time, from answers that say it in whole seconds and take their time."""

import random
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from workers.aws.pacing.server_clock import KEPT, SECOND, ServerClock

EPOCH = 1_800_000_000 * SECOND


class Machine:
    """A clock that is wrong, and servers whose clock is right."""

    def __init__(self, ahead: float) -> None:
        self.at = EPOCH
        self.ahead = round(ahead * SECOND)
        self.clock = ServerClock(self.wall)

    def wall(self) -> int:
        return self.at + self.ahead

    def ask(self, there: float, back: float) -> None:
        sent_at = self.wall()
        self.at += round(there * SECOND)
        date = formatdate(self.at // SECOND, usegmt=True)
        self.at += round(back * SECOND)
        self.clock.see(date, sent_at)

    @property
    def error(self) -> float:
        return abs(self.clock.now() - self.at) / SECOND


@given(ahead=st.floats(-7200, 7200), seed=st.integers(0, 1000))
def test_one_answer_tells_the_time_to_the_second(ahead: float, seed: int) -> None:
    """However wrong this machine's clock is, and however long the answer takes; many answers tell it better."""
    machine, dice = Machine(ahead), random.Random(seed)
    machine.ask(0.3, 0.3)
    assert machine.error <= 0.9
    for _ in range(60):
        machine.at += round(dice.uniform(0, 2) * SECOND)
        machine.ask(dice.uniform(0.001, 0.02), dice.uniform(0.001, 0.02))
    assert machine.error <= 0.2


def test_until_a_server_has_answered_our_own_clock_counts() -> None:
    """There is nothing better."""
    machine = Machine(3.0)
    assert machine.clock.now() == machine.wall()


def test_a_clock_that_is_set_is_followed() -> None:
    """What was learnt before contradicts the next answer, and is forgotten."""
    machine = Machine(0)
    for _ in range(20):
        machine.ask(0.01, 0.01)
    machine.ahead = 90 * SECOND
    machine.ask(0.01, 0.01)
    assert machine.error <= 0.6


def test_a_clock_that_drifts_is_followed() -> None:
    """A second in an hour is not noticed by any one answer: old ones stop counting."""
    machine = Machine(0)
    for step in range(3600):
        machine.ahead = step * SECOND // 3600
        machine.at += 10 * SECOND
        machine.ask(0.05, 0.05)
    assert KEPT < 3600 * 10 * SECOND
    assert machine.error <= 0.2
