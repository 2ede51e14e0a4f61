"""
Submitting: one transaction opens a generation, then one job a source server is sent.

Committed but not sent is accepted. Nothing is stored or sent for a request that is refused, and no generation
is opened over a state other than the one that was read.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from workers.core.contract import Queue
from workers.core.errors import ServiceUnavailable
from workers.core.model.errors import FieldError
from workers.core.model.group import GroupDefinition
from workers.core.requests import Requester, RequestRefused, group_not_found, unless_deleted
from workers.core.runs.members import check_access, plan_membership, take_name
from workers.core.runs.next_run import NextRun
from workers.core.runs.opening import check_size, new_event, new_run_id, open_status, put_opening
from workers.core.runs.resources import Resources
from workers.core.runs.selection import ApplyRequest, find_waiting, is_in_hand, select_listed
from workers.core.status import Status
from workers.core.store.groups import check_status, put_definition, put_head
from workers.core.store.receipts import Receipt
from workers.core.store.records import GroupHead, GroupStatus
from workers.core.store.run_writes import put_event
from workers.core.validation.check import Check
from workers.core.validation.validation import Validation

log = structlog.get_logger()

OPEN_TRIES = 8


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a request."""

    run_id: str | None
    """The run that answers it; None where the group has no launch config."""
    accepted: bool
    """Whether work is under way for it; otherwise there was nothing to do."""
    in_hand: frozenset[str] = field(default=frozenset(), compare=False)
    """The members that the run has still to bring to their launch config, as far as they were asked for; of a request
    that was repeated, none: no part of what is answered like the first."""
    generation: int = field(default=0, compare=False)
    """That of the run; 0 where the group has no launch config."""
    statuses: Mapping[str, Status] = field(default_factory=dict, compare=False)
    """Every member's status as it was when this was answered; of a repeated request, or without launch config, none."""


def new_group_id() -> str:
    """Make the id of a new group."""
    return f"pg-{uuid.uuid4().hex[:17]}"


