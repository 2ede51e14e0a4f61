"""
What the use cases need of the world, as protocols. Adapters and in-memory twins both keep these words.

Every method may raise the errors of `workers.core.errors` and no others.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workers.core.contract import Queue
from workers.core.model.group import Target
from workers.core.model.launch_config import Json
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import CreateTemplateVersion
from workers.core.validation.holdings import InstanceProfile, Interface, SourceServer, Subnet

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


class LaunchConfigurationReads(Protocol):
    """DRS's launch configurations, for whoever only looks."""

    async def read(self, target: Target, source_server_id: str) -> ObservedConfiguration:
        """Read what DRS holds for this source server."""


class LaunchConfigurations(LaunchConfigurationReads, Protocol):
    """DRS's launch configurations, one a source server."""

    async def update(
        self, target: Target, source_server_id: str, fields: Mapping[str, Json], guard: Guard
    ) -> ObservedConfiguration:
        """Set these fields, leave the others; answers what DRS holds then."""


class LaunchTemplateReads(Protocol):
    """EC2 launch templates, for whoever only looks."""

    async def read_default(self, target: Target, template_id: str) -> ObservedTemplate:
        """Read the version that is the default now."""

    async def read_default_versions(self, target: Target, template_ids: Sequence[str]) -> Mapping[str, int]:
        """Read which version is the default of each of at most 200 templates; StaleTemplate where one is gone."""

    async def read_all_defaults(self, target: Target) -> Mapping[str, ObservedTemplate]:
        """Read the version that is the default now of every template of the account and Region, 200 a call."""


class LaunchTemplates(LaunchTemplateReads, Protocol):
    """EC2 launch templates, one a source server, made by DRS."""

    async def create_version(self, target: Target, step: CreateTemplateVersion, guard: Guard) -> int:
        """Create a version and answer its number; a warning is a failure."""

    async def promote(self, target: Target, template_id: str, version: int, guard: Guard) -> None:
        """Make this version the default."""


WAVE_TAG, PART_TAG = "prelaunch:waveId", "prelaunch:part"
"""The tags of a recovery job, by which it is known whose it is."""


@dataclass(frozen=True, slots=True)
class RecoveryJob:
    """A recovery job of DRS."""

    job_id: str
    launch_statuses: Mapping[str, str]
    """Source server id to DRS's launch status; a COMPLETED job may hold failed ones."""
    is_over: bool = False
    is_drill: bool = False
    wave_id: str | None = None
    """The wave of ours that started it."""


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
        snapshots: Mapping[str, str],
    ) -> RecoveryJob:
        """
        Start one recovery job over at most 100 source servers. Not idempotent: sent once, or not at all.

        Those that `snapshots` does not name are recovered to their latest point in time.
        """

    async def find(self, target: Target, tags: Mapping[str, str], *, since: datetime) -> RecoveryJob | None:
        """Find the job that carries these tags among those created since then."""

    async def find_running(self, target: Target, *, since: datetime) -> Sequence[RecoveryJob]:
        """List the jobs that are not over, of those created since then."""

    async def follow(self, target: Target, job_ids: Sequence[str]) -> Mapping[str, RecoveryJob]:
        """Read how far jobs are; one that DRS does not know any more is left out."""


class Messenger(Protocol):
    """Tells others what has settled. Whatever it raises, what was asked may have been done."""

    async def announce(self, kind: str, detail: str, at: datetime) -> None:
        """Tell everybody who listens, where the installation has an event bus."""

    async def succeed_task(self, task_token: str, output: str) -> None:
        """Answer a waiting task; TaskGone where nobody waits."""

    async def fail_task(self, task_token: str, error: str, cause: str) -> None:
        """Let a waiting task fail; TaskGone where nobody waits."""


class TargetAccounts(Protocol):
    """
    What a group's account and Region hold: reads only, a page or a batch of names a call.

    What is asked for and is not there is left out of the answer.
    """

    async def find_source_servers(
        self, target: Target, source_server_ids: Collection[str]
    ) -> Mapping[str, SourceServer]:
        """Find source servers of DRS by id."""

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        """List every source server of DRS."""

    async def find_subnets(self, target: Target, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        """Find subnets by id."""

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        """List every subnet."""

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        """Find the VPC of each security group by its id."""

    async def find_instance_types(self, target: Target, names: Collection[str]) -> Collection[str]:
        """Find which of these instance types EC2 offers in the Region."""

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Mapping[str, InstanceProfile]:
        """Find instance profiles by name."""

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        """Find which of these instances there are."""

    async def find_interfaces(self, target: Target, addresses: Collection[str]) -> Sequence[Interface]:
        """Find the network interfaces that hold one of these private IPv4 addresses, in whatever subnet."""
