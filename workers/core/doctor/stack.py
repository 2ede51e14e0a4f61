"""
Are the stack's tables and queues as infra/template.yaml wants them? Pure.

What the template wants stands in the store's and the contract's own words; a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from workers.core.contract import DEAD_LETTER_QUEUES, REQUESTS
from workers.core.doctor.finding import Finding, ok, problem
from workers.core.doctor.ports import QueueSeen, TableSeen, TimeToLive
from workers.core.queue.names import name_dead_letter_queue, name_queue
from workers.core.store.writes import INDEXES, KEYS, TableName

BILLING = "PAY_PER_REQUEST"
VISIBILITY = timedelta(seconds=60)
MAX_RECEIVES = 1000
EXPIRING: Mapping[TableName, str] = {"groups": "expiresAt", "runs": "expiresAt", "keys": "expiresAt"}
"""By which attribute the items of a table go; nothing of the others ever does."""
DEPLOY = "Deploy the stack again from infra/template.yaml."
ELSEWHERE = (
    "Deploy the stack (`prelaunch local` on a laptop), or set PRELAUNCH_STACK, the Region and the account to where it"
    " is deployed."
)


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue and its dead-letter queue."""

    name: str
    seen: QueueSeen | None
    letters: QueueSeen | None


def list_queues(stack: str) -> list[tuple[str, str]]:
    """List the names of the stack's queues, each with its dead-letter queue's."""
    return [(name_queue(stack, queue), name_dead_letter_queue(stack, queue)) for queue in DEAD_LETTER_QUEUES]


def list_indexes(table: TableName) -> dict[str, tuple[str, str | None]]:
    """List a table's indexes with their keys."""
    return {index: (index, sort_key) for index, (owner, sort_key) in INDEXES.items() if owner == table}


def check_table(table: TableName, name: str, seen: TableSeen | None) -> Finding:
    """
    Compare a table with what the template wants.

    Parameters:
        table: Which of ours.
        name: Its full name.
        seen: As it is; None where there is none.

    Returns:
        The finding; all that is wrong in one.
    """
    if seen is None:
        return problem("table", name, "it is not there", ELSEWHERE)
    wanted = list_indexes(table)
    wrong = [f"it is {seen.status}"] if seen.status != "ACTIVE" else []
    wrong += [f"its billing is {seen.billing}, not {BILLING}"] if seen.billing != BILLING else []
    wrong += [f"its key is {_say_key(seen.key)}, not {_say_key(KEYS[table])}"] if seen.key != KEYS[table] else []
    wrong += [f"its index {index} is missing" for index in wanted if index not in seen.indexes]
    wrong += [
        f"the key of its index {index} is {_say_key(seen.indexes[index])}, not {_say_key(key)}"
        for index, key in wanted.items()
        if seen.indexes.get(index, key) != key
    ]
    if wrong:
        return problem("table", name, ", ".join(wrong), DEPLOY)
    indexes = f", with its indexes {', '.join(wanted)}" if wanted else ""
    return ok("table", name, f"{seen.status}, {seen.billing}{indexes}")


def check_time_to_live(table: TableName, name: str, seen: TimeToLive | None) -> Finding | None:
    """
    Compare what a table's items go by with what the template wants.

    Parameters:
        table: Which of ours.
        name: Its full name.
        seen: As it is.

    Returns:
        The finding; None where there is no such table, which `check_table` tells.
    """
    if seen is None:
        return None
    wanted, found = EXPIRING.get(table), seen.attribute if seen.is_on else None
    if found == wanted:
        return ok("TTL", name, f"items go by {wanted}" if wanted else "none, as it has to be")
    if found is None:
        return problem("TTL", name, "it is off: what is over stays, and the table grows for ever", DEPLOY)
    lost = f", not by {wanted}" if wanted else ": they must not go"
    return problem("TTL", name, f"DynamoDB deletes its items by {found}{lost}", DEPLOY)


def check_queue(state: QueueState, dead_letter_queue: str) -> Finding:
    """
    Compare a queue with what the template wants.

    Parameters:
        state: As it is.
        dead_letter_queue: The name of the one that it must have.

    Returns:
        The finding; all that is wrong in one.
    """
    seen = state.seen
    if seen is None:
        return problem("queue", state.name, "it is not there", ELSEWHERE)
    wrong = [] if state.letters else [f"its dead-letter queue {dead_letter_queue} is not there"]
    if seen.visibility != VISIBILITY:
        wrong.append(f"its visibility is {_say(seen.visibility)}, not {_say(VISIBILITY)}")
    if seen.dead_letter_queue is None:
        wrong.append("it has no redrive policy")
    elif (seen.dead_letter_queue, seen.max_receives) != (dead_letter_queue, MAX_RECEIVES):
        wrong.append(
            f"its redrive policy is {seen.max_receives} receives to {seen.dead_letter_queue}, not {MAX_RECEIVES} to"
            f" {dead_letter_queue}"
        )
    if wrong:
        return problem("queue", state.name, ", ".join(wrong), DEPLOY)
    counts = f"{seen.waiting} waiting, {seen.in_flight} in flight, {seen.delayed} delayed"
    return ok("queue", state.name, f"{counts}; redriven after {MAX_RECEIVES} receives")


def check_letters(state: QueueState, dead_letter_queue: str) -> Finding | None:
    """Look for dead letters; None where there is no such queue, which `check_queue` tells."""
    if state.letters is None:
        return None
    count = state.letters.waiting + state.letters.in_flight + state.letters.delayed
    if not count:
        return ok("dead letters", dead_letter_queue, "none")
    redriven = " `prelaunch dlq purge`" if state.name.endswith(f"-{REQUESTS}") else " `prelaunch dlq redrive --all`"
    return problem(
        "dead letters",
        dead_letter_queue,
        f"about {count} that nobody could do",
        f"See why with `prelaunch dlq list`; when the cause is gone:{redriven}.",
    )


def _say_key(key: tuple[str, str | None]) -> str:
    return " and ".join(filter(None, key))


def _say(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s"
