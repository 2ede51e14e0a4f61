"""
Runs: heads, lists, and what is recorded of each source server.

Longer than others: every read and write of these items stands here, where their conditions can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from async_lru import alru_cache
from boto3.dynamodb.conditions import Attr

from workers.core.contract import Queue
from workers.core.errors import GroupDeleted
from workers.core.model.digest import digest_group, digest_launch_config
from workers.core.model.group import GroupDefinition, Target
from workers.core.status import ServerRecord, Status, read_server_status
from workers.core.store.groups import GroupStore
from workers.core.store.leases import Lease, end_lease
from workers.core.store.records import Look, Mode, RunHead, ServerItem, from_item, to_item, to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import CLEARING, UNSETTLED, begin_run, end_clearing, padded
from workers.core.store.tables import BATCH_READ, Tables
from workers.core.store.writes import REMOVE, Write

RUNS_CACHED = 32
MOST_UNSETTLED = 1000


@dataclass(frozen=True)
class Run:
    """What never changes about a run: kept in memory by whoever works on it."""

    group_id: str
    head: RunHead
    listed: frozenset[str]
    definition: GroupDefinition

    @property
    def target(self) -> Target:
        """Tell where the members are."""
        return self.definition.target

    @property
    def brings(self) -> frozenset[str]:
        """Tell which source servers it brings to their launch config: none where it only reports."""
        return frozenset() if self.head.mode is Mode.REPORT else self.listed

    @cached_property
    def config_hashes(self) -> dict[str, str]:
        """Tell each member's digest of its effective launch config."""
        return {
            member: digest_launch_config(self.definition.effective(member))
            for member in self.definition.source_server_ids
        }

    @property
    def digest(self) -> str:
        """Tell the group's digest."""
        return digest_group(self.config_hashes)

    def read_statuses(self, servers: dict[str, ServerItem]) -> dict[str, Status]:
        """Tell each member's status at this run's generation."""
        return {
            member: read_server_status(
                _record(servers.get(member)),
                listed=member in self.listed,
                generation=self.head.generation,
                config_hash=config_hash,
            )
            for member, config_hash in self.config_hashes.items()
        }

    def find_recorded(self, servers: dict[str, ServerItem]) -> frozenset[str]:
        """Find which of the source servers on the list have their outcome."""
        generation = self.head.generation
        return frozenset(
            member for member in self.listed if member in servers and servers[member].generation >= generation
        )


class _NoRun(Exception):
    """There is no such run; raised, for an answer would be kept, and the run may be opened later."""


