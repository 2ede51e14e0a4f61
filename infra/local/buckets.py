"""
Token buckets of account, Region and API, as EC2 documents them. Pure: the time is given, nothing sleeps.

The published numbers must never be softened here to make a product look good: a factor is for tests only.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Rates = Literal["real", "off"] | float
"""What `PUT /_local/rates` takes: AWS's own numbers, none at all, or a factor on capacity and refill."""

Key = tuple[str, str, str, str]
"""Account, Region, service, operation: AWS gives each its own bucket."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many calls at once, and how many more each second."""

    capacity: float
    refill_per_second: float

    def scaled(self, factor: float) -> "Quota":
        """Multiply capacity and refill."""
        return Quota(self.capacity * factor, self.refill_per_second * factor)


_DESCRIBE = Quota(100, 20)
_PUBLISHED: dict[tuple[str, str], Quota] = {
    # docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
    ("ec2", "CreateLaunchTemplateVersion"): Quota(100, 5),
    ("ec2", "ModifyLaunchTemplate"): Quota(100, 5),
    ("ec2", "DeleteLaunchTemplateVersions"): Quota(50, 5),
    # DRS publishes no request rate at all: these are assumed.
    ("drs", "StartRecovery"): Quota(10, 1),
}
_EC2_OTHERS = Quota(50, 5)
"""EC2's default for calls that change something."""
_DRS_OTHERS = Quota(100, 10)
"""Assumed: Get and Update, and with them every call of DRS that is neither Describe nor StartRecovery."""


def quota_of(service: str, operation: str) -> Quota | None:
    """
    Tell the quota of one API.

    Parameters:
        service: The service that the call is signed for.
        operation: The operation.

    Returns:
        The quota, or None where calls are not limited here.
    """
    if service not in {"ec2", "drs"}:
        return None
    if operation.startswith("Describe"):
        return _DESCRIBE
    return _PUBLISHED.get((service, operation), _EC2_OTHERS if service == "ec2" else _DRS_OTHERS)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """All token buckets of the stand-in. Safe to use from many threads."""

    def __init__(self, rates: Rates, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[Key, _Bucket] = {}
        self._rates: Rates = rates

    @property
    def rates(self) -> Rates:
        """Tell what the buckets were last set to."""
        return self._rates

    def set_rates(self, rates: Rates) -> None:
        """Change the numbers and fill every bucket."""
        with self._lock:
            self._rates = rates
            self._buckets.clear()

    def take(self, key: Key) -> int | None:
        """
        Take one token.

        Parameters:
            key: Account, Region, service and operation.

        Returns:
            None if there was one, else the whole seconds until there is (at least 1).
        """
        quota = quota_of(key[2], key[3])
        if quota is None:
            return None
        with self._lock:
            if self._rates == "off":
                return None
            if self._rates != "real":
                quota = quota.scaled(self._rates)
            return self._take(key, quota)

    def _take(self, key: Key, quota: Quota) -> int | None:
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(quota.capacity, now))
        refilled = bucket.tokens + (now - bucket.filled_at) * quota.refill_per_second
        bucket.tokens, bucket.filled_at = min(quota.capacity, refilled), now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return max(1, math.ceil((1 - bucket.tokens) / quota.refill_per_second))


def parse_rates(text: str) -> Rates:
    """
    Read what a command line says of the buckets.

    Parameters:
        text: real, off or a factor.

    Returns:
        The rates.

    Raises:
        ValueError: It is none of these.
    """
    if text == "real":
        return "real"
    if text == "off":
        return "off"
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 0 < factor < math.inf:
        raise ValueError(f"{text!r} is neither real nor off nor a factor above 0")
    return factor
