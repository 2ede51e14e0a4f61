"""
The file of a fleet: groups as their bodies are, one after the other. Checked as a whole, all errors at once.

An external id is taken from a file and never written into one: who has the file must not have the key.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.model.errors import FieldError, InvalidBody, Place
from workers.core.model.group import GroupBody, GroupDefinition, GroupTooLarge
from workers.core.model.group_parse import InvalidGroup, parse_group
from workers.core.model.launch_config import Json
from workers.core.model.shape import members_of, read_object, unknown_member

FORMAT_VERSION = 1
MAX_GROUPS = 2000
ONLY_OF_REQUESTS = "taskToken"
"""What a group's body can hold and a file cannot: nobody waits for a file."""


class _Required(TypedDict):
    groups: Annotated[
        list[GroupBody],
        Field(description="a list of protection groups", json_schema_extra={"maxItems": MAX_GROUPS}),
    ]


@with_config(ConfigDict(extra="forbid"))
class FleetBody(_Required, total=False):
    """The protection groups of a stack, or some of them. A group is known by its name."""

    formatVersion: Annotated[
        int, Field(description=f"{FORMAT_VERSION}", ge=FORMAT_VERSION, le=FORMAT_VERSION, json_schema_extra={})
    ]
    notRead: Annotated[
        list[str],
        Field(
            description="a list of texts: what the import that made the file could not read. Nothing is done with it"
        ),
    ]


_FLEET = members_of(FleetBody)
_GROUP = [name for name in members_of(GroupBody) if name != ONLY_OF_REQUESTS]


@dataclass(frozen=True, slots=True)
class FleetText:
    """What stands in a fleet's file, right or wrong."""

    groups: Mapping[int, GroupDefinition]
    """Those that are right in themselves, by their places in the file, from 0."""
    errors: tuple[FieldError, ...] = ()
    """Everything that is wrong in the file itself, with pointers into it."""
    partly_wrong: Mapping[int, InvalidGroup] = field(default_factory=dict)
    """What is wrong in itself with groups that are objects, by their places."""
    wrong_names: frozenset[str] = frozenset()
    """What the groups are called that are wrong."""
    is_named: bool = True
    """Whether each of these has a name that can be read."""

    def require(self) -> tuple[GroupDefinition, ...]:
        """Answer all groups, in the order of the file; InvalidBody carries every error where anything is wrong."""
        if self.errors:
            raise InvalidBody(self.errors)
        return tuple(self.groups.values())


def parse_fleet(raw: object, *, regions: Collection[str] | None = None) -> FleetText:
    """
    Check a file's content in full, and make the definitions of its groups.

    Parameters:
        raw: Any JSON value.
        regions: Those that a group can be in; None takes each of the right form.

    Returns:
        The definitions of the groups that are right, and every error of all others and of the file.
    """
    root = Place("")
    if not isinstance(raw, dict):
        wrong = root.error("The file must be an object whose member groups lists protection groups.")
        return FleetText({}, (wrong,), is_named=False)
    values, errors = read_object(raw, _FLEET, FleetBody.__required_keys__, root, apart=frozenset({"groups"}))
    groups = values.get("groups", [])
    if not isinstance(groups, list):
        errors.append(root.at("groups").error("groups must be a list of protection groups."))
        return FleetText({}, tuple(errors), is_named=False)
    if len(groups) > MAX_GROUPS:
        message = f"groups lists {len(groups)}; a file holds at most {MAX_GROUPS}. Cut it into several."
        errors.append(root.at("groups").error(message))
        return FleetText({}, tuple(errors), is_named=False)
    definitions: dict[int, GroupDefinition] = {}
    partly_wrong: dict[int, InvalidGroup] = {}
    twice = _find_twice(groups)
    for index, each in enumerate(groups):
        definition, wrong_here, invalid = _parse_group(each, index, regions)
        errors += wrong_here
        if invalid is not None and index not in twice:
            partly_wrong[index] = invalid
        if definition is not None and not wrong_here and index not in twice:
            definitions[index] = definition
    errors += twice.values()
    names = [_read_name(each) for index, each in enumerate(groups) if index not in definitions]
    return FleetText(definitions, tuple(errors), partly_wrong, frozenset(filter(None, names)), all(names))


