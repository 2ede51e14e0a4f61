"""Giving a group back that a wave had: what was opened or kept back meanwhile begins, and its time with it."""

from dataclasses import replace

import structlog

from workers.core.errors import GroupDeleted, ServiceUnavailable
from workers.core.periods import RunPeriods
from workers.core.runs.members import plan_freeing
from workers.core.runs.resources import Resources
from workers.core.status import Status
from workers.core.store.holds import Hold
from workers.core.store.records import GroupStatus
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import begin_run
from workers.core.store.writes import Write

log = structlog.get_logger()

TRIES = 5


class Release:
    """Gives groups back."""

    def __init__(self, resources: Resources, periods: RunPeriods) -> None:
        self._with = resources
        self._periods = periods

    async def release(self, group_id: str, hold: Hold) -> None:
        """
        Give a group back, if the wave has it, and send the jobs that were held back.

        Whoever dies before they are sent leaves them to the sweeper.

        Parameters:
            group_id: The group.
            hold: The wave's.

        Raises:
            ServiceUnavailable: The group changes faster than it can be read.
        """
        for _ in range(TRIES):
            status = await self._with.groups.read_status(group_id)
            if status is None or status.held_by != hold.wave_id:
                return
            if await self._try_release(group_id, status, hold):
                break
        else:
            raise ServiceUnavailable(f"{group_id} changes faster than it can be given back. Try again.")
        log.info("group.released", group_id=group_id, wave_id=hold.wave_id)
        if status.status is Status.PENDING:
            run = await self._with.runs.read_run(group_id, status.generation)
            if run is not None:
                await self._with.sender.send_if_unsent(run, replace(status, launching=False))

    async def _try_release(self, group_id: str, status: GroupStatus, hold: Hold) -> bool:
        writes = [hold.release(group_id, status)]
        if status.has_leavers:
            freed = await self._plan_freeing(group_id)
            if freed is None:
                return False
            writes += freed
        if status.status is Status.PENDING:
            head, now = await self._with.runs.read_head(group_id, status.generation), self._with.clock()
            if head is not None and head.is_kept_back(now):
                writes.append(begin_run(group_id, head, now, now + self._periods.send_after))
        try:
            await self._with.tables.transact(writes)
        except ConditionFailed:
            return False
        return True

    async def _plan_freeing(self, group_id: str) -> list[Write] | None:
        """Let other groups have who left while it was launched; None where it is deleted just now."""
        head = await self._with.groups.read_head(group_id)
        if head is None:
            return None
        try:
            members = (await self._with.groups.read_definition(group_id, head.version)).source_server_ids
        except GroupDeleted:
            return None
        # Whoever is a member again by the time of the write has opened a generation, and the release does not hold.
        return await plan_freeing(self._with.tables, head, members)
