"""`prelaunch reapply` over a real stack: many groups at once, what it refuses before anything, and how it ends."""

import csv
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from producer.cli.reapply.report import Report
from tests.acceptance.commands import (
    PATIENCE_SECONDS,
    PRELAUNCH,
    connect,
    count_calls,
    make_group_body,
    run_on_terminal,
    running,
    terminate,
    wait_until,
)
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import (
    FAILED,
    INTERRUPTED,
    REFUSAL,
    WRONG_USE,
    command,
    environment,
    shared_aws,
)

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_reapply")
NOT_REACHABLE, TERMINATED = 3, 143
ALL = ("--group", "one", "--group", "two", "--group", "three")
READS = ("Get", "BatchGet", "Query", "Describe", "GetQueueUrl", "GetCallerIdentity", "AssumeRole")
READING = "reading which groups there are"
TABLES = ("groups", "runs", "keys", "waves")
REAL_CONFIG = {"copyTags": True}


def make_groups(command: Command, aws: StandIn, tmp_path: Path, *names: str, servers: int = 2) -> dict[str, list[str]]:
    """Make groups; answer the source servers of each by its id, in the order of their names given."""
    made = {}
    for name in names:
        file = tmp_path / "group.json"
        body = {**make_group_body(aws, servers), "groupName": name}
        file.write_text(json.dumps(body))
        status, printed, errors = command("group", "create", "-f", str(file), "--no-wait", "--json")
        assert status == 0, errors
        made[json.loads(printed)["groupId"]] = body["sourceServerIds"]
    return made


def delete_groups(command: Command, groups: Sequence[str]) -> None:
    for group_id in groups:
        assert command("group", "delete", group_id, "--yes")[0] == 0


def read_items(aws: StandIn) -> dict[str, list[str]]:
    """Read every item of the stack's tables, but those of the buckets that reads take their turns from."""
    dynamodb, stack = connect(aws, "dynamodb"), aws.environment["PRELAUNCH_STACK"]
    return {
        table: sorted(
            repr(item)
            for page in dynamodb.get_paginator("scan").paginate(TableName=f"{stack}-{table}")
            for item in page["Items"]
        )
        for table in TABLES
    }


