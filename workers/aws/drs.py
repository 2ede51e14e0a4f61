"""
DRS: launch configurations and recovery jobs.

DRS has no field for instance type, subnet, security groups, profile or static IP: those are in the launch
template, and nothing here touches it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from workers.aws.calls import Calls
from workers.core.errors import PermanentError
from workers.core.model.group import Target
from workers.core.model.launch_config import FIELDS, Half, Json
from workers.core.plan.observed import ObservedConfiguration
from workers.core.ports import WAVE_TAG, Guard, RecoveryJob

OVER = "COMPLETED"
"""The status of a job of which nothing more comes, whatever became of its source servers."""


class DrsLaunchConfigurations:
    """Launch configurations over the DRS API."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def read(self, target: Target, source_server_id: str) -> ObservedConfiguration:
        """Read what DRS holds for this source server."""
        request = {"sourceServerID": source_server_id}
        return _observed(await self._calls.call(target, "drs", "GetLaunchConfiguration", request))

    async def update(
        self, target: Target, source_server_id: str, fields: Mapping[str, Json], guard: Guard
    ) -> ObservedConfiguration:
        """Set these fields; DRS leaves the others and answers the whole launch configuration."""
        request = {"sourceServerID": source_server_id, **fields}
        return _observed(await self._calls.call(target, "drs", "UpdateLaunchConfiguration", request, guard=guard))


class DrsRecovery:
    """Recovery jobs over the DRS API."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def start(
        self,
        target: Target,
        source_server_ids: Sequence[str],
        *,
        is_drill: bool,
        tags: Mapping[str, str],
        guard: Guard,
        snapshots: Mapping[str, str],
    ) -> RecoveryJob:
        """Start one recovery job. DRS takes no idempotency token: look for the tags before repeating."""
        request = {
            "isDrill": is_drill,
            "sourceServers": [
                {"sourceServerID": member, **({"recoverySnapshotID": snapshots[member]} if member in snapshots else {})}
                for member in source_server_ids
            ],
            "tags": dict(tags),
        }
        answer = await self._calls.call(target, "drs", "StartRecovery", request, guard=guard, repeatable=False)
        return _job(answer["job"])

    async def find(self, target: Target, tags: Mapping[str, str], *, since: datetime) -> RecoveryJob | None:
        """Find the job that carries these tags."""
        async for job in self._describe(target, {"fromDate": _time(since)}):
            if tags.items() <= (job.get("tags") or {}).items():
                return _job(job)
        return None

    async def find_running(self, target: Target, *, since: datetime) -> list[RecoveryJob]:
        """List the jobs that are not over."""
        found = self._describe(target, {"fromDate": _time(since)})
        return [_job(job) async for job in found if job.get("status") != OVER]

    async def follow(self, target: Target, job_ids: Sequence[str]) -> dict[str, RecoveryJob]:
        """Read how far jobs are, as many a call as the model allows."""
        return {job["jobID"]: _job(job) async for job in self._describe(target, {"jobIDs": list(job_ids)})}

    async def _describe(self, target: Target, filters: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        request: dict[str, Any] = {"filters": filters}
        while True:
            page = await self._calls.call(target, "drs", "DescribeJobs", request)
            for job in page["items"]:
                yield job
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]


def _observed(answer: Mapping[str, Any]) -> ObservedConfiguration:
    template_id = answer.get("ec2LaunchTemplateID")
    if not template_id:
        raise PermanentError(
            f"DRS names no launch template for {answer.get('sourceServerID')}: it deletes that of a source server whose"
            " agent is disconnected. Connect the agent again, or take the source server out of the group, then apply.",
            code="LAUNCH_TEMPLATE_MISSING",
            operation="drs.GetLaunchConfiguration",
        )
    values = {name: answer[name] for name, spec in FIELDS.items() if spec.half is Half.DRS and name in answer}
    return ObservedConfiguration(values, template_id)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _job(job: Mapping[str, Any]) -> RecoveryJob:
    servers = job.get("participatingServers") or []
    return RecoveryJob(
        job["jobID"],
        {server["sourceServerID"]: server.get("launchStatus", "PENDING") for server in servers},
        is_over=job.get("status") == OVER,
        is_drill=job.get("initiatedBy") == "START_DRILL",
        wave_id=(job.get("tags") or {}).get(WAVE_TAG),
    )
