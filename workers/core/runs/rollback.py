"""
Going back: a group's launch config as it was in one of its runs, as a new version of the group and a new run.

Who the members are, where they are and what the group is called stay as they are now.
"""

from dataclasses import dataclass, replace

from workers.core.errors import GroupDeleted
from workers.core.history import KEPT, History
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition, ServerOverride
from workers.core.model.group_conflicts import find_group_conflicts
from workers.core.model.selection import configure
from workers.core.requests import NotFound, Requester
from workers.core.runs.before import Before
from workers.core.runs.change import Changes, Updated, Wanted
from workers.core.store.groups import GroupStore
from workers.core.store.records import RunHead
from workers.core.validation.check import Check


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What became of going back."""

    updated: Updated
    """The group as it is stored, and the run that follows; none where all had what that run was for."""
    to_run: RunHead
    kept: tuple[str, ...]
    """The members that joined after that run: each keeps the launch config that it has."""


class Rollback:
    """Brings groups back to what a run of theirs was for."""

    def __init__(self, groups: GroupStore, history: History, changes: Changes) -> None:
        self._groups = groups
        self._history = history
        self._changes = changes

    async def roll_back(self, group_id: str, to_run: str, requester: Requester) -> RolledBack:
        """
        Give each member the effective launch config that it had in a run of the group.

        Parameters:
            group_id: The group.
            to_run: The run, by its id or its generation.
            requester: Who asks.

        Returns:
            The group as it is stored, and the run that follows.

        Raises:
            RequestRefused: There is no such group, no such run of it any more, or the requester's key was used for
                another request.
            Conflict: The group's account refuses to be asked.
            InvalidBody: The launch configs of then and now do not stand together, or the account cannot give them.
            GroupTooLarge: It does not fit into one transaction.
            RetryableError: The account cannot be asked just now, or the stack's tables do not answer.
        """
        head = await self._history.find(group_id, to_run)
        then = await self._read_definition(group_id, head)

        async def choose(before: Before, _check: Check) -> Wanted | None:
            restored = restore(before.definition, then)
            if restored == before.definition and not before.has_more_to_do(restored):
                return None
            errors = find_group_conflicts(configure(restored, restored.source_server_ids))
            if errors:
                raise InvalidBody(tuple(errors))
            return Wanted(restored)

        reason = f"rollback to generation {head.generation}"
        updated = await self._changes.replace(group_id, choose, replace(requester, reason=reason))
        members = frozenset(then.source_server_ids)
        kept = tuple(each for each in updated.definition.source_server_ids if each not in members)
        return RolledBack(updated, head, kept)

    async def _read_definition(self, group_id: str, head: RunHead) -> GroupDefinition:
        try:
            return await self._groups.read_definition(group_id, head.config_version)
        except GroupDeleted as gone:
            told = f"What apply run {head.run_id} of {group_id} was for is not known any more. {KEPT}"
            raise NotFound(told, code="RUN_NOT_FOUND") from gone


def restore(now: GroupDefinition, then: GroupDefinition) -> GroupDefinition:
    """
    Give the members of a group the launch configs that they had. Pure.

    Parameters:
        now: The group.
        then: The same group at an earlier version.

    Returns:
        The group with the defaults and overrides of then; a member that was none then has what it has now.
    """
    members = frozenset(then.source_server_ids)
    overrides: dict[str, ServerOverride] = {}
    for member in now.source_server_ids:
        present = now.effective(member)
        if member in members:
            if member in then.overrides:
                overrides[member] = then.overrides[member]
        elif present != then.launch_config:
            overrides[member] = ServerOverride(member, use_group_defaults=False, launch_config=present)
    return replace(now, launch_config=then.launch_config, overrides=overrides)
