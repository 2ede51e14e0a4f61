"""Compare what a group's source servers were verified to have with what AWS holds now. Reads only."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from workers.core.errors import AccessDenied, AccountNotInitialized, PermanentError, RetryableError
from workers.core.plan.drift import describe_drift
from workers.core.plan.observed import ObservedTemplate
from workers.core.server_plan import ServerPlanner
from workers.watch.standing import Standing

log = structlog.get_logger()

AT_ONCE = 16
"""Source servers that one watch has in hand: more would only wait for their turns."""
ACCOUNT_PROBLEMS = (AccessDenied, AccountNotInitialized)
"""What keeps us from reading one source server keeps us from all of its account: no source server is to blame."""


@dataclass(slots=True)
class Findings:
    """What a comparison of one group came to."""

    drifted: set[str] = field(default_factory=set)
    """Source servers that are not as they were verified, or cannot be read any more."""
    unknown: set[str] = field(default_factory=set)
    """Those of which AWS said nothing that could be used."""


async def compare(
    standing: Standing, members: Sequence[str], seen: Mapping[str, ObservedTemplate], planner: ServerPlanner
) -> Findings:
    """
    Compare some of a group's members, field by field in ours: a version that is not ours is no drift.

    Parameters:
        standing: The group.
        members: The source servers.
        seen: Default versions that were read already, by template.
        planner: Reads the rest, one paced Get of DRS a source server.

    Returns:
        What was found.

    Raises:
        AccessDenied: Nobody can read in this account.
        AccountNotInitialized: DRS is not set up there.
    """
    findings = Findings()
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(member: str) -> None:
        async with gate:
            await _compare_one(standing, member, seen, planner, findings)

    tasks = [asyncio.create_task(look(member)) for member in members]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return findings


async def _compare_one(
    standing: Standing,
    member: str,
    seen: Mapping[str, ObservedTemplate],
    planner: ServerPlanner,
    findings: Findings,
) -> None:
    definition = standing.definition
    known = {"group_id": standing.head.group_id, "source_server_id": member}
    try:
        steps = await planner.plan(definition.target, member, definition.effective(member), seen)
    except ACCOUNT_PROBLEMS:
        raise
    except RetryableError as error:
        findings.unknown.add(member)
        log.info("watch.not_read", **known, code=error.code, error=error.message)
    except PermanentError as error:
        findings.drifted.add(member)
        log.warning("watch.broken", **known, code=error.code, error=error.message)
    else:
        drift = [item for step in steps for item in step.drift]
        if drift:
            findings.drifted.add(member)
            log.warning("watch.drift", **known, drift=describe_drift(drift))
