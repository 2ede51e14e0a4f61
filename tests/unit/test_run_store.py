"""What is read of a run, and how often."""

import asyncio
from typing import Any, cast

from tests.fakes.runs import MEMBERS, run_over
from tests.fakes.virtual_time import run_virtually
from workers.core.errors import ServiceUnavailable
from workers.core.store.groups import GroupStore
from workers.core.store.records import to_item
from workers.core.store.runs import RUNS_CACHED, RunStore
from workers.core.store.tables import Tables

RUN = run_over(MEMBERS, frozenset(MEMBERS))


class CountedTables:
    """Holds one run, answers after a moment, and counts."""

    def __init__(self, failures: int = 0) -> None:
        self.reads = 0
        self.failures = failures
        self.opened = True

    async def get(self, _table: str, _group_id: str, key: str) -> dict[str, Any] | None:
        self.reads += 1
        await asyncio.sleep(1)
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable("DynamoDB does not answer.")
        if not self.opened:
            return None
        return to_item(RUN.head) if key.startswith("head#") else {"sourceServerIds": sorted(RUN.listed)}


class OneDefinition:
    async def read_definition(self, _group_id: str, _version: int) -> Any:
        return RUN.definition


def _store(tables: CountedTables) -> RunStore:
    return RunStore(cast("Tables", tables), cast("GroupStore", OneDefinition()))


def test_jobs_of_a_run_that_begin_together_read_it_once() -> None:
    """Sixty-four jobs cost one read of the head and one of the list, and each gets the run."""
    tables = CountedTables()
    store = _store(tables)

    async def begin() -> list[Any]:
        return await asyncio.gather(*(store.read_run("pg-1", 3) for _ in range(64)))

    runs = run_virtually(begin)
    assert {run.listed for run in runs} == {RUN.listed}
    assert tables.reads == 2


def test_a_run_that_could_not_be_read_is_read_again() -> None:
    """What failed is not kept: those who waited are told, the next one asks anew."""
    tables = CountedTables(failures=1)
    store = _store(tables)

    async def begin() -> tuple[list[Any], Any]:
        together = (store.read_run("pg-1", 3) for _ in range(4))
        return await asyncio.gather(*together, return_exceptions=True), await store.read_run("pg-1", 3)

    failed, read = run_virtually(begin)
    assert all(isinstance(error, ServiceUnavailable) for error in failed)
    assert read.listed == RUN.listed


def test_that_there_is_no_run_is_not_remembered() -> None:
    """A generation that nobody opened is no run; as soon as it is opened it is read."""
    tables = CountedTables()
    tables.opened = False
    store = _store(tables)

    async def begin() -> list[Any]:
        before = await store.read_run("pg-1", 3)
        tables.opened = True
        return [before, await store.read_run("pg-1", 3)]

    before, after = run_virtually(begin)
    assert before is None
    assert after.listed == RUN.listed


def test_only_the_latest_runs_are_kept() -> None:
    """A process that lives for months reads a run of long ago again, instead of keeping them all."""
    tables = CountedTables()
    store = _store(tables)

    async def read(*generations: int) -> int:
        before = tables.reads
        for generation in generations:
            await store.read_run("pg-1", generation)
        return (tables.reads - before) // 2

    async def begin() -> list[int]:
        return [await read(*range(RUNS_CACHED)), await read(0), await read(RUNS_CACHED), await read(0), await read(1)]

    assert run_virtually(begin) == [RUNS_CACHED, 0, 1, 0, 1]
