"""
Does anybody consume a queue? Pure.

A message in flight is no proof: whoever took it may have died since, or handed it back for minutes. Proof is a receive:
one that CloudWatch counted of late, or one between two looks.
"""

from dataclasses import dataclass
from datetime import timedelta

from workers.core.contract import REQUESTS
from workers.core.doctor.finding import Finding, not_known, ok, problem, unanswered
from workers.core.doctor.ports import QueueSeen
from workers.core.errors import PrelaunchError

SETTLING = timedelta(minutes=1)
"""So old may a message be that nobody has received: it was sent just now."""
REACH = timedelta(minutes=5)
"""So far back receives are counted; CloudWatch has SQS's figures a minute or two late."""
LOOK_AGAIN = timedelta(seconds=3)
"""A worker that polls has a message in hand long before; one that is sent just now is not overdue."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A queue at two looks, one after the other; both are the same where one was enough."""

    name: str
    first: QueueSeen
    second: QueueSeen
    receives: int | PrelaunchError
    """How often somebody asked for its messages of late, in vain or not; or what CloudWatch answered instead."""
    oldest: timedelta | None = None
    """The age of the oldest message; None where nothing waits, or nothing says it."""

    @property
    def is_taken(self) -> bool:
        """Tell whether somebody received between the looks; what only comes back makes more wait."""
        return self.second.in_flight > self.first.in_flight or self.second.waiting < self.first.waiting


def needs_second_look(seen: QueueSeen, receives: int | PrelaunchError) -> bool:
    """Tell whether a second look can tell more: who receives has something in hand where something waits."""
    is_received = isinstance(receives, int) and receives > 0
    return bool(seen.waiting and not seen.in_flight) or (bool(seen.waiting or seen.in_flight) and not is_received)


def check_consumers(backlog: Backlog) -> Finding:
    """
    Tell whether anybody consumes a queue.

    Parameters:
        backlog: The queue.

    Returns:
        The finding; not known where nothing was received that could be seen, and nothing waits for long.
    """
    seen, receives, name = backlog.second, backlog.receives, backlog.name
    counts = f"{_say_waiting(backlog)}; {seen.in_flight} in flight"
    is_just_sent = backlog.oldest is not None and backlog.oldest < SETTLING
    remedy = f"Start `prelaunch {_name_process(name)}`, or look into the log of those that should run."
    if seen.waiting and not seen.in_flight and not is_just_sent and not backlog.is_taken:
        return problem("consumers", name, f"{_say_waiting(backlog)}, and nobody has one in hand", remedy)
    if isinstance(receives, int) and receives > 0:
        asked = f"asked for messages {receives} times within the last {_say(REACH)}, by CloudWatch"
        return ok("consumers", name, f"{counts}; {asked}")
    if backlog.is_taken:
        return ok("consumers", name, f"{counts}; somebody received between two looks, {_say(LOOK_AGAIN)} apart")
    if isinstance(receives, PrelaunchError):
        return unanswered("consumers", name, receives, before=f"{counts}; who receives is CloudWatch's to tell: ")
    unseen = f"CloudWatch knows of no receive within the last {_say(REACH)}"
    if seen.waiting and backlog.oldest is not None and backlog.oldest >= REACH:
        return problem("consumers", name, f"{counts}, left perhaps by a process that died: {unseen}", remedy)
    return not_known("consumers", name, f"{counts}; {unseen}, and what is in flight may be left by one that died")


def _say_waiting(backlog: Backlog) -> str:
    if not backlog.second.waiting:
        return "nothing waits"
    age = (
        f"the oldest for {_say(backlog.oldest)}"
        if backlog.oldest is not None
        else "for how long CloudWatch does not say"
    )
    return f"{backlog.second.waiting} wait, {age}"


def _name_process(queue: str) -> str:
    return "api" if queue.endswith(f"-{REQUESTS}") else "worker"


def _say(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s"
