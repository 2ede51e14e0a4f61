"""
The time of AWS's servers, by the Date of their answers: processes whose clocks differ share a bucket by it.

A Date has whole seconds and an answer takes time, so one answer only says between which bounds the difference lies;
many answers narrow it down.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

SECOND = 1_000_000
KEPT = 300 * SECOND
"""For how long an answer counts: clocks drift."""
_SENT = "prelaunch_sent_at"


@dataclass(slots=True)
class _Bounds:
    begun_at: int
    lower: int = -(2**62)
    upper: int = 2**62

    def narrow(self, lower: int, upper: int) -> None:
        self.lower, self.upper = max(self.lower, lower), min(self.upper, upper)


class ServerClock:
    """
    Tells the servers' time in microseconds since the epoch.

    Parameters:
        wall: Tells this machine's, which may be wrong.
    """

    def __init__(self, wall: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._wall = wall
        self._bounds = [_Bounds(wall()), _Bounds(wall())]
        """Those of the period before and of this one."""

    def now(self) -> int:
        """Tell the time."""
        return self._wall() + self.offset

    @property
    def offset(self) -> int:
        """Tell how far the servers' clock is ahead of ours; 0 until one of them has answered."""
        lower = max(bounds.lower for bounds in self._bounds)
        upper = min(bounds.upper for bounds in self._bounds)
        return (lower + upper) // 2 if lower > -(2**62) else 0

    @property
    def is_known(self) -> bool:
        """Tell whether one of them has answered."""
        return any(bounds.lower > -(2**62) for bounds in self._bounds)

    def see(self, date: str, sent_at: int) -> None:
        """
        Learn from an answer that has come in just now.

        Parameters:
            date: Its header.
            sent_at: When its request was sent, by our clock.
        """
        said = round(parsedate_to_datetime(date).timestamp()) * SECOND
        now = self._wall()
        if now - self._bounds[1].begun_at > KEPT:
            self._bounds = [self._bounds[1], _Bounds(now)]
        # Its Date was written between our sending and now, and cut down to the second.
        lower, upper = said - now, said + SECOND - sent_at
        if any(lower > bounds.upper or upper < bounds.lower for bounds in self._bounds):
            # One of the clocks was set.
            self._bounds = [_Bounds(now), _Bounds(now)]
        self._bounds[1].narrow(lower, upper)

    def watch(self, client: Any) -> None:
        """Learn from every answer to a client of the SDK."""

        def before(context: dict[str, Any], **_: Any) -> None:
            context[_SENT] = self._wall()

        def after(http_response: Any, context: dict[str, Any], **_: Any) -> None:
            date = http_response.headers.get("Date")
            if date is not None and _SENT in context:
                self.see(date, context[_SENT])

        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-call.{service}", before)
        client.meta.events.register(f"after-call.{service}", after)
