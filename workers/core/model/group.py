"""
A protection group's definition: what a user asked for, checked as a whole.

A definition that exists is right in itself; what depends on the account is checked elsewhere. Its external id
is a secret: it goes to the store and to STS, never into a representation, a log or an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.core.model.errors import GroupTooLarge, InvalidBody
from workers.core.model.group_body import (
    MAX_SERVERS,
    SELECTION,
    GroupBody,
    GroupUpdateBody,
    ServerBody,
)
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.model.merge import merge

__all__ = [
    "MAX_SERVERS",
    "GroupBody",
    "GroupDefinition",
    "GroupTooLarge",
    "GroupUpdateBody",
    "InvalidBody",
    "ServerOverride",
    "Target",
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
        return assemble(members, _stored_config(members), overrides)


def assemble(
    values: Mapping[str, object], defaults: LaunchConfig, overrides: Sequence[ServerOverride]
) -> GroupDefinition:
    """
    Make a definition of what was read.

    Parameters:
        values: The members of a body that are right; groupName and region are there.
        defaults: The launch config of all.
        overrides: What is said of single source servers.

    Returns:
        The definition.
    """
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
