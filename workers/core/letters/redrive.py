"""
Doing again what dead letters ask for.

A letter is deleted only after its work is under way: whoever dies in between leaves it there, and the next redrive
joins the run that was opened. What cannot be done again stays, with the reason.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workers.core.contract import SWEEP_ACTOR, WATCH_ACTOR, ApplyWork, Queue, SweepWork, WaveWork, Work
from workers.core.errors import GroupDeleted, PrelaunchError
from workers.core.letters.letter import Held, Letter
from workers.core.ports import Job, JobQueue
from workers.core.requests import Requester, RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.runs.submission import Submission
from workers.core.waves import Waves

GROUPS_AT_ONCE = 8


class Result(StrEnum):
    """What became of a letter's work."""

    APPLYING = "applying"
    """A run has it in hand."""
    SENT = "sent"
    """Its message was sent again."""
    DONE = "done"
    """There is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """A letter that is deleted, for its work is under way or done."""

    letter: Letter
    result: Result
    run_id: str | None = None
    """The run that has it in hand; None where there is nothing left to do, or no run does it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A letter that stays."""

    letter: Letter
    why: str


@dataclass(slots=True)
class Outcome:
    """What became of the letters that somebody meant."""

    redriven: list[Redriven] = field(default_factory=list)
    purged: list[Letter] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unknown: tuple[str, ...] = ()
    """Ids that were asked for and are no letter's."""
    truncated: bool = False
    """Whether there may be more letters than were looked through."""

    @property
    def is_whole(self) -> bool:
        """Tell whether everything that was meant was done."""
        return not (self.left or self.unknown or self.truncated)


class Redrive:
    """Does again what letters ask for: one run a group, one message a wave, one sweep."""

    def __init__(self, *, submission: Submission, waves: Waves, queue: JobQueue) -> None:
        self._submission = submission
        self._waves = waves
        self._queue = queue

    async def redrive(
        self, held: Held, letters: Sequence[Letter], requester: Requester, outcome: Outcome, *, named: bool
    ) -> None:
        """
        Do again what letters ask for, and delete those whose work is under way.

        Parameters:
            held: What holds them.
            letters: Some of those that are held.
            requester: Who asks.
            outcome: Where it is noted what became of each.
            named: Whether somebody asked for just these: a redrive of all starts no recovery that is no drill.

        Raises:
            PrelaunchError: Queues or tables are missing or do not answer, and nothing was redriven.
        """
        tasks: dict[str | Work, list[Letter]] = {}
        for letter in letters:
            if letter.work is None:
                outcome.left.append(Left(letter, letter.fault))
            else:
                # All of a group are one run: two would supersede each other.
                task = letter.work.group_id if isinstance(letter.work, ApplyWork) else letter.work
                tasks.setdefault(task, []).append(letter)
        gate = asyncio.Semaphore(GROUPS_AT_ONCE)

        async def work(task: str | Work, part: list[Letter]) -> PrelaunchError | None:
            async with gate:
                return await self._try(held, task, part, requester, outcome, named=named)

        failures = await asyncio.gather(*(work(task, part) for task, part in tasks.items()))
        failed = next((failure for failure in failures if failure is not None), None)
        if failed is not None and not outcome.redriven:
            raise failed

    async def _try(
        self,
        held: Held,
        task: str | Work,
        letters: list[Letter],
        requester: Requester,
        outcome: Outcome,
        *,
        named: bool,
    ) -> PrelaunchError | None:
        try:
            match task:
                case str():
                    await self._redrive_group(held, task, letters, requester, outcome)
                case WaveWork():
                    sent = await self._waves.send_again(task.wave_id, named=named)
                    await _finish(held, letters, Result.SENT if sent else Result.DONE, outcome)
                case SweepWork():
                    await self._queue.send(Queue.NORMAL, [Job(SWEEP_ACTOR, SWEEP_ACTOR, {})])
                    await _finish(held, letters, Result.SENT, outcome)
                case _:
                    # All that one change or another could have led to: what a letter names is found with the rest.
                    await self._queue.send(Queue.NORMAL, [Job(WATCH_ACTOR, WATCH_ACTOR, {})])
                    await _finish(held, letters, Result.SENT, outcome)
        except RequestRefused as refused:
            outcome.left += [Left(letter, refused.detail) for letter in letters]
        except GroupDeleted as deleted:
            # While it was read: no trouble of ours, and nothing that a later try finds otherwise.
            outcome.left += [Left(letter, deleted.message) for letter in letters]
        except PrelaunchError as error:
            outcome.left += [Left(letter, error.message) for letter in letters]
            return error
        return None

    async def _redrive_group(
        self, held: Held, group_id: str, letters: list[Letter], requester: Requester, outcome: Outcome
    ) -> None:
        while letters:
            servers = {letter.names.source_server_id for letter in letters}
            request = ApplyRequest(source_server_ids=tuple(sorted(filter(None, servers))), resend=True)
            try:
                submitted = await self._submission.apply(group_id, request, requester, queue=Queue.BULK)
            except RequestRefused as refused:
                gone = {error.source_server_id: error.message for error in refused.errors}
                stay = [letter for letter in letters if letter.names.source_server_id in gone]
                if not stay:
                    raise
                # A member that has left keeps none of the others from being done again.
                outcome.left += [Left(letter, gone[letter.names.source_server_id]) for letter in stay]
                letters[:] = [letter for letter in letters if letter.names.source_server_id not in gone]
                continue
            # The run may be there for others alone: what it does not do was done before.
            applying = [letter for letter in letters if letter.names.source_server_id in submitted.in_hand]
            done = [letter for letter in letters if letter.names.source_server_id not in submitted.in_hand]
            await _finish(held, applying, Result.APPLYING, outcome, submitted.run_id)
            await _finish(held, done, Result.DONE, outcome)
            return


async def _finish(
    held: Held, letters: Sequence[Letter], result: Result, outcome: Outcome, run_id: str | None = None
) -> None:
    undeleted = {each.letter.message_id: each.cause for each in await held.delete(letters)}
    for letter in letters:
        if letter.message_id in undeleted:
            cause = undeleted[letter.message_id]
            outcome.left.append(Left(letter, f"Its work is {result}, but SQS did not delete the letter: {cause}."))
        else:
            outcome.redriven.append(Redriven(letter, result, run_id))
