"""Who are we to AWS, and does our clock agree with AWS's? Pure."""

from datetime import datetime, timedelta

from workers.core.doctor.finding import Finding, not_known, ok, problem
from workers.core.doctor.ports import Identity

MOST_OFFSET = timedelta(seconds=5)
"""A clock that is further off drifts; AWS refuses signatures that are five minutes from its own time."""
SET_THE_CLOCK = "Let this machine set its clock by a time server (`chronyc tracking`, `timedatectl`)."


def describe_identity(found: Identity) -> Finding:
    """Say who we are."""
    where = f"account {found.account_id}, {found.region}"
    end = f"expires {_say(found.expires_at)}" if found.expires_at else "no expiry is known"
    return ok("credentials", where, f"{found.arn} (from {found.method}; {end})")


def check_clock(offset: timedelta | None) -> Finding:
    """
    Compare our clock with AWS's.

    Parameters:
        offset: How far AWS's is ahead of ours; None where no answer said its time.

    Returns:
        The finding.
    """
    if offset is None:
        return not_known("clock", "this machine", "no answer of AWS's had a Date")
    seconds = abs(offset.total_seconds())
    if abs(offset) <= MOST_OFFSET:
        return ok("clock", "this machine", f"within {max(seconds, 1):.0f} s of AWS's")
    side = "behind" if offset > timedelta(0) else "ahead of"
    saw = f"it is {seconds:.0f} s {side} AWS's, which refuses signatures that are 300 s off"
    return problem("clock", "this machine", saw, SET_THE_CLOCK)


def _say(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
