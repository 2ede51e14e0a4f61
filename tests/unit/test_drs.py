"""The adapter of DRS: what is asked, how a job is found again, and what an answer without a template means."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.fakes.guards import ScriptedGuard
from workers.aws.calls import Calls
from workers.aws.drs import DrsLaunchConfigurations, DrsRecovery
from workers.core.errors import LeaseLost, PermanentError
from workers.core.model.group import Target
from workers.core.ports import Guard

TARGET = Target("us-east-1")
SERVER = "s-0123456789abcdef0"
SINCE = datetime(2026, 3, 1, 12, 0, 7, 250_000, tzinfo=UTC)
OURS = {"prelaunch:waveId": "w", "prelaunch:part": "1"}


@dataclass
class ScriptedCalls:
    """Answers one call after the other, and notes what was asked."""

    answers: list[dict[str, Any]]
    asked: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)

    async def call(
        self,
        _target: Target,
        service: str,
        operation: str,
        request: dict[str, Any],
        *,
        guard: Guard | None = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        assert service == "drs"
        if guard is not None:
            guard.check()
        self.asked.append((operation, {**request}, repeatable))
        return self.answers.pop(0)


def recovery(*answers: dict[str, Any]) -> tuple[DrsRecovery, ScriptedCalls]:
    calls = ScriptedCalls([*answers])
    return DrsRecovery(cast("Calls", calls)), calls


def configurations(*answers: dict[str, Any]) -> tuple[DrsLaunchConfigurations, ScriptedCalls]:
    calls = ScriptedCalls([*answers])
    return DrsLaunchConfigurations(cast("Calls", calls)), calls


def job(job_id: str, tags: dict[str, str] | None = None, *servers: dict[str, str]) -> dict[str, Any]:
    return {"jobID": job_id, "participatingServers": [*servers], **({} if tags is None else {"tags": tags})}


AGREES = ScriptedGuard()


def refuse() -> None:
    raise LeaseLost("gone")


async def test_a_recovery_is_sent_once_with_all_that_finds_it_again() -> None:
    """StartRecovery has no token: it is never repeated by itself, and its tags are what its job is found by."""
    port, calls = recovery({"job": job("drsjob-1", OURS, {"sourceServerID": SERVER})})
    started = await port.start(TARGET, [SERVER], is_drill=True, tags=OURS, guard=AGREES, snapshots={})
    request = {"isDrill": True, "sourceServers": [{"sourceServerID": SERVER}], "tags": OURS}
    assert calls.asked == [("StartRecovery", request, False)]
    # What DRS has not said yet is pending.
    assert (started.job_id, started.launch_statuses) == ("drsjob-1", {SERVER: "PENDING"})


async def test_the_writes_of_drs_are_guarded() -> None:
    """Neither write is sent where the guard objects."""
    jobs, sent = recovery()
    with pytest.raises(LeaseLost):
        await jobs.start(TARGET, [SERVER], is_drill=False, tags=OURS, guard=ScriptedGuard(refuse), snapshots={})
    port, written = configurations()
    with pytest.raises(LeaseLost):
        await port.update(TARGET, SERVER, {"copyTags": True}, ScriptedGuard(refuse))
    assert sent.asked == written.asked == []


async def test_a_job_is_looked_for_on_every_page_by_all_its_tags() -> None:
    """A job of another part, or without tags, is none of ours; more tags than ours do no harm."""
    others = [job("drsjob-1", {**OURS, "prelaunch:part": "2"}), job("drsjob-2"), job("drsjob-3", {})]
    mine = job("drsjob-4", {**OURS, "owner": "ops"}, {"sourceServerID": SERVER, "launchStatus": "LAUNCHED"})
    port, calls = recovery({"items": others, "nextToken": "more"}, {"items": [mine]})
    found = await port.find(TARGET, OURS, since=SINCE)
    assert found is not None
    assert (found.job_id, found.launch_statuses) == ("drsjob-4", {SERVER: "LAUNCHED"})
    first = {"filters": {"fromDate": "2026-03-01T12:00:07Z"}}
    assert [request for _, request, _ in calls.asked] == [first, {**first, "nextToken": "more"}]


async def test_no_job_is_found_where_none_has_the_tags() -> None:
    """The last page is where the search ends."""
    port, _ = recovery({"items": [job("drsjob-1", {"prelaunch:waveId": "w"})]})
    assert await port.find(TARGET, OURS, since=SINCE) is None


async def test_only_what_a_launch_config_can_say_is_observed() -> None:
    """Members that are no fields of ours, the source server's id for one, are no settings."""
    answer = {"sourceServerID": SERVER, "ec2LaunchTemplateID": "lt-1", "copyTags": True, "tomorrow": 1}
    port, calls = configurations(answer, answer)
    read = await port.read(TARGET, SERVER)
    updated = await port.update(TARGET, SERVER, {"copyTags": True}, AGREES)
    assert (dict(read.values), read.launch_template_id) == ({"copyTags": True}, "lt-1")
    assert updated == read
    asked = {"sourceServerID": SERVER}
    assert [request for _, request, _ in calls.asked] == [asked, {**asked, "copyTags": True}]


@pytest.mark.parametrize("template", [{}, {"ec2LaunchTemplateID": ""}])
async def test_a_source_server_without_a_template_fails_with_the_reason(template: dict[str, str]) -> None:
    """DRS deletes the template of a disconnected source server: nothing can be applied to it."""
    port, _ = configurations({"sourceServerID": SERVER, **template})
    with pytest.raises(PermanentError, match=f"no launch template for {SERVER}") as caught:
        await port.read(TARGET, SERVER)
    assert caught.value.code == "LAUNCH_TEMPLATE_MISSING"


async def test_a_snapshot_goes_with_its_own_source_server() -> None:
    """The others are recovered to their latest point in time."""
    other, snapshot = "s-" + "2" * 17, "pit-" + "3" * 17
    port, calls = recovery({"job": job("drsjob-1", OURS)})
    await port.start(TARGET, [SERVER, other], is_drill=False, tags=OURS, guard=AGREES, snapshots={other: snapshot})
    ((_, request, _),) = calls.asked
    assert request["sourceServers"] == [
        {"sourceServerID": SERVER},
        {"sourceServerID": other, "recoverySnapshotID": snapshot},
    ]


async def test_running_jobs_are_told_from_those_that_are_over() -> None:
    """By their status, with whose they are; a job that DRS does not know any more is in no answer."""
    theirs = {**job("drsjob-1", {"prelaunch:waveId": "wave-2"}), "status": "STARTED", "initiatedBy": "START_DRILL"}
    over = {**job("drsjob-2"), "status": "COMPLETED", "initiatedBy": "START_RECOVERY"}
    port, calls = recovery({"items": [theirs], "nextToken": "more"}, {"items": [over]}, {"items": [over]})
    (running,) = await port.find_running(TARGET, since=SINCE)
    assert (running.job_id, running.is_drill, running.wave_id) == ("drsjob-1", True, "wave-2")
    followed = await port.follow(TARGET, ["drsjob-2", "drsjob-3"])
    assert {name: (each.is_over, each.is_drill) for name, each in followed.items()} == {"drsjob-2": (True, False)}
    assert calls.asked[-1][1] == {"filters": {"jobIDs": ["drsjob-2", "drsjob-3"]}}
