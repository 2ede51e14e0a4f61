"""What source servers are to have by a group's body as it was read, right or wrong. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from workers.core.model.group_body import ReadOverride
from workers.core.model.group_conflicts import ConfiguredServer
from workers.core.model.launch_config import FIELDS, LaunchConfig
from workers.core.model.merge import merge


@dataclass(frozen=True, slots=True)
class ReadConfigs:
    """The launch configs of a group's body, as far as they are right."""

    defaults: LaunchConfig
    unsure: frozenset[str]
    """Fields of which nobody knows whether source servers have them as the defaults say."""
    overrides: Sequence[ReadOverride]

    @property
    def places(self) -> dict[str, str]:
        """Point to where something is said of each source server that is named."""
        return {each.source_server_id: each.pointer for each in self.overrides if each.source_server_id}

    def select(self, ids: Collection[str]) -> "ReadConfigs":
        """Leave out what is said of others: what is of one that does not match is for no other."""
        known = {"", *ids}
        return replace(self, overrides=[each for each in self.overrides if each.source_server_id in known])

    def configure(self, ids: Sequence[str]) -> list[ConfiguredServer]:
        """
        Tell what source servers are to have, and of which of their fields that is not known.

        Parameters:
            ids: The source servers.

        Returns:
            Each of them, but for those of which nothing is known.
        """
        by_id, members = {override.source_server_id: override for override in self.overrides}, frozenset(ids)
        strangers = [each for each in self.overrides if each.source_server_id not in members]
        bare = [each for each in ids if each not in by_id]
        # What names nobody here was probably to name one of these: of so many the defaults are certain.
        replaced = (each.replaces for each in strangers if len(strangers) >= len(bare))
        unsure = self.unsure.union(*replaced)
        servers = [self._configure(each, by_id.get(each), unsure) for each in ids]
        return [server for server in servers if not server.wrong_fields >= FIELDS.keys()]

    def _configure(
        self, source_server_id: str, override: ReadOverride | None, unsure: frozenset[str]
    ) -> ConfiguredServer:
        if override is None:
            return ConfiguredServer(source_server_id, self.defaults, None, "", unsure)
        own = override.launch_config
        effective = merge(self.defaults, own, use_group_defaults=override.use_group_defaults)
        inherited = self.unsure if override.use_group_defaults else frozenset[str]()
        wrong = (inherited - own.values.keys()) | override.wrong_fields
        return ConfiguredServer(source_server_id, effective, own, f"{override.pointer}/launchConfig", wrong)
