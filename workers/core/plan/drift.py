"""Compare the launch config that is wanted with what AWS holds. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workers.core.model.launch_config import FIELDS, Half, Json, LaunchConfig
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.template import TEMPLATE_FIELDS

EMPTY_IN_DRS: Mapping[str, Json] = {"name": ""}
"""What DRS holds where a launch config wants nothing: it has no way to leave these out."""


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One field, or one member of a field, that is not as it is wanted."""

    field: str
    """Name of the field; a member stands behind a dot, as in `tags.Owner`."""
    observed: Json
    """What AWS holds; None where it holds nothing."""
    desired: Json
    """What is wanted; None where nothing may be held."""


def find_drs_drift(desired: LaunchConfig, observed: ObservedConfiguration) -> list[DriftItem]:
    """Find the drifted fields that DRS's launch configuration holds."""
    return [item for item in _compare_configuration(desired, observed) if _is_drift(item)]


def find_template_drift(desired: LaunchConfig, observed: ObservedTemplate) -> list[DriftItem]:
    """Find the drifted fields that the launch template's default version holds."""
    return [item for item in _compare_template(desired, observed) if _is_drift(item)]


def read_configuration(desired: LaunchConfig, observed: ObservedConfiguration) -> Iterator[tuple[str, Json]]:
    """Read what DRS's launch configuration holds in each field, or member of one, that is wanted."""
    return ((item.field, item.observed) for item in _compare_configuration(desired, observed))


def read_template(desired: LaunchConfig, observed: ObservedTemplate) -> Iterator[tuple[str, Json]]:
    """Read what the launch template's default version holds in each field, or member of one, that is wanted."""
    return ((item.field, item.observed) for item in _compare_template(desired, observed))


def describe_drift(drift: Sequence[DriftItem]) -> str:
    """Name each drifted field, with what is there and what is wanted."""
    return "; ".join(f"{item.field} = {item.observed!r} instead of {item.desired!r}" for item in drift)


def _wanted(desired: LaunchConfig, half: Half) -> Iterator[tuple[str, Json]]:
    # A field that the operator left out is not ours, whatever AWS holds.
    for name, spec in FIELDS.items():
        if spec.half is half and name in desired.values:
            yield name, desired.values[name]


def _compare_configuration(desired: LaunchConfig, observed: ObservedConfiguration) -> Iterator[DriftItem]:
    for name, wanted in _wanted(desired, Half.DRS):
        yield from _compare(
            name,
            EMPTY_IN_DRS.get(name) if wanted is None else wanted,
            # DRS may leave out what is empty; read otherwise, an emptied name would drift for ever.
            observed.values.get(name, EMPTY_IN_DRS.get(name)),
        )


def _compare_template(desired: LaunchConfig, observed: ObservedTemplate) -> Iterator[DriftItem]:
    for name, wanted in _wanted(desired, Half.EC2):
        yield from _compare(name, wanted, TEMPLATE_FIELDS[name].read(observed.data))


def _compare(name: str, wanted: Json, held: Json) -> Iterator[DriftItem]:
    if isinstance(wanted, dict):
        members = held if isinstance(held, dict) else {}
        for member, value in wanted.items():
            # A member is one value, also where instance and volume have another each.
            yield DriftItem(f"{name}.{member}", members.get(member), value)
    else:
        yield DriftItem(name, held, wanted)


def _is_drift(item: DriftItem) -> bool:
    return item.desired != item.observed and not (item.desired is None and item.observed == {})
