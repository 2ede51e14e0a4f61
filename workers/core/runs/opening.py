"""
The opening of a generation: the values and the writes of its one transaction. No I/O here.

Every write carries the condition under which it was planned, so that a generation is never opened over a state
other than the one that was read.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from workers.core.contract import Queue
from workers.core.model.errors import GroupTooLarge
from workers.core.model.group import GroupDefinition
from workers.core.periods import RunPeriods
from workers.core.requests import Requester
from workers.core.runs.settle import combine_status
from workers.core.status import Status
from workers.core.store.groups import is_status
from workers.core.store.holds import HOLD, hold_of, is_launched_as
from workers.core.store.records import (
    Counts,
    GroupEvent,
    GroupHead,
    GroupStatus,
    Mode,
    RunHead,
    ServerItem,
    to_item,
    to_time,
)
from workers.core.store.run_writes import expire_run, put_run
from workers.core.store.runs import Run
from workers.core.store.writes import REMOVE, Write

SECONDS_A_SERVER = 0.2
"""One token of the scarcest bucket: CreateLaunchTemplateVersion and ModifyLaunchTemplate refill 5/s."""
MAX_OPENING_BYTES = 1_000_000
MAX_OPENING_ITEMS = 30
"""DynamoDB takes 4 MB and 100 items; the rest is left to the shards of the membership index."""


def new_run_id() -> str:
    """Make the id of a new run."""
    return f"run-{uuid.uuid4().hex[:17]}"


def plan_run(
    head: GroupHead,
    definition: GroupDefinition,
    *,
    generation: int,
    listed: frozenset[str],
    requester: Requester,
    now: datetime,
    periods: RunPeriods,
    run_id: str | None = None,
    backlog: int = 0,
    mode: Mode = Mode.APPLY,
    changed_by: str = "",
    begins_at: datetime | None = None,
    queue: Queue = Queue.NORMAL,
) -> Run:
    """
    Plan the run of a new generation: what it lists, and by when it is settled at the latest.

    Parameters:
        head: The group.
        definition: Its definition at the head's version.
        generation: The run's.
        listed: The source servers that it brings to their launch config.
        requester: Who asks.
        now: When it is opened.
        periods: The installation's.
        run_id: Its id, where one was made before; the same for each try of one request.
        backlog: How many source servers the unsettled runs of the same account and Region list: all of them draw
            on the same tokens.
        mode: What it does with them.
        changed_by: Who made the change that it follows from, where that is known.
        begins_at: From when its time counts; None for now.
        queue: Where its jobs are sent.

    Returns:
        The run, not yet stored.
    """
    begins_at = begins_at or now
    run_head = RunHead(
        run_id=run_id or new_run_id(),
        generation=generation,
        config_version=head.version,
        account_id=head.account_id,
        reason=requester.reason,
        requested_by=requester.principal,
        door=requester.door,
        mode=mode,
        changed_by=changed_by,
        listed=len(listed),
        done=0,
        request_id=requester.request_id,
        opened_at=now,
        region=head.region,
        deadline=begins_at + periods.base_deadline + timedelta(seconds=4 * (backlog + len(listed)) * SECONDS_A_SERVER),
        resend_after=begins_at + periods.send_after,
        begins_at=begins_at if begins_at != now else None,
        queue=queue,
    )
    return Run(head.group_id, run_head, listed, definition)


def open_status(
    run: Run, servers: dict[str, ServerItem], before: GroupStatus | None, requester: Requester
) -> GroupStatus:
    """Tell the status that a group has when this run is opened."""
    now = run.head.opened_at
    opened = GroupStatus(
        status=Status.PENDING,
        generation=run.head.generation,
        run_id=run.head.run_id,
        last_applied=now,
        applied_by=requester.principal,
        counts=Counts(0, 0, len(run.listed)),
        digest=run.digest,
        **(hold_of(before) if before else {}),
        watched_at=before.watched_at if before else None,
    )
    # Also with an empty list a generation is pending first: whoever settles it makes the one write that counts.
    return replace(combine_status(run, servers, opened, now), status=Status.PENDING, last_applied=now)


def put_opening(run: Run, before: GroupStatus | None, opened: GroupStatus) -> list[Write]:
    """
    Write a generation: the group's first, or one that follows another and supersedes it if that is unsettled.

    Parameters:
        run: The run of the generation.
        before: The group's status as it was read; None where nothing was ever to be applied.
        opened: Its status from then on.

    Returns:
        Writes that hold only while the status is the one that was read.
    """
    key = (run.group_id, "status")
    values = {name: value for name, value in to_item(opened).items() if name not in HOLD}
    if before is not None and opened.has_leavers and not before.has_leavers:
        values["hasLeavers"] = True
    if before is None:
        status = Write("Put", "groups", key, values, condition=is_status(None))
    else:
        gone = {name: REMOVE for name in ("verifiedAt",) if name not in values}
        as_read = is_status(before) & is_launched_as(before)
        status = Write("Update", "groups", key, {**values, **gone}, condition=as_read)
    writes = [status, *put_run(run.group_id, run.head, run.listed)]
    if before is None:
        return writes
    at, superseded = run.head.opened_at, before.status is Status.PENDING
    said: dict[str, str | int] = {"supersededBy": run.head.generation, "settledAt": to_time(at)} if superseded else {}
    return [*writes, *expire_run(run.group_id, before.generation, at, **said)]


def new_event(kind: str, head: GroupHead, requester: Requester, at: datetime) -> GroupEvent:
    """Make the record of what somebody did to a group without a run: `created`, `updated` or `deleted`."""
    return GroupEvent(
        kind=kind,
        at=at,
        group_name=head.name,
        version=head.version,
        requested_by=requester.principal,
        door=requester.door,
        request_id=requester.request_id,
    )


def check_size(writes: Sequence[Write]) -> None:
    """
    Refuse what no one transaction can hold.

    The shards of the membership index are left out: they hold other groups' source servers too.

    Parameters:
        writes: Those of an opening.

    Raises:
        GroupTooLarge: They are too many or too large.
    """
    puts = [write for write in writes if write.kind == "Put" and write.table != "keys"]
    size = sum(_measure(value) for write in puts for value in write.values.values())
    if size > MAX_OPENING_BYTES:
        raise GroupTooLarge(size, MAX_OPENING_BYTES, "bytes, packed")
    if len(writes) > MAX_OPENING_ITEMS:
        raise GroupTooLarge(len(writes), MAX_OPENING_ITEMS, "items of a transaction")


def _measure(value: object) -> int:
    return len(value) if isinstance(value, bytes) else len(json.dumps(value))
