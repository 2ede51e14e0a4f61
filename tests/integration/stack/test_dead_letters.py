"""Dead letters: looked at without a trace, done again without a loss, and named where they cannot be."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tests.fakes.bad_messages import envelope, pack
from tests.integration.product import Product, problem_of
from workers.core.contract import APPLY_ACTOR, DEAD_LETTER_QUEUES, SWEEP_ACTOR, WAVE_ACTOR, Queue
from workers.core.errors import GroupDeleted
from workers.core.letters import dead_letters
from workers.core.letters.letter import Selection
from workers.core.queue.errors import QueueUnreachable
from workers.core.queue.job import encode_job
from workers.core.queue.letter_box import HeldLetters, SqsLetterBox
from workers.core.queue.source import SourceQueue
from workers.core.requests import Requester
from workers.core.runs.submission import Submission

pytestmark = pytest.mark.asyncio(loop_scope="session")

REDRIVE = "/dead-letters/redrive"


class Desk:
    """Dead letters as workers leave them, and the door to them."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.sqs = product.client("sqs")
        self.stack = product.settings.stack

    def url(self, queue: str, end: str = "") -> str:
        return str(self.sqs.get_queue_url(QueueName=f"{self.stack}-{queue}{end}")["QueueUrl"])

    def bury(self, body: str, reason: str = "KeyError: 'x'", queue: str = Queue.NORMAL) -> None:
        """Send a message, receive it, and dead-letter it as the workers do."""
        self.sqs.send_message(QueueUrl=self.url(queue), MessageBody=body)
        source = SourceQueue(self.sqs, queue, f"{self.stack}-{queue}", self.url(queue), self.url(queue, "-dlq"), 60)
        (delivery,) = source.receive(1, wait_seconds=1)
        source.bury(delivery, reason)
        source.delete([delivery])

    def bury_job(self, group_id: str, source_server_id: str, **more: Any) -> None:
        kwargs = {"groupId": group_id, "sourceServerId": source_server_id, "generation": 1}
        self.bury(encode_job(APPLY_ACTOR, Queue.NORMAL, kwargs, stack=self.stack), **more)

    def count(self, queue: str = Queue.NORMAL) -> tuple[int, int]:
        """How many letters can be received, and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.url(queue, "-dlq"), AttributeNames=names)["Attributes"]
        return int(told[names[0]]), int(told[names[1]])

    async def list(self, **query: Any) -> dict[str, Any]:
        answer = await self.product.api.get("/dead-letters", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def redrive(self, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return await self.product.api.post(REDRIVE, json=body, headers=headers)

    def clear(self) -> None:
        for url in (self.url(queue, "-dlq") for queue in DEAD_LETTER_QUEUES):
            while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(product: Product) -> AsyncIterator[Desk]:
    opened = Desk(product)
    opened.clear()
    product.take_jobs(Queue.BULK)
    yield opened
    opened.clear()
    product.take_jobs(Queue.BULK)


def jobs_of(product: Product) -> list[tuple[str, str]]:
    return sorted((job.arguments["groupId"], job.arguments["sourceServerId"]) for job in product.take_jobs(Queue.BULK))


def named(entries: Sequence[dict[str, Any]]) -> set[tuple[str | None, str | None]]:
    return {(entry["groupId"], entry["sourceServerId"]) for entry in entries}


async def test_a_list_says_what_each_letter_is_and_leaves_it_there(product: Product, desk: Desk) -> None:
    """Queue, ids, reason, group, server, times, receives; all can be received at once after it, as often as asked."""
    desk.bury_job("pg-1", "s-00000000000000001", reason="ValueError: of 2 lines\nhere")
    desk.bury("?", reason="unreadable: the body is not base64", queue=Queue.BULK)
    desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, {"waveId": "wave-1"}), queue=Queue.URGENT)
    first = await desk.list()
    assert first["truncated"] is False
    assert first["approximateCounts"] == {"jobs-urgent": 1, "jobs": 1, "jobs-bulk": 1, "requests": 0}
    by_queue = {letter["queue"]: letter for letter in first["deadLetters"]}
    job, bad, wave = (by_queue[queue] for queue in ("jobs", "jobs-bulk", "jobs-urgent"))
    assert (job["groupId"], job["sourceServerId"], job["actor"]) == ("pg-1", "s-00000000000000001", APPLY_ACTOR)
    assert (job["reason"], job["receiveCount"], job["fault"]) == ("ValueError: of 2 lines\nhere", 1, None)
    assert job["sentAt"] <= job["deadLetteredAt"]
    assert job["originalMessageId"] not in {None, job["messageId"]}
    assert (bad["groupId"], bad["actor"]) == (None, None)
    assert "not base64" in bad["fault"]
    assert (wave["waveId"], wave["fault"]) == ("wave-1", None)
    assert await desk.list() == first
    assert [desk.count(queue) for queue in Queue] == [(1, 0)] * 3
    times = [letter["deadLetteredAt"] for letter in first["deadLetters"]]
    assert times == sorted(times, reverse=True)


async def test_odd_letters_hide_no_other(product: Product, desk: Desk) -> None:
    """Half characters and endless numbers, in jobs and in requests: everything is listed, and can be purged."""
    desk.bury_job("pg-1", "s-00000000000000001")
    desk.bury(pack(envelope(actor_name="\ud800")))
    odd = {"receiveCount": {"DataType": "String", "StringValue": "9" * 5000}}
    reason = {"reason": {"DataType": "String", "StringValue": "of mine"}}
    for queue in ("jobs", "requests"):
        desk.sqs.send_message(
            QueueUrl=desk.url(queue, "-dlq"), MessageBody='{"actor": "\\ud800"}', MessageAttributes=odd | reason
        )
    letters = (await desk.list())["deadLetters"]
    assert len(letters) == 4
    assert all(letter["receiveCount"] < 10 for letter in letters)
    (request,) = [letter for letter in letters if letter["queue"] == "requests"]
    assert request["reason"] != "of mine"
    assert "or somebody" in request["reason"]
    outcome = await product.services.dead_letters.purge(Selection(), Requester("ada", "cli", "asked"))
    assert len(outcome.purged) == 4


async def test_a_list_is_bounded_and_says_so(product: Product, desk: Desk) -> None:
    """More letters than asked for: no more than that, the count of all, and that there may be more."""
    for number in range(12):
        desk.bury_job("pg-1", f"s-{number:017d}")
    part = await desk.list(limit=5)
    assert (len(part["deadLetters"]), part["truncated"], part["approximateCounts"]["jobs"]) == (5, True, 12)
    exact = await desk.list(limit=12)
    assert (len(named(exact["deadLetters"])), exact["truncated"]) == (12, False)
    assert desk.count() == (12, 0)


async def test_a_list_shows_the_latest(product: Product, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order SQS has them in, of all queues; where not all were looked through it says so."""
    queues = (Queue.NORMAL, Queue.BULK)
    for number in range(14):
        desk.bury_job("pg-1", f"s-{number:017d}", queue=queues[number % 2])
    everything = await desk.list(limit=1000)
    assert (len(everything["deadLetters"]), everything["truncated"]) == (14, False)
    for limit in (1, 3, 13):
        part = await desk.list(limit=limit)
        assert (part["deadLetters"], part["truncated"]) == (everything["deadLetters"][:limit], True)
    monkeypatch.setattr(dead_letters, "LOOKED_THROUGH", 6)
    part = await desk.list(limit=20)
    assert (len(part["deadLetters"]), part["truncated"]) == (12, True)
    assert await product.services.dead_letters.count() == 14


