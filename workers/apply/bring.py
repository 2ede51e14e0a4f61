"""
Bring one source server to its effective launch config: observe, plan, execute, verify.

The order is the safe one: DRS first, for its update may write the launch template; then the template is read
anew, a version is created from what was read, exactly that number is promoted and read back. What is already
right is not written. A version that EC2 stored with a warning is never promoted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from workers.core.errors import DriftFound, DriftPersists, RetryableError, StaleTemplate, VersionVanished
from workers.core.model.group import Target
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.plan.baseline import Baseline, Goal, find_written_by_drs, take_over
from workers.core.plan.drift import (
    DriftItem,
    describe_drift,
    find_drs_drift,
    find_template_drift,
    read_configuration,
    read_template,
)
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import concerns_template
from workers.core.plan.template import TEMPLATE_FIELDS
from workers.core.ports import Clock, Guard, LaunchConfigurations, LaunchTemplates
from workers.core.server_plan import PlannedConfiguration, ServerPlanner
from workers.core.settings import Settings
from workers.core.store.surveys import Surveyed

READ_BACK_WAIT = timedelta(milliseconds=100)
LONGEST_WAIT = timedelta(seconds=1)
"""No longer wait holds one of the worker's slots."""


class ObservationTooYoung(RetryableError):
    """What was read looks right, but may be the state before our own last write."""

    code = "OBSERVATION_TOO_YOUNG"


@dataclass(frozen=True, slots=True)
class Work:
    """One source server's work under one lease."""

    target: Target
    source_server_id: str
    desired: LaunchConfig
    last_write_at: datetime | None
    """When anyone of ours may last have written to this source server."""
    guard: Guard
    journal: Callable[[Sequence[DriftItem]], Awaitable[None]]
    """Writes down what is about to be changed; awaited before each write to AWS."""
    surveyed: Surveyed | None = None
    """The launch template in the survey of its run, where that shows what was read back with the same config before."""
    salt: int = 0
    """Number of the version that EC2 refused last; the next one needs a token of its own."""
    baseline: Baseline = field(default_factory=dict)
    """What was there before us, as far as it is known; what of it is not ours any more is put back."""
    promoted: tuple[str, int] | None = None
    """The launch template, and its version, that were read back last."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What was read back."""

    verified_at: datetime
    """When the read began that showed it."""
    launch_template_id: str
    launch_template_version: int | None
    """None where no field of the launch config stands in the template."""


@dataclass(slots=True)
class Trail:
    """What was done so far, whatever comes of it."""

    wrote_at: datetime | None = None
    taken: dict[str, Json] = field(default_factory=dict)
    """What was there before us, in fields that were not ours until now."""

    def take(self, work: Work, held: Iterable[tuple[str, Json]]) -> None:
        """Take over fields as they are; what was taken over before stays as it was then."""
        new = {path: value for path, value in take_over(held).items() if path not in work.baseline}
        self.taken = {**new, **self.taken}


