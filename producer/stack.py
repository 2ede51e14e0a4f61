"""Is the stack there? A name that nothing is deployed under is told as that, and not as the first thing that lacks."""

import asyncio

from workers.core.contract import Queue
from workers.core.errors import SetupError
from workers.core.queue.errors import QueueMissing
from workers.core.queue.send import JobSender
from workers.core.store.refusals import TableMissing
from workers.core.store.tables import Tables
from workers.core.store.writes import KEYS


async def find_queues(stack: str, tables: Tables, queue: JobSender) -> None:
    """
    Look up every queue that is sent to, and where all are missing the tables too.

    Parameters:
        stack: The prefix of both.
        tables: The stack's tables.
        queue: Sends to its queues, and remembers where they are.

    Raises:
        SetupError: Nothing of the stack is there; it names what was looked for.
        QueueMissing: Only queues are; names them all.
        PrelaunchError: SQS or DynamoDB does not answer.
    """
    found = await asyncio.gather(*(queue.find_queue(name) for name in Queue), return_exceptions=True)
    missing: list[str] = []
    for each in found:
        if isinstance(each, QueueMissing):
            missing += each.names
        elif isinstance(each, BaseException):
            raise each
    if not missing:
        return
    lacking = await _find_missing_tables(tables) if len(missing) == len(Queue) else []
    if len(lacking) < len(KEYS):
        raise QueueMissing(missing)
    raise SetupError(
        f"Stack {stack!r} is not in this account and Region: its tables and queues are missing"
        f" ({', '.join([*lacking, *missing])}). Deploy it (`prelaunch local` on a laptop), or set PRELAUNCH_STACK, the"
        " Region and the account to where it is deployed.",
        code="STACK_MISSING",
    )


async def _find_missing_tables(tables: Tables) -> list[str]:
    missing: list[str] = []
    for table in KEYS:
        try:
            await tables.look_for(table)
        except TableMissing as error:
            missing += error.names
    return missing
