"""Asking the workers to look for drift: at what an event names, in an account and Region, or everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.core.contract import WATCH_ACTOR, Queue, find_fault
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.ports import Job, JobQueue
from workers.core.requests import Requester

LONGEST_CHANGED_BY = 512
UNCHANGING = frozenset({"CreateLaunchTemplateVersion"})
"""Calls that change nothing which DRS launches from: a version counts once it is promoted."""


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """Where to look."""

    account_id: str | None = None
    """None, and no Region: everywhere."""
    region: str | None = None
    source_server_ids: Sequence[str] = ()
    """What an event names; nothing of it: all that there is in the account and Region."""
    launch_template_id: str | None = None
    default_version: int | None = None
    """The version that an event made its default."""
    event_name: str | None = None
    """The call that an event tells of."""
    changed_by: str = ""
    """Who made it, in words."""


class DriftChecks:
    """Sends what the workers' watch is to look at."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def ask(self, check: DriftCheck, requester: Requester) -> int:
        """
        Ask the workers to look.

        Parameters:
            check: Where.
            requester: Who asks.

        Returns:
            How many messages were sent; 0 where an event tells of what changes nothing.

        Raises:
            InvalidBody: What is named can be no account, Region, source server or launch template.
            ServiceUnavailable: Not all messages were sent.
        """
        if check.event_name in UNCHANGING:
            return 0
        place = {"accountId": check.account_id, "region": check.region, "requestId": requester.request_id}
        place["changedBy"] = _make_printable(check.changed_by)
        named: list[dict[str, str | int | None]] = [{"sourceServerId": each} for each in check.source_server_ids]
        if check.launch_template_id is not None:
            named.append({"launchTemplateId": check.launch_template_id, "defaultVersion": check.default_version})
        if not named and check.event_name is not None:
            return 0
        jobs = [_make_job({**place, **each}) for each in named or [{}]]
        await self._queue.send(Queue.NORMAL, jobs)
        return len(jobs)


def _make_job(arguments: Mapping[str, str | int | None]) -> Job:
    given = {name: value for name, value in arguments.items() if value}
    fault = find_fault(WATCH_ACTOR, given)
    if fault is not None or ("accountId" in given) != ("region" in given):
        wrong = fault or "accountId and region are given both or neither"
        raise InvalidBody((FieldError("", "INVALID_BODY", f"{wrong}.", None),))
    return Job(WATCH_ACTOR, f"{given.get('accountId', WATCH_ACTOR)}#{given.get('region', '')}", given)


def _make_printable(text: str) -> str:
    return "".join(each if " " <= each <= "~" else "?" for each in text)[:LONGEST_CHANGED_BY]
