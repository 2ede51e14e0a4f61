"""
The demo's course: apply two groups ahead, correct the one that failed, start a wave, then the same serially.

Every figure is read from the stand-in's own counts or from a clock around real calls. What comes out otherwise
than it should is said, and the exit status is 1.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx

from infra.local.process import StandIn, stand_in
from producer.demo.processes import prelaunch_process, read_url
from producer.demo.report import Screen
from producer.demo.result import Calls, Result
from producer.demo.scenario import (
    GROUP_NAMES,
    REFUSAL,
    REFUSED_MEMBER,
    REGION,
    SERVERS_A_GROUP,
    Network,
    draw_group,
)
from producer.demo.serial import recover_serially
from workers.core.errors import ServiceUnavailable
from workers.core.model.group import GroupDefinition, parse_group

LATENCY_SECONDS = 0.1
POLL_SECONDS = 0.25
PATIENCE_SECONDS = 180
WAIT_SECONDS = 25


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo plays on."""

    aws: StandIn
    api: httpx.Client
    screen: Screen

    def reset_counts(self) -> None:
        """Begin to count calls anew."""
        self.aws.control("DELETE", "calls")

    def read_calls(self) -> Calls:
        """Answer the calls of DRS and EC2 since the counts were reset."""
        counted = self.aws.control("GET", "calls")
        return {name: counts for name, counts in counted.items() if name.startswith(("drs.", "ec2."))}


def run_demo(*, as_json: bool) -> int:
    """
    Run the demo.

    Parameters:
        as_json: Print one JSON object and nothing else.

    Returns:
        The exit status: 1 where something came out otherwise than it should.
    """
    # A terminated demo leaves no process behind: the blocks below are left in order.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with ExitStack() as closing:
        screen = closing.enter_context(Screen.open(quiet=as_json))
        stage = closing.enter_context(_open_stage(screen))
        result = _play(stage)
    screen.show(result)
    if as_json:
        print(result.to_json())  # noqa: T201  # the one object that was asked for
    for problem in result.find_problems():
        screen.complain(problem)
    return 1 if result.find_problems() else 0


@contextmanager
def _open_stage(screen: Screen) -> Iterator[Stage]:
    with ExitStack() as closing:
        screen.say("Starting a stand-in for AWS, the API and a worker, each a process of its own …")
        aws = closing.enter_context(stand_in(latency_seconds=LATENCY_SECONDS, rates="real"))
        environment = {**_inherited(), **aws.environment}
        closing.enter_context(prelaunch_process(environment, "worker"))
        api_process = closing.enter_context(prelaunch_process(environment, "api", "--port", "0"))
        api = closing.enter_context(httpx.Client(base_url=read_url(api_process), timeout=60))
        _await_api(api)
        yield Stage(aws, api, screen)


def _inherited() -> Mapping[str, str]:
    """Answer our own environment without what could point the demo at a real account."""
    names = (name for name in os.environ if not name.startswith(("AWS_", "PRELAUNCH_")))  # noqa: TID251
    return {name: os.environ[name] for name in names}  # noqa: TID251


