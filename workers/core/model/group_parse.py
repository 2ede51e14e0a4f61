"""
Reading a protection group's body: checked in full, and made a definition, or refused with all that is wrong.

Of what is wrong it is told what is right, too: the account can be asked about that before all errors are told at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workers.core.model.configured import ReadConfigs
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import GroupDefinition, ServerOverride, assemble
from workers.core.model.group_body import (
    MAX_SERVERS,
    MEMBERS,
    check_region,
    is_source_server_id,
    read_group,
    read_overrides,
)
from workers.core.model.group_conflicts import DEFAULTS_POINTER, find_group_conflicts
from workers.core.model.launch_config import FIELDS, LaunchConfig
from workers.core.model.parse import find_unsure, parse_launch_config
from workers.core.model.shape import find_wrong_members

WAY_IN = frozenset({"region", "accountId", "assumeRoleName", "externalId", "serverSelectionTags"})
"""The members of a body without which nobody knows what account to ask, and for whom."""


@dataclass(frozen=True, slots=True)
class GroupUpdate:
    """What a group is to be from now on."""

    definition: GroupDefinition
    """Whole; without an external id the one that is stored stays."""
    version: int
    """The version that the requester read: an update over any other one is refused."""
    force: bool
    """Apply to every member, also what is ready."""


@dataclass(frozen=True, slots=True)
class PartlyRight:
    """What is right of a wrong body, for which its account can be asked already: all errors are to come at once."""

    definition: GroupDefinition
    """With the members that have an id of the right form, and without what is wrong."""
    places: Mapping[str, str]
    """Where the body says of each listed member that it is one."""
    configs: ReadConfigs


class InvalidGroup(InvalidBody):
    """A group's body that is wrong, with what is right of it; None where its account cannot be told."""

    def __init__(self, errors: tuple[FieldError, ...], partly: PartlyRight | None) -> None:
        self.partly = partly
        super().__init__(errors)


def parse_group(raw: object, *, regions: Collection[str] | None = None) -> GroupDefinition:
    """
    Check a request's body in full and make the definition of it.

    Parameters:
        raw: Any JSON value.
        regions: Those that a group can be in, which every door says; None takes each of the right form.

    Returns:
        The definition, in canonical form.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
        GroupTooLarge: There are more than MAX_SERVERS servers.
    """
    _, definition = _parse(raw, update=False, regions=regions)
    return definition


def parse_group_update(raw: object) -> GroupUpdate:
    """
    Check the body of an update in full: that of a group, with the version that it is laid over.

    Its Region is not looked up: it has to be the one that the group is in.

    Parameters:
        raw: Any JSON value.

    Returns:
        The definition, in canonical form, with what only an update says.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
        GroupTooLarge: There are more than MAX_SERVERS servers.
    """
    values, definition = _parse(raw, update=True)
    version = values["version"]
    return GroupUpdate(definition, version if isinstance(version, int) else 0, values.get("force") is True)


def _parse(
    raw: object, *, update: bool, regions: Collection[str] | None = None
) -> tuple[Mapping[str, object], GroupDefinition]:
    count = _longest_list(raw)
    if count > MAX_SERVERS:
        raise GroupTooLarge(count, MAX_SERVERS)
    values, errors = read_group(raw, update=update)
    listed = raw.get("sourceServerIds") if isinstance(raw, dict) else None
    selected = isinstance(raw, dict) and "serverSelectionTags" in raw
    ids = list(dict.fromkeys(each for each in listed if isinstance(each, str))) if isinstance(listed, list) else []
    defaults, wrong_defaults = parse_launch_config(
        values.get("launchConfig", {}), pointer=DEFAULTS_POINTER, source_server_id=None
    )
    # Whom tags select is known when they are looked up: only then do overrides and conflicts of members tell.
    known = None if selected or not isinstance(listed, list) else ids
    overrides, wrong_overrides = read_overrides(values.get("servers", []), known)
    errors += [*check_region(values.get("region"), regions), *wrong_defaults, *wrong_overrides]
    configs = ReadConfigs(defaults, _find_unsure(defaults, wrong_defaults, errors), overrides)
    errors += find_group_conflicts(configs.configure(ids))
    if errors:
        raise InvalidGroup(tuple(errors), _find_right(values, errors, listed, configs))
    kept = [ServerOverride(each.source_server_id, each.use_group_defaults, each.launch_config) for each in overrides]
    return values, assemble(values, defaults, kept)


def _find_unsure(
    defaults: LaunchConfig, wrong_defaults: Sequence[FieldError], errors: Sequence[FieldError]
) -> frozenset[str]:
    """Name the fields of which nobody knows whether source servers have them as the defaults say."""
    unread = find_wrong_members((each for each in errors if each.pointer.count("/") == 1), "", MEMBERS)
    if "servers" in unread:
        return frozenset(FIELDS)
    if "launchConfig" in unread:
        return frozenset(FIELDS) - defaults.values.keys()
    return find_unsure(defaults, wrong_defaults, DEFAULTS_POINTER)


def _find_right(
    values: Mapping[str, object], errors: Sequence[FieldError], listed: object, configs: ReadConfigs
) -> PartlyRight | None:
    if "region" not in values or find_wrong_members(errors, "", MEMBERS) & WAY_IN:
        return None
    places: dict[str, str] = {}
    for index, each in enumerate(listed if isinstance(listed, list) else []):
        if is_source_server_id(each):
            places.setdefault(each, f"/sourceServerIds/{index}")
    definition = assemble({"groupName": "", **values, "sourceServerIds": [*places]}, configs.defaults, ())
    return PartlyRight(definition, places, configs)


def _longest_list(raw: object) -> int:
    listed = [raw.get("sourceServerIds"), raw.get("servers")] if isinstance(raw, dict) else []
    return max((len(each) for each in listed if isinstance(each, list)), default=0)
