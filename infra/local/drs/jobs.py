"""A recovery job: its servers, how far they are, its log, and what each was launched from. No I/O, no clock."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infra.local.drs.servers import iso


@dataclass(frozen=True, slots=True)
class LaunchSource:
    """What a recovery instance was launched from: the default version at the moment of the launch."""

    template_id: str
    version_number: int
    data: dict[str, Any]
    read_at: datetime


@dataclass(slots=True)
class Participant:
    """A source server's part of a job."""

    source_server_id: str
    launch_status: str = "PENDING"
    recovery_instance_id: str | None = None
    source: LaunchSource | None = None
    snapshot_id: str | None = None
    """The point in time that it is recovered to; None for the latest."""

    def to_dict(self) -> dict[str, Any]:
        """Answer the part as a participating server."""
        described = {"sourceServerID": self.source_server_id, "launchStatus": self.launch_status}
        if self.recovery_instance_id is not None:
            described["recoveryInstanceID"] = self.recovery_instance_id
        return described


@dataclass(slots=True)
class Job:
    """A recovery job: PENDING until it reads the templates, then STARTED, COMPLETED when it ends."""

    job_id: str
    number: int
    arn: str
    created_at: datetime
    is_drill: bool
    tags: dict[str, str]
    participants: list[Participant] = field(default_factory=list)
    status: str = "PENDING"
    ended_at: datetime | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    """Its log items, oldest first, as DescribeJobLogItems answers them."""

    def note(self, moment: datetime, event: str, **data: str) -> None:
        """Add an item to the log."""
        item: dict[str, Any] = {"logDateTime": iso(moment), "event": event}
        self.log.append({**item, "eventData": data} if data else item)

    def launch(self, participant: Participant, moment: datetime, obstacle: tuple[str, str] | None) -> None:
        """Launch a server, unless something is in its way: the event and the reason of the failure."""
        server = {"sourceServerID": participant.source_server_id}
        if obstacle is not None:
            event, reason = obstacle
            participant.launch_status = "FAILED"
            self.note(moment, event, **server, rawError=reason)
            return
        participant.launch_status = "IN_PROGRESS"
        for event in ("CONVERSION_START", "CONVERSION_END", "LAUNCH_START"):
            self.note(moment, event, **server)

    def to_dict(self) -> dict[str, Any]:
        """Answer the job as DescribeJobs does."""
        described = {
            "jobID": self.job_id,
            "arn": self.arn,
            "type": "LAUNCH",
            "initiatedBy": "START_DRILL" if self.is_drill else "START_RECOVERY",
            "creationDateTime": iso(self.created_at),
            "status": self.status,
            "participatingServers": [participant.to_dict() for participant in self.participants],
            "tags": dict(self.tags),
        }
        if self.ended_at is not None:
            described["endDateTime"] = iso(self.ended_at)
        return described
