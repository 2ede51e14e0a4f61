"""
The demo's course: apply ahead, correct, find and repair what somebody else changed, start a wave, then serially.

Every figure is read from the stand-in's own counts or from a clock around real calls. What comes out otherwise
than it should is said, and the exit status is 1.
"""

import time
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from producer.demo.drift import play_drift
from producer.demo.groups import PATIENCE_SECONDS, POLL_SECONDS, await_settled, reapply_failed
from producer.demo.report import Screen
from producer.demo.result import Calls, Result
from producer.demo.serial import recover_serially
from producer.demo.stage import Stage, open_stage
from producer.local_stack.groups import draw_groups, find_failure, find_network, refuse_one, summarise
from producer.local_stack.processes import LocalStackFailed, StopSignals
from producer.local_stack.scenario import GROUP_NAMES, SERVERS_A_GROUP
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import parse_group

WAVE_WAIT_SECONDS = 2
"""Short, so that a process that dies meanwhile is soon told."""


def run_demo(*, as_json: bool) -> int:
    """
    Run the demo.

    Parameters:
        as_json: Print one JSON object and nothing else.

    Returns:
        The exit status: 1 where it was stopped, or something came out otherwise than it should.
    """
    with Screen.open(quiet=as_json) as screen:
        try:
            with StopSignals.watch("The demo") as signals, open_stage(screen, signals) as stage:
                result = _play(stage)
        except LocalStackFailed as failed:
            screen.complain(str(failed))
            return 1
        except (OSError, BotoCoreError, ClientError) as error:
            screen.complain(f"The demo's stand-in for AWS does not answer: {error}")
            return 1
        screen.show(result)
        if as_json:
            print(result.to_json())  # noqa: T201  # the one object that was asked for
        for problem in result.find_problems():
            screen.complain(problem)
        return 1 if result.find_problems() else 0


def _play(stage: Stage) -> Result:
    network = find_network(stage.aws)
    sizes = [SERVERS_A_GROUP] * len(GROUP_NAMES)
    ahead, serial = (draw_groups(stage.aws, network, sizes) for _ in ("ahead", "serial"))
    refuse_one(stage.aws, ahead[0])
    stage.reset_counts()
    begun = time.monotonic()
    group_ids = [stage.call("POST", "/protection-groups", body)["groupId"] for body in ahead]
    groups = dict(zip(GROUP_NAMES, group_ids, strict=True))
    await_settled(stage, groups)
    ready_seconds = time.monotonic() - begun
    apply_calls = stage.read_calls()
    settled = [summarise(stage, group_id) for group_id in group_ids]
    stage.screen.show_settled(settled, ready_seconds, apply_calls)
    failure = find_failure(stage, group_ids)
    stage.screen.show_failure(failure)

    stage.aws.control("PUT", "faults", [])
    reapplied = reapply_failed(stage, {GROUP_NAMES[0]: group_ids[0]})
    stage.screen.show_correction(reapplied)

    drift = play_drift(stage, groups, [body["sourceServerIds"] for body in ahead])
    stage.screen.show_drift(drift)

    wave_seconds, wave_path, wave_calls = _start_wave(stage, group_ids)
    serial_seconds, serial_calls = _recover_serially(stage, [parse_group(body) for body in serial])
    return Result(
        groups=[summarise(stage, group_id) for group_id in group_ids],
        failure=failure,
        reapplied_servers=reapplied,
        drift=drift,
        ready_seconds=ready_seconds,
        wave_path=wave_path,
        wave_seconds=wave_seconds,
        serial_seconds=serial_seconds,
        calls={
            "apply": apply_calls,
            "watch": drift.watch_calls,
            "repair": drift.repair_calls,
            "wave": wave_calls,
            "serial": serial_calls,
        },
    )


def _start_wave(stage: Stage, group_ids: list[str]) -> tuple[float, str, Calls]:
    stage.reset_counts()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    begun_at = datetime.now(UTC)
    wave = stage.call("POST", f"/waves?wait={WAVE_WAIT_SECONDS}", {"groupIds": group_ids})
    while wave["status"] in {"starting", "applying", "waiting"} and time.monotonic() < give_up_at:
        time.sleep(POLL_SECONDS)
        wave = stage.call("GET", f"/waves/{wave['waveId']}")
    if wave["startedAt"] is None:
        raise LocalStackFailed(f"The demo's wave is {wave['status']}: {wave['errors']}")
    seconds = (datetime.fromisoformat(wave["startedAt"]) - begun_at).total_seconds()
    paths = {group["path"] for group in wave["groups"]}
    return seconds, "/".join(sorted(paths)), stage.read_calls()


def _recover_serially(stage: Stage, groups: list[GroupDefinition]) -> tuple[float, Calls]:
    stage.reset_counts()
    total = len(GROUP_NAMES) * SERVERS_A_GROUP
    with stage.screen.progress(["the serial way"], total) as show:
        done = iter(range(1, total + 1))

        def on_server() -> None:
            stage.check()
            show("the serial way", next(done))

        seconds = recover_serially(stage.aws.environment, groups, on_server)
    return seconds, stage.read_calls()
