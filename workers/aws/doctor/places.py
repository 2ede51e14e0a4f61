"""Accounts and Regions, each through its role: dry runs of EC2, reads of DRS, jobs and quotas. Nothing is written."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.doctor.simulation import Simulation
from workers.core.doctor.finding import DENIED
from workers.core.doctor.ports import JobsSeen, Verdict
from workers.core.doctor.resources import CALLED, DRY_RUNS, list_drs_writes
from workers.core.errors import AccessDenied, PrelaunchError
from workers.core.model.group import Target
from workers.core.ports import Clock
from workers.core.validation.holdings import build_policy_arn

DRY_RUN_PASSED = "DryRunOperation"
"""What EC2 answers to a dry run of a call that may be made (EC2's API reference, common parameters)."""
OLDEST_JOB = timedelta(days=2)
ENDED = "COMPLETED"
READ = "GetLaunchConfiguration"
WRITES: Mapping[str, Mapping[str, Any]] = {
    "CreateLaunchTemplateVersion": {"SourceVersion": "$Default", "LaunchTemplateData": {"EbsOptimized": False}},
    "ModifyLaunchTemplate": {"DefaultVersion": "1"},
}
"""What a dry run of a write asks for beside the launch template; nothing of it is done."""
NO_SERVER = "there is no source server to try it on"
FIRST_WRITE = "CreateLaunchTemplateVersion"
GONE = "ResourceNotFoundException"
"""What DRS answers of a source server that it does not know."""
NO_TEMPLATE = "InvalidLaunchTemplateId.NotFound"


@dataclass(frozen=True, slots=True)
class _Sample:
    """A source server that calls are tried on, and what it told of the first two of them."""

    source_server_id: str | None
    template_id: str | None
    reading: Verdict
    writing: Verdict
    is_lost: bool = False
    """Whether it has no launch template: that tells nothing of permissions to write."""


class AwsPlaces:
    """
    Accounts and Regions over the APIs of DRS, EC2, IAM and Service Quotas.

    Parameters:
        clients: Those of the running loop.
        calls: The paced calls over them.
        clock: Tells the time.
    """

    def __init__(self, clients: Clients, calls: Calls, clock: Clock) -> None:
        self._clients = clients
        self._calls = calls
        self._clock = clock
        self._simulation = Simulation(calls)

    async def enter(self, target: Target) -> None:
        """Assume the role, where there is one; PermanentError: we are not let in."""
        await self._clients.target("drs", target)

    async def find_source_server(self, target: Target) -> str | None:
        """Find any source server; None where DRS, which is initialised, has none."""
        page = await self._calls.call(target, "drs", "DescribeSourceServers", {"filters": {}, "maxResults": 1})
        return next((str(each["sourceServerID"]) for each in page["items"]), None)

    async def may_call(self, target: Target, caller: str, samples: Sequence[str]) -> Sequence[Verdict]:
        """Tell which calls of runs, waves and checks the caller may make, tried on the first sample that is there."""
        sample = await self._find_sample(target, samples)
        others = [operation for operation in DRY_RUNS if operation != FIRST_WRITE]
        verdicts = await asyncio.gather(
            *(self._try_call(target, *called, caller) for called in CALLED if called[1] != READ),
            *(self._dry_run(target, operation, sample.template_id, sample.writing.why) for operation in others),
        )
        simulated = await self._simulate(target, caller, sample.source_server_id)
        return [sample.reading, sample.writing, *verdicts, *simulated]

    async def count_jobs(self, target: Target) -> JobsSeen:
        """Count the recovery jobs that have not ended."""
        since = f"{self._clock() - OLDEST_JOB:%Y-%m-%dT%H:%M:%SZ}"
        request: dict[str, Any] = {"filters": {"fromDate": since}}
        jobs = [job async for job in self._page(target, "drs", "DescribeJobs", request, "items", "nextToken")]
        running = [job for job in jobs if job.get("status") != ENDED]
        return JobsSeen(len(running), sum(len(job.get("participatingServers") or []) for job in running))

    async def read_quotas(self, target: Target) -> Mapping[str, float]:
        """Read the values of DRS's quotas by quota code."""
        request = {"ServiceCode": "drs"}
        quotas = self._page(target, "service-quotas", "ListServiceQuotas", request, "Quotas", "NextToken")
        return {each["QuotaCode"]: float(each["Value"]) async for each in quotas if "Value" in each}

    async def _find_sample(self, target: Target, candidates: Sequence[str]) -> _Sample:
        reading = Verdict(f"drs:{READ}", None, NO_SERVER)
        for source_server_id in candidates:
            sample = await self._look_at(target, source_server_id)
            if not sample.is_lost:
                return sample
            # One that is disconnected was read all the same.
            reading = reading if reading.allowed else sample.reading
        why = f"no launch template is there of {', '.join(candidates)}" if candidates else NO_SERVER
        return _Sample(next(iter(candidates), None), None, reading, Verdict(f"ec2:{FIRST_WRITE}", None, why))

    async def _look_at(self, target: Target, source_server_id: str) -> _Sample:
        reading, writing = Verdict(f"drs:{READ}", True), Verdict(f"ec2:{FIRST_WRITE}", None)
        try:
            found = await self._calls.call(target, "drs", READ, {"sourceServerID": source_server_id})
        except PrelaunchError as error:
            reading = _judge(reading.action, error)
            return _Sample(
                source_server_id, None, reading, replace(writing, why=reading.why), is_lost=error.code == GONE
            )
        template_id = found.get("ec2LaunchTemplateID")
        if template_id is None:
            return _Sample(source_server_id, None, reading, writing, is_lost=True)
        writing = await self._dry_run(target, FIRST_WRITE, template_id)
        is_lost = writing.allowed is None and writing.why.startswith(NO_TEMPLATE)
        return _Sample(source_server_id, template_id, reading, writing, is_lost)

    async def _try_call(self, target: Target, service: str, operation: str, caller: str) -> Verdict:
        request: dict[str, Any] = {"MaxItems": 1} if service == "iam" else {"maxResults": 1}
        if operation == "ListEntitiesForPolicy":
            request["PolicyArn"] = build_policy_arn(caller.split(":")[1])
        try:
            await self._calls.call(target, service, operation, request)
        except PrelaunchError as error:
            return _judge(f"{service}:{operation}", error)
        return Verdict(f"{service}:{operation}", True)

    async def _dry_run(self, target: Target, operation: str, template_id: str | None, why: str = "") -> Verdict:
        action = f"ec2:{operation}"
        request: dict[str, Any] = {"DryRun": True}
        if operation in WRITES:
            if template_id is None:
                return Verdict(action, None, why)
            request |= {"LaunchTemplateId": template_id, **WRITES[operation]}
        try:
            await self._calls.call(target, "ec2", operation, request)
        except PrelaunchError as error:
            return Verdict(action, True) if error.code == DRY_RUN_PASSED else _judge(action, error)
        return Verdict(action, None, "EC2 did not heed DryRun")

    async def _simulate(self, target: Target, caller: str, source_server_id: str | None) -> Sequence[Verdict]:
        # IAM does not look whether there is such a source server.
        resources = list_drs_writes(caller, target, source_server_id or f"s-{'0' * 17}")
        return await self._simulation.ask(target, caller, resources)

    async def _page(  # noqa: PLR0917  # as it is said in a request
        self, target: Target, service: str, operation: str, request: dict[str, Any], member: str, token: str
    ) -> AsyncIterator[Any]:
        while True:
            page = await self._calls.call(target, service, operation, request)
            for each in page.get(member) or []:
                yield each
            if not page.get(token):
                return
            request = {**request, token: page[token]}


def _judge(action: str, error: PrelaunchError) -> Verdict:
    said = f"{error.code}: {error.message}"
    is_denied = isinstance(error, AccessDenied) and error.code in DENIED
    return Verdict(action, False if is_denied else None, said)
