"""
What a pending run, or a wave that is not started, waits for, in words for the person who waits too.

A note only: nothing is decided by it, and it is believed for a short while, since nobody takes it back.
"""

from datetime import datetime, timedelta

from workers.core.clock import say_time
from workers.core.errors import JobInProgress, LeaseHeld, OutOfTurns, QuotaExceeded, RetryableError, Throttled
from workers.core.status import Status
from workers.core.store.records import GroupStatus, RunHead
from workers.core.store.wave_records import Wave

BELIEVED = timedelta(minutes=2)
SETTLING = "settling: every source server has its outcome, and the group's status is about to be written"
NOTED_EVERY = timedelta(seconds=10)
"""One note of a run in this time, from each worker process: a fleet that waits must not write for it."""


def describe_wait(error: RetryableError, source_server_id: str) -> str:
    """
    Say what a source server waits for.

    Parameters:
        error: Why its job comes again later.
        source_server_id: The source server.

    Returns:
        A phrase that completes "waiting for".
    """
    match error:
        case Throttled():
            return f"tokens: AWS throttles {error.operation or 'the account'}"
        case OutOfTurns():
            return f"tokens: {error.operation or 'AWS'} is called as often as the account may"
        case LeaseHeld():
            return f"lease: another worker is at work on {source_server_id}"
        case JobInProgress() | QuotaExceeded():
            return f"job: DRS is busy with {source_server_id} ({error.message})"
    return f"{error.operation or 'AWS'}: {error.message}"


def read_wait(status: GroupStatus, head: RunHead, now: datetime) -> str | None:
    """
    Tell what a group's run waits for, as far as anyone noted it.

    Parameters:
        status: The group's, its counts as they are now.
        head: The head of its run, as it is now.
        now: The present.

    Returns:
        A phrase that completes "waiting for"; None where the run is settled, or was sent or recorded an outcome so
        lately that it is simply at work.
    """
    if status.status is not Status.PENDING:
        return None
    if status.counts.pending == 0:
        # What a source server waited for before its outcome is over, however lately it was noted.
        return SETTLING
    if status.is_launching(now):
        return f"hold: {status.held_by} is launching this group"
    if head.sent_at is None:
        return "jobs: they are not sent yet"
    if head.waiting_for is not None and head.waiting_at is not None and now - head.waiting_at <= BELIEVED:
        return head.waiting_for
    heard_at = max(head.sent_at, head.done_at or head.sent_at)
    return None if now - heard_at <= BELIEVED else _describe_silence("no outcome", heard_at)


def read_wave_wait(wave: Wave, now: datetime) -> str | None:
    """
    Tell what a wave waits for before all of it is started.

    Parameters:
        wave: The wave as it is now.
        now: The present.

    Returns:
        A phrase that completes "waiting for"; None where it is started, or was gone on with so lately that it is simply
        at work.
    """
    if not wave.status.is_begun and now - wave.look_at > BELIEVED:
        return _describe_silence("nobody went on", wave.look_at)
    return wave.waiting_for


def _describe_silence(what: str, since: datetime) -> str:
    # Lost jobs, dead letters and no worker at all look alike from here.
    return f"workers: {what} since {say_time(since)}: see whether workers run, and `prelaunch dlq list`"
