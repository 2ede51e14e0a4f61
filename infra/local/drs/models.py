"""
What DRS holds in one account and Region: source servers, and their recovery jobs.

Nothing runs in the background: a job moves on when someone looks, to where the stand-in's clock says it is.
Every change is made under the stand-in's one lock; the callers of this module hold it.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend

from infra.local.drs.blueprint import choose_hardware, find_landing, make_instance_profile
from infra.local.drs.exceptions import (
    ConflictException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ValidationException,
)
from infra.local.drs.jobs import Job, Participant
from infra.local.drs.servers import NEW_CONFIGURATION, RIGHT_SIZING_PERIOD, SourceServer, iso
from infra.local.drs.templates import ManagedTemplates
from infra.local.world import WORLD

SERVERS_A_JOB = 100
JOBS_IN_PROGRESS = 20
SERVERS_IN_ALL_JOBS = 500
SNAPSHOTS_EVERY = timedelta(minutes=10)
SNAPSHOTS_KEPT = 3

_BUSY = "One or more of the Source Servers included in API call are currently being processed by a Job"


class DRSBackend(BaseBackend):
    """DRS in one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.initialised = True
        self.servers: dict[str, SourceServer] = {}
        self.jobs: dict[str, Job] = {}
        self.templates = ManagedTemplates(account_id, region_name)
        self.template_id = f"lct-{self._hash('launch-configuration-template')}"
        self.template_tags: dict[str, str] = {}
        self._servers_made = 0
        self._advanced_at = WORLD.now()

    def add_source_servers(self, count: int, tags: dict[str, str]) -> list[str]:
        """Add source servers, each with the launch template that DRS makes for it."""
        landing = find_landing(self.account_id, self.region_name)
        make_instance_profile(self.account_id, self.region_name)
        now = WORLD.now()
        added = []
        for number in range(self._servers_made, self._servers_made + count):
            source_server_id = f"s-{self._hash(f'server/{number}')}"
            server = SourceServer(
                source_server_id=source_server_id,
                number=number,
                arn=self._arn("source-server", source_server_id),
                region=self.region_name,
                account_id=self.account_id,
                hardware=choose_hardware(number, landing),
                tags=dict(tags),
                added_at=now,
                right_size_at=now + RIGHT_SIZING_PERIOD,
            )
            server.set_defaults()
            self.templates.make(server, settled=True)
            self.servers[source_server_id] = server
            added.append(source_server_id)
        self._servers_made += count
        return added

    def initialize_service(self) -> None:
        """Set DRS up in the account and Region."""
        self.initialised = True

    def describe_source_servers(self, filters: dict[str, Any]) -> Iterable[SourceServer]:
        """List the source servers that pass every filter; an id that is not here is left out."""
        named = dict.fromkeys(filters.get("sourceServerIDs") or self.servers)
        accounts = filters.get("stagingAccountIDs") or [self.account_id]
        for source_server_id in named:
            server = self.servers.get(source_server_id)
            if server is None or server.account_id not in accounts:
                continue
            if filters.get("hardwareId") in (None, server.hardware_id):
                yield server

    def get_launch_configuration(self, source_server_id: str) -> SourceServer:
        """Find a source server, and make a new template first if the old one is gone."""
        server = self._find_server(source_server_id)
        self.templates.refresh(server)
        return server

    def update_launch_configuration(self, source_server_id: str, changes: dict[str, Any]) -> SourceServer:
        """Change the named fields of a launch configuration and leave all others alone."""
        server = self.get_launch_configuration(source_server_id)
        server.configuration.update(changes)
        if "targetInstanceTypeRightSizingMethod" in changes:
            server.right_size_at = WORLD.now() + RIGHT_SIZING_PERIOD
        if changes.get("copyPrivateIp"):
            self._write_private_ip(server)
        return server

    def describe_launch_configuration_templates(self, template_ids: list[str]) -> list[dict[str, Any]]:
        """List the one template of launch configurations that every account and Region has."""
        for template_id in template_ids:
            if template_id != self.template_id:
                raise ResourceNotFoundException("LaunchConfigurationTemplate", template_id)
        identity = {
            "launchConfigurationTemplateID": self.template_id,
            "arn": self._arn("launch-configuration-template", self.template_id),
            "tags": self.template_tags,
        }
        return [{**identity, **NEW_CONFIGURATION, "launchIntoSourceInstance": False}]

    def describe_recovery_snapshots(self, source_server_id: str) -> list[dict[str, Any]]:
        """List the points in time that a source server can be recovered to, oldest first."""
        server = self._find_server(source_server_id)
        return self._snapshots_of(server)

    def start_recovery(self, ids: list[str], *, is_drill: bool, tags: dict[str, str], snapshots: dict[str, str]) -> Job:
        """Start a job over all of these servers, or over none: one that may not take part refuses the job."""
        self._check_recovery(ids)
        for source_server_id, snapshot_id in snapshots.items():
            known = {each["snapshotID"] for each in self._snapshots_of(self.servers[source_server_id])}
            if snapshot_id not in known:
                raise ResourceNotFoundException("RecoverySnapshot", snapshot_id)
        number = len(self.jobs)
        job_id = f"drsjob-{self._hash(f'job/{number}')}"
        arn = self._arn("job", job_id)
        participants = [Participant(each, snapshot_id=snapshots.get(each)) for each in ids]
        job = Job(job_id, number, arn, WORLD.now(), is_drill, dict(tags), participants)
        job.note(job.created_at, "JOB_START")
        self.jobs[job_id] = job
        initiated = {
            "apiCallDateTime": iso(job.created_at),
            "jobID": job_id,
            "type": "DRILL" if is_drill else "RECOVERY",
        }
        for source_server_id in ids:
            self.servers[source_server_id].last_launch = {"initiated": initiated, "status": "PENDING"}
        return job

    def describe_jobs(self, job_ids: list[str], since: datetime | None, until: datetime | None) -> Iterable[Job]:
        """List jobs by their ids and by when they were made."""
        named = self.jobs.values() if not job_ids else [self.jobs[each] for each in job_ids if each in self.jobs]
        return (
            job
            for job in named
            if (since is None or since <= job.created_at) and (until is None or job.created_at <= until)
        )

    def describe_job_log_items(self, job_id: str) -> list[dict[str, Any]]:
        """List what happened in a job, oldest first; a job that is not here has no log."""
        return self.jobs[job_id].log if job_id in self.jobs else []

    def list_tags_for_resource(self, arn: str) -> dict[str, str]:
        """Find the tags of a resource, to be read or changed."""
        resource_id = arn.rpartition("/")[2]
        resource = self.servers.get(resource_id) or self.jobs.get(resource_id)
        if resource is not None and resource.arn == arn:
            return resource.tags
        if arn == self._arn("launch-configuration-template", self.template_id):
            return self.template_tags
        raise ResourceNotFoundException("Resource", arn)

    def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
        """Set tags by key."""
        if any(key.startswith("aws:") for key in tags):
            text = "Tag keys that begin with aws: are reserved"
            raise ValidationException(text, [("tags", text)])
        self.list_tags_for_resource(arn).update(tags)

    def untag_resource(self, arn: str, tag_keys: list[str]) -> None:
        """Remove tags by key."""
        tags = self.list_tags_for_resource(arn)
        for key in tag_keys:
            tags.pop(key, None)

    def apply_background_changes(self, now: datetime) -> None:
        """Overwrite the instance types that right-sizing is due for, and the addresses that DRS copies."""
        self.advance(now)
        for server in self.servers.values():
            method = server.configuration["targetInstanceTypeRightSizingMethod"]
            if method != "NONE" and server.right_size_at <= now:
                server.right_size_at = now + RIGHT_SIZING_PERIOD
                self.templates.write(server, {"InstanceType": server.hardware.recommended_instance_type})
            if server.configuration["copyPrivateIp"]:
                self._write_private_ip(server)

    def advance(self, now: datetime) -> None:
        """Bring every job to where it is at this moment."""
        for job in self._open_jobs():
            launches_at = job.created_at + timedelta(seconds=WORLD.job_seconds)
            ends_at = job.created_at + timedelta(seconds=2 * WORLD.job_seconds)
            if job.status == "PENDING" and launches_at <= now:
                # Never before the last look: what was seen as not yet launched then cannot launch earlier.
                self._launch(job, max(launches_at, self._advanced_at))
            if job.status == "STARTED" and ends_at <= now:
                self._finish(job, max(ends_at, self._advanced_at))
        self._advanced_at = now

    def _find_server(self, source_server_id: str) -> SourceServer:
        server = self.servers.get(source_server_id)
        if server is None:
            raise ResourceNotFoundException("SourceServer", source_server_id)
        return server

    def _check_recovery(self, ids: list[str]) -> None:
        if len(set(ids)) < len(ids):
            text = "A source server can be named only once"
            raise ValidationException(text, [("sourceServers", text)])
        for source_server_id in ids:
            self._find_server(source_server_id)
        if len(ids) > SERVERS_A_JOB:
            raise ServiceQuotaExceededException(
                f"A job can have at most {SERVERS_A_JOB} source servers", "SourceServer"
            )
        running = list(self._open_jobs())
        busy = {participant.source_server_id for job in running for participant in job.participants}
        for source_server_id in ids:
            if source_server_id in busy:
                raise ConflictException(_BUSY, "SourceServer", source_server_id)
        if len(running) >= JOBS_IN_PROGRESS:
            raise ServiceQuotaExceededException(f"At most {JOBS_IN_PROGRESS} jobs can be in progress", "Job")
        if len(busy) + len(ids) > SERVERS_IN_ALL_JOBS:
            raise ServiceQuotaExceededException(
                f"At most {SERVERS_IN_ALL_JOBS} source servers can be in all jobs", "SourceServer"
            )

    def _snapshots_of(self, server: SourceServer) -> list[dict[str, Any]]:
        if not server.has_recovery_point:
            return []
        taken = [server.added_at - number * SNAPSHOTS_EVERY for number in reversed(range(SNAPSHOTS_KEPT))]
        return [
            {
                "snapshotID": f"pit-{self._hash(f'snapshot/{server.source_server_id}/{number}')}",
                "sourceServerID": server.source_server_id,
                "timestamp": iso(at),
                "expectedTimestamp": iso(at),
                "ebsSnapshots": [],
            }
            for number, at in enumerate(taken)
        ]

    def _open_jobs(self) -> Iterable[Job]:
        return (job for job in self.jobs.values() if job.status != "COMPLETED")

    def _launch(self, job: Job, moment: datetime) -> None:
        job.status = "STARTED"
        for participant in job.participants:
            server = self.servers.get(participant.source_server_id)
            participant.source = self.templates.read(server, moment) if server is not None else None
            obstacle = None
            if server is None or participant.source is None:
                obstacle = ("LAUNCH_FAILED", "The launch template does not exist.")
            elif not server.has_recovery_point:
                obstacle = ("SNAPSHOT_FAIL", "The source server has no point in time to recover to.")
            job.launch(participant, moment, obstacle)
            self._note_launch(job, participant)

    def _finish(self, job: Job, moment: datetime) -> None:
        job.status = "COMPLETED"
        job.ended_at = moment
        for participant in job.participants:
            if participant.launch_status == "IN_PROGRESS":
                participant.launch_status = "LAUNCHED"
                instance = self._hash(f"instance/{job.job_id}/{participant.source_server_id}")
                participant.recovery_instance_id = f"i-{instance}"
            self._note_launch(job, participant)
        job.note(moment, "JOB_END")

    def _note_launch(self, job: Job, participant: Participant) -> None:
        server = self.servers.get(participant.source_server_id)
        if server is None or server.last_launch is None:
            return
        server.last_launch = {**server.last_launch, "status": participant.launch_status}
        if participant.recovery_instance_id is not None and not job.is_drill:
            server.recovery_instance_id = participant.recovery_instance_id

    def _write_private_ip(self, server: SourceServer) -> None:
        self.templates.write_primary_interface(server, {"PrivateIpAddress": server.hardware.private_ip})

    def _arn(self, kind: str, resource_id: str) -> str:
        return f"arn:{self.partition}:drs:{self.region_name}:{self.account_id}:{kind}/{resource_id}"

    def _hash(self, name: str) -> str:
        seed = f"{self.account_id}/{self.region_name}/{name}"
        return hashlib.sha256(seed.encode()).hexdigest()[:17]


drs_backends = BackendDict(DRSBackend, "drs")
