"""How often the watch had a field put back: where somebody sets it again each time, that ends. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from workers.core.errors import DriftRecurs
from workers.core.plan.drift import DriftItem, describe_drift
from workers.core.store.records import Repair, ServerItem

MOST_REPAIRS = 3
WITHIN = timedelta(hours=24)


def find_lately(item: ServerItem | None, now: datetime) -> tuple[Repair, ...]:
    """Tell which repairs of a source server still count."""
    recorded = item.repairs or () if item is not None else ()
    return tuple(repair for repair in recorded if repair.at > now - WITHIN)


def refuse_recurring(lately: Sequence[Repair], drift: Sequence[DriftItem], changed_by: str) -> None:
    """
    Refuse to put a field back that was put back often enough.

    Parameters:
        lately: The repairs of the source server that still count.
        drift: What is about to be changed.
        changed_by: Who made the latest change, where an event said so.

    Raises:
        DriftRecurs: A field of it was.
    """
    counts = Counter(repair.field for repair in lately)
    again = [item for item in drift if counts[item.field] >= MOST_REPAIRS]
    if again:
        raise DriftRecurs(
            f"Put back {MOST_REPAIRS} times within {WITHIN.total_seconds() / 3600:.0f} hours, and changed again:"
            f" {describe_drift(again)}. {blame(changed_by)}It is not put back any more: find what sets it, then apply"
            " again."
        )


def add_repairs(lately: Sequence[Repair], fields: Collection[str], now: datetime) -> tuple[Repair, ...]:
    """Add to the repairs that still count those that were made just now."""
    return (*lately, *(Repair(field, now) for field in sorted(fields)))


def blame(changed_by: str) -> str:
    """Say who made the latest change; nothing where nobody said so."""
    return f"Latest change: {changed_by}. " if changed_by else ""
