"""
Changing a group: its definition and the generation that follows from it in one transaction, or its end.

An update is laid over the version that the requester read, and over no other. What it leaves as it was is not
applied again; what it changes, adds, or finds not ready is.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from workers.core.contract import Queue
from workers.core.errors import ServiceUnavailable
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import GroupUpdate
from workers.core.requests import Conflict, Requester, group_not_found, unless_deleted
from workers.core.runs.before import Before
from workers.core.runs.members import plan_membership, take_name
from workers.core.runs.opening import check_size, new_event, new_run_id, open_status, put_opening
from workers.core.runs.placing import place
from workers.core.runs.resources import Resources
from workers.core.store.baselines import BaselineStore
from workers.core.store.groups import check_status, put_definition, put_head
from workers.core.store.receipts import Receipt
from workers.core.store.records import GroupEvent, GroupHead, GroupStatus
from workers.core.store.run_writes import put_event
from workers.core.store.runs import Run
from workers.core.store.writes import Write
from workers.core.validation.check import Check
from workers.core.validation.validation import Validation

log = structlog.get_logger()

UPDATE_TRIES = 8


@dataclass(frozen=True, slots=True)
class Reapply:
    """The run that an update led to."""

    run_id: str
    source_server_ids: tuple[str, ...]
    """What it lists, in order."""


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of an update."""

    head: GroupHead
    definition: GroupDefinition
    """What it made the group, at the head's version, whoever changed it since."""
    reapply: Reapply | None
    """None where nothing was to be applied."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a group is to be."""

    definition: GroupDefinition
    force: bool = False
    """Apply to every member, also what is ready."""
    queue: Queue = Queue.NORMAL
    """Where its jobs are sent."""


Choose = Callable[[Before, Check], Awaitable[Wanted | None]]