class RunStore:
    """Reads runs and records outcomes."""

    def __init__(self, tables: Tables, groups: GroupStore) -> None:
        self._tables = tables
        self._groups = groups
        # Sixty jobs of a run that begin together read it once; what fails is not kept.
        self._read_once = alru_cache(maxsize=RUNS_CACHED)(self._read_run)

    async def read_head(self, group_id: str, generation: int) -> RunHead | None:
        """Read the head of a run as it is now."""
        item = await self._tables.get("runs", group_id, padded("head", generation))
        return from_item(RunHead, item) if item else None

    async def read_run(self, group_id: str, generation: int) -> Run | None:
        """
        Read a run; its head's counters and times are as they were when it was first read here.

        Returns:
            The run; None where there is none, or its group was deleted.

        Parameters:
            group_id: The group.
            generation: The run's.
        """
        try:
            return await self._read_once(group_id, generation)
        except (_NoRun, GroupDeleted):
            return None

    async def _read_run(self, group_id: str, generation: int) -> Run:
        head = await self.read_head(group_id, generation)
        if head is None:
            raise _NoRun
        definition = await self._groups.read_definition(group_id, head.config_version)
        return Run(group_id, head, frozenset(await self.read_listed(group_id, generation)), definition)

    async def read_heads(self, group_id: str, *, limit: int, before: int | None) -> list[RunHead]:
        """
        Read the heads of a group's runs, newest first.

        Parameters:
            group_id: The group.
            limit: The most that are answered.
            before: Only older generations than this; None for all.

        Returns:
            The heads; fewer than the limit only where there are no more.
        """
        key = None if before is None else padded("head", before)
        items = await self._tables.read_back("runs", group_id, "head#", limit=limit, before=key)
        return [from_item(RunHead, item) for item in items]

    async def read_many_heads(self, generations: Mapping[str, int]) -> dict[str, RunHead]:
        """Read the head of one run of each of many groups, 100 a call; one that is not there is left out."""
        keys = [(group_id, padded("head", generation)) for group_id, generation in generations.items()]
        return {item["groupId"]: from_item(RunHead, item) for item in await self._tables.get_many("runs", keys)}

    async def read_listed(self, group_id: str, generation: int) -> tuple[str, ...]:
        """Read which source servers a run lists."""
        item = await self._tables.get("runs", group_id, padded("list", generation))
        return tuple(item["sourceServerIds"]) if item else ()

    async def delete_servers(self, group_id: str) -> None:
        """Delete what is recorded of a deleted group's source servers."""
        await self._tables.delete_all("runs", group_id, "server#")

    async def end_clearing(self, group_id: str) -> None:
        """Take a deleted group, of which nothing is left to clear, out of the sparse index."""
        await self._tables.write(end_clearing(group_id))

    async def delete_server(self, group_id: str, source_server_id: str) -> None:
        """Delete what is recorded of one source server of a deleted group."""
        await self._tables.write(Write("Delete", "runs", (group_id, f"server#{source_server_id}")))

    async def read_servers(self, group_id: str) -> dict[str, ServerItem]:
        """Read what is recorded of every source server that ever was a member."""
        found = [from_item(ServerItem, i) async for i in self._tables.query("runs", group_id, "server#")]
        return {item.source_server_id: item for item in found}

    async def read_server(self, group_id: str, source_server_id: str) -> ServerItem | None:
        """Read what is recorded of one source server."""
        item = await self._tables.get("runs", group_id, f"server#{source_server_id}")
        return from_item(ServerItem, item) if item else None

    async def record(self, group_id: str, item: ServerItem, lease: Lease, also: Write | None = None) -> bool:
        """
        Record an outcome and give the lease back, both or neither.

        Returns:
            Whether it was recorded; False where this generation or a newer one already is.

        Parameters:
            group_id: The group.
            item: What came of the source server.
            lease: The lease under which it was done.
            also: A write that stands or falls with it.

        Raises:
            LeaseLost: The lease is another's by now; nothing was recorded.
        """
        values = to_item(item)
        gone = {name: REMOVE for name in ("errors", "refusedVersion", "verifiedAt") if name not in values}
        server = Write(
            "Update",
            "runs",
            (group_id, f"server#{item.source_server_id}"),
            {**values, **gone},
            condition=Attr("generation").not_exists() | Attr("generation").lt(item.generation),
        )
        try:
            await self._tables.transact([server, end_lease(lease, item.last_write_at), *([also] if also else [])])
        except ConditionFailed as failed:
            if 1 in failed.failed:
                raise lease.lost() from failed
            return False
        return True

    async def count_done(self, group_id: str, generation: int, at: datetime | None) -> RunHead:
        """
        Count one more recorded outcome.

        Parameters:
            group_id: The group.
            generation: That of the run.
            at: When a source server came to its end; None where only the run's time did, which no outcome prolongs.

        Returns:
            The run's head: its count is a hint to look, never the truth.
        """
        write = Write(
            "Update",
            "runs",
            (group_id, padded("head", generation)),
            {} if at is None else {"doneAt": to_time(at)},
            add={"done": 1},
            condition=Attr("runId").exists(),
        )
        return from_item(RunHead, await self._tables.write(write))

    async def count_at_least(self, group_id: str, generation: int, done: int, at: datetime) -> None:
        """
        Make up for counts that never came, as where a worker died between a record and its count.

        Parameters:
            group_id: The group.
            generation: That of the run.
            done: How many outcomes are recorded.
            at: When the latest of them was.
        """
        short = Attr("runId").exists() & Attr("done").lt(done)
        values = {"done": done, "doneAt": to_time(at)}
        try:
            await self._tables.write(
                Write("Update", "runs", (group_id, padded("head", generation)), values, condition=short)
            )
        except ConditionFailed:
            return

    async def begin(self, group_id: str, head: RunHead, now: datetime, look_at: datetime) -> None:
        """Let a run's time count from now, as nothing keeps its jobs back; unless it was sent since it was read."""
        try:
            await self._tables.write(begin_run(group_id, head, now, look_at))
        except ConditionFailed:
            return

    async def mark_urgent(self, group_id: str, generation: int) -> None:
        """Note that a wave waits for a run: what is sent of it later, and what supersedes it, is urgent too."""
        key = (group_id, padded("head", generation))
        values = {"queue": Queue.URGENT.value}
        try:
            await self._tables.write(Write("Update", "runs", key, values, condition=Attr("runId").exists()))
        except ConditionFailed:
            return

    async def note_wait(self, group_id: str, generation: int, waiting_for: str, at: datetime) -> None:
        """Note what a run waits for, for whoever asks in the next minutes."""
        values = {"waitingFor": waiting_for, "waitingAt": at.isoformat()}
        key = (group_id, padded("head", generation))
        try:
            await self._tables.write(Write("Update", "runs", key, values, condition=Attr("runId").exists()))
        except ConditionFailed:
            return

    async def read_due(self, now: datetime, *, limit: int) -> list[tuple[str, int | None]]:
        """
        Find unsettled runs and deleted groups that are to be looked after by now, those that wait longest first.

        Parameters:
            now: The present.
            limit: The most that are answered.

        Returns:
            Group and generation of each run, and no generation for a deleted group; one that was settled a moment ago
            may still be among them.
        """
        items = await self._tables.read_index(UNSETTLED, limit=limit, until=to_time(now))
        return [(item["groupId"], _generation_of(item["item"])) for item in items]

    async def read_unsettled(self, *, most: int) -> list[RunHead] | None:
        """
        Read the heads of the runs that have not settled, 100 a call.

        Parameters:
            most: Of so many, deleted groups among them, all are read.

        Returns:
            The heads as they are now, None where there are more; what was opened a moment ago may be missing.
        """
        items = await self._tables.read_index(UNSETTLED, limit=most + 1)
        if len(items) > most:
            return None
        # Once each: who moves on in the index while it is read may be met twice.
        keys = [*dict.fromkeys((item["groupId"], item["item"]) for item in items if item["item"] != CLEARING)]
        heads: list[RunHead] = []
        for start in range(0, len(keys), BATCH_READ):
            # A call at a time: thousands of heads made at once would hold up everybody else on the loop.
            found = await self._tables.get_many("runs", keys[start : start + BATCH_READ])
            # What settled a moment ago may still be in the index.
            heads += [from_item(RunHead, head) for head in found if UNSETTLED in head]
        return heads

    async def count_backlog(self, account_id: str, region: str) -> int:
        """Count the source servers that the unsettled runs of an account and Region list."""
        items = await self._tables.read_index(UNSETTLED, limit=MOST_UNSETTLED)
        here = [item for item in items if (item.get("accountId"), item.get("region")) == (account_id, region)]
        return sum(item["listed"] for item in here)

    async def claim_look(self, group_id: str, head: RunHead, look: Look) -> bool:
        """
        Take it on oneself to look after a run, so that nobody else does at the same time.

        Parameters:
            group_id: The group.
            head: The run's head as it was read.
            look: When it is looked after next, and what is remembered until then.

        Returns:
            Whether it was taken; False where somebody else did, or the run has settled.
        """
        values = {
            "resendAfter": to_time(look.next_at),
            "deadline": to_time(look.deadline),
            "stalls": look.stalls,
            "doneSeen": head.done,
        }
        mine = Attr("resendAfter").eq(to_time(head.resend_after)) & Attr(UNSETTLED).exists()
        key = (group_id, padded("head", head.generation))
        try:
            await self._tables.write(Write("Update", "runs", key, values, condition=mine))
        except ConditionFailed:
            return False
        return True

    async def give_up(self, group_id: str, item: ServerItem) -> bool:
        """
        Record a source server as failed without its lease: nobody came to an outcome in time.

        Parameters:
            group_id: The group.
            item: What is said of it.

        Returns:
            Whether it was recorded; False where an outcome of this generation or a newer one is.
        """
        key = (group_id, f"server#{item.source_server_id}")
        older = Attr("generation").not_exists() | Attr("generation").lt(item.generation)
        values = {**to_item(item), "verifiedAt": REMOVE}
        try:
            await self._tables.write(Write("Update", "runs", key, values, condition=older))
        except ConditionFailed:
            return False
        return True

    async def mark_sent(self, group_id: str, generation: int, at: datetime, *, look_at: datetime) -> None:
        """Note that the jobs of a run were sent, and when the sweeper is to look whether they get on."""
        values = {"sentAt": to_time(at), "resendAfter": to_time(look_at)}
        key = (group_id, padded("head", generation))
        await self._tables.write(Write("Update", "runs", key, values, condition=Attr("runId").exists()))


def _generation_of(item: str) -> int | None:
    return None if item == CLEARING else int(item.rpartition("#")[2])


def _record(item: ServerItem | None) -> ServerRecord | None:
    return ServerRecord(item.status, item.generation, item.config_hash) if item else None
