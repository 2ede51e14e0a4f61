"""
Start one part of a wave: one StartRecovery at most, and no call that changes a setting.

StartRecovery is not idempotent. `startingAt` is written before each call; whoever finds it without a job looks for the
job by the part's tags, once the call can no longer be under way, and repeats the call only if there is none. DRS
refuses a whole job for one source server: the part is cut in two then, each with a tag of its own, until those that are
refused stand alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from workers.core.errors import (
    AccessDenied,
    AccountNotInitialized,
    JobInProgress,
    LeaseLost,
    OutOfTurns,
    PermanentError,
    PrelaunchError,
    QuotaExceeded,
    RetryableError,
    Throttled,
)
from workers.core.model.group import Target
from workers.core.ports import PART_TAG, WAVE_TAG, Clock, Recovery, RecoveryJob
from workers.core.settings import Settings
from workers.core.store.holds import Hold
from workers.core.store.refusals import ConditionFailed
from workers.core.store.wave_records import LeftOut, Wave, WaveGroup, WavePart
from workers.core.store.waves import WaveStore
from workers.wave.steps import NAMED, ONE_MORE_TRY, Started, Wait

log = structlog.get_logger()

CLOCK_SKEW = timedelta(minutes=5)
"""How far DRS's clock may be behind ours when a job is looked for."""
UNDER_WAY_MARGIN = timedelta(seconds=12)
"""How long after its claim a call may begin: a turn comes within ten seconds, or the part is given back."""
JOBS_RUN_FOR = timedelta(days=2)
"""How long ago a job that still runs may have been started."""
HOLD_LOST = "HOLD_LOST"
IN_ANOTHER_JOB = "IN_ANOTHER_JOB"
ACCOUNT_PROBLEMS = (AccessDenied, AccountNotInitialized)
"""What no smaller job would change."""


@dataclass(frozen=True, slots=True)
class PartGuard:
    """Lets no StartRecovery begin late: others take the part over once the call can no longer be under way."""

    wave: Wave
    claimed: WavePart
    clock: Clock

    def check(self) -> None:
        """Refuse a call that waited too long for its turn."""
        if self.claimed.starting_at is None or self.clock() - self.claimed.starting_at > UNDER_WAY_MARGIN:
            raise LeaseLost(f"Part {self.claimed.name} of {self.wave.wave_id} waited too long for its turn.")

    def note_unanswered(self) -> None:
        """Nothing to keep: `startingAt` stands, and whoever comes next looks for the job."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A part whose StartRecovery is about to be sent."""

    wave: Wave
    group: WaveGroup
    target: Target
    before: WavePart
    """As it was read: whether a call of an earlier claim was never answered stands there only."""
    part: WavePart
    """As it is claimed."""


