"""
The shape of a protection group's body, and the reading of its members, all errors at once.

The launch configs inside are read by `parse_launch_config`; here they only have their place.
"""

import difflib
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.model import types
from workers.core.model.errors import FieldError, Place, show
from workers.core.model.fields import LaunchConfigBody
from workers.core.model.launch_config import FIELDS, LaunchConfig
from workers.core.model.parse import find_unsure, parse_launch_config
from workers.core.model.shape import Mark, members_of, read_object

MAX_SERVERS = 4000
"""The greatest number of source servers of a group: DRS's quota for an account and Region (adjustable there)."""


SELECTION = ("sourceServerIds", "serverSelectionTags")
"""The two ways to say which source servers a group has."""
_GROUP_RULES = ConfigDict(extra="forbid", json_schema_extra={"oneOf": [{"required": [name]} for name in SELECTION]})


class _ServerId(TypedDict):
    sourceServerId: Annotated[
        types.SourceServerId, Field(description="a source server id, s- and 17 letters or digits")
    ]


@with_config(ConfigDict(extra="forbid"))
class ServerBody(_ServerId, total=False):
    """What is said of one source server."""

    useGroupDefaults: Annotated[bool, Field(description="true (inherit the group's defaults) or false")]
    launchConfig: Annotated[LaunchConfigBody, Field(description="an object, laid over the group's defaults")]


class _Required(TypedDict):
    groupName: Annotated[types.GroupName, Field(description="text of 1 to 128 printable characters")]
    region: Annotated[types.Region, Field(description="an AWS Region such as eu-central-1")]


@with_config(_GROUP_RULES)
class GroupBody(_Required, total=False):
    """
    Servers that recover together, and how they are launched.

    They are listed in `sourceServerIds`, or selected by `serverSelectionTags`: one of the two is given, and not both.
    """

    sourceServerIds: Annotated[
        list[types.SourceServerId],
        Field(
            description="a list of source server ids, each s- and 17 letters or digits",
            json_schema_extra={"minItems": 1, "maxItems": MAX_SERVERS, "uniqueItems": True},
        ),
    ]
    serverSelectionTags: Annotated[
        types.SelectionTags,
        Field(description="an object of 1 to 50 tags with text values, all of which a source server has in DRS"),
    ]
    description: Annotated[types.Description, Field(description="text of at most 1000 characters")]
    accountId: Annotated[types.AccountId, Field(description="an AWS account id, 12 digits in quotes")]
    assumeRoleName: Annotated[
        types.RoleName,
        Field(description="the name (not the ARN) of an IAM role, 1 to 64 of A-Z a-z 0-9 _+=,.@-"),
    ]
    externalId: Annotated[
        types.ExternalId,
        Field(description="text of 2 to 1224 characters of A-Z a-z 0-9 _+=,.@:/-"),
        Mark.CONFIDENTIAL,
    ]
    launchConfig: Annotated[LaunchConfigBody, Field(description="an object, the defaults of all servers")]
    servers: Annotated[
        list[ServerBody],
        Field(description="a list of objects, each with a sourceServerId and what is said of it"),
    ]
    autoRepair: Annotated[bool, Field(description="true or false")]
    taskToken: Annotated[
        types.TaskToken,
        Field(description="the token of a Step Functions task that waits for the end, 1 to 2048 characters"),
        Mark.CONFIDENTIAL,
    ]


class _Version(TypedDict):
    version: Annotated[types.GroupVersion, Field(description="the whole number that the group's answers carry")]


@with_config(_GROUP_RULES)
class GroupUpdateBody(GroupBody, _Version, total=False):
    """A protection group as it is to be from now on, over the version that was read."""

    force: Annotated[bool, Field(description="true (apply to every member, also what is ready) or false")]


_UPDATE = members_of(GroupUpdateBody)
_GROUP = members_of(GroupBody)
_SERVER = members_of(ServerBody)
MEMBERS = tuple(_UPDATE)
"""What a group's body can hold, also that of an update."""
_READ_APART = frozenset({"launchConfig", "servers"})


@dataclass(frozen=True, slots=True)
class ReadOverride:
    """An entry of `servers[]` as far as it could be read."""

    source_server_id: str
    """Empty where that cannot be read."""
    use_group_defaults: bool
    launch_config: LaunchConfig
    pointer: str
    wrong_fields: frozenset[str]
    """Fields of which nobody knows what was to be said: what they clash with cannot be told."""

    @property
    def replaces(self) -> frozenset[str]:
        """Name the fields that whoever it is for may not have as the defaults say."""
        if not self.use_group_defaults:
            return frozenset(FIELDS)
        return self.wrong_fields | self.launch_config.values.keys()


def read_group(raw: object, *, update: bool = False) -> tuple[dict[str, object], list[FieldError]]:
    """
    Read the members of a group's body, except the launch configs, which are handed on as they are.

    Parameters:
        raw: Any JSON value.
        update: Whether it is the body of an update, which names the version that it is laid over.

    Returns:
        The members that are right, and everything that is wrong.
    """
    root = Place("")
    if not isinstance(raw, dict):
        return {}, [root.error("The body must be an object that describes a protection group.")]
    members, body = (_UPDATE, GroupUpdateBody) if update else (_GROUP, GroupBody)
    listed, selected = (name in raw for name in SELECTION)
    required = body.__required_keys__ | (frozenset() if selected else {"sourceServerIds"})
    values, errors = read_object(raw, members, required, root, apart=_READ_APART)
    # A null is told of already: it says nothing that could stand beside anything, or need it.
    if listed and selected and None not in (raw[name] for name in SELECTION):
        message = (
            "serverSelectionTags cannot stand beside sourceServerIds: who matches the tags is a member, nobody else."
            " Give one of them."
        )
        errors.append(root.at("serverSelectionTags").error(message))
    errors += _check_ids(raw.get("sourceServerIds"), root.at("sourceServerIds"))
    if raw.get("externalId") is not None and "assumeRoleName" not in raw:
        message = "externalId needs assumeRoleName, the role that it opens. Give both or neither."
        errors.append(root.at("externalId").error(message))
    return values, errors


