"""Which source servers a new run lists. Pure: superseding a run must never lose one of its source servers."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.core.status import Status


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What somebody asks to be applied."""

    force: bool = False
    """Take also what is ready: observe and verify it anew; it is written only where it differs."""
    only_failed: bool = False
    """Ask for the failed members alone."""
    source_server_ids: tuple[str, ...] | None = None
    """Ask for these members; None is all of them."""
    resend: bool = False
    """Their jobs are known to be lost: send those of pending ones again; what failed already is in no run's hand."""


def select_listed(statuses: Mapping[str, Status], request: ApplyRequest) -> frozenset[str]:
    """
    List what is asked and everything that is not ready, for a new generation owns all of the group.

    Parameters:
        statuses: Every member's status at the current generation.
        request: What is asked.

    Returns:
        The list of the new run.
    """
    not_ready = {member for member, status in statuses.items() if status is not Status.READY}
    if not request.force:
        return frozenset(not_ready)
    asked = set(statuses if request.source_server_ids is None else request.source_server_ids)
    if request.only_failed:
        asked &= {member for member, status in statuses.items() if status is Status.FAILED}
    return frozenset(asked | not_ready)


def is_in_hand(status: Status, listed: frozenset[str], statuses: Mapping[str, Status], request: ApplyRequest) -> bool:
    """Tell whether the current run, or the present state, already answers the request."""
    if request.force:
        return False
    asked = statuses if request.source_server_ids is None else request.source_server_ids
    wanted = {member for member in asked if statuses[member] is not Status.READY}
    lost = request.resend and any(statuses[member] is Status.FAILED for member in wanted)
    # Who asks only for what is ready must not set off the group's failed members.
    return not wanted or (status is Status.PENDING and wanted <= listed and not lost)


def find_waiting(statuses: Mapping[str, Status], request: ApplyRequest) -> frozenset[str]:
    """Name the members that are asked for and pending."""
    asked = statuses if request.source_server_ids is None else request.source_server_ids
    return frozenset(member for member in asked if statuses[member] is Status.PENDING)


@dataclass(frozen=True, slots=True)
class Change:
    """What an update of a group changes for its source servers."""

    joining: frozenset[str]
    leaving: frozenset[str]
    changed: frozenset[str]
    """Members before and after, of which something else is wanted now."""
    not_ready: frozenset[str]
    """Members before and after that are not ready."""

    @property
    def needs_generation(self) -> bool:
        """Tell whether the group is no more what its current generation was opened for."""
        return bool(self.joining or self.leaving or self.changed)

    @property
    def listed(self) -> frozenset[str]:
        """List what is not known to have what is wanted now."""
        return self.joining | self.changed | self.not_ready


def find_change(before: Mapping[str, str], after: Mapping[str, str], statuses: Mapping[str, Status]) -> Change:
    """
    Find what an update changes.

    Parameters:
        before: Each member to the digest of its effective launch config, before the update.
        after: The same after it.
        statuses: Every earlier member's status at the current generation; none where there is no generation.

    Returns:
        The change.
    """
    kept = before.keys() & after.keys()
    return Change(
        joining=frozenset(after.keys() - before.keys()),
        leaving=frozenset(before.keys() - after.keys()),
        changed=frozenset(member for member in kept if before[member] != after[member]),
        not_ready=frozenset(member for member in kept if statuses.get(member, Status.READY) is not Status.READY),
    )
