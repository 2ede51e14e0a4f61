"""What a look at an unsettled run leads to. Pure: a run is never sent again while it gets on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from workers.core.periods import RunPeriods
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
    """Written before the act: whoever acts may die of it, and is followed soon."""
    after: Look
    """Written once it is done."""


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
    deadline = _prolong(head, now, periods)
    act = _choose(head, now, deadline, periods.stall_after)
    stalls = {Act.WATCH: 0, Act.REVIVE: head.stalls + 1}.get(act, head.stalls)
    wait = periods.stall_after * (2 ** min(stalls, MOST_DOUBLINGS) if act is Act.REVIVE else 1)
    since = head.done_at if act is Act.WATCH and head.done_at is not None else now
    soon, later = now + periods.send_after, max(since + wait, now)
    if act is not Act.GIVE_UP:
        soon, later = min(soon, deadline), min(later, deadline)
    done = Look(later, deadline, stalls)
    return Decision(act, done if act is Act.WATCH else Look(soon, deadline, head.stalls), done)


def _prolong(head: RunHead, now: datetime, periods: RunPeriods) -> datetime:
    """Move the deadline by what nobody could use, and on while source servers settle; six hours at most."""
    latest = max(head.deadline, head.counts_from + periods.longest)
    late = now - head.resend_after
    outage = late if late > periods.late_after else timedelta(0)
    deadline = min(head.deadline + outage, latest)
    if head.done_at is not None:
        # What stops settling is sent again before its time is over, whenever the last outcome was.
        deadline = max(deadline, min(head.done_at + periods.base_deadline, latest))
    if now >= deadline and head.sent_at is None:
        deadline = min(now + periods.base_deadline, latest)
    return deadline


def _choose(head: RunHead, now: datetime, deadline: datetime, stall_after: timedelta) -> Act:
    if now >= deadline:
        return Act.GIVE_UP
    if head.sent_at is None:
        return Act.SEND
    is_recent = head.done_at is None or now < head.done_at + stall_after
    return Act.WATCH if head.done > head.done_seen and is_recent else Act.REVIVE
