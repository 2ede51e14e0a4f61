"""Every code that a status or a wave can carry, each brought about once: what is shown says what happened."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.product import TESTER, Product
from workers.core.contract import Queue
from workers.core.errors import DEADLINE_EXCEEDED, DriftPersists, GroupDeleted, WorkerLost
from workers.core.status import NOT_APPLIED

pytestmark = pytest.mark.asyncio(loop_scope="session")

Errors = list[dict[str, Any]]
Case = Callable[[Product, pytest.MonkeyPatch], Awaitable[Errors]]
UPDATE = {"service": "drs", "operation": "UpdateLaunchConfiguration"}


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


async def errors_of(product: Product, group_id: str) -> Errors:
    status = await product.status(group_id)
    assert status["status"] == "failed"
    errors: Errors = status["errors"]
    return errors


async def not_applied(product: Product, _: pytest.MonkeyPatch) -> Errors:
    """What is recorded of a member that is on no list is lost while the run is under way."""
    listed, other = product.add_servers(2)
    group_id = await product.create_ready([listed, other])
    await product.apply(group_id, force=True, sourceServerIds=[listed])
    await product.workers._apply._runs.delete_server(group_id, other)
    await product.drain()
    return await errors_of(product, group_id)


async def worker_lost(product: Product, monkeypatch: pytest.MonkeyPatch) -> Errors:
    """Five workers died over it."""
    group_id = await product.create(product.add_servers(1))
    (job,) = product.take_jobs()

    async def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr("workers.apply.bring.BringServer.bring", die)
        for _ in range(5):
            with pytest.raises(Killed):
                await product.run(job)
    await product.drain([job])
    return await errors_of(product, group_id)


async def deadline_exceeded(product: Product, _: pytest.MonkeyPatch) -> Errors:
    """No worker took its job until the end of its time."""
    group_id = await product.create(product.add_servers(1))
    product.take_jobs()  # lost
    # In small steps: a look that comes late is an outage, which prolongs the run.
    periods = product.settings.run_periods
    step = periods.late_after / 2
    for _step in range(periods.longest // step + 1):
        product.clock.advance(step)
        await product.workers.sweep()
        if (await product.status(group_id))["status"] != "pending":
            break
    return await errors_of(product, group_id)


async def drift_persists(product: Product, _: pytest.MonkeyPatch) -> Errors:
    """The promoted version never shows as the default."""
    members = product.add_servers(1)
    product.local.control("PUT", "consistency", {"seconds": 600})
    try:
        group_id = await product.create(members)
        await product.drain()
    finally:
        product.local.control("PUT", "consistency", {"seconds": 0})
    return await errors_of(product, group_id)


async def group_deleted(product: Product, _: pytest.MonkeyPatch) -> Errors:
    """A wave comes to a group that is gone: it was still to be applied, so nothing kept it from being deleted."""
    group_id = await product.create(product.add_servers(1))
    answer = await product.api.post("/waves", json={"groupIds": [group_id]})
    await product.services.removal.delete_group(group_id, TESTER)
    await product.drain(product.take_jobs(Queue.URGENT))
    errors: Errors = (await product.api.get(answer.headers["Location"])).json()["errors"]
    return errors


async def aws_says(product: Product, _: pytest.MonkeyPatch) -> Errors:
    """AWS's own code, where AWS refused."""
    product.faults({**UPDATE, "code": "ValidationException", "times": 1})
    group_id = await product.create(product.add_servers(1), launchConfig={"copyTags": True})
    await product.drain()
    return await errors_of(product, group_id)


CASES: dict[str, Case] = {
    NOT_APPLIED: not_applied,
    WorkerLost.code: worker_lost,
    DEADLINE_EXCEEDED: deadline_exceeded,
    DriftPersists.code: drift_persists,
    GroupDeleted.code: group_deleted,
    "ValidationException": aws_says,
}


@pytest.mark.parametrize("code", CASES)
async def test_a_status_says_what_happened(product: Product, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Each code in its own situation, with a sentence for a person."""
    (error,) = await CASES[code](product, monkeypatch)
    assert error["code"] == code
    assert len(error["message"]) > len(code)


async def test_the_codes_are_those_that_are_known_outside() -> None:
    """Names that programs rely on."""
    assert set(CASES) - {"ValidationException"} == {
        "NOT_APPLIED",
        "WORKER_LOST",
        "DEADLINE_EXCEEDED",
        "DRIFT_PERSISTS",
        "GROUP_DELETED",
    }