def count_writes(aws: StandIn) -> dict[str, int]:
    calls: dict[str, dict[str, int]] = aws.control("GET", "calls")
    names = {name: name.partition(".")[2] for name in calls}
    return {name: calls[name]["count"] for name, operation in names.items() if not operation.startswith(READS)}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_many_groups_are_applied_again(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Every group at once, named twice or not; a source server that fails is told in row, report and status."""
    made = make_groups(command, shared_aws, tmp_path, "one", "two", "three")
    first, second, third = made
    bad = made[second][0]
    report = tmp_path / "report.csv"
    with running(environment, "worker", "--threads", "8", log=tmp_path / "worker.log") as worker:
        status, printed, errors = command("reapply", *ALL, "--group", first)
        assert (status, printed.splitlines()[-1]) == (
            0,
            "3 groups, 0 failed; source servers: 6 ready, 0 failed, 0 pending.",
        ), errors
        rows = [line.split("\t") for line in printed.splitlines()[:-1]]
        assert rows == [
            [group_id, name, "ready", "2", "0", "0", ""]
            for name, group_id in sorted(zip(("one", "two", "three"), made, strict=True))
        ]
        # All is ready: without --force there is nothing to do, and no run is opened.
        status, printed, _ = command("reapply", *ALL, "--json")
        assert (status, len(json.loads(printed)["sourceServers"])) == (0, 6)
        assert len(json.loads(command("history", "one", "--json")[1])["applyRuns"]) == 1

        connect(shared_aws, "drs").update_launch_configuration(sourceServerID=bad, copyPrivateIp=True)
        shared_aws.control("PUT", "faults", [{**REFUSAL, "sourceServerId": bad}])
        shown = run_on_terminal(environment, "reapply", *ALL, "--force", "--report", str(report))
        assert shown.returncode == FAILED
        assert "of 6 source servers, " in shown.stdout, "no progress on a terminal"
        assert "/s, " in shown.stdout
        assert f"{bad} failed: ValidationException: drs.UpdateLaunchConfiguration" in shown.stdout
        reported = {row["sourceServerId"]: row for row in read_csv(report)}
        assert sorted(reported) == sorted(itertools.chain(*made.values()))
        assert {server: row["status"] for server, row in reported.items()} == {
            server: "failed" if server == bad else "ready" for server in reported
        }
        row = reported[bad]
        assert (row["groupId"], row["groupName"], row["code"]) == (second, "two", "ValidationException")
        assert row["whatToDo"].endswith(f"prelaunch reapply --group {second} --only-failed")
        assert row["requestId"]

        shared_aws.control("PUT", "faults", [])
        status, printed, errors = command("reapply", *ALL, "--only-failed", "--json")
        document = json.loads(printed)
        assert status == 0, errors
        assert [each["groupId"] for each in document["groups"]] == [second]
        assert [(each["sourceServerId"], each["status"]) for each in document["sourceServers"]] == [(bad, "ready")]
        assert f"two ({second}) is READY: 1 ready, 0 failed." in errors
        # One server of all groups: only its group is touched.
        server = made[third][1]
        status, printed, _ = command("reapply", *ALL, "--server", server, "--force", "--json")
        assert status == 0
        assert [each["sourceServerId"] for each in json.loads(printed)["sourceServers"]] == [server]
        assert terminate(worker) == 0
    runs = {name: json.loads(command("history", name, "--json")[1])["applyRuns"] for name in ("one", "two", "three")}
    assert {name: len(each) for name, each in runs.items()} == {"one": 2, "two": 3, "three": 3}
    assert runs["one"][0]["requestId"] == runs["two"][1]["requestId"], "not one request"
    assert runs["three"][0]["listedServers"] == 1
    delete_groups(command, list(made))


def test_a_dry_run_writes_nothing(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """It shows field by field what the plan shows; no item, no queue and nothing of AWS is changed."""
    made = make_groups(command, shared_aws, tmp_path, "dry one", "dry two")
    before = read_items(shared_aws)
    shared_aws.control("DELETE", "calls")
    chosen = [word for group_id in made for word in ("--group", group_id)]
    status, printed, errors = command("reapply", *chosen, "--dry-run", "--report", str(tmp_path / "plan.csv"))
    writes = count_writes(shared_aws)
    assert status == 0
    assert errors == f"prelaunch: {READING}.\nprelaunch: 2 groups: comparing with DRS and EC2.\n"
    # The reads take their turns from the fleet's buckets; nothing else is written.
    assert set(writes) <= {"dynamodb.UpdateItem"}
    assert count_calls(shared_aws, "drs.GetLaunchConfiguration") == 4
    assert read_items(shared_aws) == before
    plans = ["".join(command("plan", group_id)[1]) for group_id in made]
    assert printed == "".join(plans)
    rows = read_csv(tmp_path / "plan.csv")
    assert [row["status"] for row in rows] == ["to change"] * 4
    assert all("instanceType: " in row["message"] for row in rows)
    status, printed, _ = command("reapply", *chosen, "--dry-run", "--json")
    document = json.loads(printed)
    assert (status, document["dryRun"]) == (0, True)
    assert {group["groupId"]: sorted(group["serverPlans"]) for group in document["groups"]} == {
        group_id: sorted(servers) for group_id, servers in made.items()
    }
    shown = run_on_terminal(environment, "reapply", *chosen, "--dry-run").stdout
    assert READING in shown
    assert "0 of 2 groups, -:-- left" in shown
    # Ready members are not applied without --force: nothing is planned where nothing failed.
    status, printed, _ = command("reapply", *chosen, "--dry-run", "--only-failed")
    assert (status, printed) == (0, "Nothing to do: of no group anything is asked.\n")
    assert read_items(shared_aws) == before
    delete_groups(command, list(made))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--group", "nobody", "--group", "known", "--group", "pg-nobody"), ("nobody", "pg-nobody")),
        (("--group", "known", "--server", "s-nobody", "--server", "s-neither"), ("s-neither", "s-nobody")),
        (("--group", "nobody", "--group", "known", "--server", "s-nobody"), ("nobody", "s-nobody")),
        (("--group", "nobody", "--server", "s-nobody"), ("nobody",)),
    ],
)
def test_what_is_unknown_is_told_whole_and_nothing_is_applied(
    command: Command, shared_aws: StandIn, tmp_path: Path, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """Status 2, every name at once, no run and no report."""
    made = make_groups(command, shared_aws, tmp_path, "known")
    before = read_items(shared_aws)
    report = tmp_path / "report.json"
    status, printed, errors = command("reapply", *options, "--force", "--json", "--report", str(report))
    document = json.loads(printed)
    assert (status, document["code"]) == (WRONG_USE, "INVALID_BODY")
    assert sorted(error["pointer"].split()[1] for error in document["errors"]) == sorted(said)
    assert all(name in errors for name in said)
    assert "known" not in {error["pointer"] for error in document["errors"]}
    assert read_items(shared_aws) == before
    assert list(tmp_path.glob(".*")) == []
    assert not report.exists()
    delete_groups(command, list(made))


def test_a_report_that_cannot_be_written_keeps_all_from_being_applied(
    command: Command, shared_aws: StandIn, tmp_path: Path
) -> None:
    """Before anything is asked of AWS; one that is there stays as it is where the request is refused."""
    shared_aws.control("DELETE", "calls")
    for name in (tmp_path / "nowhere" / "report.csv", tmp_path / "report.txt", tmp_path):
        status, printed, errors = command("reapply", "--all", "--report", str(name))
        assert (status, printed) == (WRONG_USE, "")
        assert "--report" in errors.splitlines()[-1]
    assert shared_aws.control("GET", "calls") == {}
    old = tmp_path / "old.csv"
    old.write_text("of yesterday")
    assert command("reapply", "--group", "nobody", "--report", str(old))[0] == WRONG_USE
    assert old.read_text() == "of yesterday"


def test_whoever_reads_its_errors_may_go_away(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Every group is asked for all the same, the report is written, and the status is that of the work."""
    made = make_groups(command, shared_aws, tmp_path, "unread one", "unread two")
    chosen = [word for group_id in made for word in ("--group", group_id)]
    report = tmp_path / "report.csv"
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [PRELAUNCH, "reapply", *chosen, "--force", "--no-wait", "--report", str(report)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    ) as process:
        os.close(writing)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, printed.splitlines()[-1]) == (
        0,
        "2 groups, 0 failed; source servers: 0 ready, 0 failed, 4 pending.",
    )
    assert len(read_csv(report)) == 4
    delete_groups(command, list(made))


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_an_end_in_between_leaves_the_runs_and_says_how_to_watch_them(
    command: Command,
    environment: dict[str, str],
    shared_aws: StandIn,
    tmp_path: Path,
    *,
    number: signal.Signals,
    ends: int,
) -> None:
    """Ctrl-C and SIGTERM each by its status; a command for each group that is pending; the report is written."""
    made = make_groups(command, shared_aws, tmp_path, f"ends {ends} a", f"ends {ends} b")
    chosen = [word for group_id in made for word in ("--group", group_id)]
    log, report = tmp_path / "log", tmp_path / "report.json"
    shared_aws.control("DELETE", "calls")
    options = ("--force", "--json", "--report", str(report))
    with running(environment, "reapply", *chosen, *options, log=log) as waiting:
        wait_until(lambda: count_calls(shared_aws, "dynamodb.BatchGetItem") >= 4, "the second look")
        assert terminate(waiting, number) == ends
        assert waiting.stdout
        document = json.loads(waiting.stdout.read())
    assert document["interruptedBy"] == number.name
    assert {row["status"] for row in document["sourceServers"]} == {"pending"}
    assert json.loads(report.read_text()) == document
    told = log.read_text()
    assert "2 runs go on. Watch with:" in told
    for group_id in made:
        assert f"prelaunch status {group_id} " in told
        status, printed, _ = command("status", group_id, "--json")
        assert (status, json.loads(printed)["pendingServers"]) == (0, 2)
        (latest, first) = json.loads(command("history", group_id, "--json")[1])["applyRuns"]
        assert (latest["status"], first["supersededBy"]) == ("pending", 2)
    delete_groups(command, list(made))


