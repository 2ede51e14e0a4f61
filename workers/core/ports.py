"""
What the use cases need of the world, as protocols. Adapters and in-memory twins both keep these words.

Every method may raise the errors of `workers.core.errors` and no others.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workers.core.contract import Queue
from workers.core.model.group import Target
from workers.core.model.launch_config import Json
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import CreateTemplateVersion

Clock = Callable[[], datetime]
"""Answers the present, aware, in UTC."""


class Admission(Protocol):
    """Lets jobs begin, so that none holds a slot or takes turns in vain."""

    async def begin(self) -> None:
        """Wait for a moment where others have just begun."""

    def enter(self, account_id: str, region: str) -> AbstractAsyncContextManager[None]:
        """Let a job be at work while the block runs; OutOfTurns says when to try again."""


class Guard(Protocol):
    """Stands between a write and its send."""

    def check(self) -> None:
        """Called in the instant before a write is sent; raises LeaseLost where the call might outlive the lease."""

    def note_unanswered(self) -> None:
        """Called where a write was sent and not answered: it may take effect for a while yet."""


@dataclass(frozen=True, slots=True)
class Job:
    """One message to send."""

    actor: str
    group_id: str
    """Also the fairness key of the queue: one noisy group does not starve the others."""
    arguments: Mapping[str, str | int]


class JobQueue(Protocol):
    """Sends jobs, in batches."""

    async def send(self, queue: Queue, jobs: Sequence[Job]) -> None:
        """Send all of them, or raise ServiceUnavailable saying how many were not sent."""


class LaunchConfigurations(Protocol):
    """DRS's launch configurations, one a source server."""

    async def read(self, target: Target, source_server_id: str) -> ObservedConfiguration:
        """Read what DRS holds for this source server."""

    async def update(
        self, target: Target, source_server_id: str, fields: Mapping[str, Json], guard: Guard
    ) -> ObservedConfiguration:
        """Set these fields, leave the others; answers what DRS holds then."""


class LaunchTemplates(Protocol):
    """EC2 launch templates, one a source server, made by DRS."""

    async def read_default(self, target: Target, template_id: str) -> ObservedTemplate:
        """Read the version that is the default now."""

    async def read_default_versions(self, target: Target, template_ids: Sequence[str]) -> Mapping[str, int]:
        """Read which version is the default of each of at most 200 templates; StaleTemplate where one is gone."""

    async def create_version(self, target: Target, step: CreateTemplateVersion, guard: Guard) -> int:
        """Create a version and answer its number; a warning is a failure."""

    async def promote(self, target: Target, template_id: str, version: int, guard: Guard) -> None:
        """Make this version the default."""


@dataclass(frozen=True, slots=True)
class RecoveryJob:
    """A recovery job of DRS."""

    job_id: str
    launch_statuses: Mapping[str, str]
    """Source server id to DRS's launch status; a COMPLETED job may hold failed ones."""


class Recovery(Protocol):
    """DRS's recovery jobs."""

    async def start(
        self,
        target: Target,
        source_server_ids: Sequence[str],
        *,
        is_drill: bool,
        tags: Mapping[str, str],
        guard: Guard,
    ) -> RecoveryJob:
        """Start one recovery job over at most 100 source servers. Not idempotent: sent once, or not at all."""

    async def find(self, target: Target, tags: Mapping[str, str], *, since: datetime) -> RecoveryJob | None:
        """Find the job that carries these tags among those created since then."""
