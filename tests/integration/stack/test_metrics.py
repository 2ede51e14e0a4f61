"""GET /metrics over the stack: true, at a known cost whoever asks, and silent of what it could not read."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from producer.access import Access
from producer.http import create_app
from producer.main import open_services
from tests.fakes.user_pool import AUDIENCE, user_pool
from tests.integration.product import Product
from workers.core.clock import Time
from workers.core.contract import DEAD_LETTER_QUEUES, REQUESTS, Queue
from workers.core.figures import KEPT_FOR, StackFigures
from workers.core.queue.depths import SqsDepths
from workers.core.store.groups import GroupStore
from workers.core.store.runs import RunStore
from workers.core.store.tables import Tables
from workers.core.store.waves import WaveStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

METRICS = "/metrics"
SECRET = "a-secret-of-ours"
LETTERS = f"{REQUESTS}-dlq"


class Scraper:
    """Scrapes; the figures' time stands still until it is moved on by hand."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.opened_at = product.clock()
        self.seconds = 0.0

    async def open(self) -> "Scraper":
        """Let the product's door read figures by this time."""
        clients = self.product.database.clients
        tables = Tables(await clients.own("dynamodb"), self.product.settings.stack)
        groups = GroupStore(tables)
        figures = StackFigures(
            depths=SqsDepths(await clients.own("sqs"), stack=self.product.settings.stack),
            groups=groups,
            runs=RunStore(tables, groups),
            waves=WaveStore(tables),
            time=Time(lambda: self.opened_at + timedelta(seconds=self.seconds), lambda: self.seconds),
        )
        self.product.app.state.services = replace(self.product.services, figures=figures)
        return self

    async def scrape(self) -> Mapping[str, float]:
        """Answer each sample by its name and labels."""
        answer = await self.product.api.get(METRICS)
        assert answer.status_code == 200, answer.text
        return read_samples(answer.text)

    async def scrape_anew(self) -> Mapping[str, float]:
        self.seconds += timedelta(minutes=2).total_seconds()
        return await self.scrape()


def read_samples(text: str) -> Mapping[str, float]:
    families: list[Metric] = list(text_string_to_metric_families(text))
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in families
        for sample in family.samples
    }


@pytest_asyncio.fixture(loop_scope="session")
async def scraper(product: Product) -> AsyncIterator[Scraper]:
    yield await Scraper(product).open()
    product.faults()


@contextmanager
def leave_nothing(product: Product) -> Iterator[Any]:
    """Take away the messages that a test has sent, those that are delayed too: they would come to another one."""
    sqs = product.client("sqs")
    try:
        yield sqs
    finally:
        for queue in (Queue.NORMAL, Queue.URGENT):
            sqs.purge_queue(QueueUrl=url_of(product, queue))
        url = url_of(product, LETTERS)
        for letter in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])


def url_of(product: Product, queue: str) -> str:
    return str(product.client("sqs").get_queue_url(QueueName=f"{product.settings.stack}-{queue}")["QueueUrl"])


async def test_messages_are_told_queue_by_queue(product: Product, scraper: Scraper) -> None:
    """Those that can be received, those that somebody holds, those that are delayed; dead letters by their queue."""
    before = await scraper.scrape()
    with leave_nothing(product) as sqs:
        for queue, count in ((Queue.NORMAL, 3), (Queue.URGENT, 1)):
            for number in range(count):
                sqs.send_message(QueueUrl=url_of(product, queue), MessageBody=str(number))
        for _ in range(2):
            sqs.send_message(QueueUrl=url_of(product, Queue.NORMAL), MessageBody="later", DelaySeconds=900)
        sqs.send_message(QueueUrl=url_of(product, LETTERS), MessageBody="a letter")
        assert len(sqs.receive_message(QueueUrl=url_of(product, Queue.NORMAL), WaitTimeSeconds=1)["Messages"]) == 1
        found = await scraper.scrape_anew()
    names = [name for name in found if name.startswith(("prelaunch_queue_messages", "prelaunch_dead_letters"))]
    assert {name: found[name] - before[name] for name in names if found[name] != before[name]} == {
        "prelaunch_queue_messages{queue=jobs,state=visible}": 3 - 1,
        "prelaunch_queue_messages{queue=jobs,state=in_flight}": 1,
        "prelaunch_queue_messages{queue=jobs,state=delayed}": 2,
        "prelaunch_queue_messages{queue=jobs-urgent,state=visible}": 1,
        "prelaunch_dead_letters{queue=requests,state=visible}": 1,
    }
    assert len(names) == 2 * 3 * len(DEAD_LETTER_QUEUES)


