"""
A protection group's definition: what a user asked for, checked as a whole.

A definition that exists is right in itself; what depends on the account is checked elsewhere. Its external id
is a secret: it goes to the store and to STS, never into a representation, a log or an answer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from workers.core.model.errors import GroupTooLarge, InvalidBody
from workers.core.model.group_body import (
    MAX_SERVERS,
    SELECTION,
    GroupBody,
    GroupUpdateBody,
    ReadOverride,
    ServerBody,
    check_region,
    read_group,
    read_overrides,
    wrong_fields,
)
from workers.core.model.group_conflicts import DEFAULTS_POINTER, ConfiguredServer, find_group_conflicts
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.model.merge import merge
from workers.core.model.parse import parse_launch_config

__all__ = [
    "MAX_SERVERS",
    "GroupBody",
    "GroupDefinition",
    "GroupTooLarge",
    "GroupUpdate",
    "GroupUpdateBody",
    "InvalidBody",
    "ServerOverride",
    "Target",
    "parse_group",
    "parse_group_update",
]


_STORED_KINDS: Mapping[str, type] = {
    "sourceServerIds": list,
    "serverSelectionTags": dict,
    "launchConfig": dict,
    "servers": list,
    "autoRepair": bool,
    "useGroupDefaults": bool,
}
"""The kinds of a stored group's members that are no texts."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the group's servers are, and how we get there."""

    region: str
    account_id: str | None = None
    """None: the account that prelaunch runs in."""
    assume_role_name: str | None = None
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ServerOverride:
    """What is said of one source server."""

    source_server_id: str
    use_group_defaults: bool
    launch_config: LaunchConfig

    def to_json(self) -> dict[str, Json]:
        """Render as an entry of `servers[]`."""
        return {
            "sourceServerId": self.source_server_id,
            "useGroupDefaults": self.use_group_defaults,
            "launchConfig": self.launch_config.to_json(),
        }


@dataclass(frozen=True, slots=True)
class GroupDefinition:
    """Servers that recover together, and how they are launched."""

    name: str
    description: str
    target: Target
    source_server_ids: tuple[str, ...]
    launch_config: LaunchConfig
    """The defaults of all servers."""
    overrides: Mapping[str, ServerOverride]
    """By source server id; only servers of which something is said."""
    auto_repair: bool
    selection_tags: Mapping[str, str] = field(default_factory=dict)
    """What its members were selected by, all of them tags of each; none where they were listed."""

    def effective(self, source_server_id: str) -> LaunchConfig:
        """Tell what one of the group's servers is to have."""
        override = self.overrides.get(source_server_id)
        if override is None:
            return self.launch_config
        return merge(self.launch_config, override.launch_config, use_group_defaults=override.use_group_defaults)

    def has_launch_config(self) -> bool:
        """Tell whether anything is asked for any server."""
        return any(self.effective(each).values for each in self.source_server_ids)

    def to_body(self) -> dict[str, Json]:
        """Render for a door: as a request's body, without the external id."""
        optional: dict[str, Json] = {
            "accountId": self.target.account_id,
            "assumeRoleName": self.target.assume_role_name,
            "serverSelectionTags": {**self.selection_tags} or None,
        }
        return {
            "groupName": self.name,
            "description": self.description,
            "region": self.target.region,
            **{name: value for name, value in optional.items() if value is not None},
            "sourceServerIds": [*self.source_server_ids],
            "launchConfig": self.launch_config.to_json(),
            "servers": [override.to_json() for override in self.overrides.values()],
            "autoRepair": self.auto_repair,
        }

    def to_json(self) -> dict[str, Json]:
        """Render for the store, the external id with it; `from_json` gives back an equal definition."""
        external_id = self.target.external_id
        return self.to_body() if external_id is None else {**self.to_body(), "externalId": external_id}

    @classmethod
    def from_json(cls, raw: object) -> "GroupDefinition":
        """
        Read what `to_json` wrote.

        What `to_json` cannot have written, or only that of a version with more members, is a ValueError. The
        rules for users are not applied again: a stricter version must still read what an older one accepted.

        Parameters:
            raw: JSON, or DynamoDB's form of it with Decimals for numbers.

        Returns:
            The definition that was written.
        """
        required = GroupBody.__required_keys__ | {"sourceServerIds"}
        members = _stored_object(raw, required, GroupBody.__optional_keys__)
        servers = members.get("servers")
        overrides = [_stored_override(each) for each in servers] if isinstance(servers, list) else []
        return _assemble(members, _stored_config(members), overrides)


