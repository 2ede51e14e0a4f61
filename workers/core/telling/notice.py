"""
What is told of a group or a wave that has settled: an event's detail, which is also what a waiting task is answered.

Pure, and bounded: an event of 256 KB or more, or a cause of more than 32,768 characters, would reach nobody.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from workers.core.errors import GroupDeleted
from workers.core.status import Status
from workers.core.store.notices import Notice, name_token, untold
from workers.core.store.records import GroupHead, GroupStatus, to_time
from workers.core.store.runs import Run
from workers.core.store.wave_records import WaveStatus, WaveView, find_errors

GROUP_SETTLED = "Launch Config Status Settled"
WAVE_SETTLED = "Wave Settled"
ERRORS_TOLD = 20
MESSAGE_TOLD = 1000
"""Characters of an error's message. Twenty of four bytes each are a third of an event's 256 KB."""
LONGEST_CAUSE = 32_768
LONGEST_ERROR = 256
"""Characters that SendTaskFailure takes. Source: botocore's model of Step Functions."""
FAILED = "FAILED"
"""The error of a task where no other is known."""
Detail = dict[str, object]


@dataclass(frozen=True, slots=True)
class Subject:
    """The group that is told of."""

    group_id: str
    name: str
    account_id: str
    region: str


def subject_of(group: Run | GroupHead) -> Subject:
    """Name a group as it is told of, from what is at hand of it."""
    if isinstance(group, Run):
        return Subject(group.group_id, group.definition.name, group.head.account_id, group.target.region)
    return Subject(group.group_id, group.name, group.account_id, group.region)


def tell_group(stack: str, subject: Subject, status: GroupStatus, *, due_at: datetime) -> Notice:
    """Make the notice of a group that has settled."""
    errors = [
        {"sourceServerId": error.source_server_id, "code": error.code, "message": error.message}
        for error in status.errors
    ]
    return _notice(_describe(stack, subject, status, status.status, errors), status, subject, due_at)


def tell_deleted(stack: str, subject: Subject, status: GroupStatus, at: datetime, *, due_at: datetime) -> Notice:
    """Make the notice of a group that was deleted while a run was under way: it settles as failed."""
    gone = {"code": GroupDeleted.code, "message": f"Protection group {subject.group_id} was deleted."}
    detail = {**_describe(stack, subject, status, Status.FAILED, [gone]), "lastApplied": to_time(at)}
    return _notice(detail, status, subject, due_at)


def answer_task(stack: str, subject: Subject, status: GroupStatus | None, task_token: str, *, at: datetime) -> Notice:
    """
    Make the notice for one task whose request left nothing to be waited for; others are not told.

    Parameters:
        stack: Ours.
        subject: The group.
        status: Its status, settled; None where nothing was ever to be applied.
        task_token: What the task waits with.
        at: The present; it is due at once.

    Returns:
        The notice.
    """
    name = f"{status.generation if status else 0:010d}#{name_token(task_token)[:16]}"
    if status is None:
        detail = {**_head(stack, f"{subject.group_id}#0", subject), "status": Status.NOT_CONFIGURED.value, "errors": []}
        return Notice(
            group_id=subject.group_id,
            item=untold(name),
            generation=0,
            kind=GROUP_SETTLED,
            at=at,
            detail=_write(detail),
            error="",
            resend_after=at,
            is_event=False,
        )
    return replace(tell_group(stack, subject, status, due_at=at), item=untold(name), at=at, is_event=False)


def tell_wave(stack: str, view: WaveView, at: datetime, *, due_at: datetime) -> Notice:
    """
    Make the notice of a wave that is over.

    Parameters:
        stack: Ours.
        view: The wave with its groups and parts, as they are from now on.
        at: The present.
        due_at: When the sweeper tells it, if nobody has by then.

    Returns:
        The notice.
    """
    wave, status = view.wave, view.wave.status.value
    errors: list[dict[str, str | int]] = [
        {
            "groupId": error.group_id,
            "sourceServers": len(error.source_server_ids),
            "code": error.code,
            "message": error.message,
        }
        for error in find_errors(view)
    ]
    detail: Detail = {
        "eventId": f"{wave.wave_id}#{status}",
        "stack": stack,
        "waveId": wave.wave_id,
        "status": status,
        "isDrill": wave.is_drill,
        "acceptedAt": to_time(wave.accepted_at),
        "startedAt": to_time(wave.started_at) if wave.started_at else None,
        "groups": [{"groupId": group.group_id, "path": group.path} for group in view.groups],
        "jobs": [
            {"jobId": part.job_id, "groupId": part.group_id, "sourceServers": len(part.source_server_ids)}
            for part in view.parts
            if part.job_id is not None
        ],
        "errors": _bound(errors),
    }
    return Notice(
        group_id=wave.wave_id,
        item=untold(status),
        generation=0,
        kind=WAVE_SETTLED,
        at=at,
        detail=_write(detail),
        error=_find_error(detail) if wave.status is WaveStatus.FAILED else "",
        resend_after=due_at,
    )


def make_cause(notice: Notice) -> str:
    """Make the cause that a task fails with: the event's detail, with as many of its errors as there is room for."""
    detail = json.loads(notice.detail)
    while len(cause := _write(detail)) > LONGEST_CAUSE and detail["errors"]:
        detail["errors"].pop()
    return cause[:LONGEST_CAUSE]


def _notice(detail: Detail, status: GroupStatus, subject: Subject, due_at: datetime) -> Notice:
    return Notice(
        group_id=subject.group_id,
        item=untold(f"{status.generation:010d}"),
        generation=status.generation,
        kind=GROUP_SETTLED,
        at=datetime.fromisoformat(str(detail["lastApplied"])),
        detail=_write(detail),
        error=_find_error(detail) if detail["status"] != Status.READY.value else "",
        resend_after=due_at,
    )


def _describe(
    stack: str, subject: Subject, status: GroupStatus, told: Status, errors: Sequence[dict[str, str]]
) -> Detail:
    return {
        **_head(stack, f"{subject.group_id}#{status.generation}", subject),
        "runId": status.run_id,
        "generation": status.generation,
        "status": told.value,
        "lastApplied": to_time(status.last_applied),
        "appliedBy": status.applied_by,
        "appliedServers": status.counts.applied,
        "failedServers": status.counts.failed,
        "pendingServers": status.counts.pending,
        "errors": _bound(errors),
    }


def _head(stack: str, event_id: str, subject: Subject) -> Detail:
    return {
        "eventId": event_id,
        "stack": stack,
        "groupId": subject.group_id,
        "groupName": subject.name,
        "accountId": subject.account_id,
        "region": subject.region,
    }


def _bound(errors: Sequence[Mapping[str, str | int]]) -> list[dict[str, str | int]]:
    return [{**error, "message": str(error["message"])[:MESSAGE_TOLD]} for error in errors[:ERRORS_TOLD]]


def _find_error(detail: Detail) -> str:
    errors = detail["errors"]
    first = errors[0]["code"] if isinstance(errors, list) and errors else FAILED
    return str(first)[:LONGEST_ERROR]


def _write(detail: Detail) -> str:
    return json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
