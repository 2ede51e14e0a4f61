"""`prelaunch export`, `diff`, `apply` and `schema` over a real stack: what they do, what they say, how they end."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from producer.strict_yaml import dump_yaml, parse_yaml
from tests.acceptance.commands import (
    count_calls,
    make_environment,
    run,
    run_on_terminal,
    running,
    terminate,
    wait_until,
)
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import FAILED, WRONG_USE, command, environment, shared_aws
from tests.unit.test_fleet_csv import ROW as CSV_ROW
from tests.unit.test_fleet_csv import write as write_csv
from workers.core.fleet.file import parse_fleet
from workers.core.model.group import Target

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_fleet")
CONFIG = {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "NONE", "tags": {"Owner": "1e3"}}
REFUSED_READ = {"service": "drs", "operation": "GetLaunchConfiguration", "code": "ResourceNotFoundException"}
SENDS = ("sqs.SendMessage", "sqs.SendMessageBatch")


def make_servers(aws: StandIn, count: int) -> list[str]:
    servers: list[str] = aws.control("POST", "servers", {"count": count})["sourceServerIds"]
    return servers


def make_group(name: str, members: Sequence[str], **more: Any) -> dict[str, Any]:
    return {
        "groupName": name,
        "region": "us-east-1",
        "sourceServerIds": list(members),
        "launchConfig": CONFIG,
    } | more


def write(file: Path, *groups: dict[str, Any]) -> str:
    file.write_text(dump_yaml({"groups": list(groups)}))
    return str(file)


def count_sends(aws: StandIn) -> int:
    return sum(count_calls(aws, name) for name in SENDS)


def read_members(command: Command, group: str) -> list[str]:
    status, printed, _ = command("group", "get", group, "--json")
    members: list[str] = json.loads(printed)["sourceServerIds"] if status == 0 else []
    return sorted(members)


def test_the_whole_way_of_a_fleet(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Diff, apply, and again: the second time nothing differs, nothing is written and nothing sent; so after export."""
    a, b, c, d = make_servers(shared_aws, 4)
    override = {"sourceServerId": c, "launchConfig": {"copyTags": True}}
    file = write(
        tmp_path / "fleet.yaml", make_group("way web", [a, b]), make_group("way db", [c, d], servers=[override])
    )
    status, printed, errors = command("diff", "-f", file)
    first, *rows = printed.splitlines()
    assert (status, errors, first) == (FAILED, "", "2 to create, 0 groups as in the file.")
    assert "way web\tcreate\tlaunchConfig.tags.Owner\t-\t1e3" in rows
    assert f"way db\tcreate\tservers.{c}.launchConfig.copyTags\t-\ttrue" in rows
    assert f"way db\tjoins\t{d}\t-\tmember" in rows
    with running(environment, "worker", "--threads", "4", log=tmp_path / "worker.log") as worker:
        applied = run(environment, "apply", "-f", file, "--wait", "--json")
        assert (applied.returncode, applied.stderr) == (0, "")
        groups = json.loads(applied.stdout)["groups"]
        assert [(each["groupName"], each["change"], each["version"]) for each in groups] == [
            ("way db", "create", 1),
            ("way web", "create", 1),
        ]
        assert [each["launchConfigStatus"]["status"] for each in groups] == ["ready", "ready"]
        assert terminate(worker) == 0

    sent = count_sends(shared_aws)
    written = count_calls(shared_aws, "dynamodb.TransactWriteItems")
    status, printed, errors = command("apply", "-f", file, "--wait")
    assert (status, printed, errors) == (0, "Nothing to do: 2 groups as in the file.\n", "")
    status, printed, _ = command("diff", "-f", file, "--json")
    assert (status, json.loads(printed)["differs"]) == (0, False)
    exported = str(tmp_path / "exported.yaml")
    assert command("export", "way db", "way web", "-o", exported) == (0, "", "")
    _, printed, _ = command("export", "way web", "way db")
    assert printed == Path(exported).read_text()
    assert command("diff", "-f", exported)[0] == 0
    assert command("apply", "-f", exported)[0] == 0
    assert (count_sends(shared_aws), count_calls(shared_aws, "dynamodb.TransactWriteItems")) == (sent, written)


