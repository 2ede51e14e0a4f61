"""What a person reads who starts a command where it cannot run: one line, the documented status, no traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_environment, run

NOT_REACHABLE = 3
REMOVED = "removed"
NOT_THERE: dict[str, tuple[dict[str, str], str]] = {
    "no endpoint": ({"AWS_ENDPOINT_URL": "closed"}, "AWS_ENDPOINT_URL"),
    "nonsense for an endpoint": ({"AWS_ENDPOINT_URL": "nonsense"}, "nonsense"),
    "no credentials": ({"AWS_ACCESS_KEY_ID": REMOVED, "AWS_SECRET_ACCESS_KEY": REMOVED}, "credentials"),
    "no Region": ({"AWS_REGION": REMOVED, "AWS_DEFAULT_REGION": REMOVED}, "AWS_DEFAULT_REGION"),
    "unknown profile": ({"AWS_PROFILE": "nobody"}, "nobody"),
    "another stack": ({"PRELAUNCH_STACK": "elsewhere"}, "its tables and queues are missing (elsewhere-"),
}


@pytest.fixture
def closed_url() -> Iterator[str]:
    """An address that nobody listens on, and nobody else takes meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def assert_one_line(errors: str, told: str) -> None:
    assert errors.count("\n") == 1, errors
    assert errors.startswith("prelaunch: ")
    assert told in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("command", "case"),
    [
        *(("api --port 0", case) for case in NOT_THERE),
        *(("group list", case) for case in NOT_THERE),
        *(("worker", case) for case in ("no endpoint", "another stack")),
    ],
)
def test_what_is_not_there_is_named_in_one_line(idle_aws: StandIn, closed_url: str, command: str, case: str) -> None:
    """Without endpoint, credentials, Region, profile or stack: status 3, and the line names what to look at."""
    changes, told = NOT_THERE[case]
    changed = {name: closed_url if value == "closed" else value for name, value in changes.items()}
    environment = make_environment(idle_aws.environment, changed)
    environment = {name: value for name, value in environment.items() if value != REMOVED}
    ran = run(environment, *command.split())
    assert ran.returncode == NOT_REACHABLE
    assert ran.stdout == ""
    assert_one_line(ran.stderr, told)


def test_a_single_missing_queue_or_table_is_found_before_the_start(aws: StandIn) -> None:
    """A stack that is not whole is refused: a missing dead-letter queue would stop a worker unseen."""
    environment = make_environment(aws.environment)
    sqs = connect(aws, "sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="prelaunch-jobs-bulk-dlq")["QueueUrl"])
    ran = run(environment, "worker")
    assert ran.returncode == NOT_REACHABLE
    assert_one_line(ran.stderr, "prelaunch-jobs-bulk-dlq")
    connect(aws, "dynamodb").delete_table(TableName="prelaunch-keys")
    ran = run(environment, "api", "--port", "0")
    assert ran.returncode == NOT_REACHABLE
    assert_one_line(ran.stderr, "Table prelaunch-keys is missing")
    assert "PRELAUNCH_STACK" in ran.stderr


@pytest.mark.parametrize("command", ["local", "api", "serve"])
def test_a_taken_port_is_named(idle_aws: StandIn, command: str) -> None:
    """The port that somebody listens on is named, with the option that chooses another."""
    port = idle_aws.url.rpartition(":")[2]
    ran = run(make_environment(idle_aws.environment), command, "--port", port)
    assert ran.returncode == NOT_REACHABLE
    assert ran.stdout == ""
    assert_one_line(ran.stderr, f"Port {port} on 127.0.0.1 is taken; choose another one with --port.")


@pytest.mark.parametrize(
    ("command", "missing"), [("local", "moto"), ("demo", "moto"), ("demo", "httpx"), ("serve", "moto")]
)
def test_a_missing_dependency_names_what_brings_it(tmp_path: Path, command: str, missing: str) -> None:
    """Without the local extra the line says what is missing and how it is installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {missing!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    arguments = ["demo", "--json"] if command == "demo" else [command, "--port", "0"]
    ran = run(make_environment({"PYTHONPATH": str(tmp_path)}), *arguments)
    assert ran.returncode == NOT_REACHABLE
    assert ran.stdout == ""
    assert_one_line(ran.stderr, missing)
    assert "prelaunch[local]" in ran.stderr


def test_help_lists_what_exists_and_nothing_else() -> None:
    """`--help` names the commands that work, each with a whole sentence."""
    ran = run(make_environment(), "--help")
    assert ran.returncode == 0
    assert ran.stderr == ""
    commands = ran.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands] == [
        "reapply",
        "status",
        "plan",
        "history",
        "rollback",
        "doctor",
        "export",
        "diff",
        "apply",
        "schema",
        "import",
        "local",
        "api",
        "worker",
        "demo",
        "serve",
        "group",
        "wave",
        "dlq",
    ]
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)
