"""`prelaunch group` and `prelaunch status` over a real stack: the whole way of a group, and every way to fail."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import (
    PRELAUNCH,
    count_calls,
    make_environment,
    make_group_body,
    run,
    run_on_terminal,
    running,
    terminate,
    wait_until,
)
from tests.acceptance.in_process import Command
from tests.forked_stand_in import StandIns

# One stand-in serves them all, whichever order they come in: each has groups of its own.
pytestmark = pytest.mark.xdist_group("cli_group")
FAILED, WRONG_USE, NOT_REACHABLE, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141
REFUSAL = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"}


@pytest.fixture(scope="module")
def shared_aws(stand_ins: StandIns) -> Iterator[StandIn]:
    with stand_ins.run() as running_one:
        yield running_one


@pytest.fixture
def environment(shared_aws: StandIn) -> dict[str, str]:
    return make_environment(shared_aws.environment)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> Command:
    return Command(monkeypatch, capsys, environment)


def write_group(aws: StandIn, path: Path, name: str, servers: int = 2) -> dict[str, Any]:
    """Write the file of a new group with new source servers."""
    body = {**make_group_body(aws, servers), "groupName": name}
    path.write_text(json.dumps(body))
    return body


def make_profile(folder: Path, aws: StandIn) -> dict[str, str]:
    """Make an environment in which only a profile leads to the stand-in, and no Region does."""
    credentials = folder / "credentials"
    keys = {name: aws.environment[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    credentials.write_text("\n".join(["[ops]", *(f"{name} = {value}" for name, value in keys.items())]))
    endpoint = {name: aws.environment[name] for name in ("AWS_ENDPOINT_URL", "PRELAUNCH_STACK")}
    return make_environment(endpoint, {"AWS_SHARED_CREDENTIALS_FILE": str(credentials)})


def test_the_whole_way_of_a_group(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """Create, status, get to a file, edit it, update, list, delete: each shows what is so, and ends as it says."""
    environment = make_profile(tmp_path, shared_aws)
    choice = ("--profile", "ops", "--region", "us-east-1")
    file = tmp_path / "group.json"
    body = write_group(shared_aws, file, "the whole way")
    bad, good = body["sourceServerIds"]
    shared_aws.control("PUT", "faults", [{**REFUSAL, "sourceServerId": bad}])
    log = tmp_path / "worker.log"
    with running(environment, "worker", "--threads", "4", *choice, log=log) as worker:
        created = run_on_terminal(environment, "group", "create", "-f", str(file), *choice)
        assert created.returncode == FAILED
        assert "/2" in created.stdout, "no progress bar on a terminal"
        assert f"{bad} failed: ValidationException: drs.UpdateLaunchConfiguration" in created.stdout

        told = run(environment, "status", "the whole way", *choice)
        assert (told.returncode, told.stderr) == (FAILED, "")
        first, _, *rows = told.stdout.splitlines()
        assert "is FAILED: 1 ready, 1 failed, 0 pending of 2 source servers." in first
        assert [row.split("\t")[:3] for row in rows] == [[bad, "failed", "ValidationException"]]

        shared_aws.control("PUT", "faults", [])
        assert_plan(command, environment, bad, good, *choice)
        shown = run(environment, "group", "get", "the whole way", "--json", *choice)
        group = json.loads(shown.stdout)
        assert (shown.returncode, group["version"]) == (0, 1)
        file.write_text(shown.stdout.replace("m5.xlarge", "m5.2xlarge"))
        # CI systems force colours, and still read what a bar would fill with control characters.
        coloured = {**environment, "FORCE_COLOR": "1"}
        updated = run(coloured, "group", "update", group["groupId"], "-f", str(file), "--json", *choice)
        assert updated.returncode == 0, updated.stderr
        done = f"prelaunch: the whole way ({group['groupId']}) is updated; source servers to apply: 2. Request: "
        assert updated.stderr.startswith(done)
        request_id = updated.stderr.removeprefix(done).rstrip(".\n")
        assert updated.stderr == f"{done}{request_id}.\n"
        answer = json.loads(updated.stdout)
        assert answer["launchConfigStatus"]["status"] == "ready"
        assert answer["launchConfig"]["instanceType"] == "m5.2xlarge"
        assert sorted(answer["reapply"]["sourceServerIds"]) == sorted([bad, good])
        assert terminate(worker) == 0
    # What was asked here is found in what the workers did.
    assert re.fullmatch("req-[0-9a-f]{32}", request_id)
    applied = [line for line in log.read_text().splitlines() if request_id in line]
    assert {server for server in (bad, good) for line in applied if server in line} == {bad, good}

    assert_history(command, [bad, good], *choice)
    assert_nothing_planned(command, group["groupId"], *choice)
    status, printed, errors = command("group", "list", *choice)
    (row,) = [line for line in printed.splitlines() if group["groupId"] in line]
    assert row.split("\t") == [group["groupId"], "the whole way", "us-east-1", "123456789012", "2", "ready", *"200"]
    assert (status, errors) == (0, "")
    deleted = run(environment, "group", "delete", "the whole way", "--yes", *choice)
    assert (deleted.returncode, deleted.stdout) == (0, f"the whole way ({group['groupId']}) is deleted.\n")
    status, printed, errors = command("status", group["groupId"], *choice)
    assert (status, printed) == (FAILED, "")
    assert group["groupId"] in errors


def assert_nothing_planned(command: Command, group_id: str, *choice: str) -> None:
    status, printed, _ = command("plan", group_id, *choice)
    assert (status, printed.splitlines()[0]) == (0, f"the whole way ({group_id}): nothing to do.")
    status, printed, _ = command("status", group_id, "--live", *choice)
    assert (status, printed.splitlines()[-1].partition(":")[2]) == (
        0,
        " 0 of 2 source servers are not as they are wanted, 0 cannot be read.",
    )


def assert_plan(command: Command, environment: dict[str, str], bad: str, good: str, *choice: str) -> None:
    """Of the source server that failed each field is shown as it is and as it is wanted; of the other one nothing."""
    command.enter(environment)
    status, printed, errors = command("plan", "the whole way", *choice)
    first, *rows = [line.split("\t") for line in printed.splitlines()]
    assert (status, errors) == (0, "")
    assert " in 1 of 2 source servers." in first[0]
    assert [row[1] for row in rows if row[0] == good] == ["nothing to do"]
    assert (bad, "ec2.CreateLaunchTemplateVersion", "instanceType") in {tuple(row[:3]) for row in rows}
    status, printed, errors = command("plan", "the whole way", "--json", *choice)
    plans = json.loads(printed)["serverPlans"]
    assert (status, errors) == (0, "")
    assert plans[good] == {"steps": [], "errors": []}
    fields = [(bad, step["step"], each["field"]) for step in plans[bad]["steps"] for each in step["fields"]]
    assert fields == [tuple(row[:3]) for row in rows if row[0] == bad]
    status, printed, errors = command("status", "the whole way", "--live", *choice)
    assert (status, errors) == (FAILED, "")
    assert "In AWS now: 1 of 2 source servers are not as they are wanted, 0 cannot be read." in printed.splitlines()
    live = {tuple(line.split("\t")) for line in printed.splitlines() if line.count("\t") == 3}
    assert {(row[0], *row[2:]) for row in rows if row[0] == bad} <= live
    assert not any(row[0] == good for row in live)


def assert_history(command: Command, members: list[str], *choice: str) -> None:
    """Both runs, newest first, and what the later one changed, from what to what; what is not there is a failure."""
    status, printed, errors = command("history", "the whole way", *choice)
    rows = [line.split("\t") for line in printed.splitlines()]
    assert (status, errors) == (0, "")
    assert [(row[1], row[2], *row[5:9], row[10]) for row in rows] == [
        ("2", "ready", "2", "2", "0", "requested", "cli"),
        ("1", "failed", "2", "1", "1", "requested", "cli"),
    ]
    status, printed, errors = command("history", "the whole way", "--limit", "1", "--json", *choice)
    (latest,) = json.loads(printed)["applyRuns"]
    assert (status, latest["runId"]) == (0, rows[0][0])
    assert "--limit" in errors
    status, printed, errors = command("history", "the whole way", "--limit", "2", *choice)
    assert (status, errors) == (0, "")

    status, printed, errors = command("history", "the whole way", "--run", latest["runId"], *choice)
    first, second, *changes = printed.splitlines()
    assert (status, errors) == (0, "")
    assert first.startswith(f"{latest['runId']} (generation 2) is READY: 2 source servers, opened ")
    assert first.endswith(", 2 ready, 0 failed.")
    assert "door cli" in second
    fields = {tuple(line.split("\t")) for line in changes}
    assert {(member, "ready", "instanceType", "m5.xlarge", "m5.2xlarge") for member in members[1:]} <= fields
    assert {field[0] for field in fields} == set(members)
    status, printed, _ = command("history", "the whole way", "--run", latest["runId"], "--json", *choice)
    assert (status, len(json.loads(printed)["changes"])) == (0, 2)
    for missing in (("the whole way", "--run", "run-none"), ("nobody",)):
        status, printed, errors = command("history", *missing, *choice)
        assert (status, printed, errors.count("\n")) == (FAILED, "", 1)


def test_who_asks_is_the_caller_of_aws(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """A run holds the user or role whose credentials asked for it."""
    write_group(shared_aws, tmp_path / "group.json", "who asks")
    status, printed, _ = command("group", "create", "-f", str(tmp_path / "group.json"), "--no-wait", "--json")
    assert status == 0
    found = json.loads(printed)["launchConfigStatus"]
    assert (found["status"], found["appliedBy"]) == ("pending", "arn:aws:sts::123456789012:user/moto")
    status, printed, _ = command("status", "who asks", "--json")
    assert (status, json.loads(printed)["pendingServers"]) == (0, 2)
    assert len(json.loads(printed)["serverConfigs"]) == 2
    status, printed, _ = command("status", "who asks", "--servers", "failed", "--json")
    assert json.loads(printed)["serverConfigs"] == {}


def test_a_group_is_found_by_its_id_and_by_any_name(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """A name that looks like an id is still a name; what is neither is one clear failure."""
    write_group(shared_aws, tmp_path / "group.json", "pg-0123456789abcdef0")
    status, printed, _ = command("group", "create", "-f", str(tmp_path / "group.json"), "--no-wait", "--json")
    group_id = json.loads(printed)["groupId"]
    for name in (group_id, "pg-0123456789abcdef0"):
        status, printed, _ = command("group", "get", name, "--json")
        assert (status, json.loads(printed)["groupId"]) == (0, group_id)
    status, printed, errors = command("group", "get", "\udcff nobody")
    assert (status, printed, errors.count("\n")) == (FAILED, "", 1), errors


def test_a_refused_file_changes_nothing_and_says_everything(command: Command, tmp_path: Path) -> None:
    """Every error of the file at once, with its place; the problem document with --json; wrong use."""
    file = tmp_path / "group.json"
    file.write_text('{"groupName": "refused", "region": "here", "sourceServerIds": ["s-1"], "launchConfg": {}}')
    status, printed, errors = command("group", "create", "-f", str(file), "--json")
    assert status == WRONG_USE
    document = json.loads(printed)
    assert (document["status"], document["code"]) == (400, "INVALID_BODY")
    pointers = ["/launchConfg", "/region", "/sourceServerIds/0"]
    assert sorted(error["pointer"] for error in document["errors"]) == pointers
    first, *rest = errors.splitlines()
    assert str(file) in first
    assert sorted(line.split(":")[0].strip() for line in rest) == pointers
    assert command("group", "get", "refused")[0] == FAILED


@pytest.mark.parametrize("asked", ["create", "update"])
def test_a_wrong_file_is_told_of_with_what_its_account_lacks(
    command: Command, shared_aws: StandIn, tmp_path: Path, asked: str
) -> None:
    """What is wrong in itself hides nothing else, and is told alone where no AWS can be asked."""
    file = tmp_path / "group.json"
    body = write_group(shared_aws, file, f"wrong at {asked}", servers=1)
    arguments: tuple[str, ...] = ("create",)
    if asked == "update":
        assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
        arguments = ("update", body["groupName"])
    wrong = {"monitoring": 7, "instanceProfileName": "nobodys"}
    file.write_text(json.dumps({**body, "launchConfig": wrong, **({"version": 1} if asked == "update" else {})}))
    status, printed, _ = command("group", *arguments, "-f", str(file), "--json")
    assert status == WRONG_USE
    told = [error["pointer"] for error in json.loads(printed)["errors"]]
    assert told == ["/launchConfig/monitoring", "/launchConfig/instanceProfileName"]
    if asked == "update":
        # Of another group nobody knows what of it is new.
        file.write_text(json.dumps({**json.loads(file.read_text()), "groupId": "pg-0123456789abcdef0"}))
        status, printed, _ = command("group", *arguments, "-f", str(file), "--json")
        assert status == WRONG_USE
        assert [error["pointer"] for error in json.loads(printed)["errors"]] == [told[0], "/groupId"]
    denial = {"service": "sts", "operation": "GetCallerIdentity", "code": "AccessDenied"}
    shared_aws.control("PUT", "faults", [denial])
    try:
        status, printed, _ = command("group", *arguments, "-f", str(file), "--json")
    finally:
        shared_aws.control("PUT", "faults", [])
    assert (status, [error["pointer"] for error in json.loads(printed)["errors"]]) == (WRONG_USE, told[:1])


@pytest.mark.parametrize("arguments", ["group create -f {}", "group update web -f {}"])
def test_a_file_that_cannot_be_read_is_wrong_use(command: Command, tmp_path: Path, arguments: str) -> None:
    """One line names the file."""
    missing = str(tmp_path / "nothing.json")
    status, printed, errors = command(*arguments.format(missing).split())
    assert (status, printed, errors.count("\n")) == (WRONG_USE, "", 1)
    assert missing in errors


def test_what_stands_in_the_way_is_a_failure(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """A name, a source server or a version that is another's: status 1, the code in the document, nothing changed."""
    file = tmp_path / "group.json"
    body = write_group(shared_aws, file, "in the way")
    status, printed, _ = command("group", "create", "-f", str(file), "--no-wait", "--json")
    group_id = json.loads(printed)["groupId"]
    status, printed, errors = command("group", "create", "-f", str(file), "--json")
    assert (status, json.loads(printed)["code"]) == (FAILED, "GROUP_NAME_EXISTS")
    assert group_id in errors
    assert all(member in errors for member in body["sourceServerIds"])

    _, shown, _ = command("group", "get", group_id, "--json")
    file.write_text(shown)
    assert command("group", "update", group_id, "-f", str(file), "--no-wait")[0] == 0
    file.write_text(shown.replace("m5.xlarge", "m5.large"))
    status, printed, errors = command("group", "update", group_id, "-f", str(file), "--json")
    assert (status, json.loads(printed)["code"]) == (FAILED, "VERSION_CONFLICT")
    assert "group get GROUP --json" in errors