async def test_letters_that_somebody_else_holds_are_not_passed_over_in_silence(product: Product, desk: Desk) -> None:
    """Two look at the same time: who finds less is told that there may be more."""
    desk.bury_job("pg-1", "s-00000000000000001")
    async with product.services.dead_letters._box.hold(10, product.settings.lease) as held:
        assert len(held.letters) == 1
        other = await desk.list()
    assert (other["deadLetters"], other["truncated"]) == ([], True)
    assert len((await desk.list())["deadLetters"]) == 1


async def test_what_sqs_moved_itself_is_a_letter_too(product: Product, desk: Desk) -> None:
    """Also what somebody put there: without a reason of ours it says no more than is known, and can be redriven."""
    body = encode_job(APPLY_ACTOR, Queue.NORMAL, {"groupId": "pg-1", "sourceServerId": "s-00000000000000001"})
    desk.sqs.send_message(QueueUrl=desk.url(Queue.NORMAL, "-dlq"), MessageBody=body)
    (letter,) = (await desk.list())["deadLetters"]
    told = "No worker said why: SQS itself, or somebody, moved it here."
    assert (letter["reason"], letter["receiveCount"]) == (f"{told} Received so far, looks at it here included: 1.", 1)
    assert (letter["groupId"], letter["fault"], letter["originalMessageId"]) == ("pg-1", None, None)
    assert (letter["deadLetteredAt"], letter["sentAt"] is None) == (None, False)


