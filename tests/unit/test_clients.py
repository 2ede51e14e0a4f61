"""Making a client ends, whatever hangs, and says what hung. In virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.virtual_time import now, run_virtually
from workers.aws.clients import MAKING_SECONDS, Clients
from workers.core.errors import PrelaunchError, ServiceUnavailable
from workers.core.model.group import Target

FOR_EVER = 10_000


class HangingSession:
    """A session of the SDK none of whose clients is ever made."""

    def __init__(self, **_more: Any) -> None:
        self.asked = 0

    @asynccontextmanager
    async def client(self, *_args: Any, **_more: Any) -> AsyncIterator[Any]:
        self.asked += 1
        await asyncio.sleep(FOR_EVER)
        yield


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> HangingSession:
    made = HangingSession()
    monkeypatch.setattr("workers.aws.clients.aioboto3.Session", lambda **_more: made)
    return made


@pytest.mark.parametrize(
    ("role", "operation", "words"),
    [
        (None, "", "A client for ec2 in us-east-1 was not made within 20 s."),
        ("DrsRole", "sts.AssumeRole", "The role DrsRole of account 111122223333 was not assumed within 20 s."),
    ],
)
def test_a_client_that_is_never_made_is_given_up_and_named(
    session: HangingSession, role: str | None, operation: str, words: str
) -> None:
    """Sixty jobs wait for one making, give up together at its limit, and blame a role only where one is assumed."""
    target = Target("us-east-1", "111122223333", role)

    async def ask() -> tuple[list[BaseException | Any], float]:
        began = now()
        async with Clients(connections=1) as clients:
            asking = (clients.target("ec2", target) for _ in range(60))
            return await asyncio.gather(*asking, return_exceptions=True), now() - began

    errors, waited = run_virtually(ask)
    assert waited == MAKING_SECONDS
    assert session.asked == 1
    for error in errors:
        assert isinstance(error, PrelaunchError)
        assert isinstance(error, ServiceUnavailable)
        assert (error.code, error.operation, error.message) == ("RequestTimeout", operation, words)
