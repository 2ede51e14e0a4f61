"""What there is outside our processes, the log of every call to it, and what is to go wrong at which call."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from tests.fakes.twin.dynamodb import Tables, refuse
from tests.fakes.twin.listeners import Listeners
from tests.fakes.twin.servers import SourceServers
from tests.fakes.twin.sqs import Queues

STACK = "twin"
EPOCH = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATE_SECONDS = 40.0
"""How much later than its answer was given up a call may still take effect."""


class Trouble(Enum):
    """What goes wrong at a call."""

    CRASH_BEFORE = auto()
    """The process dies before the call takes effect."""
    CRASH_AFTER = auto()
    """The process dies after the call took effect, without its answer."""
    LOST = auto()
    """The call takes effect and its answer is lost, however often the SDK tried."""
    REPEATED = auto()
    """The call takes effect, its answer is lost, and the SDK sends it again."""
    REFUSED = auto()
    """The service refuses the call: it is throttled, or the transaction met another."""
    LATE = auto()
    """No answer comes, and the call takes effect a good while later."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a process of ours made."""

    process: str
    service: str
    operation: str
    request: Mapping[str, Any]
    run_id: str | None
    """For which run it was made, as far as its process said."""
    number: int = -1
    at: float = 0.0

    @property
    def is_target_write(self) -> bool:
        """Tell whether it changes DRS or EC2."""
        return self.service in {"drs", "ec2"} and not self.operation.startswith(("get_", "describe_"))


class Killed(BaseException):
    """This process of ours has died: nothing that it does has an effect any more."""


@dataclass(slots=True)
class Life:
    """Whether a process is alive, and goes on."""

    name: str
    dead: bool = False
    silent_since: float | None = None
    """When it died or was stopped, in seconds of the world's time; None while it goes on."""
    going: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.going.set()

    def die(self, at: float) -> None:
        """Die: nothing that it does from now on has an effect."""
        self.stop(at)
        self.dead = True
        self.going.set()

    def stop(self, at: float) -> None:
        """Stop in the middle of whatever it does."""
        if self.dead:
            return
        self.silent_since = at if self.silent_since is None else self.silent_since
        self.going.clear()

    def cont(self) -> None:
        """Go on, as if no time had passed."""
        if self.dead:
            return
        self.silent_since = None
        self.going.set()

    async def go_on(self) -> None:
        """Wait while the process is stopped; Killed where it has died."""
        if not self.dead:
            await self.going.wait()
        if self.dead:
            raise Killed(self.name)


class World:
    """
    Tables, queues, DRS and EC2.

    Parameters:
        seed: For how long every call takes, and by how much reads lag behind.
        lag: The longest that a read of EC2, or of an index, is behind; seconds.
    """

    def __init__(self, seed: int = 0, lag: float = 0.0) -> None:
        self.dice = random.Random(seed)  # chance that can be repeated
        self.lag = lag
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

        def choose_lag() -> float:
            return self.dice.uniform(0, lag)

        self.tables = Tables(STACK, self.seconds, choose_lag)
        self.queues = Queues(STACK, self.seconds)
        self.servers = SourceServers(self.seconds, choose_lag)
        self.listeners = Listeners()
        self.roles_gone: set[str] = set()
        """The roles that cannot be assumed any more."""
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], Trouble | Exception | None] = lambda _call: None
        """Decides of each call whether something goes wrong; an exception is what the service answers."""
        self.choose_delay: Callable[[Call], float] = lambda _call: 0.0
        """Chooses by how many seconds longer than others a call is on its way to the service."""
        self.on_write: Callable[[Call], None] = lambda _call: None
        """Told of every write to DRS or EC2 in the instant of its effect."""

    def seconds(self) -> float:
        """Tell how long this world has been going."""
        return self._loop.time() - self._began

    def now(self) -> datetime:
        """Tell the present."""
        return EPOCH + timedelta(seconds=self.seconds())

    async def call(self, life: Life, call: Call, effect: Callable[..., Any], before_send: Callable[[], None]) -> Any:
        """Carry a call out, or let it go wrong."""
        await life.go_on()
        call = replace(call, number=len(self.calls), at=self.seconds())
        self.calls.append(call)
        trouble = self.on_call(call)
        await asyncio.sleep(self._take() + self.choose_delay(call))
        await life.go_on()
        before_send()
        answer = self._carry_out(trouble, life, call, effect)
        await asyncio.sleep(self._take())
        await life.go_on()
        return answer

    def _carry_out(
        self, trouble: Trouble | Exception | None, life: Life, call: Call, effect: Callable[..., Any]
    ) -> Any:
        match trouble:
            case Exception():
                raise trouble
            case Trouble.CRASH_BEFORE:
                life.die(self.seconds())
                raise Killed(life.name)
            case Trouble.REFUSED:
                raise _refusal(call)
            case Trouble.LATE:
                self._loop.call_later(LATE_SECONDS, self._take_effect_late, call, effect)
                raise ConnectionClosedError(endpoint_url=call.service)
        answer = self._take_effect(call, effect)
        match trouble:
            case Trouble.CRASH_AFTER:
                life.die(self.seconds())
                raise Killed(life.name)
            case Trouble.LOST:
                raise ConnectionClosedError(endpoint_url=call.service)
            case Trouble.REPEATED:
                answer = self._take_effect(call, effect)
        return answer

    def _take_effect(self, call: Call, effect: Callable[..., Any]) -> Any:
        if call.is_target_write:
            self.on_write(call)
        return effect(**call.request)

    def _take_effect_late(self, call: Call, effect: Callable[..., Any]) -> None:
        try:
            self._take_effect(call, effect)
        except Exception:  # noqa: BLE001  # nobody hears that it was refused
            return

    def _take(self) -> float:
        """How long a call is on its way in one direction: what is sent together arrives in any order."""
        return self.dice.uniform(0.005, 0.05)


def _refusal(call: Call) -> ClientError:
    if call.operation == "transact_write_items":
        reasons = [{"Code": "TransactionConflict"} for _ in call.request["TransactItems"]]
        return refuse("TransactionCanceledException", call.operation, CancellationReasons=reasons)
    return refuse("RequestLimitExceeded" if call.service == "ec2" else "ThrottlingException", call.operation)
