"""
The aggregator: when the last listed source server is settled, combine all members' statuses in one write.

It reads the members' items, for no counter is the truth, and writes only if the generation is still the one it
read for and still pending. So whoever looks, and however often, the group is settled once.
"""

from dataclasses import replace
from datetime import datetime

import structlog

from workers.core.ports import Clock
from workers.core.status import NOT_APPLIED, Status, combine
from workers.core.store.groups import is_status
from workers.core.store.holds import HOLD, hold_of
from workers.core.store.notices import put_notice
from workers.core.store.records import ERRORS_SHOWN, Counts, GroupStatus, ServerError, ServerItem, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import close_run
from workers.core.store.runs import Run, RunStore
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Write
from workers.core.telling.tellings import Tellings

log = structlog.get_logger()


def combine_status(run: Run, servers: dict[str, ServerItem], before: GroupStatus, at: datetime) -> GroupStatus:
    """
    Combine what is recorded of the members into the group's status at this run's generation. Pure.

    Parameters:
        run: The run that `before` names.
        servers: What is recorded of each source server.
        before: The status as it was read.
        at: The present: `lastApplied`, if the run is settled by now.

    Returns:
        The status at this run's generation.
    """
    statuses = run.read_statuses(servers)
    combined = combine(statuses.values())
    counts = Counts(*(list(statuses.values()).count(s) for s in (Status.READY, Status.FAILED, Status.PENDING)))
    verified = [find_verified(servers[member], before) for member in statuses if member in servers]
    known = [moment for moment in verified if moment is not None]
    return GroupStatus(
        status=combined,
        generation=before.generation,
        run_id=before.run_id,
        last_applied=before.last_applied if combined is Status.PENDING else at,
        applied_by=before.applied_by,
        counts=counts,
        digest=before.digest,
        verified_at=min(known) if len(known) == len(statuses) else None,
        **hold_of(before),
        errors=tuple(_errors(statuses, servers, at))[:ERRORS_SHOWN],
        watched_at=before.watched_at,
    )


def find_verified(item: ServerItem, before: GroupStatus) -> datetime | None:
    """Tell when a member was last read back: by its own run, or by the watch, which read all that were ready."""
    if item.verified_at is None or before.watched_at is None:
        return item.verified_at
    return max(item.verified_at, before.watched_at)


def _errors(statuses: dict[str, Status], servers: dict[str, ServerItem], at: datetime) -> list[ServerError]:
    errors: list[ServerError] = []
    for member, status in sorted(statuses.items()):
        if status is not Status.FAILED:
            continue
        item = servers.get(member)
        if item is not None and item.status is Status.FAILED:
            errors.extend(item.errors)
        else:
            message = f"{member} has not the launch config of this generation. Apply again with force."
            errors.append(ServerError(member, NOT_APPLIED, message, at=at, attempt=0))
    return errors


class Aggregator:
    """Settles runs."""

    def __init__(self, tables: Tables, runs: RunStore, tellings: Tellings, clock: Clock) -> None:
        self._tables = tables
        self._runs = runs
        self._tellings = tellings
        self._clock = clock

    async def settle_if_complete(
        self, run: Run, before: GroupStatus, servers: dict[str, ServerItem] | None = None
    ) -> GroupStatus | None:
        """
        Settle the run if every member's status is, and tell who waits for that.

        Returns:
            The settled status; None where members are pending or somebody else settled or superseded it.

        Parameters:
            run: The run.
            before: The group's status as it was read: its generation is the run's.
            servers: What is recorded of each source server, where it was read since.
        """
        if servers is None:
            servers = await self._runs.read_servers(run.group_id)
        after = combine_status(run, servers, before, self._clock())
        if after.status is Status.PENDING:
            return None
        # Of the hold it is not for the settling to say anything: it may have been taken or given back since.
        values = {name: value for name, value in to_item(after).items() if name not in HOLD}
        gone = {name: REMOVE for name in ("verifiedAt",) if name not in values}
        ours = is_status(replace(before, status=Status.PENDING))
        status = Write("Update", "groups", (run.group_id, "status"), {**values, **gone}, condition=ours)
        settled = {"settledAt": values["lastApplied"], "outcome": values["status"], "counts": values["counts"]}
        close = close_run(run.group_id, run.head.generation, **settled)
        notice = self._tellings.group_settled(run, after)
        try:
            await self._tables.transact([status, close, put_notice(notice)])
        except ConditionFailed:
            return None
        log.info(
            "group.settled",
            group_id=run.group_id,
            run_id=run.head.run_id,
            generation=run.head.generation,
            status=after.status,
            applied=after.counts.applied,
            failed=after.counts.failed,
        )
        await self._tellings.tell(notice)
        return after