def _await_api(api: httpx.Client) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        try:
            api.get("/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise ServiceUnavailable("The demo's API does not answer.")


def _play(stage: Stage) -> Result:
    network = _find_network(stage.aws)
    ahead, serial = (_draw_groups(stage.aws, network) for _ in ("ahead", "serial"))
    refused = ahead[0]["sourceServerIds"][REFUSED_MEMBER]
    fault = {
        "service": "drs",
        "operation": "UpdateLaunchConfiguration",
        "code": REFUSAL,
        "sourceServerId": refused,
    }
    stage.aws.control("PUT", "faults", [fault])
    stage.reset_counts()
    begun = time.monotonic()
    group_ids = [_call(stage.api, "POST", "/protection-groups", body)["groupId"] for body in ahead]
    _await_settled(stage, group_ids)
    ready_seconds = time.monotonic() - begun
    apply_calls = stage.read_calls()
    failure = _find_failure(stage.api, group_ids)
    stage.screen.show_failure(failure)

    stage.aws.control("PUT", "faults", [])
    reapplied = _correct(stage, group_ids[0])
    stage.screen.show_correction(reapplied)

    wave_seconds, wave_path, wave_calls = _start_wave(stage, group_ids)
    serial_seconds, serial_calls = _recover_serially(stage, [parse_group(body) for body in serial])
    return Result(
        groups=[_summarise(stage.api, group_id) for group_id in group_ids],
        failure=failure,
        reapplied_servers=reapplied,
        ready_seconds=ready_seconds,
        wave_path=wave_path,
        wave_seconds=wave_seconds,
        serial_seconds=serial_seconds,
        calls={"apply": apply_calls, "wave": wave_calls, "serial": serial_calls},
    )


def _find_network(aws: StandIn) -> Network:
    ec2 = boto3.client(
        "ec2",
        endpoint_url=aws.url,
        region_name=REGION,
        aws_access_key_id=aws.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws.environment["AWS_SECRET_ACCESS_KEY"],
    )
    subnet = min(ec2.describe_subnets()["Subnets"], key=lambda found: str(found["SubnetId"]))
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    return Network(subnet["SubnetId"], subnet["CidrBlock"], groups["SecurityGroups"][0]["GroupId"])


def _draw_groups(aws: StandIn, network: Network) -> list[dict[str, Any]]:
    return [
        draw_group(
            name,
            aws.control("POST", "servers", {"count": SERVERS_A_GROUP, "region": REGION})["sourceServerIds"],
            network,
        )
        for name in GROUP_NAMES
    ]


def _call(api: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    answer = api.request(method, path, json=body)
    if answer.is_error:
        raise ServiceUnavailable(f"The demo's API answered {answer.status_code} to {method} {path}: {answer.text}")
    return answer.json()


def _read_status(api: httpx.Client, group_id: str, query: str = "limit=1") -> Any:
    return _call(api, "GET", f"/protection-groups/{group_id}/launch-config-status?{query}")


def _await_settled(stage: Stage, group_ids: list[str]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    with stage.screen.progress(GROUP_NAMES, SERVERS_A_GROUP) as show:
        while time.monotonic() < give_up_at:
            statuses = [_read_status(stage.api, group_id) for group_id in group_ids]
            for name, status in zip(GROUP_NAMES, statuses, strict=True):
                show(name, SERVERS_A_GROUP - status["pendingServers"])
            if all(status["status"] != "pending" for status in statuses):
                return
            time.sleep(POLL_SECONDS)
    raise ServiceUnavailable(f"The groups did not settle within {PATIENCE_SECONDS} s.")


def _find_failure(api: httpx.Client, group_ids: list[str]) -> Mapping[str, Any]:
    errors = [error for group_id in group_ids for error in _read_status(api, group_id)["errors"]]
    return errors[0] if len(errors) == 1 else {"sourceServerId": None, "code": None, "message": f"{len(errors)} errors"}


def _correct(stage: Stage, group_id: str) -> int:
    """Re-apply what failed, now that its cause is gone; answer how many source servers were touched."""
    stage.reset_counts()
    path = f"/protection-groups/{group_id}/apply-launch-configs?wait={WAIT_SECONDS}"
    _call(stage.api, "POST", path, {"onlyFailed": True})
    observed = stage.read_calls().get("drs.GetLaunchConfiguration", {"count": 0})
    return observed["count"]


def _start_wave(stage: Stage, group_ids: list[str]) -> tuple[float, str, Calls]:
    stage.reset_counts()
    begun_at = datetime.now(UTC)
    wave = _call(stage.api, "POST", f"/waves?wait={WAIT_SECONDS}", {"groupIds": group_ids})
    if wave["startedAt"] is None:
        raise ServiceUnavailable(f"The demo's wave is {wave['status']}: {wave['errors']}")
    seconds = (datetime.fromisoformat(wave["startedAt"]) - begun_at).total_seconds()
    paths = {group["path"] for group in wave["groups"]}
    return seconds, "/".join(sorted(paths)), stage.read_calls()


def _recover_serially(stage: Stage, groups: list[GroupDefinition]) -> tuple[float, Calls]:
    stage.reset_counts()
    total = len(GROUP_NAMES) * SERVERS_A_GROUP
    with stage.screen.progress(["the serial way"], total) as show:
        done = iter(range(1, total + 1))
        seconds = recover_serially(stage.aws.environment, groups, lambda: show("the serial way", next(done)))
    return seconds, stage.read_calls()


def _summarise(api: httpx.Client, group_id: str) -> dict[str, Any]:
    status = _read_status(api, group_id)
    ready, failed = status["appliedServers"], status["failedServers"]
    total = ready + failed + status["pendingServers"]
    return {"groupId": group_id, "status": status["status"], "total": total, "ready": ready, "failed": failed}
