"""
Start a wave: one StartRecovery a part, all at once, and no call that changes a setting.

StartRecovery is not idempotent. `startingAt` is written before each call; whoever finds it without a job looks
for the job by the wave's tags, once the call can no longer be under way, and repeats the call only if there is none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from workers.core.errors import (
    GroupDeleted,
    JobInProgress,
    LeaseLost,
    PermanentError,
    QuotaExceeded,
    RetryableError,
    Throttled,
)
from workers.core.model.group import Target
from workers.core.outcome import Acknowledge, Outcome, Redeliver
from workers.core.ports import Clock, Recovery, RecoveryJob
from workers.core.settings import Settings
from workers.core.store.groups import GroupStore
from workers.core.store.waves import Wave, WaveGroup, WavePart, WaveStatus, WaveStore

log = structlog.get_logger()

CLOCK_SKEW = timedelta(minutes=5)
"""How far DRS's clock may be behind ours when a job is looked for."""
UNDER_WAY_MARGIN = timedelta(seconds=5)
"""How long after its claim a call may begin: a turn comes at once or the part is given back."""


@dataclass(frozen=True, slots=True)
class PartGuard:
    """Lets no StartRecovery begin late: others take the part over once the call can no longer be under way."""

    wave: Wave
    claimed: WavePart
    clock: Clock

    def check(self) -> None:
        """Refuse a call that waited too long for its turn."""
        if self.claimed.starting_at is None or self.clock() - self.claimed.starting_at > UNDER_WAY_MARGIN:
            raise LeaseLost(f"Part {self.claimed.number} of {self.wave.wave_id} waited too long for its turn.")

    def note_unanswered(self) -> None:
        """Nothing to keep: `startingAt` stands, and whoever comes next looks for the job."""


class StartWave:
    """The use case behind a wave's urgent message."""

    def __init__(
        self, *, groups: GroupStore, waves: WaveStore, recovery: Recovery, settings: Settings, clock: Clock
    ) -> None:
        self._groups = groups
        self._waves = waves
        self._recovery = recovery
        self._clock = clock
        self._under_way = settings.call_timeout + UNDER_WAY_MARGIN

    async def start(self, wave_id: str) -> Outcome:
        """Start every part of the wave that has no job yet."""
        found = await self._waves.read(wave_id)
        if found is None:
            return Acknowledge("wave_unknown")
        wave, parts = found
        if wave.status is not WaveStatus.STARTING:
            return Acknowledge(wave.status)
        targets = await self._read_targets(wave)
        starting = (self._settle_part(wave, part, targets.get(part.group_id)) for part in parts)
        # All of them to their end: one part's trouble must not leave the others running unowned.
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        waiting = [outcome for outcome in outcomes if isinstance(outcome, Redeliver)]
        if waiting:
            return min(waiting, key=lambda outcome: outcome.after or timedelta(0))
        done = [outcome for outcome in outcomes if isinstance(outcome, WavePart)]
        refused = sum(part.error_code is not None for part in done)
        ended = wave.end(done)
        await self._waves.finish(ended)
        log.info("wave.started", wave_id=wave_id, status=ended.status, jobs=len(done) - refused, refused=refused)
        return Acknowledge(ended.status)

    async def _read_targets(self, wave: Wave) -> Mapping[str, Target]:
        """Tell where each group's source servers are; a group that was deleted is left out."""
        targets = await asyncio.gather(*(self._read_target(group) for group in wave.groups))
        named = zip(wave.groups, targets, strict=True)
        return {group.group_id: target for group, target in named if target is not None}

    async def _read_target(self, group: WaveGroup) -> Target | None:
        if await self._groups.read_head(group.group_id) is None:
            return None
        try:
            return (await self._groups.read_definition(group.group_id, group.config_version)).target
        except GroupDeleted:
            return None

    async def _settle_part(self, wave: Wave, part: WavePart, target: Target | None) -> WavePart | Redeliver:
        if part.is_done:
            return part
        left = part.starting_at + self._under_way - self._clock() if part.starting_at else timedelta(0)
        if left > timedelta(0):
            return Redeliver("part_under_way", left)
        if target is None:
            return await self._waves.record_part(wave.wave_id, _refuse_deleted(wave, part))
        return await self._start_part(wave, part, target)

    async def _start_part(self, wave: Wave, part: WavePart, target: Target) -> WavePart | Redeliver:
        try:
            adopted = await self._find_job(wave, part, target) if part.starting_at else None
            claimed = await self._waves.claim_part(wave.wave_id, part, self._clock())
            if claimed is None:
                return Redeliver("part_claimed", self._under_way)
            answered = await self._answer(wave, part, claimed, target, adopted)
        except (Throttled, QuotaExceeded, LeaseLost) as error:
            return Redeliver(error.code, error.retry_after)
        except RetryableError as error:
            # Unanswered is not refused: the job may exist, and is looked for when the call is surely over.
            return Redeliver(error.code, self._under_way)
        return await asyncio.shield(self._waves.record_part(wave.wave_id, answered))

    async def _answer(
        self, wave: Wave, before: WavePart, claimed: WavePart, target: Target, adopted: RecoveryJob | None
    ) -> WavePart:
        """Get the part's job, or the reason why there is none."""
        try:
            job = adopted or await self._call(wave, claimed, target)
        except (PermanentError, JobInProgress) as error:
            # A call of ours that was never answered may be what its servers are busy with.
            found = await self._find_job(wave, before, target) if before.starting_at else None
            if found is None:
                return replace(
                    claimed, error_code=error.code, error_message=error.message, error_request_id=error.request_id
                )
            job = found
        return replace(claimed, started_at=self._clock(), job_id=job.job_id, launch_statuses=dict(job.launch_statuses))

    async def _call(self, wave: Wave, claimed: WavePart, target: Target) -> RecoveryJob:
        guard = PartGuard(wave, claimed, self._clock)
        try:
            return await self._recovery.start(
                target, claimed.source_server_ids, is_drill=wave.is_drill, tags=_tags(wave, claimed), guard=guard
            )
        except (Throttled, QuotaExceeded, LeaseLost):
            await self._waves.release_part(wave.wave_id, claimed)
            raise

    async def _find_job(self, wave: Wave, part: WavePart, target: Target) -> RecoveryJob | None:
        return await self._recovery.find(target, _tags(wave, part), since=wave.accepted_at - CLOCK_SKEW)


def _refuse_deleted(wave: Wave, part: WavePart) -> WavePart:
    deleted = GroupDeleted(f"Protection group {part.group_id} was deleted before its recovery was started.")
    message = deleted.message
    if part.starting_at is not None:
        # How to reach its account went with the group: nobody of ours can look for the job.
        message = (
            f"Protection group {part.group_id} was deleted while its recovery was being started. Whether it was, DRS"
            f" says: look for a recovery job with the tag prelaunch:waveId = {wave.wave_id}."
        )
    return replace(part, error_code=deleted.code, error_message=message)


def _tags(wave: Wave, part: WavePart) -> dict[str, str]:
    return {"prelaunch:waveId": wave.wave_id, "prelaunch:part": str(part.number)}
