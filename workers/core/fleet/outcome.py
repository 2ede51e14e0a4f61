"""What became of a file's changes, group by group. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.core.errors import PrelaunchError
from workers.core.fleet.changes import GroupChange
from workers.core.model.errors import GroupTooLarge, InvalidBody
from workers.core.requests import RequestRefused
from workers.core.runs.change import Updated

Refusal = InvalidBody | GroupTooLarge | RequestRefused | PrelaunchError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change."""

    change: GroupChange
    group_id: str
    """Empty where a group was to be created and was not."""
    updated: Updated | None = None
    released: Updated | None = None
    """The group as it let go what others waited for, where the rest of its change failed."""
    error: Refusal | None = None
    """Why the group is not as in the file."""


def find_adrift(outcomes: Sequence[Outcome]) -> list[str]:
    """
    Find the source servers that left their group for another one, which could not take them: they are in none.

    Parameters:
        outcomes: Of all changes that were made.

    Returns:
        Their ids, in order.
    """
    let_go = {
        (*each.change.place, member)
        for each in outcomes
        if each.error is None or each.released is not None
        for member in each.change.leaving
    }
    waited_for = {
        (*each.change.place, member) for each in outcomes if each.error is not None for member in each.change.joining
    }
    return sorted(member for _, _, member in let_go & waited_for)
