"""
A role's session is renewed before its end, and never as a part of a call. In virtual time.

The clients are the SDK's own, and so is the signing; what they would send is answered here.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiobotocore.awsrequest import AioAWSResponse

from tests.fakes.aside import OnTheLoop
from tests.fakes.guards import ScriptedGuard
from tests.fakes.pacing import pace
from tests.fakes.virtual_time import now, run_virtually
from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.guarding import guarded
from workers.core.errors import AccessDenied, PrelaunchError, ServiceUnavailable
from workers.core.model.group import Target

TARGET = Target("us-east-1", "111122223333", "DrsRole")
BEGAN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SERVER = "s-0123456789abcdefg"
FOR_EVER = 10_000
HOUR = timedelta(hours=1)
NEARLY_OVER = HOUR - timedelta(seconds=30)


@dataclass
class Body:
    data: bytes

    async def read(self) -> bytes:
        return self.data


@dataclass
class Aws:
    """STS and DRS, as they are told to answer."""

    lives: list[timedelta]
    """How long each session lives, from when it is given out; beyond the last one STS refuses."""
    sts_takes: list[float] = field(default_factory=list)
    drs_takes: float = 0.0
    assumed: int = 0
    asked_sts: int = 0
    signed_with: list[str] = field(default_factory=list)
    """The session that each call to DRS was signed with."""
    updated_at: list[float] = field(default_factory=list)

    async def answer_sts(self, **_event: Any) -> AioAWSResponse:
        takes = self.sts_takes[self.asked_sts] if self.asked_sts < len(self.sts_takes) else 0
        self.asked_sts += 1
        await asyncio.sleep(takes)
        if self.assumed == len(self.lives):
            error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not allowed</Message></Error>"
            return answer(403, f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>")
        ends_at = clock() + self.lives[self.assumed]
        self.assumed += 1
        keys = {
            "AccessKeyId": f"session{self.assumed}",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": ends_at.isoformat(),
        }
        members = "".join(f"<{name}>{value}</{name}>" for name, value in keys.items())
        result = f"<AssumeRoleResult><Credentials>{members}</Credentials></AssumeRoleResult>"
        return answer(200, f"<AssumeRoleResponse>{result}</AssumeRoleResponse>")

    async def answer_drs(self, request: Any, **_event: Any) -> AioAWSResponse:
        authorization = request.headers["Authorization"]
        text = authorization if isinstance(authorization, str) else authorization.decode()
        self.signed_with.append(text.partition("Credential=")[2].partition("/")[0])
        self.updated_at.append(now())
        await asyncio.sleep(self.drs_takes)
        return answer(200, json.dumps({"sourceServerID": SERVER}))


def answer(status: int, text: str) -> AioAWSResponse:
    return AioAWSResponse("https://aws", status, {}, Body(text.encode()))


def clock() -> datetime:
    return BEGAN_AT + timedelta(seconds=now() - 1000)


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "own",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@dataclass
class Stage:
    """The parts of one test."""

    aws: Aws
    clients: Clients
    calls: Calls
    asked_at: list[float] = field(default_factory=list)
    """When the guard was asked."""

    def __post_init__(self) -> None:
        self.guard = ScriptedGuard(lambda: self.asked_at.append(now()))

    async def update(self) -> Any:
        request = {"sourceServerID": SERVER, "name": "web"}
        return await self.calls.call(TARGET, "drs", "UpdateLaunchConfiguration", request, guard=self.guard)


def play(aws: Aws, act: Callable[[Stage], Any]) -> Stage:
    """Play with a session that was opened before, and whose client was made."""

    async def main() -> Stage:
        async with Clients(connections=1, clock=clock, aside=OnTheLoop()) as clients:
            stage = Stage(aws, clients, Calls(clients, pace(), timeout=timedelta(seconds=20)))
            (await clients.own("sts")).meta.events.register("before-send", aws.answer_sts)
            (await clients.target("drs", TARGET)).meta.events.register("before-send", aws.answer_drs)
            await act(stage)
            return stage

    return run_virtually(main)


def test_a_renewal_is_neither_of_a_calls_time_nor_under_its_guard() -> None:
    """A renewal of 15 s and a call of 15 s end well under a limit of 20 s; the guard is asked at the send alone."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(NEARLY_OVER.total_seconds())
        assert await stage.update()

    aws = Aws([HOUR, HOUR], sts_takes=[0, 15], drs_takes=15)
    stage = play(aws, act)
    assert stage.asked_at == aws.updated_at
    assert aws.signed_with == ["session2"]
    assert stage.guard.unanswered == 0


def test_a_renewal_that_is_refused_blames_the_role() -> None:
    """What STS refuses is STS's refusal; no write left, so none is unanswered."""
    refused: list[PrelaunchError] = []

    async def act(stage: Stage) -> None:
        await asyncio.sleep(NEARLY_OVER.total_seconds())
        with pytest.raises(AccessDenied) as caught:
            await stage.update()
        refused.append(caught.value)

    aws = Aws([HOUR])
    stage = play(aws, act)
    assert [(error.code, error.operation) for error in refused] == [("AccessDenied", "sts.AssumeRole")]
    assert (stage.asked_at, aws.updated_at, stage.guard.unanswered) == ([], [], 0)


