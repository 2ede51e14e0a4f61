"""Groups made of what DRS and the launch templates hold today. Reads only, paced like everything else."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from workers.core.errors import PermanentError, RetryableError
from workers.core.fleet.held import Held, read_held
from workers.core.fleet.made import Note, gather_notes, make_groups
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition, Target
from workers.core.plan.observed import ObservedTemplate
from workers.core.ports import LaunchConfigurationReads, LaunchTemplateReads, TargetAccounts
from workers.core.preview import ACCOUNT_PROBLEMS, AT_ONCE, PAGED_FROM, cannot_read
from workers.core.store.groups import GroupStore
from workers.core.store.membership import find_owners, read_shards
from workers.core.store.tables import Tables
from workers.core.validation.holdings import SourceServer
from workers.core.validation.validation import Validation, ask_all

PAGE = 1000
Tell = Callable[[int, int], None]
"""Called with how many source servers are read, of how many."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made, and what whoever asked has to know."""

    groups: list[GroupDefinition]
    notes: list[Note]
    unread: list[Note]
    """Source servers that could not be read, with the reasons: no group has them."""


@dataclass(frozen=True, slots=True)
class _Unread:
    source_server_id: str
    reason: str


class LiveImport:
    """Makes groups of what there is."""

    def __init__(
        self,
        *,
        configurations: LaunchConfigurationReads,
        templates: LaunchTemplateReads,
        accounts: TargetAccounts,
        validation: Validation,
        groups: GroupStore,
        tables: Tables,
        account_id: str,
    ) -> None:
        self._configurations = configurations
        self._templates = templates
        self._accounts = accounts
        self._validation = validation
        self._groups = groups
        self._tables = tables
        self._account_id = account_id

    async def read(self, targets: Sequence[Target], *, by_tag: str | None, tell: Tell) -> Imported:
        """
        Make groups of all source servers that are in none.

        Parameters:
            targets: The accounts and Regions to look into.
            by_tag: The key of the tag whose value names the group of a source server; None: one group a target.
            tell: Is told how far it is.

        Returns:
            The groups. Planning one of them finds nothing to do, while nobody changes anything.

        Raises:
            Conflict: An account refuses to be asked.
            RetryableError: An account cannot be asked just now.
        """
        taken = await self._list_names()
        made = Imported([], [], [])
        for each in targets:
            target = replace(each, account_id=each.account_id or self._account_id)
            members, servers = await self._find(target)
            if members:
                text = f"Members of protection groups in {target.account_id}, {target.region} are left out."
                made.notes.append(Note(text, tuple(sorted(members))))
            found = await self._read_all(target, servers, tell)
            held = [server for server in found if isinstance(server, Held)]
            own = target.account_id == self._account_id
            name = target.region if own else f"{target.account_id} {target.region}"
            groups = make_groups(held, target, name, by_tag=by_tag, taken=[*taken, *(g.name for g in made.groups)])
            made.groups.extend(groups)
            made.notes.extend(gather_notes(held))
            made.notes.extend([note for group in groups for note in await self._foresee(group)])
            made.unread.extend(Note(e.reason, (e.source_server_id,)) for e in found if isinstance(e, _Unread))
        return made

    async def _list_names(self) -> list[str]:
        names: list[str] = []
        after = None
        while True:
            page = await self._groups.read_named(PAGE, after)
            names += [name for name, _ in page]
            if len(page) < PAGE:
                return names
            after = page[-1]

    async def _find(self, target: Target) -> tuple[Mapping[str, str], Mapping[str, SourceServer]]:
        """Find who is in a group already, and everybody else."""
        asking = {"servers": self._accounts.list_source_servers(target)}
        servers: Mapping[str, SourceServer] = (await ask_all(target, asking))["servers"]
        shards = await read_shards(self._tables, target.account_id or "", target.region, servers)
        owners = find_owners(shards, servers)
        return owners, {name: each for name, each in servers.items() if name not in owners}

    async def _read_all(
        self, target: Target, servers: Mapping[str, SourceServer], tell: Tell
    ) -> Sequence[Held | _Unread]:
        gate = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def read(member: str, seen: Mapping[str, ObservedTemplate]) -> Held | _Unread:
            nonlocal done
            async with gate:
                held = await self._read(target, member, servers[member], seen)
            done += 1
            tell(done, len(servers))
            return held

        try:
            seen = await self._templates.read_all_defaults(target) if len(servers) > PAGED_FROM else {}
            tasks = [asyncio.create_task(read(member, seen)) for member in sorted(servers)]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        except ACCOUNT_PROBLEMS as problem:
            raise cannot_read(target.account_id or "", target.region, problem) from problem

    async def _read(
        self, target: Target, member: str, server: SourceServer, seen: Mapping[str, ObservedTemplate]
    ) -> Held | _Unread:
        try:
            configuration = await self._configurations.read(target, member)
            template_id = configuration.launch_template_id
            template = seen.get(template_id) or await self._templates.read_default(target, template_id)
        except ACCOUNT_PROBLEMS:
            raise
        except (PermanentError, RetryableError) as error:
            return _Unread(member, f"{error.code}: {error.message}")
        return read_held(member, configuration.values, template.data, server.tags)

    async def _foresee(self, group: GroupDefinition) -> list[Note]:
        """Tell what an apply of the group would be refused for, as its account is."""
        try:
            await self._validation.check(group, group.source_server_ids)
        except InvalidBody as error:
            return [
                Note(
                    f"Applying group {group.name!r} would be refused at {each.pointer}: {each.message}",
                    (each.source_server_id,) if each.source_server_id else (),
                )
                for each in error.errors
            ]
        return []
