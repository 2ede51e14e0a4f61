"""Who of a group is not started with the others, and why: each source server by its own state. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from workers.core.runs.settle import find_verified
from workers.core.status import Status
from workers.core.store.records import GroupStatus, ServerItem
from workers.core.store.runs import Run
from workers.core.store.wave_records import LeftOut, WavePart
from workers.core.wave_plan import NOT_READY, explain


def find_unready(
    members: Sequence[str], run: Run, servers: Mapping[str, ServerItem], status: GroupStatus, oldest: datetime
) -> dict[str, LeftOut]:
    """
    Find the members that may not be started as they are recorded.

    Parameters:
        members: Those that the wave was accepted with.
        run: That of the group's generation, settled or under way.
        servers: What is recorded of each source server.
        status: The group's, at the run's generation.
        oldest: Before that a verification was too long ago.

    Returns:
        Each that is not ready at this generation, or not verified since then, with the reason.
    """
    statuses = run.read_statuses(dict(servers))
    found: dict[str, LeftOut] = {}
    for member in members:
        state, item = statuses.get(member), servers.get(member)
        if state is None:
            found[member] = LeftOut(member, NOT_READY, f"{member} is no member of the group any more.")
        elif state is Status.PENDING:
            told = (
                f"{member} is pending: generation {status.generation} of {run.group_id} was not applied to it yet when"
                " the others were looked at. Start it by another wave when the group is ready."
            )
            found[member] = LeftOut(member, NOT_READY, told)
        elif state is not Status.READY:
            found[member] = LeftOut(member, NOT_READY, f"{member} is {state.value}{explain(state, item)}")
        elif not _is_fresh(item, status, oldest):
            told = f"{member} was verified too long ago. Apply the group with force."
            found[member] = LeftOut(member, NOT_READY, told)
    return found


def narrow(part: WavePart, left_out: Mapping[str, LeftOut]) -> WavePart:
    """
    Take out of a part who is not to be started.

    Parameters:
        part: The part, not started.
        left_out: Who is not, with the reason.

    Returns:
        The part; refused where nobody is left in it.
    """
    gone = tuple(left_out[member] for member in part.source_server_ids if member in left_out)
    if not gone:
        return part
    members = tuple(member for member in part.source_server_ids if member not in left_out)
    snapshots = {each: at for each, at in (part.snapshots or {}).items() if each in members}
    narrowed = replace(part, source_server_ids=members, left_out=gone, snapshots=snapshots or None)
    if members:
        return narrowed
    return replace(narrowed, error_code=NOT_READY, error_message="None of its source servers is ready.")


def _is_fresh(item: ServerItem | None, status: GroupStatus, oldest: datetime) -> bool:
    verified_at = find_verified(item, status) if item is not None else None
    return verified_at is not None and verified_at >= oldest