def test_a_renewal_that_hangs_blames_the_role() -> None:
    """Where STS hangs the error says so, and no write is taken for one on its way."""
    late: list[PrelaunchError] = []

    async def act(stage: Stage) -> None:
        await asyncio.sleep(NEARLY_OVER.total_seconds())
        with pytest.raises(ServiceUnavailable) as caught:
            await stage.update()
        late.append(caught.value)

    aws = Aws([HOUR, HOUR], sts_takes=[0, *[FOR_EVER] * 50])
    stage = play(aws, act)
    assert [(error.code, error.operation) for error in late] == [("RequestTimeout", "sts.AssumeRole")]
    assert (stage.asked_at, aws.updated_at, stage.guard.unanswered) == ([], [], 0)


def test_a_renewal_in_good_time_is_waited_for_by_nobody() -> None:
    """Ten minutes before the end calls go on with the session that there is, while one renewal is under way."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(50 * 60)
        began = now()
        await asyncio.gather(*(stage.update() for _ in range(30)))
        assert now() == began
        await asyncio.sleep(10)
        await stage.update()

    aws = Aws([HOUR, HOUR], sts_takes=[0, 5])
    play(aws, act)
    assert aws.signed_with == [*["session1"] * 30, "session2"]
    assert aws.asked_sts == 2


def test_a_renewal_that_fails_in_good_time_fails_no_call() -> None:
    """An outage of STS is nobody's trouble while the session lives; when it is over the session is renewed."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(46 * 60)
        for _ in range(10):
            await stage.update()
            await asyncio.sleep(60)
        stage.aws.lives.append(HOUR)
        for _ in range(10):
            await stage.update()
            await asyncio.sleep(60)

    aws = Aws([HOUR])
    stage = play(aws, act)
    # The eleventh call begins the renewal and may be signed with either.
    assert set(aws.signed_with[:10]) == {"session1"}
    assert set(aws.signed_with[11:]) == {"session2"}
    assert len(aws.signed_with) == 20
    assert stage.guard.unanswered == 0


def test_a_refused_renewal_rests_for_a_minute() -> None:
    """While the session lives STS is asked once a minute, however many calls there are; at its end by every call."""
    asked: list[int] = []

    async def act(stage: Stage) -> None:
        await asyncio.sleep(46 * 60)
        for _ in range(12):
            await stage.update()
            await asyncio.sleep(10)
        asked.append(stage.aws.asked_sts)
        await asyncio.sleep(11 * 60 + 30)
        for _ in range(3):
            with pytest.raises(AccessDenied):
                await stage.update()
        asked.append(stage.aws.asked_sts)

    play(Aws([HOUR]), act)
    assert asked == [1 + 2, 1 + 2 + 3]


def test_those_who_need_a_renewal_share_it() -> None:
    """Sixty calls that find a session at its end assume the role once."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(NEARLY_OVER.total_seconds())
        await asyncio.gather(*(stage.update() for _ in range(60)))

    aws = Aws([HOUR, HOUR], sts_takes=[0, 5])
    play(aws, act)
    assert aws.signed_with == ["session2"] * 60
    assert aws.asked_sts == 2


def test_assuming_a_role_is_never_under_a_guard() -> None:
    """Not even for who asks for a client within one: assuming a role is no write of his."""

    async def act(stage: Stage) -> None:
        with guarded(stage.guard):
            await stage.clients.target("ec2", replace(TARGET, assume_role_name="AnotherRole"))

    aws = Aws([HOUR, HOUR])
    stage = play(aws, act)
    assert aws.asked_sts == 2
    assert stage.asked_at == []


def test_all_services_of_a_target_sign_with_one_session() -> None:
    """Also after AWS called it expired to one of them: the next is opened once, and a late answer costs no third."""
    asked: list[int] = []

    async def act(stage: Stage) -> None:
        clients = stage.clients
        drs, ec2 = await asyncio.gather(*(clients.target(service, TARGET) for service in ("drs", "ec2")))
        asked.append(stage.aws.asked_sts)
        clients.forget(drs)
        anew = await asyncio.gather(*(clients.target(service, TARGET) for service in ("ec2", "drs", "ec2")))
        asked.append(stage.aws.asked_sts)
        assert ec2 not in anew, "it would be renewed beside the new one"
        clients.forget(drs)
        clients.forget(ec2)
        assert await clients.target("drs", TARGET) is anew[1]
        asked.append(stage.aws.asked_sts)

    play(Aws([HOUR, HOUR, HOUR], sts_takes=[0, 5, 5]), act)
    assert asked == [1, 2, 2]
