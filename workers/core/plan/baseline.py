"""
What was there before us: taken over when a launch config names a field, put back once none does any more. Pure.

A baseline is that of one source server in one group. Of an object each member stands for itself, behind a dot, as in
`tags.Owner`; None stands for nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from workers.core.model.launch_config import FIELDS, Half, Json, LaunchConfig
from workers.core.model.merge import merge
from workers.core.plan.observed import ObservedConfiguration

Baseline: TypeAlias = Mapping[str, Json]
NO_BASELINE: Baseline = {}

_WRITTEN_BY_DRS: Mapping[str, tuple[str, frozenset[Json]]] = {
    "staticPrivateIp": ("copyPrivateIp", frozenset({True})),
    "instanceType": ("targetInstanceTypeRightSizingMethod", frozenset({"BASIC", "IN_AWS"})),
}
"""What DRS writes into the launch template by itself, and the setting of its own by which it does.
Source: DRS User Guide, "Launch settings"."""


@dataclass(frozen=True)
class Goal:
    """What a source server is to have: its launch config, and as it was before us what was ours and is not any more."""

    desired: LaunchConfig
    """The effective launch config."""
    baseline: Baseline = field(default_factory=dict)

    @cached_property
    def put_back(self) -> LaunchConfig:
        """Tell what is put back, and to what."""
        values: dict[str, Json] = {}
        for path, value in self.baseline.items():
            if not is_kept(self.desired, path) and _can_be_written(path, value):
                _set(values, path, value)
        return LaunchConfig(values)

    @cached_property
    def whole(self) -> LaunchConfig:
        """Tell all that is to be there."""
        return merge(self.put_back, self.desired, use_group_defaults=True)

    def find_left(self, observed: ObservedConfiguration) -> list[str]:
        """
        Find what cannot be put back, for DRS has no way to hold nothing there.

        Parameters:
            observed: What DRS holds.

        Returns:
            One sentence a field; none where DRS holds nothing there any more.
        """
        return [
            f"{path} was empty before this group set it, and is to be so again. {FIELDS[name].null_reason}"
            for path, value in self.baseline.items()
            for name in [path.partition(".")[0]]
            if not is_kept(self.desired, path) and not _can_be_written(path, value) and _held(observed, path)
        ]


def is_kept(desired: LaunchConfig, path: str) -> bool:
    """
    Tell whether what a field was before us is still to be known, and not yet to be put back.

    Parameters:
        desired: The effective launch config.
        path: The field, or the member of one.

    Returns:
        Whether the launch config names it, or has DRS write it.
    """
    name, _, member = path.partition(".")
    if name in desired.values:
        value = desired.values[name]
        return not isinstance(value, dict) or member in value
    switch, on = _WRITTEN_BY_DRS.get(name, ("", frozenset()))
    return switch in desired.values and desired.values[switch] in on


def find_written_by_drs(desired: LaunchConfig, observed: ObservedConfiguration) -> list[str]:
    """
    Find what DRS will write into the launch template because of what it is told now, and has not written before.

    Parameters:
        desired: The effective launch config.
        observed: What DRS holds before it is told.

    Returns:
        The fields.
    """
    return [
        name
        for name, (switch, on) in _WRITTEN_BY_DRS.items()
        if desired.values.get(switch) in on and observed.values.get(switch) not in on
    ]


def keep(desired: LaunchConfig, baseline: Baseline) -> Baseline:
    """Tell what of a baseline is still to be known once the source server has all that it is to have."""
    return {path: value for path, value in baseline.items() if is_kept(desired, path)}


def take_over(held: Iterable[tuple[str, Json]]) -> Baseline:
    """
    Spell what is held as a baseline.

    Parameters:
        held: Fields with what is held there: an object where all of its members are meant.

    Returns:
        The same by single values.
    """
    spelled: dict[str, Json] = {}
    for path, value in held:
        name, _, member = path.partition(".")
        if isinstance(value, dict) and not member:
            spelled |= {f"{path}.{each}": of_it for each, of_it in value.items()}
        elif FIELDS[name].half is Half.DRS:
            # DRS says nothing by an empty text.
            spelled[path] = None if value == "" else value
        else:
            spelled[path] = value
    return spelled


def _set(values: dict[str, Json], path: str, value: Json) -> None:
    name, _, member = path.partition(".")
    if not member:
        values[name] = value
        return
    members = values.setdefault(name, {})
    if isinstance(members, dict):
        members[member] = value


def _can_be_written(path: str, value: Json) -> bool:
    spec = FIELDS[path.partition(".")[0]]
    return value is not None or spec.half is Half.EC2 or spec.nullable


def _held(observed: ObservedConfiguration, path: str) -> bool:
    name, _, member = path.partition(".")
    value = observed.values.get(name)
    held = value.get(member) if member and isinstance(value, dict) else value
    return held not in (None, "", {})
