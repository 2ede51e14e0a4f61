"""One call: paced, retried where that is all it takes, guarded at the last moment. In virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
import structlog
from aiohttp import ClientConnectorError
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from tests.fakes.guards import ScriptedGuard
from tests.fakes.pacing import make_tables, pace
from tests.fakes.virtual_time import now, run_virtually
from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.guarding import ask_guard
from workers.aws.pacing.lanes import Turn
from workers.aws.pacing.pacing import Pacing
from workers.core.errors import (
    CredentialsExpired,
    InvalidLaunchConfig,
    LeaseLost,
    OutOfTurns,
    PrelaunchError,
    ServiceUnavailable,
    Throttled,
)
from workers.core.model.group import Target
from workers.core.ports import Guard
from workers.core.priority import Priority

TARGET = Target("us-east-1", "111122223333")
OK: dict[str, Any] = {"ok": True}
HANG = "hang"


def refusal(code: str, **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, "X")


THROTTLE = refusal("ThrottlingException")
BROKEN = refusal("InternalServerException")
LOST = ConnectionClosedError(endpoint_url="https://ec2")
UNREACHED = ClientConnectorError(cast("Any", None), ConnectionRefusedError())


@dataclass
class ScriptedClient:
    """Answers as it is told, and notes when each request came."""

    script: list[Any]
    sent: list[float] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    latency: float = 0.0
    making: float = 0.0
    """How long it takes until the client stands, whenever it is asked for."""
    forgotten: int = 0

    async def target(self, _service: str, _target: Target) -> "ScriptedClient":
        # As a call to STS on the way would.
        ask_guard()
        await asyncio.sleep(self.making)
        return self

    def forget(self, client: object) -> None:
        assert client is self
        self.forgotten += 1

    def __getattr__(self, _operation: str) -> Callable[..., Awaitable[Any]]:
        return self._answer

    async def _answer(self, **request: Any) -> Any:
        ask_guard()
        self.sent.append(now())
        self.requests.append(request)
        outcome = self.script.pop(0)
        if outcome is HANG:
            await asyncio.sleep(10_000)
        await asyncio.sleep(self.latency)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass
class Played:
    """What came of one call."""

    answer: Any = None
    error: PrelaunchError | None = None
    sent: list[float] = field(default_factory=list)
    begun_at: float = 0.0
    ended_at: float = 0.0
    forgotten: int = 0
    """How often the client's session was dropped."""

    @property
    def waits(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.sent, self.sent[1:], strict=False)]


def queue_up(pacing: Pacing, callers: int) -> "asyncio.Future[list[Turn]]":
    """Let so many callers wait for their turns."""
    bucket = pacing.bucket("111122223333", "us-east-1", "ec2", "ModifyLaunchTemplate")
    return asyncio.gather(*(bucket.take(Priority.NORMAL, timedelta(hours=1)) for _ in range(callers)))


def play(
    script: list[Any], *, guard: Guard | None = None, repeatable: bool = True, queue: int = 0, making: float = 0.0
) -> Played:
    """Make one call with these outcomes, behind so many callers who emptied the burst."""

    async def main() -> Played:
        client = ScriptedClient([*script], making=making)
        pacing = pace()
        calls = Calls(cast("Clients", client), pacing, timeout=timedelta(seconds=20))
        others = queue_up(pacing, queue)
        played = Played(sent=client.sent, begun_at=now())
        try:
            played.answer = await calls.call(
                TARGET, "ec2", "ModifyLaunchTemplate", {"A": 1}, guard=guard, repeatable=repeatable
            )
        except PrelaunchError as error:
            played.error = error
        played.ended_at = now()
        played.forgotten = client.forgotten
        await others
        assert all(request == {"A": 1} for request in client.requests)
        return played

    return run_virtually(main)


def test_a_throttled_call_is_sent_again_and_costs_no_attempt() -> None:
    """Throttles and failures of the service are counted apart: two of the latter and many throttles still succeed."""
    played = play([*[THROTTLE] * 6, BROKEN, *[THROTTLE] * 6, BROKEN, OK])
    assert played.answer == OK
    assert len(played.sent) == 15


