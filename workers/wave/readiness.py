"""
Make one group of a wave ready: look, apply what is not ready, then hold it. Nothing here starts a recovery.

Each call does one step, and says what is to be come back for: whoever dies in between leaves a wave that anybody goes
on with. What AWS holds is compared by reads only; what differs is applied by a run like any other, only urgent.
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from workers.core.contract import Queue
from workers.core.errors import AccessDenied, AccountNotInitialized, GroupDeleted, PermanentError, RetryableError
from workers.core.model.group import Target
from workers.core.model.waves import OnNotReady, Verify
from workers.core.plan.drift import describe_drift
from workers.core.ports import Clock, LaunchTemplateReads
from workers.core.requests import Requester, RequestKey, RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.runs.sending import RunSender
from workers.core.runs.submission import Submission
from workers.core.server_plan import NOTHING_SEEN, ServerPlanner
from workers.core.settings import Settings
from workers.core.status import Status
from workers.core.store.groups import GroupStore
from workers.core.store.holds import Hold
from workers.core.store.records import GroupStatus, ServerItem
from workers.core.store.run_writes import begin_run
from workers.core.store.runs import Run, RunStore
from workers.core.store.wave_records import FALLBACK, GroupState, LeftOut, Wave, WaveGroup, WavePart
from workers.core.store.waves import WaveStore
from workers.core.store.writes import Write
from workers.core.wave_plan import NOT_READY
from workers.wave.left_out import find_unready, narrow
from workers.wave.parts import HOLD_LOST
from workers.wave.steps import NAMED, ONE_MORE_TRY, Wait

log = structlog.get_logger()

AT_ONCE = 32
"""Source servers of a group that are compared at once."""
PAGED_FROM = 50
"""More members than these are compared with pages of all default versions, 200 each."""
DRIFT_FOUND = "DRIFT_FOUND"


@dataclass(frozen=True, slots=True)
class Progress:
    """A group of a wave after a step."""

    group: WaveGroup
    parts: tuple[WavePart, ...]
    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to."""

    group: WaveGroup
    wait: Wait | None = None
    """What is to be come back for; None where it may be held and started now, if it is not yet."""
    held: Sequence[Write] = ()
    """The writes that take the hold, over the group as it was read."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """The members that are not to be started then."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A group as it was read for one step."""

    status: GroupStatus
    run: Run
    servers: Mapping[str, ServerItem]


