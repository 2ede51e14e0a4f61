"""`prelaunch import` over a real stack: what another account's role asks for, and what could not be read there."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from producer.strict_yaml import parse_yaml
from tests.acceptance.commands import make_environment, run_on_terminal
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import FAILED, WRONG_USE, command, environment, shared_aws
from workers.core.fleet.file import parse_fleet

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_fleet")
SECRET = "the-external-id:of/ours"
ROLE = {"roleName": "recovery", "externalId": SECRET}


def read_live(account_id: str) -> tuple[str, ...]:
    return "import", "--live", "--from", f"{account_id}/us-east-1", "--role", "recovery"


def make_servers_of(aws: StandIn, account_id: str, count: int) -> list[str]:
    aws.control("PUT", f"accounts/{account_id}", {"initialised": True, "roles": [ROLE]})
    body = {"count": count, "accountId": account_id}
    servers: list[str] = aws.control("POST", "servers", body)["sourceServerIds"]
    return sorted(servers)


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_an_external_id_comes_by_a_file_or_a_pipe(
    command: Command, shared_aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role opens by it, also where the file ends with a line's end; it stands in no answer."""
    servers, live = make_servers_of(shared_aws, "555566667777", 2), read_live("555566667777")
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    status, printed, errors = command(*live, "--external-id-file", str(secret), "--json")
    assert (status, json.loads(printed)["groups"][0]["sourceServerIds"]) == (0, servers), errors
    assert SECRET not in printed + errors
    give(monkeypatch, SECRET)
    assert command(*live, "--external-id-file", "-", "--json")[:2] == (0, printed)
    secret.write_text("another")
    assert command(*live, "--external-id-file", str(secret))[0] == FAILED


def test_an_external_id_that_is_typed_is_not_shown(
    environment: dict[str, str], shared_aws: StandIn, tmp_path: Path
) -> None:
    """On a terminal - asks for it, and nobody reads it there."""
    servers = make_servers_of(shared_aws, "555566668888", 1)
    file = tmp_path / "fleet.yaml"
    asking = (*read_live("555566668888"), "--external-id-file", "-", "-o", str(file))
    told = run_on_terminal(environment, *asking, typed=f"{SECRET}\n", after="External id")
    assert told.returncode == 0, told.stdout
    assert servers[0] in file.read_text()
    assert SECRET not in told.stdout


def test_an_external_id_never_stands_on_the_command_line(command: Command, tmp_path: Path) -> None:
    """Everybody on the machine reads that in the process list. What is refused is not repeated."""
    live = read_live("555566667777")
    for given in (["--external-id", SECRET], [f"--external-id={SECRET}"]):
        status, _, errors = command(*live, *given)
        assert status == WRONG_USE
        assert "--external-id-file" in errors
        assert SECRET not in errors
    wrong = tmp_path / "secret"
    for text in (f"{SECRET} {SECRET}", "", f"{SECRET}ü"):
        wrong.write_text(text)
        status, _, errors = command(*live, "--external-id-file", str(wrong))
        assert (status, "holds no external id" in errors) == (WRONG_USE, True)
        assert SECRET not in errors
    status, _, errors = command(*live, "--external-id-file", str(tmp_path / "none"))
    assert (status, "cannot be read" in errors) == (WRONG_USE, True)
    assert command("import", "--live", "--external-id-file", str(wrong))[0] == WRONG_USE
    assert command("import", "a.csv", "--from", "us-east-1", "--external-id-file", str(wrong))[0] == WRONG_USE


def test_an_account_that_refuses_keeps_no_other_from_being_read(
    command: Command, shared_aws: StandIn, tmp_path: Path
) -> None:
    """It is told, in the file too, and the exit status says so; where none answers no file takes another's place."""
    servers = make_servers_of(shared_aws, "555566669999", 2)
    make_servers_of(shared_aws, "666655554444", 1)
    shared_aws.control("PUT", "accounts/666655554444", {"initialised": False})
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    opening = ("--role", "recovery", "--external-id-file", str(secret))
    refusing = [f"--from={account}/us-east-1" for account in ("666655554444", "777766665555")]
    file = tmp_path / "fleet.yaml"
    status, printed, errors = command(
        "import", "--live", *refusing, "--from", "555566669999/us-east-1", *opening, "-o", str(file)
    )
    assert (status, printed) == (FAILED, "")
    assert errors.splitlines()[-1] == "prelaunch: Groups: 1; source servers: 2."
    told = [line for line in errors.splitlines() if "is in no group: " in line]
    assert "account 666655554444, us-east-1: DRS is not initialised" in told[0]
    assert "account 777766665555, us-east-1: The role recovery cannot be assumed in account 777766665555" in told[1]
    written: Any = parse_yaml(file.read_bytes()).to_json()
    assert [f"prelaunch: Could not be read, and is in no group: {each}" for each in written["notRead"]] == told
    (group,) = parse_fleet(written).require()
    assert list(group.source_server_ids) == servers
    before = file.read_text()
    assert SECRET not in before + errors
    status, printed, errors = command("import", "--live", *refusing, *opening, "-o", str(file), "--json")
    assert (status, json.loads(printed)["code"]) == (FAILED, "ACCOUNT_NOT_INITIALIZED")
    assert "666655554444" in errors
    assert "777766665555" in errors
    assert file.read_text() == before


def test_a_group_that_cannot_be_checked_is_written_and_told(command: Command, aws: StandIn) -> None:
    """What could be read is in the file all the same; whether it could be applied is not known, and told."""
    command.enter(make_environment(aws.environment))
    servers = aws.control("POST", "servers", {"count": 1})["sourceServerIds"]
    denied = {"service": "ec2", "operation": "DescribeSecurityGroups", "code": "UnauthorizedOperation"}
    aws.control("PUT", "faults", [denied])
    status, printed, errors = command("import", "--live", "--json")
    (group,) = json.loads(printed)["groups"]
    assert (status, group["sourceServerIds"]) == (FAILED, servers)
    told = (
        "Whether it could be applied is not known: group 'us-east-1': ec2.DescribeSecurityGroups was refused in account"
    )
    assert told in errors
