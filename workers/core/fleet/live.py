"""Groups made of what DRS and the launch templates hold today. Reads only, paced like everything else."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from workers.core.errors import PermanentError, PrelaunchError, RetryableError
from workers.core.fleet.held import Held, read_held
from workers.core.fleet.made import Note, gather_notes, make_groups
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition, Target
from workers.core.plan.observed import ObservedTemplate
from workers.core.ports import LaunchConfigurationReads, LaunchTemplateReads
from workers.core.preview import ACCOUNT_PROBLEMS, AT_ONCE, PAGED_FROM, cannot_read
from workers.core.requests import Conflict, RequestRefused
from workers.core.store.groups import GroupStore
from workers.core.store.membership import find_owners, read_shards
from workers.core.store.tables import Tables
from workers.core.validation.findings import describe
from workers.core.validation.holdings import SourceServer
from workers.core.validation.validation import Validation

PAGE = 1000
NO_ANSWER = (Conflict, RetryableError, PermanentError)
"""What becomes of asking an account that concerns this account alone."""
Tell = Callable[[int, int], None]
"""Called with how many source servers are read, of how many."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made, and what whoever asked has to know."""

    groups: list[GroupDefinition]
    notes: list[Note]
    unread: list[Note]
    """What could not be read, with the reasons: accounts and Regions, and single source servers. No group has any."""
    unchecked: list[Note]
    """Groups of which the account does not say whether they could be applied, with the reasons."""


@dataclass(frozen=True, slots=True)
class _Unread:
    source_server_id: str
    reason: str


class _NotAnswered(Exception):
    """An account and Region did not answer what was asked; its cause says why. Others may."""


class LiveImport:
    """Makes groups of what there is."""

    def __init__(
        self,
        *,
        configurations: LaunchConfigurationReads,
        templates: LaunchTemplateReads,
        validation: Validation,
        groups: GroupStore,
        tables: Tables,
        account_id: str,
    ) -> None:
        self._configurations = configurations
        self._templates = templates
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
            Conflict: Every account refuses to be asked. One that refuses among others is told of as not read.
            RetryableError: None can be asked just now, or our own tables do not answer.
        """
        taken = await self._list_names()
        made = Imported([], [], [], [])
        failures: list[Exception] = []
        # Named twice, or once as our own account: its source servers would be in two groups.
        places = list(dict.fromkeys(replace(each, account_id=each.account_id or self._account_id) for each in targets))
        for target in places:
            try:
                await self._add(made, target, by_tag, tell, taken)
            except _NotAnswered as error:
                cause = error.args[0]
                failures.append(cause)
                made.unread.append(Note(f"{describe(target)}: {_explain(cause)}"))
        if failures and len(failures) == len(places):
            raise _join(failures)
        return made

    async def _add(
        self, made: Imported, target: Target, by_tag: str | None, tell: Tell, taken: Collection[str]
    ) -> None:
        """Add what one account and Region holds; nothing is added where it does not answer."""
        with _asking():
            servers = await self._validation.list_source_servers(target)
        shards = await read_shards(self._tables, target.account_id or "", target.region, servers)
        owners = find_owners(shards, servers)
        with _asking():
            free = {name: each for name, each in servers.items() if name not in owners}
            found = await self._read_all(target, free, tell)
        if owners:
            text = f"Members of protection groups in {target.account_id}, {target.region} are left out."
            made.notes.append(Note(text, tuple(sorted(owners))))
        held = [server for server in found if isinstance(server, Held)]
        own = target.account_id == self._account_id
        name = target.region if own else f"{target.account_id} {target.region}"
        groups = make_groups(held, target, name, by_tag=by_tag, taken=[*taken, *(g.name for g in made.groups)])
        made.groups.extend(groups)
        made.notes.extend(gather_notes(held))
        for group in groups:
            await self._foresee(group, made)
        made.unread.extend(Note(e.reason, (e.source_server_id,)) for e in found if isinstance(e, _Unread))

    async def _list_names(self) -> list[str]:
        names: list[str] = []
        after = None
        while True:
            page = await self._groups.read_named(PAGE, after)
            names += [name for name, _ in page]
            if len(page) < PAGE:
                return names
            after = page[-1]

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

    async def _foresee(self, group: GroupDefinition, made: Imported) -> None:
        """Tell what an apply of the group would be refused for, as its account is."""
        try:
            await self._validation.check(group, group.source_server_ids)
        except InvalidBody as error:
            made.notes.extend(
                Note(
                    f"Applying group {group.name!r} would be refused at {each.pointer}: {each.message}",
                    (each.source_server_id,) if each.source_server_id else (),
                )
                for each in error.errors
            )
        except NO_ANSWER as error:
            made.unchecked.append(Note(f"{group.name!r}: {_explain(error)}"))


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except NO_ANSWER as error:
        raise _NotAnswered(error) from error


def _explain(error: Exception) -> str:
    match error:
        case RequestRefused():
            return " ".join(each.message for each in error.errors) or error.detail
        case PrelaunchError():
            return f"{error.code}: {error.message}"
    raise TypeError(f"{type(error).__name__} is no answer of an account.") from error


def _join(failures: Sequence[Exception]) -> Exception:
    """Make one error of the reasons for which no account could be read."""
    refusals = [each for each in failures if isinstance(each, Conflict)]
    if not refusals or len(failures) == 1:
        return failures[0]
    told = " ".join(_explain(each) for each in failures)
    return Conflict(told, tuple(error for each in refusals for error in each.errors), code=refusals[0].code)
