"""
Submitting: one transaction opens a generation, then one job a source server is sent.

Committed but not sent is accepted. Nothing is stored or sent for a request that is refused, and no generation
is opened over a state other than the one that was read.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import structlog
from boto3.dynamodb.conditions import Attr

from workers.core.contract import APPLY_ACTOR, Queue
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.ports import Clock, Job, JobQueue
from workers.core.requests import Conflict, Requester, RequestRefused, group_not_found
from workers.core.runs.opening import new_run_id, open_status, plan_run, put_first_run, put_next_run
from workers.core.runs.selection import ApplyRequest, is_in_hand, select_listed
from workers.core.status import Status
from workers.core.store.groups import GroupStore, put_definition, put_head
from workers.core.store.membership import find_owners, join_group, read_shards
from workers.core.store.records import GroupHead, GroupStatus
from workers.core.store.refusals import ConditionFailed
from workers.core.store.runs import Run, RunStore
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

log = structlog.get_logger()

OPEN_TRIES = 8


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a request."""

    status: GroupStatus | None
    """None where the group has no launch config."""
    opened: bool
    """Whether it opened a generation; otherwise the state or the run that there was answers it."""


class Submission:
    """Opens generations and sends their jobs."""

    def __init__(
        self,
        *,
        tables: Tables,
        groups: GroupStore,
        runs: RunStore,
        queue: JobQueue,
        clock: Clock,
        account_id: str,
    ) -> None:
        self._tables = tables
        self._groups = groups
        self._runs = runs
        self._queue = queue
        self._clock = clock
        self._account_id = account_id
        """The account that we run in: that of a group which names none."""

    async def create_group(self, definition: GroupDefinition, requester: Requester) -> GroupHead:
        """
        Create a group and, where it has a launch config, open its first generation.

        Parameters:
            definition: The group, checked.
            requester: Who asks.

        Returns:
            The group as it was stored.

        Raises:
            Conflict: Its name or one of its source servers is another group's.
            ServiceUnavailable: The stack's tables are too contended or do not answer; what was not answered may
                have been stored.
        """
        group_id = f"pg-{uuid.uuid4().hex[:17]}"
        account_id = definition.target.account_id or self._account_id
        _check_access(definition, account_id, self._account_id)
        # Stored by its number: one account has one bucket and one index, whether a group names it or means it.
        definition = replace(definition, target=replace(definition.target, account_id=account_id))
        now = self._clock()
        head = GroupHead(group_id, definition.name, definition.target.region, account_id, 1, now, now)
        run = plan_run(
            head,
            definition,
            generation=1,
            listed=frozenset(definition.source_server_ids),
            requester=requester,
            now=now,
        )
        token = str(uuid.uuid4())
        for _ in range(OPEN_TRIES):
            writes = [*await self._join(definition, head), *put_definition(group_id, 1, definition)]
            if definition.has_launch_config():
                writes += put_first_run(run, requester)
            try:
                await self._tables.transact(writes, token=token)
            except ConditionFailed:
                # The id is new: a group that is there is ours, and only the answer to the first try was lost.
                if await self._groups.read_head(group_id) is None:
                    token = str(uuid.uuid4())
                    continue
            if definition.has_launch_config():
                await self._send(run)
            log.info("group.created", group_id=group_id, servers=len(definition.source_server_ids))
            return head
        raise ServiceUnavailable("Other groups of this account change at the same time. Try again.")

    async def apply(self, group_id: str, request: ApplyRequest, requester: Requester) -> Submitted:
        """
        Apply a group's launch config: by a new generation, or by the run that is in hand.

        Parameters:
            group_id: The group.
            request: What is asked.
            requester: Who asks.

        Returns:
            The run or the state that answers the request.

        Raises:
            RequestRefused: There is no such group, or a source server that is asked for is no member.
            ServiceUnavailable: The stack's tables are too contended or do not answer.
        """
        run_id = new_run_id()
        for _ in range(OPEN_TRIES):
            submitted = await self._try_apply(group_id, request, requester, run_id)
            if submitted is not None:
                return submitted
        raise ServiceUnavailable(f"Others change {group_id} at the same time. Try again.")

    async def _try_apply(
        self, group_id: str, request: ApplyRequest, requester: Requester, run_id: str
    ) -> Submitted | None:
        """Answer from what there is or open a generation over it; None where it changed meanwhile."""
        head = await self._groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        status = await self._groups.read_status(group_id)
        if status is None:
            return Submitted(None, opened=False)
        run = await self._runs.read_run(group_id, status.generation)
        if run is None:
            # Head and list are written in one transaction with the status: the group was deleted just now.
            raise group_not_found(group_id)
        if status.run_id == run_id:
            # An earlier try of this very request committed, and only its answer was lost.
            await self._send_if_unsent(run, status)
            return Submitted(status, opened=True)
        _check_members(run.definition, request)
        servers = await self._runs.read_servers(group_id)
        statuses = run.read_statuses(servers)
        listed = select_listed(statuses, request)
        if not listed or is_in_hand(status.status, run.listed, statuses, request):
            await self._send_if_unsent(run, status)
            return Submitted(status, opened=False)
        now = self._clock()
        next_run = plan_run(
            head,
            run.definition,
            generation=status.generation + 1,
            listed=listed,
            requester=requester,
            now=now,
            run_id=run_id,
        )
        opened = open_status(next_run, servers, status, requester, now)
        try:
            await self._tables.transact(put_next_run(next_run, head, status, opened))
        except ConditionFailed:
            return None
        await self._send(next_run)
        return Submitted(opened, opened=True)

    async def _join(self, definition: GroupDefinition, head: GroupHead) -> list[Write]:
        members = definition.source_server_ids
        name_key = f"name#{definition.name}"
        shards = await read_shards(self._tables, head.account_id, head.region, members)
        _check_conflicts(definition, await self._tables.get("keys", name_key), find_owners(shards, members))
        name = Write("Put", "keys", (name_key,), {"groupId": head.group_id}, condition=Attr("key").not_exists())
        return [put_head(head), name, *join_group(shards, head.group_id, members)]

    async def _send_if_unsent(self, run: Run, status: GroupStatus) -> None:
        if status.status is not Status.PENDING:
            return
        head = await self._runs.read_head(run.group_id, run.head.generation)
        if head is not None and head.sent_at is None:
            await self._send(run)

    async def _send(self, run: Run) -> None:
        jobs = [
            Job(
                APPLY_ACTOR,
                run.group_id,
                {"groupId": run.group_id, "sourceServerId": member, "generation": run.head.generation},
            )
            for member in sorted(run.listed)
        ]
        try:
            await self._queue.send(Queue.NORMAL, jobs)
            await self._runs.mark_sent(run.group_id, run.head.generation, self._clock())
        except (ServiceUnavailable, SetupError) as error:
            # The run is accepted and stays: whoever asks for it again, or sweeps, sends what was not sent.
            log.warning("run.not_sent", group_id=run.group_id, generation=run.head.generation, error=error.message)


