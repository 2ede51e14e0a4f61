"""Making a client ends, whatever hangs, and says what hung. In virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiobotocore.session import AioSession

from tests.fakes.aside import OnTheLoop
from tests.fakes.virtual_time import now, run_virtually
from workers.aws.clients import Clients
from workers.aws.roles import LONGEST_MAKING
from workers.core.errors import PrelaunchError, ServiceUnavailable
from workers.core.model.group import Target

FOR_EVER = 10_000
ROLE = "DrsRole"
Making = Callable[[int], Awaitable[None]]
"""What a making does before it is done; it is told how many were begun before it."""


async def hang(_before: int) -> None:
    await asyncio.sleep(FOR_EVER)


async def hang_once(before: int) -> None:
    await asyncio.sleep(0.5 if before else FOR_EVER)


async def take_half_a_second(_before: int) -> None:
    await asyncio.sleep(0.5)


class Client:
    """A client of the SDK, as far as it is looked at here: one that takes handlers of events and assumes roles."""

    @property
    def meta(self) -> "Client":
        return self

    @property
    def events(self) -> "Client":
        return self

    def register(self, _event: str, _handler: object) -> None:
        pass

    async def assume_role(self, **_request: Any) -> Any:
        ends_at = datetime.now(UTC) + timedelta(hours=1)
        keys = {"AccessKeyId": "key", "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": ends_at}
        return {"Credentials": keys}


@dataclass
class ScriptedSession:
    """A session of the SDK whose clients are made as it is told, those for STS at once."""

    making: Making = hang
    sts: Making | None = None
    asked: int = 0
    cancelled: int = 0
    closed: int = 0
    _session: Any = field(default_factory=AioSession)

    async def get_credentials(self) -> None:
        pass

    @asynccontextmanager
    async def client(self, service: str, **_more: Any) -> AsyncIterator[Client]:
        making = self.sts if service == "sts" else self.making
        if making is not None:
            self.asked += 1
            try:
                await making(self.asked - 1)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        yield Client()
        self.closed += 1


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> ScriptedSession:
    made = ScriptedSession()
    monkeypatch.setattr("workers.aws.clients.aioboto3.Session", lambda **_more: made)
    return made


NOT_MADE = "A client for ec2 in us-east-1 was not made within 20 s."
NOT_ASSUMED = "The role DrsRole of account 111122223333 was not assumed within 20 s."


@pytest.mark.parametrize(
    ("role", "sts", "operation", "words"),
    [
        (None, hang, "", NOT_MADE),
        (ROLE, hang, "sts.AssumeRole", NOT_ASSUMED),
        (ROLE, None, "", NOT_MADE),
    ],
)
def test_a_client_that_is_never_made_is_given_up_and_named(
    session: ScriptedSession, role: str | None, sts: Making | None, operation: str, words: str
) -> None:
    """Sixty jobs wait for one making, give up together at its limit, and blame a role only where it is what hung."""
    session.sts = sts
    target = Target("us-east-1", "111122223333", role)

    async def ask() -> tuple[list[BaseException | Any], float]:
        began = now()
        async with Clients(connections=1, aside=OnTheLoop()) as clients:
            asking = (clients.target("ec2", target) for _ in range(60))
            return await asyncio.gather(*asking, return_exceptions=True), now() - began

    errors, waited = run_virtually(ask)
    assert waited == LONGEST_MAKING.total_seconds()
    assert session.asked == 1
    for error in errors:
        assert isinstance(error, PrelaunchError)
        assert isinstance(error, ServiceUnavailable)
        assert (error.code, error.operation, error.message) == ("RequestTimeout", operation, words)


@pytest.mark.parametrize("role", [None, ROLE])
def test_both_steps_of_a_making_have_one_limit(session: ScriptedSession, role: str | None) -> None:
    """Also where a role is assumed late nobody waits longer than the limit says."""

    async def take_long(_before: int) -> None:
        await asyncio.sleep(15)

    session.making, session.sts = hang, take_long

    async def ask() -> float:
        began = now()
        async with Clients(connections=1, aside=OnTheLoop()) as clients:
            with pytest.raises(ServiceUnavailable, match="A client for ec2"):
                await clients.target("ec2", Target("us-east-1", "111122223333", role))
        return now() - began

    assert run_virtually(ask) == LONGEST_MAKING.total_seconds()


@pytest.mark.parametrize("role", [None, ROLE])
def test_who_comes_after_a_making_that_hung_gets_a_new_one(session: ScriptedSession, role: str | None) -> None:
    """Callers who come one after the other, each with a little less time left, do not all fail with the first."""
    session.making = session.sts = hang_once
    if role:
        session.making = take_half_a_second

    async def main() -> list[tuple[float, object]]:
        async with Clients(connections=1, aside=OnTheLoop()) as clients:
            began = now()

            async def ask(at: float) -> tuple[float, object]:
                await asyncio.sleep(at)
                try:
                    await clients.target("ec2", Target("us-east-1", "111122223333", role))
                except ServiceUnavailable as error:
                    return now() - began - at, error
                return now() - began - at, None

            return await asyncio.gather(*(ask(0.3 * number) for number in range(120)))

    came = run_virtually(main)
    limit = LONGEST_MAKING.total_seconds()
    early = [outcome for number, outcome in enumerate(came) if 0.3 * number < limit]
    late = came[len(early) :]
    assert len(late) > 50
    assert all(isinstance(error, ServiceUnavailable) for _, error in early)
    assert [error for _, error in late if error] == []
    assert max(waited for waited, _ in came) <= limit
    assert max(waited for waited, _ in late) <= 1.0 + 1e-6
    # What is made is kept: the one that hung, and one of each that was made after it.
    assert session.asked == (3 if role else 2)


def test_who_stops_waiting_stops_nobody_else(session: ScriptedSession) -> None:
    """A making belongs to all who wait for it: that the first one is told to stop does not end it."""
    session.making = take_half_a_second

    async def main() -> Client:
        target = Target("us-east-1", "111122223333")
        async with Clients(connections=1, aside=OnTheLoop()) as clients:
            first = asyncio.create_task(clients.target("ec2", target))
            second = asyncio.create_task(clients.target("ec2", target))
            await asyncio.sleep(0.2)
            first.cancel()
            made: Client = await second
            assert first.cancelled()
            return made

    assert isinstance(run_virtually(main), Client)
    assert (session.asked, session.closed) == (1, 1)


def test_closing_ends_what_is_being_made(session: ScriptedSession) -> None:
    """A worker that ends leaves no making behind, whose client nobody would close."""

    async def main() -> float:
        clients = Clients(connections=1, aside=OnTheLoop())
        asking = asyncio.create_task(clients.target("ec2", Target("us-east-1", "111122223333")))
        await asyncio.sleep(1)
        began = now()
        await clients.close()
        await asyncio.wait({asking})
        waited = now() - began
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return waited

    assert run_virtually(main) == 0
    assert (session.asked, session.cancelled) == (1, 1)


def test_our_own_client_is_given_up_and_named(session: ScriptedSession) -> None:
    """Also what reaches our own tables is not waited for without end."""

    async def main() -> str:
        async with Clients(connections=1, aside=OnTheLoop()) as clients:
            with pytest.raises(ServiceUnavailable) as late:
                await clients.own("dynamodb")
        return late.value.message

    assert run_virtually(main) == "A client for dynamodb was not made within 20 s."
