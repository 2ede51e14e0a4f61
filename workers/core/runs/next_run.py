"""Opening the next generation of a group whose definition stays: one transaction over the state that was read."""

from collections.abc import Sequence

from workers.core.contract import Queue
from workers.core.requests import Requester
from workers.core.runs.opening import new_run_id, open_status, put_opening
from workers.core.runs.resources import Resources
from workers.core.store.groups import check_head
from workers.core.store.records import GroupHead, GroupStatus, Mode, ServerItem
from workers.core.store.runs import Run
from workers.core.store.writes import Write

NOTHING_MORE: Sequence[Write] = ()


class NextRun:
    """Opens the run that follows another one."""

    def __init__(self, resources: Resources) -> None:
        self._with = resources

    async def plan(
        self,
        head: GroupHead,
        before: GroupStatus,
        listed: frozenset[str],
        requester: Requester,
        *,
        run_id: str | None = None,
        mode: Mode = Mode.APPLY,
        changed_by: str = "",
        queue: Queue = Queue.NORMAL,
    ) -> Run:
        """
        Plan it.

        Parameters:
            head: The group, as it was read.
            before: Its status, as it was read.
            listed: The source servers that it lists.
            requester: Who asks.
            run_id: Its id, where one was made before; the same for each try of one request.
            mode: What it does with them.
            changed_by: Who made the change that it follows from, where that is known.
            queue: Where its jobs are sent.

        Returns:
            The run, not yet stored.

        Raises:
            GroupDeleted: The group is gone.
        """
        return await self._with.planner.plan(
            head,
            await self._with.groups.read_definition(head.group_id, head.version),
            generation=before.generation + 1,
            listed=listed,
            requester=requester,
            run_id=run_id or new_run_id(),
            mode=mode,
            changed_by=changed_by,
            before=before,
            queue=queue,
        )

    async def open(
        self,
        run: Run,
        *,
        head: GroupHead,
        last: Run,
        before: GroupStatus,
        servers: dict[str, ServerItem],
        requester: Requester,
        also: Sequence[Write] = NOTHING_MORE,
    ) -> bool:
        """
        Store it and send its jobs.

        Parameters:
            run: The run, planned.
            head: The group, as it was read.
            last: The run that it follows.
            before: The group's status, as it was read.
            servers: What is recorded of its source servers.
            requester: Who asks.
            also: Writes that stand or fall with it.

        Returns:
            Whether it is open; False where the group is not as it was read any more.
        """
        opened = open_status(run, servers, before, requester)
        writes = [
            check_head(head),
            *put_opening(run, before, opened),
            *await self._with.groups.expire_definitions(
                run.group_id, {last.head.config_version} - {head.version}, run.head.opened_at
            ),
            *also,
        ]
        if not await self._with.tables.commit(writes, lambda: self._is_open(run)):
            return False
        await self._with.sender.send(run, opened)
        return True

    async def _is_open(self, run: Run) -> bool:
        head = await self._with.runs.read_head(run.group_id, run.head.generation)
        return head is not None and head.run_id == run.head.run_id
