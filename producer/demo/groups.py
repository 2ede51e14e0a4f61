"""The demo's groups: waiting until they have settled, and applying again what failed."""

import time
from collections.abc import Mapping

from producer.demo.stage import Stage
from producer.local_stack.groups import read_status
from producer.local_stack.processes import LocalStackFailed
from producer.local_stack.scenario import SERVERS_A_GROUP

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 180


def await_settled(stage: Stage, group_ids: Mapping[str, str]) -> None:
    """
    Wait until no group is pending, and show how it goes.

    Parameters:
        stage: The running parts.
        group_ids: The groups, by what each is called.

    Raises:
        LocalStackFailed: It took too long, or cannot go on.
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
    raise LocalStackFailed(f"The groups did not settle within {PATIENCE_SECONDS} s.")


def reapply_failed(stage: Stage, group_ids: Mapping[str, str]) -> int:
    """Apply what failed again, now that its cause is gone; answer how many source servers were touched."""
    stage.reset_counts()
    for group_id in group_ids.values():
        stage.call("POST", f"/protection-groups/{group_id}/apply-launch-configs", {"onlyFailed": True})
    await_settled(stage, group_ids)
    observed = stage.read_calls().get("drs.GetLaunchConfiguration", {"count": 0})
    return int(observed["count"])
