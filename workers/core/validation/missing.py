"""
Find what launch configs name and their account does not hold any more.

A launch would fail on it, whatever the launch template says. Only what can go away is asked for, each name once however
many source servers name it. Whether an address is free is for the moment of a launch.
"""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any

import structlog

from workers.core.errors import PrelaunchError
from workers.core.model.group import GroupDefinition
from workers.core.ports import TargetAccounts
from workers.core.validation.holdings import Holdings, SourceServer
from workers.core.validation.names import find_names
from workers.core.validation.rules import Configured, find_gone

log = structlog.get_logger()


class Missing:
    """Looks for what is gone in the accounts of groups."""

    def __init__(self, accounts: TargetAccounts) -> None:
        self._accounts = accounts

    async def find(self, definition: GroupDefinition, members: Collection[str]) -> dict[str, str]:
        """
        Find which members name a subnet, security groups or an instance profile that is not there.

        Parameters:
            definition: The group, with its account.
            members: The source servers.

        Returns:
            Each such member, and in words what is gone; nothing is asked where nothing of the kind is named. Where the
            account tells of one kind only that is counted, and the log has what was not told.

        Raises:
            PermanentError: The account refuses to be asked, and of what it told nothing is gone.
            RetryableError: It cannot be asked just now, and of what it told nothing is gone.
        """
        configs = {member: definition.effective(member) for member in sorted(members)}
        names, target = find_names(configs), definition.target
        asking: dict[str, Awaitable[Any]] = {}
        if names.subnets:
            asking["subnets"] = self._accounts.find_subnets(target, names.subnets)
        if names.security_groups:
            asking["security_groups"] = self._accounts.find_security_groups(target, names.security_groups)
        if names.instance_profiles:
            asking["instance_profiles"] = self._accounts.find_instance_profiles(target, names.instance_profiles)
        said = dict(zip(asking, await asyncio.gather(*asking.values(), return_exceptions=True), strict=True))
        unsaid = [each for each in said.values() if isinstance(each, BaseException)]
        answers = {kind: each for kind, each in said.items() if not isinstance(each, BaseException)}
        held, where = Holdings({}, **answers), f"account {target.account_id}, {target.region}"
        found = {
            member: find_gone(Configured(SourceServer(), config, where), held, answers)
            for member, config in configs.items()
        }
        gone = {member: " ".join(each.message for each in misfits) for member, misfits in found.items() if misfits}
        for error in unsaid:
            if not gone or not isinstance(error, PrelaunchError):
                raise error
            known = {"account_id": target.account_id, "region": target.region}
            log.warning("holdings.not_read", **known, code=error.code, error=error.message)
        return gone
