"""What every door calls: submit, ask, start a wave. Wired once by `main`, over clients of one event loop."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from workers.core.clock import read_clock
from workers.core.drift_checks import DriftChecks
from workers.core.errors import RetryableError
from workers.core.figures import StackFigures
from workers.core.fleet.fleet import Fleet
from workers.core.fleet.live import LiveImport
from workers.core.history import History
from workers.core.letters.dead_letters import DeadLetters
from workers.core.preview import Preview
from workers.core.progress import Progress
from workers.core.queries import Queries
from workers.core.queue.request_source import RequestSource
from workers.core.runs.change import Changes
from workers.core.runs.completion import Completion
from workers.core.runs.removal import Removal
from workers.core.runs.rollback import Rollback
from workers.core.runs.submission import Submission
from workers.core.store.records import UNLISTED_SHOWN, Unlisted
from workers.core.store.tables import Tables
from workers.core.validation.validation import Validation
from workers.core.waves import Waves

MAX_WAIT = timedelta(seconds=25)
"""The longest that a door waits for a run: API Gateway gives up at 29 s."""
GROUP_POLL_SECONDS = 0.5
WAVE_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Services:
    """The operations of every door."""

    submission: Submission
    completion: Completion
    changes: Changes
    removal: Removal
    rollback: Rollback
    queries: Queries
    progress: Progress
    history: History
    preview: Preview
    waves: Waves
    dead_letters: DeadLetters
    drift_checks: DriftChecks
    figures: StackFigures
    fleet: Fleet
    live_import: LiveImport
    requests: RequestSource
    """What came by the queue of plain JSON; only a process that consumes it asks."""
    validation: Validation
    tables: Tables
    regions: frozenset[str]
    """Where a group can be."""
    caller_arn: str
    """Whose credentials this process calls AWS with: at the command line, who asks."""

    async def wait_for_group(self, group_id: str, limit: timedelta) -> bool:
        """Wait until no run of the group is under way; tell whether that came within the limit."""
        return await _poll(lambda: self.queries.is_settled(group_id), limit, GROUP_POLL_SECONDS)

    async def find_unlisted(self, group_id: str) -> Unlisted | None:
        """Ask the account now who matches a group's tags and is no member; None where there is nobody, or no tag."""
        view = await self.queries.group(group_id)
        found = await self.validation.find_unlisted(view.definition)
        if not found:
            return None
        return Unlisted(len(found), tuple(found[:UNLISTED_SHOWN]), view.head.version, read_clock())

    async def wait_for_wave(self, wave_id: str, limit: timedelta) -> bool:
        """Wait until the wave's start has ended; tell whether that came within the limit."""

        async def has_started() -> bool:
            return (await self.waves.get(wave_id)).wave.status.is_begun

        return await _poll(has_started, limit, WAVE_POLL_SECONDS)


def new_request_id() -> str:
    """Make the id of a request to which its caller gave none."""
    return f"req-{uuid.uuid4().hex}"


async def _poll(is_done: Callable[[], Awaitable[bool]], limit: timedelta, every_seconds: float) -> bool:
    """Ask again and again; the limit running out changes nothing for anybody."""
    if limit <= timedelta(0):
        return False
    try:
        async with asyncio.timeout(limit.total_seconds()):
            while not await is_done():  # noqa: ASYNC110  # another process settles it
                await asyncio.sleep(every_seconds)
    except (TimeoutError, RetryableError):
        # What was accepted stays accepted, also when nobody can be asked just now.
        return False
    return True
