"""Answers as JSON, the same at every door. camelCase lives here; nothing is decided."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workers.core.queries import GroupView, StatusView
from workers.core.status import Status
from workers.core.store.records import GroupStatus, ServerError, ServerItem, to_item
from workers.core.store.waves import Wave, WavePart


def render_group(view: GroupView) -> dict[str, Any]:
    """Render a group with where it stands; its external id is never shown."""
    head = view.head
    return {
        "groupId": head.group_id,
        **view.definition.to_body(),
        "accountId": head.account_id,
        "version": head.version,
        "createdAt": _time(head.created_at),
        "updatedAt": _time(head.updated_at),
        "launchConfigStatus": _group_status(head.group_id, view.status),
    }


def render_apply(group_id: str, status: GroupStatus | None) -> dict[str, Any]:
    """Render what became of an apply."""
    whole = _group_status(group_id, status)
    kept = ("groupId", "runId", "status", "appliedServers", "failedServers", "pendingServers", "errors")
    return {name: whole[name] for name in kept}


def render_status(view: StatusView) -> dict[str, Any]:
    """Render where a group and a page of its members stand."""
    answer = _group_status(view.group_id, view.status)
    answer["deadline"] = _time(view.deadline)
    answer["serverConfigs"] = {
        member: _server(state, config_hash, item) for member, (state, config_hash, item) in view.servers.items()
    }
    if view.next_token is not None:
        answer["nextToken"] = view.next_token
    return answer


def render_wave(wave: Wave, parts: list[WavePart]) -> dict[str, Any]:
    """Render a wave with its recovery jobs."""
    return {
        "waveId": wave.wave_id,
        "status": wave.status.value,
        "isDrill": wave.is_drill,
        "groups": [
            {"groupId": group.group_id, "path": group.path, "generation": group.generation} for group in wave.groups
        ],
        "jobs": [_job(part) for part in parts if part.job_id is not None],
        "errors": [
            {
                "groupId": part.group_id,
                "sourceServerIds": list(part.source_server_ids),
                "code": part.error_code,
                "message": part.error_message,
                "requestId": part.error_request_id,
            }
            for part in parts
            if part.error_code is not None
        ],
        "acceptedAt": _time(wave.accepted_at),
        "startedAt": _time(wave.started_at),
        "requestedBy": wave.requested_by,
    }


def _group_status(group_id: str, status: GroupStatus | None) -> dict[str, Any]:
    if status is None:
        return {
            "groupId": group_id,
            "status": Status.NOT_CONFIGURED.value,
            "generation": 0,
            "runId": None,
            "lastApplied": None,
            "verifiedAt": None,
            "appliedBy": None,
            "digest": None,
            "heldBy": None,
            "appliedServers": 0,
            "failedServers": 0,
            "pendingServers": 0,
            "errors": [],
        }
    return {
        "groupId": group_id,
        "status": status.status.value,
        "generation": status.generation,
        "runId": status.run_id,
        "lastApplied": _time(status.last_applied),
        "verifiedAt": _time(status.verified_at),
        "appliedBy": status.applied_by,
        "digest": status.digest,
        "heldBy": status.held_by,
        "appliedServers": status.counts.applied,
        "failedServers": status.counts.failed,
        "pendingServers": status.counts.pending,
        "errors": [_error(error) for error in status.errors],
    }


def _server(state: Status, config_hash: str, item: ServerItem | None) -> dict[str, Any]:
    # What an earlier generation met says nothing about a member that is pending now.
    errors = item.errors if item is not None and state is not Status.PENDING else ()
    return {
        "status": state.value,
        "lastApplied": _time(item.last_applied) if item is not None else None,
        "configHash": config_hash,
        "errors": [_error(error) for error in errors],
    }


def _error(error: ServerError) -> Mapping[str, Any]:
    return to_item(error)


def _job(part: WavePart) -> dict[str, Any]:
    return {
        "jobId": part.job_id,
        "groupId": part.group_id,
        "sourceServerIds": list(part.source_server_ids),
        "launchStatuses": part.launch_statuses or {},
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None
