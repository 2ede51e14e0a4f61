"""What became of a message: a value that use cases return, and only the actors turn into queue operations."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The message is done with."""

    result: str
    """One word for the log: ready, failed, not_listed, settled, superseded, …"""


@dataclass(frozen=True, slots=True)
class Redeliver:
    """The same message comes again later."""

    reason: str
    after: timedelta | None = None
    """None leaves it to the queue: back-off by how often it was received."""


Outcome = Acknowledge | Redeliver
