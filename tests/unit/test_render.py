"""Answers as JSON: times, counts, errors; nothing secret, nothing stale."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from producer.render import render_apply, render_group, render_letters, render_redriven, render_status
from producer.render_waves import render_wave
from tests.fakes.runs import MEMBERS, OPENED_AT, recorded_runs, run_over, status_of
from tests.fakes.strategies import group_definitions
from workers.core.contract import Names
from workers.core.letters.dead_letters import Listing
from workers.core.letters.letter import Letter
from workers.core.letters.redrive import Left, Outcome
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.group_parse import parse_group
from workers.core.queries import GroupView, StatusView
from workers.core.runs.settle import combine_status
from workers.core.status import Status
from workers.core.store.records import GroupHead, ServerError, ServerItem
from workers.core.store.runs import Run
from workers.core.store.wave_records import GroupState, Wave, WaveGroup, WavePart, WaveStatus, WaveView

HEAD = GroupHead("pg-1", "web", "us-east-1", "111122223333", 4, OPENED_AT, OPENED_AT)
NOT_CONFIGURED: dict[str, Any] = {
    "status": "not_configured",
    "appliedServers": 0,
    "failedServers": 0,
    "pendingServers": 0,
    "errors": [],
}


@pytest.mark.unmeasured
@given(group=group_definitions())
def test_a_group_can_be_sent_back_as_it_is_shown(group: GroupDefinition) -> None:
    """What is shown of a definition makes an equal one but for the external id, which no answer holds."""
    shown = json.loads(json.dumps(render_group(GroupView(HEAD, group, None))))
    told = {"groupId", "version", "createdAt", "updatedAt", "launchConfigStatus"}
    body = {name: value for name, value in shown.items() if name not in told}
    again = parse_group(body)
    target = replace(group.target, account_id=HEAD.account_id, external_id=None)
    assert again == replace(group, target=target)


def test_the_external_id_is_not_shown() -> None:
    """An external id is a secret: no answer about a group carries it in any form."""
    target = Target("us-east-1", "111122223333", "recovery", "tell-nobody-0815")
    group = replace(run_over(MEMBERS[:1], frozenset()).definition, target=target)
    assert "0815" not in json.dumps(render_group(GroupView(HEAD, group, None)))


def test_a_group_without_status_is_not_configured() -> None:
    """Every door answers the same members for a group of which nothing was ever to be applied."""
    run = run_over(MEMBERS[:1], frozenset())
    shown = [
        render_group(GroupView(HEAD, run.definition, None))["launchConfigStatus"],
        render_status(StatusView("pg-1", None, None, {}, None)),
        render_apply("pg-1", None),
    ]
    for answer in shown:
        assert answer["groupId"] == "pg-1"
        assert {name: answer[name] for name in NOT_CONFIGURED} == NOT_CONFIGURED
    configured = render_apply("pg-1", status_of(run))
    assert configured.keys() == shown[2].keys()


@given(recorded=recorded_runs())
def test_a_status_answer_is_what_was_read(recorded: tuple[Run, dict[str, ServerItem]]) -> None:
    """Numbers add up to the members; a pending member shows no error of an earlier generation; it is all JSON."""
    run, servers = recorded
    statuses = run.read_statuses(servers)
    view = StatusView(
        "pg-1",
        combine_status(run, servers, status_of(run), OPENED_AT),
        OPENED_AT + timedelta(minutes=15),
        {member: (status, run.config_hashes[member], servers.get(member)) for member, status in statuses.items()},
        None,
    )
    shown = json.loads(json.dumps(render_status(view)))
    assert shown["appliedServers"] + shown["failedServers"] + shown["pendingServers"] == len(statuses)
    assert {member: each["status"] for member, each in shown["serverConfigs"].items()} == statuses
    for member, each in shown["serverConfigs"].items():
        assert each["configHash"] == run.config_hashes[member]
        assert not each["errors"] or each["status"] != "pending"
        assert (each["lastApplied"] is None) == (member not in servers)
    assert "nextToken" not in shown
    assert shown["deadline"] == "2026-01-02T03:19:05Z"


def test_a_server_s_error_is_attributable() -> None:
    """An error says which source server, call and request it was, when, and at which attempt."""
    error = ServerError(MEMBERS[0], "ValidationException", "no", OPENED_AT, 2, "drs.UpdateLaunchConfiguration", "req-1")
    status = replace(status_of(run_over(MEMBERS[:1], frozenset())), status=Status.FAILED, errors=(error,))
    [shown] = render_apply("pg-1", status)["errors"]
    assert shown == {
        "sourceServerId": MEMBERS[0],
        "code": "ValidationException",
        "message": "no",
        "at": "2026-01-02T03:04:05Z",
        "attempt": 2,
        "operation": "drs.UpdateLaunchConfiguration",
        "requestId": "req-1",
    }


@pytest.mark.parametrize("started", [None, datetime(2026, 1, 2, 4, tzinfo=UTC)])
def test_a_wave_shows_jobs_and_refusals_apart(started: datetime | None) -> None:
    """A part is a job once DRS answered one, an error once DRS refused, and neither before."""
    wave = Wave(
        wave_id="wave-1",
        status=WaveStatus.STARTING,
        is_drill=True,
        accepted_at=OPENED_AT,
        deadline=OPENED_AT,
        look_at=OPENED_AT,
        requested_by="alice",
        door="http",
        started_at=started,
    )
    parts = (
        WavePart(1, "pg-1", ("s-1",), job_id="drsjob-1", launch_statuses={"s-1": "PENDING"}),
        WavePart(2, "pg-1", ("s-2",), error_code="ConflictException", error_message="busy", error_request_id="req-2"),
        WavePart(3, "pg-1", ("s-3",)),
    )
    groups = (WaveGroup(0, "pg-1", "fast", 3, 4, state=GroupState.LAUNCHING),)
    shown = json.loads(json.dumps(render_wave(WaveView(wave, groups, parts))))
    assert [(job["jobId"], job["sourceServerIds"]) for job in shown["jobs"]] == [("drsjob-1", ["s-1"])]
    assert shown["jobs"][0]["launchStatuses"] == {"s-1": "PENDING"}
    assert [(e["sourceServerIds"], e["code"], e["requestId"]) for e in shown["errors"]] == [
        (["s-2"], "ConflictException", "req-2")
    ]
    assert shown["startedAt"] == (None if started is None else "2026-01-02T04:00:00Z")
    assert shown["groups"] == [{"groupId": "pg-1", "path": "fast", "state": "launching", "generation": 3}]


def test_half_a_character_of_others_makes_no_answer_fail() -> None:
    """Whatever a letter holds, and wherever it came from, the answer is UTF-8."""
    half = "x\ud800"
    letter = Letter(
        "jobs", "m", "r", half, 1, OPENED_AT, fault=half, actor=half, names=Names(), original_message_id=half
    )
    listed = render_letters(Listing((letter,), {}, truncated=False))
    left = render_redriven(Outcome(left=[Left(letter, half)]))
    for answer, texts in ((listed, 4), (left, 1)):
        assert json.dumps(answer, ensure_ascii=False).encode().count(b"x?") == texts