async def test_a_redrive_opens_one_run_a_group_on_the_bulk_queue(product: Product, desk: Desk) -> None:
    """All letters of a group are one run with the reason redrive; done, they settle the group, and are gone."""
    members = product.add_servers(4)
    product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"})
    groups = {await product.create(part, launchConfig={"copyTags": True}): part for part in (members[:2], members[2:])}
    await product.drain()
    product.faults()
    for group_id, part in groups.items():
        for member in part:
            desk.bury_job(group_id, member)
    answer = await desk.redrive()
    assert answer.status_code == 202, answer.text
    document = answer.json()
    assert named(document["redriven"]) == {(group_id, member) for group_id, part in groups.items() for member in part}
    assert (document["left"], document["notFound"], document["truncated"]) == ([], [], False)
    assert {entry["result"] for entry in document["redriven"]} == {"applying"}
    assert len({entry["runId"] for entry in document["redriven"]}) == 2
    for group_id, part in groups.items():
        (head,) = (await product.services.history.runs(group_id, 1, None)).runs
        assert (head.generation, head.reason, head.listed, head.door) == (2, "redrive", len(part), "http")
        assert {e["runId"] for e in document["redriven"] if e["groupId"] == group_id} == {head.run_id}
    assert product.take_jobs() == []
    await product.drain(product.take_jobs(Queue.BULK))
    for group_id in groups:
        assert (await product.status(group_id))["status"] == "ready"
    assert desk.count() == (0, 0)
    assert (await desk.list())["deadLetters"] == []


@pytest.mark.parametrize("dies_at", ["before the run", "before the deletion"])
async def test_a_redrive_that_dies_loses_nothing(
    product: Product, desk: Desk, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Killed anywhere between: the letter is there, and the next redrive opens a run, or joins the one that is open."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    product.take_jobs()
    desk.bury_job(group_id, member)
    owner, name = (Submission, "apply") if dies_at == "before the run" else (HeldLetters, "delete")
    with monkeypatch.context() as dying:
        dying.setattr(owner, name, die)
        with pytest.raises(Killed):
            await product.services.dead_letters.redrive(Selection(), Requester("ada", "cli", "asked"))
    assert desk.count() == (1, 0)
    product.take_jobs(Queue.BULK)
    document = (await desk.redrive()).json()
    # The job that is lost is sent again: nothing waits for a sweeper that finds the run standing still.
    assert jobs_of(product) == [(group_id, member)]
    (head,) = (await product.services.history.runs(group_id, 10, None)).runs
    assert [entry["runId"] for entry in document["redriven"]] == [head.run_id]
    assert desk.count() == (0, 0)


class Killed(BaseException):
    """The process is gone."""


async def die(*_: object, **__: object) -> None:
    raise Killed


async def test_what_cannot_be_done_again_stays_and_says_why(product: Product, desk: Desk) -> None:
    """Unreadable, an unknown actor, a group or a member that is gone: each is named; the others are redriven."""
    kept, gone = product.add_servers(2)
    group_id = await product.create([kept, gone])
    product.take_jobs()
    await product.update(group_id, {"sourceServerIds": [kept]})
    product.take_jobs()
    desk.bury_job(group_id, kept)
    desk.bury_job(group_id, gone)
    desk.bury_job("pg-deleted", kept)
    desk.bury("?")
    desk.bury(pack(envelope(options={"stack": "staging"})))
    desk.bury(encode_job("of_the_next_release", Queue.NORMAL, {}))
    desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, {"waveId": "wave-none"}), queue=Queue.URGENT)
    desk.sqs.send_message(QueueUrl=desk.url("requests", "-dlq"), MessageBody="{}")
    document = (await desk.redrive()).json()
    assert named(document["redriven"]) == {(group_id, kept)}
    assert jobs_of(product) == [(group_id, kept)]
    reasons = sorted(entry["why"] for entry in document["left"])
    expected = [
        "It is a request from outside",
        "It is no job: it is a job of the stack",
        "It is no job: the body is not base64",
        "There is no protection group 'pg-deleted'",
        "There is no wave 'wave-none'",
        "This release has no actor",
        f"{gone} is no member",
    ]
    assert len(reasons) == len(expected)
    for found, beginning in zip(reasons, expected, strict=True):
        assert found.startswith(beginning)
    assert [desk.count(queue) for queue in DEAD_LETTER_QUEUES] == [(1, 0), (5, 0), (0, 0), (1, 0)]


