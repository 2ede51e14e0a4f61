"""
Changing a group: its definition and the generation that follows from it in one transaction, or its end.

An update is laid over the version that the requester read, and over no other. What it leaves as it was is not
applied again; what it changes, adds, or finds not ready is.
"""

import uuid
from dataclasses import dataclass, replace

import structlog

from workers.core.errors import ServiceUnavailable
from workers.core.model.digest import digest_launch_config
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition, GroupUpdate
from workers.core.requests import Conflict, Requester, group_not_found, unless_deleted
from workers.core.runs.members import check_access, plan_membership, take_name
from workers.core.runs.opening import check_size, new_event, new_run_id, open_status, put_opening
from workers.core.runs.resources import Resources
from workers.core.runs.selection import Change, find_change
from workers.core.status import Status
from workers.core.store.baselines import forget_baselines
from workers.core.store.groups import check_status, put_definition, put_head
from workers.core.store.receipts import Receipt
from workers.core.store.records import GroupEvent, GroupHead, GroupStatus, ServerItem
from workers.core.store.run_writes import put_event
from workers.core.store.runs import Run
from workers.core.store.writes import Write
from workers.core.validation.validation import Check, Validation

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
class _Before:
    """A group as it was read, for one try."""

    head: GroupHead
    definition: GroupDefinition
    status: GroupStatus | None
    run: Run | None
    servers: dict[str, ServerItem]

    def find_change(self, definition: GroupDefinition) -> Change:
        if self.run is None:
            return find_change(_hash_configs(self.definition), _hash_configs(definition), {})
        # A definition that came after the run without a generation of its own asks for the same.
        statuses = self.run.read_statuses(self.servers)
        return find_change(self.run.config_hashes, _hash_configs(definition), statuses)

    def find_unchecked(self, definition: GroupDefinition, change: Change) -> frozenset[str]:
        """Name the members of which the account was not asked when what is wanted of them was stored."""
        if definition.target != self.definition.target:
            return frozenset(definition.source_server_ids)
        return change.joining | change.changed

    def is_in_hand(self, definition: GroupDefinition, change: Change) -> bool:
        """Tell whether the current run does already what there is to do, in the same way."""
        if self.run is None or change.needs_generation or self.run.target != definition.target:
            return False
        return bool(change.listed) and change.listed <= self.run.listed and self.is_pending()

    def is_pending(self) -> bool:
        return self.status is not None and self.status.status is Status.PENDING

    def find_unused(self, opened: Run | None) -> set[int]:
        """Name the versions that are nobody's any more once the update is stored."""
        current = opened or self.run
        used = {current.head.config_version} if current else set()
        return {self.head.version, *({self.run.head.config_version} if self.run else ())} - used

    def choose_listed(self, definition: GroupDefinition, change: Change, *, force: bool) -> frozenset[str] | None:
        """Choose what the generation that the update needs lists; None where it needs none."""
        everyone = frozenset(definition.source_server_ids)
        if self.status is None:
            # Nothing was ever to be applied: now everything is, or still nothing.
            return everyone if definition.has_launch_config() else None
        if force:
            return everyone
        if change.needs_generation or (change.listed and not self.is_in_hand(definition, change)):
            return change.listed
        return None


