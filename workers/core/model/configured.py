"""What source servers are to have by a group's body as it was read, right or wrong. Pure."""

from collections.abc import Sequence

from workers.core.model.group_body import ReadOverride
from workers.core.model.group_conflicts import ConfiguredServer
from workers.core.model.launch_config import LaunchConfig
from workers.core.model.merge import merge


def configure_read(
    ids: Sequence[str], defaults: LaunchConfig, overrides: Sequence[ReadOverride], unsure: frozenset[str]
) -> list[ConfiguredServer]:
    """
    Tell what source servers are to have, and which of their fields are wrong.

    Parameters:
        ids: The source servers.
        defaults: The group's launch config, as far as it is right.
        overrides: The entries of `servers[]`, as far as they are right.
        unsure: The fields of the defaults that are wrong.

    Returns:
        Each of them, but for those whose entry is too wrong to tell.
    """
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