class Readiness:
    """Makes groups ready that a wave has claimed."""

    def __init__(
        self,
        *,
        groups: GroupStore,
        runs: RunStore,
        waves: WaveStore,
        submission: Submission,
        sender: RunSender,
        planner: ServerPlanner,
        templates: LaunchTemplateReads,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._groups = groups
        self._runs = runs
        self._waves = waves
        self._submission = submission
        self._sender = sender
        self._planner = planner
        self._templates = templates
        self._clock = clock
        self._max_age = settings.max_ready_age
        self._settle_time = settings.settle_time
        self._send_after = settings.run_periods.send_after

    async def look(self, wave: Wave, group: WaveGroup, parts: Sequence[WavePart]) -> Step:
        """
        Do the next step toward a group that can be started.

        Parameters:
            wave: The wave.
            group: The group, which is not launched yet.
            parts: Its parts.

        Returns:
            What the step came to.
        """
        if await self._groups.read_head(group.group_id) is None:
            told = f"Protection group {group.group_id} was deleted before its recovery was started."
            return Step(_refuse(group, GroupDeleted.code, told))
        status = await self._groups.read_status(group.group_id)
        run = await self._runs.read_run(group.group_id, status.generation) if status is not None else None
        if status is None or run is None:
            # It is deleted just now.
            return Step(group, Wait("group_changed", ONE_MORE_TRY))
        if status.held_by != wave.wave_id:
            told = f"{group.group_id} is not {wave.wave_id}'s any more: {status.held_by or 'nobody'} has it."
            return Step(_refuse(group, HOLD_LOST, told))
        if status.status is Status.PENDING and wave.on_not_ready is not OnNotReady.SKIP:
            return await self._urge(wave, group, status, run)
        return await self._judge(wave, group, parts, _Seen(status, run, await self._runs.read_servers(group.group_id)))

    async def hold(self, wave: Wave, step: Step, parts: Sequence[WavePart]) -> Progress | None:
        """
        Hold a group that may be started, and take out of its parts what is not to be.

        Parameters:
            wave: The wave.
            step: What the last step came to.
            parts: The group's parts, none of them started.

        Returns:
            The group, launched from now on, and its parts; None where it moved on since it was read.
        """
        narrowed = tuple(narrow(part, step.left_out) for part in parts)
        changed = [after for before, after in zip(parts, narrowed, strict=True) if after != before]
        after = replace(step.group, state=GroupState.LAUNCHING)
        is_held = await self._waves.launch(wave, step.group, after, changed, step.held)
        return Progress(after, narrowed) if is_held else None

    async def _urge(self, wave: Wave, group: WaveGroup, status: GroupStatus, run: Run) -> Step:
        """Give the run's pending source servers an urgent message each, once a generation; then it is waited for."""
        if wave.on_not_ready is not OnNotReady.APPLY:
            told = f"{group.group_id} is pending, and nothing is to be applied for this wave."
            return Step(_refuse(group, NOT_READY, told))
        if group.urged < status.generation:
            statuses = run.read_statuses(await self._runs.read_servers(group.group_id))
            pending = [member for member, state in statuses.items() if state is Status.PENDING]
            await self._runs.mark_urgent(group.group_id, status.generation)
            head = await self._runs.read_head(group.group_id, status.generation)
            now = self._clock()
            if head is not None and head.is_kept_back(now):
                # A drill may have kept it back, from which this wave took over: it counts, and is swept, from now on.
                await self._runs.begin(group.group_id, head, now, now + self._send_after)
            await self._sender.send_members(run, pending, Queue.URGENT)
            if head is not None and head.is_kept_back(now):
                await self._sender.mark_sent(run)
            after = replace(group, urged=status.generation, path=FALLBACK)
            if await self._waves.note_group(wave.wave_id, group, after):
                group = after
        counts = status.counts
        told = f"apply: generation {status.generation} of {group.group_id}, {counts.pending} source servers at first"
        return Step(group, Wait("applying", ONE_MORE_TRY, told))

    async def _judge(self, wave: Wave, group: WaveGroup, parts: Sequence[WavePart], seen: _Seen) -> Step:
        """Decide about a group that is not waited for: it has settled, or what is pending is skipped."""
        members = [member for part in parts for member in part.source_server_ids]
        oldest = wave.accepted_at - self._max_age
        unready = find_unready(members, seen.run, seen.servers, seen.status, oldest)
        if wave.verify is Verify.LIVE:
            ready = [member for member in members if member not in unready]
            compared = await self._compare_all(group, seen, ready)
            if isinstance(compared, Step):
                return compared
            unready |= compared
        if unready and wave.on_not_ready is OnNotReady.APPLY and not group.applied:
            return await self._apply(wave, group, unready, seen)
        if unready and wave.on_not_ready is OnNotReady.FAIL:
            named = "; ".join(each.message for each in list(unready.values())[:NAMED])
            told = f"{len(unready)} source servers of {group.group_id} are not ready: {named}"
            return Step(_refuse(group, NOT_READY, told))
        held = await self._plan_hold(wave, seen)
        return Step(replace(group, generation=seen.status.generation), held=held, left_out=unready)

    async def _plan_hold(self, wave: Wave, seen: _Seen) -> list[Write]:
        """Write the hold; of a run that is under way the jobs wait for its end, and its time counts from then."""
        group_id, status = seen.run.group_id, seen.status
        hold = Hold(wave.wave_id, wave.deadline, wave.is_drill)
        writes = [hold.launch(group_id, status)]
        if status.status is Status.PENDING:
            head = await self._runs.read_head(group_id, status.generation)
            if head is not None:
                writes.append(begin_run(group_id, head, hold.until, hold.until + self._send_after))
        return writes

    async def _compare_all(self, group: WaveGroup, seen: _Seen, ready: Sequence[str]) -> dict[str, LeftOut] | Step:
        """Find which members are not what they were verified to be; a step, where that cannot be told now."""
        written = [item.last_write_at for member, item in seen.servers.items() if member in ready]
        latest = max((at for at in written if at is not None), default=None)
        if latest is not None and self._clock() < latest + self._settle_time:
            # EC2 may still answer the state before our own write.
            return Step(group, Wait("written_just_now", self._settle_time))
        try:
            # StartRecovery's: an update may have changed how to reach the account, and opened no run.
            definition = await self._groups.read_definition(group.group_id, group.config_version)
            return await self._compare(seen.run, definition.target, ready)
        except PermanentError as problem:
            return Step(_refuse(group, problem.code, f"{group.group_id} cannot be compared: {problem.message}"))
        except RetryableError as error:
            told = f"{error.operation or 'AWS'}: {error.message}"
            return Step(group, Wait(error.code, error.retry_after or ONE_MORE_TRY, told))

    async def _apply(self, wave: Wave, group: WaveGroup, unready: Mapping[str, LeftOut], seen: _Seen) -> Step:
        """Open an urgent run for just the members that need it; what else is not ready goes with them."""
        asked = tuple(sorted(set(seen.run.definition.source_server_ids) & unready.keys()))
        # Asked for once, however many go on with the wave beside each other, or after one that died.
        key = RequestKey(f"{wave.wave_id}#{group.group_id}", hashlib.sha256(wave.wave_id.encode()).hexdigest())
        requester = Requester(wave.requested_by, wave.door, f"wave {wave.wave_id}", wave.request_id, key)
        if asked:
            try:
                request = ApplyRequest(force=True, source_server_ids=asked)
                await self._submission.apply(group.group_id, request, requester, queue=Queue.URGENT)
            except RequestRefused as refused:
                # A member left, or the group is gone: the next look finds that.
                return Step(group, Wait(refused.code, ONE_MORE_TRY))
        status = await self._groups.read_status(group.group_id)
        generation = status.generation if status is not None else group.generation
        after = replace(group, applied=generation, urged=generation, path=FALLBACK)
        log.info("wave.applying", wave_id=wave.wave_id, group_id=group.group_id, servers=len(asked))
        if await self._waves.note_group(wave.wave_id, group, after):
            group = after
        return Step(group, Wait("applying", ONE_MORE_TRY, f"apply: {len(asked)} source servers of {group.group_id}"))

    async def _compare(self, run: Run, target: Target, members: Collection[str]) -> dict[str, LeftOut]:
        """Compare members with what AWS holds now; by reads only, at the pace of what is urgent."""
        many = len(members) > PAGED_FROM
        seen = await self._templates.read_all_defaults(target) if many else NOTHING_SEEN
        gate = asyncio.Semaphore(AT_ONCE)

        async def look(member: str) -> LeftOut | None:
            async with gate:
                try:
                    steps = await self._planner.plan(target, member, run.definition.effective(member), seen)
                except (AccessDenied, AccountNotInitialized):
                    raise
                except PermanentError as error:
                    return LeftOut(member, error.code, f"{member}: {error.message}")
            drift = [item for step in steps for item in step.drift]
            return LeftOut(member, DRIFT_FOUND, f"{member}: {describe_drift(drift)}") if drift else None

        tasks = [asyncio.create_task(look(member)) for member in members]
        try:
            return {each.source_server_id: each for each in await asyncio.gather(*tasks) if each is not None}
        finally:
            for task in tasks:
                task.cancel()


def refuse_parts(parts: Sequence[WavePart], code: str, message: str) -> list[WavePart]:
    """Say of parts that have no answer why they get none."""
    return [replace(part, error_code=code, error_message=message) for part in parts if not part.is_done]


def _refuse(group: WaveGroup, code: str, message: str) -> WaveGroup:
    return replace(group, error_code=code, error_message=message)