class Changes:
    """Changes groups that there are."""

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._with = resources
        self._validation = validation

    async def update_group(self, group_id: str, update: GroupUpdate, requester: Requester) -> Updated:
        """
        Replace a group's definition, and apply what that changes.

        Parameters:
            group_id: The group.
            update: What it is to be, checked.
            requester: Who asks.

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
        change_id, run_id, check = uuid.uuid4().hex, new_run_id(), Check(self._validation)
        for _ in range(UPDATE_TRIES):
            with unless_deleted(group_id):
                updated = await self._with.receipts.do_once(
                    requester,
                    lambda: self._try_update(group_id, update, requester, check, change_id=change_id, run_id=run_id),
                    lambda receipt: self._repeat(receipt, update.version + 1),
                )
            if updated is not None:
                return updated
        raise ServiceUnavailable(f"Others change {group_id} or groups of its account at the same time. Try again.")

    async def _try_update(
        self, group_id: str, update: GroupUpdate, requester: Requester, check: Check, *, change_id: str, run_id: str
    ) -> Updated | None:
        """Store the update over what there is; None where that changed meanwhile."""
        before = await self._read(group_id)
        _check_version(before.head, update)
        definition = await check.select(self._place(update.definition, before))
        now = self._with.clock()
        head = replace(
            before.head, name=definition.name, version=update.version + 1, updated_at=now, change_id=change_id
        )
        change = before.find_change(definition)
        membership = await plan_membership(
            self._with.tables, head, definition, joining=change.joining, leaving=change.leaving
        )
        await check.check(definition, before.find_unchecked(definition, change))
        listed = before.choose_listed(definition, change, force=update.force)
        generation = before.status.generation + 1 if before.status else 1
        run = None
        if listed is not None:
            run = await self._with.planner.plan(
                head, definition, generation=generation, listed=listed, requester=requester, run_id=run_id
            )
        opened = open_status(run, before.servers, before.status, requester) if run else None
        answering = run or (before.run if before.is_in_hand(definition, change) else None)
        writes = [
            put_head(head, over=update.version),
            *put_definition(group_id, head.version, definition),
            *take_name(head, instead_of=before.head.name),
            *membership,
            *self._open(before, run, opened, new_event("updated", head, requester, now)),
            *await self._with.groups.expire_definitions(group_id, before.find_unused(run), now),
            *self._with.receipts.put(
                requester, Receipt(group_id, answering.head.generation if answering else 0, at=head.updated_at)
            ),
        ]
        check_size(writes)
        # Of who was a member before, and is to be one again, nothing was ours in between.
        again = [before.servers[member] for member in change.joining if member in before.servers]
        await forget_baselines(self._with.tables, group_id, again)

        async def is_stored() -> bool:
            stored = await self._with.groups.read_head(group_id)
            return stored is not None and stored.change_id == change_id

        if not await self._with.tables.commit(writes, is_stored):
            return None
        log.info("group.updated", group_id=group_id, version=head.version, reapplied=len(run.listed) if run else 0)
        if run is not None and opened is not None:
            await self._with.sender.send(run, opened)
        return Updated(head, definition, _reapply(answering) if answering else None)

    async def _read(self, group_id: str) -> _Before:
        head = await self._with.groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        status = await self._with.groups.read_status(group_id)
        run = await self._with.runs.read_run(group_id, status.generation) if status else None
        servers = await self._with.runs.read_servers(group_id) if run else {}
        definition = await self._with.groups.read_definition(group_id, head.version)
        return _Before(head, definition, status, run, servers)

    def _place(self, wanted: GroupDefinition, before: _Before) -> GroupDefinition:
        """Complete a definition by what an update cannot say or need not repeat."""
        head, target = before.head, wanted.target
        moved = [
            FieldError(
                pointer,
                "INVALID_BODY",
                f"{head.group_id} stays in {what} {old}, where its source servers are. Create another group in {new}.",
                None,
            )
            for pointer, what, old, new in (
                ("/region", "Region", head.region, target.region),
                ("/accountId", "account", head.account_id, target.account_id or head.account_id),
            )
            if old != new
        ]
        if moved:
            raise InvalidBody(tuple(moved))
        check_access(wanted, head.account_id, self._with.account_id)
        kept = target.external_id or (before.definition.target.external_id if target.assume_role_name else None)
        return replace(wanted, target=replace(target, account_id=head.account_id, external_id=kept))

    def _open(self, before: _Before, run: Run | None, opened: GroupStatus | None, event: GroupEvent) -> list[Write]:
        if run is not None and opened is not None:
            return put_opening(run, before.status, opened)
        # A generation that opens meanwhile, over the definition that goes, must not be overlooked.
        return [check_status(before.head.group_id, before.status), put_event(before.head.group_id, event)]

    async def _repeat(self, receipt: Receipt, version: int) -> Updated:
        """Answer the version that the first request made: it is kept, whatever the group became since."""
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


def _hash_configs(definition: GroupDefinition) -> dict[str, str]:
    return {member: digest_launch_config(definition.effective(member)) for member in definition.source_server_ids}


def _reapply(run: Run) -> Reapply:
    return Reapply(run.head.run_id, tuple(sorted(run.listed)))
