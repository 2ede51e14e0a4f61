"""
Sending the jobs of a run that is open: one a source server.

Committed but not sent is accepted: nothing that fails here may fail the request.
"""

from collections.abc import Iterable

import structlog

from workers.core.contract import APPLY_ACTOR, SWEEP_ACTOR, Queue
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.periods import RunPeriods
from workers.core.ports import Clock, Job, JobQueue
from workers.core.runs.settle import Aggregator
from workers.core.status import Status
from workers.core.store.records import GroupStatus
from workers.core.store.runs import Run, RunStore

log = structlog.get_logger()


class RunSender:
    """Sends the jobs of runs."""

    def __init__(
        self, *, runs: RunStore, queue: JobQueue, aggregator: Aggregator, periods: RunPeriods, clock: Clock
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._aggregator = aggregator
        self._periods = periods
        self._clock = clock

    async def send_members(self, run: Run, members: Iterable[str], queue: Queue | None = None) -> None:
        """
        Send a job for some of the source servers that a run lists.

        Parameters:
            run: The run, open.
            members: The source servers.
            queue: Where the jobs are sent; None: where the run's are.

        Raises:
            ServiceUnavailable: Not all of them were sent.
            SetupError: The queue is missing.
        """
        jobs = [
            Job(
                APPLY_ACTOR,
                run.group_id,
                {
                    "groupId": run.group_id,
                    "sourceServerId": member,
                    "generation": run.head.generation,
                    "requestId": run.head.request_id,
                },
            )
            for member in sorted(members)
        ]
        await self._queue.send(queue or run.head.queue, jobs)

    async def mark_sent(self, run: Run) -> None:
        """Note that every job of a run was sent; it is looked after by its deadline at the latest."""
        now = self._clock()
        look_at = max(min(now + self._periods.stall_after, run.head.deadline), now + self._periods.send_after)
        await self._runs.mark_sent(run.group_id, run.head.generation, now, look_at=look_at)

    async def send(self, run: Run, opened: GroupStatus) -> None:
        """
        Send a job for each source server that the run lists; settle the run where it lists none.

        Parameters:
            run: The run, open.
            opened: The group's status since then: nothing is sent while a wave launches it.
        """
        if run.listed and opened.is_launching(self._clock()):
            log.info("run.held", group_id=run.group_id, generation=run.head.generation, held_by=opened.held_by)
            return
        try:
            await self.send_members(run, run.listed)
            await self.mark_sent(run)
            if not run.listed:
                # No outcome will come that could settle it.
                await self._aggregator.settle_if_complete(run, opened)
        except (ServiceUnavailable, SetupError) as error:
            # The run is accepted and stays: whoever asks for it again, or sweeps, sends what was not sent.
            log.warning("run.not_sent", group_id=run.group_id, generation=run.head.generation, error=error.message)

    async def wake_sweep(self) -> None:
        """Ask for a sweep at once, for there is something to tell; without it one comes within a minute or two."""
        try:
            await self._queue.send(Queue.NORMAL, [Job(SWEEP_ACTOR, SWEEP_ACTOR, {})])
        except (ServiceUnavailable, SetupError) as error:
            log.warning("sweep.not_asked", error=error.message)

    async def send_if_unsent(self, run: Run, status: GroupStatus) -> None:
        """Send the jobs of a pending run of which nothing says that they were."""
        if status.status is not Status.PENDING:
            return
        head = await self._runs.read_head(run.group_id, run.head.generation)
        if head is not None and head.sent_at is None:
            await self.send(run, status)