class BringServer:
    """Brings source servers to their launch config."""

    def __init__(
        self,
        *,
        configurations: LaunchConfigurations,
        templates: LaunchTemplates,
        settings: Settings,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._configurations = configurations
        self._templates = templates
        self._planner = ServerPlanner(configurations, templates)
        self._settings = settings
        self._clock = clock
        self._sleep = sleep

    async def bring(self, work: Work, trail: Trail) -> Brought:
        """
        Bring the source server to its launch config and read it back.

        Parameters:
            work: What is wanted, and of which source server.
            trail: Told of every write before it is sent.

        Returns:
            What was read back.

        Raises:
            RetryableError: It can succeed later.
            PermanentError: It cannot, until somebody changes something.
        """
        try:
            return await self._bring_once(work, trail)
        except VersionVanished as vanished:
            # EC2 remembers the token and answers the number that is gone: the next version needs another one.
            return await self._bring_once(replace(work, salt=vanished.version), trail)
        except StaleTemplate:
            # DRS recreates templates and others write them: what was read is read again, but only once.
            return await self._bring_once(work, trail)

    async def _bring_once(self, work: Work, trail: Trail) -> Brought:
        begun_at = self._clock()
        goal = Goal(work.desired, work.baseline)
        planned = await self._planner.plan_configuration(work.target, work.source_server_id, goal)
        observed = planned.observed
        await self._take_over(work, observed, trail)
        updated = await self._update_configuration(work, goal, planned, trail)
        if not concerns_template(goal.whole):
            return Brought(begun_at, updated.launch_template_id, None)
        # An update of DRS's half may have written the template, too.
        seen = work.surveyed if updated is observed else None
        if seen is not None and seen.template_id == observed.launch_template_id and self._is_known(work, seen, trail):
            return Brought(min(begun_at, seen.begun_at), seen.template_id, seen.version)
        planned_template = await self._planner.plan_template(
            work.target, updated.launch_template_id, goal, salt=work.salt
        )
        template, step = planned_template.observed, planned_template.step
        trail.take(work, read_template(work.desired, template))
        if step is None:
            self._check_age(work, template, trail)
            return Brought(min(begun_at, template.begun_at), template.template_id, template.version)
        self._check_not_overtaken(work, template)
        await work.journal(step.drift)
        async with self._writing(trail):
            version = await self._templates.create_version(work.target, step, work.guard)
            await self._promote(work, template.template_id, version)
        read_back = await self._read_back(work, goal, template.template_id, version)
        return Brought(begun_at, template.template_id, read_back.version)

    async def verify(self, work: Work) -> Brought:
        """
        Read the source server back, and change nothing.

        Parameters:
            work: What is wanted, and of which source server.

        Returns:
            What was read.

        Raises:
            DriftFound: It is not as it is wanted; what is not is in the journal.
            RetryableError: It cannot be told yet.
            PermanentError: It cannot be read, or is not to be had at all.
        """
        try:
            return await self._verify_once(work)
        except StaleTemplate:
            return await self._verify_once(work)

    async def _verify_once(self, work: Work) -> Brought:
        begun_at = self._clock()
        # What was put back is not ours: only what is wanted is compared.
        goal = Goal(work.desired)
        configuration = await self._planner.plan_configuration(work.target, work.source_server_id, goal)
        drift = [*configuration.step.drift] if configuration.step is not None else []
        template_id, version = configuration.observed.launch_template_id, None
        if concerns_template(work.desired):
            template = await self._planner.plan_template(work.target, template_id, goal)
            self._check_age(work, template.observed, Trail())
            drift += [*template.step.drift] if template.step is not None else []
            begun_at, version = min(begun_at, template.observed.begun_at), template.observed.version
        if drift:
            await work.journal(drift)
            raise DriftFound(f"Changed since it was applied: {describe_drift(drift)}.")
        return Brought(begun_at, template_id, version)

    async def _promote(self, work: Work, template_id: str, version: int) -> None:
        try:
            await self._templates.promote(work.target, template_id, version, work.guard)
        except StaleTemplate as error:
            raise VersionVanished(
                error.message,
                version=version,
                code=error.code,
                request_id=error.request_id,
                operation=error.operation,
            ) from error

    async def _take_over(self, work: Work, observed: ObservedConfiguration, trail: Trail) -> None:
        """Take over DRS's half, and what DRS itself will write into the template once it is told."""
        trail.take(work, read_configuration(work.desired, observed))
        written = [
            name for name in find_written_by_drs(work.desired, observed) if name not in {*work.baseline, *trail.taken}
        ]
        if written:
            template = await self._templates.read_default(work.target, observed.launch_template_id)
            trail.take(work, ((name, TEMPLATE_FIELDS[name].read(template.data)) for name in written))

    async def _update_configuration(
        self, work: Work, goal: Goal, planned: PlannedConfiguration, trail: Trail
    ) -> ObservedConfiguration:
        step = planned.step
        if step is None:
            return planned.observed
        await work.journal(step.drift)
        async with self._writing(trail):
            # The answer holds the whole launch configuration: it is the read-back.
            answered = await self._configurations.update(work.target, work.source_server_id, step.fields, work.guard)
        left = find_drs_drift(goal.whole, answered)
        if left:
            raise DriftPersists(f"DRS accepted the update but answers {describe_drift(left)}.")
        return answered

    @asynccontextmanager
    async def _writing(self, trail: Trail) -> AsyncIterator[None]:
        trail.wrote_at = self._clock()
        try:
            yield
        finally:
            # Also where it failed: a write whose answer was lost took effect as late as now.
            trail.wrote_at = self._clock()

    def _is_known(self, work: Work, seen: Surveyed, trail: Trail) -> bool:
        return self._find_missing_age(work, seen.begun_at, trail) <= timedelta(0)

    def _check_age(self, work: Work, template: ObservedTemplate, trail: Trail) -> None:
        """Refuse to judge a template that may be the one from before our last write."""
        missing = self._find_missing_age(work, template.begun_at, trail)
        if missing > timedelta(0):
            raise ObservationTooYoung(
                "The launch template was read too soon after a write to be believed.",
                retry_after=missing,
            )

    def _check_not_overtaken(self, work: Work, template: ObservedTemplate) -> None:
        """Refuse to write over a template that shows the state before our own last write, and to take that over."""
        template_id, version = work.promoted or ("", 0)
        if template.template_id == template_id and template.version < version:
            self._check_age(work, template, Trail())

    def _find_missing_age(self, work: Work, begun_at: datetime, trail: Trail) -> timedelta:
        """Tell how much later an observation would have to have begun to be believed; 0 or less where it is."""
        writes = [at for at in (work.last_write_at, trail.wrote_at) if at is not None]
        return max(writes) + self._settings.settle_time - begun_at if writes else timedelta(0)

    async def _read_back(self, work: Work, goal: Goal, template_id: str, version: int) -> ObservedTemplate:
        """Read until the promoted version is the default; what it holds can then be judged at once."""
        give_up_at = self._clock() + self._settings.read_back_limit
        wait = READ_BACK_WAIT
        while True:
            template = await self._templates.read_default(work.target, template_id)
            if template.version == version:
                break
            # By when the read began: an answer that comes late shows no later state, and says nothing about now.
            if template.begun_at + wait > give_up_at:
                raise DriftPersists(
                    f"Version {version} of {template_id} was promoted, but version {template.version} is still"
                    f" the default {self._settings.read_back_limit.total_seconds():.0f} s later."
                )
            await self._sleep(wait.total_seconds())
            wait = min(2 * wait, LONGEST_WAIT)
        left = find_template_drift(goal.whole, template)
        if left:
            raise DriftPersists(f"Version {version} of {template_id} holds {describe_drift(left)}.")
        return template
