"""What DRS knows of a source server, and how it answers for it. No I/O, no clock."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.local.aws_models import load_model

RIGHT_SIZING_PERIOD = timedelta(minutes=90)
"""How long after its setting DRS may take to overwrite an instance type (AWS documentation)."""

REPLICATION_STATES = frozenset(load_model("drs").shape_for("DataReplicationState").enum)
"""What a source server's replication can be in."""

NEW_CONFIGURATION: dict[str, Any] = {
    "launchDisposition": "STARTED",
    "targetInstanceTypeRightSizingMethod": "BASIC",
    "copyPrivateIp": False,
    "copyTags": False,
    "licensing": {"osByol": False},
    "postLaunchEnabled": False,
}
"""What the account's template gives the launch configuration of a server that is added."""

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the replication agent found out about a source server."""

    hostname: str
    private_ip: str
    operating_system: str
    cpu_cores: int
    ram_gib: int
    disks_gib: tuple[int, ...]
    recommended_instance_type: str


HARDWARES: tuple[tuple[str, int, int, tuple[int, ...], str], ...] = (
    ("Amazon Linux 2023.6", 2, 8, (30, 100), "m5.large"),
    ("Red Hat Enterprise Linux 9.4", 4, 32, (50, 200, 500), "r5.xlarge"),
    ("Microsoft Windows Server 2022 Datacenter", 4, 8, (80, 250), "c5.xlarge"),
)
"""The kinds of machine that take turns: system, cores, GiB of RAM, GiB of each disk, instance type."""


@dataclass(slots=True)
class SourceServer:
    """A server that replicates into the account. Its owner holds the lock around every change."""

    source_server_id: str
    number: int
    arn: str
    region: str
    account_id: str
    hardware: Hardware
    tags: dict[str, str]
    added_at: datetime
    right_size_at: datetime
    """When DRS next overwrites the instance type, if its right-sizing method is not NONE."""
    template_id: str | None = None
    state: str = "CONTINUOUS"
    has_recovery_point: bool = True
    last_launch: dict[str, Any] | None = None
    recovery_instance_id: str | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    """The launch configuration, without the template's id."""

    @property
    def hardware_id(self) -> str:
        """What the machine calls itself, whatever DRS calls it."""
        return f"42{self.source_server_id[2:]}"

    def set_defaults(self) -> None:
        """Give it the launch configuration that a server has when it is added."""
        self.configuration = {
            **NEW_CONFIGURATION,
            "sourceServerID": self.source_server_id,
            "name": self.hardware.hostname,
            "launchIntoInstanceProperties": {},
        }

    def configuration_to_dict(self) -> dict[str, Any]:
        """Answer the whole launch configuration."""
        template = {} if self.template_id is None else {"ec2LaunchTemplateID": self.template_id}
        return {**self.configuration, **template}

    def to_dict(self, now: datetime) -> dict[str, Any]:
        """Answer the server as DescribeSourceServers does."""
        seen_at = iso(now if self.state != "DISCONNECTED" else self.added_at)
        described: dict[str, Any] = {
            "sourceServerID": self.source_server_id,
            "arn": self.arn,
            "agentVersion": "3.2.0.2024.101.1000",
            "tags": self.tags,
            "sourceProperties": self._describe_properties(),
            "dataReplicationInfo": self._describe_replication(),
            "lifeCycle": {"addedToServiceDateTime": iso(self.added_at), "lastSeenByServiceDateTime": seen_at},
            "lastLaunchResult": "NOT_STARTED",
            "replicationDirection": "FAILOVER",
            "sourceCloudProperties": {"originAccountID": self.account_id, "originRegion": self.region},
            "stagingArea": {"stagingAccountID": self.account_id, "status": "NOT_EXTENDED"},
        }
        if self.last_launch is not None:
            described["lifeCycle"] = {**described["lifeCycle"], "lastLaunch": self.last_launch}
            described["lastLaunchResult"] = _LAUNCH_RESULTS[self.last_launch["status"]]
        if self.recovery_instance_id is not None:
            described["recoveryInstanceId"] = self.recovery_instance_id
        return described

    def _describe_properties(self) -> dict[str, Any]:
        hardware = self.hardware
        return {
            "identificationHints": {
                "hostname": hardware.hostname,
                "fqdn": f"{hardware.hostname}.corp.example.com",
                "vmWareUuid": self.hardware_id,
            },
            "networkInterfaces": [
                {
                    "macAddress": f"02:00:00:{self.number >> 16 & 255:02x}:{self.number >> 8 & 255:02x}"
                    f":{self.number & 255:02x}",
                    "ips": [hardware.private_ip],
                    "isPrimary": True,
                }
            ],
            "os": {"fullString": hardware.operating_system},
            "cpus": [{"cores": hardware.cpu_cores, "modelName": "Intel(R) Xeon(R) Gold 6248"}],
            "ramBytes": hardware.ram_gib * _GIB,
            "disks": [
                {"deviceName": f"/dev/sd{letter}", "bytes": size * _GIB}
                for letter, size in zip("abc", hardware.disks_gib, strict=False)
            ],
            "recommendedInstanceType": hardware.recommended_instance_type,
            "supportsNitroInstances": True,
            "lastUpdatedDateTime": iso(self.added_at),
        }

    def _describe_replication(self) -> dict[str, Any]:
        return {
            "dataReplicationState": self.state,
            "lagDuration": "PT0S",
            "stagingAvailabilityZone": f"{self.region}a",
            "replicatedDisks": [
                {
                    "deviceName": f"/dev/sd{letter}",
                    "totalStorageBytes": size * _GIB,
                    "replicatedStorageBytes": size * _GIB if self.has_recovery_point else 0,
                    "rescannedStorageBytes": 0,
                    "backloggedStorageBytes": 0,
                }
                for letter, size in zip("abc", self.hardware.disks_gib, strict=False)
            ],
        }


_LAUNCH_RESULTS = {
    "PENDING": "PENDING",
    "IN_PROGRESS": "PENDING",
    "LAUNCHED": "SUCCEEDED",
    "FAILED": "FAILED",
}


def iso(moment: datetime) -> str:
    """Write a moment as DRS does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
