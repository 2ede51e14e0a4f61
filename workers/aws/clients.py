"""
The one module that makes AWS clients, so that the SDK can be replaced in one place.

Clients belong to the loop that they are made on, are kept by the whole target (a session that was opened with one
external id serves no group that names another) and closed together. No credential is ever logged. Longer than others,
for making, renewing and forgetting a client have one order of events that is to be read at once.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self, TypeVar

import aioboto3
import structlog
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from workers.aws.aside import Aside, OneThread
from workers.aws.errors import translate
from workers.aws.guarding import watch
from workers.aws.http_session import SharedTlsSession
from workers.aws.role_session import RoleSession
from workers.core.clock import read_clock
from workers.core.errors import PrelaunchError, ServiceUnavailable, SetupError
from workers.core.model.group import Target
from workers.core.ports import Clock
from workers.core.shared_work import SharedWork

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 3
READ_SECONDS = 15
"""Together below the 20 s in which a call ends, so that the lease outlives every call."""
STORE_TRIES = 5
LONGEST_MAKING = timedelta(seconds=20)
"""Until a client stands, its role assumed: whoever waits for it gives up together."""
TARGET_SERVICES = ("drs", "ec2")
ROLE_SESSION_NAME = "prelaunch"
T = TypeVar("T")
Key = tuple[Target | None, str]
"""The target, None for our own account's tables and queues, and the service."""


