"""
Follow the recovery jobs of a wave to their end: COMPLETED is no success, each launch status is kept.

Only the end of a hold waits for it. What cannot be read now is read the next time, and nothing that is still to be
started may wait for that.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from workers.core.errors import PermanentError, RetryableError
from workers.core.model.group import Target
from workers.core.ports import Clock, Recovery, RecoveryJob
from workers.core.settings import Settings
from workers.core.store.wave_records import FINAL, Wave, WavePart
from workers.core.store.waves import WaveStore
from workers.wave.steps import Started, Wait

log = structlog.get_logger()

UNLISTED_FOR = timedelta(minutes=5)
"""How long after its start a job that DRS does not list may only not be listed yet."""


class FollowJobs:
    """Follows recovery jobs."""

    def __init__(self, *, waves: WaveStore, recovery: Recovery, settings: Settings, clock: Clock) -> None:
        self._waves = waves
        self._recovery = recovery
        self._clock = clock
        self._again_after = settings.sweep_period

    async def follow(self, wave: Wave, parts: Sequence[WavePart], target: Target) -> Started:
        """
        Read how far the jobs of parts are, and keep it; where DRS does not tell, the parts stay as they are.

        Parameters:
            wave: The wave.
            parts: Parts that have a job.
            target: Where their source servers are.

        Returns:
            The parts as they stand, and why nothing more is known of them, if so.
        """
        going = [part.job_id for part in parts if part.job_id is not None and not part.job_over]
        if not going:
            return Started(list(parts))
        try:
            jobs = await self._recovery.follow(target, going)
        except (RetryableError, PermanentError) as error:
            log.warning("wave.not_followed", wave_id=wave.wave_id, code=error.code, error=error.message)
            told = f"launches: {error.operation or 'AWS'} does not tell how far they are: {error.message}"
            return Started(list(parts), [Wait(error.code, self._again_after, told)])
        return Started([await self._note(wave, part, jobs.get(part.job_id or "")) for part in parts])

    async def _note(self, wave: Wave, part: WavePart, job: RecoveryJob | None) -> WavePart:
        if part.job_over:
            return part
        told = {**(part.launch_statuses or {}), **(job.launch_statuses if job else {})}
        # A job that was adopted may have been started for more than this part.
        statuses = {each: told[each] for each in part.source_server_ids if each in told}
        is_final = all(statuses.get(each) in FINAL for each in part.source_server_ids)
        after = replace(part, launch_statuses=statuses, job_over=is_final or self._is_over(part, job))
        if after != part:
            await self._waves.note_launches(wave.wave_id, after)
        return after

    def _is_over(self, part: WavePart, job: RecoveryJob | None) -> bool:
        if job is not None:
            return job.is_over
        # Given back too early, its group would be written to while DRS has still to read its launch templates.
        return part.started_at is None or self._clock() >= part.started_at + UNLISTED_FOR
