"""
Apply one job: claim the source server, bring it to its launch config, record what came of it, settle.

The lease comes first, then the generation is read: whoever holds the lease applies what is wanted *now*. An
outcome is recorded once; everything after the record only looks whether the group is complete.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from workers.apply.bring import BringServer, Brought
from workers.apply.claim import Claim, Current, Looks, WaitNotes, make_work, settled_by
from workers.apply.hand_back import LONGEST_WAIT, end_by_deadline, plan_wait
from workers.apply.report import Report
from workers.apply.survey import Surveys
from workers.apply.write_down import WriteDown
from workers.core.errors import (
    LeaseHeld,
    LeaseLost,
    OutOfTurns,
    PermanentError,
    PrelaunchError,
    RetryableError,
    SetupError,
    Superseded,
    VersionRefused,
    WorkerLost,
)
from workers.core.outcome import Acknowledge, Outcome, Redeliver
from workers.core.ports import Admission, Clock
from workers.core.runs.settle import Aggregator
from workers.core.settings import Settings
from workers.core.status import Status
from workers.core.store.baselines import BaselineStore
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.leases import Lease, LeaseStore
from workers.core.store.records import Mode, ServerError, ServerItem
from workers.core.store.runs import Run, RunStore

log = structlog.get_logger()

MAX_ATTEMPTS = 5
"""Claims without an outcome before a source server is given up as WORKER_LOST."""
SUSPICIOUS = 2
"""After so many of them a process works on one such source server at a time: others must not die of it each time."""


class ApplyServer:
    """The use case behind every job that names a source server."""

    def __init__(
        self,
        *,
        groups: GroupStore,
        runs: RunStore,
        leases: LeaseStore,
        journal: Journal,
        baselines: BaselineStore,
        aggregator: Aggregator,
        bring: BringServer,
        report: Report,
        surveys: Surveys,
        admission: Admission,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._groups = groups
        self._runs = runs
        self._leases = leases
        self._journal = journal
        self._aggregator = aggregator
        self._bring = bring
        self._report = report
        self._surveys = surveys
        self._admission = admission
        self._settings = settings
        self._clock = clock
        self._notes = WaitNotes(runs, clock)
        self._write_down = WriteDown(baselines, groups, runs, journal, clock)
        self._looks = Looks(clock, settings.look_again)
        self._suspect = False
        """Whether a source server is at work here whose workers died again and again."""

    async def apply(self, group_id: str, source_server_id: str) -> Outcome:
        """Apply the group's current launch config to one of its source servers, if it is due."""
        await self._admission.begin()
        current = await self._read_current(group_id, source_server_id)
        if current is None:
            return Acknowledge("group_unknown")
        if not current.is_due(source_server_id):
            return await self._pass_by(current)
        if current.status.is_launching(self._clock()):
            # Whoever gives the group back sends the jobs of what is pending then.
            return Acknowledge("held")
        run = current.run
        if run.head.mode is Mode.LATER:
            return Redeliver("run_of_a_later_release", LONGEST_WAIT)
        try:
            async with self._admission.enter(run.head.account_id, run.target.region):
                return await self._apply_admitted(group_id, source_server_id, run)
        except OutOfTurns as refused:
            await self._notes.note(run, source_server_id, refused)
            return Redeliver(refused.code, refused.retry_after)

    async def _apply_admitted(self, group_id: str, source_server_id: str, run: Run) -> Outcome:
        try:
            lease = await self._leases.take(
                run.head.account_id, run.target.region, source_server_id, work=f"{group_id}#{run.head.generation}"
            )
        except LeaseHeld as held:
            if not held.for_same_work:
                await self._notes.note(run, source_server_id, held)
            return Redeliver(held.code, held.retry_after)
        try:
            return await self._apply_claimed(group_id, source_server_id, lease)
        except LeaseLost as lost:
            return Redeliver(lost.code)
        except (RetryableError, SetupError):
            # Our own tables or credentials are away: that is no attempt of this source server's.
            await asyncio.shield(self._leases.give_back(lease, last_write_at=self._clock(), outcome=True))
            raise
        except asyncio.CancelledError:
            # Told to stop: in order, so the attempt is given back.
            await asyncio.shield(self._leases.give_back(lease, last_write_at=self._clock(), outcome=True))
            raise
        except BaseException:
            # A bug: the lease goes back at once, and the attempt stays counted.
            await asyncio.shield(self._leases.give_back(lease, last_write_at=self._clock(), outcome=False))
            raise

    async def _apply_claimed(self, group_id: str, source_server_id: str, lease: Lease) -> Outcome:
        current = await self._read_current(group_id, source_server_id)
        if current is None or not current.is_due(source_server_id):
            await self._leases.give_back(lease, last_write_at=lease.last_write_at, outcome=True)
            return Acknowledge("superseded") if current is None else await self._pass_by(current)
        if current.status.is_launching(self._clock()):
            await self._leases.give_back(lease, last_write_at=lease.last_write_at, outcome=True)
            return Acknowledge("held")
        claim, head = Claim(current, lease, source_server_id), current.run.head
        # The job may be of an older run: what is done now is done for the request of this one.
        structlog.contextvars.bind_contextvars(run_id=head.run_id, request_id=head.request_id, attempt=lease.attempt)
        if claim.is_repair and claim.may_have_changed:
            # What a worker put back that died before its record counts too, whatever is left to do of it.
            claim.repaired |= await self._journal.read_fields(group_id, head.generation, source_server_id)
        if lease.attempt <= SUSPICIOUS:
            return await self._finish(claim)
        if self._suspect:
            await self._leases.give_back(lease, last_write_at=lease.last_write_at, outcome=True)
            return Redeliver("suspects_one_at_a_time", self._settings.look_again)
        self._suspect = True
        try:
            return await self._finish(claim)
        finally:
            self._suspect = False

    async def _finish(self, claim: Claim) -> Outcome:
        current, lease, source_server_id = claim.current, claim.lease, claim.source_server_id
        try:
            brought = await self._bring_claimed(claim)
        except RetryableError as error:
            left = await self._read_deadline(current.run) - self._clock()
            if left > timedelta(0):
                await self._notes.note(current.run, source_server_id, error)
                await self._leases.give_back(lease, last_write_at=claim.last_write_at, outcome=True)
                return Redeliver(error.code, min(plan_wait(error, lease), left))
            return await self._record(claim, self._failed(claim, end_by_deadline(error)), in_time=False)
        except PermanentError as error:
            return await self._record(claim, self._failed(claim, error))
        except Superseded as over:
            await self._leases.give_back(lease, last_write_at=claim.last_write_at, outcome=True)
            return Acknowledge(over.code)
        return await self._record(claim, self._ready(claim, brought))

    async def _read_deadline(self, run: Run) -> datetime:
        """The run in memory has the deadline that it was opened with; it moves on while source servers settle."""
        head = await self._runs.read_head(run.group_id, run.head.generation)
        return head.deadline if head is not None else run.head.deadline

    async def _bring_claimed(self, claim: Claim) -> Brought:
        lost = f"{MAX_ATTEMPTS} attempts at {claim.source_server_id} ended without an outcome"
        if claim.lease.attempt > MAX_ATTEMPTS:
            raise WorkerLost(f"{lost}: the workers died. Look at their logs, then apply again.")
        try:
            async with self._renewed(claim.lease):
                if claim.current.run.head.mode is Mode.REPORT:
                    work = make_work(claim, self._write_down.of(claim), None)
                    return await self._report.verify(claim.current.run, work)
                surveyed = await self._surveys.find(claim.current.run, claim.current.item)
                return await self._bring.bring(make_work(claim, self._write_down.of(claim), surveyed), claim.trail)
        except (PrelaunchError, asyncio.CancelledError):
            raise
        except Exception as error:
            if claim.lease.attempt < MAX_ATTEMPTS:
                raise
            # The queue gives such a message up now: without a record its group would be pending for ever.
            log.exception("server.given_up")
            raise WorkerLost(
                f"{lost}, the last by an error of prelaunch's own ({type(error).__name__}): see the worker's log."
            ) from error

    async def _record(self, claim: Claim, item: ServerItem, *, in_time: bool = True) -> Outcome:
        run = claim.current.run
        # A worker that is told to stop must not lose an outcome that AWS has already seen.
        completion = self._journal.completion(run.group_id, run.head.generation, item) if claim.has_written else None
        recorded = await asyncio.shield(self._runs.record(run.group_id, item, claim.lease, completion))
        if not recorded:
            await self._leases.give_back(claim.lease, last_write_at=claim.last_write_at, outcome=True)
            return await self._pass_by(claim.current)
        if completion is None and (claim.may_have_changed or run.head.mode is Mode.REPORT):
            await self._journal.complete(run.group_id, run.head.generation, item)
        # One that fails because the time is over gets the run no further: it must not give the others more time.
        at = self._clock() if in_time else None
        head = await self._runs.count_done(run.group_id, run.head.generation, at)
        over = head.deleted_at is not None or head.is_superseded
        if over and await self._groups.read_head(run.group_id) is None:
            # Recorded after its group was deleted: nobody else would ever take it away.
            await self._runs.delete_server(run.group_id, item.source_server_id)
        elif head.done >= run.head.listed:
            await self._aggregator.settle_if_complete(run, claim.current.status)
        return Acknowledge(item.status)

    async def _pass_by(self, current: Current) -> Outcome:
        """Deal with a job that has nothing to apply; where its outcome is in but the group is not, look."""
        if current.item is None or not current.is_recorded():
            return Acknowledge("not_listed")
        if current.status.status is not Status.PENDING:
            return Acknowledge("settled")
        run, item = current.run, current.item
        # Its worker may have died between the record and the end of its change, or before the count.
        await self._journal.complete(run.group_id, current.status.generation, item)
        if self._looks.is_spared(run, item.source_server_id):
            return Acknowledge("recorded")
        if not self._looks.take(run):
            return Redeliver("group_pending", self._settings.look_again)
        servers = await self._runs.read_servers(run.group_id)
        if await self._aggregator.settle_if_complete(run, current.status, servers):
            return Acknowledge("settled")
        recorded = run.find_recorded(servers)
        if recorded:
            # Whoever records the last outcome looks, if the count is never short of what is recorded.
            at = max(servers[each].last_applied for each in recorded)
            await self._runs.count_at_least(run.group_id, run.head.generation, len(recorded), at)
        self._looks.note_recorded(run, recorded)
        return Acknowledge("recorded")

    async def _read_current(self, group_id: str, source_server_id: str) -> Current | None:
        status = await self._groups.read_status(group_id)
        if status is None:
            return None
        run = await self._runs.read_run(group_id, status.generation)
        if run is None:
            return None
        return Current(status, run, await self._runs.read_server(group_id, source_server_id))

    @asynccontextmanager
    async def _renewed(self, lease: Lease) -> AsyncIterator[None]:
        """Keep the lease while the work goes on; without it, `lease.check` stops the next write."""

        async def renew() -> None:
            while True:
                await asyncio.sleep((self._settings.lease / 4).total_seconds())
                try:
                    await self._leases.renew(lease)
                except PrelaunchError as error:
                    log.warning("lease.not_renewed", lease=lease.key, error=error.message)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewal.cancel()

    def _ready(self, claim: Claim, brought: Brought) -> ServerItem:
        return replace(
            settled_by(claim, Status.READY, self._clock()),
            verified_at=brought.verified_at,
            launch_template_id=brought.launch_template_id,
            launch_template_version=brought.launch_template_version,
            baseline=claim.find_kept(),
        )

    def _failed(self, claim: Claim, error: PrelaunchError) -> ServerItem:
        now = self._clock()
        reported = ServerError(
            source_server_id=claim.source_server_id,
            code=error.code,
            message=error.message,
            at=now,
            attempt=claim.lease.attempt,
            operation=error.operation or None,
            request_id=error.request_id,
        )
        refused = error.version if isinstance(error, VersionRefused) else claim.refused_version
        return replace(settled_by(claim, Status.FAILED, now), errors=(reported,), refused_version=refused)