@dataclass(frozen=True, slots=True)
class _Made:
    client: Any
    role: RoleSession | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are to AWS."""

    account_id: str
    arn: str


class Clients:
    """Clients of one event loop, made when they are first asked for."""

    def __init__(
        self,
        *,
        connections: int,
        region: str | None = None,
        profile: str | None = None,
        store_tries: int = STORE_TRIES,
        clock: Clock = read_clock,
        aside: Aside | None = None,
    ) -> None:
        try:
            self._session = aioboto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            given = "AWS_PROFILE" if profile is None else "--profile"
            raise SetupError(
                f"AWS's configuration has no profile {error.kwargs['profile']!r}; {given} names it."
            ) from error
        except BotoCoreError as error:
            raise SetupError(f"AWS's configuration cannot be used: {error}. Check AWS_PROFILE.") from error
        self._models = self._session._session.get_component("data_loader")  # noqa: SLF001  # no public door
        self._store_tries = store_tries
        self._connections = connections
        self._stack = AsyncExitStack()
        self._clock = clock
        self._aside = aside or OneThread()
        self._made: dict[Key, _Made] = {}
        self._making = SharedWork()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def warm(self) -> None:
        """Load what the SDK knows of DRS and EC2 before the first job needs it."""
        await self._aside.run(self._load)

    async def _load(self) -> None:
        for service in TARGET_SERVICES:
            for kind in ("service-2", "endpoint-rule-set-1"):
                self._models.load_service_model(service, kind)
        for data in ("endpoints", "partitions", "sdk-default-configuration"):
            self._models.load_data(data)

    async def close(self) -> None:
        """Close every client that was made, and make no more of what is being made."""
        await self._making.cancel()
        self._aside.close()
        self._made.clear()
        await self._stack.aclose()

    async def own(self, service: str) -> Any:
        """
        Answer a client for our own tables and queues, with the SDK's standard retries.

        Parameters:
            service: The SDK's name of it.

        Returns:
            The client, which is shared.

        Raises:
            SetupError: The Region or the endpoint is not configured.
            ServiceUnavailable: It was not made in time.
        """
        try:
            return await self._own(service)
        except TimeoutError as error:
            raise _not_made(f"A client for {service} was not made") from error

    async def target(self, service: str, target: Target) -> Any:
        """
        Answer a client for a group's account and Region; its calls are paced and retried by us, not by the SDK.

        Ask again before every call, and outside the call's time and guard: here a role's session is renewed.

        Parameters:
            service: The SDK's name of it.
            target: The account and Region, and how we get there.

        Returns:
            The client, which is shared.

        Raises:
            SetupError: The endpoint is not configured.
            PrelaunchError: The role cannot be assumed, or not in time.
        """
        key = (target, service)
        # One making for each key: sixty jobs that begin together must not make sixty clients. Its time is its own, for
        # of those who come one after the other each would have less of it left than the making takes.
        made = self._made.get(key)
        if made is None:
            made = await self._making.join(key, partial(self._make_target, service, target))
        if made.role is not None:
            await self._keep_alive(made.role, target)
        return made.client

    def forget(self, client: Any) -> None:
        """Make a new client, with new credentials, when the like of this one is asked for next."""
        # By the client and not by its target: a late answer to the old one must not cost the new one.
        for key in [key for key, made in self._made.items() if made.client is client]:
            del self._made[key]

    async def account_id(self) -> str:
        """Answer the account that we run in."""
        return (await self.caller()).account_id

    async def caller(self) -> Caller:
        """
        Answer whose credentials we call AWS with.

        Returns:
            The account that we run in, and the user or role.

        Raises:
            SetupError: No credentials, or no endpoint answers.
        """
        sts = await self.own("sts")
        try:
            identity = await sts.get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise SetupError(
                f"AWS does not answer who we are: {error}."
                " Check the credentials, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL."
            ) from error
        return Caller(str(identity["Account"]), str(identity["Arn"]))

    async def _own(self, service: str) -> Any:
        key = (None, service)
        made = self._made.get(key)
        if made is None:
            made = await self._making.join(key, partial(self._make_own, service))
        return made.client

    async def _make_own(self, service: str) -> _Made:
        retries = {"mode": "standard", "total_max_attempts": self._store_tries}
        async with asyncio.timeout(LONGEST_MAKING.total_seconds()):
            made = await self._make(service, None, retries, None)
        self._made[None, service] = made
        return made

    async def _make_target(self, service: str, target: Target) -> _Made:
        # One end for both steps, so that nobody waits longer than it says; and each step is named for itself.
        ends_at = _find_end()
        credentials = await self._assume(target, ends_at) if target.assume_role_name else None
        retries = {"mode": "standard", "total_max_attempts": 1}
        making = self._make(service, target.region, retries, credentials)
        late = _not_made(f"A client for {service} in {target.region} was not made")
        made = await _in_time(ends_at, making, late)
        self._made[target, service] = made
        return made

    async def _make(self, service: str, region: str | None, retries: Any, credentials: Any) -> _Made:
        config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=self._connections,
            retries=retries,
            http_session_cls=SharedTlsSession,
        )

        async def make() -> tuple[_Made, AbstractAsyncContextManager[Any]]:
            role = RoleSession(credentials, self._models) if credentials else None
            session = role.session if role else self._session
            making = session.client(service, region_name=region, config=config)
            return _Made(await making.__aenter__(), role), making

        try:
            # The session keeps them: where they are asked of another machine, that is waited for here.
            await self._session.get_credentials()
            made, making = await self._aside.run(make)
            # It has no connection, and so belongs to no loop, before its first call.
            self._stack.push_async_exit(making)
            watch(made.client)
        except (BotoCoreError, ValueError) as error:
            raise SetupError(
                f"No client for {service} can be made: {str(error).rstrip('.')}."
                " Check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL."
            ) from error
        return made

    async def _keep_alive(self, role: RoleSession, target: Target) -> None:
        if not role.is_due(self._clock()):
            return
        renewal = self._making.start(role, partial(self._renew, role, target))
        if role.is_over(self._clock()):
            await asyncio.shield(renewal)

    async def _renew(self, role: RoleSession, target: Target) -> None:
        try:
            role.take(await self._assume(target, _find_end()))
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

    async def _assume(self, target: Target, ends_at: float) -> Any:
        return await _in_time(ends_at, self._assume_once(target), _not_assumed(target))

    async def _assume_once(self, target: Target) -> Any:
        sts = await self._own("sts")
        account_id = target.account_id or await self.account_id()
        request = {
            "RoleArn": f"arn:aws:iam::{account_id}:role/{target.assume_role_name}",
            "RoleSessionName": ROLE_SESSION_NAME,
        }
        if target.external_id is not None:
            request["ExternalId"] = target.external_id
        try:
            return (await sts.assume_role(**request))["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise translate(error, "sts", "AssumeRole") from error


def _find_end() -> float:
    return asyncio.get_running_loop().time() + LONGEST_MAKING.total_seconds()


async def _in_time(ends_at: float, step: Awaitable[T], late: ServiceUnavailable) -> T:
    try:
        async with asyncio.timeout_at(ends_at):
            return await step
    except TimeoutError as error:
        raise late from error


def _not_made(what: str, operation: str = "") -> ServiceUnavailable:
    within = f"within {LONGEST_MAKING.total_seconds():.0f} s."
    return ServiceUnavailable(f"{what} {within}", code="RequestTimeout", operation=operation)


def _not_assumed(target: Target) -> ServiceUnavailable:
    account = f" of account {target.account_id}" if target.account_id else ""
    return _not_made(f"The role {target.assume_role_name}{account} was not assumed", "sts.AssumeRole")
