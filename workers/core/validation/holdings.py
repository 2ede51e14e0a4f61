"""What a target account holds of what launch configs name, as it was read. Values only, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

RECOVERY_POLICY = "AWSElasticDisasterRecoveryRecoveryInstancePolicy"
"""By it a recovery instance talks to DRS: the role of its instance profile needs it (AWS managed policy reference)."""


def build_policy_arn(partition: str) -> str:
    """Build the ARN of RECOVERY_POLICY in a partition, such as `aws` (AWS managed policy reference)."""
    return f"arn:{partition}:iam::aws:policy/service-role/{RECOVERY_POLICY}"


@dataclass(frozen=True, slots=True)
class SourceServer:
    """A source server that DRS knows."""

    operating_system: str = ""
    """As the replication agent reports it, such as `Microsoft Windows Server 2022 Datacenter`; empty if unknown."""
    recovery_instance_id: str | None = None
    """The EC2 instance that its last recovery or drill left, if that is still there."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of EC2."""

    vpc_id: str
    network: IPv4Network | None
    """None where it has IPv6 addresses only."""


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An instance profile of IAM."""

    role: str | None
    """The name of the role in it; IAM holds one at the most."""
    has_policy: bool
    """Whether RECOVERY_POLICY is attached to that role."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that holds an address."""

    interface_id: str
    subnet_id: str
    address: str
    instance_id: str | None
    """The instance that it is attached to."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that was found; what was asked for and is not here does not exist there."""

    source_servers: Mapping[str, SourceServer]
    """By id."""
    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    """By id."""
    security_groups: Mapping[str, str] = field(default_factory=dict)
    """Id to the VPC's."""
    instance_types: frozenset[str] = frozenset()
    instance_profiles: Mapping[str, InstanceProfile] = field(default_factory=dict)
    """By name."""
    instances: frozenset[str] = frozenset()
    """By id."""
    interfaces: tuple[Interface, ...] = ()
    """One entry an address that was asked for."""
