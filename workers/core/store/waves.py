"""Waves and their parts: fixed at acceptance, each part started once."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from boto3.dynamodb.conditions import Attr
from pydantic.dataclasses import dataclass

from workers.core.store.records import RECORD, from_item, to_item
from workers.core.store.tables import REMOVE, ConditionFailed, Tables, Write


class WaveStatus(StrEnum):
    """Where a wave stands."""

    STARTING = "starting"
    STARTED = "started"
    FAILED = "failed"


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
        before = Attr("startingAt")
        unclaimed = (
            before.not_exists() if part.starting_at is None else before.eq(to_item(part)["startingAt"])
        ) & Attr("jobId").not_exists()
        claimed = replace(part, starting_at=at)
        try:
            values = {"startingAt": to_item(claimed)["startingAt"]}
            await self._tables.write(Write("Update", "waves", _part_key(wave_id, part), values, condition=unclaimed))
        except ConditionFailed:
            return None
        return claimed

    async def release_part(self, wave_id: str, part: WavePart) -> None:
        """Take back a claim whose call AWS refused: nothing was started by it."""
        ours = Attr("startingAt").eq(to_item(part)["startingAt"])
        try:
            await self._tables.write(
                Write("Update", "waves", _part_key(wave_id, part), {"startingAt": REMOVE}, condition=ours)
            )
        except ConditionFailed:
            return

    async def record_part(self, wave_id: str, part: WavePart) -> WavePart:
        """Record what DRS answered, unless a job is recorded already; answer the part as it stands then."""
        key = _part_key(wave_id, part)
        unanswered = Attr("groupId").exists() & Attr("jobId").not_exists()
        try:
            item = await self._tables.write(Write("Update", "waves", key, to_item(part), condition=unanswered))
        except ConditionFailed:
            # Ours, if only the answer to it was lost, or another worker's, who found the job first.
            item = await self._tables.get("waves", *key) or to_item(part)
        return from_item(WavePart, item)

    async def finish(self, wave: Wave) -> bool:
        """Write the end of the start, once; tell whether it was this write that did."""
        values = to_item(wave)
        starting = Attr("status").eq(WaveStatus.STARTING.value)
        try:
            await self._tables.write(Write("Update", "waves", (wave.wave_id, "wave"), values, condition=starting))
        except ConditionFailed:
            return False
        return True


def put_wave(wave: Wave, parts: list[WavePart]) -> list[Write]:
    """Put a new wave with its parts."""
    absent = Attr("waveId").not_exists()
    head = Write("Put", "waves", (wave.wave_id, "wave"), to_item(wave), condition=absent)
    return [head, *(Write("Put", "waves", _part_key(wave.wave_id, part), to_item(part)) for part in parts)]


def _part_key(wave_id: str, part: WavePart) -> tuple[str, str]:
    return (wave_id, f"part#{part.number:04d}")