def test_every_error_of_the_file_comes_at_once_with_its_line(
    command: Command, shared_aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong in itself and what no account can give; the first also where nobody can be asked."""
    a, b, c = make_servers(shared_aws, 3)
    file = tmp_path / "fleet.yaml"
    file.write_text(
        f"groups:\n- groupName: wrong 1\n  region: us-east-1\n  sourceServerIds: [{a}]\n"
        f"- groupName: wrong 2\n  region: us-east-1\n  sourceServerIds: [{b}]\n  launchConfig:\n    instanceType: 1e3\n"
        f"    imageId: ami-1\n- groupName: wrong 1\n  region: nowhere\n  sourceServerIds: [{c}]\n"
    )
    status, printed, errors = command("apply", "-f", str(file), "--json")
    problem = json.loads(printed)
    assert (status, problem["code"]) == (WRONG_USE, "INVALID_BODY")
    assert [(each["pointer"], each["line"]) for each in problem["errors"]] == [
        ("/groups/1/launchConfig/instanceType", 9),
        ("/groups/1/launchConfig/imageId", 10),
        ("/groups/2/region", 12),
        ("/groups/2/groupName", 11),
    ]
    assert str(file) in errors.splitlines()[0]
    assert "  line 9, /groups/1/launchConfig/instanceType: " in errors
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        status, printed, _ = command("diff", "-f", str(file), "--json")
    assert (status, json.loads(printed)["errors"]) == (WRONG_USE, problem["errors"])
    unknown = "s-" + "0" * 17
    subnet = {"subnetId": "subnet-" + "0" * 17}
    write(
        file,
        make_group("wrong 1", [a, b, unknown]),
        make_group("wrong 2", [c], launchConfig=CONFIG | subnet),
    )
    for again in (("apply",), ("diff",)):
        status, printed, errors = command(*again, "-f", str(file), "--json")
        problem = json.loads(printed)
        assert status == WRONG_USE
        assert [each["pointer"] for each in problem["errors"]] == [
            "/groups/0/sourceServerIds/2",
            "/groups/1/launchConfig/subnetId",
        ]
    assert command("group", "get", "wrong 1")[0] == FAILED
    file.write_text("groups: [\n")
    status, printed, errors = command("diff", "-f", str(file))
    assert (status, printed) == (WRONG_USE, "")
    assert "line 2, /: The file is no YAML" in errors


def test_source_servers_move_within_one_file(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """Also in a circle; one that a group outside of the file has is refused, and one that stands in two groups."""
    a, b, c, d = make_servers(shared_aws, 4)
    file = write(tmp_path / "fleet.yaml", make_group("moves 1", [a, b]), make_group("moves 2", [c, d]))
    assert command("apply", "-f", file)[0] == 0
    write(tmp_path / "fleet.yaml", make_group("moves 1", [c, b]), make_group("moves 2", [a, d]))
    status, printed, errors = command("apply", "-f", file)
    assert (status, errors, printed.splitlines()[-1]) == (0, "", "2 groups changed.")
    assert [read_members(command, group) for group in ("moves 1", "moves 2")] == [sorted([b, c]), sorted([a, d])]
    write(tmp_path / "fleet.yaml", make_group("moves 1", [b, a]))
    status, printed, _ = command("apply", "-f", file, "--json")
    problem = json.loads(printed)
    assert (status, problem["code"]) == (FAILED, "SERVER_CONFLICT")
    assert [each["pointer"] for each in problem["errors"]] == ["/groups/0/sourceServerIds/1"]
    write(tmp_path / "fleet.yaml", make_group("moves 1", [b, c]), make_group("moves 2", [a, c, d]))
    status, printed, _ = command("diff", "-f", file, "--json")
    assert [each["pointer"] for each in json.loads(printed)["errors"]] == ["/groups/1/sourceServerIds/1"]
    assert [read_members(command, group) for group in ("moves 1", "moves 2")] == [sorted([b, c]), sorted([a, d])]


def test_pruning_is_asked_for(environment: dict[str, str], command: Command, tmp_path: Path, aws: StandIn) -> None:
    """Only what is not in the file goes: after a yes on a terminal, with --yes in a pipe; its servers are free then."""
    command.enter({**environment, **aws.environment})
    on_it = {**environment, **aws.environment}
    a, b, c = make_servers(aws, 3)
    file = write(tmp_path / "fleet.yaml", make_group("kept", [a]), make_group("goes", [b]), make_group("too", [c]))
    assert command("apply", "-f", file)[0] == 0
    write(tmp_path / "fleet.yaml", make_group("kept", [a, b]))
    status, printed, _ = command("diff", "-f", file, "--prune")
    assert (status, printed.splitlines()[0]) == (FAILED, "1 to update, 2 to delete, 0 groups as in the file.")
    status, printed, errors = command("apply", "-f", file, "--prune")
    assert (status, printed) == (WRONG_USE, "")
    assert "--yes" in errors
    asked = run_on_terminal(on_it, "apply", "-f", file, "--prune", typed="n\n")
    assert asked.returncode == FAILED
    assert "goes (pg-" in asked.stdout
    assert read_members(command, "goes") == [b]
    status, printed, _ = command("apply", "-f", file, "--prune", "--yes")
    assert status == 0
    assert [line.split(" (")[0] for line in printed.splitlines()] == ["goes", "kept", "too", "3 groups changed."]
    assert [read_members(command, group) for group in ("kept", "goes", "too")] == [sorted([a, b]), [], []]
    assert command("apply", "-f", file, "--prune", "--yes")[1] == "Nothing to do: 1 group as in the file.\n"


def test_a_group_that_is_deleted_meanwhile_costs_no_other_its_answer(
    command: Command, environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """Every group of the file is told of, and one that is gone while it is waited for ends with 1."""
    a, b = make_servers(shared_aws, 2)
    file = write(tmp_path / "fleet.yaml", make_group("gone 1", [a]), make_group("gone 2", [b], launchConfig={}))
    log = tmp_path / "log"
    with running(environment, "apply", "-f", file, "--wait", "--json", log=log) as waiting:
        wait_until(lambda: command("group", "get", "gone 2")[0] == 0, "both groups")
        assert command("group", "delete", "gone 1", "--yes")[0] == 0
        assert waiting.stdout
        document = json.loads(waiting.stdout.read())
        assert waiting.wait() == FAILED
    assert [(each["groupName"], each["change"], each["error"]) for each in document["groups"]] == [
        ("gone 1", "create", None),
        ("gone 2", "create", None),
    ]
    statuses = [each["launchConfigStatus"] for each in document["groups"]]
    assert (statuses[0], statuses[1]["status"]) == (None, "not_configured")
    assert "prelaunch: gone 1: " in log.read_text()
    assert command("group", "delete", "gone 2", "--yes")[0] == 0


def test_the_schema_is_printed(command: Command) -> None:
    """As one document; the types that read a file are the types that describe it."""
    status, printed, _ = command("schema")
    assert (status, json.loads(printed)["required"]) == (0, ["groups"])


def test_what_aws_holds_becomes_a_fleet_with_nothing_to_do(command: Command, tmp_path: Path, aws: StandIn) -> None:
    """Import, apply, plan: no field to change; a second import has nobody left. What is left out is named."""
    command.enter(make_environment(aws.environment))
    members = make_servers(aws, 3)
    lost, *kept = sorted(members)
    aws.control("PUT", "faults", [{**REFUSED_READ, "sourceServerId": lost}])
    file = str(tmp_path / "live.yaml")
    status, printed, errors = command("import", "--live", "-o", file)
    assert (status, printed) == (FAILED, "")
    assert "is in no group: ResourceNotFoundException: " in errors
    assert "BlockDeviceMappings of the launch template is not managed by prelaunch" in errors
    assert errors.splitlines()[-1] == "prelaunch: Groups: 1; source servers: 2."
    aws.control("PUT", "faults", [])
    assert command("apply", "-f", file)[0] == 0
    status, printed, _ = command("plan", "us-east-1")
    assert (status, printed.splitlines()[0].partition(": ")[2]) == (0, "nothing to do.")
    assert read_members(command, "us-east-1") == kept
    status, printed, errors = command("import", "--live", "--from", "us-east-1", "--group-by-tag", "Name", "--json")
    (group,) = json.loads(printed)["groups"]
    assert (status, group["sourceServerIds"]) == (0, [lost])
    assert f"are left out. ({', '.join(kept)})" in errors


def test_a_csv_of_the_settings_tool_becomes_a_fleet(command: Command, tmp_path: Path) -> None:
    """Without any call of AWS; what is wrong in it is told with its lines, and where it is has to be said."""
    command.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    file = tmp_path / "DRS_Settings.csv"
    file.write_text(write_csv(CSV_ROW))
    status, printed, errors = command("import", str(file), "--from", "111122223333/eu-central-1", "--role", "dr")
    assert status == 0
    (group,) = parse_fleet(parse_yaml(printed.encode()).to_json()).require()
    assert (group.name, group.target) == ("DRS_Settings", Target("eu-central-1", "111122223333", "dr"))
    assert group.launch_config.values["instanceType"] == "m5.large"
    assert "The column Target AMI ID is not managed" in errors
    assert command("import", str(file))[0] == WRONG_USE
    assert command("import", str(file), "--live")[0] == WRONG_USE
    file.write_text(write_csv({**CSV_ROW, "BYOL": "maybe"}))
    status, printed, errors = command("import", str(file), "--from", "eu-central-1")
    assert (status, printed) == (WRONG_USE, "")
    assert "  line 2, /0/BYOL (s-" in errors
