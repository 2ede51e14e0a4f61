"""
What AWS holds for a source server, as a launch config that asks for exactly that. Pure.

Whatever could not be asked for is left out and named: a launch config of it would be refused, or change something.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.core.model.conflicts import find_conflicts
from workers.core.model.launch_config import FIELDS, Half, Json, LaunchConfig
from workers.core.model.parse import parse_launch_config
from workers.core.plan.template import TEMPLATE_FIELDS

MANAGED_MEMBERS = frozenset(
    {
        "CreditSpecification",
        "DisableApiStop",
        "DisableApiTermination",
        "EbsOptimized",
        "IamInstanceProfile",
        "InstanceType",
        "MetadataOptions",
        "Monitoring",
        "NetworkInterfaces",
        "Placement",
        "SecurityGroupIds",
        "SecurityGroups",
        "TagSpecifications",
    }
)
"""The members of launch template data in which fields of ours stand."""
PASSES = 2


@dataclass(frozen=True, slots=True)
class Held:
    """What one source server has."""

    source_server_id: str
    config: LaunchConfig
    left_out: tuple[str, ...]
    """What is not in the config, and why: one sentence each, the same for the same reason."""
    tags: Mapping[str, str]
    """Of the source server in DRS."""


def read_held(
    source_server_id: str, configuration: Mapping[str, Json], data: Mapping[str, Any], tags: Mapping[str, str]
) -> Held:
    """
    Make the launch config of what a source server has.

    Parameters:
        source_server_id: The source server.
        configuration: Our field names with the values that DRS holds.
        data: Launch template data as EC2 takes it.
        tags: Of the source server in DRS.

    Returns:
        The config, which has no conflicts, and what is left out of it.
    """
    raw = {name: value for name, value in configuration.items() if not _is_nothing_of_drs(value)}
    for name, field in TEMPLATE_FIELDS.items():
        value = field.read(data)
        if value not in (None, [], {}):
            raw[name] = value
    left_out = [*_find_unmanaged(data), *_take_out_wrong(raw, source_server_id)]
    left_out += _take_out_conflicts(raw)
    return Held(source_server_id, LaunchConfig.from_json(raw), tuple(left_out), tags)


def _is_nothing_of_drs(value: Json) -> bool:
    # DRS answers an empty name or instance id where nothing is set.
    return value in (None, "", {}) or (isinstance(value, dict) and all(each == "" for each in value.values()))


def _take_out_wrong(raw: dict[str, Json], source_server_id: str) -> Iterator[str]:
    """Take out what no launch config can say; of an object only the members that cannot be said."""
    # What is wrong with an object as a whole tells only once its members are right.
    for _ in range(PASSES):
        _, errors = parse_launch_config(dict(raw), pointer="", source_server_id=source_server_id)
        for error in errors:
            yield f"{_take_out(raw, error.pointer)} is left out: {error.message}"


def _take_out(raw: dict[str, Json], pointer: str) -> str:
    name, _, member = pointer.removeprefix("/").partition("/")
    held = raw.get(name)
    member = member.replace("~1", "/").replace("~0", "~")
    if isinstance(held, dict) and member in held:
        raw[name] = {key: value for key, value in held.items() if key != member}
        return f"{name}.{member}"
    raw.pop(name, None)
    return name


def _take_out_conflicts(raw: dict[str, Json]) -> Iterator[str]:
    """Take out what cannot be asked for beside the rest; DRS may hold it all the same."""
    for conflict in find_conflicts(LaunchConfig.from_json(raw)):
        # What DRS holds against itself in fields of its own cannot be asked for even in part.
        others = conflict.others if FIELDS[conflict.field].half is Half.DRS else ()
        for name in (conflict.field, *others):
            raw.pop(name, None)
        yield f"{', '.join((conflict.field, *others))} left out: {conflict.message}"


def _find_unmanaged(data: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(data.keys() - MANAGED_MEMBERS):
        yield f"{name} of the launch template is not managed by prelaunch, and stays as it is."
    if len(data.get("NetworkInterfaces") or []) > 1:
        yield "Further network interfaces of the launch template are not managed by prelaunch, and stay as they are."
    if (data.get("Placement") or {}).keys() - {"Tenancy"}:
        yield "Of Placement in the launch template only Tenancy is managed by prelaunch; the rest stays as it is."
