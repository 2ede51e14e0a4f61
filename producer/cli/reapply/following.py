"""
Waiting until the runs of many groups are over, by few reads: see `workers.core.progress`.

It only reads: a run goes on, whether anybody follows it or not. Runs join while others are still being asked for.
"""

import asyncio
import math
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime

from producer.cli.ask import OVERDUE, POLL_SECONDS, STILL_PENDING, UNANSWERED_POLLS, read_whole_status
from producer.cli.reapply import outcome
from producer.cli.reapply.applying import Applied, Running
from producer.cli.reapply.board import Board, Standing, Total
from producer.cli.reapply.bounded import do_all
from producer.cli.reapply.interruption import Interrupted, Interruption
from producer.cli.reapply.outcome import GroupOutcome, fail, fail_by, read_rows, settle
from producer.render import render_time
from producer.services import Services
from workers.core.errors import PrelaunchError, RetryableError
from workers.core.ports import Clock
from workers.core.progress import GROUPS_A_CALL, RunProgress
from workers.core.queries import ServerFilter
from workers.core.requests import RequestRefused
from workers.core.status import Status

SUPERSEDED = "Generation {by} took the place of this run, which was generation {generation}, before it was over."
DELETED = "The protection group was deleted before its run was over."
UNREAD = "The run failed, and a newer one took its place before it could be read why: see 'prelaunch history'."


def find_pause(groups: int) -> float:
    """Tell how many seconds pass between two looks at so many groups: never more than four calls a second."""
    return POLL_SECONDS * max(1, math.ceil(groups / GROUPS_A_CALL))


