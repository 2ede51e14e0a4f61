"""Three launch templates are edited from outside; the watch finds them, names what was changed, and it is put back."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from producer.demo.groups import PATIENCE_SECONDS, POLL_SECONDS, reapply_failed
from producer.demo.outside import EDITS, ask_for_a_watch, count_restored, edit_templates
from producer.demo.result import Drift, Found
from producer.demo.stage import Stage
from producer.local_stack.groups import read_status
from producer.local_stack.processes import LocalStackFailed
from producer.local_stack.scenario import EDITED_MEMBERS
from workers.core.settings import Settings


def play_drift(stage: Stage, group_ids: Mapping[str, str], members: Sequence[Sequence[str]]) -> Drift:
    """
    Edit, find, name, put back.

    Parameters:
        stage: The running parts.
        group_ids: The groups, by what each is called; all of them have just become ready.
        members: The source servers of each group.

    Returns:
        What came of it.

    Raises:
        LocalStackFailed: Not all that was edited was found in time.
    """
    settled_at = time.monotonic()
    edited = [members[group][position] for group, position in EDITED_MEMBERS]
    edits = edit_templates(stage.aws.environment, edited)
    stage.screen.say(f"{len(edits)} launch templates were edited from outside, past prelaunch.")
    # So soon after our own writes EC2 may still answer what was there before them: the watch would look at nothing.
    time.sleep(max(0.0, settled_at + Settings().settle_time.total_seconds() - time.monotonic()))
    stage.reset_counts()
    begun = time.monotonic()
    ask_for_a_watch(stage.aws.environment)
    _await_failures(stage, group_ids, len(EDITS))
    found_seconds = time.monotonic() - begun
    watch_calls = stage.read_calls()
    found = [each for name, group_id in group_ids.items() for each in _read_found(stage, name, group_id)]
    stage.screen.show_found(found, found_seconds, watch_calls)
    begun = time.monotonic()
    repaired = reapply_failed(stage, group_ids)
    repair_seconds, repair_calls = time.monotonic() - begun, stage.read_calls()
    restored = count_restored(stage.aws.environment, edits)
    return Drift(
        tuple(edit.source_server_id for edit in edits),
        tuple(found),
        found_seconds,
        repaired,
        repair_seconds,
        restored,
        watch_calls,
        repair_calls,
    )


def _await_failures(stage: Stage, group_ids: Mapping[str, str], count: int) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    failed = 0
    while time.monotonic() < give_up_at:
        statuses = [read_status(stage, group_id) for group_id in group_ids.values()]
        failed = sum(status["failedServers"] for status in statuses)
        if failed >= count and all(status["status"] != "pending" for status in statuses):
            return
        time.sleep(POLL_SECONDS)
    raise LocalStackFailed(f"The watch found {failed} of {count} edited launch templates within {PATIENCE_SECONDS} s.")


def _read_found(stage: Stage, name: str, group_id: str) -> list[Found]:
    """Read from the history what the group's newest run found."""
    runs: Any = stage.call("GET", f"/protection-groups/{group_id}/apply-runs?limit=1")["applyRuns"]
    run = stage.call("GET", f"/protection-groups/{group_id}/apply-runs/{runs[0]['runId']}")
    return [
        Found(name, change["sourceServerId"], field["field"], field["observed"], field["desired"])
        for change in run["changes"]
        for field in change["fields"]
    ]
