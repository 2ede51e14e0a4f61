"""What is written down before AWS is told: what changes from what to what, and what was there before us."""

from collections.abc import Awaitable, Callable, Sequence

from workers.apply.claim import Claim
from workers.apply.repairs import find_lately, refuse_recurring
from workers.core.errors import Superseded
from workers.core.plan.drift import DriftItem
from workers.core.ports import Clock
from workers.core.requests import DRIFT
from workers.core.store.baselines import keep_baseline
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.records import Mode
from workers.core.store.refusals import ConditionFailed


class WriteDown:
    """Writes down what claims are about to change."""

    def __init__(self, groups: GroupStore, journal: Journal, clock: Clock) -> None:
        self._groups = groups
        self._journal = journal
        self._clock = clock

    def of(self, claim: Claim) -> Callable[[Sequence[DriftItem]], Awaitable[None]]:
        """Answer what a claim has to await before each write to AWS."""

        async def begin(drift: Sequence[DriftItem]) -> None:
            await self._begin(claim, drift)

        return begin

    async def _begin(self, claim: Claim, drift: Sequence[DriftItem]) -> None:
        run, server = claim.current.run, claim.source_server_id
        status = await self._groups.read_status(run.group_id)
        if status is None or status.generation != run.head.generation:
            raise Superseded(f"Generation {run.head.generation} of {run.group_id} is over.")
        now = self._clock()
        if run.head.reason == DRIFT and run.head.mode is Mode.APPLY:
            refuse_recurring(find_lately(claim.current.item, now), drift, run.head.changed_by)
            claim.repaired |= {item.field for item in drift}
        # Most changes are of fields that were taken over before: then there is nothing to keep.
        kept = keep_baseline(run.group_id, server, claim.baseline, claim.lease, now) if claim.trail.taken else []
        try:
            await self._journal.begin(run.group_id, run.head.generation, server, drift, now, also=kept)
        except ConditionFailed as failed:
            raise claim.lease.lost() from failed
