"""What AWS grants an account in a Region, by API: a burst, and a refill."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """AWS's token bucket: so many calls at once, so many a second."""

    capacity: int
    per_second: float
    published: bool = True
    """Whether AWS says so. What is assumed is corrected by throttle answers, in both directions."""

    def scaled(self, factor: float) -> "Quota":
        """Answer so many times as much of it."""
        return Quota(max(round(self.capacity * factor), 1), self.per_second * factor, self.published)


EC2_WRITE = Quota(100, 5)
"""Source: AWS, request throttling for the Amazon EC2 API (launch template writes)."""
EC2_READ = Quota(100, 20)
"""Source: AWS, request throttling for the Amazon EC2 API (non-mutating, described by name)."""
DRS_CALL = Quota(100, 10, published=False)
"""AWS publishes no rates for DRS: assumed."""
DRS_DESCRIBE = Quota(100, 20, published=False)
IAM_READ = Quota(20, 5, published=False)
"""AWS publishes no rates for IAM, nor for Service Quotas as we call it: assumed."""
QUOTAS = {
    ("ec2", "CreateLaunchTemplateVersion"): EC2_WRITE,
    ("ec2", "ModifyLaunchTemplate"): EC2_WRITE,
    ("ec2", "DescribeLaunchTemplateVersions"): EC2_READ,
    ("ec2", "DescribeLaunchTemplates"): EC2_READ,
    ("ec2", "DescribeSubnets"): EC2_READ,
    ("ec2", "DescribeSecurityGroups"): EC2_READ,
    ("ec2", "DescribeInstanceTypeOfferings"): EC2_READ,
    ("ec2", "DescribeInstances"): EC2_READ,
    ("ec2", "DescribeNetworkInterfaces"): EC2_READ,
    ("iam", "GetRole"): IAM_READ,
    ("iam", "ListEntitiesForPolicy"): IAM_READ,
    ("iam", "ListInstanceProfiles"): IAM_READ,
    ("iam", "SimulatePrincipalPolicy"): IAM_READ,
    ("service-quotas", "ListServiceQuotas"): IAM_READ,
    ("drs", "GetLaunchConfiguration"): DRS_CALL,
    ("drs", "UpdateLaunchConfiguration"): DRS_CALL,
    ("drs", "DescribeJobs"): DRS_DESCRIBE,
    ("drs", "DescribeSourceServers"): DRS_DESCRIBE,
    ("drs", "StartRecovery"): Quota(10, 1, published=False),
}
SCARCEST = ("ec2", "CreateLaunchTemplateVersion")
"""The API with the lowest rate that most jobs need."""
