"""
Which groups there are and how far their runs are, for who works on hundreds of them at once. Reads only.

What is read is a hint but for the end: the heads of runs count outcomes, and no source server's own item is read. So
500 groups cost 15 calls, where their statuses would cost 3,000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from workers.core.ports import Clock
from workers.core.runs.waiting import read_wait
from workers.core.store.groups import GroupStore, can_be_name
from workers.core.store.records import Counts, GroupHead, GroupStatus, RunHead
from workers.core.store.runs import RunStore

GROUPS_A_CALL = 50
"""Two items each, of 100 that DynamoDB reads at once."""
PAGE = 1000


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is."""

    head: RunHead
    done: int
    """How many of its source servers have their outcome: a hint, never the truth."""
    is_there: bool
    """Whether the group is."""
    waiting_for: str | None
    """What the run waits for, in words; None where nobody noted anything, or it is over."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more comes of it: it has settled, a newer run took its place, or the group is gone."""
        return self.head.outcome is not None or self.head.is_superseded or not self.is_there


class Progress:
    """Reads how far runs are."""

    def __init__(self, groups: GroupStore, runs: RunStore, clock: Clock) -> None:
        self._groups = groups
        self._runs = runs
        self._clock = clock

    async def list_groups(self) -> list[str]:
        """List the ids of all groups, by name; one that was made a moment ago may not be there yet."""
        found: list[tuple[str, str]] = []
        while len(page := await self._groups.read_named(PAGE, found[-1] if found else None)) == PAGE:
            found += page
        return [group_id for _, group_id in (*found, *page)]

    async def find_many(self, groups: Sequence[str]) -> dict[str, str]:
        """
        Find many groups as `Queries.find` does, a hundred a call.

        Parameters:
            groups: What a person calls them.

        Returns:
            What a person calls a group to its id; without those that no group has.
        """
        names = {group: group.strip() for group in groups}
        found = await self._groups.find_many({name for name in names.values() if can_be_name(name)})
        return {group: found[name] for group, name in names.items() if name in found}

    async def read_standings(self, group_ids: Sequence[str]) -> dict[str, tuple[GroupHead, GroupStatus | None]]:
        """
        Read what many groups are, and where they stand as it is stored: of a pending group not how far it is.

        Parameters:
            group_ids: The groups.

        Returns:
            Group to what it is, and its status, None where nothing was ever to be applied; what is gone is left out.
        """
        return await self._groups.read_many(group_ids)

    async def read_members(self, versions: Mapping[str, int]) -> dict[str, frozenset[str]]:
        """
        Read who the members of many groups are.

        Parameters:
            versions: Group to the version of its definition.

        Returns:
            Group to its source servers; one that is gone is left out.
        """
        found = await self._groups.read_many_definitions(versions)
        return {group_id: frozenset(definition.source_server_ids) for group_id, definition in found.items()}

    async def read(self, generations: Mapping[str, int]) -> dict[str, RunProgress]:
        """
        Read how far a run of each of many groups is.

        Parameters:
            generations: Group to the generation of its run.

        Returns:
            Group to how far the run is; without those of which nothing is on record any more.
        """
        # The groups first: of a run that was current then, the head says how it ended since.
        groups = await self._groups.read_many(list(generations))
        heads = await self._runs.read_many_heads(generations)
        now = self._clock()
        return {
            group_id: _measure(head, groups[group_id][1] if group_id in groups else None, now, group_id in groups)
            for group_id, head in heads.items()
        }


def _measure(head: RunHead, status: GroupStatus | None, now: datetime, is_there: bool) -> RunProgress:
    done = head.listed if head.outcome is not None else min(head.done, head.listed)
    if status is None or status.generation != head.generation:
        return RunProgress(head, done, is_there, None)
    # What stands in the status of a pending group is of when its run was opened.
    present = replace(status, counts=Counts(0, 0, head.listed - done))
    return RunProgress(head, done, is_there, read_wait(present, head, now))
