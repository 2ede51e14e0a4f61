"""Lay the override of a server over the defaults of its group. Conflicts are never resolved here."""

from workers.core.model.launch_config import Json, LaunchConfig


def merge(defaults: LaunchConfig, override: LaunchConfig, *, use_group_defaults: bool) -> LaunchConfig:
    """
    Make the effective launch config of a server.

    Objects merge member by member, each with its three values (absent inherits, a value or null wins). Lists
    and single values replace. A null has no members: over or under an object, the override stands alone.

    Parameters:
        defaults: What the group says.
        override: What is said of this server.
        use_group_defaults: False if only the override counts.

    Returns:
        The effective launch config.
    """
    if not use_group_defaults:
        return override
    merged = {name: _lay_over(defaults.values.get(name), value) for name, value in override.values.items()}
    return LaunchConfig({**defaults.values, **merged})


def _lay_over(below: Json, above: Json) -> Json:
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **above}
    return above
