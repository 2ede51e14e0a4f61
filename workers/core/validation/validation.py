"""
Ask the account and Region of a group whether they can give what its launch configs name, before anything is stored.

All is asked at once, each name once however many source servers name it, and every error is told at once. Where the
account cannot be asked nothing is known to be right: the request is refused as a whole.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from workers.core.errors import AccessDenied, AccountNotInitialized, PrelaunchError, ServiceUnavailable
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.selection import find_matching, select_members
from workers.core.ports import TargetAccounts
from workers.core.requests import Conflict
from workers.core.validation.findings import describe, find_errors
from workers.core.validation.holdings import Holdings, SourceServer
from workers.core.validation.names import Names, find_names, merge_names

LONGEST = timedelta(seconds=20)
"""Until the account has answered all that it is asked: API Gateway gives up at 29 s."""
SERVERS_A_WHILE = 300
"""Source servers of many groups for which an account has that long each time."""
ACCOUNTS_AT_ONCE = 8
Asked = tuple[GroupDefinition, Collection[str]]
"""A group with its account, and those of its members that are to be checked."""
Refusal = InvalidBody | Conflict | PrelaunchError
"""Why a group is not given what it asks for."""


class Validation:
    """Checks groups against the accounts that they are in."""

    def __init__(self, accounts: TargetAccounts) -> None:
        self._accounts = accounts

    async def select(self, definition: GroupDefinition) -> GroupDefinition:
        """
        Give a group the members that its tags select now; one that lists its members is left as it is.

        Parameters:
            definition: The group, with its account.

        Returns:
            The group with its members.

        Raises:
            InvalidSelection: Nothing matches, or what is said of single source servers does not fit those that do.
            GroupTooLarge: More match than a group holds.
            Conflict: The account refuses to be asked.
            RetryableError: It could not be asked just now.
        """
        if not definition.selection_tags:
            return definition
        return select_members(definition, match(definition, await self.list_source_servers(definition.target)))

    async def find_unlisted(self, definition: GroupDefinition) -> list[str]:
        """
        Find source servers that match a group's tags now and are no members of it.

        Parameters:
            definition: The group as it is stored.

        Returns:
            Their ids, in order; none where the group lists its members. An update takes them in.

        Raises:
            Conflict: The account refuses to be asked.
            RetryableError: It could not be asked just now.
        """
        if not definition.selection_tags:
            return []
        members = frozenset(definition.source_server_ids)
        servers = await self.list_source_servers(definition.target)
        return [each for each in match(definition, servers) if each not in members]

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        """
        List every source server of an account and Region.

        Parameters:
            target: The account and Region.

        Returns:
            The source servers by id.

        Raises:
            Conflict: The account refuses to be asked.
            RetryableError: It could not be asked just now.
        """
        # DRS filters by ids, hardware and staging account only (botocore's model): every page is read.
        asking = {"servers": self._accounts.list_source_servers(target)}
        servers: Mapping[str, SourceServer] = (await ask_all(target, asking))["servers"]
        return servers

    async def check(self, definition: GroupDefinition, source_server_ids: Collection[str]) -> None:
        """
        Refuse what the group's account cannot give to some of its source servers.

        Parameters:
            definition: The group, with its account.
            source_server_ids: The members to check; nothing is asked for none.

        Raises:
            InvalidBody: Something that is named is not there or cannot be used; it carries every error.
            Conflict: The account refuses to be asked: DRS is not initialised, or the role is not let.
            RetryableError: It could not be asked just now.
        """
        (refusal,) = await self.check_all([(definition, source_server_ids)])
        if refusal is not None:
            raise refusal

    async def check_all(self, asked: Sequence[Asked]) -> list[Refusal | None]:
        """
        Find what accounts cannot give to groups; each account and Region is asked once for all of its groups.

        Parameters:
            asked: Groups with their accounts, and of each the members to check; nothing is asked for none.

        Returns:
            For each group why it is refused, as `check` raises it; None where its account can give all of it.
        """
        by_target: dict[Target, list[Names]] = {}
        for definition, chosen in asked:
            if chosen:
                by_target.setdefault(definition.target, []).append(_find_names(definition, chosen))
        held = await self.look_up_all(by_target)
        return [
            _judge(definition, _order(definition, chosen), held[definition.target]) if chosen else None
            for definition, chosen in asked
        ]

    async def look_up_all(self, named: Mapping[Target, Sequence[Names]]) -> dict[Target, Holdings | Refusal]:
        """
        Ask accounts for what is named, each once, a few at a time.

        Parameters:
            named: What groups name, by their account and Region.

        Returns:
            What there is of it, or why that is not known.
        """
        gate = asyncio.Semaphore(ACCOUNTS_AT_ONCE)

        async def ask(target: Target, names: Names) -> Holdings | Refusal:
            async with gate:
                try:
                    return await self.look_up(target, names)
                except (PrelaunchError, Conflict) as refusal:
                    return refusal

        answers = await asyncio.gather(*(ask(target, merge_names(names)) for target, names in named.items()))
        return dict(zip(named, answers, strict=True))

    async def look_up(self, target: Target, names: Names) -> Holdings:
        """
        Ask an account for what is named, all at once.

        Parameters:
            target: The account and Region.
            names: What is named there, by one group or many.

        Returns:
            What there is of it.

        Raises:
            Conflict: The account refuses to be asked.
            RetryableError: It could not be asked just now.
        """
        accounts = self._accounts
        asking: dict[str, Awaitable[Any]] = {
            "source_servers": accounts.find_source_servers(target, names.source_servers)
        }
        if names.every_subnet:
            asking["subnets"] = accounts.list_subnets(target)
        elif names.subnets:
            asking["subnets"] = accounts.find_subnets(target, names.subnets)
        if names.security_groups:
            asking["security_groups"] = accounts.find_security_groups(target, names.security_groups)
        if names.instance_types:
            asking["instance_types"] = accounts.find_instance_types(target, names.instance_types)
        if names.instance_profiles:
            asking["instance_profiles"] = accounts.find_instance_profiles(target, names.instance_profiles)
        if names.instances:
            asking["instances"] = accounts.find_instances(target, names.instances)
        if names.addresses:
            asking["interfaces"] = accounts.find_interfaces(target, names.addresses)
        # As long as one request may take for as many source servers as it is allowed to look up.
        longest = LONGEST * (1 + len(names.source_servers) // SERVERS_A_WHILE)
        return Holdings(**await ask_all(target, asking, longest))


def match(definition: GroupDefinition, servers: Mapping[str, SourceServer]) -> list[str]:
    """Find the source servers that have all of a group's tags, in order."""
    return find_matching(definition.selection_tags, {name: each.tags for name, each in servers.items()})


