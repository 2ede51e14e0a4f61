"""What a wave is when it is accepted: its groups and parts, and the writes that take the groups as read. Pure."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from workers.core.contract import WAVE_ACTOR
from workers.core.model.errors import FieldError
from workers.core.model.waves import OnNotReady, Verify
from workers.core.ports import Job
from workers.core.queries import GroupView
from workers.core.requests import Conflict, Requester, RequestRefused
from workers.core.status import Status
from workers.core.store.holds import Hold
from workers.core.store.records import GroupStatus, ServerItem
from workers.core.store.wave_records import (
    FALLBACK,
    FAST,
    GroupState,
    Wave,
    WaveGroup,
    WavePart,
    WaveStatus,
    WaveView,
    find_unbegun,
)
from workers.core.store.writes import Write

PART_SIZE = 100
"""Source servers in one recovery job. Source: AWS, DRS service quotas."""
NOT_READY = "NOT_READY"


@dataclass(frozen=True, slots=True)
class WaveRequest:
    """What somebody wants recovered."""

    group_ids: tuple[str, ...]
    is_drill: bool = True
    on_not_ready: OnNotReady = OnNotReady.APPLY
    verify: Verify = Verify.STORED
    snapshots: Mapping[str, str] = field(default_factory=dict)
    """Source server to the recovery snapshot that it is launched from; of others DRS takes the latest."""


@dataclass(frozen=True, slots=True)
class WavePeriods:
    """How long what a wave rests on holds."""

    max_ready_age: timedelta
    """How old the oldest verification of a group may be."""
    longest: timedelta
    """How long a wave may take, and hold its groups."""
    send_after: timedelta
    """How long after its acceptance a wave that nobody goes on with is sent again."""


def plan_wave(
    request: WaveRequest, views: Sequence[GroupView], requester: Requester, now: datetime, periods: WavePeriods
) -> WaveView:
    """
    Plan a wave over groups as they were read.

    Parameters:
        request: What is to be recovered.
        views: The groups, in the order in which they were asked for.
        requester: Who asks.
        now: When it is accepted.
        periods: The installation's.

    Returns:
        The wave, not yet stored.
    """
    wave = Wave(
        wave_id=f"wave-{uuid.uuid4().hex[:17]}",
        status=WaveStatus.STARTING,
        is_drill=request.is_drill,
        accepted_at=now,
        deadline=now + periods.longest,
        requested_by=requester.principal,
        door=requester.door,
        look_at=now + periods.send_after,
        on_not_ready=request.on_not_ready,
        verify=request.verify,
        request_id=requester.request_id,
    )
    groups = tuple(_plan_group(number, view, wave, periods) for number, view in enumerate(views))
    parts = tuple(_cut_all(views, request.snapshots))
    return WaveView(replace(wave, status=find_unbegun(groups)), groups, parts)


def is_ready(status: GroupStatus, now: datetime, periods: WavePeriods) -> bool:
    """Tell whether a group is ready, and was verified lately enough."""
    is_fresh = status.verified_at is not None and now - status.verified_at <= periods.max_ready_age
    return status.status is Status.READY and is_fresh


def wave_job(wave: Wave) -> Job:
    """Make a wave's message."""
    return Job(WAVE_ACTOR, wave.wave_id, {"waveId": wave.wave_id, "requestId": wave.request_id})


def explain(state: Status, item: ServerItem | None) -> str:
    """Say why a source server is not ready, to follow the word for its state."""
    # What an earlier generation met says nothing about a member that is pending now.
    if state is not Status.FAILED or item is None or not item.errors:
        return "."
    return f": {item.errors[0].code}: {item.errors[0].message}"


def check_free(views: Sequence[GroupView], hold: Hold, now: datetime) -> None:
    """Refuse, as a Conflict, groups that another wave has."""
    errors = tuple(
        FieldError(
            f"/groupIds/{position}",
            NOT_READY,
            f"{view.head.group_id} is being recovered by {view.status.held_by}. See how far that is, and start the"
            f" wave when it is over.",
            None,
        )
        for position, view in enumerate(views)
        if view.status is not None and not hold.can_take(view.status, now)
    )
    if errors:
        raise Conflict("Another wave has groups that were asked for; see errors.", errors, code=NOT_READY)


def check_snapshots(request: WaveRequest, views: Sequence[GroupView]) -> None:
    """Refuse, as a RequestRefused, snapshots of source servers that are in none of the groups."""
    members = {member for view in views for member in view.definition.source_server_ids}
    errors = tuple(
        FieldError(f"/recoverySnapshotIds/{server}", "INVALID_BODY", f"{server} is no member of these groups.", server)
        for server in request.snapshots
        if server not in members
    )
    if errors:
        raise RequestRefused(
            f"Snapshots are given for {len(errors)} source servers that are no members of the groups.",
            errors,
            code="INVALID_BODY",
        )


def _plan_group(number: int, view: GroupView, wave: Wave, periods: WavePeriods) -> WaveGroup:
    ready = view.status is None or is_ready(view.status, wave.accepted_at, periods)
    # A group that has no launch config has nothing that could be compared.
    starts = ready and (view.status is None or wave.verify is Verify.STORED)
    return WaveGroup(
        number=number,
        group_id=view.head.group_id,
        path=FAST if ready else FALLBACK,
        generation=view.status.generation if view.status else 0,
        config_version=view.head.version,
        state=GroupState.LAUNCHING if starts else GroupState.UNREADY,
    )


def _cut_all(views: Sequence[GroupView], snapshots: Mapping[str, str]) -> Iterator[WavePart]:
    cut = [(view.head.group_id, members) for view in views for members in _cut(view.definition.source_server_ids)]
    for number, (group_id, members) in enumerate(cut):
        chosen = {each: snapshots[each] for each in members if each in snapshots}
        yield WavePart(number, group_id, members, snapshots=chosen or None)


def _cut(members: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(members), PART_SIZE):
        yield members[start : start + PART_SIZE]


def take_groups(planned: WaveView, hold: Hold) -> Iterator[Write]:
    """Take every group as it was read: its members are those of its generation, or of its version where it has none."""
    for group in planned.groups:
        if group.generation:
            launching = group.state is GroupState.LAUNCHING
            yield hold.claim(group.group_id, group.generation, planned.wave.accepted_at, launching=launching)
        else:
            unchanged = Attr("version").eq(group.config_version)
            yield Write("ConditionCheck", "groups", (group.group_id, "group"), condition=unchanged)
