"""
What the stand-in is told to be like: its clock and its scripted slowness.

One object a process. It is read by every backend and written by the control only; no backend keeps a copy.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class ServiceWrite:
    """A call that DRS itself made to EC2, about the launch template of a source server."""

    account_id: str
    region: str
    operation: str
    template_id: str
    version_number: int
    """The version that was made, or promoted."""
    changes: dict[str, Any]
    """The members of launch template data that DRS changed."""


@dataclass(slots=True)
class World:
    """The stand-in's own time and delays. All durations are in seconds."""

    clock_offset_seconds: float = 0.0
    """How far the stand-in's clock was advanced by `PUT /_local/clock`."""
    consistency_seconds: float = 0.0
    """How long an EC2 read may answer the state before a write."""
    versions_a_template: int = 10_000
    """How many versions a launch template can hold. Source: EC2 User Guide, restrictions for launch templates."""
    job_seconds: float = 60.0
    """How long after StartRecovery a job reads the launch templates; it ends after twice that."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held by every backend of ours around a read or a change of its state."""
    on_service_write: Callable[[ServiceWrite], None] = lambda _: None
    """Told of each call that DRS makes itself, under the lock: it must not block."""

    def now(self) -> datetime:
        """Tell the stand-in's time, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset_seconds)


WORLD = World()
