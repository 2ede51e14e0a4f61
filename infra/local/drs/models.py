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

from infra.local.drs.blueprint import MANAGED_TAG, choose_hardware, draw_template, find_landing
from infra.local.drs.exceptions import (
    ConflictException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ValidationException,
)
from infra.local.drs.jobs import Job, LaunchSource, Participant
from infra.local.drs.servers import RIGHT_SIZING_PERIOD, SourceServer, iso
from infra.local.launch_templates import LaunchTemplate, LaunchTemplateBackend, launch_template_backends
from infra.local.world import WORLD

SERVERS_A_JOB = 100
JOBS_IN_PROGRESS = 20
SERVERS_IN_ALL_JOBS = 500

_BUSY = "One or more of the Source Servers included in API call are currently being processed by a Job"


class DRSBackend(BaseBackend):
    """DRS in one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.initialised = True
        self.servers: dict[str, SourceServer] = {}
        self.jobs: dict[str, Job] = {}
        self.servers_by_template: dict[str, str] = {}
        self._servers_made = 0
        self._templates_made = 0
        self._advanced_at = WORLD.now()

    @property
    def templates(self) -> LaunchTemplateBackend:
        """The launch templates of the same account and Region."""
        return launch_template_backends[self.account_id][self.region_name]

    def add_source_servers(self, count: int, tags: dict[str, str]) -> list[str]:
        """Add source servers, each with the launch template that DRS makes for it."""
        landing = find_landing(self.account_id, self.region_name)
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
            self._make_template(server, settled=True)
            self.servers[source_server_id] = server
            added.append(source_server_id)
        self._servers_made += count
        return added

    def find_server(self, source_server_id: str) -> SourceServer:
        """Find a source server, or raise ResourceNotFoundException."""
        server = self.servers.get(source_server_id)
        if server is None:
            raise ResourceNotFoundException("SourceServer", source_server_id)
        return server

    def find_tags(self, arn: str) -> dict[str, str]:
        """Find the tags of a source server or of a job, to be read or changed, or raise the same."""
        resource_id = arn.rpartition("/")[2]
        resource = self.servers.get(resource_id) or self.jobs.get(resource_id)
        if resource is None or resource.arn != arn:
            raise ResourceNotFoundException("Resource", arn)
        return resource.tags

    def refresh_template(self, server: SourceServer) -> None:
        """Make a new template if the server's own is gone; a disconnected server stays without."""
        template = self._template_of(server)
        if template is not None:
            return
        server.template_id = None
        if server.state != "DISCONNECTED":
            self._make_template(server)

    def drop_template(self, server: SourceServer) -> None:
        """Delete the server's template."""
        template = self._template_of(server)
        if template is not None:
            self.templates.delete_template(template)

    def deny_template_writes(self, server: SourceServer) -> None:
        """Take DRS's tag from the server's template, so that every policy refuses to write it."""
        template = self._template_of(server)
        if template is not None:
            template.tags.pop(MANAGED_TAG, None)
            template.writes_denied = True

    def update_configuration(self, server: SourceServer, changes: dict[str, Any]) -> None:
        """Change the named fields of a launch configuration and leave all others alone."""
        server.configuration.update(changes)
        self.refresh_template(server)
        if "targetInstanceTypeRightSizingMethod" in changes:
            server.right_size_at = WORLD.now() + RIGHT_SIZING_PERIOD
        if changes.get("copyPrivateIp"):
            self._write_private_ip(server)

    def apply_background_changes(self, now: datetime) -> None:
        """Overwrite the instance types that right-sizing is due for."""
        self.advance(now)
        for server in self.servers.values():
            method = server.configuration["targetInstanceTypeRightSizingMethod"]
            if method != "NONE" and server.right_size_at <= now:
                server.right_size_at = now + RIGHT_SIZING_PERIOD
                self._write_template(server, {"InstanceType": server.hardware.recommended_instance_type})

    def start_recovery(self, ids: list[str], *, is_drill: bool, tags: dict[str, str]) -> Job:
        """Start a job over all of these servers, or over none: one that may not take part refuses the job."""
        self._check_recovery(ids)
        number = len(self.jobs)
        job_id = f"drsjob-{self._hash(f'job/{number}')}"
        arn = self._arn("job", job_id)
        participants = [Participant(source_server_id) for source_server_id in ids]
        job = Job(job_id, number, arn, WORLD.now(), is_drill, dict(tags), participants)
        self.jobs[job_id] = job
        initiated = {
            "apiCallDateTime": iso(job.created_at),
            "jobID": job_id,
            "type": "DRILL" if is_drill else "RECOVERY",
        }
        for source_server_id in ids:
            self.servers[source_server_id].last_launch = {"initiated": initiated, "status": "PENDING"}
        return job

    def advance(self, now: datetime) -> None:
        """Bring every job to where it is at this moment."""
        for job in self._open_jobs():
            launches_at = job.created_at + timedelta(seconds=WORLD.job_seconds)
            ends_at = job.created_at + timedelta(seconds=2 * WORLD.job_seconds)
            if job.status == "PENDING" and launches_at <= now:
                # Never before the last look: what was seen as not yet launched then cannot launch earlier.
                self._launch(job, max(launches_at, self._advanced_at))
            if job.status == "STARTED" and ends_at <= now:
                self._finish(job, ends_at)
        self._advanced_at = now

    def _check_recovery(self, ids: list[str]) -> None:
        if len(set(ids)) < len(ids):
            text = "A source server can be named only once"
            raise ValidationException(text, [("sourceServers", text)], "fieldValidationFailed")
        for source_server_id in ids:
            self.find_server(source_server_id)
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

    def _open_jobs(self) -> Iterable[Job]:
        return (job for job in self.jobs.values() if job.status != "COMPLETED")

    def _launch(self, job: Job, moment: datetime) -> None:
        job.status = "STARTED"
        for participant in job.participants:
            server = self.servers.get(participant.source_server_id)
            participant.source = self._read_template(server, moment) if server is not None else None
            can_launch = server is not None and server.has_recovery_point and participant.source is not None
            participant.launch_status = "IN_PROGRESS" if can_launch else "FAILED"
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

    def _note_launch(self, job: Job, participant: Participant) -> None:
        server = self.servers.get(participant.source_server_id)
        if server is None or server.last_launch is None:
            return
        server.last_launch = {**server.last_launch, "status": participant.launch_status}
        if participant.recovery_instance_id is not None and not job.is_drill:
            server.recovery_instance_id = participant.recovery_instance_id

    def _read_template(self, server: SourceServer, moment: datetime) -> LaunchSource | None:
        template = self.templates.templates.get(server.template_id or "")
        if template is None or not template.exists_at(moment):
            return None
        version = template.versions[template.default_at(moment)]
        return LaunchSource(template.template_id, version.number, version.data, moment)

    def _template_of(self, server: SourceServer) -> LaunchTemplate | None:
        template = self.templates.templates.get(server.template_id or "")
        return template if template is not None and template.deleted_at is None else None

    def _make_template(self, server: SourceServer, *, settled: bool = False) -> None:
        landing = find_landing(self.account_id, self.region_name)
        data = draw_template(server.number, server.source_server_id, server.hardware, landing)
        template = self.templates.create_template(
            f"AWSElasticDisasterRecovery-{server.source_server_id}-{self._templates_made}",
            data,
            tags={MANAGED_TAG: "drs.amazonaws.com", "Name": server.hardware.hostname},
            settled=settled,
        )
        self._templates_made += 1
        server.template_id = template.template_id
        self.servers_by_template[template.template_id] = server.source_server_id

    def _write_private_ip(self, server: SourceServer) -> None:
        template = self._template_of(server)
        if template is None:
            return
        data = template.versions[template.default_at(WORLD.now())].data
        interfaces = data.get("NetworkInterfaces", [])
        address = {"PrivateIpAddress": server.hardware.private_ip}
        written = [
            {**interface, **address} if interface.get("DeviceIndex") == 0 else interface for interface in interfaces
        ]
        if not any(interface.get("DeviceIndex") == 0 for interface in interfaces):
            written = [{"DeviceIndex": 0, **address}, *interfaces]
        self._write_template(server, {"NetworkInterfaces": written})

    def _write_template(self, server: SourceServer, changes: dict[str, Any]) -> None:
        template = self._template_of(server)
        if template is None or template.writes_denied:
            # DRS's own role asks for the tag too.
            return
        data = template.versions[template.default_at(WORLD.now())].data
        if all(data.get(name) == value for name, value in changes.items()):
            return
        version = self.templates.create_version(template, changes, source="$Default")
        self.templates.promote(template, str(version.number))

    def _arn(self, kind: str, resource_id: str) -> str:
        return f"arn:{self.partition}:drs:{self.region_name}:{self.account_id}:{kind}/{resource_id}"

    def _hash(self, name: str) -> str:
        seed = f"{self.account_id}/{self.region_name}/{name}"
        return hashlib.sha256(seed.encode()).hexdigest()[:17]


drs_backends = BackendDict(DRSBackend, "drs")
