"""
Waves: accepted whole, then each group and each part moves on by conditional writes, and ends once.

Whoever goes on with a wave may do so beside others: what one of them does twice, or too late, its condition refuses.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from boto3.dynamodb.conditions import Attr, ConditionBase

from workers.core.store.holds import Hold
from workers.core.store.records import from_item, to_item, to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.wave_records import Wave, WaveGroup, WavePart, WaveStatus, WaveView
from workers.core.store.writes import REMOVE, Index, Item, Write

UNFINISHED: Index = "unfinished"
ACCEPTED: Index = "accepted"
GOES_ON = Attr("status").is_in([status.value for status in WaveStatus if not status.is_over])
IS_STARTABLE = GOES_ON & Attr("stopCode").not_exists()
ANSWERS = ("errorCode", "errorMessage", "errorRequestId")


class WaveStore:
    """Reads waves and writes how they go on."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, wave_id: str) -> WaveView | None:
        """Read a wave with its groups and parts; None where there is no such wave."""
        # In the order of their sort keys: the groups, the parts, then the wave.
        items = [item async for item in self._tables.query("waves", wave_id, "")]
        if not items or items[-1]["item"] != "wave":
            return None
        groups = [from_item(WaveGroup, item) for item in items if item["item"].startswith("group#")]
        parts = [from_item(WavePart, item) for item in items if item["item"].startswith("part#")]
        return WaveView(from_item(Wave, items[-1]), tuple(groups), tuple(parts))

    async def read_accepted(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """
        List waves by when they were accepted, newest first.

        Parameters:
            limit: The most that are answered.
            after: Time and id of the wave that the page before ended with.

        Returns:
            Time and id of each; one that was accepted a moment ago may be missing.
        """
        start = {"acceptedAt": after[0], "waveId": after[1], "item": "wave"} if after else None
        items = await self._tables.read_index(ACCEPTED, limit=limit, after=start, backward=True)
        return [(item["acceptedAt"], item["waveId"]) for item in items]

    async def read_many(self, wave_ids: Sequence[str]) -> list[Wave]:
        """Read what waves are, without their groups and parts, in this order."""
        keys = [(wave_id, "wave") for wave_id in wave_ids]
        items = {item["waveId"]: item for item in await self._tables.get_many("waves", keys)}
        return [from_item(Wave, items[wave_id]) for wave_id in wave_ids if wave_id in items]

    async def read_due(self, now: datetime | None, *, limit: int) -> list[str]:
        """Find waves that are not over and are to be looked after by now (None: ever), who wait longest first."""
        until = None if now is None else to_time(now)
        items = await self._tables.read_index(UNFINISHED, limit=limit, until=until)
        return [item["waveId"] for item in items]

    async def claim_look(self, wave_id: str, now: datetime, look_at: datetime) -> bool:
        """Take it on oneself to look after a wave that is due; False where somebody else did, or it is over."""
        mine = GOES_ON & Attr("lookAt").lte(to_time(now))
        return await self._do([_update_wave(wave_id, {"lookAt": to_time(look_at)}, mine)])

    # --- groups

    async def note_group(self, wave_id: str, before: WaveGroup, after: WaveGroup) -> bool:
        """Write how far a group is, unless somebody moved it on since it was read."""
        return await self._do([_update_group(wave_id, before, after), _check_wave(wave_id, GOES_ON)])

    async def launch(
        self, wave: Wave, before: WaveGroup, after: WaveGroup, narrowed: Sequence[WavePart], held: Sequence[Write]
    ) -> bool:
        """
        Hold a group's launch templates, and let its parts start from then on.

        Parameters:
            wave: The wave.
            before: The group as it was read.
            after: The group as it is from then on, with the generation that it is launched at.
            narrowed: The parts that are started for fewer source servers than they were accepted with.
            held: The writes that take the wave's hold, over the group as it was read.

        Returns:
            Whether that is so now; False where the group, or somebody in it, moved on since it was read.
        """
        writes = [_update_group(wave.wave_id, before, after), _check_wave(wave.wave_id, IS_STARTABLE), *held]
        for part in narrowed:
            unstarted = Attr("groupId").exists() & Attr("startingAt").not_exists() & _unanswered()
            values = {**to_item(part), "sourceServerIds": list(part.source_server_ids)}
            writes.append(Write("Update", "waves", _part_key(wave.wave_id, part), values, condition=unstarted))
        return await self._do(writes)

    # --- parts

    async def claim_part(self, wave: Wave, part: WavePart, generation: int, hold: Hold, at: datetime) -> WavePart:
        """
        Say that the part's StartRecovery is about to be sent.

        Parameters:
            wave: The wave.
            part: The part, as it was read.
            generation: At which its group is launched; 0 where it has no launch config, and nobody writes for it.
            hold: The wave's.
            at: The present.

        Returns:
            The part, claimed.

        Raises:
            ConditionFailed: The wave goes on no longer (position 0), somebody else has the part (1), or the group is
                not the wave's any more (2).
        """
        claimed = replace(part, starting_at=at)
        values = {"startingAt": to_item(claimed)["startingAt"]}
        # Of a wave that was stopped nothing is started, however late its message comes.
        writes = [
            _check_wave(wave.wave_id, IS_STARTABLE),
            Write(
                "Update", "waves", _part_key(wave.wave_id, part), values, condition=_is_as_read(part) & _unanswered()
            ),
        ]
        if generation:
            writes.append(hold.check(part.group_id))
        await self._tables.transact(writes)
        return claimed

    async def release_part(self, wave_id: str, before: WavePart, part: WavePart, **noted: int) -> None:
        """
        Take back a claim whose call AWS refused: nothing was started by it.

        Parameters:
            wave_id: The wave.
            before: The part as it was before the claim: a call of then that was not answered is to be looked for still.
            part: The part, claimed.
            **noted: What else is written, by its attribute.
        """
        unanswered = {"startingAt": REMOVE} if before.starting_at is None else to_item(before)
        values: Item = {"startingAt": unanswered["startingAt"], **noted}
        await self._do(
            [Write("Update", "waves", _part_key(wave_id, part), values, condition=_is_as_read(part) & _unanswered())]
        )

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
        unanswered = Attr("groupId").exists() & Attr("jobId").not_exists() & _is_whole()
        if part.job_id is None:
            # A refusal speaks for its own claim only: whoever claimed the part since may have started it.
            unanswered &= _is_as_read(part)
        gone = {name: REMOVE for name in ANSWERS if name not in values}
        try:
            item = await self._tables.write(Write("Update", "waves", key, {**values, **gone}, condition=unanswered))
        except ConditionFailed:
            item = await self._tables.get("waves", *key) or values
        return from_item(WavePart, item)

    async def split_part(self, wave_id: str, part: WavePart, children: Sequence[WavePart]) -> bool:
        """Put two parts in the place of one whose call DRS refused; False where somebody else went on with it."""
        parent = Write(
            "Update",
            "waves",
            _part_key(wave_id, part),
            {"isSplit": True, "startingAt": REMOVE},
            condition=_is_as_read(part) & _unanswered(),
        )
        puts = [
            Write(
                "Put",
                "waves",
                _part_key(wave_id, child),
                _values_of(child),
                condition=Attr("waveId").not_exists(),
            )
            for child in children
        ]
        return await self._do([parent, *puts, _check_wave(wave_id, GOES_ON)])

    async def note_launches(self, wave_id: str, part: WavePart) -> None:
        """Write how far the launches of a part's job are; a job that is over stays so."""
        values = {name: to_item(part)[name] for name in ("launchStatuses", "jobOver")}
        going = Attr("jobId").eq(part.job_id) & Attr("jobOver").eq(False)  # a value of DynamoDB's
        await self._do([Write("Update", "waves", _part_key(wave_id, part), values, condition=going)])

    # --- the wave

    async def note(self, wave: Wave, also: Sequence[Write] = ()) -> bool:
        """
        Write where a wave stands; once it is over it stays so, and nobody looks after it any more.

        Parameters:
            wave: The wave as it is from now on.
            also: Writes that stand or fall with it.

        Returns:
            Whether it was written; False where it was over.
        """
        values = {**to_item(wave), "lookAt": to_time(wave.look_at)}
        gone = {name: REMOVE for name in ("startedAt", "waitingFor") if name not in values}
        # Those say why it is to be ended: written by somebody else, perhaps since this one was read.
        kept = {name: value for name, value in values.items() if name not in {"stopCode", "stopMessage", "acceptedAt"}}
        if wave.status.is_over:
            gone[UNFINISHED] = REMOVE
        return await self._do([_update_wave(wave.wave_id, {**kept, **gone}, GOES_ON), *also])

    async def stop(self, wave_id: str, code: str, message: str, at: datetime) -> bool:
        """
        Let nothing more of a wave be started; whoever goes on with it ends it.

        Parameters:
            wave_id: The wave.
            code: Why.
            message: Why, for a person.
            at: The present, at which the sweeper is to look.

        Returns:
            Whether it is stopped; False where everything of it was started, or it is over, or there is none.
        """
        starting = [status.value for status in WaveStatus if not status.is_begun]
        values = {"stopCode": code, "stopMessage": message, "lookAt": to_time(at)}
        unstopped = Attr("status").is_in(starting) & Attr("stopCode").not_exists()
        return await self._do([_update_wave(wave_id, values, unstopped)])

    async def _do(self, writes: Sequence[Write]) -> bool:
        """Do all writes or none; tell whether they are done."""
        try:
            await (self._tables.write(writes[0]) if len(writes) == 1 else self._tables.transact(writes))
        except ConditionFailed:
            return False
        return True


def put_wave(view: WaveView) -> list[Write]:
    """Put a new wave with its groups and parts."""
    wave_id, absent = view.wave.wave_id, Attr("waveId").not_exists()
    values = {**to_item(view.wave), UNFINISHED: UNFINISHED, ACCEPTED: ACCEPTED}
    values |= {"lookAt": to_time(view.wave.look_at), "acceptedAt": to_time(view.wave.accepted_at)}
    return [
        Write("Put", "waves", (wave_id, "wave"), values, condition=absent),
        *(Write("Put", "waves", _group_key(wave_id, group), to_item(group)) for group in view.groups),
        *(Write("Put", "waves", _part_key(wave_id, part), _values_of(part)) for part in view.parts),
    ]


def _values_of(part: WavePart) -> Item:
    return {**to_item(part), "sourceServerIds": list(part.source_server_ids)}


def _check_wave(wave_id: str, condition: ConditionBase) -> Write:
    return Write("ConditionCheck", "waves", (wave_id, "wave"), condition=condition)


def _update_wave(wave_id: str, values: Item, condition: ConditionBase) -> Write:
    return Write("Update", "waves", (wave_id, "wave"), values, condition=condition)


def _update_group(wave_id: str, before: WaveGroup, after: WaveGroup) -> Write:
    as_read: ConditionBase = Attr("state").eq(before.state.value) & Attr("applied").eq(before.applied)
    as_read &= Attr("urged").eq(before.urged)
    return Write("Update", "waves", _group_key(wave_id, before), to_item(after), condition=as_read)


def _unanswered() -> ConditionBase:
    return Attr("jobId").not_exists() & Attr("errorCode").not_exists() & _is_whole()


def _is_whole() -> ConditionBase:
    return Attr("isSplit").eq(False)  # a value of DynamoDB's


def _is_as_read(part: WavePart) -> ConditionBase:
    before = Attr("startingAt")
    return before.not_exists() if part.starting_at is None else before.eq(to_item(part)["startingAt"])


def _group_key(wave_id: str, group: WaveGroup) -> tuple[str, str]:
    return (wave_id, f"group#{group.number:04d}")


def _part_key(wave_id: str, part: WavePart) -> tuple[str, str]:
    return (wave_id, f"part#{part.number:04d}{part.path}")