def test_throttling_without_end_is_given_up() -> None:
    """A call that is only ever throttled ends, so that its slot is free for others."""
    played = play([THROTTLE] * 100)
    assert isinstance(played.error, Throttled)
    assert len(played.sent) <= 20


def test_a_service_that_fails_is_tried_three_times() -> None:
    """Failures of the service are retried with growing waits, at most twice; then the queue's back-off takes over."""
    played = play([BROKEN, LOST, BROKEN, OK])
    assert isinstance(played.error, ServiceUnavailable)
    assert len(played.sent) == 3
    assert 0.2 <= played.waits[0] <= 0.4 <= played.waits[1] <= 0.8


@pytest.mark.parametrize("repeatable", [True, False])
def test_an_expired_session_is_renewed_once(repeatable: bool) -> None:
    """AWS refuses an expired session before it does anything: sent again with a new one, but not for ever."""
    expired = refusal("ExpiredTokenException")
    assert play([expired, OK], repeatable=repeatable).answer == OK
    played = play([expired, expired, OK], repeatable=repeatable)
    assert isinstance(played.error, CredentialsExpired)
    assert (len(played.sent), played.forgotten) == (2, 2)


def test_a_refusal_is_not_repeated() -> None:
    """What AWS refuses for good is sent once."""
    played = play([refusal("InvalidSubnetID.NotFound"), OK])
    assert isinstance(played.error, InvalidLaunchConfig)
    assert len(played.sent) == 1


@pytest.mark.parametrize("outcome", [BROKEN, LOST, HANG])
def test_what_may_have_happened_is_not_repeated_where_it_must_not_be(outcome: object) -> None:
    """A call that is not repeatable is sent once, whatever kept its answer away."""
    played = play([outcome, OK], repeatable=False)
    assert isinstance(played.error, ServiceUnavailable)
    assert len(played.sent) == 1


def test_a_throttled_call_never_happened() -> None:
    """A throttle answer means that AWS did nothing: also what is not repeatable is sent again."""
    played = play([THROTTLE, OK], repeatable=False)
    assert played.answer == OK


def test_a_call_without_answer_ends_in_time() -> None:
    """No call lasts longer than its limit, for the lease must outlive it."""
    played = play([HANG], repeatable=False)
    assert played.error is not None
    assert played.error.code == "RequestTimeout"
    assert played.ended_at - played.begun_at == pytest.approx(20)


@pytest.mark.parametrize("seconds", ["4", "9.5"])
def test_the_stated_wait_is_kept(seconds: str) -> None:
    """Retry-After is honoured where a worker's slot can wait for it."""
    for code in ("ThrottlingException", "InternalServerException"):
        played = play([refusal(code, retryAfterSeconds=seconds), OK])
        assert played.answer == OK
        assert played.waits[0] >= float(seconds) - 1e-6


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
def test_a_long_wait_is_handed_back(code: str) -> None:
    """A wait of over ten seconds is not waited for here: it is raised, and says how long."""
    played = play([refusal(code, retryAfterSeconds="60"), OK])
    assert played.error is not None
    assert getattr(played.error, "retry_after", None) == timedelta(seconds=60)
    assert len(played.sent) == 1
    assert played.ended_at == played.begun_at


def test_the_guard_is_asked_after_the_wait_and_before_the_send() -> None:
    """The lease is checked when the turn has come, for it may run out while a call waits for it; at every try."""
    asked: list[float] = []
    played = play([BROKEN, THROTTLE, OK], guard=ScriptedGuard(lambda: asked.append(now())), queue=120)
    assert asked == played.sent
    assert len(asked) == 3
    assert asked[0] - played.begun_at > 5


def test_a_clients_making_is_no_part_of_the_call() -> None:
    """A client that takes longer than a call may is waited for, outside the call's time, and before its guard."""
    asked: list[float] = []
    guard = ScriptedGuard(lambda: asked.append(now()))
    played = play([OK], guard=guard, making=25)
    assert played.answer == OK
    assert asked == played.sent
    assert asked[0] - played.begun_at >= 25
    assert guard.unanswered == 0


