"""
Submitting as many jobs as a group can hold: how many calls of SQS, and how long beside as many bare ones.

No worker runs, so that nothing but the sending is there. What the door does before it sends is not in the ratio, for
the bare calls have nothing like it; the whole request stands beside it.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import quote

import aioboto3

from producer.local_stack.processes import LocalStackFailed, StopSignals
from tests.acceptance.commands import connect
from tests.benchmarks.bottleneck import Load, name_bottleneck
from tests.benchmarks.results import Result
from tests.benchmarks.stage import PATIENCE_SECONDS, Bench, make_body, open_bench

BATCH = 10
AT_ONCE = 8
MOST_OVER = 1.5
SEND = "sqs.SendMessageBatch"
QUERY = "dynamodb.Query"
PAGE = 1000
MOST_READS_A_PAGE = 4
LOOK_SECONDS = 0.02
ROUNDS = 3
"""A round takes two seconds, in which a shared machine may do anything: the median of three counts."""


def measure_submit(line: str, signals: StopSignals, servers: int) -> Iterator[Result]:
    """Create groups of so many source servers, one after the other, each beside as many bare messages."""
    with open_bench(signals, processes=0, rates="off", latency_seconds=0) as bench:
        rounds = [_measure_round(bench, number, servers) for number in range(ROUNDS)]
        pages, queries, reads = _read_status(bench, rounds[-1].group_id)
    calls = max(each.calls for each in rounds)
    whole, sending, bare = (median(getattr(each, name) for each in rounds) for name in ("whole", "sending", "bare"))
    load = rounds[-1].load
    most = -(-servers // BATCH)
    yield Result(
        f"{line}: SendMessageBatch", calls, "calls", f"{servers:,} jobs in batches of {BATCH} are {most}", bar=most
    )
    yield Result(
        f"{line}: times the bare sends",
        sending / bare,
        "times",
        f"{sending:.2f} s from before the first batch to the answer; {most} bare ones, {AT_ONCE} at once, {bare:.2f} s;"
        f" medians of {ROUNDS} rounds",
        bar=MOST_OVER,
        bottleneck=name_bottleneck(load),
    )
    shown = f"{pages} pages of {PAGE:,} source servers while their run is under way"
    yield Result(f"{line}: queries a page of its status", queries / pages, "calls", shown, bar=1)
    yield Result(f"{line}: single reads a page of its status", reads / pages, "calls", shown, bar=MOST_READS_A_PAGE)
    yield Result(
        f"{line}: whole request",
        whole,
        "s",
        f"{whole - sending:.2f} s before the first batch, {sending:.2f} s from it on",
    )


@dataclass(frozen=True, slots=True)
class _Round:
    """One group that was submitted, and as many bare messages after it; seconds."""

    group_id: str
    whole: float
    sending: float
    bare: float
    calls: int
    load: Load


def _measure_round(bench: Bench, number: int, servers: int) -> _Round:
    body = make_body(f"submitted {number}", bench.add_servers(servers))
    bench.stage.aws.control("DELETE", "calls")
    meter = bench.meter()
    group_id, whole, sending = _submit(bench, body)
    load, calls = meter.read({}), _count_sends(bench)
    return _Round(group_id, whole, sending, asyncio.run(_send_bare(bench, servers)), calls, load)


def _submit(bench: Bench, body: dict[str, Any]) -> tuple[str, float, float]:
    """Send the request; answer the group, how long it took, and how long from before its first batch."""
    answers: list[Any] = []

    def request() -> None:
        answers.append(bench.stage.api.post("/protection-groups", json=body))

    # The last moment at which none was sent: what is measured is never too little.
    begun = unsent_at = time.monotonic()
    sent = 0
    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    while thread.is_alive():
        bench.stage.check()
        thread.join(LOOK_SECONDS)
        looked_at = time.monotonic()
        sent = sent or _count_sends(bench)
        unsent_at = unsent_at if sent else looked_at
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise LocalStackFailed(f"the request was not answered within {PATIENCE_SECONDS} s")
    ended = time.monotonic()
    if not answers or answers[0].is_error:
        raise LocalStackFailed(f"the request was refused: {answers and answers[0].text[:300]}")
    return str(answers[0].json()["groupId"]), ended - begun, ended - unsent_at


def _read_status(bench: Bench, group_id: str) -> tuple[int, int, int]:
    """Read every page of the status; answer how many there are, and DynamoDB's queries and other reads for them."""
    bench.stage.aws.control("DELETE", "calls")
    path = f"/protection-groups/{group_id}/launch-config-status?limit={PAGE}"
    pages, more = 0, ""
    while pages == 0 or more:
        answer = bench.stage.call("GET", path + more)
        pages += 1
        more = f"&nextToken={quote(answer['nextToken'])}" if answer.get("nextToken") else ""
    counted: dict[str, dict[str, int]] = bench.stage.aws.control("GET", "calls")
    made = {name: counts["count"] for name, counts in counted.items() if name.startswith("dynamodb.")}
    return pages, made.get(QUERY, 0), sum(made.values()) - made.get(QUERY, 0)


def _count_sends(bench: Bench) -> int:
    counted: dict[str, dict[str, int]] = bench.stage.aws.control("GET", "calls")
    return counted.get(SEND, {"count": 0})["count"]


async def _send_bare(bench: Bench, jobs: int) -> float:
    """Send as many messages of the same size to an empty queue of the same stack, and answer how long that takes."""
    stack = bench.stage.aws.environment["PRELAUNCH_STACK"]
    sqs = connect(bench.stage.aws, "sqs")
    (job,) = sqs.receive_message(
        QueueUrl=sqs.get_queue_url(QueueName=f"{stack}-jobs")["QueueUrl"],
        MaxNumberOfMessages=1,
        AttributeNames=["All"],
    )["Messages"]
    url = sqs.get_queue_url(QueueName=f"{stack}-jobs-bulk")["QueueUrl"]
    group = job.get("Attributes", {}).get("MessageGroupId")
    more = {"MessageGroupId": group} if group else {}
    entries = [{"Id": str(place), "MessageBody": job["Body"], **more} for place in range(BATCH)]
    environment = bench.stage.aws.environment
    session = aioboto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    room = asyncio.Semaphore(AT_ONCE)
    async with session.client("sqs", endpoint_url=bench.stage.aws.url) as client:

        async def send() -> None:
            async with room:
                await client.send_message_batch(QueueUrl=url, Entries=entries)

        # The first one opens the connection and reads the model, which the product had done by then.
        await send()
        begun = time.monotonic()
        await asyncio.gather(*(send() for _ in range(-(-jobs // BATCH))))
        return time.monotonic() - begun
