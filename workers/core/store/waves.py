"""Waves and their parts: fixed at acceptance, each part started once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from boto3.dynamodb.conditions import Attr, ConditionBase
from pydantic.dataclasses import dataclass

from workers.core.store.records import RECORD, from_item, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Write


class WaveStatus(StrEnum):
    """Where a wave stands."""

    STARTING = "starting"
    STARTED = "started"
    FAILED = "failed"


IS_STARTING = Attr("status").eq(WaveStatus.STARTING.value)
ANSWERS = ("errorCode", "errorMessage", "errorRequestId")


@dataclass(frozen=True, slots=True, config=RECORD)
class WaveGroup:
    """A group of a wave, and the way that it takes."""

    group_id: str
    path: str
    """`fast`: nothing is to be applied before its recovery starts."""
    config_version: int
    generation: int
    """At which it was found ready; 0 where it has no launch config."""


@dataclass(frozen=True, slots=True, config=RECORD)
class Wave:
    """Groups that recovery is started for together."""

    wave_id: str
    status: WaveStatus
    is_drill: bool
    groups: tuple[WaveGroup, ...]
    accepted_at: datetime
    requested_by: str
    door: str
    started_at: datetime | None = None
    """When DRS answered the last StartRecovery."""
    request_id: str = ""

    def end(self, parts: "Sequence[WavePart]") -> "Wave":
        """Tell what the wave is once each of its parts has its answer."""
        failed = any(part.error_code is not None for part in parts)
        answered = [part.started_at for part in parts if part.started_at is not None]
        status = WaveStatus.FAILED if failed else WaveStatus.STARTED
        return replace(self, status=status, started_at=max(answered, default=None))


@dataclass(frozen=True, slots=True, config=RECORD)
class WavePart:
    """At most 100 source servers of one group: one recovery job."""

    number: int
    group_id: str
    source_server_ids: tuple[str, ...]
    starting_at: datetime | None = None
    """Written before StartRecovery: whoever finds it without a job looks for the job before repeating the call."""
    started_at: datetime | None = None
    """When DRS answered."""
    job_id: str | None = None
    launch_statuses: dict[str, str] | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_request_id: str | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether DRS answered, one way or the other."""
        return self.job_id is not None or self.error_code is not None


class WaveStore:
    """Reads waves and writes how their start goes on."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, wave_id: str) -> tuple[Wave, list[WavePart]] | None:
        """Read a wave and its parts; None where there is no such wave."""
        items = [item async for item in self._tables.query("waves", wave_id, "")]
        if not items:
            return None
        # In the order of their sort keys: the parts, then the wave.
        return from_item(Wave, items[-1]), [from_item(WavePart, item) for item in items[:-1]]

    async def claim_part(self, wave_id: str, part: WavePart, at: datetime) -> WavePart | None:
        """Say that the part's StartRecovery is about to be sent; None where somebody else said so meanwhile."""
        claimed = replace(part, starting_at=at)
        values = {"startingAt": to_item(claimed)["startingAt"]}
        unclaimed = _is_as_read(part) & Attr("jobId").not_exists()
        claim = Write("Update", "waves", _part_key(wave_id, part), values, condition=unclaimed)
        # Of a wave that was given up nothing is started, however late its message comes.
        starting = Write("ConditionCheck", "waves", (wave_id, "wave"), condition=IS_STARTING)
        try:
            await self._tables.transact([claim, starting])
        except ConditionFailed:
            return None
        return claimed

    async def release_part(self, wave_id: str, part: WavePart) -> None:
        """Take back a claim whose call AWS refused: nothing was started by it."""
        key, values = _part_key(wave_id, part), {"startingAt": REMOVE}
        try:
            await self._tables.write(Write("Update", "waves", key, values, condition=_is_as_read(part)))
        except ConditionFailed:
            return

    async def record_part(self, wave_id: str, part: WavePart) -> WavePart:
        """
        Record what DRS answered; a job that was started stands over a refusal.

        Parameters:
            wave_id: The wave.
            part: The part as it was claimed, with the answer.

        Returns:
            The part as it stands then: another's answer, where that came first.
        """
        key, values = _part_key(wave_id, part), to_item(part)
        unanswered = Attr("groupId").exists() & Attr("jobId").not_exists()
        if part.job_id is None:
            # A refusal speaks for its own claim only: whoever claimed the part since may have started it.
            unanswered &= _is_as_read(part)
        gone = {name: REMOVE for name in ANSWERS if name not in values}
        try:
            item = await self._tables.write(Write("Update", "waves", key, {**values, **gone}, condition=unanswered))
        except ConditionFailed:
            item = await self._tables.get("waves", *key) or values
        return from_item(WavePart, item)

    async def finish(self, wave: Wave) -> bool:
        """Write the end of the start, once; tell whether it was this write that did."""
        values = to_item(wave)
        try:
            await self._tables.write(Write("Update", "waves", (wave.wave_id, "wave"), values, condition=IS_STARTING))
        except ConditionFailed:
            return False
        return True

    async def refuse(self, wave: Wave, refused: Sequence[WavePart]) -> bool:
        """
        Write that a wave is not started any more, unless somebody went on with it since it was read.

        Parameters:
            wave: The wave as it is from then on.
            refused: The parts that had no answer, as they were read but for the reason.

        Returns:
            Whether that is so now.
        """
        writes = [Write("Update", "waves", (wave.wave_id, "wave"), to_item(wave), condition=IS_STARTING)]
        for part in refused:
            unanswered = _is_as_read(part) & Attr("jobId").not_exists() & Attr("errorCode").not_exists()
            key = _part_key(wave.wave_id, part)
            writes.append(Write("Update", "waves", key, to_item(part), condition=unanswered))
        try:
            await self._tables.transact(writes)
        except ConditionFailed:
            return False
        return True

    async def give_up(self, wave: Wave, parts: list[WavePart], also: list[Write]) -> bool:
        """
        Write that the wave is not started, unless a worker has begun to.

        Parameters:
            wave: The wave.
            parts: Its parts.
            also: Writes that stand or fall with it.

        Returns:
            Whether it was given up.
        """
        failed = {"status": WaveStatus.FAILED.value}
        unclaimed = Attr("startingAt").not_exists() & Attr("jobId").not_exists()
        checks = [
            Write("ConditionCheck", "waves", _part_key(wave.wave_id, part), condition=unclaimed) for part in parts
        ]
        try:
            await self._tables.transact(
                [Write("Update", "waves", (wave.wave_id, "wave"), failed, condition=IS_STARTING), *checks, *also]
            )
        except ConditionFailed:
            return False
        return True


def put_wave(wave: Wave, parts: list[WavePart]) -> list[Write]:
    """Put a new wave with its parts."""
    absent = Attr("waveId").not_exists()
    head = Write("Put", "waves", (wave.wave_id, "wave"), to_item(wave), condition=absent)
    return [head, *(Write("Put", "waves", _part_key(wave.wave_id, part), to_item(part)) for part in parts)]


def _is_as_read(part: WavePart) -> ConditionBase:
    before = Attr("startingAt")
    return before.not_exists() if part.starting_at is None else before.eq(to_item(part)["startingAt"])


def _part_key(wave_id: str, part: WavePart) -> tuple[str, str]:
    return (wave_id, f"part#{part.number:04d}")
