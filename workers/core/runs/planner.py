"""Planning the run of a new generation: its deadline counts what else draws on the same tokens."""

from workers.core.contract import Queue
from workers.core.model.group import GroupDefinition
from workers.core.periods import RunPeriods
from workers.core.ports import Clock
from workers.core.requests import Requester
from workers.core.runs.opening import plan_run
from workers.core.status import Status
from workers.core.store.records import GroupHead, GroupStatus, Mode
from workers.core.store.runs import Run, RunStore


class RunPlanner:
    """Plans runs."""

    def __init__(self, *, runs: RunStore, periods: RunPeriods, clock: Clock) -> None:
        self._runs = runs
        self._periods = periods
        self._clock = clock

    async def plan(
        self,
        head: GroupHead,
        definition: GroupDefinition,
        *,
        generation: int,
        listed: frozenset[str],
        requester: Requester,
        run_id: str | None = None,
        mode: Mode = Mode.APPLY,
        changed_by: str = "",
        before: GroupStatus | None = None,
        queue: Queue = Queue.NORMAL,
    ) -> Run:
        """
        Plan the run of a new generation, opened now.

        Parameters:
            head: The group.
            definition: Its definition at the head's version.
            generation: The run's.
            listed: The source servers that it brings to their launch config.
            requester: Who asks.
            run_id: Its id, where one was made before; the same for each try of one request.
            mode: What it does with them.
            changed_by: Who made the change that it follows from, where that is known.
            before: The group's status, as it was read: what a wave launches is left alone until then, and what a wave
                waits for stays urgent.
            queue: Where its jobs are sent, unless a wave waits for them.

        Returns:
            The run, not yet stored.
        """
        now = self._clock()
        return plan_run(
            head,
            definition,
            generation=generation,
            listed=listed,
            requester=requester,
            now=now,
            periods=self._periods,
            run_id=run_id,
            mode=mode,
            changed_by=changed_by,
            begins_at=before.held_until if before is not None and before.is_launching(now) else None,
            queue=await self._choose_queue(head.group_id, before, queue),
            backlog=await self._runs.count_backlog(head.account_id, head.region),
        )

    async def _choose_queue(self, group_id: str, before: GroupStatus | None, queue: Queue) -> Queue:
        """A run inherits the urgency of what it supersedes."""
        if before is None or before.status is not Status.PENDING:
            return queue
        superseded = await self._runs.read_head(group_id, before.generation)
        return Queue.URGENT if superseded is not None and superseded.queue is Queue.URGENT else queue
