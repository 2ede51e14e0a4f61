"""Groups that are made of what source servers have: one for all, or one for each value of a tag. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workers.core.fleet.factor import factor
from workers.core.fleet.held import Held
from workers.core.model.group import MAX_SERVERS, GroupDefinition, ServerOverride, Target
from workers.core.model.types import MAX_GROUP_NAME_LENGTH


@dataclass(frozen=True, slots=True)
class Note:
    """Something that whoever imports has to know, and the source servers that it is about."""

    text: str
    source_server_ids: tuple[str, ...] = ()


def make_groups(
    held: Sequence[Held], target: Target, name: str, *, by_tag: str | None, taken: Collection[str]
) -> list[GroupDefinition]:
    """
    Make groups whose members are to have exactly what they have.

    Parameters:
        held: What each source server has.
        target: Where they are.
        name: What the group is called; of several, those whose source servers lack the tag.
        by_tag: The key of the tag whose value names the group of a source server; None makes one group.
        taken: Names that other groups have.

    Returns:
        The groups, by name; none of them has a taken name, or more members than a group holds.
    """
    parts: dict[str, list[Held]] = {}
    for each in sorted(held, key=lambda server: server.source_server_id):
        parts.setdefault(_choose_name(each, name, by_tag), []).append(each)
    names = set(taken)
    groups = []
    for wanted, members in sorted(parts.items()):
        for start in range(0, len(members), MAX_SERVERS):
            free = _find_free(wanted, names)
            names.add(free)
            groups.append(_make_group(members[start : start + MAX_SERVERS], target, free))
    return groups


def gather_notes(held: Iterable[Held]) -> list[Note]:
    """Gather what is left out, each reason once with all of its source servers."""
    found: dict[str, list[str]] = {}
    for each in held:
        for text in each.left_out:
            found.setdefault(text, []).append(each.source_server_id)
    return [Note(text, tuple(sorted(servers))) for text, servers in sorted(found.items())]


def _choose_name(held: Held, name: str, by_tag: str | None) -> str:
    value = held.tags.get(by_tag, "") if by_tag is not None else name
    text = "".join(character for character in value if character.isprintable()).strip()
    return text[:MAX_GROUP_NAME_LENGTH].strip() or name


def _find_free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        end = f" ({number})"
        free = f"{name[: MAX_GROUP_NAME_LENGTH - len(end)]}{end}"
    return free


def _make_group(members: Sequence[Held], target: Target, name: str) -> GroupDefinition:
    defaults, overrides = factor({each.source_server_id: each.config for each in members})
    said: Mapping[str, ServerOverride] = {
        member: ServerOverride(member, True, override) for member, override in overrides.items()
    }
    ids = tuple(each.source_server_id for each in members)
    return GroupDefinition(name, "", target, ids, defaults, said, auto_repair=False)
