"""
From desired and observed to steps. Pure: the plan that is shown is the plan that is executed.

The order is fixed, for DRS may write the launch template when its own launch configuration is updated:
update DRS, read the template anew, create a version from what was read, promote that version.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785

from workers.core.model.conflicts import Conflict, find_conflicts
from workers.core.model.launch_config import FIELDS, Half, Json, LaunchConfig
from workers.core.plan.drift import (
    EMPTY_IN_DRS,
    DriftItem,
    find_drs_drift,
    find_template_drift,
)
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.template import TEMPLATE_FIELDS

NOTHING = LaunchConfig()


@dataclass(frozen=True, slots=True)
class UpdateLaunchConfiguration:
    """Send these fields to DRS; it leaves the others alone."""

    fields: Mapping[str, Json]
    drift: tuple[DriftItem, ...]


@dataclass(frozen=True, slots=True)
class CreateTemplateVersion:
    """Create a version of the launch template, and promote the number that EC2 returns."""

    template_id: str
    source_version: int
    """The number that was read; the version inherits from it where `inherits`."""
    inherits: bool
    """False where a whole member has to go: a version that inherits cannot lack what its source has."""
    members: Mapping[str, Any]
    """The top-level members to send, each whole, for EC2 replaces a member that is sent."""
    client_token: str
    """64 hex characters, the same for the same work: however often it is sent, EC2 makes one version."""
    description: str
    """Holds the payload's digest and nothing of the run: it is a parameter, which the token binds."""
    drift: tuple[DriftItem, ...]


def concerns_template(desired: LaunchConfig) -> bool:
    """Tell whether any field of a launch config stands in the launch template."""
    return any(FIELDS[name].half is Half.EC2 for name in desired.values)


def plan_launch_configuration(
    desired: LaunchConfig, observed: ObservedConfiguration
) -> UpdateLaunchConfiguration | None:
    """Plan DRS's half; None where nothing has to change."""
    drift = find_drs_drift(desired, observed)
    names = dict.fromkeys(item.field.partition(".")[0] for item in drift)
    if not names:
        return None
    fields = {name: EMPTY_IN_DRS.get(name) if desired.values[name] is None else desired.values[name] for name in names}
    return UpdateLaunchConfiguration(fields, tuple(drift))


def plan_template(desired: LaunchConfig, observed: ObservedTemplate, *, salt: int = 0) -> CreateTemplateVersion | None:
    """
    Plan EC2's half; None where nothing has to change.

    Parameters:
        desired: The effective launch config.
        observed: The default version, read after DRS's half was written.
        salt: 0, or the number of a version of ours that was refused or vanished, so that EC2 makes a new one.

    Returns:
        The step, or None.
    """
    drift = find_template_drift(desired, observed)
    if not drift:
        return None
    data: Mapping[str, Any] = observed.data
    for name in dict.fromkeys(item.field.partition(".")[0] for item in drift):
        data = TEMPLATE_FIELDS[name].write(data, desired.values[name])
    inherits = data.keys() >= observed.data.keys()
    members = {name: value for name, value in data.items() if value != observed.data.get(name)}
    payload = dict(members if inherits else data)
    digest = _digest([payload])
    return CreateTemplateVersion(
        template_id=observed.template_id,
        source_version=observed.version,
        inherits=inherits,
        members=payload,
        client_token=_digest([observed.template_id, observed.version, inherits, payload, salt]),
        description=f"prelaunch {digest}",
        drift=tuple(drift),
    )


def find_observed_conflicts(
    desired: LaunchConfig, observed: ObservedConfiguration, put_back: LaunchConfig = NOTHING
) -> list[str]:
    """
    Find what DRS holds, or gets back, in fields that are not ours, that would undo or refuse what is wanted.

    Returns:
        One sentence a conflict; empty where the launch config can be applied.

    Parameters:
        desired: The effective launch config.
        observed: What DRS holds before anything is written.
        put_back: What is put back to what it was before us.
    """
    held = {
        name: value
        for name, value in {**observed.values, **put_back.values}.items()
        if value and name in FIELDS and FIELDS[name].half is Half.DRS and name not in desired.values
    }
    if not held:
        return []
    own = {conflict.field for conflict in find_conflicts(desired)}
    both = find_conflicts(LaunchConfig({**held, **desired.values}))
    return [
        f"{conflict.message}{_explain(conflict, put_back)}"
        for conflict in both
        # What DRS holds against itself, in fields that nobody asked us about, is no reason to refuse.
        if conflict.field not in own and desired.values.keys() & {conflict.field, *conflict.others}
    ]


def _explain(conflict: Conflict, put_back: LaunchConfig) -> str:
    names = [name for name in (conflict.field, *conflict.others) if name in put_back.values]
    return "".join(
        f" ({name} is named no more, and put back to what it was before this group set it.)" for name in names
    )


def _digest(value: list[Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(_to_json(value))).hexdigest()


def _to_json(value: Any) -> Any:
    match value:
        case dict():
            return {name: _to_json(member) for name, member in value.items()}
        case list():
            return [_to_json(member) for member in value]
        # The one moment that a template can hold: until when a Spot request is valid.
        case datetime():
            return value.astimezone(UTC).isoformat()
        case _:
            return value
