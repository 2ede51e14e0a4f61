"""How long to wait before something is tried again. Pure but for the dice."""

import random
from datetime import timedelta


def back_off(attempt: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """
    Plan the wait after a failed attempt: doubling, with jitter over its upper half.

    Parameters:
        attempt: From 1.
        first: The wait after the first attempt, at most.
        longest: No wait is longer.

    Returns:
        Between half and all of the doubled wait.
    """
    # Bounded before it is raised to a power: the thousandth attempt must not overflow.
    whole: timedelta = min(first * 2 ** min(attempt - 1, 30), longest)
    # Callers that failed together must not come back together.
    jittered: timedelta = whole * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311
    return jittered