@dataclass(frozen=True, slots=True)
class GroupUpdate:
    """What a group is to be from now on."""

    definition: GroupDefinition
    """Whole; without an external id the one that is stored stays."""
    version: int
    """The version that the requester read: an update over any other one is refused."""
    force: bool
    """Apply to every member, also what is ready."""


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
    conflicts = find_group_conflicts(_configured(ids, defaults, overrides, unsure))
    errors += [*check_region(values.get("region"), regions), *wrong_defaults, *wrong_overrides, *conflicts]
    if errors:
        raise InvalidBody(tuple(errors))
    kept = [ServerOverride(each.source_server_id, each.use_group_defaults, each.launch_config) for each in overrides]
    return values, _assemble(values, defaults, kept)


def _longest_list(raw: object) -> int:
    listed = [raw.get("sourceServerIds"), raw.get("servers")] if isinstance(raw, dict) else []
    return max((len(each) for each in listed if isinstance(each, list)), default=0)


def _configured(
    ids: Sequence[str], defaults: LaunchConfig, overrides: Sequence[ReadOverride], unsure: frozenset[str]
) -> list[ConfiguredServer]:
    by_id = {override.source_server_id: override for override in overrides}
    servers = []
    for source_server_id in ids:
        override = by_id.get(source_server_id)
        if override is None:
            servers.append(ConfiguredServer(source_server_id, defaults, None, "", unsure))
        elif override.judgeable:
            own = override.launch_config
            effective = merge(defaults, own, use_group_defaults=override.use_group_defaults)
            inherited = unsure if override.use_group_defaults else frozenset[str]()
            wrong = (inherited - set(own.values)) | override.wrong_fields
            pointer = f"{override.pointer}/launchConfig"
            servers.append(ConfiguredServer(source_server_id, effective, own, pointer, wrong))
    return servers


def _assemble(
    values: Mapping[str, object], defaults: LaunchConfig, overrides: Sequence[ServerOverride]
) -> GroupDefinition:
    ids, tags = (values.get(name) for name in SELECTION)
    return GroupDefinition(
        name=str(values["groupName"]),
        description=str(values.get("description", "")),
        target=Target(
            region=str(values["region"]),
            account_id=_text(values.get("accountId")),
            assume_role_name=_text(values.get("assumeRoleName")),
            external_id=_text(values.get("externalId")),
        ),
        source_server_ids=tuple(str(each) for each in ids) if isinstance(ids, list) else (),
        launch_config=defaults,
        overrides={override.source_server_id: override for override in overrides},
        auto_repair=values.get("autoRepair") is True,
        selection_tags={str(key): str(tags[key]) for key in sorted(tags)} if isinstance(tags, dict) else {},
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _stored_object(raw: object, required: frozenset[str], optional: frozenset[str]) -> Mapping[str, object]:
    if not isinstance(raw, dict) or not required <= raw.keys() <= required | optional:
        raise ValueError("The stored group lacks a member, or was written by another version.")
    for name, value in raw.items():
        # Passed over, a damaged account id would be none, and the group one of our own account.
        if not isinstance(value, _STORED_KINDS.get(name, str)):
            raise ValueError(f"The stored group has something else where its {name} belongs.")  # noqa: TRY004
    return raw


def _stored_config(members: Mapping[str, object]) -> LaunchConfig:
    config = members.get("launchConfig")
    return LaunchConfig.from_json(config if isinstance(config, dict) else {})


def _stored_override(raw: object) -> ServerOverride:
    members = _stored_object(raw, ServerBody.__required_keys__, ServerBody.__optional_keys__)
    inherits = members.get("useGroupDefaults", True) is True
    return ServerOverride(str(members["sourceServerId"]), inherits, _stored_config(members))
