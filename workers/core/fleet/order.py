"""
In which order a file's changes are made: a source server leaves its group before another one takes it. Pure.

Where groups take source servers of each other in a circle, one of them lets go of its own first, and gets the rest of
its change when the others have had theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workers.core.fleet.changes import GroupChange, Kind
from workers.core.model.group import GroupDefinition


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do with a group."""

    change: GroupChange
    only_release: GroupDefinition | None = None
    """The group without the source servers that others wait for, where that is all that is done now."""


def find_releases(changes: Sequence[GroupChange]) -> Mapping[tuple[str, str, str], int]:
    """
    Find which change sets which source servers free.

    Parameters:
        changes: All of a file.

    Returns:
        Account, Region and source server to the change's place among them.
    """
    return {(*change.place, member): index for index, change in enumerate(changes) for member in change.leaving}


def order_changes(changes: Sequence[GroupChange]) -> list[Step]:
    """
    Put changes into an order in which no source server is in two groups.

    Parameters:
        changes: All of a file; no two of them take the same source server.

    Returns:
        The steps. Changes that wait for no other one keep their order, deletions that nobody waits for come last.
    """
    waits = _find_waits(changes)
    rest = [index for index, change in enumerate(changes) if change.kind is not Kind.NONE]
    steps: list[Step] = []
    released: set[int] = set()
    while rest:
        ready = [index for index in rest if not (waits[index] - released) & set(rest)]
        if ready:
            steps += [Step(changes[index]) for index in ready]
            rest = [index for index in rest if index not in ready]
            continue
        index = next(each for each in rest if each not in released and _can_release(changes[each]))
        steps.append(Step(changes[index], release(changes[index])))
        released.add(index)
    awaited = {changes[each].name for waiting in waits.values() for each in waiting}
    return sorted(steps, key=lambda step: step.change.kind is Kind.DELETE and step.change.name not in awaited)


def find_locked(changes: Sequence[GroupChange]) -> list[GroupChange]:
    """
    Find groups that exchange all their source servers in a circle: none of them can let go first and keep one.

    Parameters:
        changes: All of a file.

    Returns:
        The groups of such circles; none where the changes can be ordered.
    """
    waits = _find_waits(changes)
    rest = set(waits)
    while True:
        free = {index for index in rest if not waits[index] & rest or _can_release(changes[index])}
        if not free:
            return [changes[index] for index in sorted(rest)]
        rest -= free


def release(change: GroupChange) -> GroupDefinition:
    """Make the definition of a group that only lets its leaving source servers go."""
    if change.stored is None:
        raise ValueError("A group that is not there has no source servers to let go.")
    leaving = frozenset(change.leaving)
    stored = change.stored
    return replace(
        stored,
        source_server_ids=tuple(each for each in stored.source_server_ids if each not in leaving),
        overrides={member: each for member, each in stored.overrides.items() if member not in leaving},
        # By its tags it would select them again.
        selection_tags={},
    )


def _can_release(change: GroupChange) -> bool:
    return change.kind is Kind.UPDATE and bool(change.leaving) and bool(release(change).source_server_ids)


def _find_waits(changes: Sequence[GroupChange]) -> dict[int, set[int]]:
    """Each change's place to the places of those that have to come before it."""
    releases = find_releases(changes)
    return {
        index: {releases[(*change.place, member)] for member in change.joining if (*change.place, member) in releases}
        for index, change in enumerate(changes)
        if change.kind is not Kind.NONE
    }
