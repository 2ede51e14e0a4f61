"""What a file's changes name, looked up in the accounts: each account is asked once for all groups that are in it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from workers.core.errors import PrelaunchError
from workers.core.fleet.changes import GroupChange, Kind
from workers.core.fleet.file import place_in_file
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.requests import RequestRefused
from workers.core.runs.before import Before
from workers.core.validation.check import Check, Selection
from workers.core.validation.validation import Validation


class FleetChecks:
    """Checks a file's changes against the accounts."""

    def __init__(self, validation: Validation) -> None:
        self._validation = validation

    async def find_faults(self, changes: Sequence[GroupChange]) -> list[FieldError]:
        """
        Ask the accounts what the changes name: each of them once, nothing for what stays as it is.

        Parameters:
            changes: All of a file.

        Returns:
            Everything that an account cannot give, with pointers into the file.

        Raises:
            PrelaunchError: An account cannot be asked just now.
        """
        asked = _list_unchecked(changes)
        refusals = await self._validation.check_all([(each.wanted, each.members) for each in asked])
        errors: list[FieldError] = []
        for each, refusal in zip(asked, refusals, strict=True):
            if isinstance(refusal, PrelaunchError):
                raise refusal
            errors += place_refusal(refusal, each.change.index or 0) if refusal is not None else []
        return errors

    async def look_up(self, changes: Sequence[GroupChange]) -> dict[str, Check]:
        """
        Ask the accounts anew, for that may be long ago.

        Parameters:
            changes: All of a file, found right.

        Returns:
            By the group's name what its change is checked with when it is stored; a group that did not pass now asks
            for itself, and says why.
        """
        asked = _list_unchecked(changes)
        looked_up = [(each.wanted, each.members) for each in asked]
        refusals = await self._validation.check_all(looked_up)
        selection = Selection(self._validation)
        passed = {
            each.change.name: [pair]
            for each, pair, refusal in zip(asked, looked_up, refusals, strict=True)
            if refusal is None
        }
        return {
            each.name: Check(self._validation, selection=selection, passed=passed.get(each.name, []))
            for each in changes
        }


@dataclass(frozen=True, slots=True)
class _Unchecked:
    change: GroupChange
    wanted: GroupDefinition
    members: Collection[str]


def opens_run(change: GroupChange) -> bool:
    """Tell whether a change asks for something that the workers are to apply."""
    return change.kind in {Kind.CREATE, Kind.UPDATE}


def _list_unchecked(changes: Iterable[GroupChange]) -> list[_Unchecked]:
    """List what changes bring that their accounts were not asked for."""
    found = []
    for change in changes:
        if change.wanted is None or not opens_run(change):
            continue
        members: Collection[str] = change.wanted.source_server_ids
        if change.head is not None and change.stored is not None:
            before = Before(change.head, change.stored, None, None, {})
            members = before.find_unchecked(change.wanted, before.find_change(change.wanted))
        found.append(_Unchecked(change, change.wanted, members))
    return found


def place_refusal(error: InvalidBody | GroupTooLarge | RequestRefused, index: int) -> list[FieldError]:
    """Say why a group is refused, as errors at its place in the file."""
    match error:
        case InvalidBody():
            return place_in_file(error.errors, index)
        case RequestRefused() if error.errors:
            return place_in_file(error.errors, index)
        case RequestRefused():
            return place_in_file([FieldError("", error.code, error.detail, None)], index)
        case _:
            return place_in_file([FieldError("", "INVALID_BODY", str(error), None)], index)
