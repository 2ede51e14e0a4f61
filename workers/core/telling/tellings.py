"""
Telling: after what settles is written, and as often as it takes.

The settling is one conditional write, and the notice stands in the same transaction. Whoever wrote it tells at once;
whoever dies over that, or is refused, leaves it to the sweeper of any worker, for a day. So everything is told at least
once, and the same thing each time: who may not act twice goes by the detail's `eventId`. Nothing here keeps a job from
its outcome.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from workers.core.errors import PrelaunchError, TaskGone
from workers.core.periods import TellPeriods
from workers.core.ports import Clock, Messenger
from workers.core.requests import Requester
from workers.core.status import Status
from workers.core.store.notices import Notice, NoticeStore, WaitingTask, put_notice, put_token
from workers.core.store.records import GroupHead, GroupStatus
from workers.core.store.runs import Run
from workers.core.store.wave_records import WaveView
from workers.core.store.writes import Write
from workers.core.telling.notice import answer_task, make_cause, subject_of, tell_deleted, tell_group, tell_wave

log = structlog.get_logger()

NOTICES_A_SWEEP = 100


class Tellings:
    """
    Makes notices, and tells them.

    Parameters:
        store: Where they stand.
        messenger: How they are told; None in a process that leaves that to the workers.
        stack: Ours, which every event names.
        periods: How long that is tried.
        clock: Answers the present.
    """

    def __init__(
        self, store: NoticeStore, messenger: Messenger | None, *, stack: str, periods: TellPeriods, clock: Clock
    ) -> None:
        self._store = store
        self._messenger = messenger
        self._stack = stack
        self._periods = periods
        self._clock = clock

    # --- what is written with what settles

    def group_settled(self, run: Run, status: GroupStatus) -> Notice:
        """Make the notice of a group that settles now."""
        return tell_group(self._stack, subject_of(run), status, due_at=self._due_at())

    def wave_settled(self, view: WaveView) -> Notice:
        """Make the notice of a wave that is over from now on, with its groups and parts as they are then."""
        return tell_wave(self._stack, view, self._clock(), due_at=self._due_at())

    def group_deleted(self, head: GroupHead, status: GroupStatus, at: datetime) -> list[Write]:
        """Write what is to be told where a group is deleted: to those who wait for its run, if one is under way."""
        if status.status is not Status.PENDING:
            return []
        return [put_notice(tell_deleted(self._stack, subject_of(head), status, at, due_at=at))]

    def wait_for(self, requester: Requester, group_id: str, generation: int) -> list[Write]:
        """Let the requester's task, if it has one, wait until a group settles at this generation or a later one."""
        if requester.task_token is None:
            return []
        return [put_token(group_id, requester.task_token, generation, self._clock())]

    def answer_by(self, requester: Requester, head: GroupHead, status: GroupStatus | None) -> list[Write]:
        """
        Let the requester's task, if it has one, be answered by what there is: a settled status, or the run in hand.

        Parameters:
            requester: Who asks.
            head: The group.
            status: Its status, which must still be that when this is written.

        Returns:
            The writes.
        """
        writes = self.wait_for(requester, head.group_id, status.generation if status is not None else 0)
        if requester.task_token is None or (status is not None and status.status is Status.PENDING):
            return writes
        at = self._clock()
        return [*writes, put_notice(answer_task(self._stack, subject_of(head), status, requester.task_token, at=at))]

    def _due_at(self) -> datetime:
        # Whoever cannot tell leaves it to the next sweep, whoever can has time to.
        return self._clock() + (self._periods.again_after if self._messenger is not None else timedelta(0))

    # --- telling

    async def tell(self, notice: Notice) -> None:
        """Tell what has just been written, unless this process leaves that to others; what fails is told later."""
        if self._messenger is None:
            return
        known = {"group_id": notice.group_id, "notice": notice.item}
        try:
            async with asyncio.timeout(self._periods.longest_try.total_seconds()):
                await self._tell(notice, self._messenger)
        except PrelaunchError as error:
            log.warning("telling.failed", **known, code=error.code, error=error.message, tries=notice.tries)
        except TimeoutError:
            log.warning("telling.failed", **known, code="TIMEOUT", tries=notice.tries)
        except Exception:  # a bug here must not cost a job its outcome
            log.exception("telling.crashed", **known)

    async def tell_due(self) -> int:
        """Tell what nobody has told in time, and give up what nobody could tell for a day."""
        due = await self._store.read_due(self._clock(), limit=NOTICES_A_SWEEP)
        taken = 0
        for notice in due:
            taken += await self._look_after(notice)
        return taken

    async def _look_after(self, notice: Notice) -> bool:
        now, periods = self._clock(), self._periods
        if notice.resend_after > now:
            # Somebody else did since the index was read.
            return False
        if now - notice.at > periods.give_up_after:
            log.error("telling.given_up", group_id=notice.group_id, notice=notice.item, tries=notice.tries)
            await self._store.end(notice)
            return True
        wait = min(periods.again_after * 2 ** min(notice.tries, 20), periods.longest_wait)
        taken = await self._store.claim(notice, now + wait)
        if taken is not None:
            await self.tell(taken)
        return taken is not None

    async def _tell(self, notice: Notice, messenger: Messenger) -> None:
        is_open = notice.is_event and notice.told_at is None
        trouble: PrelaunchError | None = None
        if is_open:
            try:
                await messenger.announce(notice.kind, notice.detail, notice.at)
            except PrelaunchError as error:
                # Who waits with a token is answered all the same.
                trouble = error
        answered, refused = await self._answer_all(notice, messenger)
        await self._store.end_tasks(notice, answered)
        if trouble is None and refused is None:
            await self._store.end(notice)
            return
        if is_open and trouble is None:
            await self._store.mark_told(notice, self._clock())
        raise trouble or refused or AssertionError("one of them is there")

    async def _answer_all(
        self, notice: Notice, messenger: Messenger
    ) -> tuple[list[WaitingTask], PrelaunchError | None]:
        """Answer every task that waits; one that cannot be keeps none of the others from it."""
        answered, refused = [], None
        for task in await self._store.read_tasks(notice):
            try:
                await self._answer(notice, task, messenger)
            except PrelaunchError as error:
                refused = error
            else:
                answered.append(task)
        return answered, refused

    async def _answer(self, notice: Notice, task: WaitingTask, messenger: Messenger) -> None:
        try:
            if notice.error:
                await messenger.fail_task(task.task_token, notice.error, make_cause(notice))
            else:
                await messenger.succeed_task(task.task_token, notice.detail)
        except TaskGone as gone:
            # It timed out, or was answered before: nobody waits any more.
            log.warning("telling.task_gone", group_id=notice.group_id, code=gone.code, error=gone.message)