class Following:
    """Follows runs to their end."""

    def __init__(self, services: Services, interruption: Interruption, board: Board, clock: Clock) -> None:
        self._services = services
        self._interruption = interruption
        self._board = board
        self._clock = clock
        self._joined = asyncio.Event()
        self._is_closed = False
        self.left: dict[str, Running] = {}
        """The runs that are not over."""
        self.outcomes: list[GroupOutcome] = []
        self.unreachable: PrelaunchError | None = None
        """Why it ended before they were over."""
        self._seen: dict[str, RunProgress] = {}
        self._listed: dict[str, int] = {}
        self._before: dict[str, int] = {}
        """Of each run how many of its source servers were done before anybody asked for it here."""

    def add(self, running: Running) -> None:
        """Follow a run too."""
        self.left[running.group.group_id] = running
        self._listed[running.group.group_id] = len(running.in_hand)
        self._joined.set()

    def close(self) -> None:
        """Say that no run joins any more."""
        self._is_closed = True
        self._joined.set()

    async def follow(self) -> None:
        """Follow the runs until all are over and none joins, the end is asked for, or nobody answers any more."""
        unanswered = 0
        while await self._has_any():
            try:
                await self._interruption.unless_asked(self._look())
                unanswered = 0
            except Interrupted:
                return
            except RetryableError as error:
                # Stores fail for minutes, and what was accepted goes on meanwhile.
                unanswered += 1
                if unanswered > UNANSWERED_POLLS:
                    self.unreachable = error
                    return
                if unanswered == 1:
                    self._board.tell_unanswered(error)
            except PrelaunchError as error:
                self.unreachable = error
                return
            if self.left:
                await self._interruption.pause(find_pause(len(self.left)))

    def find_pending(self) -> list[GroupOutcome]:
        """Tell how the groups stand whose runs go on, as far as is known."""
        return [
            settle(each.group, each.servers, Status.PENDING, each.run_id)
            for each in sorted(self.left.values(), key=lambda each: each.group.name)
        ]

    async def _has_any(self) -> bool:
        """Wait until there is a run to look at; tell whether there is one."""
        if not self.left and not self._is_closed:
            self._joined.clear()
            with suppress(Interrupted):
                await self._interruption.unless_asked(self._joined.wait())
        return bool(self.left) and not self._interruption.is_asked

    async def _look(self) -> None:
        # What joins meanwhile is not in the answer, and not over for that.
        going = dict(self.left)
        found = await self._services.progress.read({name: each.generation for name, each in going.items()})
        for name, progress in found.items():
            self._note(going[name], progress)
        now = self._clock()
        over = [each for name, each in going.items() if _is_at_end(found.get(name), now)]
        unread: RetryableError | None = None
        for judged in await do_all(over, lambda each: self._judge(each, found.get(each.group.group_id))):
            if isinstance(judged, RetryableError):
                unread = judged
                continue
            del self.left[judged.group.group_id]
            self.outcomes.append(judged)
            self._board.tell_settled(judged)
        self._board.show(*self._measure())
        if unread is not None:
            # Counted like a look without an answer: one that never comes must not be waited for without end.
            raise unread

    def _note(self, running: Running, progress: RunProgress) -> None:
        name, listed = running.group.group_id, progress.head.listed
        self._seen[name], self._listed[name] = progress, listed
        # A run that was in hand already has done some of its work at another time: that is no pace of this one.
        self._before.setdefault(name, max(0, min(progress.done, listed - len(running.in_hand))))

    async def _judge(self, running: Running, progress: RunProgress | None) -> GroupOutcome | RetryableError:
        """Tell what became of a run that is at its end, or why that could not be read just now."""
        if progress is None or (progress.head.outcome is None and not progress.is_there):
            return _fail(running, outcome.GROUP_NOT_FOUND, DELETED)
        head = progress.head
        if head.outcome is Status.READY:
            return settle(running.group, running.servers, Status.READY, running.run_id, render_time(head.settled_at))
        if head.outcome is not None:
            return await self._read_failed(running)
        if head.superseded_by is not None:
            told = SUPERSEDED.format(by=head.superseded_by, generation=head.generation)
            return _fail(running, outcome.SUPERSEDED, told)
        return _fail(running, outcome.STILL_PENDING, STILL_PENDING)

    async def _read_failed(self, running: Running) -> GroupOutcome | RetryableError:
        group = running.group
        try:
            view = await read_whole_status(self._services, group.group_id, ServerFilter.ALL)
        except RequestRefused as refused:
            return fail_by(group, refused)
        except RetryableError as error:
            return error
        if view.status is None or view.status.generation != running.generation:
            return _fail(running, outcome.SUPERSEDED, UNREAD)
        return GroupOutcome(group, Status.FAILED.value, read_rows(running.servers, view.servers), running.run_id)

    def _measure(self) -> tuple[list[Standing], Total]:
        """Tell how the groups stand that are left, and how many source servers of all are done, of how many."""
        standings = [self._stand(each) for each in self.left.values()]
        listed = sum(self._listed.values())
        done = listed - sum(each.listed - each.done for each in standings)
        return standings, Total(done, listed, sum(self._before.values()))

    def _stand(self, running: Running) -> Standing:
        name = running.group.group_id
        seen = self._seen.get(name)
        done, waiting_for = (seen.done, seen.waiting_for) if seen is not None else (0, None)
        return Standing(running.group.name, done, self._listed[name], waiting_for)


async def follow_while(following: Following, asking: Awaitable[Applied]) -> Applied:
    """
    Follow runs while others are asked for, and all of them to their end.

    Parameters:
        following: What each run joins.
        asking: Asks for them.

    Returns:
        What was asked. Where our own queues or tables are missing nothing is followed any more.
    """
    follow = asyncio.create_task(following.follow())
    try:
        applied = await asking
        following.close()
        if applied.unreachable is None:
            await follow
        return applied
    finally:
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)


def _is_at_end(progress: RunProgress | None, now: datetime) -> bool:
    return progress is None or progress.is_over or now > progress.head.deadline + OVERDUE


def _fail(running: Running, code: str, message: str) -> GroupOutcome:
    return fail(running.group, running.servers, code, message, running.run_id)
