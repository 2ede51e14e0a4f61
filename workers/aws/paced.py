"""Calls under the fleet's buckets, wired the same for workers and producers: they draw on the same turns."""

import random
from dataclasses import dataclass
from typing import Any

from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.pacing.law import SECOND
from workers.aws.pacing.pacing import Pacing
from workers.aws.pacing.server_clock import ServerClock
from workers.aws.pacing.store import BucketStore
from workers.core.clock import read_clock
from workers.core.ports import Clock
from workers.core.settings import Settings
from workers.core.store.tables import Tables


@dataclass(frozen=True, slots=True)
class PacedCalls:
    """Calls to AWS, and what paces them, which is to be closed at the end."""

    calls: Calls
    pacing: Pacing


def wire_calls(
    settings: Settings,
    clients: Clients,
    tables: Tables,
    *,
    dynamodb: Any,
    own_account: str,
    clock: Clock | None = None,
    dice: random.Random | None = None,
) -> PacedCalls:
    """
    Wire the calls of a process over the clients of the running loop.

    Parameters:
        settings: The installation's.
        clients: Those of the running loop.
        tables: Where the fleet's buckets are.
        dynamodb: The client of these tables, by whose answers the fleet agrees on the time.
        own_account: The account that the process runs in.
        clock: The time that everything goes by; None for the machine's own, corrected by DynamoDB's.
        dice: Spreads what many processes try at once.

    Returns:
        The calls.
    """
    wall = clock or read_clock
    fleet_clock = ServerClock(lambda: round(wall().timestamp() * SECOND))
    if clock is None:
        fleet_clock.watch(dynamodb)
    dice = dice or random.Random()  # noqa: S311  # nosec B311  # nothing is to be kept secret
    pacing = Pacing(BucketStore(tables), fleet_clock.now, own_account, dice, settings.rate_factor)
    calls = Calls(clients, pacing, timeout=settings.call_timeout, log_reads=settings.log_reads)
    return PacedCalls(calls, pacing)
