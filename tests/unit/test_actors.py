"""The seam: every outcome and every error of a use case becomes exactly one instruction to the queue, and one line."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from workers.actors import COME_AGAIN, carry_out
from workers.core.contract import APPLY_ACTOR
from workers.core.errors import PermanentError, ServiceUnavailable, SetupError
from workers.core.outcome import Acknowledge, Outcome, Redeliver
from workers.core.queue import redelivery


def ends_with(end: Outcome | Exception) -> Callable[[], Awaitable[Outcome]]:
    async def use_case() -> Outcome:
        if isinstance(end, Exception):
            raise end
        return end

    return use_case


async def run(end: Outcome | Exception) -> tuple[BaseException | None, list[Any]]:
    """Answer what the queue is told, None for an acknowledgement, and what is logged."""
    with capture_logs() as lines:
        try:
            await carry_out(APPLY_ACTOR, ends_with(end))
        except (redelivery.Redeliver, PermanentError, ZeroDivisionError) as told:
            return told, lines
    return None, lines


async def test_an_acknowledged_message_is_told_by_one_line() -> None:
    """What is done returns, and says so once."""
    told, lines = await run(Acknowledge("ready"))
    assert told is None
    (line,) = lines
    assert line.pop("seconds") >= 0
    assert line == {"event": "job.done", "actor": APPLY_ACTOR, "result": "ready", "log_level": "info"}


@pytest.mark.parametrize("after", [timedelta(seconds=7), None])
async def test_a_redelivery_keeps_delay_and_reason(after: timedelta | None) -> None:
    """The use case says when and why; where it says no time the queue chooses one."""
    told, lines = await run(Redeliver("lease_held", after))
    assert isinstance(told, redelivery.Redeliver)
    assert (told.delay, told.reason) == (after, "lease_held")
    assert [line["event"] for line in lines] == ["job.redelivered"]


@pytest.mark.parametrize(
    ("error", "delay", "level"),
    [
        (ServiceUnavailable("SQS is away"), COME_AGAIN, "warning"),
        (ServiceUnavailable("SQS is away", retry_after=timedelta(seconds=3)), timedelta(seconds=3), "warning"),
        (SetupError("A table is missing."), COME_AGAIN, "error"),
    ],
)
async def test_trouble_of_our_own_tables_and_queues_loses_no_job(
    error: SetupError | ServiceUnavailable, delay: timedelta, level: str
) -> None:
    """The same message comes again: nothing is acknowledged or dead-lettered because we were not heard."""
    told, lines = await run(error)
    assert isinstance(told, redelivery.Redeliver)
    assert (told.delay, told.reason) == (delay, error.code)
    assert (lines[0]["log_level"], lines[0]["error"]) == (level, error.message)


@pytest.mark.parametrize("error", [PermanentError("It escaped its use case."), ZeroDivisionError()])
async def test_a_bug_reaches_the_queue_as_it_is(error: Exception) -> None:
    """What no use case expected is neither done nor an order to come again: the queue counts it as a failure."""
    told, lines = await run(error)
    assert told is error
    assert "job.done" not in [line["event"] for line in lines]