class StartPart:
    """Starts parts of a wave whose groups are held."""

    def __init__(self, *, waves: WaveStore, recovery: Recovery, settings: Settings, clock: Clock) -> None:
        self._waves = waves
        self._recovery = recovery
        self._clock = clock
        self._under_way = settings.call_timeout + UNDER_WAY_MARGIN
        self._job_wait = settings.job_wait

    def is_under_way(self, part: WavePart) -> bool:
        """Tell whether a call for the part may be on the wire; there is none once its job is recorded."""
        return part.starting_at is not None and self._clock() < part.starting_at + self._under_way

    async def start(self, wave: Wave, group: WaveGroup, part: WavePart, target: Target) -> Started:
        """
        Start a part, or those that take its place, unless that was done.

        Parameters:
            wave: The wave.
            group: The part's group, which the wave launches.
            part: The part as it was read.
            target: Where its source servers are.

        Returns:
            The part, or those that took its place, as they stand; and what is to be come back for.
        """
        if part.is_done:
            return Started([part])
        if self.is_under_way(part):
            return _wait(part, "part_under_way", self._under_way)
        try:
            return await self._start(wave, group, part, target)
        except RetryableError as error:
            return Started([part], [self._plan_wait(error)])
        except PermanentError as error:
            # DRS does not tell which jobs there are: whether one was started, or who has its servers, cannot be known.
            return _wait(part, error.code, self._job_wait, f"{error.operation or 'AWS'}: {error.message}")

    async def adopt(self, wave: Wave, part: WavePart, target: Target) -> WavePart:
        """Take a job for the part's that a call of ours started without an answer; the part, where there is none."""
        if part.is_done or part.starting_at is None or self.is_under_way(part):
            return part
        try:
            job = await self._find_job(wave, part, target)
        except PermanentError as error:
            log.warning("wave.not_looked_for", wave_id=wave.wave_id, part=part.name, error=error.message)
            return part
        return part if job is None else await self._record(wave, self._answered(part, job))

    def _plan_wait(self, error: RetryableError) -> Wait:
        match error:
            case QuotaExceeded():
                return Wait(error.code, error.retry_after or self._job_wait, f"job quota: {error.message}")
            case Throttled():
                return Wait(error.code, error.retry_after or ONE_MORE_TRY, f"tokens: AWS throttles {error.operation}")
            case OutOfTurns():
                told = f"tokens: {error.operation} is called as often as the account may"
                return Wait(error.code, error.retry_after or ONE_MORE_TRY, told)
            case LeaseLost():
                return Wait(error.code, error.retry_after or ONE_MORE_TRY)
        # Unanswered is not refused: the job may exist, and is looked for when the call is surely over.
        return Wait(error.code, self._under_way, f"{error.operation or 'AWS'}: {error.message}")

    async def _start(self, wave: Wave, group: WaveGroup, part: WavePart, target: Target) -> Started:
        adopted = await self._find_job(wave, part, target) if part.starting_at else None
        if adopted is None and part.waits_for:
            running = await self._recovery.follow(target, part.waits_for)
            names = [job.job_id for job in running.values() if not job.is_over]
            if names:
                told = f"job: {_name_some(part.source_server_ids)} still in {', '.join(names)}, a drill"
                return _wait(part, "drill_under_way", self._job_wait, told)
        hold = Hold(wave.wave_id, wave.deadline, wave.is_drill)
        try:
            claimed = await self._waves.claim_part(wave, part, group.generation, hold, self._clock())
        except ConditionFailed as failed:
            if failed.failed == (2,):
                return Started([await self._record(wave, _refuse_unheld(wave, part))])
            return _wait(part, "part_claimed", ONE_MORE_TRY)
        if adopted is not None:
            return Started([await self._record(wave, self._answered(claimed, adopted))])
        claim = _Claim(wave, group, target, before=part, part=claimed)
        try:
            job = await self._call(claim)
        except (PermanentError, JobInProgress) as error:
            # A call of ours that was never answered may be what its servers are busy with.
            found = await self._find_job(wave, part, target) if part.starting_at else None
            if found is None:
                return await self._give_way(claim, error)
            job = found
        return Started([await self._record(wave, self._answered(claimed, job))])

    async def _call(self, claim: _Claim) -> RecoveryJob:
        try:
            return await self._recovery.start(
                claim.target,
                claim.part.source_server_ids,
                is_drill=claim.wave.is_drill,
                tags=_tags(claim.wave, claim.part),
                guard=PartGuard(claim.wave, claim.part, self._clock),
                snapshots=claim.part.snapshots or {},
            )
        except (Throttled, QuotaExceeded, LeaseLost, OutOfTurns):
            await self._waves.release_part(claim.wave.wave_id, claim.before, claim.part)
            raise

    async def _give_way(self, claim: _Claim, error: PrelaunchError) -> Started:
        """Go on with those of a refused part that are not to blame."""
        if isinstance(error, JobInProgress):
            return await self._leave_busy(claim, error)
        if isinstance(error, ACCOUNT_PROBLEMS) or len(claim.part.source_server_ids) == 1:
            return Started([await self._record(claim.wave, _refuse(claim.part, error))])
        return await self._split(claim, claim.part.halve())

    async def _leave_busy(self, claim: _Claim, error: JobInProgress) -> Started:
        """Take those out that are in other jobs: one of a drill of ours is waited for, any other one keeps them."""
        wave, claimed, members = claim.wave, claim.part, claim.part.source_server_ids
        jobs = await self._recovery.find_running(claim.target, since=self._clock() - JOBS_RUN_FOR)
        own = next((job for job in jobs if _is_for(wave, members, job)), None)
        if own is not None:
            return Started([await self._record(wave, self._answered(claimed, own))])
        in_drills = {each: job for job in jobs if _is_waited_for(wave, job) for each in job.launch_statuses}
        in_others = {each: job for job in jobs if not _is_waited_for(wave, job) for each in job.launch_statuses}
        lost, busy = [each for each in members if each in in_others], [each for each in members if each in in_drills]
        if lost:
            refused, rest = claimed.cut(lost)
            refused = replace(
                refused,
                source_server_ids=(),
                left_out=tuple(_in_job(each, in_others[each]) for each in lost),
                error_code=IN_ANOTHER_JOB,
                error_message=error.message,
                snapshots=None,
            )
            return await self._split(claim, (refused, rest))
        if busy:
            waiting, rest = claimed.cut(busy)
            waiting = replace(waiting, waits_for=tuple(sorted({in_drills[each].job_id for each in busy})))
            return await self._split(claim, (waiting, rest))
        if not claimed.conflicts:
            # The job may have ended just now, or not be listed yet.
            await self._waves.release_part(wave.wave_id, claim.before, claimed, conflicts=claimed.conflicts + 1)
            return _wait(claimed, error.code, ONE_MORE_TRY, f"job: {error.message}")
        if len(members) == 1:
            return Started([await self._record(wave, _refuse(claimed, error))])
        return await self._split(claim, claimed.halve())

    async def _split(self, claim: _Claim, children: Sequence[WavePart]) -> Started:
        wave, claimed = claim.wave, claim.part
        parts = [each for each in children if each.source_server_ids or each.error_code]
        if not await self._waves.split_part(wave.wave_id, claimed, parts):
            return _wait(claimed, "part_claimed", ONE_MORE_TRY)
        log.info("wave.part_split", wave_id=wave.wave_id, part=claimed.name, into=[part.name for part in parts])
        started = await asyncio.gather(*(self.start(wave, claim.group, part, claim.target) for part in parts))
        together = Started([replace(claimed, is_split=True, starting_at=None)])
        for each in started:
            together.parts += each.parts
            together.waits += each.waits
        return together

    def _answered(self, claimed: WavePart, job: RecoveryJob) -> WavePart:
        statuses = {
            each: job.launch_statuses[each] for each in claimed.source_server_ids if each in job.launch_statuses
        }
        return replace(claimed, started_at=self._clock(), job_id=job.job_id, launch_statuses=statuses)

    async def _record(self, wave: Wave, part: WavePart) -> WavePart:
        return await asyncio.shield(self._waves.record_part(wave.wave_id, part))

    async def _find_job(self, wave: Wave, part: WavePart, target: Target) -> RecoveryJob | None:
        return await self._recovery.find(target, _tags(wave, part), since=wave.accepted_at - CLOCK_SKEW)


