"""Whether anybody consumes a queue: proof is a receive, and what is in flight alone is none."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.test_doctor import WELL
from workers.core.doctor.consumers import Backlog, check_consumers, needs_second_look
from workers.core.doctor.finding import Outcome
from workers.core.errors import AccessDenied, ServiceUnavailable

OK, PROBLEM, NOT_KNOWN = Outcome
Look = tuple[int, int]
DENIED = AccessDenied("no", code="AccessDenied", operation="cloudwatch.GetMetricStatistics")


def backlog(first: Look, second: Look, receives: int, seconds: int | None = None, name: str = "p-jobs") -> Backlog:
    one, two = (replace(WELL, waiting=waiting, in_flight=in_flight) for waiting, in_flight in (first, second))
    oldest = timedelta(seconds=seconds) if seconds is not None else None
    return Backlog(name, one, two, receives, oldest)


@pytest.mark.parametrize(
    ("first", "second", "receives", "seconds", "outcome"),
    [
        # Somebody asks for messages.
        ((0, 0), (0, 0), 12, None, OK),
        ((0, 3), (0, 3), 12, None, OK),
        ((9, 3), (9, 3), 12, 700, OK),
        # Nobody that CloudWatch knows of, but one between two looks.
        ((9, 0), (8, 1), 0, 700, OK),
        ((9, 3), (9, 4), 0, 700, OK),
        ((9, 3), (8, 3), 0, 700, OK),
        # What is in flight may be left by one that died; what came back was not received.
        ((0, 3), (0, 3), 0, None, NOT_KNOWN),
        ((0, 3), (1, 2), 0, 20, NOT_KNOWN),
        ((9, 3), (9, 3), 0, 20, NOT_KNOWN),
        ((9, 3), (9, 3), 0, None, NOT_KNOWN),
        ((9, 3), (9, 3), 0, 700, PROBLEM),
        # Nothing waits, and nobody was seen.
        ((0, 0), (0, 0), 0, None, NOT_KNOWN),
        # Sent just now.
        ((9, 0), (9, 0), 0, 20, NOT_KNOWN),
        ((9, 0), (9, 0), 12, 20, OK),
        # Nobody takes what waits, whoever asked before.
        ((9, 0), (9, 0), 0, 700, PROBLEM),
        ((9, 0), (9, 0), 0, None, PROBLEM),
        ((9, 0), (9, 0), 12, 700, PROBLEM),
    ],
)
def test_a_consumer_is_known_by_its_receives(
    first: Look, second: Look, receives: int, seconds: int | None, outcome: Outcome
) -> None:
    """And a problem names the process to start."""
    for name, process in (("p-jobs", "prelaunch worker"), ("p-requests", "prelaunch api")):
        found = check_consumers(backlog(first, second, receives, seconds, name))
        assert found.outcome is outcome
        assert (process in found.remedy) is (outcome is PROBLEM)
        assert seconds is None or f"the oldest for {seconds} s" in found.saw


def test_where_cloudwatch_does_not_tell_only_two_looks_do() -> None:
    """A denial names the permission; an outage has none."""
    still = backlog((0, 3), (0, 3), 0)
    denied = check_consumers(replace(still, receives=DENIED))
    assert (denied.outcome, "cloudwatch:GetMetricStatistics" in denied.remedy) == (NOT_KNOWN, True)
    slow = check_consumers(replace(still, receives=ServiceUnavailable("later")))
    assert (slow.outcome, slow.remedy) == (NOT_KNOWN, "")
    taken = check_consumers(replace(backlog((9, 0), (8, 1), 0), receives=DENIED))
    assert taken.outcome is OK


@pytest.mark.parametrize(
    ("look", "receives", "again"),
    [
        ((0, 0), 0, False),
        ((0, 0), 12, False),
        ((0, 3), 12, False),
        ((9, 3), 12, False),
        ((9, 0), 12, True),
        ((9, 0), 0, True),
        ((0, 3), 0, True),
        ((9, 3), 0, True),
    ],
)
def test_a_second_look_is_taken_where_it_can_tell_more(look: Look, receives: int, *, again: bool) -> None:
    """Nobody waits for it otherwise."""
    seen = backlog(look, look, receives).first
    assert needs_second_look(seen, receives) is again
    if not receives:
        assert needs_second_look(seen, DENIED) is again
