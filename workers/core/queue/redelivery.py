"""
Decide what becomes of a delivered job: acknowledged, handed back, or dead-lettered. No I/O.

An actor raises `Redeliver` or `DeadLetter`; returning acknowledges; anything else it raises is a bug and
follows `plan_retry`. A job must never be acknowledged because nobody decided.
"""

from dataclasses import dataclass
from datetime import timedelta

MAX_DELAY = timedelta(minutes=15)
"""The longest that a message is hidden on purpose: the longest delay that SQS also knows for sending."""

MAX_FAILURES = 5
"""Failures of one job by a bug, in one process, before it is dead-lettered."""

_FIRST_BACKOFF = timedelta(seconds=1)
_BACKOFF_FACTOR = 4.0
_MOST_STEPS = 5  # four to the fifth is past 15 minutes; far beyond it the power overflows


class Redeliver(Exception):
    """
    Raised by an actor that wants the same message again, after a delay. No failure is counted.

    Parameters:
        delay: How long the message stays hidden, cut to 0 ... 15 minutes; None leaves it to `plan_backoff`.
        reason: Why, for the log.
    """

    def __init__(self, delay: timedelta | None, reason: str) -> None:
        self.delay = None if delay is None else min(max(delay, timedelta(0)), MAX_DELAY)
        self.reason = reason
        super().__init__(reason)


class DeadLetter(Exception):
    """Raised by an actor that can never do this job: it goes to the dead-letter queue with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The job is done: delete the message."""


@dataclass(frozen=True, slots=True)
class HandBack:
    """The message becomes visible again after the delay, for this worker or another."""

    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bury:
    """The body goes to the dead-letter queue with the reason, then the message is deleted."""

    reason: str


Outcome = Acknowledge | HandBack | Bury


def plan_backoff(times: int, *, jitter: float) -> timedelta:
    """
    Plan how long a message stays hidden that comes again for the same reason.

    The ceiling grows from 1 second by a factor of four to 15 minutes. Full jitter above one second: jobs that
    were turned away together do not come back together.

    Parameters:
        times: How often it came, this time included; from 1.
        jitter: A random number from 0 to 1.

    Returns:
        The delay, 1 second to 15 minutes.
    """
    ceiling = min(MAX_DELAY, _FIRST_BACKOFF * _BACKOFF_FACTOR ** min(times - 1, _MOST_STEPS))
    return _FIRST_BACKOFF + (ceiling - _FIRST_BACKOFF) * jitter


def plan_retry(failures: int, *, jitter: float, max_failures: int = MAX_FAILURES) -> timedelta | None:
    """
    Plan when a job that failed by a bug is tried again.

    Parameters:
        failures: How often the job has failed so, this time included; from 1.
        jitter: A random number from 0 to 1.
        max_failures: The failure that is the last one.

    Returns:
        The delay, or None: no further try, dead-letter it.
    """
    return None if failures >= max_failures else plan_backoff(failures, jitter=jitter)


def plan_unknown(actor_name: str, waited: timedelta, *, grace: timedelta) -> HandBack | Bury:
    """
    Plan what becomes of a job whose actor this worker does not know.

    During a rolling deploy an old worker receives jobs for actors that only the new ones have: it hands them
    back until the grace is over.

    Parameters:
        actor_name: The actor that the job names.
        waited: Time since the message was first received by any worker.
        grace: How long a deploy may take.

    Returns:
        A hand-back that ends within the grace, or the end.
    """
    if waited >= grace:
        return Bury(f"no worker knew its actor {actor_name!r} for {grace.total_seconds():g} s")
    return HandBack(min(grace / 30, grace - waited))
