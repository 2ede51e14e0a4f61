"""What was looked up in an account already: nothing is asked twice for one request, or for all groups of a file."""

import asyncio
from collections.abc import Collection, Iterable, Mapping

from workers.core.errors import PrelaunchError
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.selection import InvalidSelection, select_members
from workers.core.requests import Conflict
from workers.core.validation.holdings import SourceServer
from workers.core.validation.validation import Asked, Validation, match


class Selection:
    """
    Members by tags for many groups: each account and Region is listed once.

    Parameters:
        validation: What asks the account.
        asks_again: Whether an account that could not be asked for one group is asked again for the next.
    """

    def __init__(self, validation: Validation, *, asks_again: bool = True) -> None:
        self._validation = validation
        self._asks_again = asks_again
        self._unanswered: dict[Target, PrelaunchError | Conflict] = {}
        self._listed: dict[Target, Mapping[str, SourceServer]] = {}
        self._listing: dict[Target, asyncio.Lock] = {}

    async def select(self, definition: GroupDefinition) -> GroupDefinition:
        """Give a group the members that its tags select, as `Validation.select` does."""
        if not definition.selection_tags:
            return definition
        return select_members(definition, match(definition, await self.list_source_servers(definition.target)))

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        """List every source server of an account and Region, as `Validation.list_source_servers` does."""
        async with self._listing.setdefault(target, asyncio.Lock()):
            if target in self._unanswered and not self._asks_again:
                raise self._unanswered[target]
            if target not in self._listed:
                try:
                    self._listed[target] = await self._validation.list_source_servers(target)
                except (PrelaunchError, Conflict) as error:
                    self._unanswered[target] = error
                    raise
            return self._listed[target]


class Check:
    """
    Checks for one request, whose transaction may be tried several times: nothing is asked twice.

    Parameters:
        validation: What asks the account.
        selection: What members by tags are taken from, where others were listed before; None lists them.
        passed: What was checked just now and found right.
    """

    def __init__(
        self, validation: Validation, *, selection: Selection | None = None, passed: Iterable[Asked] = ()
    ) -> None:
        self._validation = validation
        self._source: Selection | Validation = selection or validation
        self._selected: list[tuple[GroupDefinition, GroupDefinition]] = []
        self._wrong: list[tuple[GroupDefinition, tuple[FieldError, ...]]] = []
        self._passed = list(passed)

    async def select(self, definition: GroupDefinition) -> GroupDefinition:
        """
        Give a group the members that its tags select, as `Validation.select` does.

        What is wrong with them does not hide what the account lacks: `check` tells both.

        Parameters:
            definition: The group, with its account.

        Returns:
            The group with its members, right or wrong.
        """
        for before, selected in self._selected:
            if before == definition:
                return selected
        try:
            selected = await self._source.select(definition)
        except InvalidSelection as wrong:
            selected = wrong.selected
            self._wrong.append((selected, wrong.errors))
        self._selected.append((definition, selected))
        return selected

    async def check(self, definition: GroupDefinition, source_server_ids: Collection[str]) -> None:
        """Refuse a group whose members are wrong, and what its account cannot give, as `Validation.check` does."""
        wrong = next((errors for selected, errors in self._wrong if selected == definition), ())
        try:
            await self._ask(definition, frozenset(source_server_ids))
        except InvalidBody as more:
            raise InvalidBody((*wrong, *more.errors)) from more
        except (Conflict, PrelaunchError):
            if not wrong:
                raise
            # What is wrong in any case is told also where the account cannot be asked.
        if wrong:
            raise InvalidBody(wrong)

    async def _ask(self, definition: GroupDefinition, asked: frozenset[str]) -> None:
        if not any(definition == each and asked <= frozenset(members) for each, members in self._passed):
            await self._validation.check(definition, asked)
            self._passed.append((definition, asked))
