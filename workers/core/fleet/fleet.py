"""
A file of groups against the stack: read what there is, plan what the file changes, check it, make the changes.

Nothing is stored before the whole file was found right, in itself and in every account. From then on each group is
changed by itself: what somebody else changed meanwhile is refused for that group, and the others go on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from workers.core.contract import Queue
from workers.core.errors import GroupDeleted, PrelaunchError, ServiceUnavailable
from workers.core.fleet.changes import GroupChange, compare, remove
from workers.core.fleet.checks import FleetChecks, opens_run, place_refusal
from workers.core.fleet.conflicts import find_file_conflicts
from workers.core.fleet.file import FleetText, place_in_file, sort_by_place
from workers.core.fleet.order import Step, order_changes
from workers.core.fleet.outcome import Outcome
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import GroupUpdate, InvalidGroup
from workers.core.model.selection import InvalidSelection
from workers.core.requests import Conflict, Requester, RequestRefused, group_not_found
from workers.core.runs.change import Changes, Updated
from workers.core.runs.completion import Completion
from workers.core.runs.members import check_access
from workers.core.runs.placing import place
from workers.core.runs.removal import Removal
from workers.core.runs.resources import Resources
from workers.core.runs.submission import Submission
from workers.core.store.membership import find_owners, read_shards
from workers.core.store.records import GroupHead, GroupStatus
from workers.core.validation.check import Check, Selection
from workers.core.validation.validation import Validation

AT_ONCE = 8
"""Groups that are read or checked at the same time."""
PAGE = 1000
READ_TRIES = 10
T = TypeVar("T")
R = TypeVar("R")


class Fleet:
    """The groups of a stack, all together."""

    def __init__(
        self,
        resources: Resources,
        *,
        submission: Submission,
        completion: Completion,
        changes: Changes,
        removal: Removal,
        validation: Validation,
    ) -> None:
        self._with = resources
        self._submission = submission
        self._completion = completion
        self._changes = changes
        self._removal = removal
        self._validation = validation
        self._checks = FleetChecks(validation)

    async def read(self, group_ids: Collection[str] | None = None) -> list[GroupDefinition]:
        """
        Read the definitions of groups.

        Parameters:
            group_ids: The groups; None for all of the stack.

        Returns:
            The definitions, by name.

        Raises:
            NotFound: There is no such group.
        """
        found = await self._list_ids() if group_ids is None else list(group_ids)
        pairs = await _each(found, self._read_group)
        if group_ids is not None:
            missing = [each for each, pair in zip(found, pairs, strict=True) if pair is None]
            if missing:
                raise group_not_found(missing[0])
        return sorted((pair[1] for pair in pairs if pair is not None), key=lambda each: each.name)

    async def find_named(self, name: str) -> str | None:
        """Find the id of the group of exactly this name; None where no group has it."""
        return await self._with.groups.find_named(name)

    async def plan(self, text: FleetText, *, prune: bool) -> list[GroupChange]:
        """
        Plan what a file changes, and check all of it. Nothing is written.

        Of a file that is wrong in itself what is right is checked against stack and accounts all the same: everything
        that is wrong comes at once.

        Parameters:
            text: What stands in the file.
            prune: Whether groups that are not in it are to be deleted.

        Returns:
            One change a group of the file, then those of groups that are to be deleted.

        Raises:
            InvalidBody: Something is wrong; it carries every error, with pointers into the file.
            Conflict: A source server is another group's, or an account refuses to be asked.
            RetryableError: An account cannot be asked just now.
        """
        selection = Selection(self._validation, asks_again=False)
        looked = await _each(list(text.groups.items()), lambda indexed: self._look(*indexed, selection))
        planned = [each for each in looked if not isinstance(each, PrelaunchError)]
        changes = [change for change, errors in planned if change is not None and not errors]
        in_doubt = text.wrong_names | {each.name for each in text.groups.values()} - {each.name for each in changes}
        partly_right = [change for change, errors in planned if change is not None and errors]
        if prune and text.is_named:
            changes += await self._plan_removals({*text.wrong_names, *(each.name for each in text.groups.values())})
        owners = await self._find_owners(changes, in_doubt) if text.is_named else {}
        conflicts = find_file_conflicts(changes, owners, await self._find_launching(set(owners.values())))
        more = await self._complete(text.partly_wrong, selection)
        wrong = [*text.errors, *(error for _, errors in planned for error in errors), *more, *conflicts]
        try:
            for each in looked:
                if isinstance(each, PrelaunchError):
                    raise each
            wrong += await self._checks.find_faults([*changes, *partly_right])
        except PrelaunchError:
            # What is wrong in any case is told also where an account cannot be asked.
            _refuse(sort_by_place(wrong))
            raise
        _refuse(sort_by_place(wrong))
        return changes

    async def apply(self, changes: Sequence[GroupChange], requester: Requester) -> AsyncIterator[Outcome]:
        """
        Make the changes that were planned, one group after the other.

        Parameters:
            changes: As they were planned.
            requester: Who asks.

        Yields:
            What became of each change, in the order in which they were made.
        """
        released: dict[str, Updated] = {}
        failed: set[str] = set()
        # Several groups are bulk work: whoever asks for one group meanwhile does not wait behind them.
        queue = Queue.BULK if sum(map(opens_run, changes)) > 1 else Queue.NORMAL
        checks = await self._checks.look_up(changes)
        for step in order_changes(changes):
            change = step.change
            if change.name in failed:
                # It could not let go: the rest of its change would be refused for the same reason.
                continue
            before = released.get(change.name)
            group_id = change.head.group_id if change.head is not None else ""
            try:
                updated = await self._do(step, before, requester, queue, checks.get(change.name))
            except (InvalidBody, GroupTooLarge, RequestRefused, PrelaunchError) as error:
                failed.add(change.name)
                yield Outcome(change, group_id, released=before, error=error)
                continue
            if step.only_release is not None and updated is not None:
                released[change.name] = updated
                continue
            yield Outcome(change, updated.head.group_id if updated is not None else group_id, updated)

    async def _do(
        self, step: Step, before: Updated | None, requester: Requester, queue: Queue, check: Check | None
    ) -> Updated | None:
        change = step.change
        if change.wanted is not None and change.head is None:
            head = await self._submission.create_group(change.wanted, requester, queue=queue, check=check)
            return Updated(head, change.wanted, None)
        if change.head is None:
            raise ValueError("A change that creates nothing is one of a group that is there.")
        group_id, version = change.head.group_id, before.head.version if before is not None else change.head.version
        if change.wanted is None:
            await self._removal.delete_group(group_id, requester, version=version)
            return None
        update = GroupUpdate(step.only_release or change.wanted, version, force=False)
        return await self._changes.update_group(group_id, update, requester, queue=queue, check=check)

    async def _list_ids(self) -> list[str]:
        ids: list[str] = []
        after = None
        while True:
            named = await self._with.groups.read_named(PAGE, after)
            ids += [group_id for _, group_id in named]
            if len(named) < PAGE:
                return ids
            after = named[-1]

    async def _read_group(self, group_id: str) -> tuple[GroupHead, GroupDefinition] | None:
        """Read a group as it is at one version; None where it is gone."""
        for _ in range(READ_TRIES):
            head = await self._with.groups.read_head(group_id)
            if head is None:
                return None
            try:
                return head, await self._with.groups.read_definition(group_id, head.version)
            except GroupDeleted:
                # Deleted, or its definition became history in between: the next look tells.
                continue
        raise ServiceUnavailable(f"{group_id} changes faster than it can be read. Try again.")

    async def _look(
        self, index: int, wanted: GroupDefinition, selection: Selection
    ) -> tuple[GroupChange | None, Sequence[FieldError]] | PrelaunchError:
        try:
            return await self._plan_group(index, wanted, selection)
        except PrelaunchError as error:
            return error

    async def _plan_group(
        self, index: int, wanted: GroupDefinition, selection: Selection
    ) -> tuple[GroupChange | None, Sequence[FieldError]]:
        head = stored = None
        try:
            group_id = await self._with.groups.find_named(wanted.name)
            found = await self._read_group(group_id) if group_id is not None else None
            if found is None:
                account_id = wanted.target.account_id or self._with.account_id
                check_access(wanted, account_id, self._with.account_id)
                placed = replace(wanted, target=replace(wanted.target, account_id=account_id))
            else:
                head, stored = found
                placed = place(wanted, head, stored, self._with.account_id)
            return compare(await selection.select(placed), index, head, stored), ()
        except InvalidSelection as error:
            return compare(error.selected, index, head, stored), place_refusal(error, index)
        except (InvalidBody, GroupTooLarge, RequestRefused) as error:
            return None, place_refusal(error, index)

    async def _complete(self, partly_wrong: Mapping[int, InvalidGroup], selection: Selection) -> list[FieldError]:
        """Find what the accounts of groups that are wrong in themselves cannot give to the rest of them."""
        groups = list(partly_wrong.values())
        group_ids = await _each([each.partly.definition.name if each.partly else "" for each in groups], self._find_id)
        more = await self._completion.find_more(list(zip(groups, group_ids, strict=True)), selection)
        found = zip(partly_wrong, more, strict=True)
        return [error for index, errors in found for error in place_in_file(errors, index)]

    async def _find_id(self, name: str) -> str | None:
        return await self._with.groups.find_named(name) if name else None

    async def _plan_removals(self, kept: Collection[str]) -> list[GroupChange]:
        pairs = await _each(await self._list_ids(), self._read_group)
        removals = [remove(*pair) for pair in pairs if pair is not None and pair[0].name not in kept]
        return sorted(removals, key=lambda each: each.name)

    async def _find_owners(
        self, changes: Iterable[GroupChange], in_doubt: Collection[str]
    ) -> dict[tuple[str, str, str], str]:
        """Find whose the joining source servers are; not those of a group of which nobody knows what it is to keep."""
        unknown = set(await _each(sorted(in_doubt), self._with.groups.find_named))
        joining: dict[tuple[str, str], list[str]] = {}
        for change in changes:
            joining.setdefault(change.place, []).extend(change.joining)
        owners = {}
        for (account_id, region), members in joining.items():
            shards = await read_shards(self._with.tables, account_id, region, members)
            found = find_owners(shards, members)
            owners.update({(account_id, region, each): owner for each, owner in found.items() if owner not in unknown})
        return owners

    async def _find_launching(self, group_ids: Collection[str]) -> dict[str, GroupStatus]:
        found, now = await self._with.groups.read_many(sorted(group_ids)), self._with.clock()
        statuses = {group_id: status for group_id, (_, status) in found.items()}
        return {each: status for each, status in statuses.items() if status is not None and status.is_launching(now)}


async def _each(items: Sequence[T], do: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do the same with many things, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with gate:
            return await do(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _refuse(errors: Sequence[FieldError]) -> None:
    """Refuse the file: as wrong in itself, unless all of it only stands against what there is."""
    if not errors:
        return
    if any(each.code.startswith("INVALID_") for each in errors):
        raise InvalidBody(tuple(errors))
    raise Conflict(f"Nothing was changed. {errors[0].message}", tuple(errors), code=errors[0].code)
