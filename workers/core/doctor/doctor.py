"""All checks, at once: one that fails costs the others nothing, and what it would have told is not known."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from workers.core.contract import REPLIES
from workers.core.doctor.accounts import check_permissions
from workers.core.doctor.consumers import LOOK_AGAIN, REACH, Backlog, check_consumers, needs_second_look
from workers.core.doctor.finding import Finding, Outcome, problem
from workers.core.doctor.guard import Findings, guard
from workers.core.doctor.identity import check_clock, describe_identity
from workers.core.doctor.places import PlaceChecks
from workers.core.doctor.ports import Identity, OwnAws, QueueSeen
from workers.core.doctor.resources import list_reply_queues, list_resources, list_state_machines
from workers.core.doctor.rules import RULES, Rule, check_rule
from workers.core.doctor.stack import (
    QueueState,
    check_letters,
    check_queue,
    check_table,
    check_time_to_live,
    list_queues,
)
from workers.core.doctor.telling import check_event_bus, check_replies, check_task_tokens
from workers.core.errors import PrelaunchError, SetupError
from workers.core.queue.names import name_queue
from workers.core.store.writes import KEYS, TableName

ESSENTIAL = frozenset({"table", "queue", "groups", "role", "DRS"})
"""Checks without which nothing is known of the product: its state, its messages, its groups, and the way to them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found."""

    findings: tuple[Finding, ...]
    is_reachable: bool
    """Whether AWS answered who we are."""

    @property
    def is_seen(self) -> bool:
        """Tell whether everything was seen that prelaunch cannot be without; what was not seen is not well."""
        unseen = (finding for finding in self.findings if finding.outcome is Outcome.NOT_KNOWN)
        return self.is_reachable and not any(finding.check in ESSENTIAL for finding in unseen)

    @property
    def has_problem(self) -> bool:
        """Tell whether anything has to be done."""
        return any(finding.outcome is Outcome.PROBLEM for finding in self.findings)


class Doctor:
    """
    Looks at everything that prelaunch needs. Writes nothing but its turns in the fleet's buckets.

    Parameters:
        own: Our own account.
        places: Looks at accounts and Regions.
        stack: The prefix of tables and queues.
        event_bus: The bus that workers tell; "" for none.
        pause: Waits.
    """

    def __init__(
        self,
        own: OwnAws,
        places: PlaceChecks,
        *,
        stack: str,
        event_bus: str,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._own = own
        self._places = places
        self._stack = stack
        self._event_bus = event_bus
        self._pause = pause

    async def examine(self) -> Report:
        """Do every check, whatever becomes of the others."""
        identity = await self._find_identity()
        first = [identity] if isinstance(identity, Finding) else [describe_identity(identity)]
        checks: list[Awaitable[Findings]] = [
            guard("clock", "this machine", self._check_clock()),
            *(guard("table", self._name(table), self._check_table(table)) for table in KEYS),
            *(guard("TTL", self._name(table), self._check_time_to_live(table)) for table in KEYS),
            *(guard("queue", names[0], self._check_queue(*names)) for names in list_queues(self._stack)),
            *(guard("rule", f"{self._stack}-{rule.name}", self._check_rule(rule)) for rule in RULES),
        ]
        if self._event_bus:
            checks.append(guard("event bus", self._event_bus, self._check_event_bus()))
        if isinstance(identity, Identity):
            checks += self._list_checks_as(identity)
        found = await asyncio.gather(*checks)
        return Report((*first, *(finding for each in found for finding in each)), isinstance(identity, Identity))

    def _list_checks_as(self, identity: Identity) -> list[Awaitable[Findings]]:
        """List the checks of what the caller may do, and of other accounts."""
        stack = f"stack {self._stack}"
        return [
            guard("permissions", stack, self._check_own_permissions(identity)),
            guard("task tokens", stack, self._check_task_tokens(identity)),
            guard("replies", f"{self._stack}-{REPLIES}…", self._check_replies(identity)),
            guard("groups", stack, self._places.examine(identity, self._stack)),
        ]

    async def _find_identity(self) -> Identity | Finding:
        try:
            return await self._own.who()
        except SetupError as error:
            return problem("credentials", "this process", error.message, "Give credentials, a Region and an endpoint.")
        except PrelaunchError as error:
            return problem(
                "credentials", "this process", f"{error.code}: {error.message}", "Try again when AWS answers."
            )

    def _name(self, table: TableName) -> str:
        return f"{self._stack}-{table}"

    async def _check_clock(self) -> Findings:
        return [check_clock(await self._own.find_clock_offset())]

    async def _check_table(self, table: TableName) -> Findings:
        name = self._name(table)
        return [check_table(table, name, await self._own.describe_table(name))]

    async def _check_time_to_live(self, table: TableName) -> Findings:
        name = self._name(table)
        found = check_time_to_live(table, name, await self._own.describe_time_to_live(name))
        return [] if found is None else [found]

    async def _check_rule(self, rule: Rule) -> Findings:
        seen, queue = await asyncio.gather(
            self._own.describe_rule(f"{self._stack}-{rule.name}"),
            self._own.describe_queue(name_queue(self._stack, rule.queue)),
        )
        return [check_rule(rule, self._stack, seen, queue)]

    async def _check_event_bus(self) -> Findings:
        return [check_event_bus(self._event_bus, is_there=await self._own.has_event_bus(self._event_bus))]

    async def _check_queue(self, name: str, dead_letter_queue: str) -> Findings:
        seen, letters = await asyncio.gather(*map(self._own.describe_queue, (name, dead_letter_queue)))
        state = QueueState(name, seen, letters)
        found = (check_queue(state, dead_letter_queue), check_letters(state, dead_letter_queue))
        consumers = [] if seen is None else await guard("consumers", name, self._check_consumers(name, seen))
        return [*(finding for finding in found if finding is not None), *consumers]

    async def _check_consumers(self, name: str, first: QueueSeen) -> Findings:
        receives, second = await self._count_receives(name), first
        if needs_second_look(first, receives):
            await self._pause(LOOK_AGAIN.total_seconds())
            second = await self._own.describe_queue(name) or first
        oldest = await self._find_oldest(name) if second.waiting else None
        return [check_consumers(Backlog(name, first, second, receives, oldest))]

    async def _count_receives(self, name: str) -> int | PrelaunchError:
        try:
            return await self._own.count_receives(name, REACH)
        except PrelaunchError as error:
            return error

    async def _find_oldest(self, name: str) -> timedelta | None:
        try:
            return await self._own.find_oldest(name)
        except PrelaunchError:
            # Few may read CloudWatch: how many wait is known all the same.
            return None

    async def _check_own_permissions(self, identity: Identity) -> Findings:
        resources = list_resources(identity, self._stack, self._event_bus)
        verdicts = await self._own.may_use(identity.arn, resources)
        return check_permissions(f"stack {self._stack}", identity.arn, verdicts)

    async def _check_task_tokens(self, identity: Identity) -> Findings:
        verdicts = await self._own.may_use(identity.arn, list_state_machines(identity))
        return [check_task_tokens(f"stack {self._stack}", identity.arn, verdicts)]

    async def _check_replies(self, identity: Identity) -> Findings:
        prefix = f"{self._stack}-{REPLIES}"
        queues = await self._own.list_queues(prefix)
        verdicts = await self._own.may_use(identity.arn, list_reply_queues(identity, queues)) if queues else []
        return [check_replies(prefix, identity.arn, queues, verdicts)]
