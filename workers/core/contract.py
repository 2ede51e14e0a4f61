"""
The messages between producer and workers. Pure.

A job names a source server, never a config: whoever receives it applies what is wanted *then*. So a late or
doubled job is one more nudge and never stale. Names here are a wire format: they only grow.
"""

from enum import StrEnum

APPLY_ACTOR = "apply_launch_config"
"""Takes `groupId`, `sourceServerId`, the hint `generation` and, for the log, `requestId`."""

WAVE_ACTOR = "start_wave"
"""Takes `waveId` and, for the log, `requestId`."""


SWEEP_ACTOR = "sweep"
"""Takes nothing: look after every run that is due."""


class Queue(StrEnum):
    """The queues that workers consume; the SQS name is `<stack>-<value>`."""

    URGENT = "jobs-urgent"
    """Waves, and what a wave waits for."""
    NORMAL = "jobs"
    """One group's apply or update."""
    BULK = "jobs-bulk"
    """Work over several groups, which must not delay the rest."""
