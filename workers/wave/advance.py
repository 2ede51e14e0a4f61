"""
Go on with a wave: make its groups ready, start its parts, follow its jobs, give its groups back.

One call does what can be done now and says when to come again. All of it stands in the wave's items, and each step is a
conditional write: whoever comes next, after a death or beside another, goes on where it stands.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from workers.core.clock import say_time
from workers.core.contract import Queue
from workers.core.errors import DEADLINE_EXCEEDED, GroupDeleted
from workers.core.model.group import Target
from workers.core.model.waves import OnNotReady
from workers.core.outcome import Acknowledge, Outcome, Redeliver
from workers.core.ports import Clock
from workers.core.priority import set_priority
from workers.core.runs.release import Release
from workers.core.settings import Settings
from workers.core.store.groups import GroupStore
from workers.core.store.holds import Hold
from workers.core.store.notices import put_notice
from workers.core.store.wave_records import GroupState, Wave, WaveGroup, WavePart, WaveView, advance, find_errors
from workers.core.store.waves import WaveStore
from workers.core.telling.tellings import Tellings
from workers.core.wave_plan import NOT_READY
from workers.wave.follow import FollowJobs
from workers.wave.parts import StartPart
from workers.wave.readiness import Progress, Readiness, Step, refuse_parts
from workers.wave.steps import ONE_MORE_TRY, Wait

log = structlog.get_logger()

_T = TypeVar("_T")


class AdvanceWave:
    """The use case behind a wave's message."""

    def __init__(
        self,
        *,
        groups: GroupStore,
        waves: WaveStore,
        readiness: Readiness,
        start: StartPart,
        follow: FollowJobs,
        release: Release,
        tellings: Tellings,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._groups = groups
        self._waves = waves
        self._readiness = readiness
        self._start = start
        self._follow = follow
        self._release = release
        self._tellings = tellings
        self._settings = settings
        self._clock = clock

    async def start(self, wave_id: str) -> Outcome:
        """
        Do what can be done for a wave now.

        Parameters:
            wave_id: The wave.

        Returns:
            The outcome: the message comes again until everything of the wave is started; from then on the sweeper's
            messages follow it.
        """
        set_priority(Queue.URGENT)
        view = await self._waves.read(wave_id)
        if view is None:
            return Acknowledge("wave_unknown")
        # The sweeper's messages name no request.
        structlog.contextvars.bind_contextvars(request_id=view.wave.request_id)
        if view.wave.status.is_over:
            return Acknowledge(view.wave.status)
        progress = await self._advance_all(view)
        after = WaveView(
            view.wave, tuple(each.group for each in progress), tuple(part for each in progress for part in each.parts)
        )
        waits = [wait for each in progress for wait in each.waits]
        told = next((wait.waiting_for for wait in waits if wait.waiting_for is not None), None)
        return await self._note(advance(after, told), after, waits)

    async def _advance_all(self, view: WaveView) -> list[Progress]:
        if self._clock() >= view.wave.deadline:
            told = _tell_too_late(view.wave)
            return await _do_all(self._end_group(view, group, DEADLINE_EXCEEDED, told) for group in view.groups)
        code = view.wave.stop_code
        if code is not None:
            told = view.wave.stop_message or code
            return await _do_all(self._end_group(view, group, code, told, follow=True) for group in view.groups)
        if view.wave.on_not_ready is OnNotReady.FAIL and any(_is_unready(group) for group in view.groups):
            return await self._advance_together(view)
        return await _do_all(self._advance_group(view, group) for group in view.groups)

    async def _advance_together(self, view: WaveView) -> list[Progress]:
        """Start nothing until every group may be started, and nothing at all where one may not."""
        looks = await _do_all(self._look(view, group) for group in view.groups)
        refused = next((step.group for step in looks if step.group.error_code is not None), None)
        if refused is not None:
            told = f"Another group keeps its wave from starting: {refused.error_message}"
            return [
                await self._end_group(
                    view, step.group, step.group.error_code or NOT_READY, step.group.error_message or told
                )
                for step in looks
            ]
        waits = [step.wait for step in looks if step.wait is not None]
        if waits:
            return [Progress(step.group, view.parts_of(step.group.group_id), tuple(waits[:1])) for step in looks]
        held = [await self._hold(view, step) for step in looks]
        if any(_is_unready(each.group) for each in held):
            return held
        return await _do_all(self._go_on(view, each.group, each.parts) for each in held)

    async def _look(self, view: WaveView, group: WaveGroup) -> Step:
        if not _is_unready(group):
            return Step(group)
        return await self._readiness.look(view.wave, group, view.parts_of(group.group_id))

    async def _advance_group(self, view: WaveView, group: WaveGroup) -> Progress:
        parts = view.parts_of(group.group_id)
        if group.state is GroupState.OVER:
            return Progress(group, parts)
        if group.state is GroupState.LAUNCHING:
            return await self._go_on(view, group, parts)
        step = await self._readiness.look(view.wave, group, parts)
        if step.group.error_code is not None:
            return await self._end_group(view, group, step.group.error_code, step.group.error_message or "")
        if step.wait is not None:
            return Progress(step.group, parts, (step.wait,))
        held = await self._hold(view, step)
        return held if _is_unready(held.group) else await self._go_on(view, held.group, held.parts)

    async def _hold(self, view: WaveView, step: Step) -> Progress:
        """Hold a group that may be started, unless it is held; one that moved on meanwhile is looked at again."""
        parts = view.parts_of(step.group.group_id)
        if not _is_unready(step.group):
            return Progress(step.group, parts)
        held = await self._readiness.hold(view.wave, step, parts)
        if held is None:
            return Progress(step.group, parts, (Wait("group_changed", ONE_MORE_TRY),))
        return held

    async def _go_on(self, view: WaveView, group: WaveGroup, parts: tuple[WavePart, ...]) -> Progress:
        """Start the parts of a group that is held, follow those that were started, and give it back at the end."""
        wave, target = view.wave, await self._read_target(group)
        if target is None:
            return await self._end_group(view, group, GroupDeleted.code, _tell_deleted(wave, group))
        begun = [part for part in parts if part.job_id is not None]
        starts = [self._start.start(wave, group, part, target) for part in parts if part.job_id is None]
        done = await _do_all([*starts, self._follow.follow(wave, begun, target)])
        parts = tuple(sorted((part for each in done for part in each.parts), key=lambda part: (part.number, part.path)))
        waits = tuple(wait for each in done for wait in each.waits)
        if all(part.is_over for part in parts):
            return Progress(await self._close(wave, group), parts)
        return Progress(group, parts, waits)

    async def _read_target(self, group: WaveGroup) -> Target | None:
        """Tell where a group's source servers are; None where it was deleted."""
        if await self._groups.read_head(group.group_id) is None:
            return None
        try:
            return (await self._groups.read_definition(group.group_id, group.config_version)).target
        except GroupDeleted:
            return None

    async def _end_group(
        self, view: WaveView, group: WaveGroup, code: str, message: str, *, follow: bool = False
    ) -> Progress:
        """Start nothing more of a group; what DRS launches is held and followed to its end, or given up too."""
        parts = view.parts_of(group.group_id)
        if group.state is GroupState.OVER:
            return Progress(group, parts)
        target = await self._read_target(group) if follow else None
        if target is not None:
            parts = tuple(await _do_all(self._start.adopt(view.wave, part, target) for part in parts))
        kept = [part for part in parts if follow and part.job_id is not None]
        ended = [part if part in kept else await self._end_part(view.wave, part, code, message) for part in parts]
        if any(not part.is_done for part in ended):
            # Somebody may be starting it just now; what comes of that is known in a moment.
            return Progress(group, tuple(ended), (Wait("part_under_way", self._settings.call_timeout),))
        if not all(part.is_over for part in ended):
            return await self._go_on(view, group, tuple(ended))
        after = replace(group, error_code=code, error_message=message)
        log.warning("wave.group_ended", wave_id=view.wave.wave_id, group_id=group.group_id, code=code)
        return Progress(await self._close(view.wave, group, after), tuple(ended))

    async def _end_part(self, wave: Wave, part: WavePart, code: str, message: str) -> WavePart:
        if part.job_id is not None and not part.job_over:
            after = replace(part, job_over=True)
            await self._waves.note_launches(wave.wave_id, after)
            return after
        if part.is_done or self._start.is_under_way(part):
            return part
        told = message
        if part.starting_at is not None:
            told += (
                f" Whether its recovery was started all the same, DRS says: look for a recovery job with the tag"
                f" prelaunch:waveId = {wave.wave_id}."
            )
        (refused,) = refuse_parts([part], code, told)
        return await self._waves.record_part(wave.wave_id, refused)

    async def _close(self, wave: Wave, before: WaveGroup, after: WaveGroup | None = None) -> WaveGroup:
        # Given back first: whoever dies in between comes here again.
        await self._release.release(before.group_id, Hold(wave.wave_id, wave.deadline, wave.is_drill))
        over = replace(after or before, state=GroupState.OVER)
        await self._waves.note_group(wave.wave_id, before, over)
        return over

    async def _note(self, wave: Wave, view: WaveView, waits: Sequence[Wait]) -> Outcome:
        now = self._clock()
        after = self._pace(wave, waits, now)
        wave = replace(wave, look_at=now + after + self._settings.run_periods.send_after)
        if wave.status.is_begun:
            wave = replace(wave, look_at=now + self._settings.sweep_period)
        if wave.status.is_over:
            notice = self._tellings.wave_settled(replace(view, wave=wave))
            if await self._waves.note(wave, [put_notice(notice)]):
                await self._tellings.tell(notice)
        else:
            await self._waves.note(wave)
        errors, jobs = find_errors(view), [part for part in view.parts if part.job_id is not None]
        known = {"wave_id": wave.wave_id, "status": wave.status, "jobs": len(jobs)}
        log.info("wave.advanced", **known, refused=sum(len(each.source_server_ids) for each in errors))
        if wave.status.is_begun:
            return Acknowledge(wave.status)
        return Redeliver(waits[0].reason if waits else wave.status, after)

    def _pace(self, wave: Wave, waits: Sequence[Wait], now: datetime) -> timedelta:
        """Come again when something is due; less often, the longer it has been waited for."""
        soonest = min((wait.after for wait in waits), default=ONE_MORE_TRY)
        patience = min((now - wave.accepted_at) / 10, self._settings.longest_wave_pause)
        return max(soonest, patience)


async def _do_all(steps: Iterable[Coroutine[None, None, _T]]) -> list[_T]:
    """Do all of them to their end: one's trouble must not leave the others running unowned."""
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def _is_unready(group: WaveGroup) -> bool:
    return group.state is GroupState.UNREADY


def _tell_too_late(wave: Wave) -> str:
    waited = f" It waited for {wave.waiting_for}." if wave.waiting_for is not None else ""
    return (
        f"{wave.wave_id} was accepted at {say_time(wave.accepted_at)}, and its time is over.{waited} Start a new wave."
    )


def _tell_deleted(wave: Wave, group: WaveGroup) -> str:
    # How to reach its account went with the group: nobody of ours can look for its jobs.
    return f"Protection group {group.group_id} was deleted: {wave.wave_id} starts and follows nothing more of it."
