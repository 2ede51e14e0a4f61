"""The buckets of a process of ours, worker or producer: all draw on the same, by the same time."""

import random
from typing import Any

from workers.aws.pacing.pacing import Pacing
from workers.aws.pacing.server_clock import SECOND, ServerClock
from workers.aws.pacing.store import BucketStore
from workers.core.clock import read_clock
from workers.core.ports import Clock
from workers.core.settings import Settings
from workers.core.store.tables import Tables


def make_pacing(
    settings: Settings,
    tables: Tables,
    dynamodb: Any,
    *,
    own_account: str,
    clock: Clock | None = None,
    dice: random.Random | None = None,
) -> Pacing:
    """
    Make the buckets of a process.

    Parameters:
        settings: The installation's.
        tables: The stack's, where the fleet's state of the buckets is.
        dynamodb: The client that the tables are over.
        own_account: The account of what names none.
        clock: The time that the buckets go by; None for DynamoDB's, which all machines agree on.
        dice: Spreads what many processes try at once.

    Returns:
        The buckets; whoever asks for them closes them.
    """
    wall = clock or read_clock
    fleet_clock = ServerClock(lambda: round(wall().timestamp() * SECOND))
    if clock is None:
        fleet_clock.watch(dynamodb)
    dice = dice or random.Random()  # noqa: S311  # nosec B311  # nothing is to be kept secret
    return Pacing(BucketStore(tables), fleet_clock.now, own_account, dice, settings.rate_factor)
