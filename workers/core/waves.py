"""
Accepting a wave: its members are fixed, its groups claimed, in one transaction; then one urgent message.

What is ready is held in the same instant, over exactly the generation that was found ready, so that nothing stands
between the acceptance and the start. Committed but not sent is accepted: the sweeper sends.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from workers.core.contract import Queue
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.model.errors import FieldError
from workers.core.model.waves import OnNotReady
from workers.core.pages import bad_token, read_token, write_token
from workers.core.ports import Clock, JobQueue
from workers.core.queries import GroupView, Page, Queries
from workers.core.requests import Conflict, NotFound, Requester, RequestRefused, require_groups
from workers.core.runs.waiting import read_wave_wait
from workers.core.status import Status
from workers.core.store.holds import Hold
from workers.core.store.receipts import Receipt, Receipts
from workers.core.store.records import GroupStatus
from workers.core.store.tables import Tables
from workers.core.store.wave_records import (
    Wave,
    WaveView,
)
from workers.core.store.waves import WaveStore, put_wave
from workers.core.telling.tellings import Tellings
from workers.core.wave_plan import (
    NOT_READY,
    PART_SIZE,
    WavePeriods,
    WaveRequest,
    check_free,
    check_snapshots,
    explain,
    is_ready,
    plan_wave,
    take_groups,
    wave_job,
)

log = structlog.get_logger()

TRANSACTION_ITEMS = 100
MOST_ITEMS = TRANSACTION_ITEMS - 3
"""For groups and parts, beside the wave, the receipt of its key and the task that waits for its end."""
ACCEPT_TRIES = 3
PURGED = "PURGED"
WAVES = ("waves",)
"""What a page of the waves is one of."""


class Waves:
    """Accepts waves and answers about them."""

    def __init__(
        self,
        *,
        tables: Tables,
        waves: WaveStore,
        tellings: Tellings,
        queries: Queries,
        receipts: Receipts,
        queue: JobQueue,
        clock: Clock,
        periods: WavePeriods,
    ) -> None:
        self._tables = tables
        self._waves = waves
        self._tellings = tellings
        self._queries = queries
        self._receipts = receipts
        self._queue = queue
        self._clock = clock
        self._periods = periods

    async def accept(self, request: WaveRequest, requester: Requester) -> WaveView:
        """
        Accept a wave; a worker goes on with it at once.

        Parameters:
            request: What is to be recovered.
            requester: Who asks.

        Returns:
            The wave, stored.

        Raises:
            NotFound: Some groups are not there; each of them is named.
            Conflict: `NOT_READY`: another wave has a group, or nothing is to be started of what is not ready, and
                every source server that is not is named.
            RequestRefused: The requester's key was used for another request, a snapshot is given for a source server
                of no group, or the wave is too large.
            ServiceUnavailable: The groups change too fast, or the stack's tables do not answer.
        """
        accepted_at = self._clock()
        for _ in range(ACCEPT_TRIES):
            accepted = await self._receipts.do_once(
                requester,
                lambda: self._try_accept(request, requester, accepted_at),
                self._repeat,
            )
            if accepted is not None:
                return accepted
        raise ServiceUnavailable("The groups change while the wave is accepted. Try again.")

    async def _try_accept(self, request: WaveRequest, requester: Requester, accepted_at: datetime) -> WaveView | None:
        """Store the wave over the generations that there are now; None where one changed meanwhile."""
        reads = (self._queries.group(group_id) for group_id in request.group_ids)
        views = require_groups(await asyncio.gather(*reads, return_exceptions=True), "/groupIds")
        check_snapshots(request, views)
        planned = plan_wave(request, views, requester, accepted_at, self._periods)
        _check_size(planned)
        wave = planned.wave
        hold = Hold(wave.wave_id, wave.deadline, wave.is_drill)
        check_free(views, hold, accepted_at)
        if request.on_not_ready is OnNotReady.FAIL:
            await self._check_ready(views, accepted_at)
        receipts = self._receipts.put(requester, Receipt(wave.wave_id, accepted=True))
        waiting = self._tellings.wait_for(requester, wave.wave_id, 0)
        writes = [*put_wave(planned), *take_groups(planned, hold), *receipts, *waiting]

        async def is_stored() -> bool:
            return await self._waves.read(wave.wave_id) is not None

        if not await self._tables.commit(writes, is_stored):
            return None
        await self._send(wave)
        return planned

    async def _repeat(self, receipt: Receipt) -> WaveView:
        view = await self.get(receipt.subject)
        if not (view.wave.status.is_begun or any(part.starting_at or part.is_done for part in view.parts)):
            # Whoever accepted it may have died before the message: a second one starts nothing twice.
            await self._send(view.wave)
        return view

    async def _send(self, wave: Wave) -> None:
        try:
            await self._queue.send(Queue.URGENT, [wave_job(wave)])
        except (ServiceUnavailable, SetupError) as error:
            # It is accepted and stays: the sweeper sends what was not sent.
            log.warning("wave.not_sent", wave_id=wave.wave_id, error=error.message)

    async def send_again(self, wave_id: str, *, named: bool) -> bool:
        """
        Send a wave's message once more: it starts nothing twice.

        Parameters:
            wave_id: The wave.
            named: Whether somebody asked for just this message; a recovery that is no drill is not sent otherwise.

        Returns:
            Whether it was sent; False where nothing more is to be started.

        Raises:
            NotFound: There is no such wave.
            Conflict: It is no drill and not named.
            ServiceUnavailable: The message could not be sent.
        """
        wave = (await self.get(wave_id)).wave
        if wave.status.is_begun:
            return False
        if not (wave.is_drill or named):
            raise Conflict(f"{wave_id} is a recovery and no drill: redrive it by its message id.")
        await self._queue.send(Queue.URGENT, [wave_job(wave)])
        return True

    async def end_purged(self, wave_id: str) -> None:
        """Let nothing more be started of a wave whose message is thrown away; a worker ends it."""
        told = f"The start of {wave_id} was purged from the dead letters. Start a new wave."
        if await self._waves.stop(wave_id, PURGED, told, self._clock()):
            log.warning("wave.stopped", wave_id=wave_id, code=PURGED)

    async def get(self, wave_id: str) -> WaveView:
        """
        Read a wave with its groups and parts.

        Parameters:
            wave_id: The wave.

        Returns:
            The wave.

        Raises:
            NotFound: There is no such wave.
        """
        found = await self._waves.read(wave_id)
        if found is None:
            raise NotFound(f"There is no wave {wave_id!r} in this stack.", code="WAVE_NOT_FOUND")
        return replace(found, wave=self._tell_wait(found.wave))

    def _tell_wait(self, wave: Wave) -> Wave:
        return replace(wave, waiting_for=read_wave_wait(wave, self._clock()))

    async def list_accepted(self, limit: int, token: str | None) -> tuple[Sequence[Wave], str | None]:
        """
        List waves, newest first, without their groups and parts.

        Parameters:
            limit: The most that are answered, 1 to 1,000.
            token: The one that the page before gave; None for the first page.

        Returns:
            A page, and the token of the next one, if there is one; what was accepted a moment ago may be missing.

        Raises:
            RequestRefused: The token is none of ours.
        """
        named = await self._waves.read_accepted(limit, _read_place(read_token(token, WAVES)))
        waves = await self._waves.read_many([wave_id for _, wave_id in named])
        return [self._tell_wait(wave) for wave in waves], write_token(WAVES, named[-1]) if len(named) == limit else None

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
                code=NOT_READY,
            )

    async def _find_unready(
        self, view: GroupView, status: GroupStatus, pointer: str, now: datetime
    ) -> list[FieldError]:
        if is_ready(status, now, self._periods):
            return []
        if status.status is Status.READY:
            message = f"{view.head.group_id} was verified too long ago ({status.verified_at}). Apply it with force."
            return [FieldError(pointer, NOT_READY, message, None)]
        whole = await self._queries.status(view.head.group_id, Page(limit=len(view.definition.source_server_ids)))
        unready = [
            FieldError(pointer, NOT_READY, f"{member} is {state.value}" + explain(state, item), member)
            for member, (state, _, item) in whole.servers.items()
            if state is not Status.READY
        ]
        # Between the two reads the last member may have been recorded: the group is still to be settled.
        settling = FieldError(pointer, NOT_READY, f"{view.head.group_id} is being settled. Try again.", None)
        return unready or [settling]


def _read_place(place: list[object] | None) -> tuple[str, str] | None:
    """Answer time and id of the wave after which the page begins; None for the first page."""
    match place:
        case None:
            return None
        case [str() as accepted_at, str() as wave_id] if accepted_at and wave_id:
            return accepted_at, wave_id
    raise bad_token()


def _check_size(planned: WaveView) -> None:
    size = 2 * len(planned.groups) + len(planned.parts)
    if size > MOST_ITEMS:
        raise RequestRefused(
            f"A wave of {len(planned.groups)} groups in {len(planned.parts)} parts of at most {PART_SIZE} source"
            f" servers is too large to be accepted as one: twice the groups and the parts may come to {MOST_ITEMS}"
            f" together, and come to {size}. Start it as several waves.",
            code="INVALID_BODY",
        )