def place_in_file(errors: Iterable[FieldError], index: int) -> list[FieldError]:
    """
    Point errors of a group's body into the file.

    Parameters:
        errors: With pointers into the body.
        index: The group's place in the file, from 0.

    Returns:
        The errors, with pointers into the file.
    """
    return [replace(each, pointer=f"/groups/{index}{each.pointer}") for each in errors]


def sort_by_place(errors: Iterable[FieldError]) -> list[FieldError]:
    """Put errors into the order of the groups that they are about; first what is wrong with the file itself."""

    def find_place(error: FieldError) -> int:
        parts = error.pointer.split("/")
        return int(parts[2]) if parts[1:2] == ["groups"] and len(parts) > 2 else -1  # noqa: PLR2004  # its place

    return sorted(errors, key=find_place)


def render_fleet(definitions: Iterable[GroupDefinition], not_read: Sequence[str] = ()) -> dict[str, Json]:
    """
    Render groups as a file's content, the same for the same groups: what says nothing is left out.

    Parameters:
        definitions: The groups, in any order.
        not_read: What there may be besides, and why it is not known.

    Returns:
        What `parse_fleet` reads as these groups, but for their external ids.
    """
    ordered = sorted(definitions, key=lambda each: each.name)
    missing: dict[str, Json] = {"notRead": [*not_read]} if not_read else {}
    return {"formatVersion": FORMAT_VERSION, **missing, "groups": [_render_group(each) for each in ordered]}


def _parse_group(
    raw: object, index: int, regions: Collection[str] | None
) -> tuple[GroupDefinition | None, list[FieldError], InvalidGroup | None]:
    errors = []
    if isinstance(raw, dict) and ONLY_OF_REQUESTS in raw:
        errors.append(unknown_member(Place(""), ONLY_OF_REQUESTS, _GROUP))
        raw = {name: value for name, value in raw.items() if name != ONLY_OF_REQUESTS}
    definition, invalid = None, None
    try:
        definition = parse_group(raw, regions=regions)
    except InvalidGroup as error:
        invalid = error
        errors += error.errors
    except GroupTooLarge as error:
        errors.append(Place("").error(str(error)))
    return definition, place_in_file(errors, index), invalid


def _find_twice(groups: Sequence[object]) -> dict[int, FieldError]:
    """Names that stand in the file twice: a group is known by its name, and could be only one of the two."""
    first: dict[str, int] = {}
    errors = {}
    for index, each in enumerate(groups):
        name = _read_name(each)
        if name is not None and first.setdefault(name, index) != index:
            place = Place("").at("groups", index, "groupName")
            told = f"This name has the group at /groups/{first[name]} already. Give it another one."
            errors[index] = place.error(told)
    return errors


def _read_name(group: object) -> str | None:
    given = group.get("groupName") if isinstance(group, dict) else None
    return given.strip() if isinstance(given, str) else None


def _render_group(definition: GroupDefinition) -> dict[str, Json]:
    body = definition.to_body()
    if definition.selection_tags:
        del body["sourceServerIds"]
    else:
        body["sourceServerIds"] = [*sorted(definition.source_server_ids)]
    overrides = sorted(definition.overrides.values(), key=lambda each: each.source_server_id)
    body["servers"] = [_without_nothing(each.to_json(), {"useGroupDefaults": True}) for each in overrides]
    return _without_nothing(body, {"autoRepair": False, "description": ""})


def _without_nothing(body: Mapping[str, Json], nothing: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if value not in ({}, []) and value != nothing.get(name, object)}
