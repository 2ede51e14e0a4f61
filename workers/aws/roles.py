"""
The sessions of assumed roles: one a target, through which all of its services are called.

A session that was opened with one external id serves no group that names another. Neither external ids nor credentials
are ever logged, and what STS answers holds none.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from workers.aws.errors import translate
from workers.aws.role_session import RoleSession
from workers.core.errors import PrelaunchError, ServiceUnavailable
from workers.core.model.group import Target
from workers.core.ports import Clock
from workers.core.shared_work import SharedWork

log = structlog.get_logger(__name__)

LONGEST_MAKING = timedelta(seconds=20)
"""Until a client stands, its role assumed: whoever waits for it gives up together."""
ROLE_SESSION_NAME = "prelaunch"
T = TypeVar("T")


class Roles:
    """
    The sessions of one event loop, opened when they are first asked for and renewed before they end.

    Parameters:
        assume: Calls STS's AssumeRole, with these parameters.
        name_role: Builds the ARN of a target's role.
        open_session: Makes the SDK's session that signs with credentials as STS answers them.
        making: What is under way on the loop.
        clock: Tells the time.
    """

    def __init__(
        self,
        assume: Callable[[dict[str, Any]], Awaitable[Any]],
        name_role: Callable[[Target], Awaitable[str]],
        open_session: Callable[[Any], Awaitable[RoleSession]],
        making: SharedWork,
        clock: Clock,
    ) -> None:
        self._call = assume
        self._name_role = name_role
        self._open_session = open_session
        self._making = making
        self._clock = clock
        self._opened: dict[Target, RoleSession] = {}

    async def open(self, target: Target) -> RoleSession:
        """
        Answer the target's session; of those who ask at once all get the same.

        Parameters:
            target: The account and Region, and the role.

        Returns:
            The session.

        Raises:
            PrelaunchError: The role cannot be assumed, or not in time.
        """
        if target in self._opened:
            return self._opened[target]
        return await self._making.join((Roles, target), partial(self._open, target))

    async def keep_alive(self, role: RoleSession, target: Target) -> None:
        """Renew a session that ends soon; wait for that only where no call may begin with what there is."""
        if not role.is_due(self._clock()):
            return
        renewal = self._making.start(role, partial(self._renew, role, target))
        if role.is_over(self._clock()):
            await asyncio.shield(renewal)

    def forget(self, role: RoleSession) -> None:
        """Open a new session when the like of this one is asked for next."""
        for target in [target for target, opened in self._opened.items() if opened is role]:
            del self._opened[target]

    def clear(self) -> None:
        """Forget all of them."""
        self._opened.clear()

    async def _open(self, target: Target) -> RoleSession:
        role = self._opened[target] = await self._open_session(await self._assume(target))
        return role

    async def _renew(self, role: RoleSession, target: Target) -> None:
        try:
            role.take(await self._assume(target))
        except PrelaunchError as error:
            role.note_failure(self._clock())
            # Nobody may be waiting for it: the old credentials serve until they end.
            log.warning(
                "role.not_renewed",
                role=target.assume_role_name,
                account_id=target.account_id,
                code=error.code,
                message=error.message,
            )
            raise

    async def _assume(self, target: Target) -> Any:
        return await in_time(find_end(), self._assume_once(target), not_assumed(target))

    async def _assume_once(self, target: Target) -> Any:
        request = {"RoleArn": await self._name_role(target), "RoleSessionName": ROLE_SESSION_NAME}
        if target.external_id is not None:
            request["ExternalId"] = target.external_id
        try:
            return (await self._call(request))["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise translate(error, "sts", "AssumeRole") from error


def find_end() -> float:
    """Tell by the loop's clock when a making that begins now is given up."""
    return asyncio.get_running_loop().time() + LONGEST_MAKING.total_seconds()


async def in_time(ends_at: float, step: Awaitable[T], late: ServiceUnavailable) -> T:
    """
    Wait for a step of a making.

    Parameters:
        ends_at: When it is given up, by the loop's clock.
        step: The step.
        late: Raised then.

    Returns:
        What comes of it.
    """
    try:
        async with asyncio.timeout_at(ends_at):
            return await step
    except TimeoutError as error:
        raise late from error


def not_made(what: str, operation: str = "") -> ServiceUnavailable:
    """Say what was not made in time."""
    within = f"within {LONGEST_MAKING.total_seconds():.0f} s."
    return ServiceUnavailable(f"{what} {within}", code="RequestTimeout", operation=operation)


def not_assumed(target: Target) -> ServiceUnavailable:
    """Say which role was not assumed in time."""
    account = f" of account {target.account_id}" if target.account_id else ""
    return not_made(f"The role {target.assume_role_name}{account} was not assumed", "sts.AssumeRole")
