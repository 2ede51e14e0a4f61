"""While a group is pending its status says what it waits for; where nobody says anything, whom to look for."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.product import REGION, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def waiting_for(product: Product, group_id: str) -> str | None:
    said: str | None = (await product.status(group_id))["waitingFor"]
    return said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"code": "ThrottlingException", "retryAfterSeconds": 60},
            "tokens: AWS throttles drs.UpdateLaunchConfiguration",
        ),
        ({"code": "ConflictException"}, "job: DRS is busy with {member}"),
        ({"code": "InternalServerException", "retryAfterSeconds": 60}, "drs.UpdateLaunchConfiguration: "),
    ],
)
async def test_a_pending_group_says_what_it_waits_for(product: Product, fault: dict[str, Any], said: str) -> None:
    """In words, as long as somebody noted it lately, then for workers; a settled group waits for nothing."""
    (member,) = product.add_servers(1)
    product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "times": 1, **fault})
    group_id = await product.create([member], launchConfig={"copyTags": True})
    assert await waiting_for(product, group_id) is None
    (job,) = product.take_jobs()
    await product.run(job)
    assert (await waiting_for(product, group_id) or "").startswith(said.format(member=member))
    product.clock.advance(timedelta(minutes=3))
    silent = await waiting_for(product, group_id) or ""
    assert silent.startswith("workers: no outcome since ")
    assert silent.endswith("Z: see whether workers run, and `prelaunch dlq list`")
    await product.drain([job])
    assert (await product.status(group_id))["status"] == "ready"
    assert await waiting_for(product, group_id) is None


async def test_a_held_lease_is_named(product: Product) -> None:
    """Another worker at work on the source server is what its group waits for; it is noted once in ten seconds."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    lease = await product.workers._apply._leases.take("123456789012", REGION, member)
    (job,) = product.take_jobs()
    product.count_anew()
    for _ in range(3):
        await product.run(job)
    assert await waiting_for(product, group_id) == f"lease: another worker is at work on {member}"
    # Three tries to take the lease, and one note.
    assert product.calls()["dynamodb.UpdateItem"] == 3 + 1
    await product.workers._apply._leases.give_back(lease, last_write_at=None, outcome=True)


async def test_jobs_that_are_not_sent_are_named(product: Product) -> None:
    """What was accepted and could not be sent says so."""
    product.faults({"service": "sqs", "operation": "SendMessageBatch", "code": "AccessDenied"})
    group_id = await product.create(product.add_servers(1))
    assert await waiting_for(product, group_id) == "jobs: they are not sent yet"
