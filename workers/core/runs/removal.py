"""
Deleting a group: one transaction ends it for every reader; what is left of its items goes after that.

What was done to it stays on record: the heads and lists of its runs, and who deleted it. Jobs that are under way
find no group and are acknowledged; what one of them records all the same, its worker takes back. Whoever dies over
that leaves it to the sweeper, which clears every deleted group once more, the period `clear_after` later. By then who
was at work on it has come to an end, unless its process was stopped for longer: that one can still record a source
server when it goes on, and takes that back itself. If it dies in between the item stays, which no reader finds.
"""

from datetime import datetime
from functools import partial

import structlog

from workers.core.clock import say_time
from workers.core.errors import ServiceUnavailable
from workers.core.periods import RunPeriods
from workers.core.requests import Conflict, Requester, group_not_found, unless_deleted
from workers.core.runs.members import give_name_back, plan_freeing, plan_membership
from workers.core.runs.opening import new_event
from workers.core.runs.resources import Resources
from workers.core.store.groups import GroupStore, check_status, delete_head
from workers.core.store.holds import delete_status
from workers.core.store.receipts import Receipt
from workers.core.store.records import GroupEvent, GroupHead, GroupStatus, to_time
from workers.core.store.run_writes import expire_run, put_clearing, put_event
from workers.core.store.runs import RunStore
from workers.core.store.writes import Write
from workers.core.wave_plan import NOT_READY

log = structlog.get_logger()

DELETE_TRIES = 8


class Removal:
    """Deletes groups."""

    def __init__(self, resources: Resources, periods: RunPeriods) -> None:
        self._with = resources
        self._periods = periods

    async def delete_group(self, group_id: str, requester: Requester, *, version: int | None = None) -> None:
        """
        Delete a group; its source servers and what was applied to them stay as they are.

        Parameters:
            group_id: The group.
            requester: Who asks; with a key, a repetition of what deleted it is no error.
            version: The one that is to be deleted, and no other; None: whichever there is.

        Raises:
            NotFound: There is no such group.
            Conflict: `NOT_READY`: a wave launches it; `VERSION_CONFLICT`: it has another version.
            ServiceUnavailable: The stack's tables are too contended or do not answer.
        """
        await self._with.receipts.do_once(requester, partial(self._delete, group_id, requester, version), _leave)

    async def _delete(self, group_id: str, requester: Requester, version: int | None) -> None:
        for _ in range(DELETE_TRIES):
            head = await self._with.groups.read_head(group_id)
            if head is None:
                raise group_not_found(group_id)
            _check_version(head, version)
            with unless_deleted(group_id):
                writes = await self._plan(head, requester)
            if await self._with.tables.commit(writes, lambda: self._is_gone(group_id)):
                break
        else:
            raise ServiceUnavailable(f"Others change {group_id} or groups of its account at the same time. Try again.")
        log.info("group.deleted", group_id=group_id)
        try:
            await clear_group(group_id, self._with.groups, self._with.runs)
        except ServiceUnavailable as error:
            # No reader finds them without the group.
            log.warning("group.not_cleared", group_id=group_id, error=error.message)

    async def _plan(self, head: GroupHead, requester: Requester) -> list[Write]:
        status = await self._with.groups.read_status(head.group_id)
        event = new_event("deleted", head, requester, self._with.clock())
        if status is not None:
            _check_launched(head.group_id, status, event.at)
        return [
            delete_head(head),
            give_name_back(head.group_id, head.name),
            *await self._plan_leaving(head, status),
            *_end(head, status, event),
            *(self._with.tellings.group_deleted(head, status, event.at) if status is not None else []),
            put_event(head.group_id, event),
            put_clearing(head.group_id, event.at + self._periods.clear_after),
            *self._with.receipts.put(requester, Receipt(head.group_id)),
        ]

    async def _plan_leaving(self, head: GroupHead, status: GroupStatus | None) -> list[Write]:
        """Take its members out of the index, and who left while it was launched."""
        definition = await self._with.groups.read_definition(head.group_id, head.version)
        if status is not None and status.has_leavers:
            return await plan_freeing(self._with.tables, head)
        members = definition.source_server_ids
        return await plan_membership(
            self._with.tables, self._with.groups, head, definition, joining=(), leaving=members
        )

    async def _is_gone(self, group_id: str) -> bool:
        return await self._with.groups.read_head(group_id) is None


async def clear_group(group_id: str, groups: GroupStore, runs: RunStore) -> None:
    """
    Delete what is left of a deleted group but its history.

    Parameters:
        group_id: The group, which no reader finds any more.
        groups: The stack's.
        runs: The stack's.
    """
    await runs.delete_servers(group_id)
    await groups.delete_definitions(group_id)


async def _leave(_receipt: Receipt) -> None:
    """Repeat nothing: the group is deleted."""


def _check_version(head: GroupHead, version: int | None) -> None:
    if version in {None, head.version}:
        return
    raise Conflict(
        f"{head.group_id} has version {head.version}, and version {version} of it was to be deleted. Look at what it is"
        " now.",
        code="VERSION_CONFLICT",
    )


def _check_launched(group_id: str, status: GroupStatus, now: datetime) -> None:
    if status.held_until is None or not status.is_launching(now):
        return
    # Its source servers would be free, and what they join would write to what DRS has still to read.
    raise Conflict(
        f"{group_id} is being launched by {status.held_by}: until every launch is final, by"
        f" {say_time(status.held_until)} at the latest, DRS may read the launch templates of its source servers. See"
        f" how far {status.held_by} is, and delete the group when it is over.",
        code=NOT_READY,
    )


def _end(head: GroupHead, status: GroupStatus | None, event: GroupEvent) -> list[Write]:
    if status is None:
        return [check_status(head.group_id, None)]
    return [
        delete_status(head.group_id, status),
        *expire_run(head.group_id, status.generation, event.at, deletedAt=to_time(event.at)),
    ]
