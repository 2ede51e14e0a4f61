"""
The watch: a change that anyone else made in DRS or in a launch template is found, then repaired or reported.

The generation is read first, then AWS: what is compared is what that generation was verified to have, and what is done
about it holds only while that generation is the group's. So pages that are older than an update find nothing of it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from workers.core.contract import WATCH_ACTOR, Queue, WatchWork
from workers.core.errors import GroupDeleted, PermanentError, PrelaunchError, RetryableError
from workers.core.model.group import Target
from workers.core.outcome import Acknowledge, Outcome, Redeliver
from workers.core.ports import Clock, Job, JobQueue, LaunchTemplateReads
from workers.core.priority import set_priority
from workers.core.requests import DRIFT, Requester
from workers.core.retry import back_off
from workers.core.runs.next_run import NextRun
from workers.core.server_plan import NOTHING_SEEN, ServerPlanner
from workers.core.settings import Settings
from workers.core.store.records import Mode, ServerItem
from workers.core.store.watches import Watched, WatchStore
from workers.core.validation.missing import Missing
from workers.watch.compare import ACCOUNT_PROBLEMS, Findings, compare
from workers.watch.known_templates import KnownTemplates
from workers.watch.selection import Selections
from workers.watch.standing import Standing, Standings

log = structlog.get_logger()

WATCH = "prelaunch watch"
"""Who asks for the runs that follow from drift."""
PAGED_FROM = 25
"""More members than these are compared with pages of all default versions, 200 each."""
MOST_MISSED = 5
"""Watches in a row that could not look at all that there was; the next one then comes by the schedule."""
FIRST_AGAIN, LONGEST_AGAIN = timedelta(minutes=2), timedelta(minutes=15)
_JITTER = random.SystemRandom()


class Watch:
    """Looks for drift."""

    def __init__(
        self,
        *,
        standings: Standings,
        selections: Selections,
        missing: Missing,
        planner: ServerPlanner,
        templates: LaunchTemplateReads,
        store: WatchStore,
        next_run: NextRun,
        queue: JobQueue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._standings = standings
        self._known_templates = KnownTemplates(standings)
        self._selections = selections
        self._missing = missing
        self._planner = planner
        self._templates = templates
        self._store = store
        self._next = next_run
        self._queue = queue
        self._settings = settings
        self._clock = clock

    async def watch(self, work: WatchWork) -> Outcome:
        """
        Look for drift.

        Parameters:
            work: Where; without an account everywhere, by one message each.

        Returns:
            The outcome.
        """
        # It can wait: half of every bucket is left to whoever applies.
        set_priority(Queue.BULK)
        if work.account_id is None or work.region is None:
            return await self._send_for_all(work.request_id)
        begun_at = self._clock()
        if work.is_narrowed:
            return await self._look_into(work, work.account_id, work.region, begun_at)
        last = await self._store.read(work.account_id, work.region)
        if last is not None and not last.is_over(begun_at, self._settings.watch_period):
            return Acknowledge("watched_lately")
        return await self._watch(work, work.account_id, work.region, begun_at, last)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Ask for a watch again and again, until cancelled; no two processes in step."""
        while True:
            await sleep(self._settings.watch_period.total_seconds() * _JITTER.uniform(0.5, 1.5))
            try:
                await self._send_for_all()
            except PrelaunchError as error:
                log.warning("watch.not_sent", error=error.message)
            except Exception:  # a bug in one watch must not end all that follow
                log.exception("watch.crashed")

    async def _send_for_all(self, request_id: str = "") -> Outcome:
        places = {(head.account_id, head.region) async for head, _ in self._standings.list_all()}
        named = {"requestId": request_id} if request_id else {}
        jobs = [
            Job(WATCH_ACTOR, f"{account_id}#{region}", {"accountId": account_id, "region": region, **named})
            for account_id, region in sorted(places)
        ]
        await self._queue.send(Queue.NORMAL, jobs)
        return Acknowledge(f"sent {len(jobs)}")

    async def _look_into(self, work: WatchWork, account_id: str, region: str, begun_at: datetime) -> Outcome:
        """Look at what an event names; while that cannot be told it comes again."""
        member = work.source_server_id
        if member is None and work.launch_template_id is not None:
            member = await self._known_templates.find(account_id, region, work.launch_template_id)
        standing = await self._standings.find_one(account_id, region, member) if member is not None else None
        looks = [self._choose(standing, work, begun_at)] if standing is not None else []
        tally = await self._look_at(work, [look for look in looks if look.members or look.young], begun_at)
        if any(look.young for look in looks):
            return Redeliver("written_just_now", self._settings.settle_time)
        return Redeliver("not_looked_at") if tally.missed else Acknowledge(f"drifted {tally.drifted}")

    async def _watch(
        self, work: WatchWork, account_id: str, region: str, begun_at: datetime, last: Watched | None
    ) -> Outcome:
        standings = await self._standings.find(account_id, region)
        looks = [self._choose(standing, work, begun_at) for standing in standings]
        tally = await self._look_at(work, looks, begun_at)
        missed = (last.missed if last is not None else 0) + 1 if tally.missed else 0
        if not 0 < missed < MOST_MISSED:
            await self._store.keep(account_id, region, Watched(begun_at))
            return Acknowledge(f"drifted {tally.drifted}")
        wait = back_off(missed, first=FIRST_AGAIN, longest=LONGEST_AGAIN)
        # Due by the time that this message comes again, whatever the clock of whoever takes it says.
        await self._store.keep(account_id, region, Watched(begun_at, missed, self._clock() + wait / 2))
        return Redeliver("not_all_looked_at", wait)

    async def _look_at(self, work: WatchWork, looks: Sequence["_Look"], begun_at: datetime) -> "_Tally":
        tally = _Tally()
        for target, part in _by_target(looks).items():
            if not work.is_narrowed:
                await self._selections.note(target, [look.standing for look in part])
            try:
                await self._look(target, part, work, begun_at, tally)
            except ACCOUNT_PROBLEMS as problem:
                # Another group may have a role that works.
                known = {"account_id": work.account_id, "region": work.region, "role": target.assume_role_name}
                log.warning("watch.account_refused", **known, code=problem.code, error=problem.message)
        counts = {"groups": len(looks), "drifted": tally.drifted, "missed": tally.missed}
        log.info("watch.done", account_id=work.account_id, region=work.region, **counts)
        return tally

    def _choose(self, standing: Standing, work: WatchWork, begun_at: datetime) -> "_Look":
        members = [member for member in standing.find_ready() if _is_concerned(standing, member, work)]
        young = {member for member in members if self._is_young(standing.servers[member], begun_at)}
        return _Look(standing, tuple(member for member in members if member not in young), bool(young))

    def _is_young(self, item: ServerItem, begun_at: datetime) -> bool:
        """Tell whether a read of EC2 may still show the state before our own last write."""
        return item.last_write_at is not None and begun_at < item.last_write_at + self._settings.settle_time

    async def _look(
        self, target: Target, looks: Sequence["_Look"], work: WatchWork, begun_at: datetime, tally: "_Tally"
    ) -> None:
        many = sum(len(look.members) for look in looks) > PAGED_FROM
        seen = await self._templates.read_all_defaults(target) if many else NOTHING_SEEN
        for look in looks:
            findings = await compare(look.standing, look.members, seen, self._planner)
            tally.missed += len(findings.unknown)
            await self._act(look, findings, work, begun_at, tally)

    async def _act(
        self, look: "_Look", findings: Findings, work: WatchWork, begun_at: datetime, tally: "_Tally"
    ) -> None:
        standing = look.standing
        gone: Collection[str] = ()
        if not (findings.drifted or work.is_narrowed):
            gone = (await self._find_missing(look)).keys()
        # What is gone no write of ours would bring back.
        mode = Mode.APPLY if findings.drifted and standing.definition.auto_repair else Mode.REPORT
        members = findings.drifted or gone
        if members and work.is_narrowed:
            standing = await self._standings.complete(standing)
        if members and await self._open(standing, members, mode, work):
            tally.drifted += len(members)
        elif members:
            # What was found is not forgotten because somebody changed the group meanwhile.
            tally.missed += len(members)
        elif not (findings.unknown or look.young or work.is_narrowed):
            await self._store.confirm(standing.head.group_id, standing.status, begun_at)

    async def _find_missing(self, look: "_Look") -> Mapping[str, str]:
        """Find who names what its account does not hold any more; where that cannot be asked nothing is known."""
        try:
            gone = await self._missing.find(look.standing.definition, look.members)
        except (PermanentError, RetryableError) as error:
            known = {"group_id": look.standing.head.group_id, "code": error.code, "error": error.message}
            log.warning("watch.holdings_not_read", **known)
            return {}
        for member, told in gone.items():
            log.warning("watch.gone", group_id=look.standing.head.group_id, source_server_id=member, gone=told)
        return gone

    async def _open(self, standing: Standing, members: Collection[str], mode: Mode, work: WatchWork) -> bool:
        """Open a run over what was found, unless the group is not as it was read any more."""
        requester = Requester(WATCH, "event" if work.is_narrowed else "schedule", DRIFT, work.request_id)
        try:
            run = await self._next.plan(
                standing.head,
                standing.status,
                frozenset(members),
                requester,
                mode=mode,
                changed_by=work.changed_by,
                queue=Queue.BULK,
            )
            is_open = await self._next.open(
                run,
                head=standing.head,
                last=standing.run,
                before=standing.status,
                servers=standing.servers,
                requester=requester,
            )
        except GroupDeleted:
            return False
        log.info("watch.run", group_id=run.group_id, run_id=run.head.run_id, mode=run.head.mode, opened=is_open)
        return is_open


@dataclass(slots=True)
class _Tally:
    """What a watch has come to so far."""

    drifted: int = 0
    """Source servers that a run was opened for."""
    missed: int = 0
    """Those that could not be read, or whose group was changed before a run was opened."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A group, and which of its members are compared."""

    standing: Standing
    members: tuple[str, ...]
    young: bool
    """Whether members were left out because of a write of ours a moment ago."""


def _is_concerned(standing: Standing, member: str, work: WatchWork) -> bool:
    item = standing.servers.get(member)
    template = (item.launch_template_id, item.launch_template_version) if item is not None else (None, None)
    return work.concerns(member, *template)


def _by_target(looks: Sequence[_Look]) -> dict[Target, list[_Look]]:
    """Put together what is read by the same role: one look at its launch templates is enough."""
    by_target: dict[Target, list[_Look]] = {}
    for look in looks:
        by_target.setdefault(look.standing.definition.target, []).append(look)
    return by_target