def _wait(part: WavePart, reason: str, after: timedelta, waiting_for: str | None = None) -> Started:
    return Started([part], [Wait(reason, after, waiting_for)])


def _name_some(members: Sequence[str]) -> str:
    more = len(members) - NAMED
    return ", ".join(members[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_for(wave: Wave, members: Sequence[str], job: RecoveryJob) -> bool:
    """Tell whether the wave started a job for these, by a call that it was not answered: for a part as it was once."""
    return job.wave_id == wave.wave_id and job.launch_statuses.keys() >= set(members)


def _is_waited_for(wave: Wave, job: RecoveryJob) -> bool:
    """A recovery takes over from a drill of ours: that ends by itself, and nobody needs its instances first."""
    return not wave.is_drill and job.is_drill and job.wave_id is not None and job.wave_id != wave.wave_id


def _in_job(source_server_id: str, job: RecoveryJob) -> LeftOut:
    kind = "drill" if job.is_drill else "recovery"
    whose = f" of {job.wave_id}" if job.wave_id else ""
    told = f"It is in {job.job_id}, a {kind}{whose} that is still running. Start it again when that is over."
    return LeftOut(source_server_id, IN_ANOTHER_JOB, told)


def _refuse(claimed: WavePart, error: PrelaunchError) -> WavePart:
    return replace(claimed, error_code=error.code, error_message=error.message, error_request_id=error.request_id)


def _refuse_unheld(wave: Wave, part: WavePart) -> WavePart:
    told = (
        f"{part.group_id} is not {wave.wave_id}'s any more: a recovery took it over, or it was deleted. See its status."
    )
    return replace(part, error_code=HOLD_LOST, error_message=told)


def _tags(wave: Wave, part: WavePart) -> dict[str, str]:
    return {WAVE_TAG: wave.wave_id, PART_TAG: part.name}
