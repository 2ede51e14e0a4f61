"""Waiting for a run at the command line: how it ends, and what it bears meanwhile."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producer.cli import ask
from producer.cli.ask import UNANSWERED_POLLS, find_settled_status, wait_until_begun, wait_until_settled
from tests.fakes.runs import MEMBERS, run_over, status_of
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.queries import Page, StatusView
from workers.core.status import Status
from workers.core.store.wave_records import Wave, WaveStatus, WaveView

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STATUS = status_of(run_over(MEMBERS, frozenset(MEMBERS)))


def make_view(status: Status | None, deadline: datetime = NOW + timedelta(minutes=15)) -> StatusView:
    shown = replace(STATUS, status=status) if status else None
    return StatusView("pg-1", shown, deadline if status is Status.PENDING else None, {}, None)


class ScriptedQueries:
    """Answers, or raises, one thing after the other."""

    def __init__(self, answers: Sequence[StatusView | Exception]) -> None:
        self.left = list(answers)

    async def status(self, group_id: str, page: Page) -> StatusView:
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedServices:
    def __init__(self, *answers: StatusView | Exception) -> None:
        self.queries = ScriptedQueries(answers)


async def wait(monkeypatch: pytest.MonkeyPatch, *answers: StatusView | Exception) -> bool:
    monkeypatch.setattr(ask, "POLL_SECONDS", 0)
    monkeypatch.setattr(ask, "read_clock", lambda: NOW)
    services: Any = ScriptedServices(*answers)
    settled = await wait_until_settled(services, "pg-1", "web")
    assert services.queries.left == []
    return settled


@pytest.mark.parametrize("end", [Status.READY, Status.FAILED, None])
async def test_it_waits_until_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch, end: Status | None) -> None:
    """Pending is waited for, every other status ends it; so does a group that has nothing to apply."""
    pending = make_view(Status.PENDING)
    assert await wait(monkeypatch, pending, pending, make_view(end))


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is pending well past its deadline has nobody who works on it."""
    late = make_view(Status.PENDING, NOW - timedelta(minutes=2))
    just_over = make_view(Status.PENDING, NOW - timedelta(seconds=1))
    assert not await wait(monkeypatch, just_over, late)


async def test_an_outage_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our stores may fail for minutes, again and again: what was accepted is still waited for."""
    outage = [ServiceUnavailable("DynamoDB does not answer.")] * UNANSWERED_POLLS
    assert await wait(monkeypatch, *outage, make_view(Status.PENDING), *outage, make_view(Status.READY))


async def test_an_outage_without_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing answers any more the command ends and says so."""
    outage = [ServiceUnavailable("DynamoDB does not answer.")] * (UNANSWERED_POLLS + 1)
    with pytest.raises(ServiceUnavailable):
        await wait(monkeypatch, *outage)


async def test_what_a_person_has_to_mend_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired credentials do not come back by waiting."""
    with pytest.raises(SetupError):
        await wait(monkeypatch, make_view(Status.PENDING), SetupError("The credentials expired."))


async def test_an_interruption_that_is_swallowed_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the very instant of an answer, which a library then gives instead of being cancelled: it ends."""
    task = asyncio.current_task()
    assert task is not None

    interrupt = task.cancel

    class Swallowing(ScriptedQueries):
        async def status(self, group_id: str, page: Page) -> StatusView:
            interrupt()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            return await super().status(group_id, page)

    monkeypatch.setattr(ask, "POLL_SECONDS", 0)
    monkeypatch.setattr(ask, "read_clock", lambda: NOW)
    services: Any = ScriptedServices()
    services.queries = Swallowing([make_view(Status.PENDING)])
    with pytest.raises(asyncio.CancelledError):
        await wait_until_settled(services, "pg-1", "web")
    assert services.queries.left == []
    task.uncancel()


WAVE = Wave(
    wave_id="wave-1",
    status=WaveStatus.STARTING,
    is_drill=False,
    accepted_at=NOW,
    deadline=NOW + timedelta(hours=6),
    requested_by="alice",
    door="cli",
    look_at=NOW,
)
BEGUN = replace(WAVE, status=WaveStatus.STARTED)


class ScriptedWaves:
    """Answers, or raises, one thing after the other."""

    def __init__(self, answers: Sequence[Wave | Exception]) -> None:
        self.left = list(answers)

    async def get(self, wave_id: str) -> WaveView:
        assert wave_id == WAVE.wave_id
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return WaveView(answer, (), ())


async def wait_for_wave(monkeypatch: pytest.MonkeyPatch, *answers: Wave | Exception) -> bool:
    monkeypatch.setattr(ask, "POLL_SECONDS", 0)
    monkeypatch.setattr(ask, "read_clock", lambda: NOW)
    services: Any = ScriptedServices()
    services.waves = ScriptedWaves(answers)
    begun = await wait_until_begun(services, WAVE.wave_id)
    assert services.waves.left == []
    return begun


@pytest.mark.parametrize("end", [WaveStatus.STARTED, WaveStatus.FINISHED, WaveStatus.FAILED])
async def test_a_wave_is_waited_for_and_what_it_waits_for_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: WaveStatus
) -> None:
    """A recovery may wait an hour for a drill: whoever sits in front reads what for, once, and each change of it."""
    drill = replace(WAVE, status=WaveStatus.WAITING, waiting_for="job: 2 are still in drsjob-1, a drill")
    quota = replace(WAVE, status=WaveStatus.WAITING, waiting_for="job quota: 20 jobs run.")
    answers = [WAVE, drill, drill, WAVE, drill, quota, quota, replace(WAVE, status=end)]
    assert await wait_for_wave(monkeypatch, *answers)
    assert capsys.readouterr().err.splitlines() == [
        "prelaunch: Waiting for job: 2 are still in drsjob-1, a drill.",
        "prelaunch: Waiting for job quota: 20 jobs run.",
    ]


async def test_a_wave_is_waited_for_through_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was accepted, and our stores may fail for minutes; one without end is told."""
    outage = [ServiceUnavailable("DynamoDB does not answer.")] * UNANSWERED_POLLS
    assert await wait_for_wave(monkeypatch, *outage, WAVE, *outage, BEGUN)
    with pytest.raises(ServiceUnavailable):
        await wait_for_wave(monkeypatch, *outage, outage[0])


async def test_a_wave_is_not_waited_for_past_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody goes on with it then, or a worker would have ended it."""
    just_over = replace(WAVE, deadline=NOW - timedelta(seconds=1))
    assert not await wait_for_wave(monkeypatch, just_over, replace(WAVE, deadline=NOW - timedelta(minutes=2)))


@pytest.mark.parametrize(
    ("status", "waited", "expected"),
    [
        (Status.READY, True, 0),
        (Status.NOT_CONFIGURED, True, 0),
        (Status.FAILED, True, 1),
        (Status.FAILED, False, 1),
        (Status.PENDING, False, 0),
        (Status.PENDING, True, 1),
    ],
)
def test_the_exit_status_says_whether_all_is_well(status: Status, waited: bool, expected: int) -> None:
    """Failed is 1; pending is well for whoever does not wait, and overdue for whoever did."""
    assert find_settled_status({"status": status.value}, waited=waited) == expected