@dataclass
class MortalClients:
    """Makes clients, the first of which has a session that AWS calls expired."""

    made: list[ScriptedClient] = field(default_factory=list)
    current: ScriptedClient | None = None

    async def target(self, _service: str, _target: Target) -> ScriptedClient:
        if self.current is None:
            outcome = OK if self.made else refusal("ExpiredTokenException")
            self.current = ScriptedClient([outcome] * 1000, latency=0.1)
            self.made.append(self.current)
        return self.current

    def forget(self, client: object) -> None:
        if client is self.current:
            self.current = None


def test_calls_that_wait_for_their_turn_do_not_keep_a_dead_client() -> None:
    """When the session turns out to have expired, those who still wait are sent with the new one, once."""
    clients = MortalClients()

    async def main() -> None:
        pacing = pace()
        calls = Calls(cast("Clients", clients), pacing, timeout=timedelta(seconds=20))
        await queue_up(pacing, 90)
        await asyncio.gather(*(calls.call(TARGET, "ec2", "ModifyLaunchTemplate", {}) for _ in range(40)))

    run_virtually(main)
    dead, new = clients.made
    assert (len(dead.sent), len(new.sent)) == (1, 40)


def test_a_lost_lease_stops_the_send() -> None:
    """Where the guard objects nothing is sent, and nobody tries again."""

    def object_() -> None:
        raise LeaseLost("too little time left")

    played = play([OK], guard=ScriptedGuard(object_))
    assert isinstance(played.error, LeaseLost)
    assert played.sent == []


def test_a_lease_lost_between_tries_stops_the_next() -> None:
    """A retry is a send like any other: the guard can stop it."""
    objections: list[PrelaunchError | None] = [None, LeaseLost("gone")]

    def guard() -> None:
        if (objection := objections.pop(0)) is not None:
            raise objection

    played = play([BROKEN, OK], guard=ScriptedGuard(guard))
    assert isinstance(played.error, LeaseLost)
    assert len(played.sent) == 1


REFUSED = refusal("AuthFailure", ResponseMetadata={"RequestId": "aws-1"})
UNREACHABLE = EndpointConnectionError(endpoint_url="https://ec2", error=UNREACHED)


@pytest.mark.parametrize("guard", [None, ScriptedGuard()])
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([{"ResponseMetadata": {"RequestId": "aws-2"}}], [("aws.changed", "aws-2", None, None)]),
        ([REFUSED], [("aws.refused", "aws-1", "AuthFailure", None)]),
        ([THROTTLE, OK], [("aws.refused", None, "ThrottlingException", None), ("aws.changed", None, None, None)]),
        ([LOST, OK], [("aws.unanswered", None, None, True), ("aws.changed", None, None, None)]),
        ([HANG, REFUSED], [("aws.unanswered", None, None, True), ("aws.refused", "aws-1", "AuthFailure", None)]),
        ([UNREACHABLE, OK], [("aws.unanswered", None, None, False), ("aws.changed", None, None, None)]),
    ],
)
def test_every_try_of_a_write_stands_in_the_log(
    script: list[Any], told: list[tuple[str, str | None, str | None, bool | None]], guard: Guard | None
) -> None:
    """An auditor finds by the request what was tried too, with the id that CloudTrail has, and none of AWS's words."""
    with structlog.testing.capture_logs() as logs:
        play(script, guard=guard)
    lines = [line for line in logs if line["event"].startswith("aws.")]
    assert [
        (line["event"], line["aws_request_id"], line.get("code"), line.get("may_have_happened")) for line in lines
    ] == told
    known = {"operation": "ec2:ModifyLaunchTemplate", "account_id": "111122223333", "region": "us-east-1"}
    assert all(line.items() >= known.items() for line in lines)


def test_what_was_never_sent_or_changes_nothing_does_not_stand_in_the_log() -> None:
    """AWS's own trail has nothing of it; a read or a dry run is no change."""

    def object_() -> None:
        raise LeaseLost("too little time left")

    async def read() -> None:
        for operation, request in (("DescribeLaunchTemplates", {}), ("ModifyLaunchTemplate", {"DryRun": True})):
            calls = Calls(cast("Clients", ScriptedClient([REFUSED])), pace(), timeout=timedelta(seconds=20))
            with pytest.raises(PrelaunchError):
                await calls.call(TARGET, "ec2", operation, request)

    with structlog.testing.capture_logs() as logs:
        play([OK], guard=ScriptedGuard(object_))
        run_virtually(read)
    assert [line["event"] for line in logs if line["event"].startswith("aws.")] == []


