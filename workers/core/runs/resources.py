"""What whoever changes groups and opens generations needs, wired once."""

from dataclasses import dataclass

from workers.core.ports import Clock
from workers.core.runs.planner import RunPlanner
from workers.core.runs.sending import RunSender
from workers.core.store.groups import GroupStore
from workers.core.store.receipts import Receipts
from workers.core.store.runs import RunStore
from workers.core.store.tables import Tables
from workers.core.telling.tellings import Tellings


@dataclass(frozen=True, slots=True)
class Resources:
    """Stores, planner and sender over the clients of one event loop."""

    tables: Tables
    groups: GroupStore
    runs: RunStore
    receipts: Receipts
    planner: RunPlanner
    sender: RunSender
    tellings: Tellings
    clock: Clock
    account_id: str
    """The account that we run in: that of a group which names none."""