def read_overrides(raw: object, member_ids: Sequence[str] | None) -> tuple[list[ReadOverride], list[FieldError]]:
    """
    Read `servers[]`.

    Parameters:
        raw: Any JSON value.
        member_ids: The ids in `sourceServerIds`; None where nobody knows them yet, or cannot read them.

    Returns:
        The entries, one for each source server that they name, and everything that is wrong.
    """
    place = Place("/servers")
    if not isinstance(raw, list):
        return [], [place.error("servers must be a list of objects; leave it out if no server differs.")]
    overrides: dict[str, ReadOverride] = {}
    members = None if member_ids is None else frozenset(member_ids)
    errors: list[FieldError] = []
    nobodys: list[ReadOverride] = []
    for index, entry in enumerate(raw):
        override, wrong = _read_override(entry, place.at(index))
        errors += wrong
        if not override.source_server_id:
            nobodys.append(override)
            continue
        named = Place(f"{override.pointer}/sourceServerId", source_server_id=override.source_server_id)
        first = overrides.setdefault(override.source_server_id, override)
        if first is not override:
            overrides[override.source_server_id] = _doubt(first, override)
            errors.append(named.error(f"{override.source_server_id} stands in servers twice; put both into one entry."))
        elif members is not None and override.source_server_id not in members:
            message = f"{override.source_server_id} is not in sourceServerIds; add it there or take it out here."
            errors.append(named.error(message))
    return [*overrides.values(), *nobodys], errors


def check_region(region: object, known: Collection[str] | None) -> list[FieldError]:
    """
    Refuse a Region that nothing is known of: its source servers could never be reached.

    Parameters:
        region: The Region as it was read; None where it is wrong already.
        known: Those that a group can be in; None for all.

    Returns:
        The error, which names those that are written much like it, or nothing.
    """
    if not isinstance(region, str) or known is None or region in known:
        return []
    close = difflib.get_close_matches(region, sorted(known), n=3)
    guess = f" Did you mean {' or '.join(sorted(close))}?" if close else ""
    message = (
        f"region must be one in which DRS is offered, and {show(region)} is none that this installation knows.{guess}"
        " One that is newer than its SDK is made known by PRELAUNCH_EXTRA_REGIONS."
    )
    return [Place("").at("region").error(message)]


def is_source_server_id(value: object) -> bool:
    """Tell whether a value has the form of a source server's id."""
    return not _SERVER["sourceServerId"].read(value, Place(""))[1]


def _read_override(raw: object, place: Place) -> tuple[ReadOverride, list[FieldError]]:
    if not isinstance(raw, dict):
        nothing = ReadOverride("", False, LaunchConfig(), place.pointer, frozenset(FIELDS))
        return nothing, [place.error("Each entry of servers must be an object with a sourceServerId.")]
    # Every error of the entry names its server, as soon as that can be read at all.
    known_id, _ = _SERVER["sourceServerId"].read(raw.get("sourceServerId"), place)
    server_id = known_id if isinstance(known_id, str) else None
    place = Place(place.pointer, source_server_id=server_id)
    values, errors = read_object(raw, _SERVER, ServerBody.__required_keys__, place, apart=_READ_APART)
    pointer = f"{place.pointer}/launchConfig"
    # Without a known server a field for single servers would be taken for a default.
    config, wrong = parse_launch_config(
        values.get("launchConfig", {}), pointer=pointer, source_server_id=server_id or "unknown"
    )
    if server_id is None:
        wrong = [replace(each, source_server_id=None) for each in wrong]
    override = ReadOverride(
        source_server_id=server_id or "",
        use_group_defaults=values.get("useGroupDefaults", True) is True,
        launch_config=config,
        pointer=place.pointer,
        wrong_fields=find_unsure(config, wrong, pointer),
    )
    if any(error.pointer != f"{place.pointer}/sourceServerId" for error in errors):
        # It may have been to inherit or not, or to say more.
        override = _only_sure(override, config.values.keys())
    return override, errors + wrong


def _doubt(first: ReadOverride, second: ReadOverride) -> ReadOverride:
    """Keep of one of two entries for a source server what the other one does not gainsay."""
    said = first.launch_config.values.keys() - first.wrong_fields
    return _only_sure(first, said - second.launch_config.values.keys() - second.wrong_fields)


def _only_sure(override: ReadOverride, sure: AbstractSet[str]) -> ReadOverride:
    return replace(override, use_group_defaults=False, wrong_fields=frozenset(FIELDS) - sure)


def _check_ids(raw: object, place: Place) -> list[FieldError]:
    if not isinstance(raw, list):
        return []
    if not raw:
        return [place.error("sourceServerIds is empty; a protection group has at least one source server.")]
    seen: set[str] = set()
    errors = []
    for index, each in enumerate(raw):
        if isinstance(each, str) and each in seen and _SERVER["sourceServerId"].read(each, place) == (each, []):
            at = Place(f"{place.pointer}/{index}", source_server_id=each)
            errors.append(at.error(f"{each} stands in sourceServerIds twice; take one out."))
        elif isinstance(each, str):
            seen.add(each)
    return errors
