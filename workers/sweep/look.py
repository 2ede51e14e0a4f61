"""What a look at an unsettled run leads to. Pure: a run is never sent again while it gets on."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from workers.core.settings import RunPeriods
from workers.core.store.records import Look, RunHead

MOST_DOUBLINGS = 6
"""Past that the interval is longer than a run may take."""


class Act(Enum):
    """What whoever looks after a run does for it."""

    SEND = auto()
    """Nothing says that its jobs were sent: send them."""
    REVIVE = auto()
    """It stands still: send the jobs of what is unsettled once more."""
    WATCH = auto()
    """It gets on: leave it alone."""
    GIVE_UP = auto()
    """Its time is over: what is unsettled has failed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done now, and what is left on the head of the run."""

    act: Act
    look: Look


def decide(head: RunHead, now: datetime, periods: RunPeriods) -> Decision:
    """
    Decide what an unsettled run needs.

    Parameters:
        head: Its head as it is now.
        now: The present.
        periods: The installation's.

    Returns:
        The act, and when to look again: never later than the deadline, unless that is over.
    """
    gets_on = head.done > head.done_seen
    latest = head.opened_at + periods.longest
    if now >= head.deadline:
        if not gets_on or now >= latest:
            # Looked at soon again: whoever gives up may die of it.
            return Decision(Act.GIVE_UP, Look(now + periods.send_after, head.deadline, head.stalls))
        deadline = min(now + periods.base_deadline, latest)
        return Decision(Act.WATCH, Look(min(now + periods.stall_after, deadline), deadline, 0))
    if head.sent_at is None:
        return Decision(Act.SEND, Look(min(now + periods.send_after, head.deadline), head.deadline, head.stalls))
    if gets_on:
        return Decision(Act.WATCH, Look(min(now + periods.stall_after, head.deadline), head.deadline, 0))
    stalls = head.stalls + 1
    next_at = now + periods.stall_after * 2 ** min(stalls, MOST_DOUBLINGS)
    return Decision(Act.REVIVE, Look(min(next_at, head.deadline), head.deadline, stalls))
