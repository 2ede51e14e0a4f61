"""Answers about groups. None mixes two moments: the status is read before and after the items."""

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from workers.core.errors import GroupDeleted, ServiceUnavailable
from workers.core.model.group import GroupDefinition
from workers.core.pages import bad_token, read_token, write_token
from workers.core.ports import Clock
from workers.core.requests import Conflict, NotFound, group_not_found
from workers.core.runs.settle import combine_status
from workers.core.runs.waiting import read_wait
from workers.core.status import Status
from workers.core.store.groups import GroupStore, can_be_name
from workers.core.store.records import GroupHead, GroupStatus, ServerItem, Unlisted
from workers.core.store.runs import Run, RunStore

GROUP_ID = re.compile("pg-[0-9a-f]{17}")
READ_TRIES = 10
MAX_KEY = 200
GROUPS = ("protection-groups",)
"""What a page of the groups is one of."""
LIVE_READS = 8
"""Pending groups of a list that are read at once."""


class ServerFilter(StrEnum):
    """Which members a status answer shows."""

    ALL = "all"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the members a status answer shows."""

    servers: ServerFilter = ServerFilter.ALL
    limit: int = 100
    token: str | None = None

    def asked(self, group_id: str) -> tuple[str, ...]:
        """Tell what the page is one of: a token leads on in the same answer only."""
        return "launch-config-status", group_id, self.servers.value


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it is defined, and where it stands."""

    head: GroupHead
    definition: GroupDefinition
    status: GroupStatus | None


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group in a list: without its members."""

    head: GroupHead
    status: GroupStatus | None


@dataclass(frozen=True, slots=True)
class GroupList:
    """A page of the groups, by name."""

    groups: list[GroupSummary]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class StatusView:
    """Where a group and a page of its members stand, at one moment."""

    group_id: str
    status: GroupStatus | None
    """None where nothing was ever to be applied."""
    deadline: datetime | None
    """By when the run settles at the latest."""
    servers: dict[str, tuple[Status, str, ServerItem | None]]
    """Member to its status, the digest of its effective launch config, and what is recorded of it."""
    next_token: str | None
    waiting_for: str | None = None
    """What the run waits for, in words; None where nobody noted anything."""
    unlisted: Unlisted | None = None
    """Who matched the group's tags and was no member when the watch last looked; None where it found nobody."""


