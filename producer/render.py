"""Answers as JSON, the same at every door. camelCase lives here; nothing is decided."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from producer.render_plans import render_fields, render_live
from workers.core.history import RunList, RunView
from workers.core.letters.dead_letters import Listing
from workers.core.letters.letter import Letter
from workers.core.letters.redrive import Outcome
from workers.core.preview import ServerPlan
from workers.core.queries import GroupList, GroupView, StatusView
from workers.core.runs.change import Updated
from workers.core.runs.rollback import RolledBack
from workers.core.status import Status
from workers.core.store.records import GroupHead, GroupStatus, RunHead, ServerError, ServerItem, Unlisted, to_item


def render_group(view: GroupView) -> dict[str, Any]:
    """Render a group with where it stands; its external id is never shown."""
    return {**_summary(view.head, view.status), **view.definition.to_body(), "accountId": view.head.account_id}


def render_update(updated: Updated, status: GroupStatus | None) -> dict[str, Any]:
    """Render a group as an update made it, with the run that follows from it, and where the group stands now."""
    reapply = updated.reapply
    run = None if reapply is None else {"runId": reapply.run_id, "sourceServerIds": list(reapply.source_server_ids)}
    return {**render_group(GroupView(updated.head, updated.definition, status)), "reapply": run}


def render_group_list(page: GroupList) -> dict[str, Any]:
    """Render a page of groups, without their members."""
    return _page("protectionGroups", [_summary(each.head, each.status) for each in page.groups], page.next_token)


def render_runs(page: RunList) -> dict[str, Any]:
    """Render a page of a group's runs."""
    return _page("applyRuns", [_run(head) for head in page.runs], page.next_token)


def render_run(view: RunView) -> dict[str, Any]:
    """Render one run with the source servers that it lists, and what it changed in them."""
    return {
        **_run(view.head),
        "sourceServerIds": list(view.source_server_ids),
        "changes": [
            {
                "sourceServerId": change.source_server_id,
                "fields": render_fields(change.fields),
                "begunAt": render_time(change.begun_at),
                "completedAt": render_time(change.completed_at),
                "outcome": change.outcome.value if change.outcome is not None else None,
            }
            for change in view.changes
        ],
    }


def render_apply(group_id: str, status: GroupStatus | None) -> dict[str, Any]:
    """Render what became of an apply."""
    whole = _group_status(group_id, status)
    kept = ("groupId", "runId", "status", "appliedServers", "failedServers", "pendingServers", "errors")
    return {name: whole[name] for name in kept}


def render_rollback(rolled_back: RolledBack, status: GroupStatus | None) -> dict[str, Any]:
    """Render what became of a rollback: as of an apply, with what it made the group."""
    updated = rolled_back.updated
    applied = render_apply(updated.head.group_id, status)
    return {
        **applied,
        # Another run may have taken its place since: the id is that of the one that was accepted.
        "runId": updated.reapply.run_id if updated.reapply else applied["runId"],
        "toRunId": rolled_back.to_run.run_id,
        "version": updated.head.version,
        "keptSourceServerIds": list(rolled_back.kept),
    }


def render_status(view: StatusView, live: Iterable[ServerPlan] = ()) -> dict[str, Any]:
    """Render where a group and a page of its members stand, and how those that were compared are in AWS."""
    answer = _group_status(view.group_id, view.status)
    answer["deadline"] = render_time(view.deadline)
    answer["waitingFor"] = view.waiting_for
    answer["unlistedServers"] = _unlisted(view.unlisted)
    answer["serverConfigs"] = {
        member: _server(state, config_hash, item) for member, (state, config_hash, item) in view.servers.items()
    }
    for server in live:
        answer["serverConfigs"][server.source_server_id]["live"] = render_live(server)
    if view.next_token is not None:
        answer["nextToken"] = view.next_token
    return answer


def render_letters(listing: Listing) -> dict[str, Any]:
    """Render dead letters, the latest first."""
    return {
        "deadLetters": [
            {
                **_letter(letter),
                "originalMessageId": letter.original_message_id and _whole(letter.original_message_id),
                "actor": letter.actor and _whole(letter.actor),
                "reason": _whole(letter.reason),
                "receiveCount": letter.received,
                "sentAt": render_time(letter.sent_at),
                "deadLetteredAt": render_time(letter.dead_lettered_at),
                "fault": _whole(letter.fault) or None,
            }
            for letter in listing.letters
        ],
        "approximateCounts": dict(listing.counts),
        "truncated": listing.truncated,
    }