class Changes:
    """Changes groups that there are."""

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._with = resources
        self._validation = validation

    async def update_group(
        self,
        group_id: str,
        update: GroupUpdate,
        requester: Requester,
        *,
        queue: Queue = Queue.NORMAL,
        check: Check | None = None,
    ) -> Updated:
        """
        Replace a group's definition, and apply what that changes.

        Parameters:
            group_id: The group.
            update: What it is to be, checked.
            requester: Who asks.
            queue: Where its jobs are sent.
            check: What was looked up in its account just now; None asks it.

        Returns:
            The group as it was stored, and the run that follows.

        Raises:
            RequestRefused: There is no such group, or the requester's key was used for another request.
            Conflict: It was changed since the requester read it, its name or a source server is another group's, or
                its account refuses to be asked.
            InvalidBody: It would move to another account or Region, or its account cannot give what changes.
            RetryableError: Its account cannot be asked just now.
            GroupTooLarge: It does not fit into one transaction.
            ServiceUnavailable: The stack's tables are too contended or do not answer; what was not answered may
                have been stored.
        """

        async def choose(before: Before, check: Check) -> Wanted:
            _check_version(before.head, update)
            placed = place(update.definition, before.head, before.definition, self._with.account_id)
            return Wanted(await check.select(placed), force=update.force, queue=queue)

        return await self.replace(group_id, choose, requester, check)

    async def replace(self, group_id: str, choose: Choose, requester: Requester, check: Check | None = None) -> Updated:
        """
        Replace a group's definition by one that follows from what it is, and apply what that changes.

        Parameters:
            group_id: The group.
            choose: Answers what it is to be, each time that it was read; None: what it is.
            requester: Who asks.
            check: What was looked up in its account just now; None asks it.

        Returns:
            The group as it is stored, and the run that follows.

        Raises:
            RequestRefused: There is no such group, or the requester's key was used for another request.
            Conflict: Its name or a source server is another group's, or its account refuses to be asked.
            InvalidBody: Its account cannot give what changes.
            RetryableError: Its account cannot be asked just now.
            GroupTooLarge: It does not fit into one transaction.
            ServiceUnavailable: The stack's tables are too contended or do not answer; what was not answered may
                have been stored.
        """
        change_id, run_id, known = uuid.uuid4().hex, new_run_id(), check or Check(self._validation)

        async def attempt() -> Updated | None:
            before = await self._read(group_id)
            wanted = await choose(before, known)
            if wanted is None:
                return await self._answer(before, requester)
            return await self._try(before, wanted, requester, known, change_id=change_id, run_id=run_id)

        for _ in range(UPDATE_TRIES):
            with unless_deleted(group_id):
                updated = await self._with.receipts.do_once(requester, attempt, self._repeat)
            if updated is not None:
                return updated
        raise ServiceUnavailable(f"Others change {group_id} or groups of its account at the same time. Try again.")

    async def _try(
        self, before: Before, wanted: Wanted, requester: Requester, check: Check, *, change_id: str, run_id: str
    ) -> Updated | None:
        """Store what is wanted over what there is; None where that changed meanwhile."""
        group_id, definition = before.head.group_id, wanted.definition
        now = self._with.clock()
        head = replace(
            before.head, name=definition.name, version=before.head.version + 1, updated_at=now, change_id=change_id
        )
        change = before.find_change(definition)
        # What DRS is launching stays in the index: another group would write to its launch template.
        kept = change.leaving if before.is_launching(now) else frozenset()
        membership = await plan_membership(
            self._with.tables,
            self._with.groups,
            head,
            definition,
            joining=change.joining,
            leaving=change.leaving - kept,
        )
        await check.check(definition, before.find_unchecked(definition, change))
        listed = before.choose_listed(definition, change, force=wanted.force)
        generation = before.status.generation + 1 if before.status else 1
        run = None
        if listed is not None:
            run = await self._with.planner.plan(
                head,
                definition,
                generation=generation,
                listed=listed,
                requester=requester,
                run_id=run_id,
                before=before.status,
                queue=wanted.queue,
            )
        opened = open_status(run, before.servers, before.status, requester) if run else None
        if opened is not None and kept:
            opened = replace(opened, has_leavers=True)
        answering = run or before.find_in_hand(definition, change)
        writes = [
            put_head(head, over=before.head.version),
            *put_definition(group_id, head.version, definition),
            *take_name(head, instead_of=before.head.name),
            *membership,
            *self._open(before, run, opened, new_event("updated", head, requester, now)),
            *await self._with.groups.expire_definitions(group_id, before.find_unused(run), now),
            *self._with.receipts.put(requester, _receipt(head, answering)),
            *(
                self._with.tellings.wait_for(requester, group_id, generation)
                if run
                else self._with.tellings.answer_by(requester, head, before.status)
            ),
        ]
        check_size(writes)
        # Of who was a member before, and is to be one again, nothing was ours in between.
        again = [before.servers[member] for member in change.joining if member in before.servers]
        await BaselineStore(self._with.tables).forget(group_id, again)

        async def is_stored() -> bool:
            stored = await self._with.groups.read_head(group_id)
            return stored is not None and stored.change_id == change_id

        if not await self._with.tables.commit(writes, is_stored):
            return None
        log.info("group.updated", group_id=group_id, version=head.version, reapplied=len(run.listed) if run else 0)
        if run is not None and opened is not None:
            await self._with.sender.send(run, opened)
        if requester.task_token is not None and not (run and run.listed):
            await self._with.sender.wake_sweep()
        return Updated(head, definition, _reapply(answering) if answering else None)

    async def _answer(self, before: Before, requester: Requester) -> Updated | None:
        """Answer that the group is what is wanted; None where the requester's key was taken meanwhile."""
        definition = before.definition
        answering = before.find_in_hand(definition, before.find_change(definition))
        writes = self._with.receipts.put(requester, _receipt(before.head, answering))
        told = self._with.tellings.answer_by(requester, before.head, before.status)
        if told:
            # A task must not begin to wait for a run in the instant after that has settled.
            writes += [check_status(before.head.group_id, before.status), *told]
        if writes and not await self._with.tables.commit(writes, _never_stored):
            return None
        if told:
            await self._with.sender.wake_sweep()
        return Updated(before.head, definition, _reapply(answering) if answering else None)

    async def _read(self, group_id: str) -> Before:
        head = await self._with.groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        status = await self._with.groups.read_status(group_id)
        run = await self._with.runs.read_run(group_id, status.generation) if status else None
        servers = await self._with.runs.read_servers(group_id) if run else {}
        definition = await self._with.groups.read_definition(group_id, head.version)
        return Before(head, definition, status, run, servers)

    def _open(self, before: Before, run: Run | None, opened: GroupStatus | None, event: GroupEvent) -> list[Write]:
        if run is not None and opened is not None:
            return put_opening(run, before.status, opened)
        # A generation that opens meanwhile, over the definition that goes, must not be overlooked.
        return [check_status(before.head.group_id, before.status), put_event(before.head.group_id, event)]

    async def _repeat(self, receipt: Receipt) -> Updated:
        """Answer the version that the first request made: it is kept, whatever the group became since."""
        version = receipt.version
        now = await self._with.groups.read_head(receipt.subject)
        if now is None:
            raise group_not_found(receipt.subject)
        definition = await self._with.groups.read_definition(now.group_id, version)
        head = replace(now, name=definition.name, version=version, updated_at=receipt.at or now.updated_at)
        run = await self._with.runs.read_head(now.group_id, receipt.generation) if receipt.generation else None
        if run is None:
            return Updated(head, definition, None)
        listed = await self._with.runs.read_listed(now.group_id, run.generation)
        return Updated(head, definition, Reapply(run.run_id, listed))


def _check_version(head: GroupHead, update: GroupUpdate) -> None:
    if head.version == update.version:
        return
    raise Conflict(
        f"{head.group_id} has version {head.version}, and this update is laid over version {update.version}."
        " Read the group again and repeat the change on what it is now.",
        code="VERSION_CONFLICT",
    )


def _receipt(head: GroupHead, run: Run | None) -> Receipt:
    return Receipt(head.group_id, run.head.generation if run else 0, at=head.updated_at, version=head.version)


async def _never_stored() -> bool:
    # Nothing came of it but the receipt: the next try finds that.
    return False


def _reapply(run: Run) -> Reapply:
    return Reapply(run.head.run_id, tuple(sorted(run.listed)))