def test_a_deletion_is_asked_for(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """On a terminal a person is asked, with the group named, and "no" deletes nothing."""
    write_group(shared_aws, tmp_path / "group.json", "asked for")
    assert command("group", "create", "-f", str(tmp_path / "group.json"), "--no-wait")[0] == 0
    asked = run_on_terminal(environment, "group", "delete", "asked for", typed="n\n")
    assert asked.returncode == FAILED
    assert "Delete protection group asked for (pg-" in asked.stdout
    assert command("status", "asked for")[0] == 0


def test_a_table_that_is_missing_is_told_with_a_document(command: Command) -> None:
    """A script that reads JSON reads JSON also when nothing can be reached."""
    command.set("PRELAUNCH_STACK", "elsewhere")
    status, printed, errors = command("group", "list", "--json")
    assert status == NOT_REACHABLE
    assert json.loads(printed)["status"] == 503
    assert errors.count("\n") == 1


def test_ctrl_c_ends_a_wait_quietly(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """130 and not a word; the run goes on."""
    write_group(shared_aws, tmp_path / "group.json", "interrupted")
    assert command("group", "create", "-f", str(tmp_path / "group.json"), "--no-wait")[0] == 0
    before = count_calls(shared_aws, "dynamodb.Query")
    with running(environment, "status", "interrupted", "--wait", log=tmp_path / "log") as waiting:
        wait_until(lambda: count_calls(shared_aws, "dynamodb.Query") > before + 3, "the second look")
        assert terminate(waiting, signal.SIGINT) == INTERRUPTED
        assert waiting.stdout
        assert waiting.stdout.read() == ""
    assert (tmp_path / "log").read_text() == ""


def test_a_reader_that_goes_away_ends_it_quietly(environment: dict[str, str]) -> None:
    """As other programs end at SIGPIPE: 141 and not a word."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [PRELAUNCH, "group", "list", "--json"], env=environment, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        assert process.stderr
        assert process.stderr.read() == ""
    assert process.returncode == PIPE_CLOSED
