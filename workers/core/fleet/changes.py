"""What a file would change in a stack: group by group, field by field. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from workers.core.model.group import GroupDefinition
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.store.records import GroupHead


class Kind(StrEnum):
    """What becomes of a group."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a group that is not in the stack as it is in the file."""

    field: str
    """Where it stands in the group's body, between dots; of `servers` the source server's id stands there."""
    is_stored: bool
    """Whether the stack says anything of it."""
    stored: Json
    is_wanted: bool
    """Whether the file does."""
    wanted: Json


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What becomes of one group."""

    kind: Kind
    name: str
    index: int | None
    """The group's place in the file, from 0; None where it is not in it."""
    head: GroupHead | None
    """The group as it was read; None where there is none yet."""
    stored: GroupDefinition | None
    wanted: GroupDefinition | None
    """Complete, with its account and the external id that is kept; None where it is to be deleted."""
    fields: tuple[FieldChange, ...] = ()
    joining: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Answer account and Region: source servers move within one."""
        definition = self.wanted or self.stored
        if definition is None:
            return "", ""
        return definition.target.account_id or "", definition.target.region


def compare(
    wanted: GroupDefinition, index: int, head: GroupHead | None = None, stored: GroupDefinition | None = None
) -> GroupChange:
    """
    Compare a group of a file with the stack's.

    Parameters:
        wanted: What it is to be, complete.
        index: Its place in the file, from 0.
        head: The stack's group; None where there is none of this name.
        stored: What that is.

    Returns:
        The change; its kind is NONE where nothing is to be done.
    """
    fields = tuple(_compare_fields(stored, wanted))
    before = frozenset(stored.source_server_ids if stored is not None else ())
    after = frozenset(wanted.source_server_ids)
    joining, leaving = tuple(sorted(after - before)), tuple(sorted(before - after))
    kind = Kind.CREATE if stored is None else Kind.UPDATE if fields or joining or leaving else Kind.NONE
    return GroupChange(kind, wanted.name, index, head, stored, wanted, fields, joining, leaving)


def remove(head: GroupHead, stored: GroupDefinition) -> GroupChange:
    """Make the change that deletes a group of the stack."""
    leaving = tuple(sorted(stored.source_server_ids))
    return GroupChange(Kind.DELETE, head.name, None, head, stored, None, leaving=leaving)


def _compare_fields(stored: GroupDefinition | None, wanted: GroupDefinition) -> Iterator[FieldChange]:
    before = dict(_list_fields(stored)) if stored is not None else {}
    after = dict(_list_fields(wanted))
    for name in {**after, **before}:
        if (name in before) != (name in after) or before.get(name) != after.get(name):
            yield FieldChange(name, name in before, before.get(name), name in after, after.get(name))
    # Nobody is shown a secret, only that it is another one.
    held, given = (each.target.external_id if each else None for each in (stored, wanted))
    if held != given:
        yield FieldChange("externalId", held is not None, _hide(held), given is not None, _hide(given))


def _hide(secret: str | None) -> Json:
    return "(not shown)" if secret is not None else None


def _list_fields(definition: GroupDefinition) -> Iterator[tuple[str, Json]]:
    """Each field by its name; what says nothing is not there, as if it were left out of the file."""
    target = definition.target
    said: Mapping[str, Json] = {
        "description": definition.description or None,
        "region": target.region,
        "accountId": target.account_id,
        "assumeRoleName": target.assume_role_name,
        "autoRepair": definition.auto_repair or None,
    }
    yield from ((name, value) for name, value in said.items() if value is not None)
    yield from ((f"serverSelectionTags.{key}", value) for key, value in definition.selection_tags.items())
    yield from _list_config("launchConfig", definition.launch_config)
    for member, override in sorted(definition.overrides.items()):
        if not override.use_group_defaults:
            yield f"servers.{member}.useGroupDefaults", False
        yield from _list_config(f"servers.{member}.launchConfig", override.launch_config)


def _list_config(place: str, config: LaunchConfig) -> Iterator[tuple[str, Json]]:
    for name, value in config.values.items():
        if isinstance(value, dict):
            yield from ((f"{place}.{name}.{member}", each) for member, each in value.items())
        else:
            yield f"{place}.{name}", value