def render_redriven(outcome: Outcome) -> dict[str, Any]:
    """Render what became of letters that were to be redriven."""
    redriven = [
        {**_letter(each.letter), "result": each.result.value, "runId": each.run_id} for each in outcome.redriven
    ]
    return {"redriven": redriven, **_rest(outcome)}


def render_purged(outcome: Outcome) -> dict[str, Any]:
    """Render what became of letters that were to be purged."""
    return {"purged": [_letter(letter) for letter in outcome.purged], **_rest(outcome)}


def _rest(outcome: Outcome) -> dict[str, Any]:
    return {
        "left": [{**_letter(each.letter), "why": _whole(each.why)} for each in outcome.left],
        "notFound": list(outcome.unknown),
        "truncated": outcome.truncated,
    }


def _whole(text: str) -> str:
    # Others' text may hold half a character, a lone surrogate: no answer in UTF-8 could be made of it.
    return text.encode(errors="replace").decode()


def _letter(letter: Letter) -> dict[str, Any]:
    return {
        "queue": letter.queue,
        "messageId": letter.message_id,
        "groupId": letter.names.group_id,
        "sourceServerId": letter.names.source_server_id,
        "waveId": letter.names.wave_id,
    }


def _page(name: str, items: list[dict[str, Any]], next_token: str | None) -> dict[str, Any]:
    return {name: items} if next_token is None else {name: items, "nextToken": next_token}


def _summary(head: GroupHead, status: GroupStatus | None) -> dict[str, Any]:
    return {
        "groupId": head.group_id,
        "groupName": head.name,
        "region": head.region,
        "accountId": head.account_id,
        "version": head.version,
        "createdAt": render_time(head.created_at),
        "updatedAt": render_time(head.updated_at),
        "launchConfigStatus": _group_status(head.group_id, status),
    }


def _run(head: RunHead) -> dict[str, Any]:
    unsettled = "superseded" if head.is_superseded else Status.PENDING.value
    return {
        "runId": head.run_id,
        "generation": head.generation,
        "status": head.outcome.value if head.outcome is not None else unsettled,
        "supersededBy": head.superseded_by,
        "mode": head.mode.value,
        "changedBy": head.changed_by or None,
        "reason": head.reason,
        "requestedBy": head.requested_by,
        "door": head.door,
        "requestId": head.request_id or None,
        "version": head.config_version,
        "listedServers": head.listed,
        "appliedServers": head.counts.applied if head.counts else None,
        "failedServers": head.counts.failed if head.counts else None,
        "openedAt": render_time(head.opened_at),
        "settledAt": render_time(head.settled_at),
        "deadline": render_time(head.deadline),
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
        "lastApplied": render_time(status.last_applied),
        "verifiedAt": render_time(status.verified_at),
        "appliedBy": status.applied_by,
        "digest": status.digest,
        "heldBy": status.held_by,
        "appliedServers": status.counts.applied,
        "failedServers": status.counts.failed,
        "pendingServers": status.counts.pending,
        "errors": [_error(error) for error in status.errors],
    }


def _unlisted(found: Unlisted | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "count": found.count,
        "sourceServerIds": list(found.source_server_ids),
        "seenAt": render_time(found.seen_at),
    }


def _server(state: Status, config_hash: str, item: ServerItem | None) -> dict[str, Any]:
    # What an earlier generation met says nothing about a member that is pending now.
    errors = item.errors if item is not None and state is not Status.PENDING else ()
    return {
        "status": state.value,
        "lastApplied": render_time(item.last_applied) if item is not None else None,
        "configHash": config_hash,
        "errors": [_error(error) for error in errors],
    }


def _error(error: ServerError) -> Mapping[str, Any]:
    return to_item(error)


def render_time(at: datetime | None) -> str | None:
    """Render a time as the doors have it."""
    return at.isoformat().replace("+00:00", "Z") if at is not None else None
