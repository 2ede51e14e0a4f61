"""A run for each group, so many groups at once. A group that refuses fails alone."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from producer.cli.reapply.board import Board
from producer.cli.reapply.bounded import do_all
from producer.cli.reapply.interruption import Interruption
from producer.cli.reapply.outcome import NOT_CONFIGURED, Asked, Chosen, GroupOutcome, fail_by, settle
from producer.services import Services
from workers.core.contract import Queue
from workers.core.errors import PrelaunchError, SetupError
from workers.core.requests import Requester, RequestRefused
from workers.core.runs.submission import Submitted
from workers.core.status import Status

GROUPS_AT_ONCE = 16
"""Groups whose runs are being opened: each takes some twenty calls to our tables, and one a ten jobs to the queue."""


@dataclass(frozen=True, slots=True)
class Running:
    """A group whose run is under way."""

    group: Chosen
    run_id: str
    generation: int
    in_hand: frozenset[str]
    """The source servers that it has still to bring to their launch config."""

    @property
    def servers(self) -> frozenset[str]:
        """Tell of which source servers it is told what became of them."""
        return self.group.servers | self.in_hand


@dataclass(slots=True)
class Applied:
    """What was asked, and what came of it at once."""

    running: list[Running] = field(default_factory=list)
    outcomes: list[GroupOutcome] = field(default_factory=list)
    """Of groups where nothing is under way."""
    unbegun: list[Chosen] = field(default_factory=list)
    unreachable: SetupError | None = None


class Applying:
    """
    Opens the runs.

    Parameters:
        services: The operations.
        requester: Who asks.
        interruption: Whether somebody asked for the end.
        board: Where it is shown how far it is.
        follow: Called with each run as soon as it is under way, while others are still being asked for.
    """

    def __init__(
        self,
        services: Services,
        requester: Requester,
        interruption: Interruption,
        board: Board,
        follow: Callable[[Running], None],
    ) -> None:
        self._services = services
        self._requester = requester
        self._interruption = interruption
        self._board = board
        self._follow = follow
        self._in_hand = 0
        self.applied = Applied()
        """What came of it so far: also where it is broken off."""

    async def apply_all(self, groups: Sequence[Chosen], asked: Asked) -> Applied:
        """
        Apply all groups.

        Parameters:
            groups: What is meant of each.
            asked: What is asked of each.

        Returns:
            What is under way, and what is not.
        """
        # Several groups are bulk work: whoever asks for one group meanwhile does not wait behind them.
        queue = Queue.BULK if len(groups) > 1 else Queue.NORMAL
        applied = self.applied

        async def apply(group: Chosen) -> None:
            if self._interruption.is_asked or applied.unreachable is not None:
                applied.unbegun.append(group)
                return
            outcome = await self._apply(group, asked, queue)
            if isinstance(outcome, Running):
                applied.running.append(outcome)
                self._follow(outcome)
            else:
                applied.outcomes.append(outcome)
                self._board.tell_settled(outcome)
            runs = len(applied.running)
            self._board.show_asked(runs + len(applied.outcomes), len(groups), runs)

        if groups:
            self._board.show_asked(0, len(groups), 0)
        telling = asyncio.create_task(self._tell_ending())
        try:
            await do_all(groups, apply, GROUPS_AT_ONCE)
        finally:
            telling.cancel()
        return applied

    async def _tell_ending(self) -> None:
        """Tell that the end was heard: what is on its way to our tables may take its time, and is not broken off."""
        await self._interruption.wait()
        if self._in_hand:
            self._board.tell_ending(self._in_hand)

    async def _apply(self, group: Chosen, asked: Asked, queue: Queue) -> Running | GroupOutcome:
        if not group.is_configured:
            return GroupOutcome(group, NOT_CONFIGURED)
        request = asked.of(group.servers)
        self._in_hand += 1
        try:
            submitted = await self._services.submission.apply(group.group_id, request, self._requester, queue=queue)
        except SetupError as error:
            # Nobody else's tables and queues are there either.
            self.applied.unreachable = error
            return fail_by(group, error)
        except (RequestRefused, PrelaunchError) as refused:
            return fail_by(group, refused)
        finally:
            self._in_hand -= 1
        return _read(group, submitted, is_narrowed=request.source_server_ids is not None)


def _read(group: Chosen, submitted: Submitted, *, is_narrowed: bool) -> Running | GroupOutcome:
    if submitted.run_id is None:
        return GroupOutcome(group, NOT_CONFIGURED)
    if submitted.statuses and not is_narrowed:
        # Who left since the group was read is not spoken of any more, and who joined is.
        group = replace(group, servers=frozenset(submitted.statuses))
    if not submitted.accepted or (is_narrowed and not submitted.in_hand and _are_ready(group, submitted)):
        return settle(group, group.servers, Status.READY, submitted.run_id)
    return Running(group, submitted.run_id, submitted.generation, submitted.in_hand)


def _are_ready(group: Chosen, submitted: Submitted) -> bool:
    """Tell whether a run in hand is for other source servers; one that failed in it is none of these."""
    return all(submitted.statuses.get(server) is Status.READY for server in group.servers)
