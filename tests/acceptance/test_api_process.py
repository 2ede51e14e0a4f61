"""`prelaunch api`: where it listens, what it says of itself, and how it ends."""

import json
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import (
    connect,
    make_environment,
    make_group_body,
    read_line,
    running,
    running_api,
    terminate,
)
from tests.fakes.user_pool import AUDIENCE, user_pool


def find_listeners(port: int) -> set[str]:
    """Answer the addresses, in hexadecimal, on which this machine listens at a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_on_this_machine_only_and_ends_in_order(
    idle_aws: StandIn, tmp_path: Path, number: signal.Signals
) -> None:
    """One line says where; requests are answered from then on; on loopback alone; a signal ends it with 0.

    The log says that no token is asked for, and has one line a request.
    """
    with running(make_environment(idle_aws.environment), "api", "--port", "0", log=tmp_path / "log") as process:
        line = read_line(process)
        assert line.startswith("prelaunch listens on http://127.0.0.1:")
        url = line.split()[-1]
        port = int(url.rpartition(":")[2])
        loopback = f"{socket.htonl(0x7F000001):08X}"
        assert find_listeners(port) == {loopback}
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/healthz").json() == {"status": "alive"}
            assert client.get("/readyz").json() == {"status": "ready"}
        assert terminate(process, number) == 0
        assert process.stdout
        assert process.stdout.read() == ""
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in told] == ["access.open", "request.answered", "request.answered"]
    assert told[0]["host"] == "127.0.0.1"


def test_where_a_user_pool_is_configured_its_tokens_say_who_may_what(idle_aws: StandIn, tmp_path: Path) -> None:
    """Also from other machines, which then may connect; neither who asks nor what was asked is told with a token."""
    log, group = tmp_path / "log", "/protection-groups/pg-none"
    with user_pool() as pool:
        tokens = {role: pool.sign(pool.claims(role)) for role in ("reader", "admin", "others")}
        access = {"PRELAUNCH_AUTH_ISSUER": pool.issuer, "PRELAUNCH_AUTH_AUDIENCE": AUDIENCE}
        opened = {"PRELAUNCH_API_HOST": "0.0.0.0", "PRELAUNCH_METRICS_OPEN": "true"}
        environment = make_environment(idle_aws.environment, access, opened)
        with running_api(environment, log) as api:
            assert find_listeners(api.base_url.port or 0) == {"00000000"}
            assert [api.get(group).status_code, api.delete(group).status_code] == [401, 401]
            # A scraper has no token; what it is told is all that stands open.
            assert "process_resident_memory_bytes" in api.get("/metrics").raise_for_status().text
            for role, read, deleted in (("others", 403, 403), ("reader", 404, 403), ("admin", 404, 404)):
                api.headers["Authorization"] = f"Bearer {tokens[role]}"
                assert (api.get(group).status_code, api.delete(group).status_code) == (read, deleted), role
    told = log.read_text()
    events = [json.loads(line)["event"] for line in told.splitlines()]
    assert (events.count("access.refused"), "access.open" in events) == (5, False)
    assert not [token for token in tokens.values() if token in told]


def test_a_caller_that_waits_at_sigterm_gets_its_answer(aws: StandIn, tmp_path: Path) -> None:
    """A request that is under way when the door is told to stop is answered in full; new ones are refused."""
    with running(make_environment(aws.environment), "api", "--port", "0", log=tmp_path / "log") as process:
        url = read_line(process).split()[-1]
        body = make_group_body(aws, 1)
        answers: list[httpx.Response] = []

        def wait_for_the_group() -> None:
            answers.append(httpx.post(f"{url}/protection-groups?wait=3", json=body, timeout=30, trust_env=False))

        waiting = threading.Thread(target=wait_for_the_group)
        waiting.start()
        sqs = connect(aws, "sqs")
        queue_url = sqs.get_queue_url(QueueName="prelaunch-jobs")["QueueUrl"]
        # The job is sent: the request is past everything but its wait.
        assert sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20)["Messages"]
        assert terminate(process) == 0
        waiting.join()
    (answer,) = answers
    assert answer.status_code == 201
    assert answer.json()["launchConfigStatus"]["status"] == "pending"


def test_ready_is_false_without_its_tables_and_alive_stays_true(aws: StandIn, tmp_path: Path) -> None:
    """Any one table that vanishes under it: /readyz is a 503 with Retry-After, /healthz still answers.

    Strangers may ask, so the answer names nothing; the log does.
    """
    with running(make_environment(aws.environment), "api", "--port", "0", log=tmp_path / "log") as process:
        url = read_line(process).split()[-1]
        connect(aws, "dynamodb").delete_table(TableName="prelaunch-waves")
        with httpx.Client(base_url=url, trust_env=False) as client:
            ready = client.get("/readyz")
            assert ready.status_code == 503
            assert ready.headers["content-type"] == "application/problem+json"
            assert int(ready.headers["retry-after"]) > 0
            assert ready.json()["code"] == "SERVICE_UNAVAILABLE"
            assert ready.json()["detail"] == "The stack's tables do not answer; the log says why."
            assert "prelaunch-" not in ready.text
            assert client.get("/healthz").status_code == 200
        assert terminate(process) == 0
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (lacking,) = [line for line in told if line["event"] == "readiness.lacking"]
    assert lacking["code"] == "TABLE_MISSING"
    assert "Table prelaunch-waves is missing" in lacking["reason"]
    assert "Traceback" not in (tmp_path / "log").read_text()