async def test_a_run_is_told_from_its_opening_until_it_settles(product: Product, scraper: Scraper) -> None:
    """How old it is, how far past its deadline, how many source servers it brings; then its group is ready."""
    before = await scraper.scrape()
    members = product.add_servers(3)
    group_id = await product.create(members)
    scraper.seconds += timedelta(hours=3).total_seconds()
    under_way = await scraper.scrape_anew()
    assert under_way["prelaunch_unsettled_runs{}"] == 1
    assert under_way["prelaunch_unsettled_run_source_servers{}"] == 3
    # It was opened after the scraper was: by less than the two minutes that were added since.
    age, overdue = (under_way[f"prelaunch_unsettled_run_{name}_seconds{{}}"] for name in ("oldest_age", "overdue"))
    assert 10800 <= age <= 10800 + 120
    (run,) = (await product.api.get(f"/protection-groups/{group_id}/apply-runs")).json()["applyRuns"]
    opened_at, deadline = (datetime.fromisoformat(run[name]) for name in ("openedAt", "deadline"))
    assert age - overdue == pytest.approx((deadline - opened_at).total_seconds())
    assert under_way["prelaunch_groups{status=pending}"] == before["prelaunch_groups{status=pending}"] + 1
    await product.drain()
    after = await scraper.scrape_anew()
    for name in ("runs", "run_source_servers", "run_oldest_age_seconds", "run_overdue_seconds"):
        assert after[f"prelaunch_unsettled_{name}{{}}"] == 0
    assert after["prelaunch_groups{status=ready}"] == before["prelaunch_groups{status=ready}"] + 1
    assert after["prelaunch_groups{status=pending}"] == before["prelaunch_groups{status=pending}"]


async def test_what_failed_is_told_when_its_group_has_settled(product: Product, scraper: Scraper) -> None:
    """Of a group that is pending nothing is known yet that would hold."""
    before = await scraper.scrape()
    members = product.add_servers(3)
    product.faults(
        *(
            {
                "service": "drs",
                "operation": "UpdateLaunchConfiguration",
                "code": "ValidationException",
                "sourceServerId": each,
            }
            for each in members[:2]
        )
    )
    await product.create(members, launchConfig={"copyTags": True})
    await product.drain()
    after = await scraper.scrape_anew()
    grown = {name: after[name] - before[name] for name in after if name.startswith("prelaunch_groups{")}
    assert {name: by for name, by in grown.items() if by} == {"prelaunch_groups{status=failed}": 1}
    name = "prelaunch_failed_source_servers{}"
    assert after[name] - before[name] == 2


async def test_a_wave_is_told_until_it_is_over(product: Product, scraper: Scraper) -> None:
    """By its status."""
    group_id = await product.create_ready(product.add_servers(1))
    assert (await product.api.post("/waves", json={"groupIds": [group_id]})).status_code == 202
    found = await scraper.scrape()
    waves = {name: value for name, value in found.items() if name.startswith("prelaunch_unfinished_waves")}
    assert waves["prelaunch_unfinished_waves{status=starting}"] == 1
    assert sum(waves.values()) == 1


async def test_a_scrape_costs_the_same_however_many_ask(product: Product, scraper: Scraper) -> None:
    """A hundred scrapers at once, and all who come while it is kept, are answered by one read of each source.

    Nothing is under way: the sparse indexes are empty. The groups are kept for longer.
    """
    await scraper.scrape()
    product.count_anew()
    scraper.seconds += KEPT_FOR.total_seconds()
    await asyncio.gather(*(scraper.scrape() for _ in range(100)))
    calls = product.calls()
    assert calls == {"sqs.GetQueueAttributes": 8, "dynamodb.Query": 2}
    for _ in range(20):
        await scraper.scrape()
    assert product.calls() == calls
    scraper.seconds += KEPT_FOR.total_seconds()
    await scraper.scrape()
    assert product.calls() == {name: 2 * count for name, count in calls.items()}


