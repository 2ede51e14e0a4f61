"""All that the chaos saw, gathered before it is judged. Values only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.processes import Stop
from tests.chaos.traffic import Accepted
from tests.chaos.truth import AwsWrite, Version

Run = Mapping[str, Any]
"""As `GET …/apply-runs/{runId}` answers it."""


@dataclass(slots=True)
class Evidence:
    """All that was seen."""

    faults: Counter[str]
    accepted: Sequence[Accepted]
    runs: Sequence[Run]
    """The whole history, oldest first."""
    status: Mapping[str, Any]
    """Where the group stood when all had settled, before it was applied once more with force."""
    definition: Mapping[str, Any]
    """The group's, at the end."""
    writes: Sequence[AwsWrite]
    """Oldest first."""
    versions: Sequence[Version]
    stops: Sequence[Stop]
    before: Mapping[str, str]
    """What AWS held otherwise than it was wanted when all had settled, by source server."""
    looked_at: float
    """When that was read; wall clock, seconds."""
    after: Mapping[str, str]
    """What it still held otherwise after the forced apply."""
    forced_run: Run
    prevented: int
    """Writes that a worker did not begin because its lease or its generation was over, by the workers' logs."""
    answers: int
    truths: int
    repeats: int
    conflicts: int
    failures: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Why a source server failed at a generation, as readers were told."""
    broken: Sequence[str] = ()
    """What was found broken on the way, in words."""
