"""What somebody can ask of a wave. Pure."""

from enum import StrEnum


class OnNotReady(StrEnum):
    """What becomes of what is not ready."""

    APPLY = "apply"
    """It is applied first; what fails even so is left out and named."""
    FAIL = "fail"
    """Nothing is started."""
    SKIP = "skip"
    """It is left out and named."""


class Verify(StrEnum):
    """What counts as ready."""

    STORED = "stored"
    """What was read back after the last write, within the time that a verification holds for."""
    LIVE = "live"
    """What DRS and the launch template hold now, read once more before anything starts."""