@pytest.mark.parametrize("code", ["AccessDenied", "AWS.SimpleQueueService.NonExistentQueue"])
async def test_where_sqs_fails_the_rest_is_told(product: Product, scraper: Scraper, code: str) -> None:
    """No number of before stands for what cannot be read now; it is back with the first read that succeeds."""
    whole = await scraper.scrape()
    assert whole["prelaunch_source_up{source=queues}"] == 1
    product.faults({"service": "sqs", "operation": "GetQueueAttributes", "code": code})
    with structlog.testing.capture_logs() as logs:
        found = await scraper.scrape_anew()
    sources = {name: value for name, value in found.items() if name.startswith("prelaunch_source_up")}
    assert sources == {
        "prelaunch_source_up{source=queues}": 0,
        "prelaunch_source_up{source=dead_letters}": 0,
        "prelaunch_source_up{source=runs}": 1,
        "prelaunch_source_up{source=waves}": 1,
        "prelaunch_source_up{source=groups}": 1,
    }
    gone = {name for name in whole if name.startswith(("prelaunch_queue_messages", "prelaunch_dead_letters"))}
    assert gone
    assert {name for name in whole if name.startswith("prelaunch") and "http" not in name} - set(found) == gone
    told = {line["source"]: line["code"] for line in logs if line["event"] == "figures.unread"}
    assert set(told) == {"queues", "dead_letters"}
    assert set(told.values()) == ({"SERVICE_UNAVAILABLE"} if code == "AccessDenied" else {"NOT_REACHABLE"})
    product.faults()
    assert gone <= set(await scraper.scrape_anew())


async def test_where_the_tables_fail_the_queues_are_told(product: Product, scraper: Scraper) -> None:
    """Each source by itself."""
    product.faults({"service": "dynamodb", "operation": "Query", "code": "AccessDeniedException"})
    found = await scraper.scrape()
    up = {name: value for name, value in found.items() if name.startswith("prelaunch_source_up")}
    assert [name for name, value in up.items() if value] == [
        "prelaunch_source_up{source=queues}",
        "prelaunch_source_up{source=dead_letters}",
    ]
    assert "prelaunch_groups{status=ready}" not in found


async def test_it_names_nobody(product: Product, scraper: Scraper) -> None:
    """Neither groups, accounts, source servers, roles, ids of requests nor secrets stand in it, whatever was asked."""
    account = "210987654321"
    product.local.control("PUT", f"accounts/{account}", {"roles": [{"roleName": "DrsRole", "externalId": SECRET}]})
    members = product.local.control("POST", "servers", {"count": 1, "accountId": account})["sourceServerIds"]
    place = {"accountId": account, "assumeRoleName": "DrsRole", "externalId": SECRET}
    with product.unchecked():
        group_id = await product.create(members, groupName="our secret name", **place)
    await product.api.get(f"/protection-groups/{group_id}", headers={"X-Request-Id": "one-of-ours"})
    await product.api.get(f"/protection-groups/{group_id}/apply-runs/{SECRET}?{SECRET}={SECRET}")
    text = (await product.api.get(METRICS)).text
    assert "prelaunch_groups" in text
    for named in (group_id, account, *members, "our secret name", "DrsRole", SECRET, "one-of-ours", "192.0.2.7"):
        assert named not in text


async def test_who_may_read_it(product: Product, scraper: Scraper) -> None:
    """A reader's, as every read; where it is open, anybody's, at the cost of what is kept."""
    with user_pool() as pool:
        statuses: dict[tuple[bool, str], int] = {}
        for is_open in (False, True):
            app = create_app(
                lambda: nullcontext(product.app.state.services), Access(pool.issuer, AUDIENCE), metrics_open=is_open
            )
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://prelaunch.test") as api,
            ):
                for who in ("nobody", "others", "reader", "operator", "admin"):
                    token = "" if who == "nobody" else f"Bearer {pool.sign(pool.claims(who))}"
                    headers = {"Authorization": token} if token else {}
                    statuses[is_open, who] = (await api.get(METRICS, headers=headers)).status_code
                product.count_anew()
                await asyncio.gather(*(api.get(METRICS) for _ in range(50)))
                assert product.calls() == {}
    assert statuses == {
        (False, "nobody"): 401,
        (False, "others"): 403,
        (False, "reader"): 200,
        (False, "operator"): 200,
        (False, "admin"): 200,
        **{(True, who): 200 for who in ("nobody", "others", "reader", "operator", "admin")},
    }


async def test_what_is_read_when_the_door_closes_is_given_up(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its clients are closed: nothing reads on over them."""
    begun = asyncio.Event()

    async def never(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with open_services(product.settings, clock=product.clock) as services:
        monkeypatch.setattr(services.figures._depths, "read", never)
        asking = asyncio.create_task(services.figures.read())
        await begun.wait()
    with pytest.raises(asyncio.CancelledError):
        await asking
