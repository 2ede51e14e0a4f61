"""
The product in one process over the stand-in: its HTTP door, its use cases, and a queue that a test empties by hand.

Nothing consumes the jobs but the test, so that the test decides order, duplicates and loss.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from infra.local.process import StandIn
from producer.http import create_app
from producer.http.app import ServicesFactory
from producer.main import open_services
from producer.services import Services
from tests.fakes.accounts import BoundlessAccounts
from tests.integration.conftest import make_client
from tests.integration.databases import Database
from workers.core.clock import Time
from workers.core.contract import APPLY_ACTOR, WATCH_ACTOR, Queue, WatchWork, read_work
from workers.core.model.group_parse import parse_group_update
from workers.core.outcome import Acknowledge, Outcome
from workers.core.queue.job import decode_job
from workers.core.requests import Requester
from workers.core.runs.change import Updated
from workers.core.settings import Settings
from workers.main import WorkerUseCases, wire

REGION = "us-east-1"
JSON = {"Content-Type": "application/json"}
READS = ("BatchGet", "Get", "Query", "Scan", "Describe", "List", "Receive", "AssumeRole")
CONFIG_CALLS = frozenset(
    {
        "drs.GetLaunchConfiguration",
        "drs.UpdateLaunchConfiguration",
        "ec2.CreateLaunchTemplateVersion",
        "ec2.ModifyLaunchTemplate",
        "ec2.DescribeLaunchTemplateVersions",
    }
)
TESTER = Requester("tester", "test", "a test")
MOST_ROUNDS = 40


class MovableClock:
    """The present, moved on by hand: time that a redelivery waits is not waited for."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> None:
        self._offset += by


@dataclass(frozen=True)
class Sent:
    """A job as it was found in a queue."""

    actor: str
    arguments: dict[str, Any]


