"""What was done to a group: its apply runs, newest first. Reads only."""

from dataclasses import dataclass

from workers.core.model.types import LAST_GENERATION
from workers.core.pages import bad_token, read_token, write_token
from workers.core.requests import NotFound, group_not_found, quote
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.records import HISTORY_KEPT, RunHead, ServerChange
from workers.core.store.runs import RunStore

RUNS_READ = 100
KEPT = f"Runs are kept for {HISTORY_KEPT.days} days after the next one took their place; the history lists them."
FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class RunList:
    """A page of a group's runs, newest first."""

    runs: list[RunHead]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class RunView:
    """One run."""

    head: RunHead
    source_server_ids: tuple[str, ...]
    """What it lists, in order."""
    changes: list[ServerChange]
    """What it changed, by source server; those that were right already are not among them."""


class History:
    """Answers about what was done."""

    def __init__(self, groups: GroupStore, runs: RunStore, journal: Journal) -> None:
        self._groups = groups
        self._runs = runs
        self._journal = journal

    async def runs(self, group_id: str, limit: int, token: str | None) -> RunList:
        """
        List a group's runs, newest first.

        Parameters:
            group_id: The group.
            limit: The most that are answered, 1 to 1,000.
            token: The one that the page before gave; None for the first page.

        Returns:
            A page.

        Raises:
            NotFound: There is no such group.
            RequestRefused: The token is none of ours.
        """
        asked = ("apply-runs", group_id)
        before = _read_place(read_token(token, asked))
        if await self._groups.read_head(group_id) is None:
            raise group_not_found(group_id)
        heads = await self._runs.read_heads(group_id, limit=limit, before=before)
        last = heads[-1].generation if len(heads) == limit else FIRST_GENERATION
        return RunList(heads, write_token(asked, (last,)) if last > FIRST_GENERATION else None)

    async def run(self, group_id: str, run_id: str) -> RunView:
        """
        Read one run of a group.

        Parameters:
            group_id: The group.
            run_id: The run, by its id or its generation.

        Returns:
            The run with the source servers that it lists.

        Raises:
            NotFound: There is no such group, or no such run of it.
        """
        head = await self.find(group_id, run_id)
        listed = await self._runs.read_listed(group_id, head.generation)
        return RunView(head, listed, await self._journal.read(group_id, head.generation))

    async def find(self, group_id: str, named: str) -> RunHead:
        """
        Find a run of a group.

        Parameters:
            group_id: The group.
            named: The run's id, or its generation in digits.

        Returns:
            Its head.

        Raises:
            NotFound: There is no such group, or no such run of it.
        """
        if named.isascii() and named.isdigit():
            return await self._find_generation(group_id, int(named))
        before: str | None = None
        while True:
            page = await self.runs(group_id, RUNS_READ, before)
            for head in page.runs:
                if head.run_id == named:
                    return head
            before = page.next_token
            if before is None:
                raise NotFound(f"{group_id} has no apply run {quote(named)}. {KEPT}", code="RUN_NOT_FOUND")

    async def _find_generation(self, group_id: str, generation: int) -> RunHead:
        head = await self._runs.read_head(group_id, generation)
        if await self._groups.read_head(group_id) is None:
            raise group_not_found(group_id)
        if head is None:
            raise NotFound(f"{group_id} has no apply run of generation {generation}. {KEPT}", code="RUN_NOT_FOUND")
        return head


def _read_place(place: list[object] | None) -> int | None:
    """Answer the generation before which the page begins; None for the first page."""
    match place:
        case None:
            return None
        case [int() as generation] if FIRST_GENERATION < generation <= LAST_GENERATION:
            return generation
    raise bad_token()
