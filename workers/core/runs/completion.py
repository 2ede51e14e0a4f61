"""All that is wrong with a group's body at once: also what its account cannot give to the part that is right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from workers.core.errors import GroupDeleted, PrelaunchError
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.group_conflicts import ConfiguredServer, find_group_conflicts
from workers.core.model.group_parse import InvalidGroup, PartlyRight
from workers.core.model.selection import TAGS_POINTER, find_strangers, nothing_matches
from workers.core.requests import RequestRefused, group_not_found
from workers.core.runs.members import check_access
from workers.core.runs.placing import place
from workers.core.runs.resources import Resources
from workers.core.validation.findings import find_unfit, find_unknown
from workers.core.validation.names import find_names
from workers.core.validation.validation import Validation, match

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    partly: PartlyRight
    target: Target
    stored: GroupDefinition | None
    """What the group is, where there is one, and it is reached as before."""

    def choose(self, members: Sequence[str], servers: Sequence[ConfiguredServer]) -> list[str]:
        """Choose what is asked for: members that join or are to have something else. What stays as it is is not."""
        if self.stored is None:
            return [*members]
        kept = frozenset(self.stored.source_server_ids)
        changed = {server.source_server_id for server in servers if _is_changed(server, self.stored)}
        return [each for each in members if each not in kept or each in changed]


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
        partly = wrong.partly if isinstance(wrong, InvalidGroup) else None
        if partly is None:
            return wrong
        try:
            asked = await self._place(partly, group_id)
            return _join(wrong, await self._find(asked))
        except InvalidBody as more:
            return _join(wrong, more.errors)
        except (GroupDeleted, RequestRefused, PrelaunchError) as error:
            log.info("validation.in_part", group_id=group_id, error=str(error))
            return wrong

    async def _place(self, partly: PartlyRight, group_id: str | None) -> _Asked:
        wanted, own_account_id = partly.definition, self._with.account_id
        if group_id is None:
            account_id = wanted.target.account_id or own_account_id
            check_access(wanted, account_id, own_account_id)
            return _Asked(partly, replace(wanted.target, account_id=account_id), None)
        head = await self._with.groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        stored = await self._with.groups.read_definition(head.group_id, head.version)
        target = place(wanted, head, stored, own_account_id).target
        return _Asked(partly, target, stored if stored.target == target else None)

    async def _find(self, asked: _Asked) -> list[FieldError]:
        partly, configs, target = asked.partly, asked.partly.configs, asked.target
        members, places = partly.definition.source_server_ids, partly.places
        conflicts: list[FieldError] = []
        if partly.definition.selection_tags:
            members = tuple(match(partly.definition, await self._validation.list_source_servers(target)))
            places = dict.fromkeys(members, TAGS_POINTER)
            conflicts = [] if members else [nothing_matches(replace(partly.definition, target=target))]
            conflicts += find_strangers(members, configs.places)
            configs = configs.select(members)
            conflicts += find_group_conflicts(configs.configure(members))
        servers = configs.configure(members)
        chosen = asked.choose(members, servers)
        if not chosen:
            return conflicts
        servers = [each for each in servers if each.source_server_id in frozenset(chosen)]
        names = find_names({each.source_server_id: each.effective for each in servers})
        held = await self._validation.look_up(target, replace(names, source_servers=tuple(chosen)))
        return [*find_unknown(chosen, places, target, held), *conflicts, *find_unfit(servers, target, held)]


def _is_changed(server: ConfiguredServer, stored: GroupDefinition) -> bool:
    """Tell whether a member is to have something else in a field of which that is known."""
    before, after = stored.effective(server.source_server_id).values, server.effective.values
    known = (before.keys() | after.keys()) - server.wrong_fields
    return any((each in before, before.get(each)) != (each in after, after.get(each)) for each in known)


def _join(wrong: InvalidBody, more: tuple[FieldError, ...] | list[FieldError]) -> InvalidBody:
    return InvalidBody((*wrong.errors, *more))