class Queries:
    """Reads for the doors; nothing here writes."""

    def __init__(self, groups: GroupStore, runs: RunStore, clock: Clock) -> None:
        self._groups = groups
        self._runs = runs
        self._clock = clock

    async def group(self, group_id: str) -> GroupView:
        """
        Read a group.

        Parameters:
            group_id: The group.

        Returns:
            Its definition and status.

        Raises:
            NotFound: There is no such group.
        """
        for _ in range(READ_TRIES):
            head = await self._groups.read_head(group_id)
            if head is None:
                raise group_not_found(group_id)
            try:
                definition = await self._groups.read_definition(group_id, head.version)
            except GroupDeleted:
                continue
            status = await self._read_live_status(group_id, await self._groups.read_status(group_id))
            after = await self._groups.read_head(group_id)
            # An update in between would show the new status beside the old definition.
            if after is not None and after.version == head.version:
                return GroupView(head, definition, status)
        raise ServiceUnavailable(f"{group_id} changes faster than it can be read. Try again.")

    async def groups(self, limit: int, token: str | None) -> GroupList:
        """
        List groups by name.

        Parameters:
            limit: The most that are answered, 1 to 1,000.
            token: The one that the page before gave; None for the first page.

        Returns:
            A page; a group that was made or renamed a moment ago may not be where it belongs yet.

        Raises:
            RequestRefused: The token is none of ours.
        """
        named = await self._groups.read_named(limit, _read_name(read_token(token, GROUPS)))
        found = await self._groups.read_many([group_id for _, group_id in named])
        gate = asyncio.Semaphore(LIVE_READS)

        async def summarize(group_id: str) -> GroupSummary:
            head, status = found[group_id]
            async with gate:
                return GroupSummary(head, await self._read_live_status(group_id, status))

        present = [group_id for _, group_id in named if group_id in found]
        groups = await asyncio.gather(*(summarize(group_id) for group_id in present))
        return GroupList(list(groups), write_token(GROUPS, named[-1]) if len(named) == limit else None)

    async def _read_live_status(self, group_id: str, status: GroupStatus | None) -> GroupStatus | None:
        """A settled status says all; of a pending one the members' items say how far it is."""
        if status is None or status.status is not Status.PENDING:
            return status
        try:
            return (await self.status(group_id, Page(limit=0))).status
        except NotFound:
            # Deleted a moment after it was read.
            return status

    async def find(self, group: str) -> str:
        """
        Find a group by its id, else by its name.

        Parameters:
            group: What a person calls it.

        Returns:
            Its id.

        Raises:
            NotFound: No group has this id or name.
        """
        name = group.strip()
        if can_be_name(name):
            if await self._groups.read_head(name) is not None:
                return name
            group_id = await self._groups.find_named(name)
            if group_id is not None:
                return group_id
        raise group_not_found(group)

    async def find_also_deleted(self, group: str) -> str:
        """Find a group as `find` does; text of the form of an id that no group has is the id of a deleted one."""
        try:
            return await self.find(group)
        except NotFound:
            if GROUP_ID.fullmatch(group.strip()):
                return group.strip()
            raise

    async def is_settled(self, group_id: str) -> bool:
        """Tell whether no run of the group is under way, by its status item alone."""
        status = await self._groups.read_status(group_id)
        return status is None or status.status is not Status.PENDING

    async def status(self, group_id: str, page: Page) -> StatusView:
        """
        Read where a group and a page of its members stand.

        Parameters:
            group_id: The group.
            page: Which members to show.

        Returns:
            One moment's status.

        Raises:
            RequestRefused: There is no such group, or the page's token is none of ours.
            Conflict: The status changed since the page before: begin again.
            ServiceUnavailable: It changes faster than it can be read.
        """
        place = read_token(page.token, page.asked(group_id))
        for _ in range(READ_TRIES):
            status = await self._groups.read_status(group_id)
            if status is None:
                if await self._groups.read_head(group_id) is None:
                    raise group_not_found(group_id)
                return StatusView(group_id, None, None, {}, None)
            after = _find_after(place, status)
            run = await self._runs.read_run(group_id, status.generation)
            servers = await self._runs.read_servers(group_id)
            # The run in memory has its head as it was when it was first read.
            head = await self._runs.read_head(group_id, status.generation) if status.status is Status.PENDING else None
            if run is not None and _same_moment(status, await self._groups.read_status(group_id)):
                view = self._view(run, status, servers, page, after)
                if head is None:
                    return view
                waiting_for = read_wait(view.status or status, head, self._clock())
                return replace(view, deadline=head.deadline, waiting_for=waiting_for)
        raise ServiceUnavailable(f"The status of {group_id} changes faster than it can be read. Try again.")

    def _view(
        self, run: Run, status: GroupStatus, servers: dict[str, ServerItem], page: Page, after: str
    ) -> StatusView:
        combined = combine_status(run, servers, status, self._clock())
        if status.status is not Status.PENDING:
            shown = status
        else:
            # Every member may be recorded and the one write not yet done: until then the group is pending.
            shown = replace(combined, status=Status.PENDING, last_applied=status.last_applied)
        wanted = [
            (member, member_status)
            for member, member_status in sorted(run.read_statuses(servers).items())
            if member > after and page.servers in {ServerFilter.ALL, member_status.value}
        ]
        part = wanted[: page.limit]
        more = 0 < page.limit < len(wanted)
        return StatusView(
            group_id=run.group_id,
            status=shown,
            deadline=run.head.deadline if status.status is Status.PENDING else None,
            servers={m: (s, run.config_hashes[m], servers.get(m)) for m, s in part},
            next_token=write_token(page.asked(run.group_id), _place(status, part[-1][0])) if more else None,
            unlisted=_find_unlisted(run, status),
        )


def _find_unlisted(run: Run, status: GroupStatus) -> Unlisted | None:
    found = status.unlisted
    return found if found and found.count and found.config_version == run.head.config_version else None


def _same_moment(before: GroupStatus, after: GroupStatus | None) -> bool:
    return after is not None and (before.generation, before.status) == (after.generation, after.status)


def _place(status: GroupStatus, member: str) -> tuple[int, str, str]:
    return status.generation, status.status.value, member


def _find_after(place: list[object] | None, status: GroupStatus) -> str:
    """Answer the member after which the page begins."""
    match place:
        case None:
            return ""
        case [int() as generation, str() as state, str() as member]:
            if (generation, state) == (status.generation, status.status.value):
                return member
            told = "The group's status changed since the page before. Read again from the first page."
            raise Conflict(told, code="STATUS_CHANGED")
    raise bad_token()


def _read_name(place: list[object] | None) -> tuple[str, str] | None:
    """Answer name and id of the group after which the page begins; None for the first page."""
    match place:
        case None:
            return None
        case [str() as name, str() as group_id] if 0 < len(name) <= MAX_KEY and 0 < len(group_id) <= MAX_KEY:
            return name, group_id
    raise bad_token()
