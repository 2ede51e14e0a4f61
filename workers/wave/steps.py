"""What a step of a wave comes to: parts as they stand, and what is to be come back for. Pure."""

from dataclasses import dataclass, field
from datetime import timedelta

from workers.core.store.wave_records import WavePart

ONE_MORE_TRY = timedelta(seconds=2)
NAMED = 5
"""How many source servers a sentence names."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What is to be come back for."""

    reason: str
    after: timedelta
    waiting_for: str | None = None
    """A phrase that completes "waiting for"; None where it is simply under way."""


@dataclass(slots=True)
class Started:
    """What a step over some parts came to."""

    parts: list[WavePart] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
