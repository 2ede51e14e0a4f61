"""
The status machine of groups and source servers. Pure.

    not_configured -> pending -> ready | failed;  ready | failed -> pending with every new generation

Nothing here may ever call a source server ready that its own generation has not verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a group or a source server stands."""

    NOT_CONFIGURED = "not_configured"
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


TRANSITIONS = frozenset(
    {
        (Status.NOT_CONFIGURED, Status.PENDING),
        (Status.PENDING, Status.READY),
        (Status.PENDING, Status.FAILED),
        (Status.READY, Status.PENDING),
        (Status.FAILED, Status.PENDING),
        (Status.PENDING, Status.PENDING),
    }
)
"""The only changes there are; pending to pending is a generation that supersedes another."""

NOT_APPLIED = "NOT_APPLIED"
"""Code of a member that is on no list and is not ready with this generation's digest."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What is recorded of one source server, as far as its status depends on it."""

    status: Status
    """READY or FAILED; what was settled last."""
    generation: int
    """The generation that settled it."""
    config_hash: str
    """Digest of the effective launch config that was applied or refused."""


def read_server_status(record: ServerRecord | None, *, listed: bool, generation: int, config_hash: str) -> Status:
    """
    Tell the status of one member at a generation: the one function by which every reader does.

    Parameters:
        record: What is recorded of it, or None.
        listed: Whether it is on the list of the generation's run.
        generation: The group's current generation.
        config_hash: Digest of its effective launch config at that generation.

    Returns:
        PENDING, READY or FAILED.
    """
    if listed:
        if record is None or record.generation < generation:
            return Status.PENDING
        return record.status
    if record is not None and record.status is Status.READY and record.config_hash == config_hash:
        return Status.READY
    return Status.FAILED


def combine(statuses: Iterable[Status]) -> Status:
    """Combine the members' statuses: any pending, else any failed, else ready."""
    seen = set(statuses)
    for status in (Status.PENDING, Status.FAILED):
        if status in seen:
            return status
    return Status.READY
