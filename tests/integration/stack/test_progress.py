"""How far many runs are, in a few reads that no number of source servers makes more."""

from typing import Any

import pytest

from tests.integration.product import TESTER, Product
from workers.core.contract import Queue
from workers.core.progress import RunProgress
from workers.core.runs.selection import ApplyRequest
from workers.core.status import Status

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def read(product: Product, group_id: str, generation: int = 1) -> RunProgress:
    return (await product.services.progress.read({group_id: generation}))[group_id]


async def test_a_look_at_many_groups_is_a_few_reads(product: Product) -> None:
    """Two items of a group and one of its run, a hundred a call, and nothing written; the unknown is left out."""
    known = await product.create(product.add_servers(2))
    asked = {known: 1, **{f"pg-{number:017x}": 1 for number in range(119)}}
    product.count_anew()
    assert list(await product.services.progress.read(asked)) == [known]
    assert product.calls() == {"dynamodb.BatchGetItem": 3 + 2}
    product.count_anew()
    listed = await product.services.progress.list_groups()
    assert known in listed
    assert len(set(listed)) == len(listed)
    assert product.calls() == {"dynamodb.Query": 1}


async def test_a_run_is_followed_from_its_first_outcome_to_its_end(product: Product) -> None:
    """Outcomes are counted on the run; settled is what the one write of the group's status settled it as."""
    members = product.add_servers(2)
    product.faults(
        {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"}
        | {"sourceServerId": members[0]}
    )
    group_id = await product.create(members)
    begun = await read(product, group_id)
    assert (begun.done, begun.head.listed, begun.is_over, begun.waiting_for) == (0, 2, False, None)
    first, second = product.take_jobs()
    await product.drain([first])
    half = await read(product, group_id)
    assert (half.done, half.is_over) == (1, False)
    await product.drain([second])
    over = await read(product, group_id)
    assert (over.done, over.is_over, over.head.outcome, over.waiting_for) == (2, True, Status.FAILED, None)


async def test_what_a_run_waits_for_is_said_as_the_status_says_it(product: Product) -> None:
    """The same words; a status of another generation says nothing about this one."""
    (member,) = product.add_servers(1)
    fault: dict[str, Any] = {"service": "drs", "operation": "UpdateLaunchConfiguration", "times": 1}
    product.faults({**fault, "code": "ConflictException"})
    group_id = await product.create([member], launchConfig={"copyTags": True})
    (job,) = product.take_jobs()
    await product.run(job)
    said = (await product.status(group_id))["waitingFor"]
    assert said.startswith("job: DRS is busy with ")
    assert (await read(product, group_id)).waiting_for == said
    await product.apply(group_id, force=True)
    assert (await read(product, group_id)).waiting_for is None


async def test_a_run_that_was_taken_over_and_one_of_a_deleted_group_are_over(product: Product) -> None:
    """By which generation is known; deleted is no outcome."""
    group_id = await product.create(product.add_servers(1))
    await product.apply(group_id, force=True)
    old, new = await read(product, group_id), await read(product, group_id, 2)
    assert (old.is_over, old.head.superseded_by, old.head.outcome) == (True, 2, None)
    assert (new.is_over, new.head.superseded_by) == (False, None)
    assert (await product.api.delete(f"/protection-groups/{group_id}")).status_code == 204
    gone = await read(product, group_id, 2)
    assert (gone.is_over, gone.is_there, gone.head.outcome) == (True, False, None)


async def test_what_was_submitted_names_its_generation(product: Product) -> None:
    """A new run, the one in hand, and none at all: by it the run is followed."""
    group_id = await product.create(product.add_servers(1))

    async def apply(**asked: Any) -> tuple[int, bool]:
        submitted = await product.services.submission.apply(group_id, ApplyRequest(**asked), TESTER, queue=Queue.BULK)
        return submitted.generation, submitted.accepted

    assert await apply() == (1, True)
    assert await apply(force=True) == (2, True)
    assert len(product.take_jobs(Queue.BULK)) == 1
    await product.drain()
    assert await apply() == (2, False)