async def ask_all(target: Target, asking: Mapping[str, Awaitable[Any]], longest: timedelta = LONGEST) -> dict[str, Any]:
    """
    Ask an account several things at the same time.

    Parameters:
        target: The account and Region.
        asking: What is asked, each by a name.
        longest: Until the account has answered all of it.

    Returns:
        The answers by their names.

    Raises:
        Conflict: The account refuses; every call that it refuses is named.
        RetryableError: It could not be asked just now.
    """
    tasks = {name: asyncio.ensure_future(awaitable) for name, awaitable in asking.items()}
    try:
        done, late = await asyncio.wait(tasks.values(), timeout=longest.total_seconds())
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    failed = [error for task in done if (error := task.exception())]
    refusals = [error for error in failed if isinstance(error, AccessDenied | AccountNotInitialized)]
    if refusals:
        raise _refuse(target, refusals)
    if failed:
        raise failed[0]
    if late:
        raise ServiceUnavailable(
            f"{describe(target)} did not answer within {longest.total_seconds():.0f} s what the launch configs were"
            " checked for. Nothing was stored; try again.",
            code="RequestTimeout",
        )
    return {name: task.result() for name, task in tasks.items()}


def _order(definition: GroupDefinition, chosen: Collection[str]) -> list[str]:
    wanted = frozenset(chosen)
    return [each for each in definition.source_server_ids if each in wanted]


def _find_names(definition: GroupDefinition, chosen: Collection[str]) -> Names:
    return find_names({each: definition.effective(each) for each in _order(definition, chosen)})


def _judge(definition: GroupDefinition, members: Sequence[str], held: Holdings | Refusal) -> Refusal | None:
    if not isinstance(held, Holdings):
        return held
    errors = find_errors(definition, members, held)
    return InvalidBody(tuple(errors)) if errors else None


def _refuse(target: Target, refusals: Sequence[AccessDenied | AccountNotInitialized]) -> Conflict:
    errors = tuple(sorted({_explain(target, each) for each in refusals}, key=lambda error: (error.code, error.message)))
    return Conflict(
        f"Nothing was stored, for {describe(target)} does not say whether it holds what the group names:"
        f" {errors[0].message}",
        errors,
        code=errors[0].code,
    )


def _explain(target: Target, refusal: AccessDenied | AccountNotInitialized) -> FieldError:
    if isinstance(refusal, AccountNotInitialized):
        message = (
            f"DRS is not initialised in {describe(target)}. Initialise it there, or name another account or Region."
        )
        return FieldError("/region", AccountNotInitialized.code, message, None)
    service, _, operation = refusal.operation.partition(".")
    pointer = "/assumeRoleName" if target.assume_role_name else ""
    said = f"{refusal.code}: {refusal.message}".rstrip(".")
    if refusal.operation == "sts.AssumeRole":
        message = (
            f"The role {target.assume_role_name} cannot be assumed in account {target.account_id} ({said}). See whether"
            " it is there, and whether its trust policy lets prelaunch in, with this externalId if it asks for one."
        )
    else:
        whom = f"the role {target.assume_role_name}" if target.assume_role_name else "prelaunch"
        message = (
            f"{refusal.operation} was refused in {describe(target)} ({said}). Allow {service}:{operation} to {whom}"
            " there, and see whether the Region is enabled in the account."
        )
    return FieldError(pointer, AccessDenied.code, message, None)
