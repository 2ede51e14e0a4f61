"""
The sweep: every run that is unsettled and due is looked after by exactly one worker.

It sends what was never sent, revives what stands still, settles what is complete, and at its deadline gives up what
is not: so every accepted request settles, whatever died. Who takes a look says so first, by a conditional write.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from workers.core.contract import WAVE_ACTOR, Queue
from workers.core.errors import DEADLINE_EXCEEDED, PrelaunchError
from workers.core.outcome import Acknowledge, Outcome
from workers.core.ports import Clock, Job, JobQueue
from workers.core.runs.removal import clear_group
from workers.core.runs.sending import RunSender
from workers.core.runs.settle import Aggregator
from workers.core.settings import Settings
from workers.core.status import Status
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.records import GroupStatus, RunHead, ServerError, ServerItem
from workers.core.store.runs import Run, RunStore
from workers.core.store.waves import WaveStore
from workers.core.telling.tellings import Tellings
from workers.sweep.look import Act, decide

log = structlog.get_logger()

RUNS_A_SWEEP = 100
WAVES_A_SWEEP = 100
_JITTER = random.SystemRandom()


class Sweep:
    """Looks after unsettled runs, and waves that are not over."""

    def __init__(
        self,
        *,
        groups: GroupStore,
        runs: RunStore,
        journal: Journal,
        sender: RunSender,
        waves: WaveStore,
        queue: JobQueue,
        aggregator: Aggregator,
        tellings: Tellings,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._groups = groups
        self._runs = runs
        self._journal = journal
        self._sender = sender
        self._waves = waves
        self._queue = queue
        self._aggregator = aggregator
        self._tellings = tellings
        self._settings = settings
        self._clock = clock

    async def sweep(self) -> Outcome:
        """Look after all that is due: notices, waves, runs, deleted groups; trouble with one keeps no other from it."""
        looked = await self._tell() + await self._send_waves()
        for group_id, generation in await self._runs.read_due(self._clock(), limit=RUNS_A_SWEEP):
            try:
                looked += await self._look_after(group_id, generation)
            except PrelaunchError as error:
                log.warning("sweep.failed", group_id=group_id, generation=generation, error=error.message)
            except Exception:  # one run that cannot be read must not hide all that are due after it
                log.exception("sweep.crashed", group_id=group_id, generation=generation)
        return Acknowledge(f"looked after {looked}")

    async def _send_waves(self) -> int:
        """Send the message of every wave that nobody goes on with: by it a wave is started, followed and ended."""
        now, sent = self._clock(), 0
        try:
            for wave_id in await self._waves.read_due(now, limit=WAVES_A_SWEEP):
                if await self._waves.claim_look(wave_id, now, now + self._settings.run_periods.send_after):
                    await self._queue.send(Queue.URGENT, [Job(WAVE_ACTOR, wave_id, {"waveId": wave_id})])
                    sent += 1
        except PrelaunchError as error:
            log.warning("sweep.waves_failed", error=error.message)
        return sent

    async def _tell(self) -> int:
        try:
            return await self._tellings.tell_due()
        except PrelaunchError as error:
            log.warning("sweep.failed", error=error.message)
        except Exception:  # what cannot be told must not hide all runs that are due
            log.exception("sweep.crashed")
        return 0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep again and again, until cancelled; no two processes in step."""
        while True:
            await sleep(self._settings.sweep_period.total_seconds() * _JITTER.uniform(0.5, 1.5))
            try:
                await self.sweep()
            except PrelaunchError as error:
                log.warning("sweep.failed", error=error.message)
            except Exception:  # a bug in one sweep must not end all that follow
                log.exception("sweep.crashed")

    async def _look_after(self, group_id: str, generation: int | None) -> bool:
        if generation is None:
            # By two sweepers at once, or twice: deleting what is gone already is no harm.
            await clear_group(group_id, self._groups, self._runs)
            await self._runs.end_clearing(group_id)
            return True
        return await self._look_after_run(group_id, generation)

    async def _look_after_run(self, group_id: str, generation: int) -> bool:
        head, now = await self._runs.read_head(group_id, generation), self._clock()
        if head is None or head.resend_after > now:
            # Somebody else looked since the list was read, or the index is behind.
            return False
        decision = decide(head, now, self._settings.run_periods)
        if not await self._runs.claim_look(group_id, head, decision.look):
            return False
        status = await self._groups.read_status(group_id)
        run = await self._runs.read_run(group_id, generation)
        if status is None or run is None or status.generation != generation:
            # Deleted or superseded since the index was read.
            return False
        if await self._aggregator.settle_if_complete(run, status) is None:
            await self._act(decision.act, run, status, head)
            if decision.after != decision.look:
                acted = replace(head, resend_after=decision.look.next_at)
                await self._runs.claim_look(group_id, acted, decision.after)
        return True

    async def _act(self, act: Act, run: Run, status: GroupStatus, head: RunHead) -> None:
        log.info("run.swept", group_id=run.group_id, run_id=run.head.run_id, act=act.name.lower(), done=head.done)
        match act:
            case Act.SEND | Act.REVIVE:
                await self._sender.send_members(run, await self._find_pending(run))
                if act is Act.SEND:
                    await self._sender.mark_sent(run)
            case Act.GIVE_UP:
                await self._give_up(run, status, head)
            case Act.WATCH:
                pass

    async def _find_pending(self, run: Run) -> list[str]:
        statuses = run.read_statuses(await self._runs.read_servers(run.group_id))
        return [member for member, status in statuses.items() if status is Status.PENDING]

    async def _give_up(self, run: Run, status: GroupStatus, head: RunHead) -> None:
        waited = f" The run waited for {head.waiting_for}." if head.waiting_for else ""
        for member in await self._find_pending(run):
            given_up = self._exceed(run, member, waited)
            if await self._runs.give_up(run.group_id, given_up):
                await self._journal.complete(run.group_id, run.head.generation, given_up)
        await self._aggregator.settle_if_complete(run, status)

    def _exceed(self, run: Run, member: str, waited: str) -> ServerItem:
        now = self._clock()
        error = ServerError(
            source_server_id=member,
            code=DEADLINE_EXCEEDED,
            message=(
                f"{member} came to no outcome by the deadline of its run.{waited} See in the workers' log whether any"
                " worker runs and what it met, and by `prelaunch dlq list` whether its job is a dead letter; then apply"
                " again, or redrive that."
            ),
            at=now,
            attempt=0,
        )
        failed = ServerItem(
            source_server_id=member,
            status=Status.FAILED,
            generation=run.head.generation,
            config_hash=run.config_hashes[member],
            last_applied=now,
            attempts=0,
        )
        return replace(failed, errors=(error,))