def test_a_signal_while_the_end_is_told_costs_nothing(
    command: Command, shared_aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C twice and SIGTERM while the report is written: it is, the runs are told, and the status is the work's."""
    made = make_groups(command, shared_aws, tmp_path, "told whole")
    (group_id,) = made
    report = tmp_path / "report.csv"
    write = Report.write

    def write_under_fire(self: Report, document: Mapping[str, Any]) -> None:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        write(self, document)

    monkeypatch.setattr(Report, "write", write_under_fire)
    status, printed, _ = command("reapply", "--group", group_id, "--force", "--no-wait", "--report", str(report))
    assert (status, printed.split("\t")[2]) == (0, "pending")
    assert [row["sourceServerId"] for row in read_csv(report)] == sorted(made[group_id])
    delete_groups(command, [group_id])


def test_an_end_before_anything_is_asked_leaves_the_old_report(
    environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Headings alone are worth less than what was there; it is said that nothing was written."""
    report, log = tmp_path / "report.csv", tmp_path / "log"
    report.write_text("of yesterday")
    shared_aws.control("PUT", "faults", [{"service": "dynamodb", "operation": "Query", "kind": "hang"}])
    shared_aws.control("DELETE", "calls")
    with running(environment, "reapply", "--all", "--report", str(report), log=log) as choosing:
        wait_until(lambda: count_calls(shared_aws, "dynamodb.Query") >= 1, "the first read of the groups")
        status = terminate(choosing, signal.SIGINT)
        assert choosing.stdout
        printed = choosing.stdout.read()
    shared_aws.control("PUT", "faults", [])
    assert (status, printed) == (INTERRUPTED, "")
    assert report.read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "report.csv"]
    told = log.read_text()
    assert "Ended by SIGINT. Nothing was applied." in told
    assert "no report is written" in told


def test_what_ends_otherwise_meanwhile_fails_alone(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """A group that is deleted and one that a newer run takes over are failures with their reason; others go on."""
    made = make_groups(command, shared_aws, tmp_path, "is deleted", "is superseded", "goes on")
    deleted, superseded, going = made
    chosen = [word for group_id in made for word in ("--group", group_id)]
    log = tmp_path / "log"
    shared_aws.control("DELETE", "calls")
    with running(environment, "reapply", *chosen, "--json", log=log) as waiting:
        wait_until(lambda: count_calls(shared_aws, "dynamodb.BatchGetItem") >= 2, "the first look")
        assert command("group", "delete", deleted, "--yes")[0] == 0
        assert command("reapply", "--group", superseded, "--force", "--no-wait")[0] == 0
        with running(environment, "worker", "--threads", "8", log=tmp_path / "worker.log") as worker:
            assert waiting.stdout
            document = json.loads(waiting.stdout.read())
            assert terminate(worker) == 0
        assert waiting.wait() == FAILED
    assert log.read_text().count("failed: GROUP_NOT_FOUND: ") == 1
    found = {group["groupId"]: (group["status"], group["code"]) for group in document["groups"]}
    assert found == {
        deleted: ("failed", "GROUP_NOT_FOUND"),
        superseded: ("failed", "SUPERSEDED"),
        going: ("ready", None),
    }
    reasons = {row["sourceServerId"]: row for row in document["sourceServers"]}
    assert "was deleted before" in reasons[made[deleted][0]]["message"]
    assert "Generation 2 took the place" in reasons[made[superseded][0]]["message"]
    assert reasons[made[superseded][0]]["whatToDo"].endswith(f"prelaunch status {superseded} --wait")
    delete_groups(command, [superseded, going])


def test_an_account_whose_role_fails_fails_alone(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Its source servers say so, and what to do in which account; a group of another account is ready."""
    account = "400000000001"
    role = {"roleName": "recovery", "externalId": "a-secret"}
    shared_aws.control("PUT", f"accounts/{account}", {"roles": [role]})
    servers = shared_aws.control("POST", "servers", {"count": 2, "accountId": account})["sourceServerIds"]
    body: dict[str, Any] = {
        "groupName": "elsewhere",
        "region": "us-east-1",
        "accountId": account,
        "assumeRoleName": "recovery",
        "externalId": "a-secret",
        "sourceServerIds": servers,
        "launchConfig": REAL_CONFIG,
    }
    file = tmp_path / "elsewhere.json"
    file.write_text(json.dumps(body))
    assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
    made = make_groups(command, shared_aws, tmp_path, "here")
    shared_aws.control("PUT", f"accounts/{account}", {"roles": [{**role, "externalId": "changed"}]})
    chosen = ("--group", "elsewhere", "--group", "here", "--json")
    status, printed, errors = command("reapply", *chosen, "--dry-run")
    planned = {group["groupName"]: group for group in json.loads(printed)["groups"]}
    assert (status, planned["elsewhere"]["code"], planned["here"]["code"]) == (FAILED, "ACCESS_DENIED", None)
    with running(environment, "worker", "--threads", "8", log=tmp_path / "worker.log") as worker:
        status, printed, errors = command("reapply", *chosen)
        assert terminate(worker) == 0
    rows = {row["sourceServerId"]: row for row in json.loads(printed)["sourceServers"]}
    assert status == FAILED
    assert {rows[server]["code"] for server in servers} == {"AccessDenied"}
    assert all(account in rows[server]["whatToDo"] for server in servers)
    assert {rows[server]["status"] for server in itertools.chain(*made.values())} == {"ready"}
    assert "a-secret" not in printed + errors
    delete_groups(command, ["elsewhere", *made])


def test_a_stack_that_is_not_there_is_told(command: Command) -> None:
    """Status 3 and one line."""
    command.set("PRELAUNCH_STACK", "elsewhere")
    status, printed, errors = command("reapply", "--all")
    assert (status, printed, errors.count("\n")) == (NOT_REACHABLE, "", 1)