async def test_a_group_that_is_deleted_meanwhile_is_no_outage(
    product: Product, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted between two reads: the letter stays, with the reason, and the answer is no refusal of the whole."""
    desk.bury_job("pg-1", "s-00000000000000001")

    async def delete_meanwhile(*_: object, **__: object) -> None:
        raise GroupDeleted("Protection group pg-1 was deleted.")

    monkeypatch.setattr(Submission, "apply", delete_meanwhile)
    answer = await desk.redrive()
    assert (answer.status_code, [entry["why"] for entry in answer.json()["left"]]) == (
        200,
        ["Protection group pg-1 was deleted."],
    )
    assert desk.count() == (1, 0)


async def test_letters_are_chosen_by_id_and_group(product: Product, desk: Desk) -> None:
    """Only what both name is redriven; an id that is no letter's is named; nothing chosen is nothing done."""
    members = product.add_servers(3)
    first, second = await product.create(members[:2]), await product.create(members[2:])
    product.take_jobs()
    for group_id, member in ((first, members[0]), (first, members[1]), (second, members[2])):
        desk.bury_job(group_id, member)
    ids = {letter["sourceServerId"]: letter["messageId"] for letter in (await desk.list())["deadLetters"]}
    nothing = await desk.redrive(messageIds=[ids[members[2]]], groupId=first)
    assert (nothing.status_code, nothing.json()["redriven"]) == (200, [])
    document = (await desk.redrive(messageIds=[ids[members[0]], "unheard-of"])).json()
    assert (named(document["redriven"]), document["notFound"]) == ({(first, members[0])}, ["unheard-of"])
    assert named((await desk.redrive(groupId=second)).json()["redriven"]) == {(second, members[2])}
    assert named((await desk.list())["deadLetters"]) == {(first, members[1])}
    assert jobs_of(product) == sorted([(first, members[0]), (second, members[2])])


async def test_a_letter_of_what_failed_already_gets_a_new_run(product: Product, desk: Desk) -> None:
    """The group's run is pending for others and has recorded the server as failed: only a new one does it again."""
    failed, pending = product.add_servers(2)
    group_id = await product.create([failed, pending], launchConfig={"copyTags": True})
    jobs = {job.arguments["sourceServerId"]: job for job in product.take_jobs()}
    product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"})
    await product.run(jobs[failed])
    product.faults()
    assert (await product.status(group_id))["status"] == "pending"
    desk.bury_job(group_id, failed)
    (entry,) = (await desk.redrive()).json()["redriven"]
    (head, _) = (await product.services.history.runs(group_id, 10, None)).runs
    assert (entry["result"], entry["runId"], head.run_id) == ("applying", head.run_id, entry["runId"])
    assert (head.generation, head.reason, desk.count()) == (2, "redrive", (0, 0))
    again = product.take_jobs(Queue.BULK)
    assert sorted(job.arguments["sourceServerId"] for job in again) == sorted([failed, pending])
    await product.drain(again)
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_letter_of_what_is_ready_is_done(product: Product, desk: Desk) -> None:
    """The server was applied since: there is nothing to do, no run is opened, and the letter goes."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member])
    desk.bury_job(group_id, member)
    (entry,) = (await desk.redrive()).json()["redriven"]
    assert entry["result"] == "done"
    assert (jobs_of(product), desk.count()) == ([], (0, 0))
    assert len((await product.services.history.runs(group_id, 10, None)).runs) == 1


@pytest.mark.parametrize("settled", [True, False])
async def test_a_letter_of_what_no_run_has_to_do_is_done(product: Product, desk: Desk, *, settled: bool) -> None:
    """Of two source servers one is ready: the run that is there for the other, new or in progress, is not its own."""
    bad, good = product.add_servers(2)
    group_id = await product.create([bad, good], launchConfig={"copyTags": True})
    jobs = {job.arguments["sourceServerId"]: job for job in product.take_jobs()}
    await product.run(jobs[good])
    if settled:
        product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"})
        await product.run(jobs[bad])
        product.faults()
    for member in (bad, good):
        desk.bury_job(group_id, member)
    redriven = (await desk.redrive()).json()["redriven"]
    entries = {entry["sourceServerId"]: entry for entry in redriven}
    assert len(redriven) == len(entries)
    (head,) = (await product.services.history.runs(group_id, 1, None)).runs
    assert head.generation == (2 if settled else 1)
    assert {member: (entry["result"], entry["runId"]) for member, entry in entries.items()} == {
        bad: ("applying", head.run_id),
        good: ("done", None),
    }
    assert (jobs_of(product), desk.count()) == ([(group_id, bad)], (0, 0))


async def test_waves_and_sweeps_are_sent_again(product: Product, desk: Desk) -> None:
    """A wave that has not started gets its message again, one that has does not; a sweep is a sweep."""
    group_ids = [await product.create_ready([member]) for member in product.add_servers(2)]
    waves = [await product.api.post("/waves", json={"groupIds": [group_id]}) for group_id in group_ids]
    lost, started = product.take_jobs(Queue.URGENT)
    await product.run(started)
    for sent in (lost, started):
        desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, sent.arguments), queue=Queue.URGENT)
    desk.bury(encode_job(SWEEP_ACTOR, Queue.NORMAL, {}))
    document = (await desk.redrive()).json()
    results = {entry["waveId"]: entry["result"] for entry in document["redriven"]}
    assert results == {lost.arguments["waveId"]: "sent", started.arguments["waveId"]: "done", None: "sent"}
    (again,) = product.take_jobs(Queue.URGENT)
    assert (again.actor, again.arguments["waveId"]) == (WAVE_ACTOR, lost.arguments["waveId"])
    assert [job.actor for job in product.take_jobs()] == [SWEEP_ACTOR]
    assert {wave.json()["waveId"] for wave in waves} == results.keys() - {None}


async def bury_wave(product: Product, desk: Desk, group_id: str, **more: Any) -> str:
    """Accept a wave whose message is dead-lettered before any worker starts it."""
    accepted = await product.api.post("/waves", json={"groupIds": [group_id], **more})
    assert accepted.status_code == 202, accepted.text
    (lost,) = product.take_jobs(Queue.URGENT)
    desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, lost.arguments), queue=Queue.URGENT)
    return str(accepted.json()["waveId"])


async def read_wave(product: Product, wave_id: str) -> dict[str, Any]:
    answer = await product.api.get(f"/waves/{wave_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("since", "code", "said"),
    [
        ("a day", "DEADLINE_EXCEEDED", "and its time is over. Start a new wave."),
        ("deleted", "GROUP_DELETED", "starts and follows nothing more of it."),
    ],
)
async def test_a_wave_of_other_days_is_started_by_no_letter(
    product: Product, desk: Desk, since: str, code: str, said: str
) -> None:
    """Accepted too long ago, or its group is gone: the message is sent again, and whoever gets it ends the wave."""
    (member,) = product.add_servers(1)
    # One without launch config is held by nobody, and can be deleted at any time.
    held = since == "a day"
    group_id = await (product.create_ready([member]) if held else product.create([member], launchConfig=None))
    wave_id = await bury_wave(product, desk, group_id)
    if since == "a day":
        product.clock.advance(timedelta(days=1))
    else:
        assert (await product.api.delete(f"/protection-groups/{group_id}")).status_code == 204
    document = (await desk.redrive()).json()
    assert ([entry["result"] for entry in document["redriven"]], document["left"]) == (["sent"], [])
    product.count_anew()
    await product.drain()
    assert "drs.StartRecovery" not in product.calls()
    wave = await read_wave(product, wave_id)
    (error,) = wave["errors"]
    assert (wave["status"], error["groupId"], error["sourceServerIds"]) == ("failed", group_id, [member])
    assert (error["code"], said in error["message"]) == (code, True), error


async def test_a_purged_letter_ends_the_wave_that_it_was_to_start(product: Product, desk: Desk) -> None:
    """One that is still starting has failed, and says why; one that has started is as it was; nobody's just goes."""
    first, second = [await product.create_ready([member]) for member in product.add_servers(2)]
    ended = await bury_wave(product, desk, first)
    started = await bury_wave(product, desk, second)
    await product.workers.start_wave(started)
    desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, {"waveId": "wave-none"}), queue=Queue.URGENT)
    outcome = await product.services.dead_letters.purge(Selection(), Requester("ada", "cli", "asked"))
    assert (len(outcome.purged), outcome.is_whole, desk.count(Queue.URGENT)) == (3, True, (0, 0))
    told = f"The start of {ended} was purged from the dead letters. Start a new wave."
    assert (await read_wave(product, ended))["waitingFor"] == f"its end: {told}"
    await product.workers.start_wave(ended)
    wave = await read_wave(product, ended)
    (error,) = wave["errors"]
    assert (wave["status"], error["groupId"], error["code"], error["message"]) == ("failed", first, "PURGED", told)
    assert ((await read_wave(product, started))["status"]) == "started"


