"""
Reading a protection group's body: checked in full, and made a definition, or refused with all that is wrong.

Of what is wrong it is told what is right, too: the account can be asked about that before all errors are told at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workers.core.model.configured import configure_read
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import GroupDefinition, ServerOverride, assemble
from workers.core.model.group_body import (
    MAX_SERVERS,
    ReadOverride,
    check_region,
    is_source_server_id,
    read_group,
    read_overrides,
    wrong_fields,
)
from workers.core.model.group_conflicts import DEFAULTS_POINTER, ConfiguredServer, find_group_conflicts
from workers.core.model.launch_config import LaunchConfig
from workers.core.model.parse import parse_launch_config

WAY_IN = frozenset({"", "/region", "/accountId", "/assumeRoleName", "/externalId", "/serverSelectionTags"})
"""Where a body is wrong of which no account can be asked."""


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
    overrides: tuple[ReadOverride, ...]
    unsure: frozenset[str]
    """Fields of the defaults that are wrong."""

    def configure(self, source_server_ids: Sequence[str]) -> list[ConfiguredServer]:
        """Tell what members are to have, and which of their fields are wrong."""
        return configure_read(source_server_ids, self.definition.launch_config, self.overrides, self.unsure)


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
    overrides, wrong_overrides = read_overrides(values.get("servers", []), None if selected else ids)
    unsure = wrong_fields(wrong_defaults, DEFAULTS_POINTER)
    conflicts = find_group_conflicts(configure_read(ids, defaults, overrides, unsure))
    errors += [*check_region(values.get("region"), regions), *wrong_defaults, *wrong_overrides, *conflicts]
    if errors:
        partly = _find_right(values, errors, listed=listed, defaults=defaults, overrides=overrides, unsure=unsure)
        raise InvalidGroup(tuple(errors), partly)
    kept = [ServerOverride(each.source_server_id, each.use_group_defaults, each.launch_config) for each in overrides]
    return values, assemble(values, defaults, kept)


def _find_right(
    values: Mapping[str, object],
    errors: Sequence[FieldError],
    *,
    listed: object,
    defaults: LaunchConfig,
    overrides: Sequence[ReadOverride],
    unsure: frozenset[str],
) -> PartlyRight | None:
    wrong = {error.pointer for error in errors}
    if "region" not in values or not wrong.isdisjoint(WAY_IN):
        return None
    given = listed if isinstance(listed, list) else []
    places: dict[str, str] = {}
    for index, each in enumerate(given):
        if isinstance(each, str):
            places.setdefault(each, f"/sourceServerIds/{index}")
    right = [each for each in places if is_source_server_id(each)]
    return PartlyRight(
        assemble({"groupName": "", **values, "sourceServerIds": right}, defaults, ()), places, tuple(overrides), unsure
    )


def _longest_list(raw: object) -> int:
    listed = [raw.get("sourceServerIds"), raw.get("servers")] if isinstance(raw, dict) else []
    return max((len(each) for each in listed if isinstance(each, list)), default=0)