@pytest.mark.parametrize("log_reads", [False, True])
def test_reads_stand_in_the_log_where_that_is_asked_for(*, log_reads: bool) -> None:
    """Every try, as writes do; each beside its request, with the id that CloudTrail has."""

    async def read() -> None:
        client = cast("Clients", ScriptedClient([BROKEN, {"ResponseMetadata": {"RequestId": "aws-2"}}]))
        calls = Calls(client, pace(), timeout=timedelta(seconds=20), log_reads=log_reads)
        await calls.call(TARGET, "ec2", "DescribeLaunchTemplates", {})

    merging = [structlog.contextvars.merge_contextvars]
    with structlog.testing.capture_logs(merging) as logs, structlog.contextvars.bound_contextvars(request_id="req-1"):
        run_virtually(read)
    told = [(line["event"], line["request_id"], line["aws_request_id"]) for line in logs if "aws." in line["event"]]
    assert told == ([("aws.refused", "req-1", None), ("aws.read", "req-1", "aws-2")] if log_reads else [])


def test_a_write_that_is_broken_off_stands_in_the_log() -> None:
    """A process that is told to stop in the middle of it does not know what became of it: somebody will ask."""

    async def stop() -> None:
        calls = Calls(cast("Clients", ScriptedClient([HANG])), pace(), timeout=timedelta(seconds=20))
        writing = asyncio.create_task(calls.call(TARGET, "ec2", "ModifyLaunchTemplate", {}))
        await asyncio.sleep(1)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing

    with structlog.testing.capture_logs() as logs:
        run_virtually(stop)
    (line,) = (line for line in logs if line["event"].startswith("aws."))
    assert (line["event"], line["error"], line["may_have_happened"]) == ("aws.unanswered", "CancelledError", True)


@pytest.mark.parametrize(
    ("script", "unanswered"),
    [
        ([OK], 0),
        ([THROTTLE, BROKEN, OK], 0),
        ([EndpointConnectionError(endpoint_url="https://ec2", error=UNREACHED), OK], 0),
        ([EndpointConnectionError(endpoint_url="https://ec2", error=ConnectionResetError()), OK], 1),
        ([LOST, OK], 1),
        ([HANG, LOST, OK], 2),
        ([HANG, HANG, HANG], 3),
    ],
)
def test_trace_12_a_write_without_an_answer_is_told_to_its_guard(script: list[Any], unanswered: int) -> None:
    """Trace 12: what was sent and not answered may come late, also where a later try succeeds; a refusal does not."""
    guard = ScriptedGuard()
    play(script, guard=guard)
    assert guard.unanswered == unanswered


@pytest.mark.parametrize("stated", [3.0, 60.0])
def test_one_throttle_slows_every_caller_of_the_fleet(stated: float) -> None:
    """What AWS says to one caller holds for all, in other processes too: once it is known none sends before its end."""
    sent: list[float] = []

    async def main() -> None:
        tables = make_tables()

        async def call(calls: Calls) -> None:
            with suppress(OutOfTurns, Throttled):
                await calls.call(TARGET, "ec2", "ModifyLaunchTemplate", {})

        async with asyncio.TaskGroup() as callers:
            for script in ([refusal("RequestLimitExceeded", retryAfterSeconds=str(stated))], []):
                client = ScriptedClient([*script, *[OK] * 100], latency=0.1, sent=sent)
                calls = Calls(cast("Clients", client), pace(tables), timeout=timedelta(seconds=20))
                for _ in range(100):
                    callers.create_task(call(calls))

    run_virtually(main)
    # The answer takes 0.1 s, and no turn is handed out more than a second ahead.
    later = [at - sent[0] for at in sent if at > sent[0] + 1.1]
    assert len(later) >= 10 or stated > 10
    assert min(later, default=stated) >= stated
