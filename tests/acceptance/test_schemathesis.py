"""The running HTTP door answers what its OpenAPI document declares, whatever is sent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_environment, make_group_body, running_api
from tests.fakes.user_pool import AUDIENCE, UserPool, user_pool
from tests.measuring import unmeasured
from workers.core.contract import APPLY_ACTOR
from workers.core.queue.job import encode_job

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
PATIENCE_SECONDS = 300


def prepare(aws: StandIn, api: httpx.Client, pool: UserPool) -> dict[str, str]:
    """Make what random requests can ask for; answer the names by which the hooks know it."""
    api.headers["Authorization"] = f"Bearer {pool.sign(pool.claims('admin'))}"

    def create(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = api.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    group = create("/protection-groups", {**make_group_body(aws, 2), "groupName": "configured"})
    unconfigured = create("/protection-groups", {**make_group_body(aws, 2), "launchConfig": {}})
    wave = create("/waves", {"groupIds": [unconfigured["groupId"]]})
    put_letters(aws, group["groupId"], group["sourceServerIds"])
    free = aws.control("POST", "servers", {"count": 2000})["sourceServerIds"]
    return {
        "PREPARED_SERVERS": ",".join(free),
        "PREPARED_GROUPID": group["groupId"],
        "PREPARED_RUNID": group["launchConfigStatus"]["runId"],
        "PREPARED_UNCONFIGURED": unconfigured["groupId"],
        "PREPARED_WAVEID": wave["waveId"],
    }


def put_letters(aws: StandIn, group_id: str, members: list[str]) -> None:
    """Put dead letters there: of a group's jobs, and one that cannot be redriven."""
    sqs = connect(aws, "sqs")
    url = sqs.get_queue_url(QueueName="prelaunch-jobs-dlq")["QueueUrl"]
    jobs = [encode_job(APPLY_ACTOR, "jobs", {"groupId": group_id, "sourceServerId": member}) for member in members]
    for body in (*jobs, "?"):
        sqs.send_message(QueueUrl=url, MessageBody=body)


def read_answers(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == "request.answered"]


@pytest.mark.usefixtures("_in_root")
def test_what_is_declared_is_what_is_answered(aws: StandIn, tmp_path: Path) -> None:
    """Schemathesis, all checks on, finds nothing; what it is told to expect stands in schemathesis.toml."""
    log = tmp_path / "api.log"
    with user_pool() as pool:
        access = {"PRELAUNCH_AUTH_ISSUER": pool.issuer, "PRELAUNCH_AUTH_AUDIENCE": AUDIENCE}
        # Each look for dead letters would else wait a second in SQS.
        periods = {"PRELAUNCH_TIME_SCALE": "0.1"}
        with running_api(make_environment(aws.environment, access, periods), log) as api:
            named = prepare(aws, api, pool)
            prepared = len(read_answers(log))
            paths = api.get("/openapi.json").json()["paths"]
            ran = subprocess.run(
                [SCHEMATHESIS, "run", f"{api.base_url}/openapi.json"],
                env={
                    **unmeasured(make_environment()),
                    **named,
                    "USER_POOL_TOKEN": api.headers["Authorization"].split()[1],
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
    assert ran.returncode == 0, ran.stdout
    declared = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    answered = read_answers(log)[prepared:]
    # What was only ever refused was not tried.
    assert {f"{line['method']} {line['route']}" for line in answered if line["status"] < 300} >= declared


@pytest.fixture
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration and hooks are found from there."""
    monkeypatch.chdir(ROOT)
