"""The members of a group that tags select, once they are known. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import MAX_SERVERS, GroupDefinition
from workers.core.model.group_conflicts import ConfiguredServer, find_group_conflicts

TAGS_POINTER = "/serverSelectionTags"


class InvalidSelection(InvalidBody):
    """Whom tags select does not fit what is said of source servers; with the group as it would be of them."""

    def __init__(self, errors: tuple[FieldError, ...], selected: GroupDefinition) -> None:
        self.selected = selected
        super().__init__(errors)


def find_matching(wanted: Mapping[str, str], tags: Mapping[str, Mapping[str, str]]) -> list[str]:
    """
    Find the source servers that have every one of some tags.

    Parameters:
        wanted: The tags.
        tags: Source server id to its tags.

    Returns:
        The ids, in order.
    """
    return sorted(server for server, held in tags.items() if wanted.items() <= held.items())


def select_members(definition: GroupDefinition, source_server_ids: Sequence[str]) -> GroupDefinition:
    """
    Give a group the members that its tags select.

    Parameters:
        definition: The group, as it was asked for.
        source_server_ids: Those that match.

    Returns:
        The group with these members.

    Raises:
        InvalidSelection: Nothing matches, an override names a source server that does not, or launch configs conflict.
        GroupTooLarge: More match than a group holds.
    """
    if len(source_server_ids) > MAX_SERVERS:
        raise GroupTooLarge(len(source_server_ids), MAX_SERVERS)
    selected = replace(definition, source_server_ids=tuple(source_server_ids))
    errors = [] if source_server_ids else [nothing_matches(definition)]
    places = {name: f"/servers/{place}" for place, name in enumerate(definition.overrides)}
    errors += find_strangers(source_server_ids, places)
    errors += find_group_conflicts(configure(selected, source_server_ids))
    if errors:
        raise InvalidSelection(tuple(errors), selected)
    return selected


def configure(definition: GroupDefinition, members: Sequence[str]) -> list[ConfiguredServer]:
    """
    Tell what members of a group are to have, and where in its body that is written.

    Parameters:
        definition: The group.
        members: Some of its members, in order.

    Returns:
        Each of them.
    """
    # An accepted body's entries are all kept, in order.
    places = {member: f"/servers/{place}/launchConfig" for place, member in enumerate(definition.overrides)}
    own = {member: override.launch_config for member, override in definition.overrides.items()}
    return [
        ConfiguredServer(member, definition.effective(member), own.get(member), places.get(member, ""), frozenset())
        for member in members
    ]


def find_places(definition: GroupDefinition) -> Mapping[str, str]:
    """Point to where a group's body says of each source server that it is a member."""
    selected = bool(definition.selection_tags)
    members = enumerate(definition.source_server_ids)
    return {member: TAGS_POINTER if selected else f"/sourceServerIds/{place}" for place, member in members}


def nothing_matches(definition: GroupDefinition) -> FieldError:
    """Say that no source server has the group's tags."""
    target = definition.target
    tags = ", ".join(f"{key}={value}" for key, value in definition.selection_tags.items())
    message = (
        f"No source server of DRS in account {target.account_id}, {target.region} has all of these tags: {tags}. Keys"
        " and values are compared to the letter."
    )
    return FieldError(TAGS_POINTER, "INVALID_BODY", message, None)


def find_strangers(members: Collection[str], overrides: Mapping[str, str]) -> list[FieldError]:
    """
    Find what is said of source servers that tags do not select.

    Parameters:
        members: Those that they do.
        overrides: Source server id to where something is said of it.

    Returns:
        One error each.
    """
    known = frozenset(members)
    return [
        FieldError(
            f"{pointer}/sourceServerId",
            "INVALID_BODY",
            f"{stranger} does not match serverSelectionTags; give it the tags, or take it out here.",
            stranger,
        )
        for stranger, pointer in overrides.items()
        if stranger not in known
    ]
