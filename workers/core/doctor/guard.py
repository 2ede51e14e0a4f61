"""A check that fails costs the others nothing: what it would have told is not known, and why."""

from collections.abc import Awaitable, Sequence

import structlog

from workers.core.doctor.finding import Finding, not_known, unanswered
from workers.core.errors import PrelaunchError

log = structlog.get_logger()

Findings = Sequence[Finding]


async def guard(check: str, subject: str, work: Awaitable[Findings]) -> Findings:
    """
    Do a check to its end, whatever becomes of it.

    Parameters:
        check: What it is called where it fails.
        subject: Of what.
        work: The check.

    Returns:
        What it found.
    """
    try:
        return await work
    except PrelaunchError as error:
        return [unanswered(check, subject, error)]
    except Exception as error:  # a bug in one check must not cost what the others found
        log.exception("doctor.check_failed", check=check, subject=subject)
        return [not_known(check, subject, f"the check itself failed: {type(error).__name__}: {error}")]
