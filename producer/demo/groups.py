"""The demo's groups, asked at the API's door: where they stand, what failed, and applying that again."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from producer.demo.processes import DemoFailed
from producer.demo.scenario import SERVERS_A_GROUP
from producer.demo.stage import Stage

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 180


def read_status(stage: Stage, group_id: str) -> Any:
    """Read a group's status, with one of its source servers."""
    return stage.call("GET", f"/protection-groups/{group_id}/launch-config-status?limit=1")


def await_settled(stage: Stage, group_ids: Mapping[str, str]) -> None:
    """
    Wait until no group is pending, and show how it goes.

    Parameters:
        stage: The running parts.
        group_ids: The groups, by what each is called.

    Raises:
        DemoFailed: It took too long, or cannot go on.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    with stage.screen.progress([*group_ids], SERVERS_A_GROUP) as show:
        while time.monotonic() < give_up_at:
            statuses = {name: read_status(stage, group_id) for name, group_id in group_ids.items()}
            for name, status in statuses.items():
                show(name, SERVERS_A_GROUP - status["pendingServers"])
            if all(status["status"] != "pending" for status in statuses.values()):
                return
            time.sleep(POLL_SECONDS)
    raise DemoFailed(f"The groups did not settle within {PATIENCE_SECONDS} s.")


def find_failure(stage: Stage, group_ids: Sequence[str]) -> Mapping[str, Any]:
    """Find the one source server that failed; one of none or of several names nobody."""
    errors = [error for group_id in group_ids for error in read_status(stage, group_id)["errors"]]
    return errors[0] if len(errors) == 1 else {"sourceServerId": None, "code": None, "message": f"{len(errors)} errors"}


def reapply_failed(stage: Stage, group_ids: Mapping[str, str]) -> int:
    """Apply what failed again, now that its cause is gone; answer how many source servers were touched."""
    stage.reset_counts()
    for group_id in group_ids.values():
        stage.call("POST", f"/protection-groups/{group_id}/apply-launch-configs", {"onlyFailed": True})
    await_settled(stage, group_ids)
    observed = stage.read_calls().get("drs.GetLaunchConfiguration", {"count": 0})
    return int(observed["count"])


def summarise(stage: Stage, group_id: str) -> dict[str, Any]:
    """Sum a group up: its status, and how many source servers are ready and have failed."""
    status = read_status(stage, group_id)
    ready, failed = status["appliedServers"], status["failedServers"]
    total = ready + failed + status["pendingServers"]
    return {"groupId": group_id, "status": status["status"], "total": total, "ready": ready, "failed": failed}
