"""Real workers on real jobs: how many at once, and what remains of them when they are told to stop or are killed."""

import json
import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import (
    connect,
    count_calls,
    find_processes_with,
    kill_group,
    make_environment,
    make_group_body,
    running,
    running_api,
    terminate,
    wait_until,
)

SERVERS = 60
REQUEST_ID = "change-4711/recovery"
"""The caller's own, which is to be found in the workers' lines."""
SECRET = "wJalrXUtnFEMI-not-to-be-seen"


def read_template_versions(aws: StandIn) -> dict[str, tuple[int, int]]:
    """Answer of every launch template its default and its latest version."""
    pages = connect(aws, "ec2").get_paginator("describe_launch_templates").paginate()
    return {
        template["LaunchTemplateId"]: (template["DefaultVersionNumber"], template["LatestVersionNumber"])
        for page in pages
        for template in page["LaunchTemplates"]
    }


def count_messages(aws: StandIn, queue: str) -> tuple[int, int]:
    """Answer how many messages of a queue can be received, and how many are hidden."""
    sqs = connect(aws, "sqs")
    url = sqs.get_queue_url(QueueName=f"prelaunch-{queue}")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(counts[names[0]]), int(counts[names[1]])


class Group:
    """A group whose source servers all need a write in DRS and in EC2."""

    def __init__(self, aws: StandIn, api: httpx.Client, servers: int) -> None:
        self.aws = aws
        self.api = api
        self.body = make_group_body(aws, servers)
        self.versions_before = read_template_versions(aws)
        answer = api.post("/protection-groups", json=self.body, headers={"X-Request-Id": REQUEST_ID})
        assert answer.status_code == 201, answer.text
        self.group_id = answer.json()["groupId"]

    def read_status(self) -> Mapping[str, Any]:
        answer = self.api.get(f"/protection-groups/{self.group_id}/launch-config-status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_until_settled(self) -> None:
        wait_until(lambda: self.read_status()["status"] != "pending", "the group's end")

    def assert_ready_with_one_version_each(self) -> None:
        """Nothing lost, nothing written twice, and what was written is what recovery launches from."""
        status = self.read_status()
        assert (status["status"], status["appliedServers"], status["errors"]) == ("ready", len(self.members), [])
        promoted = {template: (latest + 1, latest + 1) for template, (_, latest) in self.versions_before.items()}
        assert read_template_versions(self.aws) == promoted
        assert count_messages(self.aws, "jobs-dlq") == (0, 0)

    @property
    def members(self) -> list[str]:
        return list(self.body["sourceServerIds"])


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_account_takes_half_of_a_workers_slots(aws: StandIn, tmp_path: Path) -> None:
    """Of 80 jobs of one account a process of 64 slots has 32 under way; who waits in vain is handed back."""
    environment = make_environment(aws.environment)
    # Nobody is answered: what arrives is what runs at once.
    aws.control("PUT", "faults", [{"service": "drs", "operation": "GetLaunchConfiguration", "kind": "hang"}])
    with running_api(environment, tmp_path / "api.log") as api:
        Group(aws, api, 80)
        log = tmp_path / "worker.log"
        with running(environment, "worker", log=log):
            wait_until(lambda: count_calls(aws, "drs.GetLaunchConfiguration") >= 32, "the 32nd call")
            wait_until(lambda: "OUT_OF_TURNS" in log.read_text(), "a job that is handed back")
            assert count_calls(aws, "drs.GetLaunchConfiguration") == 32


def test_a_worker_told_to_stop_hands_back_and_another_finishes(aws: StandIn, tmp_path: Path) -> None:
    """SIGTERM in the middle: what runs ends, the rest is back at once, exit 0; another worker completes the group."""
    environment = make_environment(aws.environment, {"AWS_SECRET_ACCESS_KEY": SECRET})
    aws.control("PUT", "latency", {"seconds": 0.2})
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    with running_api(environment, tmp_path / "api.log") as api:
        group = Group(aws, api, SERVERS)
        # What its death would leave hidden would stay so for ten minutes, longer than anybody waits here.
        patient = {**environment, "PRELAUNCH_TIME_SCALE": "10"}
        with running(patient, "worker", "--threads", "16", log=first) as worker:
            wait_until(lambda: count_calls(aws, "ec2.CreateLaunchTemplateVersion") > 0, "the first version")
            assert terminate(worker) == 0
        status = group.read_status()
        assert status["status"] == "pending"
        settled = status["appliedServers"]
        assert 0 < settled < SERVERS
        assert sum(count_messages(aws, "jobs")) == SERVERS - settled
        wait_until(lambda: count_messages(aws, "jobs") == (SERVERS - settled, 0), "what was handed back")
        with running(environment, "worker", log=second):
            group.wait_until_settled()
            wait_until(lambda: count_messages(aws, "jobs") == (0, 0), "the last acknowledgement")
        group.assert_ready_with_one_version_each()
        assert count_calls(aws, "ec2.CreateLaunchTemplateVersion") == SERVERS
        assert_one_canonical_line_a_message(read_log(first) + read_log(second), group)
        assert_every_change_stands_beside_its_request(read_log(first) + read_log(second))
    assert SECRET not in first.read_text() + second.read_text()


def assert_one_canonical_line_a_message(lines: list[dict[str, Any]], group: Group) -> None:
    """Every job is told once, with what an engineer searches for."""
    done = [line for line in lines if line["event"] == "job.done"]
    assert Counter(line["source_server_id"] for line in done) == Counter(group.members)
    run_id = group.read_status()["runId"]
    for line in done:
        bound = {"group_id": group.group_id, "run_id": run_id, "attempt": 1, "result": "ready", "level": "info"}
        bound["request_id"] = REQUEST_ID
        assert line.items() >= bound.items()
        assert {"actor", "seconds", "timestamp"} <= line.keys()
    assert not [line for line in lines if line["level"] in {"error", "critical"}]


def assert_every_change_stands_beside_its_request(lines: list[dict[str, Any]]) -> None:
    """What changed anything in AWS: for which request of whose, and the id that CloudTrail has of the call."""
    changed = [line for line in lines if line["event"] == "aws.changed"]
    operations = ("drs:UpdateLaunchConfiguration", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate")
    assert Counter(line["operation"] for line in changed) == dict.fromkeys(operations, SERVERS)
    assert {line["request_id"] for line in changed} == {REQUEST_ID}
    assert len({line["aws_request_id"] for line in changed}) == len(operations) * SERVERS
    assert {"source_server_id", "group_id", "account_id", "region"} <= changed[0].keys()


def test_a_killed_workers_servers_are_taken_over(aws: StandIn, tmp_path: Path) -> None:
    """SIGKILL in the middle of the writes: when lease and visibility have ended another worker completes the group.

    Every period is a tenth, so that both end within 6 s.
    """
    environment = make_environment(aws.environment, {"PRELAUNCH_TIME_SCALE": "0.1"})
    aws.control("PUT", "latency", {"seconds": 0.2})
    with running_api(environment, tmp_path / "api.log") as api:
        group = Group(aws, api, SERVERS)
        with running(environment, "worker", log=tmp_path / "first.log") as worker:
            wait_until(lambda: count_calls(aws, "ec2.ModifyLaunchTemplate") >= 20, "a third of the promotions")
            kill_group(worker)
            assert worker.returncode == -signal.SIGKILL
        assert group.read_status()["pendingServers"] > 0
        with running(environment, "worker", log=tmp_path / "second.log"):
            group.wait_until_settled()
        group.assert_ready_with_one_version_each()
    assert [line for line in read_log(tmp_path / "second.log") if line.get("attempt") == 2]


@pytest.mark.parametrize(
    ("number", "setting", "threads"),
    [(signal.SIGTERM, {"PRELAUNCH_RATE_FACTOR": "4"}, 240), (signal.SIGINT, {"PRELAUNCH_THREADS": "8"}, 8)],
)
def test_a_signal_to_its_whole_group_ends_a_worker_in_order(
    aws: StandIn, tmp_path: Path, number: signal.Signals, setting: dict[str, str], threads: int
) -> None:
    """Service managers signal every process of a group, and a terminal does: the worker ends all the same, with 0.

    It says how many slots it has: what is set, else what the quotas take.
    """
    with running(make_environment(aws.environment, setting), "worker", log=tmp_path / "log") as worker:
        wait_until(lambda: "worker.consuming" in (tmp_path / "log").read_text(), "the line that says that it is up")
        (starts,) = (line for line in read_log(tmp_path / "log") if line["event"] == "worker.starts")
        assert (starts["processes"], starts["threads"]) == (1, threads)
        wait_until(lambda: count_calls(aws, "sqs.ReceiveMessage") > 0, "the first poll")
        os.killpg(worker.pid, number)
        assert worker.wait(60) == 0


def test_a_worker_whose_parent_is_killed_leaves_no_orphan(aws: StandIn, tmp_path: Path) -> None:
    """SIGKILL of the process that was started ends those it forked: none goes on beside the one that replaces it."""
    mark = f"TEST_MARK={tmp_path}"
    environment = {**make_environment(aws.environment), "TEST_MARK": str(tmp_path)}
    with running(environment, "worker", log=tmp_path / "log") as worker:
        wait_until(lambda: count_calls(aws, "sqs.ReceiveMessage") > 0, "the first poll")
        assert len(find_processes_with(mark)) > 1
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        wait_until(lambda: not find_processes_with(mark), "the forked processes' end")
