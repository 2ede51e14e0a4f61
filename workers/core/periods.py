"""How long things take that do not come to their end by themselves: values, scaled by the settings. Pure."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RunPeriods:
    """When a run that does not come to its end by itself is looked after."""

    send_after: timedelta
    """How long after its opening a run that was not sent is sent."""
    stall_after: timedelta
    """How long a run may make no progress before its jobs are sent again; doubles each time."""
    base_deadline: timedelta
    """How long a run may take beside the time that its tokens take."""
    longest: timedelta
    """How long a run may take at all, however it progresses."""
    late_after: timedelta
    """How much later than planned a look may come before that is an outage, which prolongs the run."""
    clear_after: timedelta
    """How long after its deletion a group's items are cleared once more.

    Only a process that was stopped can still be at work on it then."""


@dataclass(frozen=True, slots=True)
class TellPeriods:
    """When others are told what has settled, if that was not possible at once."""

    again_after: timedelta
    """How long after a try that nobody heard of it is told again; doubles each time."""
    longest_wait: timedelta
    """How long that is at most."""
    longest_try: timedelta
    """How long one try may take."""
    give_up_after: timedelta
    """How long after it settled it is given up."""
