"""
The one module that makes AWS clients, so that the SDK can be replaced in one place.

Clients belong to the loop that they are made on, are kept by the whole target, and closed together; those of one target
sign with one session of its role.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from workers.aws.aside import Aside, OneThread
from workers.aws.guarding import watch
from workers.aws.http_session import SharedTlsSession
from workers.aws.role_session import RoleSession
from workers.aws.roles import LONGEST_MAKING, Roles, find_end, in_time, not_assumed, not_made
from workers.core.clock import read_clock
from workers.core.errors import SetupError
from workers.core.model.group import Target
from workers.core.ports import Clock
from workers.core.shared_work import SharedWork

CONNECT_SECONDS = 3
READ_SECONDS = 15
"""Together below the 20 s in which a call ends, so that the lease outlives every call."""
STORE_TRIES = 5
TARGET_SERVICES = ("drs", "ec2")
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


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the SDK signs with, but for the secret."""

    method: str
    """Where it found them, in its own word."""
    expires_at: datetime | None
    """None where nothing says that they end."""


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
        self._aside = aside or OneThread()
        self._made: dict[Key, _Made] = {}
        self._making = SharedWork()
        self._roles = Roles(self._call_assume_role, self._name_role, self._open_session, self._making, clock)

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
        self._roles.clear()
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
            raise not_made(f"A client for {service} was not made") from error

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
            await self._roles.keep_alive(made.role, target)
        return made.client

    def forget(self, client: Any) -> None:
        """Make a new client, with new credentials, when the like of this one is asked for next."""
        # By the client and not by its target: a late answer to the old one must not cost the new one.
        roles = {id(made.role): made.role for made in self._made.values() if made.client is client and made.role}
        for role in roles.values():
            self._roles.forget(role)
        # All that sign with its session: whoever went on with the old one would have it renewed beside the new one.
        for key in [key for key, made in self._made.items() if made.client is client or id(made.role) in roles]:
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

    async def credentials(self) -> Credentials:
        """Tell where the SDK found the credentials, and when they end; SetupError: it found none."""
        try:
            found = await self._session.get_credentials()
        except BotoCoreError as error:
            raise SetupError(f"The credentials cannot be read: {error}.") from error
        if found is None:
            raise SetupError("The SDK finds no credentials. Set AWS_PROFILE or the SDK's own variables.")
        # No public door; those that are never renewed have none.
        return Credentials(str(found.method), getattr(found, "_expiry_time", None))

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
        ends_at = find_end()
        opening = self._roles.open(target) if target.assume_role_name else None
        role = await in_time(ends_at, opening, not_assumed(target)) if opening else None
        retries = {"mode": "standard", "total_max_attempts": 1}
        making = self._make(service, target.region, retries, role)
        late = not_made(f"A client for {service} in {target.region} was not made")
        made = await in_time(ends_at, making, late)
        self._made[target, service] = made
        return made

    async def _make(self, service: str, region: str | None, retries: Any, role: RoleSession | None) -> _Made:
        config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=self._connections,
            retries=retries,
            http_session_cls=SharedTlsSession,
        )

        async def make() -> tuple[_Made, AbstractAsyncContextManager[Any]]:
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

    async def _call_assume_role(self, request: dict[str, Any]) -> Any:
        return await (await self._own("sts")).assume_role(**request)

    async def _name_role(self, target: Target) -> str:
        account_id = target.account_id or await self.account_id()
        partition = self._session._session.get_partition_for_region(target.region)  # noqa: SLF001  # no public door
        return f"arn:{partition}:iam::{account_id}:role/{target.assume_role_name}"

    async def _open_session(self, credentials: Any) -> RoleSession:
        async def open_session() -> RoleSession:
            return RoleSession(credentials, self._models)

        return await self._aside.run(open_session)
