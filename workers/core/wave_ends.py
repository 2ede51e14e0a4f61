"""
Ending a wave whose message is a dead letter, and which nobody is to start any more.

It ends in one conditional write over all of its parts, and only while it is starting, so that no part is refused that
somebody starts. A part that has its job keeps it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from workers.core.clock import say_time
from workers.core.errors import GroupDeleted
from workers.core.ports import Clock
from workers.core.queries import Queries
from workers.core.requests import Conflict, NotFound
from workers.core.status import Status
from workers.core.store.waves import Wave, WaveGroup, WavePart, WaveStatus, WaveStore

log = structlog.get_logger()

NOT_READY = "NOT_READY"
PURGED = "PURGED"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the recovery of a group is not started."""

    code: str
    message: str


class WaveEnds:
    """Ends waves that are not started."""

    def __init__(self, *, waves: WaveStore, queries: Queries, clock: Clock, max_ready_age: timedelta) -> None:
        self._waves = waves
        self._queries = queries
        self._clock = clock
        self._max_ready_age = max_ready_age

    async def end_stale(self, wave: Wave, parts: Sequence[WavePart]) -> bool:
        """
        End a wave that is starting and no longer what was accepted; another one is left as it is.

        Parameters:
            wave: The wave as it was read.
            parts: Its parts.

        Returns:
            Whether it was ended.

        Raises:
            Conflict: Somebody goes on with it just now.
        """
        reasons = await self._find_reasons(wave)
        if not reasons:
            return False
        await self._end(wave, parts, reasons)
        return True

    async def end_purged(self, wave_id: str) -> None:
        """
        End a wave whose message is thrown away, where it is still starting.

        Parameters:
            wave_id: The wave, which there may not be.

        Raises:
            Conflict: Somebody goes on with it just now.
        """
        found = await self._waves.read(wave_id)
        if found is None or found[0].status is not WaveStatus.STARTING:
            return
        wave, parts = found
        told = f"The start of {wave_id} was purged from the dead letters. Start a new wave."
        await self._end(wave, parts, {group.group_id: Reason(PURGED, told) for group in wave.groups})

    async def _end(self, wave: Wave, parts: Sequence[WavePart], reasons: Mapping[str, Reason]) -> None:
        after = [part if part.is_done else _refuse(wave.wave_id, part, reasons) for part in parts]
        refused = [new for old, new in zip(parts, after, strict=True) if not old.is_done]
        ended = wave.end(after)
        if not await self._waves.refuse(ended, refused):
            raise Conflict(f"Somebody goes on with the start of {wave.wave_id} just now. Try again.")
        log.warning(
            "wave.ended",
            wave_id=wave.wave_id,
            status=ended.status,
            refused=len(refused),
            reasons=[reason.message for reason in reasons.values()],
        )

    async def _find_reasons(self, wave: Wave) -> dict[str, Reason]:
        """Tell of each group why a wave is no longer what was accepted over it; of none where nothing has changed."""
        if self._clock() - wave.accepted_at > self._max_ready_age:
            told = f"{wave.wave_id} was accepted too long ago ({say_time(wave.accepted_at)}). Start a new wave."
            return {group.group_id: Reason(NOT_READY, told) for group in wave.groups}
        reasons = await asyncio.gather(*(self._find_reason(wave, group) for group in wave.groups))
        named = zip(wave.groups, reasons, strict=True)
        return {group.group_id: reason for group, reason in named if reason is not None}

    async def _find_reason(self, wave: Wave, group: WaveGroup) -> Reason | None:
        try:
            view = await self._queries.group(group.group_id)
        except NotFound:
            told = f"Protection group {group.group_id} was deleted before its recovery was started."
            return Reason(GroupDeleted.code, told)
        generation, status = (view.status.generation, view.status.status) if view.status else (0, Status.READY)
        found = (view.head.version, generation, status)
        if found == (group.config_version, group.generation, Status.READY):
            return None
        told = (
            f"Protection group {group.group_id} changed after {wave.wave_id} was accepted over its version"
            f" {group.config_version}, generation {group.generation}: it has version {view.head.version}, generation"
            f" {generation}, and is {status.value}. Start a new wave."
        )
        return Reason(NOT_READY, told)


def _refuse(wave_id: str, part: WavePart, reasons: Mapping[str, Reason]) -> WavePart:
    reason = reasons.get(part.group_id)
    if reason is None:
        # A wave starts as a whole, for its groups recover together.
        reason = Reason(
            NOT_READY, f"Another group keeps its wave from starting: {next(iter(reasons.values())).message}"
        )
    message = reason.message
    if part.starting_at is not None:
        message += (
            f" Whether its recovery was started all the same, DRS says: look for a recovery job with the tag"
            f" prelaunch:waveId = {wave_id}."
        )
    return replace(part, error_code=reason.code, error_message=message)
