"""What is written down before AWS is told: what changes from what to what, and what was there before us."""

from collections.abc import Awaitable, Callable, Sequence

from workers.apply.claim import Claim
from workers.apply.repairs import find_lately, refuse_recurring
from workers.core.errors import Superseded
from workers.core.plan.drift import DriftItem
from workers.core.ports import Clock
from workers.core.store.baselines import BaselineStore
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.runs import RunStore


class WriteDown:
    """Writes down what claims are about to change."""

    def __init__(
        self, baselines: BaselineStore, groups: GroupStore, runs: RunStore, journal: Journal, clock: Clock
    ) -> None:
        self._baselines = baselines
        self._groups = groups
        self._runs = runs
        self._journal = journal
        self._clock = clock

    def of(self, claim: Claim) -> Callable[[Sequence[DriftItem]], Awaitable[None]]:
        """Answer what a claim has to await before each write to AWS."""

        async def begin(drift: Sequence[DriftItem]) -> None:
            await self._begin(claim, drift)

        return begin

    async def _begin(self, claim: Claim, drift: Sequence[DriftItem]) -> None:
        run, server = claim.current.run, claim.source_server_id
        is_kept = await self._keep(claim)
        status = await self._groups.read_status(run.group_id)
        if status is None and is_kept:
            # Kept after its group was deleted: nobody else would ever take it away.
            await self._runs.delete_server(run.group_id, server)
        if status is None or status.generation != run.head.generation:
            raise Superseded(f"Generation {run.head.generation} of {run.group_id} is over.")
        now = self._clock()
        if claim.is_repair:
            refuse_recurring(find_lately(claim.current.item, now), drift, run.head.changed_by)
            claim.repaired |= {item.field for item in drift}
        await self._journal.begin(run.group_id, run.head.generation, server, drift, now)

    async def _keep(self, claim: Claim) -> bool:
        """Keep what was taken over, before it is overwritten; False: all of it was kept, as most changes have it."""
        baseline, run = claim.baseline, claim.current.run
        if baseline == (claim.kept or {}):
            return False
        is_kept = await self._baselines.keep(
            run.group_id,
            claim.source_server_id,
            baseline,
            instead_of=claim.kept,
            generation=run.head.generation,
            at=self._clock(),
        )
        if not is_kept:
            raise claim.lease.lost()
        claim.kept = baseline
        return True