async def test_a_letter_whose_wave_cannot_be_ended_is_not_purged(product: Product, desk: Desk) -> None:
    """While the tables do not answer it stays, with the reason; those of no wave go."""
    desk.bury(encode_job(WAVE_ACTOR, Queue.URGENT, {"waveId": "wave-1"}), queue=Queue.URGENT)
    desk.bury_job("pg-1", "s-00000000000000001")
    product.faults({"service": "dynamodb", "operation": "*", "code": "AccessDeniedException"})
    outcome = await product.services.dead_letters.purge(Selection(), Requester("ada", "cli", "asked"))
    product.faults()
    assert [letter.names.group_id for letter in outcome.purged] == ["pg-1"]
    assert [left.letter.names.wave_id for left in outcome.left] == ["wave-1"]
    assert desk.count(Queue.URGENT) == (1, 0)


async def test_a_recovery_is_started_by_its_letter_only_where_it_is_named(product: Product, desk: Desk) -> None:
    """A redrive of everything leaves a recovery that is no drill, with the reason; by its id it is sent."""
    (member,) = product.add_servers(1)
    wave_id = await bury_wave(product, desk, await product.create_ready([member]), isDrill=False)
    document = (await desk.redrive()).json()
    (left,) = document["left"]
    assert (document["redriven"], product.take_jobs(Queue.URGENT)) == ([], [])
    assert "no drill" in left["why"]
    assert "message id" in left["why"]
    document = (await desk.redrive(messageIds=[left["messageId"]])).json()
    assert [(entry["waveId"], entry["result"]) for entry in document["redriven"]] == [(wave_id, "sent")]
    (again,) = product.take_jobs(Queue.URGENT)
    assert (again.actor, again.arguments["waveId"]) == (WAVE_ACTOR, wave_id)


