"""
The seam between dramatiq's threads and our coroutines: message in, outcome out.

The only place that knows both an Outcome and how the queue is told of it. Nothing is decided here: a use case's
outcome is carried out, and an error that escapes one is either ours, and comes again, or a bug.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import dramatiq
import structlog

from workers.core.contract import APPLY_ACTOR, SWEEP_ACTOR, WATCH_ACTOR, WAVE_ACTOR, Queue, WatchWork, read_work
from workers.core.errors import PrelaunchError, RetryableError, SetupError
from workers.core.outcome import Outcome, Redeliver
from workers.core.queue import redelivery

log = structlog.get_logger()

COME_AGAIN = timedelta(seconds=15)
"""When a job comes again that our own tables or queues kept from an outcome."""


class UseCases(Protocol):
    """What the actors call; made on the worker's event loop when it boots."""

    async def apply(self, group_id: str, source_server_id: str) -> Outcome:
        """Apply a group's current launch config to one of its source servers."""

    async def start_wave(self, wave_id: str) -> Outcome:
        """Go on with a wave."""

    async def sweep(self) -> Outcome:
        """Look after every run that is due."""

    async def watch(self, work: WatchWork) -> Outcome:
        """Look for drift."""


def declare_actors(broker: dramatiq.Broker, use_cases: Callable[[], UseCases]) -> None:
    """
    Declare the actors on a broker.

    Parameters:
        broker: The broker whose queues are consumed.
        use_cases: Answers the use cases of the running worker.
    """

    # Messages only grow: during a rolling deploy an old worker receives what a new producer says more.
    async def apply_launch_config(
        groupId: str,  # noqa: N803
        sourceServerId: str,  # noqa: N803
        generation: int = 0,
        requestId: str = "",  # noqa: N803
        **_later: object,
    ) -> None:
        with structlog.contextvars.bound_contextvars(
            group_id=groupId, source_server_id=sourceServerId, hint=generation, request_id=requestId
        ):
            await carry_out(APPLY_ACTOR, lambda: use_cases().apply(groupId, sourceServerId))

    async def start_wave(waveId: str, requestId: str = "", **_later: object) -> None:  # noqa: N803
        with structlog.contextvars.bound_contextvars(wave_id=waveId, request_id=requestId):
            await carry_out(WAVE_ACTOR, lambda: use_cases().start_wave(waveId))

    async def sweep(**_later: object) -> None:
        await carry_out(SWEEP_ACTOR, lambda: use_cases().sweep())

    async def watch(**given: object) -> None:
        work = read_work(WATCH_ACTOR, given)
        assert isinstance(work, WatchWork)  # noqa: S101  # nosec B101  # the contract's own
        with structlog.contextvars.bound_contextvars(request_id=given.get("requestId", "")):
            await carry_out(WATCH_ACTOR, lambda: use_cases().watch(work))

    actors = (
        (APPLY_ACTOR, apply_launch_config),
        (WAVE_ACTOR, start_wave),
        (SWEEP_ACTOR, sweep),
        (WATCH_ACTOR, watch),
    )
    for name, actor in actors:
        dramatiq.actor(broker=broker, actor_name=name, queue_name=Queue.NORMAL.value)(actor)


async def carry_out(actor: str, use_case: Callable[[], Awaitable[Outcome]]) -> None:
    """
    Run a use case and tell the queue what became of the message.

    Parameters:
        actor: The actor's name, for the message's one log line.
        use_case: What to run.

    Raises:
        Redeliver: The message comes again.
    """
    begun = time.monotonic()
    try:
        outcome = await use_case()
    except SetupError as error:
        # Nothing a redelivery cures, and nothing to lose a job over: a person deploys what is missing.
        log.error("worker.not_set_up", code=error.code, error=error.message)  # noqa: TRY400  # no bug, no traceback
        outcome = Redeliver(error.code, COME_AGAIN)
    except RetryableError as error:
        log.warning("job.interrupted", code=error.code, error=error.message)
        outcome = Redeliver(error.code, error.retry_after or COME_AGAIN)
    except PrelaunchError:
        log.exception("job.escaped")
        raise
    seconds = round(time.monotonic() - begun, 3)
    if isinstance(outcome, Redeliver):
        log.info("job.redelivered", actor=actor, reason=outcome.reason, seconds=seconds)
        raise redelivery.Redeliver(outcome.after, outcome.reason)
    log.info("job.done", actor=actor, result=outcome.result, seconds=seconds)
