"""Runs, records and statuses for laws about combining them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from workers.core.model.group import GroupDefinition, Target
from workers.core.model.launch_config import LaunchConfig
from workers.core.requests import Requester
from workers.core.runs.opening import plan_run
from workers.core.settings import Settings
from workers.core.status import Status
from workers.core.store.records import Counts, GroupHead, GroupStatus, ServerError, ServerItem
from workers.core.store.runs import Run

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUESTER = Requester("alice", "http", "requested")
PERIODS = Settings().run_periods
MEMBERS = tuple(f"s-{number:017d}" for number in range(30))


def run_over(members: tuple[str, ...], listed: frozenset[str], generation: int = 3) -> Run:
    """Plan a run of a group with these members."""
    definition = GroupDefinition(
        "web", "", Target("us-east-1"), members, LaunchConfig({"monitoring": True}), {}, auto_repair=False
    )
    head = GroupHead("pg-1", "web", "us-east-1", "111122223333", 1, OPENED_AT, OPENED_AT)
    return plan_run(
        head, definition, generation=generation, listed=listed, requester=REQUESTER, now=OPENED_AT, periods=PERIODS
    )


def status_of(run: Run, status: Status = Status.PENDING) -> GroupStatus:
    """Make the status of a group whose current run this is."""
    head = run.head
    return GroupStatus(status, head.generation, head.run_id, OPENED_AT, "alice", Counts(0, 0, 0), run.digest)


@st.composite
def recorded_runs(draw: st.DrawFn) -> tuple[Run, dict[str, ServerItem]]:
    """Make a run and whatever may be recorded of its members: nothing, older, current, of other configs."""
    members = MEMBERS[: draw(st.integers(1, 30))]
    run = run_over(members, frozenset(draw(st.sets(st.sampled_from(members)))))
    known = draw(st.sets(st.sampled_from([*members, "s-formermember00000"])))
    return run, {member: draw(_items(run, member)) for member in sorted(known)}


@st.composite
def _items(draw: st.DrawFn, run: Run, member: str) -> ServerItem:
    at = OPENED_AT + timedelta(seconds=draw(st.integers(-9999, 9999)))
    failed = draw(st.booleans())
    config_hash = run.config_hashes.get(member, "sha256:former")
    item = ServerItem(
        source_server_id=member,
        status=Status.FAILED if failed else Status.READY,
        generation=draw(st.sampled_from([1, 2, 3])),
        config_hash=draw(st.sampled_from([config_hash, "sha256:other"])),
        last_applied=at,
        attempts=1,
        verified_at=None if failed else at,
    )
    error = ServerError(member, "ValidationException", "no", at, 1)
    return replace(item, errors=(error,)) if failed else item
