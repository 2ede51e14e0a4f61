"""
Dead letters: messages that no worker could do, each with the reason; and the port by which they are reached.

SQS cannot look at a message without taking it: letters are held, hidden from others, and given back. Nothing here may
lose one: what is not deleted on purpose comes back.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from workers.core.contract import NO_NAMES, Names, Work


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter queue."""

    queue: str
    """The queue that it came from, without the stack."""
    message_id: str
    """Its own on the dead-letter queue: what it is redriven and purged by."""
    receipt_handle: str
    """What it is given back and deleted by, as long as it is held."""
    reason: str
    """Why it was dead-lettered."""
    received: int
    """How often it had been received when it was dead-lettered; looks at what SQS itself moved count too."""
    arrived_at: datetime
    """What SQS calls sent: when it was dead-lettered or put there, or, where SQS itself moved it, when it was sent."""
    work: Work | None = None
    """What is to be done again; None where nothing can be."""
    fault: str = ""
    """Why nothing can be."""
    actor: str | None = None
    names: Names = NO_NAMES
    original_message_id: str | None = None
    """The message's id before it was dead-lettered: that of the workers' log lines."""
    sent_at: datetime | None = None
    """When the message was sent, where that is known."""
    dead_lettered_at: datetime | None = None
    """When it was dead-lettered; SQS does not say it of what it, or somebody, moved."""


@dataclass(frozen=True, slots=True)
class Undeleted:
    """A letter that SQS did not delete."""

    letter: Letter
    cause: str


class Held(Protocol):
    """Letters that are held; what was not deleted when the block ends is given back."""

    @property
    def letters(self) -> Sequence[Letter]:
        """Each of them once."""

    @property
    def truncated(self) -> bool:
        """Whether there may be more than were held."""

    @property
    def counts(self) -> Mapping[str, int]:
        """About how many letters of each queue there are: SQS counts roughly."""

    async def delete(self, letters: Sequence[Letter]) -> list[Undeleted]:
        """Delete some of them for good; answer those that were not."""


class LetterBox(Protocol):
    """The dead-letter queues of one stack."""

    def hold(self, limit: int, hidden_for: timedelta) -> AbstractAsyncContextManager[Held]:
        """Hold at most so many letters of each queue; QueueMissing and QueueUnreachable say what is wrong."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters somebody means."""

    message_ids: frozenset[str] | None = None
    """These; None: any."""
    group_id: str | None = None
    """Those that name this group; None: any."""

    def takes(self, letter: Letter) -> bool:
        """Tell whether a letter is meant."""
        named = self.message_ids is None or letter.message_id in self.message_ids
        return named and self.group_id in {None, letter.names.group_id}

    def find_unknown(self, letters: Sequence[Letter]) -> tuple[str, ...]:
        """Name the ids that are asked for and are no letter's."""
        return tuple(sorted((self.message_ids or frozenset()) - {letter.message_id for letter in letters}))
