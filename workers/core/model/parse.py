"""
Turn the JSON of a user into a launch config, with every error of every field at once.

Whatever is sent, nothing here raises: a request is refused with all that is wrong, or taken whole.
"""

from collections.abc import Sequence

from workers.core.model.errors import INVALID_LAUNCH_CONFIG, FieldError, Place
from workers.core.model.fields import MANAGED_BY_DRS, LaunchConfigBody
from workers.core.model.launch_config import FIELDS, LaunchConfig
from workers.core.model.shape import find_wrong_members, members_of, readable_members, unknown_member

__all__ = ["FieldError", "find_unsure", "parse_launch_config"]

_MEMBERS = members_of(LaunchConfigBody)
_NAMES = tuple(FIELDS)


def parse_launch_config(
    raw: object, *, pointer: str, source_server_id: str | None
) -> tuple[LaunchConfig, list[FieldError]]:
    """
    Read a launch config and collect everything that is wrong with it.

    Whether fields go together is not judged here: that takes the effective config (`find_conflicts`).

    Parameters:
        raw: Any JSON value.
        pointer: JSON pointer of the value in the request's body.
        source_server_id: The server that it is for; None for the defaults of a group, where fields that
            only make sense for one server are refused.

    Returns:
        The config with the fields that were right, and the errors, in the order of the body.
    """
    place = Place(pointer, INVALID_LAUNCH_CONFIG, source_server_id)
    if not isinstance(raw, dict):
        return LaunchConfig(), [place.error("launchConfig must be an object; leave it out if there is nothing to set.")]
    given, errors = readable_members(raw, place)
    values: dict[str, object] = {}
    for name, value in given.items():
        read, wrong = _read_field(name, value, place)
        errors += wrong
        if not wrong:
            values[name] = read
    return LaunchConfig.from_json(values), errors


def find_unsure(read: LaunchConfig, errors: Sequence[FieldError], pointer: str) -> frozenset[str]:
    """
    Name the fields of which nobody knows what a launch config was to say: what they clash with cannot be told.

    Parameters:
        read: The config as far as it is right.
        errors: All that is wrong with it.
        pointer: Where it stands.

    Returns:
        The fields that are wrong, and those that unknown members were probably to be; where the config itself cannot be
        read, or the name of a member, every field that it does not say.
    """
    is_open = any(error.pointer == pointer for error in errors)
    wrong = frozenset(FIELDS) if is_open else find_wrong_members(errors, pointer, _NAMES)
    return wrong - read.values.keys()


def _read_field(name: str, value: object, place: Place) -> tuple[object, list[FieldError]]:
    if name in MANAGED_BY_DRS:
        return None, [place.at(name).error(f"{name} cannot be set. {MANAGED_BY_DRS[name]}")]
    spec = FIELDS.get(name)
    if spec is None:
        return None, [unknown_member(place, name, _NAMES)]
    if spec.servers_only and place.source_server_id is None:
        reason = f"{name} cannot be a default: no two servers can share it. Set it under servers[] for one server."
        return None, [place.at(name).error(reason)]
    return _MEMBERS[name].read(value, place.at(name), null_reason=spec.null_reason)
