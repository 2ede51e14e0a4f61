"""Source servers that a file's groups take from each other, or from groups that keep them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from workers.core.clock import say_time
from workers.core.fleet.changes import GroupChange
from workers.core.fleet.file import place_in_file
from workers.core.fleet.order import find_locked, find_releases
from workers.core.model.errors import FieldError
from workers.core.model.selection import find_places
from workers.core.store.records import GroupStatus

SERVER_CONFLICT = "SERVER_CONFLICT"


def find_file_conflicts(
    changes: Sequence[GroupChange],
    owners: Mapping[tuple[str, str, str], str],
    launching: Mapping[str, GroupStatus] = MappingProxyType({}),
) -> list[FieldError]:
    """
    Find everything that would put a source server into two groups.

    Parameters:
        changes: All of a file.
        owners: Account, Region and source server to the id of the group that has it now.
        launching: Of these groups those that a wave launches, with their status.

    Returns:
        The errors, with pointers into the file.
    """
    twice = list(_find_twice(changes))
    said = {each.pointer for each in twice}
    kept = [each for each in _find_kept(changes, owners, launching) if each.pointer not in said]
    return [*twice, *kept, *_find_circles(changes)]


def _find_twice(changes: Sequence[GroupChange]) -> Iterator[FieldError]:
    first: dict[tuple[str, str, str], str] = {}
    for change in changes:
        if change.wanted is None or change.index is None:
            continue
        for member, pointer in find_places(change.wanted).items():
            other = first.setdefault((*change.place, member), change.name)
            if other != change.name:
                message = f"{member} stands in group {other!r} of this file too; a source server is in one at most."
                yield from place_in_file([FieldError(pointer, SERVER_CONFLICT, message, member)], change.index)


def _find_kept(
    changes: Sequence[GroupChange],
    owners: Mapping[tuple[str, str, str], str],
    launching: Mapping[str, GroupStatus],
) -> Iterator[FieldError]:
    releases = find_releases(changes)
    for change in changes:
        if change.wanted is None or change.index is None:
            continue
        places = find_places(change.wanted)
        for member in change.joining:
            where = (*change.place, member)
            owner = owners.get(where)
            own = change.head.group_id if change.head is not None else None
            if owner is None or owner == own or (where in releases and owner not in launching):
                continue
            message = _explain(member, owner, launching.get(owner))
            yield from place_in_file([FieldError(places[member], SERVER_CONFLICT, message, member)], change.index)


def _explain(member: str, owner: str, launched: GroupStatus | None) -> str:
    if launched is None or launched.held_until is None:
        return (
            f"{member} belongs to protection group {owner} already; a source server is in one at most. Let the"
            " file say what that group keeps, or take it out here."
        )
    return (
        f"{member} is launched with protection group {owner} by {launched.held_by}: until every launch is final, by"
        f" {say_time(launched.held_until)} at the latest, no other group can have it. Apply the file when that is over."
    )


def _find_circles(changes: Sequence[GroupChange]) -> Iterator[FieldError]:
    locked = find_locked(changes)
    names = ", ".join(repr(each.name) for each in locked)
    for change in locked:
        message = (
            f"The groups {names} exchange all their source servers, and none can be without one meanwhile. Apply a file"
            " first in which one of them keeps a source server that the others do not wait for."
        )
        yield from place_in_file([FieldError("", SERVER_CONFLICT, message, None)], change.index or 0)