@dataclass
class Product:
    """Everything that a test of the whole needs in its hands."""

    local: StandIn
    database: Database
    settings: Settings
    clock: MovableClock
    app: FastAPI
    services: Services
    workers: WorkerUseCases
    api: httpx.AsyncClient
    subnet_id: str
    security_group_id: str
    results: list[str] = field(default_factory=list)
    """What became of every message that was run, in order."""

    # --- the world

    def add_servers(self, count: int, **more: Any) -> list[str]:
        made: list[str] = self.local.control("POST", "servers", {"count": count, **more})["sourceServerIds"]
        return made

    def add_security_groups(self, count: int) -> list[str]:
        """Make security groups in the VPC of the subnet."""
        ec2 = self.client("ec2")
        (subnet,) = ec2.describe_subnets(SubnetIds=[self.subnet_id])["Subnets"]
        named = {"Description": "a test's", "VpcId": subnet["VpcId"]}
        return [
            ec2.create_security_group(GroupName=f"group {uuid.uuid4().hex}", **named)["GroupId"] for _ in range(count)
        ]

    def faults(self, *faults: dict[str, Any]) -> None:
        self.database.script.faults(faults)

    def calls(self) -> dict[str, int]:
        return self.database.script.calls()

    def count_anew(self) -> None:
        self.database.script.count_anew()

    def writes(self) -> dict[str, int]:
        """Count the calls that changed anything anywhere."""
        return {name: n for name, n in self.calls().items() if not name.partition(".")[2].startswith(READS)}

    def aws_writes(self) -> dict[str, int]:
        return {name: n for name, n in self.writes().items() if name.startswith(("drs.", "ec2."))}

    def client(self, service: str) -> Any:
        return self.database.plain if service == "dynamodb" else client_of(self.local.url, service)

    def template_id(self, source_server_id: str) -> str:
        answer = self.client("drs").get_launch_configuration(sourceServerID=source_server_id)
        return str(answer["ec2LaunchTemplateID"])

    def template(self, source_server_id: str) -> dict[str, Any]:
        """Read the version that DRS would launch from."""
        answer = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=self.template_id(source_server_id), Versions=["$Default"]
        )
        return dict(answer["LaunchTemplateVersions"][0])

    def version_count(self, source_server_id: str) -> int:
        answer = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=self.template_id(source_server_id)
        )
        return len(answer["LaunchTemplateVersions"])

    # --- requests

    def body(self, members: Sequence[str], **changes: Any) -> dict[str, Any]:
        """Write a group's body; a change to None leaves that member out."""
        body = {
            "groupName": f"group {uuid.uuid4().hex}",
            "region": REGION,
            "sourceServerIds": list(members),
            "launchConfig": {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "NONE"},
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Let the door take what the account lacks, as if it had been there and were gone since."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.services.validation, "_accounts", BoundlessAccounts())
            yield

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Give the door's calls to AWS production's time: one that is repeated for a tenth of it is counted twice."""
        accounts: Any = self.services.validation._accounts
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(accounts._calls, "_timeout", self.settings.call_timeout / self.settings.time_scale)
            yield

    async def create(self, members: Sequence[str], **changes: Any) -> str:
        answer = await self.api.post("/protection-groups", json=self.body(members, **changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["groupId"])

    async def create_ready(self, members: Sequence[str], **changes: Any) -> str:
        group_id = await self.create(members, **changes)
        await self.drain()
        assert (await self.status(group_id))["status"] == "ready"
        return group_id

    async def apply(self, group_id: str, **body: Any) -> httpx.Response:
        return await self.api.post(f"/protection-groups/{group_id}/apply-launch-configs", json=body)

    async def update(
        self, group_id: str, change: dict[str, Any], *, requester: Requester = TESTER, **more: Any
    ) -> Updated:
        """Read a group, change members of its definition, and put it back."""
        view = await self.services.queries.group(group_id)
        body = {**view.definition.to_body(), "version": view.head.version, **change, **more}
        body = {name: value for name, value in body.items() if value is not None}
        return await self.services.changes.update_group(group_id, parse_group_update(body), requester)

    async def status(self, group_id: str, **query: Any) -> dict[str, Any]:
        answer = await self.api.get(f"/protection-groups/{group_id}/launch-config-status", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    # --- the queue

    def forget_throttles(self) -> None:
        """Forget what the fleet has learnt of AWS's rates in earlier tests."""
        dynamodb, table = self.client("dynamodb"), f"{self.settings.stack}-rate-buckets"
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                dynamodb.delete_item(TableName=table, Key={"bucket": item["bucket"]})

    def forget_unsettled(self) -> None:
        """Take the runs and waves that earlier tests left behind out of the sweeper's sight."""
        dynamodb, runs = self.client("dynamodb"), f"{self.settings.stack}-runs"
        for page in dynamodb.get_paginator("scan").paginate(TableName=runs, IndexName="unsettled"):
            for item in page["Items"]:
                key = {name: item[name] for name in ("groupId", "item")}
                dynamodb.update_item(TableName=runs, Key=key, UpdateExpression="REMOVE unsettled")
        waves = f"{self.settings.stack}-waves"
        for page in dynamodb.get_paginator("scan").paginate(TableName=waves, IndexName="unfinished"):
            for item in page["Items"]:
                key = {name: item[name] for name in ("waveId", "item")}
                dynamodb.update_item(TableName=waves, Key=key, UpdateExpression="REMOVE unfinished")

    def take_jobs(self, queue: Queue = Queue.NORMAL) -> list[Sent]:
        """Take every job out of a queue; nobody else gets them."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=f"{self.settings.stack}-{queue.value}")["QueueUrl"]
        taken: list[Sent] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for message in messages:
                decoded = decode_job(message["Body"], queue.value)
                taken.append(Sent(decoded.actor_name, dict(decoded.kwargs)))
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return taken

    async def run(self, job: Sent) -> Outcome:
        """Do one job once, as the actor would."""
        if job.actor == APPLY_ACTOR:
            outcome = await self.workers.apply(job.arguments["groupId"], job.arguments["sourceServerId"])
        elif job.actor == WATCH_ACTOR:
            work = read_work(WATCH_ACTOR, job.arguments)
            assert isinstance(work, WatchWork)
            outcome = await self.workers.watch(work)
        else:
            outcome = await self.workers.start_wave(job.arguments["waveId"])
        self.results.append(outcome.result if isinstance(outcome, Acknowledge) else f"again: {outcome.reason}")
        return outcome

    async def drain(self, jobs: Iterable[Sent] | None = None) -> None:
        """Run jobs, and what comes of them again, until all are acknowledged; the clock is moved, not waited for."""
        left = [job for queue in Queue for job in self.take_jobs(queue)] if jobs is None else list(jobs)
        for _ in range(MOST_ROUNDS):
            if not left:
                return
            outcomes = await asyncio.gather(*(self.run(job) for job in left))
            again = [(job, outcome) for job, outcome in zip(left, outcomes, strict=True) if _comes_again(outcome)]
            waits = [
                outcome.after or timedelta(seconds=1) for _, outcome in again if not isinstance(outcome, Acknowledge)
            ]
            self.clock.advance(max(waits, default=timedelta(0)))
            left = [job for job, _ in again]
        raise AssertionError(f"{len(left)} jobs come again for ever: {self.results[-3:]}")


@cache
def client_of(url: str, service: str) -> Any:
    """Make a client once: that takes longer than most calls."""
    return make_client(service, url)


def _comes_again(outcome: Outcome) -> bool:
    return not isinstance(outcome, Acknowledge)


class Application:
    """The HTTP door, made once: to make its routes takes longer than many tests, and none of them is a test's own."""

    def __init__(self) -> None:
        self._open: ServicesFactory | None = None
        self._app = create_app(self._open_services)

    def opening(self, open_services: ServicesFactory) -> FastAPI:
        """Answer the application, which opens these when it is started next."""
        self._open = open_services
        return self._app

    def _open_services(self) -> AbstractAsyncContextManager[Services]:
        assert self._open is not None
        return self._open()


@cache
def application() -> Application:
    return Application()


@asynccontextmanager
async def open_product(local: StandIn, clock: MovableClock, database: Database) -> AsyncIterator[Product]:
    """Open the product on the running loop; the environment names the stand-in already."""
    settings = Settings(stack=local.environment["PRELAUNCH_STACK"], time_scale=0.1)
    app = application().opening(partial(open_services, settings, clock=clock))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
    ec2 = client_of(local.url, "ec2")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as api,
    ):
        product = Product(
            local=local,
            database=database,
            settings=settings,
            clock=clock,
            app=app,
            services=app.state.services,
            workers=await wire(settings, database.clients, Time(clock)),
            api=api,
            # A page: some tests leave thousands of them, whose answer takes longer than most tests.
            subnet_id=ec2.describe_subnets(MaxResults=5)["Subnets"][0]["SubnetId"],
            security_group_id=ec2.describe_security_groups(MaxResults=5)["SecurityGroups"][0]["GroupId"],
        )
        # What an earlier test left in queues and unsettled is not this test's.
        product.forget_unsettled()
        product.forget_throttles()
        for queue in Queue:
            product.take_jobs(queue)
        product.count_anew()
        yield product


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Read a refusal, which has the same members whatever is refused."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = json.loads(answer.content)
    assert set(document) == {"type", "title", "status", "code", "detail", "errors", "requestId"}
    assert document["status"] == answer.status_code
    assert document["requestId"] == answer.headers["x-request-id"]
    for error in document["errors"]:
        assert set(error) == {"pointer", "sourceServerId", "code", "message"}
        assert error["message"]
    return document
