"""What many launch configs have in common, and what is left of each. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from workers.core.model.launch_config import FIELDS, Json, LaunchConfig

SHARED_BY = 2
"""A value that fewer source servers have is no default, unless there is only one of them."""


def factor(configs: Mapping[str, LaunchConfig]) -> tuple[LaunchConfig, dict[str, LaunchConfig]]:
    """
    Find defaults over which each config is made by an override. Merged they are the configs again, to the letter.

    Parameters:
        configs: Source server id to its launch config, which asks for nothing to be empty.

    Returns:
        The defaults, and the overrides of those that differ.
    """
    values = [config.values for config in configs.values()]
    defaults: dict[str, Json] = {}
    for name, spec in FIELDS.items():
        held = [each[name] for each in values if name in each]
        # Whoever lacks the field would inherit it.
        if spec.servers_only or not held or len(held) < len(values):
            continue
        objects = [each for each in held if isinstance(each, dict)]
        defaults |= {name: _find_common_members(objects)} if objects else _find_common(name, held)
    shared = LaunchConfig(defaults)
    overrides = {member: _subtract(config, shared) for member, config in configs.items()}
    return shared, {member: override for member, override in overrides.items() if override.values}


def _find_common_members(objects: Sequence[Mapping[str, Json]]) -> Json:
    names = sorted(set.intersection(*(set(each) for each in objects)))
    common: dict[str, Json] = {}
    for name in names:
        common |= _find_common(name, [each[name] for each in objects])
    return common


def _find_common(name: str, held: Sequence[Json]) -> dict[str, Json]:
    counts = Counter(json.dumps(each, sort_keys=True) for each in held)
    text, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: json.loads(text)} if count >= min(SHARED_BY, len(held)) else {}


def _subtract(config: LaunchConfig, shared: LaunchConfig) -> LaunchConfig:
    left: dict[str, Json] = {}
    for name, value in config.values.items():
        default = shared.values.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            left[name] = {key: each for key, each in value.items() if key not in default or default[key] != each}
        elif name not in shared.values or default != value:
            left[name] = value
    return LaunchConfig(left)
