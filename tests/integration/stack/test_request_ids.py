"""By the id of a request is found whatever it changed in AWS, by whichever message a worker came to it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import structlog

from tests.integration.product import REGION, Product, Sent
from workers.core.contract import WATCH_ACTOR, Queue
from workers.core.drift_checks import DriftCheck
from workers.core.requests import Requester

pytestmark = pytest.mark.asyncio(loop_scope="session")
GROUPS = "/protection-groups"
ACCOUNT = "123456789012"
LOOKING = Requester("tester", "test", "a test", "look-for-it")


async def change(product: Product, jobs: Sequence[Sent]) -> set[str]:
    """Do jobs as the actors do; answer the requests that the log names beside what was changed in AWS."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for job in jobs:
            with structlog.contextvars.bound_contextvars(request_id=job.arguments.get("requestId", "")):
                await product.drain([job])
    return {line["request_id"] for line in lines if line["event"] == "aws.changed"}


async def test_the_job_of_an_older_run_works_for_the_newer_request(product: Product) -> None:
    """A job names a source server, not a run: what it does now was asked for by whoever asked last."""
    body = product.body(product.add_servers(1))
    created = await product.api.post(GROUPS, json=body, headers={"X-Request-Id": "the-older"})
    jobs = product.take_jobs()
    path = f"{GROUPS}/{created.json()['groupId']}/apply-launch-configs"
    await product.api.post(path, json={"force": True}, headers={"X-Request-Id": "the-newer"})
    product.take_jobs()  # lost
    assert await change(product, jobs) == {"the-newer"}


async def test_a_wave_that_the_sweeper_sends_works_for_its_request(product: Product) -> None:
    """Its own message may be lost, and from its start on the sweeper's are all that there are."""
    group_id = await product.create_ready(product.add_servers(1))
    answer = await product.api.post("/waves", json={"groupIds": [group_id]}, headers={"X-Request-Id": "the-wave"})
    assert answer.status_code == 202, answer.text
    product.take_jobs(Queue.URGENT)  # lost
    product.clock.advance(product.settings.run_periods.send_after)
    await product.workers.sweep()
    jobs = product.take_jobs(Queue.URGENT)
    assert [job.arguments for job in jobs] == [{"waveId": answer.json()["waveId"]}]
    assert await change(product, jobs) == {"the-wave"}


async def test_what_a_check_repairs_is_found_by_its_request(product: Product) -> None:
    """The run that puts back what was changed is the request's, in the history and in the log."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member], launchConfig={"copyTags": True}, autoRepair=True)
    product.clock.advance(product.settings.settle_time + timedelta(seconds=1))
    product.client("drs").update_launch_configuration(sourceServerID=member, copyTags=False)
    await product.services.drift_checks.ask(DriftCheck(ACCOUNT, REGION, [member]), LOOKING)
    assert await change(product, product.take_jobs()) == set()
    assert await change(product, product.take_jobs(Queue.BULK)) == {LOOKING.request_id}
    run, _ = (await product.api.get(f"{GROUPS}/{group_id}/apply-runs")).json()["applyRuns"]
    assert (run["reason"], run["requestId"]) == ("drift", LOOKING.request_id)


async def test_a_check_of_everything_names_its_request_everywhere(product: Product) -> None:
    """It becomes a message for each account and Region."""
    await product.create(product.add_servers(1))
    product.take_jobs()
    await product.services.drift_checks.ask(DriftCheck(), LOOKING)
    await product.drain(product.take_jobs())
    sent = product.take_jobs()
    assert {(job.actor, job.arguments["requestId"]) for job in sent} == {(WATCH_ACTOR, LOOKING.request_id)}
