"""
Waiting until the runs of many groups are over, by few reads: see `workers.core.progress`.

It only reads: a run goes on, whether anybody follows it or not.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from producer.cli.ask import OVERDUE, POLL_SECONDS, STILL_PENDING, UNANSWERED_POLLS, read_whole_status
from producer.cli.reapply import outcome
from producer.cli.reapply.applying import Running
from producer.cli.reapply.board import Board, Standing
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

    def __init__(
        self, services: Services, running: Sequence[Running], interruption: Interruption, board: Board, clock: Clock
    ) -> None:
        self._services = services
        self._interruption = interruption
        self._board = board
        self._clock = clock
        self.left = {each.group.group_id: each for each in running}
        """The runs that are not over."""
        self.outcomes: list[GroupOutcome] = []
        self.unreachable: PrelaunchError | None = None
        """Why it ended before they were over."""
        self._seen: dict[str, RunProgress] = {}
        self._listed = {each.group.group_id: len(each.in_hand) for each in running}

    async def follow(self) -> None:
        """Follow the runs until all are over, the end is asked for, or nobody answers any more."""
        unanswered = 0
        while self.left and not self._interruption.is_asked:
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

    async def _look(self) -> None:
        found = await self._services.progress.read({name: each.generation for name, each in self.left.items()})
        self._seen.update(found)
        self._listed.update({name: each.head.listed for name, each in found.items()})
        now = self._clock()
        over = [each for name, each in self.left.items() if _is_at_end(found.get(name), now)]
        for judged in await do_all(over, lambda each: self._judge(each, found.get(each.group.group_id))):
            if judged is not None:
                del self.left[judged.group.group_id]
                self.outcomes.append(judged)
                self._board.tell_settled(judged)
        self._board.show(*self._measure())

    async def _judge(self, running: Running, progress: RunProgress | None) -> GroupOutcome | None:
        """Tell what became of a run that is at its end; None where that could not be read just now."""
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

    async def _read_failed(self, running: Running) -> GroupOutcome | None:
        group = running.group
        try:
            view = await read_whole_status(self._services, group.group_id, ServerFilter.ALL)
        except RequestRefused as refused:
            return fail_by(group, refused)
        except RetryableError:
            return None
        if view.status is None or view.status.generation != running.generation:
            return _fail(running, outcome.SUPERSEDED, UNREAD)
        return GroupOutcome(group, Status.FAILED.value, read_rows(running.servers, view.servers), running.run_id)

    def _measure(self) -> tuple[list[Standing], int, int]:
        """Tell how the groups stand that are left, and how many source servers of all are done, of how many."""
        standings = [self._stand(each) for each in self.left.values()]
        listed = sum(self._listed.values())
        return standings, listed - sum(each.listed - each.done for each in standings), listed

    def _stand(self, running: Running) -> Standing:
        name = running.group.group_id
        seen = self._seen.get(name)
        done, waiting_for = (seen.done, seen.waiting_for) if seen is not None else (0, None)
        return Standing(running.group.name, done, self._listed[name], waiting_for)


def _is_at_end(progress: RunProgress | None, now: datetime) -> bool:
    return progress is None or progress.is_over or now > progress.head.deadline + OVERDUE


def _fail(running: Running, code: str, message: str) -> GroupOutcome:
    return fail(running.group, running.servers, code, message, running.run_id)
