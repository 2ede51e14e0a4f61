"""
Accepting a wave: groups that are ready, cut into parts then and there, and one urgent message.

A wave is accepted over exactly the generations that were found ready: the transaction that stores it checks them
again. A group that is not ready is refused with each of its source servers named; nothing is stored then.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from workers.core.contract import WAVE_ACTOR, Queue
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.model.errors import FieldError
from workers.core.ports import Clock, Job, JobQueue
from workers.core.queries import GroupView, Page, Queries
from workers.core.requests import Conflict, NotFound, Requester, RequestRefused
from workers.core.status import Status
from workers.core.store.receipts import Receipt, Receipts
from workers.core.store.records import GroupStatus, ServerItem
from workers.core.store.tables import Tables
from workers.core.store.waves import Wave, WaveGroup, WavePart, WaveStatus, WaveStore, put_wave
from workers.core.store.writes import Write
from workers.core.wave_ends import WaveEnds

PART_SIZE = 100
"""Source servers in one recovery job. Source: AWS, DRS service quotas."""
TRANSACTION_ITEMS = 100
ACCEPT_TRIES = 3


@dataclass(frozen=True, slots=True)
class WaveRequest:
    """What somebody wants recovered."""

    group_ids: tuple[str, ...]
    is_drill: bool = True


class Waves:
    """Accepts waves and answers about them."""

    def __init__(
        self,
        *,
        tables: Tables,
        waves: WaveStore,
        ends: WaveEnds,
        queries: Queries,
        receipts: Receipts,
        queue: JobQueue,
        clock: Clock,
        max_ready_age: timedelta,
    ) -> None:
        self._tables = tables
        self._waves = waves
        self._ends = ends
        self._queries = queries
        self._receipts = receipts
        self._queue = queue
        self._clock = clock
        self._max_ready_age = max_ready_age

    async def accept(self, request: WaveRequest, requester: Requester) -> tuple[Wave, list[WavePart]]:
        """
        Accept a wave over ready groups; a worker starts it at once.

        Parameters:
            request: What is to be recovered.
            requester: Who asks.

        Returns:
            The wave and its parts, stored.

        Raises:
            NotFound: There is no such group.
            Conflict: `NOT_READY`, with every source server that is not.
            RequestRefused: The requester's key was used for another request.
            ServiceUnavailable: The message could not be sent; nothing is started.
        """
        accepted_at = self._clock()
        for _ in range(ACCEPT_TRIES):
            accepted = await self._receipts.do_once(
                requester,
                lambda: self._try_accept(request, requester, accepted_at),
                lambda receipt: self._repeat(receipt, requester),
            )
            if accepted is not None:
                return accepted
        raise ServiceUnavailable("The groups change while the wave is accepted. Try again.")

    async def _try_accept(
        self, request: WaveRequest, requester: Requester, accepted_at: datetime
    ) -> tuple[Wave, list[WavePart]] | None:
        """Store the wave over the generations that are ready now; None where one changed meanwhile."""
        views = await asyncio.gather(*(self._queries.group(group_id) for group_id in request.group_ids))
        await self._check_ready(views, accepted_at)
        wave, parts = _plan_wave(request, views, requester, accepted_at)
        receipts = self._receipts.put(requester, Receipt(wave.wave_id, accepted=True))
        writes = [*put_wave(wave, parts), *_still_ready(wave), *receipts]
        if len(writes) > TRANSACTION_ITEMS:
            raise RequestRefused(
                f"A wave of {len(views)} groups in {len(parts)} parts is too large to be accepted as one."
                " Start it as several waves.",
                code="INVALID_BODY",
            )

        async def is_stored() -> bool:
            return await self._waves.read(wave.wave_id) is not None

        if not await self._tables.commit(writes, is_stored):
            return None
        await self._send(wave, parts, requester)
        return wave, parts

    async def _repeat(self, receipt: Receipt, requester: Requester) -> tuple[Wave, list[WavePart]]:
        wave, parts = await self.get(receipt.subject)
        if wave.status is WaveStatus.STARTING and not any(part.starting_at or part.is_done for part in parts):
            # Whoever accepted it may have died before the message: a second one starts nothing twice.
            await self._send(wave, parts, requester)
        return wave, parts

    async def send_again(self, wave_id: str, *, named: bool) -> bool:
        """
        Send a wave's message once more: it starts nothing twice. A wave that nobody means any more ends instead.

        Parameters:
            wave_id: The wave.
            named: Whether somebody asked for just this message; a recovery that is no drill is not sent otherwise.

        Returns:
            Whether it was sent; False where the wave's start has ended, now or before.

        Raises:
            NotFound: There is no such wave.
            Conflict: It is no drill and not named, or somebody goes on with it just now.
            ServiceUnavailable: The message could not be sent.
        """
        wave, parts = await self.get(wave_id)
        if wave.status is not WaveStatus.STARTING or await self._ends.end_stale(wave, parts):
            return False
        if not (wave.is_drill or named):
            raise Conflict(f"{wave_id} is a recovery and no drill: redrive it by its message id.")
        await self._queue.send(Queue.URGENT, [_job(wave)])
        return True

    async def get(self, wave_id: str) -> tuple[Wave, list[WavePart]]:
        """
        Read a wave and its parts.

        Parameters:
            wave_id: The wave.

        Returns:
            The wave and its parts, in order.

        Raises:
            NotFound: There is no such wave.
        """
        found = await self._waves.read(wave_id)
        if found is None:
            raise NotFound(f"There is no wave {wave_id!r} in this stack.", code="WAVE_NOT_FOUND")
        return found

    async def _send(self, wave: Wave, parts: list[WavePart], requester: Requester) -> None:
        try:
            await self._queue.send(Queue.URGENT, [_job(wave)])
        except (ServiceUnavailable, SetupError):
            # The message may have got through all the same: a wave that a worker has begun is accepted.
            if await self._waves.give_up(wave, parts, self._receipts.take_back(requester, wave.wave_id)):
                raise

    async def _check_ready(self, views: Sequence[GroupView], now: datetime) -> None:
        errors = [
            error
            for position, view in enumerate(views)
            if view.status is not None
            for error in await self._find_unready(view, view.status, f"/groupIds/{position}", now)
        ]
        if errors:
            raise Conflict(
                f"{len(errors)} reasons why the groups are not ready; see errors. Wait for what is pending, apply"
                " what failed, then start the wave.",
                tuple(errors),
                code="NOT_READY",
            )

    async def _find_unready(
        self, view: GroupView, status: GroupStatus, pointer: str, now: datetime
    ) -> list[FieldError]:
        if status.status is Status.READY:
            if status.verified_at is not None and now - status.verified_at <= self._max_ready_age:
                return []
            message = f"{view.head.group_id} was verified too long ago ({status.verified_at}). Apply it with force."
            return [FieldError(pointer, "NOT_READY", message, None)]
        whole = await self._queries.status(view.head.group_id, Page(limit=len(view.definition.source_server_ids)))
        unready = [
            FieldError(
                pointer,
                "NOT_READY",
                f"{member} is {state.value}" + _explain(state, item),
                member,
            )
            for member, (state, _, item) in whole.servers.items()
            if state is not Status.READY
        ]
        # Between the two reads the last member may have been recorded: the group is still to be settled.
        settling = FieldError(pointer, "NOT_READY", f"{view.head.group_id} is being settled. Try again.", None)
        return unready or [settling]


def _job(wave: Wave) -> Job:
    return Job(WAVE_ACTOR, wave.wave_id, {"waveId": wave.wave_id, "requestId": wave.request_id})


def _plan_wave(
    request: WaveRequest, views: Sequence[GroupView], requester: Requester, now: datetime
) -> tuple[Wave, list[WavePart]]:
    groups = tuple(
        WaveGroup(view.head.group_id, "fast", view.head.version, view.status.generation if view.status else 0)
        for view in views
    )
    wave = Wave(
        wave_id=f"wave-{uuid.uuid4().hex[:17]}",
        status=WaveStatus.STARTING,
        is_drill=request.is_drill,
        groups=groups,
        accepted_at=now,
        requested_by=requester.principal,
        door=requester.door,
        request_id=requester.request_id,
    )
    cut = [(view.head.group_id, members) for view in views for members in _cut(view.definition.source_server_ids)]
    return wave, [WavePart(number, group_id, members) for number, (group_id, members) in enumerate(cut)]


def _explain(state: Status, item: ServerItem | None) -> str:
    # What an earlier generation met says nothing about a member that is pending now.
    if state is not Status.FAILED or item is None or not item.errors:
        return "."
    return f": {item.errors[0].code}: {item.errors[0].message}"


def _cut(members: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(members), PART_SIZE):
        yield members[start : start + PART_SIZE]


def _still_ready(wave: Wave) -> Iterator[Write]:
    for group in wave.groups:
        unchanged = Attr("version").eq(group.config_version)
        yield Write("ConditionCheck", "groups", (group.group_id, "group"), condition=unchanged)
        if group.generation:
            ready = Attr("generation").eq(group.generation) & Attr("status").eq(Status.READY.value)
            yield Write("ConditionCheck", "groups", (group.group_id, "status"), condition=ready)