def _check_conflicts(definition: GroupDefinition, named: Mapping[str, object] | None, owners: dict[str, str]) -> None:
    errors = [
        FieldError(
            pointer=f"/sourceServerIds/{definition.source_server_ids.index(server)}",
            code="SERVER_CONFLICT",
            message=f"{server} belongs to protection group {owner} already; a source server is in one at most.",
            source_server_id=server,
        )
        for server, owner in owners.items()
    ]
    if named is not None:
        taken = f"Protection group {named['groupId']} is named {definition.name!r} already. Choose another name."
        errors.insert(0, FieldError("/groupName", "GROUP_NAME_EXISTS", taken, None))
    if errors:
        raise Conflict(errors[0].message, tuple(errors), code=errors[0].code)


def _check_access(definition: GroupDefinition, account_id: str, own_account_id: str) -> None:
    if account_id == own_account_id or definition.target.assume_role_name:
        return
    missing = FieldError(
        "/accountId",
        "INVALID_BODY",
        f"Account {account_id} is not the one that prelaunch runs in ({own_account_id}): name the role to assume"
        " there in assumeRoleName.",
        None,
    )
    raise InvalidBody((missing,))


def _check_members(definition: GroupDefinition, request: ApplyRequest) -> None:
    asked: Iterable[str] = request.source_server_ids or ()
    members = set(definition.source_server_ids)
    errors = tuple(
        FieldError(f"/sourceServerIds/{position}", "INVALID_BODY", f"{server} is no member of this group.", server)
        for position, server in enumerate(asked)
        if server not in members
    )
    if errors:
        raise RequestRefused(
            f"{len(errors)} of the source servers are no members of this group.", errors, code="INVALID_BODY"
        )
