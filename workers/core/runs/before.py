"""A group as it was read before it is changed: what a change of it would lead to. No I/O here."""

from dataclasses import dataclass
from datetime import datetime

from workers.core.model.digest import digest_launch_config
from workers.core.model.group import GroupDefinition
from workers.core.runs.selection import Change, find_change
from workers.core.status import Status
from workers.core.store.records import GroupHead, GroupStatus, ServerItem
from workers.core.store.runs import Run


@dataclass(frozen=True, slots=True)
class Before:
    """A group as it was read, for one try."""

    head: GroupHead
    definition: GroupDefinition
    status: GroupStatus | None
    run: Run | None
    servers: dict[str, ServerItem]

    def find_change(self, definition: GroupDefinition) -> Change:
        """Find what a definition would change for the group's source servers."""
        if self.run is None:
            return find_change(_hash_configs(self.definition), _hash_configs(definition), {})
        # A definition that came after the run without a generation of its own asks for the same.
        statuses = self.run.read_statuses(self.servers)
        return find_change(self.run.config_hashes, _hash_configs(definition), statuses)

    def find_unchecked(self, definition: GroupDefinition, change: Change) -> frozenset[str]:
        """Name the members of which the account was not asked when what is wanted of them was stored."""
        if definition.target != self.definition.target:
            return frozenset(definition.source_server_ids)
        return change.joining | change.changed

    def is_in_hand(self, definition: GroupDefinition, change: Change) -> bool:
        """Tell whether the current run does already what there is to do, in the same way."""
        if self.run is None or change.needs_generation or self.run.target != definition.target:
            return False
        return bool(change.listed) and change.listed <= self.run.brings and self.is_pending()

    def has_more_to_do(self, definition: GroupDefinition) -> bool:
        """Tell whether a definition leads to a run, beside the one that may be under way."""
        change = self.find_change(definition)
        return bool(change.listed) and not self.is_in_hand(definition, change)

    def find_in_hand(self, definition: GroupDefinition, change: Change) -> Run | None:
        """Find the run that does already what there is to do."""
        return self.run if self.is_in_hand(definition, change) else None

    def is_pending(self) -> bool:
        """Tell whether a run is under way."""
        return self.status is not None and self.status.status is Status.PENDING

    def is_launching(self, now: datetime) -> bool:
        """Tell whether a wave launches the group's members, also those that leave it now."""
        return self.status is not None and self.status.is_launching(now)

    def find_unused(self, opened: Run | None) -> set[int]:
        """Name the versions that are nobody's any more once the update is stored."""
        current = opened or self.run
        used = {current.head.config_version} if current else set()
        return {self.head.version, *({self.run.head.config_version} if self.run else ())} - used

    def choose_listed(self, definition: GroupDefinition, change: Change, *, force: bool) -> frozenset[str] | None:
        """Choose what the generation that the update needs lists; None where it needs none."""
        everyone = frozenset(definition.source_server_ids)
        if self.status is None:
            # Nothing was ever to be applied: now everything is, or still nothing.
            return everyone if definition.has_launch_config() else None
        if force:
            return everyone
        if change.needs_generation or (change.listed and not self.is_in_hand(definition, change)):
            return change.listed
        return None


def _hash_configs(definition: GroupDefinition) -> dict[str, str]:
    return {member: digest_launch_config(definition.effective(member)) for member in definition.source_server_ids}
