"""All that is wrong with groups' bodies at once: also what their accounts cannot give to the part that is right."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from workers.core.errors import GroupDeleted, PrelaunchError
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import MAX_SERVERS, GroupDefinition, Target
from workers.core.model.group_conflicts import ConfiguredServer, find_group_conflicts
from workers.core.model.group_parse import InvalidGroup, PartlyRight
from workers.core.model.selection import TAGS_POINTER, find_strangers, nothing_matches
from workers.core.requests import RequestRefused, group_not_found
from workers.core.runs.members import check_access
from workers.core.runs.placing import place
from workers.core.runs.resources import Resources
from workers.core.validation.check import Selection
from workers.core.validation.findings import find_unfit, find_unknown
from workers.core.validation.holdings import Holdings, SourceServer
from workers.core.validation.names import Names, find_names
from workers.core.validation.validation import Validation, match

log = structlog.get_logger()

READ_AT_ONCE = 8
"""Groups that are read at the same time."""
Wrong = tuple[InvalidBody, str | None]
"""What is wrong with a body in itself, and the group that it is to change; None where it is to make one."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """What is right of a body, and the account that it is for."""

    partly: PartlyRight
    target: Target
    stored: GroupDefinition | None
    """What the group is, where there is one, and it is reached as before."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an account is asked about a body."""

    target: Target
    told: Sequence[FieldError] = ()
    """What is wrong whatever it answers."""
    members: Sequence[str] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    servers: Sequence[ConfiguredServer] = ()
    """What is known of the members' launch configs."""

    @property
    def names(self) -> Names:
        names = find_names({each.source_server_id: each.effective for each in self.servers})
        return replace(names, source_servers=tuple(self.members))

    def judge(self, held: Holdings) -> list[FieldError]:
        unknown = find_unknown(self.members, self.places, self.target, held)
        return [*unknown, *self.told, *find_unfit(self.servers, self.target, held)]


class Completion:
    """Asks accounts about bodies that are wrong in themselves."""

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._with = resources
        self._validation = validation

    async def complete(self, wrong: InvalidBody, group_id: str | None = None) -> InvalidBody:
        """
        Add to what is wrong with a body what its account cannot give.

        Where the account cannot be told, or asked, or there is no such group, what is known is all that is told.

        Parameters:
            wrong: What is wrong in itself.
            group_id: The group that is to be changed; None where one is to be created.

        Returns:
            All that is wrong.
        """
        (more,) = await self.find_more([(wrong, group_id)], Selection(self._validation))
        return InvalidBody((*wrong.errors, *more))

    async def find_more(self, many: Sequence[Wrong], selection: Selection) -> list[Sequence[FieldError]]:
        """
        Find what accounts cannot give to bodies that are wrong in themselves; each account is asked once for all.

        Parameters:
            many: The bodies.
            selection: What members by tags are taken from.

        Returns:
            Of each body what is wrong with it besides; nothing where its account cannot be told, or asked.
        """
        gate = asyncio.Semaphore(READ_AT_ONCE)

        async def read(wrong: Wrong) -> _Placed | Sequence[FieldError]:
            async with gate:
                return await self._place(*wrong)

        placed = await asyncio.gather(*map(read, many))
        known = [each for each in placed if isinstance(each, _Placed)]
        listed = await self._list({each.target for each in known if each.partly.definition.selection_tags}, selection)
        asked = [_ask(each, listed) if isinstance(each, _Placed) else each for each in placed]
        return await self._judge(asked)

    async def _judge(self, asked: Sequence[_Asked | Sequence[FieldError]]) -> list[Sequence[FieldError]]:
        by_target: dict[Target, list[Names]] = {}
        for each in asked:
            if isinstance(each, _Asked) and each.members:
                by_target.setdefault(each.target, []).append(each.names)
        found = await self._validation.look_up_all(by_target)
        told: list[Sequence[FieldError]] = []
        for each in asked:
            if not isinstance(each, _Asked):
                told.append(each)
                continue
            held = found.get(each.target)
            told.append(each.judge(held) if isinstance(held, Holdings) else each.told)
        for target, held in found.items():
            if not isinstance(held, Holdings):
                _note(held, account_id=target.account_id, region=target.region)
        return told

    async def _place(self, wrong: InvalidBody, group_id: str | None) -> _Placed | Sequence[FieldError]:
        """Tell which account a body is for; what is wrong with that, or nothing, where it cannot be told."""
        partly = wrong.partly if isinstance(wrong, InvalidGroup) else None
        if partly is None:
            return ()
        try:
            return await self._find_target(partly, group_id)
        except InvalidBody as more:
            return more.errors
        except (GroupDeleted, RequestRefused, PrelaunchError) as error:
            _note(error, group_id=group_id)
            return ()

    async def _find_target(self, partly: PartlyRight, group_id: str | None) -> _Placed:
        wanted, own_account_id = partly.definition, self._with.account_id
        if group_id is None:
            account_id = wanted.target.account_id or own_account_id
            check_access(wanted, account_id, own_account_id)
            return _Placed(partly, replace(wanted.target, account_id=account_id), None)
        head = await self._with.groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        stored = await self._with.groups.read_definition(head.group_id, head.version)
        target = place(wanted, head, stored, own_account_id).target
        return _Placed(partly, target, stored if stored.target == target else None)

    async def _list(
        self, targets: Iterable[Target], selection: Selection
    ) -> dict[Target, Mapping[str, SourceServer] | None]:
        async def list_one(target: Target) -> Mapping[str, SourceServer] | None:
            try:
                return await selection.list_source_servers(target)
            except (RequestRefused, PrelaunchError) as error:
                _note(error, account_id=target.account_id, region=target.region)
                return None

        chosen = list(targets)
        return dict(zip(chosen, await asyncio.gather(*map(list_one, chosen)), strict=True))


