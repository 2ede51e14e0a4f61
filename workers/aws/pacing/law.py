"""
The law of a shared bucket: when the next turns are, what a throttle answer teaches. Pure; no clock, no I/O.

Turns are handed out by the generic cell rate algorithm. The rate is AWS's own until AWS throttles; then it dips below
what could be had, stays near that for a while, and climbs on: fast back to what is known, slowly past it.
All times are microseconds since the epoch, rates thousandths of a call a second, as they are stored.
"""

from dataclasses import dataclass

from workers.aws.pacing.quotas import Quota
from workers.core.priority import Priority

SECOND = 1_000_000
MARGIN_SECONDS = 2.0
"""The burst is so much refill short of AWS's own: the calls of a burst arrive a little before or after their turns."""
HORIZON = {Priority.URGENT: 3 * SECOND, Priority.NORMAL: SECOND, Priority.BULK: SECOND}
"""How far ahead turns are handed out: what is urgent is always let in before the rest."""
BULK_LEAVES = 0.5
"""The share of a bucket's capacity that bulk work leaves to the others."""
BULK_LEAVES_AT_MOST = 5 * SECOND
"""So much refill it leaves once AWS has throttled: how much AWS's bucket really holds is not known any more."""
BATCH_SECONDS = 0.5
"""How much of a bucket's refill a process reserves at once: what it loses if it dies."""
BURST_BATCH = 16
"""How many turns that are there already it may reserve beside that."""
DIP = 0.05
"""How far below the rate that a throttle taught the climb begins."""
PLATEAU = 40 * SECOND
"""How much time under pressure the climb takes to be back at that rate."""
FIRST_PLATEAU = 90 * SECOND
"""The same before AWS has ever throttled: what is assumed is not left lightly."""
EARLY = 10 * SECOND
"""A throttle so soon after the last one says that the rate is still far too high."""
EARLY_FACTOR = 0.8
LATE_FACTOR = 0.9
"""What the first throttle takes off a rate that was right for long."""
PAUSE = SECOND
"""How long nobody sends after a throttle, so that AWS's bucket holds a little more than we believe."""
CUT_INTERVAL = SECOND
"""The rate is cut once in so much time, however many calls were throttled."""
HIGHEST, LOWEST = 10.0, 0.02
"""How far from what is assumed a rate may be learnt to be."""


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket as it is stored."""

    next_at: int = 0
    """When the next turn is. The longer that is past, the more turns there are at once, up to the burst."""
    cuts: int = 0
    """How often the rate was cut: a turn of before the last cut teaches nothing more."""
    cut_at: int = 0
    middle: int = 0
    """The rate that the last throttle taught."""
    pressed: int = 0
    """For how long since the last cut turns were not there at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Turns that are to be reserved."""

    count: int
    interval: int
    full: int
    """What the next turn of a full bucket is."""
    later: int
    """How much later than the next turn those of this priority are."""
    latest: int
    """The latest next turn at which they may be reserved."""

    @property
    def cost(self) -> int:
        """Tell by how much the next turn moves."""
        return self.count * self.interval

    def turns(self, next_at: int) -> tuple[int, ...]:
        """Tell the turns, given the next one after them."""
        first = next_at - self.cost + self.later
        return tuple(first + n * self.interval for n in range(self.count))

    def is_pressed(self, next_at: int, now: int) -> bool:
        """Tell whether turns are not there at once, given the next one: only then does a climb say anything."""
        return next_at + self.cost - self.interval + self.later > now


def find_rate(state: BucketState, quota: Quota) -> float:
    """Tell how many calls a second the fleet may make now."""
    highest = quota.per_second * (1.0 if quota.published else HIGHEST)
    return max(min(_climb(state, quota), highest), quota.per_second * LOWEST)


def _climb(state: BucketState, quota: Quota) -> float:
    if not state.cuts:
        return quota.per_second * (1 + DIP * (state.pressed / FIRST_PLATEAU) ** 3)
    return state.middle / 1000 + _steepness(state, quota) * (state.pressed / PLATEAU - 1) ** 3


def _steepness(state: BucketState, quota: Quota) -> float:
    # Also from next to nothing, after minutes in which AWS refused everything, it comes back within minutes.
    return DIP * max(state.middle / 1000, quota.per_second / 2)


def plan(state: BucketState, quota: Quota, priority: Priority, now: int, wanted: int) -> Batch:
    """
    Plan to reserve turns for callers who wait: a small batch, and none further ahead than the priority's horizon.

    Parameters:
        state: The bucket as it was seen last.
        quota: What AWS grants.
        priority: Whose turns they are.
        now: The present.
        wanted: How many can be used.

    Returns:
        The batch; it cannot be reserved where the next turn is later than its latest.
    """
    rate = find_rate(state, quota)
    interval = round(SECOND / rate)
    burst = max(quota.capacity - MARGIN_SECONDS * min(rate, quota.per_second), 1.0)
    full = now - round((burst - 1) * interval)
    later = min(_choose_distance(state, quota, interval), now - full) if priority is Priority.BULK else 0
    there = max(now - later - max(state.next_at, full), 0) // interval
    count = min(wanted, max(int(rate * BATCH_SECONDS), 1) + min(there, BURST_BATCH))
    # However slow a bucket is, its next turn is somebody's; and the one after it for what is urgent.
    ahead = max(HORIZON[priority], interval * (2 if priority is Priority.URGENT else 1))
    return Batch(count, interval, full, later, now + ahead - (count - 1) * interval - later)


def _choose_distance(state: BucketState, quota: Quota, interval: int) -> int:
    distance = round(BULK_LEAVES * quota.capacity * interval)
    return min(distance, BULK_LEAVES_AT_MOST) if state.cuts else distance


def cut(state: BucketState, quota: Quota, now: int, retry_after: int = 0) -> BucketState:
    """
    Learn from a throttle answer: AWS's bucket is empty, and the rate was too high.

    Parameters:
        state: The bucket as it is.
        quota: What AWS grants, as far as is known.
        now: The present.
        retry_after: For how long AWS asks to be left alone.

    Returns:
        The bucket from then on; as it is where it was cut a moment ago.
    """
    if state.cuts and now < state.cut_at + CUT_INTERVAL:
        return state
    middle = max(round(_learn(state, quota) * 1000), 1)
    # Turns that were handed out already are still to come.
    return BucketState(max(state.next_at, now + max(PAUSE, retry_after)), state.cuts + 1, now, middle)


def _learn(state: BucketState, quota: Quota) -> float:
    rate = find_rate(state, quota)
    if state.pressed < EARLY:
        return rate * EARLY_FACTOR
    if not state.cuts:
        return rate * LATE_FACTOR
    # Between two moments in which AWS's bucket was empty it gave what we took: on the average, what could be had.
    place = state.pressed / PLATEAU
    average = state.middle / 1000 + _steepness(state, quota) / (4 * place) * ((place - 1) ** 4 - 1)
    return min(average, rate)
