"""When a job that could not go on comes again, and what is said where its run has no more time."""

from datetime import timedelta

from workers.core.errors import DEADLINE_EXCEEDED, OutOfTurns, PrelaunchError, RetryableError, Throttled
from workers.core.retry import back_off
from workers.core.store.leases import Lease

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_WAIT_FOR_TURNS = timedelta(minutes=1)
"""A throttled account asks for patience by its bucket, not by its jobs: they are there when it gets better."""


def end_by_deadline(error: RetryableError) -> PrelaunchError:
    """Say that what could have passed did not until the run's time was over; by AWS's own code where AWS answered."""
    return PrelaunchError(
        f"{error.message.rstrip('.')}. The deadline of the run has come: apply again when that has passed.",
        code=DEADLINE_EXCEEDED if isinstance(error, OutOfTurns) else error.code,
        request_id=error.request_id,
        operation=error.operation,
    )


def plan_wait(error: RetryableError, lease: Lease) -> timedelta:
    """Plan the wait before the job comes again: as AWS asks, else longer each time it was handed back."""
    longest = LONGEST_WAIT_FOR_TURNS if isinstance(error, OutOfTurns | Throttled) else LONGEST_WAIT
    return error.retry_after or back_off(lease.hand_backs + 1, first=FIRST_WAIT, longest=longest)
