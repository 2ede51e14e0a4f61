"""
What a run of mode `report` does with a source server: read it back, and say what is not as it was applied.

Nothing is written to AWS. What the launch config names and the account does not hold any more is no difference that an
apply could mend, and fails the same way.
"""

from dataclasses import dataclass, field

from async_lru import alru_cache

from workers.apply.bring import BringServer, Brought, Work
from workers.apply.repairs import blame
from workers.core.errors import DriftFound
from workers.core.store.runs import Run
from workers.core.validation.missing import Missing

RUNS_CACHED = 32


@dataclass(frozen=True, slots=True)
class _Asked:
    """A run of which the account is asked once, for all that it lists."""

    group_id: str
    generation: int
    run: Run = field(compare=False)


class Report:
    """Reads source servers back."""

    def __init__(self, bring: BringServer, missing: Missing) -> None:
        self._bring = bring
        self._missing = missing
        # What fails is not kept.
        self._find_once = alru_cache(maxsize=RUNS_CACHED)(self._find)

    async def verify(self, run: Run, work: Work) -> Brought:
        """
        Read a source server back, and change nothing.

        Parameters:
            run: Its run.
            work: What is wanted, and of which source server.

        Returns:
            What was read.

        Raises:
            DriftFound: It is not as it was applied, or names what is not there any more; who made the change is said
                where that is known.
            RetryableError: It cannot be told yet.
            PermanentError: It cannot be read.
        """
        try:
            brought = await self._bring.verify(work)
        except DriftFound as found:
            raise DriftFound(
                f"{found.message} {blame(run.head.changed_by)}The group repairs nothing by itself (autoRepair): apply"
                " it with force to put that back, or update it to what AWS holds."
            ) from found
        gone = await self._find_once(_Asked(run.group_id, run.head.generation, run))
        if work.source_server_id in gone:
            raise DriftFound(
                f"{work.source_server_id} is not fit to be launched any more: {gone[work.source_server_id]} No apply"
                " mends that: bring it back yourself, or update the group."
            )
        return brought

    async def _find(self, asked: _Asked) -> dict[str, str]:
        return await self._missing.find(asked.run.definition, asked.run.listed)
