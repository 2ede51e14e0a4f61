"""
What an apply run would do with a group's members, as things stand now. Reads only, paced like everything else.

Nothing is written at AWS, and nothing in our tables but the turns that the reads take in the fleet's buckets.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workers.core.errors import AccessDenied, AccountNotInitialized, PermanentError, PrelaunchError, RetryableError
from workers.core.model.group import Target
from workers.core.pages import bad_token, read_token, write_token
from workers.core.plan.baseline import NO_BASELINE
from workers.core.plan.observed import ObservedTemplate
from workers.core.ports import Clock, LaunchTemplateReads
from workers.core.queries import GroupView, Queries
from workers.core.requests import Conflict
from workers.core.server_plan import NOTHING_SEEN, ServerPlanner, Step
from workers.core.store.records import ServerError, ServerItem
from workers.core.store.runs import RunStore

PAGED_FROM = 50
"""More members than these are compared with pages of all default versions: at most 25 calls for 5,000 templates."""
AT_ONCE = 32
"""Source servers that one request has in hand."""
ACCOUNT_PROBLEMS = (AccessDenied, AccountNotInitialized)
"""What keeps us from reading one source server keeps us from all of its account."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What an apply run would do with one source server."""

    source_server_id: str
    steps: tuple[Step, ...] = ()
    """None where there is nothing to do."""
    error: ServerError | None = None
    """Why it could not be planned: it cannot be read, or what is wanted cannot be applied."""


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What an apply run would do with a page of a group's members."""

    view: GroupView
    servers: list[ServerPlan]
    next_token: str | None


class Preview:
    """Plans and writes nothing."""

    def __init__(
        self,
        queries: Queries,
        runs: RunStore,
        planner: ServerPlanner,
        templates: LaunchTemplateReads,
        clock: Clock,
    ) -> None:
        self._queries = queries
        self._runs = runs
        self._planner = planner
        self._templates = templates
        self._clock = clock

    async def plan(self, group_id: str, limit: int, token: str | None) -> GroupPlan:
        """
        Plan a page of a group's members.

        Parameters:
            group_id: The group.
            limit: The most that are planned.
            token: The one that the page before gave; None for the first page.

        Returns:
            The plan.

        Raises:
            NotFound: There is no such group.
            Conflict: The group changed since the page before, or its account lets nobody read.
            RequestRefused: The token is none of ours.
            ServiceUnavailable: AWS or our own tables do not answer.
        """
        asked = asked_plan(group_id)
        place = read_token(token, asked)
        view = await self._queries.group(group_id)
        after = _find_after(place, view.head.version)
        left = [member for member in sorted(view.definition.source_server_ids) if member > after]
        part = left[:limit]
        servers = await self._plan_part(view, part)
        more = len(left) > len(part)
        return GroupPlan(view, servers, write_token(asked, (view.head.version, part[-1])) if more else None)

    async def compare(self, group_id: str, members: Collection[str]) -> list[ServerPlan]:
        """
        Compare members of a group with what AWS holds now: what an apply run would change is not as it is wanted.

        Parameters:
            group_id: The group.
            members: The source servers; those that are no members any more are left out.

        Returns:
            What was found, by source server.

        Raises:
            NotFound: There is no such group.
            Conflict: Its account lets nobody read.
            ServiceUnavailable: AWS or our own tables do not answer.
        """
        return await self.compare_members(await self._queries.group(group_id), members)

    async def compare_members(self, view: GroupView, members: Collection[str]) -> list[ServerPlan]:
        """
        Compare members of a group, as it was read, with DRS and EC2.

        Parameters:
            view: The group.
            members: The source servers; those that are no members are left out.

        Returns:
            What was found, by source server.

        Raises:
            Conflict: Its account lets nobody read.
            ServiceUnavailable: AWS or our own tables do not answer.
        """
        return await self._plan_part(view, sorted(set(view.definition.source_server_ids) & set(members)))

    async def _plan_part(self, view: GroupView, part: Sequence[str]) -> list[ServerPlan]:
        try:
            return await self._plan_all(view, part)
        except ACCOUNT_PROBLEMS as problem:
            raise cannot_read(view.head.account_id, view.head.region, problem) from problem

    async def _plan_all(self, view: GroupView, members: Sequence[str]) -> list[ServerPlan]:
        target = view.definition.target
        servers = await self._runs.read_servers(view.head.group_id)
        seen = await self._look(target, members)
        gate = asyncio.Semaphore(AT_ONCE)

        async def plan(member: str) -> ServerPlan:
            async with gate:
                return await self._plan_server(view, member, seen, servers.get(member))

        tasks = [asyncio.create_task(plan(member)) for member in members]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _look(self, target: Target, members: Sequence[str]) -> Mapping[str, ObservedTemplate]:
        return await self._templates.read_all_defaults(target) if len(members) > PAGED_FROM else NOTHING_SEEN

    async def _plan_server(
        self, view: GroupView, member: str, seen: Mapping[str, ObservedTemplate], item: ServerItem | None
    ) -> ServerPlan:
        desired, target = view.definition.effective(member), view.definition.target
        baseline = (item.baseline if item is not None else None) or NO_BASELINE
        try:
            steps = await self._planner.plan(target, member, desired, seen, baseline=baseline)
        except ACCOUNT_PROBLEMS:
            raise
        except (PermanentError, RetryableError) as error:
            return ServerPlan(member, error=_report(member, error, self._clock))
        return ServerPlan(member, steps)


def _report(member: str, error: PrelaunchError, clock: Clock) -> ServerError:
    return ServerError(
        source_server_id=member,
        code=error.code,
        message=error.message,
        at=clock(),
        attempt=1,
        operation=error.operation or None,
        request_id=error.request_id,
    )


def asked_plan(group_id: str) -> tuple[str, ...]:
    """Tell what a page of a plan is one of."""
    return "launch-config-plan", group_id


def cannot_read(account_id: str, region: str, problem: AccessDenied | AccountNotInitialized) -> Conflict:
    """Make the one error for all source servers of an account and Region that lets nobody read."""
    answered = f"{problem.operation} answered {problem.code}: " if problem.operation else ""
    return Conflict(
        f"The launch settings of account {account_id} in {region} cannot be read: {answered}{problem.message}"
        " No source server was planned. Put that right in the account, then ask again.",
        code=type(problem).code,
    )


def _find_after(place: list[object] | None, version: int) -> str:
    """Answer the member after which the page begins."""
    match place:
        case None:
            return ""
        case [int() as then, str() as member]:
            if then == version:
                return member
            told = "The group's definition changed since the page before. Read again from the first page."
            raise Conflict(told, code="STATUS_CHANGED")
    raise bad_token()
