"""
Looking at dead letters, doing their work again, and throwing them away. Every door calls this.

Letters are held while they are worked on, and given back but for those that are deleted on purpose.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from workers.core.contract import WaveWork
from workers.core.errors import PrelaunchError
from workers.core.letters.letter import Letter, LetterBox, Selection
from workers.core.letters.redrive import Left, Outcome, Redrive
from workers.core.ports import Clock
from workers.core.requests import Requester
from workers.core.store.receipts import Receipt, Receipts
from workers.core.store.tables import Tables
from workers.core.waves import Waves

log = structlog.get_logger()

REASON = "redrive"
MOST_LETTERS = 4000
"""Letters of each queue that are looked through at once: those of a group of the greatest size."""
LOOKED_THROUGH = 1000
"""Letters of each queue that a list looks through: SQS gives them in no order, so that the latest are found only so."""
LISTED_FOR = timedelta(minutes=1)
"""How long a letter stays hidden from others if a listing dies."""
WORKED_ON_FOR = timedelta(minutes=2)
"""The same, of a redrive or a purge."""
NAMED_AT_ONCE = 500
"""Letters that one line of the log names: CloudWatch Logs takes no line of any length."""
MARK_TRIES = 3
LATE = "It arrived after the first request with this Idempotency-Key: redrive it under a new one."
_SUBJECT = "dead-letters"


@dataclass(frozen=True, slots=True)
class Listing:
    """A look at the letters."""

    letters: tuple[Letter, ...]
    """The latest first."""
    counts: Mapping[str, int]
    """About how many there are, by queue."""
    truncated: bool
    """Whether there may be more than were looked through, or there are more than these."""


class DeadLetters:
    """Lists, redrives and purges."""

    def __init__(
        self,
        *,
        box: LetterBox,
        redrive: Redrive,
        waves: Waves,
        receipts: Receipts,
        tables: Tables,
        clock: Clock,
    ) -> None:
        self._box = box
        self._redrive = redrive
        self._waves = waves
        self._receipts = receipts
        self._tables = tables
        self._clock = clock

    async def list(self, limit: int) -> Listing:
        """
        Look at the letters of every queue, and leave them there.

        Parameters:
            limit: The most that are shown.

        Returns:
            The letters, the latest first, of those that were looked through.

        Raises:
            QueueError: A dead-letter queue is missing or does not answer.
        """
        async with self._box.hold(LOOKED_THROUGH, LISTED_FOR) as held:
            latest = sorted(held.letters, key=lambda letter: (letter.arrived_at, letter.message_id), reverse=True)
            cut = len(latest) > limit
            return Listing(tuple(latest[:limit]), dict(held.counts), held.truncated or cut)

    async def count(self) -> int:
        """
        Count the letters of every queue, roughly, as SQS does.

        Returns:
            About how many there are.

        Raises:
            QueueError: A dead-letter queue is missing or does not answer.
        """
        async with self._box.hold(1, LISTED_FOR) as held:
            return sum(held.counts.values())

    async def redrive(self, selection: Selection, requester: Requester) -> Outcome:
        """
        Do again what letters ask for, and delete those whose work is under way.

        A repetition under the requester's key is no replay of the first answer. It takes what was there at the first
        request and still is: what was left then is tried again, and so is what SQS itself moved since, for its time of
        arrival is that of its sending. What arrived later stays.

        Parameters:
            selection: Which letters.
            requester: Who asks.

        Returns:
            What became of each.

        Raises:
            RequestRefused: The requester's key was used for another request.
            PrelaunchError: Queues or tables are missing or do not answer, and nothing was redriven.
        """
        asked_before = await self._mark(requester)
        outcome = Outcome()
        try:
            async with self._box.hold(MOST_LETTERS, WORKED_ON_FOR) as held:
                outcome.unknown, outcome.truncated = selection.find_unknown(held.letters), held.truncated
                chosen = []
                for letter in filter(selection.takes, held.letters):
                    if asked_before is None or letter.arrived_at <= asked_before:
                        chosen.append(letter)
                    else:
                        outcome.left.append(Left(letter, LATE))
                asker, named = replace(requester, reason=REASON, key=None), selection.message_ids is not None
                await self._redrive.redrive(held, chosen, asker, outcome, named=named)
        finally:
            _note("letters.redriven", requester, [each.letter for each in outcome.redriven], outcome)
        return outcome

    async def purge(self, selection: Selection, requester: Requester) -> Outcome:
        """
        Delete letters for good. A wave that waits for one of them to start ends with it.

        Parameters:
            selection: Which letters.
            requester: Who asks.

        Returns:
            What became of each.

        Raises:
            QueueError: A dead-letter queue is missing or does not answer.
        """
        outcome = Outcome()
        try:
            while await self._purge_some(selection, outcome):
                continue
        finally:
            # Also where a later round fails: what was deleted before it is gone.
            _note("letters.purged", requester, outcome.purged, outcome)
        return outcome

    async def _purge_some(self, selection: Selection, outcome: Outcome) -> bool:
        """Delete as many as can be held at once; tell whether there is to be another round."""
        async with self._box.hold(MOST_LETTERS, WORKED_ON_FOR) as held:
            chosen = [letter for letter in held.letters if selection.takes(letter)]
            unended = await _end_waves(self._waves, chosen)
            waiting = {left.letter.message_id for left in unended}
            undeleted = await held.delete([letter for letter in chosen if letter.message_id not in waiting])
            kept = waiting | {each.letter.message_id for each in undeleted}
            refused = [Left(each.letter, f"SQS did not delete it: {each.cause}.") for each in undeleted]
            outcome.left = [*unended, *refused]
            outcome.purged += [letter for letter in chosen if letter.message_id not in kept]
            outcome.unknown = selection.find_unknown([*held.letters, *outcome.purged])
            outcome.truncated = held.truncated
        # Another round only where this one made room for it.
        return bool(chosen) and not kept and outcome.truncated

    async def _mark(self, requester: Requester) -> datetime | None:
        """Note when a request with a key was first made; answer that of its repetition, None for the first."""
        for _ in range(MARK_TRIES):
            receipt = await self._receipts.find(requester)
            if receipt is not None:
                return receipt.at
            marked = self._receipts.put(requester, Receipt(_SUBJECT, accepted=True, at=self._clock()))
            if not marked or await self._tables.commit(marked, _never_stored):
                return None
        return None


async def _end_waves(waves: Waves, letters: Sequence[Letter]) -> list[Left]:
    """End the waves whose start is thrown away, before it is: who dies in between leaves the letter."""
    left = []
    for letter in letters:
        if not isinstance(letter.work, WaveWork):
            continue
        try:
            await waves.end_purged(letter.work.wave_id)
        except PrelaunchError as error:
            left.append(Left(letter, error.message))
    return left


def _note(event: str, requester: Requester, gone: Sequence[Letter], outcome: Outcome) -> None:
    """Write down who let which letters go: nothing else tells it once they are gone."""
    # The command line leaves out what is below a warning.
    level = logging.WARNING if gone else logging.INFO
    ids = [letter.message_id for letter in gone]
    for start in range(0, max(len(ids), 1), NAMED_AT_ONCE):
        log.log(
            level,
            event,
            door=requester.door,
            principal=requester.principal,
            request_id=requester.request_id,
            message_ids=ids[start : start + NAMED_AT_ONCE],
            left=len(outcome.left),
        )


async def _never_stored() -> bool:
    # Whether it is ours or another's, the next look finds it.
    return False
