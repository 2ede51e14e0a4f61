"""The groups of an account and Region that can be watched, as they stand: read before anything of AWS's is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from workers.core.errors import GroupDeleted
from workers.core.model.group import GroupDefinition
from workers.core.status import Status
from workers.core.store.groups import GroupStore
from workers.core.store.membership import find_owners, read_shards
from workers.core.store.records import GroupHead, GroupStatus, ServerItem
from workers.core.store.runs import Run, RunStore
from workers.core.store.tables import Tables

GROUPS_A_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """A settled group that nobody holds: what its source servers had when they were verified."""

    head: GroupHead
    status: GroupStatus
    run: Run
    servers: dict[str, ServerItem]
    definition: GroupDefinition
    """What the members were verified against: that of the generation. The way into the account, and whether drift is
    repaired, are the group's of now: an update of these has no generation of its own."""

    def find_ready(self) -> list[str]:
        """Name the members that are ready: of what has failed it is known that it is not as it is wanted."""
        statuses = self.run.read_statuses(self.servers)
        return sorted(member for member, status in statuses.items() if status is Status.READY)


class Standings:
    """Reads groups for the watch."""

    def __init__(self, tables: Tables, groups: GroupStore, runs: RunStore) -> None:
        self._tables = tables
        self._groups = groups
        self._runs = runs

    async def list_all(self) -> AsyncIterator[tuple[GroupHead, GroupStatus | None]]:
        """List every group, and where it stands; one that was made a moment ago may be missing."""
        after: tuple[str, str] | None = None
        while True:
            named = await self._groups.read_named(GROUPS_A_PAGE, after)
            for found in (await self._groups.read_many([group_id for _, group_id in named])).values():
                yield found
            if len(named) < GROUPS_A_PAGE:
                return
            after = named[-1]

    async def find(self, account_id: str, region: str) -> list[Standing]:
        """
        Find the groups of an account and Region that can be watched.

        Parameters:
            account_id: The account.
            region: The Region.

        Returns:
            Those that are ready or have failed; what is pending is at work on, and what a wave holds is launched from.
        """
        found = [
            await self._read(head, status, await self._runs.read_servers(head.group_id))
            async for head, status in self.list_all()
            if (head.account_id, head.region) == (account_id, region) and status is not None and _can_be_watched(status)
        ]
        return [standing for standing in found if standing is not None]

    async def find_one(self, account_id: str, region: str, source_server_id: str) -> Standing | None:
        """
        Find the group of one source server, if it can be watched, and of its source servers read only this one.

        Parameters:
            account_id: The account.
            region: The Region.
            source_server_id: The source server.

        Returns:
            The group; None where there is none, or it cannot be watched.
        """
        asked = [source_server_id]
        owners = find_owners(await read_shards(self._tables, account_id, region, asked), asked)
        for head, status in (await self._groups.read_many([*owners.values()])).values():
            if status is not None and _can_be_watched(status):
                item = await self._runs.read_server(head.group_id, source_server_id)
                return await self._read(head, status, {source_server_id: item} if item is not None else {})
        return None

    async def complete(self, standing: Standing) -> Standing:
        """Read the source servers that `find_one` left out; they stand as they did while the status does."""
        return replace(standing, servers=await self._runs.read_servers(standing.head.group_id))

    async def read_launch_templates(self, account_id: str, region: str) -> dict[str, str]:
        """
        Read whose launch templates those of an account and Region are, as they were last verified.

        Parameters:
            account_id: The account.
            region: The Region.

        Returns:
            Launch template id to source server id, also of groups that cannot be watched just now.
        """
        owners: dict[str, str] = {}
        async for head, _ in self.list_all():
            if (head.account_id, head.region) == (account_id, region):
                for item in (await self._runs.read_servers(head.group_id)).values():
                    if item.launch_template_id:
                        owners[item.launch_template_id] = item.source_server_id
        return owners

    async def _read(self, head: GroupHead, status: GroupStatus, servers: dict[str, ServerItem]) -> Standing | None:
        run = await self._runs.read_run(head.group_id, status.generation)
        if run is None:
            # Deleted since the list was read.
            return None
        try:
            now = await self._groups.read_definition(head.group_id, head.version)
        except GroupDeleted:
            return None
        definition = replace(run.definition, target=now.target, auto_repair=now.auto_repair)
        return Standing(head, status, run, servers, definition)


def _can_be_watched(status: GroupStatus) -> bool:
    return status.status in {Status.READY, Status.FAILED} and status.held_by is None