class Submission:
    """Creates groups and opens generations of those that there are."""

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._with = resources
        self._validation = validation
        self._next = NextRun(resources)

    async def create_group(
        self,
        definition: GroupDefinition,
        requester: Requester,
        *,
        queue: Queue = Queue.NORMAL,
        check: Check | None = None,
    ) -> GroupHead:
        """
        Create a group and, where it has a launch config, open its first generation.

        Parameters:
            definition: The group, checked.
            requester: Who asks.
            queue: Where its jobs are sent.
            check: What was looked up in its account just now; None asks it.

        Returns:
            The group as it was stored.

        Raises:
            Conflict: Its name or one of its source servers is another group's, or its account refuses to be asked.
            InvalidBody: Its account cannot give what its launch configs name.
            GroupTooLarge: It does not fit into one transaction.
            RequestRefused: The requester's key was used for another request.
            RetryableError: Its account cannot be asked just now.
            ServiceUnavailable: The stack's tables are too contended or do not answer; what was not answered may
                have been stored.
        """
        group_id = new_group_id()
        account_id = definition.target.account_id or self._with.account_id
        check_access(definition, account_id, self._with.account_id)
        # Stored by its number: one account has one bucket and one index, whether a group names it or means it.
        definition = replace(definition, target=replace(definition.target, account_id=account_id))
        now = self._with.clock()
        head = GroupHead(group_id, definition.name, definition.target.region, account_id, 1, now, now)
        check = check or Check(self._validation)
        for _ in range(OPEN_TRIES):
            created = await self._with.receipts.do_once(
                requester,
                lambda: self._try_create(head, definition, requester, queue, check),
                lambda receipt: self._read_head(receipt.subject),
            )
            if created is not None:
                return created
        raise ServiceUnavailable("Other groups of this account change at the same time. Try again.")

    async def _try_create(
        self, head: GroupHead, definition: GroupDefinition, requester: Requester, queue: Queue, check: Check
    ) -> GroupHead | None:
        definition = await check.select(definition)
        members = definition.source_server_ids
        membership = await plan_membership(self._with.tables, self._with.groups, head, definition, joining=members)
        await check.check(definition, members)
        created = new_event("created", head, requester, head.created_at)
        run, opened = None, None
        if definition.has_launch_config():
            run = await self._with.planner.plan(
                head, definition, generation=1, listed=frozenset(members), requester=requester, queue=queue
            )
            opened = open_status(run, {}, None, requester)
        writes = [
            put_head(head),
            *take_name(head),
            *membership,
            *put_definition(head.group_id, 1, definition),
            *self._with.receipts.put(requester, Receipt(head.group_id, 1, accepted=True)),
            *(
                self._with.tellings.wait_for(requester, head.group_id, 1)
                if run
                else self._with.tellings.answer_by(requester, head, None)
            ),
            *(put_opening(run, None, opened) if run and opened else [put_event(head.group_id, created)]),
        ]
        check_size(writes)

        async def is_stored() -> bool:
            # The id is new: a group that is there is ours, and only the answer was lost.
            return await self._with.groups.read_head(head.group_id) is not None

        if not await self._with.tables.commit(writes, is_stored):
            return None
        if run is not None and opened is not None:
            await self._with.sender.send(run, opened)
        elif requester.task_token is not None:
            await self._with.sender.wake_sweep()
        log.info("group.created", group_id=head.group_id, servers=len(members))
        return head

    async def apply(
        self, group_id: str, request: ApplyRequest, requester: Requester, *, queue: Queue = Queue.NORMAL
    ) -> Submitted:
        """
        Apply a group's launch config: by a new generation, or by the run that is in hand.

        Parameters:
            group_id: The group.
            request: What is asked.
            requester: Who asks.
            queue: Where its jobs are sent.

        Returns:
            The run or the state that answers the request.

        Raises:
            RequestRefused: There is no such group, a source server that is asked for is no member, or the
                requester's key was used for another request.
            ServiceUnavailable: The stack's tables are too contended or do not answer, or jobs that were to be sent
                again were not.
        """
        run_id = new_run_id()
        for _ in range(OPEN_TRIES):
            with unless_deleted(group_id):
                submitted = await self._with.receipts.do_once(
                    requester, lambda: self._try_apply(group_id, request, requester, run_id, queue), self._repeat
                )
            if submitted is not None:
                return submitted
        raise ServiceUnavailable(f"Others change {group_id} at the same time. Try again.")

    async def _try_apply(
        self, group_id: str, request: ApplyRequest, requester: Requester, run_id: str, queue: Queue
    ) -> Submitted | None:
        """Answer from what there is or open a generation over it; None where it changed meanwhile."""
        head = await self._read_head(group_id)
        status = await self._with.groups.read_status(group_id)
        if status is None:
            return await self._answer(None, head, requester)
        run = await self._with.runs.read_run(group_id, status.generation)
        if run is None:
            # Head and list are written in one transaction with the status: the group was deleted just now.
            raise group_not_found(group_id)
        _check_members(run.definition, request)
        servers = await self._with.runs.read_servers(group_id)
        statuses = run.read_statuses(servers)
        listed = select_listed(statuses, request)
        # A lost job of a run that reports is sent again, and writes nothing; who wants to apply waits for no report.
        in_hand = run.listed if request.resend else run.brings
        if not listed or is_in_hand(status.status, in_hand, statuses, request):
            await self._with.sender.send_if_unsent(run, status)
            if request.resend:
                await self._with.sender.send_members(run, find_waiting(statuses, request), queue)
            answer = await self._answer(status, head, requester)
            return answer and replace(answer, in_hand=find_waiting(statuses, request), statuses=statuses)
        next_run = await self._next.plan(head, status, listed, requester, run_id=run_id, queue=queue)
        is_open = await self._next.open(
            next_run,
            head=head,
            last=run,
            before=status,
            servers=servers,
            requester=requester,
            also=[
                *self._with.receipts.put(requester, Receipt(group_id, next_run.head.generation, accepted=True)),
                *self._with.tellings.wait_for(requester, group_id, next_run.head.generation),
            ],
        )
        if not is_open:
            return None
        generation = next_run.head.generation
        return Submitted(next_run.head.run_id, accepted=True, in_hand=listed, generation=generation, statuses=statuses)

    async def _repeat(self, receipt: Receipt) -> Submitted:
        head = await self._with.runs.read_head(receipt.subject, receipt.generation)
        return Submitted(head.run_id if head else None, receipt.accepted, generation=receipt.generation)

    async def _answer(self, status: GroupStatus | None, head: GroupHead, requester: Requester) -> Submitted | None:
        """Answer by what there is; None where that changed, or the requester's key was taken meanwhile."""
        accepted = status is not None and status.status is Status.PENDING
        generation = status.generation if status is not None else 0
        writes = self._with.receipts.put(requester, Receipt(head.group_id, generation, accepted=accepted))
        told = self._with.tellings.answer_by(requester, head, status)
        if told:
            # A task must not begin to wait for a run in the instant after that has settled.
            writes += [check_status(head.group_id, status), *told]
        if writes and not await self._with.tables.commit(writes, _never_stored):
            return None
        if told and not accepted:
            await self._with.sender.wake_sweep()
        return Submitted(status.run_id if status is not None else None, accepted, generation=generation)

    async def _read_head(self, group_id: str) -> GroupHead:
        head = await self._with.groups.read_head(group_id)
        if head is None:
            raise group_not_found(group_id)
        return head


async def _never_stored() -> bool:
    # Nothing came of it but the receipt: the next try finds that.
    return False


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