def _ask(placed: _Placed, listed: Mapping[Target, Mapping[str, SourceServer] | None]) -> _Asked:
    partly, target = placed.partly, placed.target
    members, places, configs = partly.definition.source_server_ids, partly.places, partly.configs
    told: list[FieldError] = []
    if partly.definition.selection_tags:
        servers = listed[target]
        if servers is None:
            return _Asked(target)
        members = tuple(match(partly.definition, servers))
        if len(members) > MAX_SERVERS:
            too_large = str(GroupTooLarge(len(members), MAX_SERVERS))
            return _Asked(target, [FieldError(TAGS_POINTER, "INVALID_BODY", too_large, None)])
        places, configs = dict.fromkeys(members, TAGS_POINTER), configs.select(members)
        told = [] if members else [nothing_matches(replace(partly.definition, target=target))]
        told += find_strangers(members, partly.configs.places)
        told += find_group_conflicts(configs.configure(members))
    configured = configs.configure(members)
    chosen = _choose(members, configured, placed.stored)
    return _Asked(target, told, chosen, places, [each for each in configured if each.source_server_id in {*chosen}])


def _choose(
    members: Sequence[str], servers: Sequence[ConfiguredServer], stored: GroupDefinition | None
) -> Sequence[str]:
    """Choose what is asked for: members that join or are to have something else. What stays as it is is not."""
    if stored is None:
        return members
    kept = frozenset(stored.source_server_ids)
    changed = {each.source_server_id for each in servers if _is_changed(each, stored)}
    return [each for each in members if each not in kept or each in changed]


def _is_changed(server: ConfiguredServer, stored: GroupDefinition) -> bool:
    """Tell whether a member is to have something else in a field of which that is known."""
    before, after = stored.effective(server.source_server_id).values, server.effective.values
    known = (before.keys() | after.keys()) - server.wrong_fields
    return any((each in before, before.get(each)) != (each in after, after.get(each)) for each in known)


def _note(error: Exception, **known: str | None) -> None:
    log.info("validation.in_part", **known, error=str(error))
