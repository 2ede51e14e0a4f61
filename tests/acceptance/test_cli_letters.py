"""`prelaunch dlq` over a real stack: what it shows, what it does, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_environment, make_group_body, run_on_terminal
from tests.acceptance.in_process import Command
from tests.forked_stand_in import StandIns
from workers.core.contract import APPLY_ACTOR
from workers.core.queue.job import encode_job

pytestmark = pytest.mark.xdist_group("cli_letters")
FAILED, NOT_REACHABLE = 1, 3


@pytest.fixture(scope="module")
def shared_aws(stand_ins: StandIns) -> Iterator[StandIn]:
    with stand_ins.run() as running:
        yield running


@pytest.fixture
def environment(shared_aws: StandIn) -> dict[str, str]:
    return make_environment(shared_aws.environment, {"PRELAUNCH_TIME_SCALE": "0.1"})


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> Command:
    return Command(monkeypatch, capsys, environment)


def put_letter(aws: StandIn, body: str, reason: str) -> str:
    """Put a letter on a dead-letter queue as a worker does; answer its id."""
    sqs = connect(aws, "sqs")
    attributes = {"reason": reason, "receiveCount": "5", "sentAt": "2026-03-01T08:00:00+00:00", "messageId": "was"}
    sent = sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName="prelaunch-jobs-dlq")["QueueUrl"],
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )
    return str(sent["MessageId"])


def make_group(aws: StandIn, command: Command, folder: Path, name: str) -> dict[str, Any]:
    body = {**make_group_body(aws, 2), "groupName": name}
    (folder / "group.json").write_text(json.dumps(body))
    status, printed, _ = command("group", "create", "-f", str(folder / "group.json"), "--no-wait", "--json")
    assert status == 0
    return dict(json.loads(printed))


def read_notes(errors: str) -> tuple[list[tuple[str, str, list[str]]], str]:
    """Take standard error apart: what is written down of letters, and what is said to a person."""
    lines = errors.splitlines(keepends=True)
    notes = [json.loads(line) for line in lines if line.startswith("{")]
    said = "".join(line for line in lines if not line.startswith("{"))
    return [(note["event"], note["door"], note["message_ids"]) for note in notes], said


def test_letters_are_listed_redriven_and_purged(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """The whole way: 0 where all is done, 1 where a letter stays, which is named with the reason; "no" deletes none."""
    group = make_group(shared_aws, command, tmp_path, "letters")
    group_id, (first, second) = group["groupId"], group["sourceServerIds"]
    jobs = {
        member: put_letter(
            shared_aws,
            encode_job(APPLY_ACTOR, "jobs", {"groupId": group_id, "sourceServerId": member}),
            "KeyError: \x1b[31m'x'",
        )
        for member in (first, second)
    }
    bad = put_letter(shared_aws, "?", "unreadable: the body is not base64")
    status, printed, errors = command("dlq", "list")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in printed.splitlines()}
    assert (status, errors, set(rows)) == (0, "", {*jobs.values(), bad})
    queue, shown_group, server, sent, died, received, reason = rows[jobs[first]]
    assert (queue, shown_group, server, received) == ("jobs", group_id, first, "5")
    assert (sent, died[-3:], reason) == ("2026-03-01 08:00:00 UTC", "UTC", "KeyError:  [31m'x'")
    assert "Not redrivable: It is no job: the body is not base64" in rows[bad][-1]
    status, printed, errors = command("dlq", "list", "--limit", "1", "--json")
    document = json.loads(printed)
    assert (status, len(document["deadLetters"]), document["truncated"]) == (0, 1, True)
    assert "jobs 3" in errors

    status, printed, errors = command("dlq", "redrive", "--message", jobs[first], "--group", "letters")
    assert (status, read_notes(errors)) == (0, ([("letters.redriven", "cli", [jobs[first]])], ""))
    assert printed.startswith(f"{jobs[first]} of jobs ({group_id}, {first}) is applied by run-")
    status, printed, errors = command("dlq", "redrive", "--all", "--json")
    document = json.loads(printed)
    assert (status, [entry["messageId"] for entry in document["redriven"]]) == (FAILED, [jobs[second]])
    notes, complaints = read_notes(errors)
    assert notes == [("letters.redriven", "cli", [jobs[second]])]
    assert complaints == f"prelaunch: {bad} of jobs stays: It is no job: the body is not base64.\n"

    refused = run_on_terminal(environment, "dlq", "purge", "--all", typed="n\n")
    assert refused.returncode == FAILED
    assert "Delete all dead letters, about 1, for good?" in refused.stdout
    status, printed, errors = command("dlq", "purge", "--message", "unheard-of", "--yes")
    assert (status, printed) == (FAILED, "0 dead letters are deleted.\n")
    assert "unheard-of is no dead letter" in errors
    agreed = run_on_terminal(environment, "dlq", "purge", "--message", bad, typed="y\n")
    assert agreed.returncode == 0
    assert "1 dead letter is deleted." in agreed.stdout
    worse = put_letter(shared_aws, "?", "unreadable: the body is not base64")
    status, printed, errors = command("dlq", "purge", "--all", "--yes", "--json")
    assert (status, len(json.loads(printed)["purged"])) == (0, 1)
    assert read_notes(errors) == ([("letters.purged", "cli", [worse])], "")
    assert command("dlq", "list") == (0, "", "")


def test_letters_of_a_group_are_chosen_by_its_id_or_name(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Of a deleted one by its id: a redrive says why they stay, a purge deletes them, and no other group's."""
    groups = [make_group(shared_aws, command, tmp_path, name) for name in ("kept", "gone")]
    letters = {}
    for group in groups:
        arguments = {"groupId": group["groupId"], "sourceServerId": group["sourceServerIds"][0]}
        letters[group["groupName"]] = put_letter(
            shared_aws, encode_job(APPLY_ACTOR, "jobs", arguments), "KeyError: 'x'"
        )
    gone = groups[1]["groupId"]
    assert command("group", "delete", "gone", "--yes")[0] == 0
    status, printed, errors = command("dlq", "redrive", "--group", gone)
    assert (status, printed) == (FAILED, "")
    assert f"{letters['gone']} of jobs ({gone}, " in errors
    assert f"stays: There is no protection group '{gone}'" in errors
    status, _, errors = command("dlq", "purge", "--group", "gone", "--yes")
    assert (status, "There is no protection group 'gone'" in errors) == (FAILED, True)
    agreed = run_on_terminal(environment, "dlq", "purge", "--group", gone, typed="y\n")
    assert agreed.returncode == 0
    assert f"Delete all dead letters of {gone}, for good?" in agreed.stdout
    assert "1 dead letter is deleted." in agreed.stdout
    status, printed, _ = command("dlq", "purge", "--group", "kept", "--yes", "--json")
    assert (status, [each["messageId"] for each in json.loads(printed)["purged"]]) == (0, [letters["kept"]])
    assert command("dlq", "list") == (0, "", "")


def test_queues_that_are_missing_are_one_clear_error(command: Command) -> None:
    """Another stack's queues: status 3 and one line, with a document for scripts."""
    command.set("PRELAUNCH_STACK", "elsewhere")
    for arguments in (["list"], ["redrive", "--all"], ["purge", "--all", "--yes"]):
        status, printed, errors = command("dlq", *arguments, "--json")
        assert (status, json.loads(printed)["status"], errors.count("\n")) == (NOT_REACHABLE, 503, 1)
