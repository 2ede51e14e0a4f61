"""What is simulated, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.virtual_time import now
from workers.aws.pacing.quotas import EC2_WRITE, Quota
from workers.core.priority import Priority


@dataclass(slots=True)
class AwsBucket:
    """AWS's token bucket: full at first, refilled evenly, one token a call."""

    capacity: float
    per_second: float
    tokens: float = field(init=False)
    at: float = field(init=False)
    spilt: float = 0.0
    """Tokens that nobody took while it was full."""

    def __post_init__(self) -> None:
        self.tokens, self.at = self.capacity, now()

    def accepts(self) -> bool:
        """Take a token, if there is one."""
        self.refill()
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def refill(self) -> None:
        """Let in what has flowed since the last time."""
        grown = self.tokens + (now() - self.at) * self.per_second
        self.tokens, self.spilt, self.at = min(grown, self.capacity), self.spilt + max(grown - self.capacity, 0), now()


def nobody(_at: float) -> float:
    """Tell how many calls a second others make: none."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """A fleet whose processes always have something to call, and an account that it may not have to itself."""

    name: str
    processes: int = 8
    callers: int = 16
    """Those of each process that call without a pause."""
    assumed: Quota = EC2_WRITE
    capacity: float = 100
    """AWS's own numbers, which need not be those that are assumed."""
    per_second: float = 5
    outsiders: Callable[[float], float] = nobody
    """How many calls a second others make, by the time since the beginning."""
    skew_seconds: float = 0.0
    """How far each second process's clock is ahead."""
    crash_every: float | None = None
    """How often a process dies and another one takes its place; seconds."""
    retry_after_seconds: float = 0.0
    """For how long each throttle answer asks to be left alone."""
    priorities: tuple[Priority, ...] = (Priority.NORMAL,)
    """Those of the processes, one after the other."""
    seconds: float = 900.0
    seed: int = 1


@dataclass(slots=True)
class Result:
    """What came of it."""

    granted: int = 0
    throttled: int = 0
    spilt: float = 0.0
    """Tokens that were there and that the fleet did not take."""
    outside: int = 0
    """Calls that others made."""
    outside_throttled: int = 0
    table_calls: int = 0
    """Reads and writes of the fleet's own tables."""
    shares: dict[int, int] = field(default_factory=dict)
    """Calls that each process got through."""
    sent_at: list[float] = field(default_factory=list)
    throttled_at: list[float] = field(default_factory=list)

    @property
    def used(self) -> float:
        """Tell the share that was used of what AWS would have given to this fleet."""
        return self.granted / max(self.granted + self.spilt, 1)

    @property
    def throttled_share(self) -> float:
        """Tell the share of the fleet's calls that were throttled."""
        return self.throttled / max(self.granted + self.throttled, 1)