async def test_a_repeated_redrive_has_no_second_effect(product: Product, desk: Desk) -> None:
    """Under one Idempotency-Key what arrived since stays, and is named; another body under it is a 422."""
    early, late = product.add_servers(2)
    group_id = await product.create([early, late])
    product.take_jobs()
    headers = {"Idempotency-Key": "one redrive"}
    desk.bury_job(group_id, early)
    assert named((await desk.redrive(headers)).json()["redriven"]) == {(group_id, early)}
    jobs_of(product)
    desk.bury_job(group_id, late)
    repeated = await desk.redrive(headers)
    assert (repeated.status_code, repeated.json()["redriven"]) == (200, [])
    (left,) = repeated.json()["left"]
    assert left["sourceServerId"] == late
    assert "arrived after the first request" in left["why"]
    assert desk.count() == (1, 0)
    other = await desk.redrive(headers, groupId=group_id)
    assert (other.status_code, problem_of(other)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_letter_that_sqs_does_not_delete_is_named(product: Product, desk: Desk) -> None:
    """Its work is under way all the same, and the letter says so."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    product.take_jobs()
    desk.bury_job(group_id, member)
    product.faults({"service": "sqs", "operation": "DeleteMessageBatch", "code": "AccessDenied"})
    document = (await desk.redrive()).json()
    product.faults()
    (entry,) = document["left"]
    assert "Its work is applying, but SQS did not delete the letter" in entry["why"]
    assert (jobs_of(product), desk.count()) == ([(group_id, member)], (1, 0))


@pytest.mark.parametrize(("service", "operation"), [("sqs", "ReceiveMessage"), ("dynamodb", "*")])
async def test_an_outage_is_one_clear_error_and_loses_no_letter(
    product: Product, desk: Desk, service: str, operation: str
) -> None:
    """Queues or tables that do not answer: 503, and every letter can be received again."""
    desk.bury_job("pg-1", "s-00000000000000001")
    product.faults({"service": service, "operation": operation, "code": "AccessDeniedException"})
    answer = await desk.redrive()
    product.faults()
    assert (answer.status_code, problem_of(answer)["status"]) == (503, 503)
    assert desk.count() == (1, 0)


async def test_a_purge_deletes_what_was_chosen_and_nothing_else(product: Product, desk: Desk) -> None:
    """By id: those; all: every letter of every queue, also one that nobody can read."""
    for number in range(3):
        desk.bury_job("pg-1", f"s-{number:017d}")
    desk.bury("?", queue=Queue.BULK)
    letters = (await desk.list())["deadLetters"]
    requester = Requester("ada", "cli", "asked")
    chosen = letters[0]["messageId"]
    outcome = await product.services.dead_letters.purge(Selection(frozenset({chosen, "unheard-of"})), requester)
    assert ([letter.message_id for letter in outcome.purged], outcome.unknown) == ([chosen], ("unheard-of",))
    left = {letter["messageId"] for letter in (await desk.list())["deadLetters"]}
    assert left == {letter["messageId"] for letter in letters} - {chosen}
    everything = await product.services.dead_letters.purge(Selection(), requester)
    assert {letter.message_id for letter in everything.purged} == left
    assert everything.is_whole
    assert (await desk.list())["deadLetters"] == []


async def test_what_was_redriven_and_purged_is_written_down(
    product: Product, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who, from which door, and each letter by its id, as a warning: the command line's log has nothing below it."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    product.take_jobs()
    desk.bury_job(group_id, member)
    desk.bury("?")
    desk.bury("??")
    (job,) = [letter for letter in (await desk.list())["deadLetters"] if letter["sourceServerId"] == member]
    requester = Requester("ada", "cli", "asked", "req-1")
    with capture_logs() as lines:
        await product.services.dead_letters.redrive(Selection(), requester)
    told = {"log_level": "warning", "door": "cli", "principal": "ada", "request_id": "req-1"}
    (line,) = [line for line in lines if line["event"] == "letters.redriven"]
    assert line == {"event": "letters.redriven", **told, "message_ids": [job["messageId"]], "left": 2}
    monkeypatch.setattr(dead_letters, "MOST_LETTERS", 1)
    hold, looks = SqsLetterBox.hold, []

    def fail_at_the_second(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) > 1:
            raise QueueUnreachable("http://fake", "no answer")
        return hold(*arguments)

    monkeypatch.setattr(SqsLetterBox, "hold", fail_at_the_second)
    with capture_logs() as lines, pytest.raises(QueueUnreachable):
        await product.services.dead_letters.purge(Selection(), requester)
    (line,) = [line for line in lines if line["event"] == "letters.purged"]
    assert line.items() >= {"event": "letters.purged", **told, "left": 0}.items()
    assert len(line["message_ids"]) == 1
