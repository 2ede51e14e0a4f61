"""
AWS's quota as seconds: how long so many changed source servers take at least, whoever applies them. Pure.

The numbers are the stand-in's own buckets, for these are what a run is measured against; nothing is rounded in
anybody's favour.
"""

from collections.abc import Mapping

from infra.local.buckets import quota_of

MINIMAL_PLAN: Mapping[str, int] = {
    "drs.GetLaunchConfiguration": 1,
    "drs.UpdateLaunchConfiguration": 1,
    "ec2.DescribeLaunchTemplateVersions": 2,
    "ec2.CreateLaunchTemplateVersion": 1,
    "ec2.ModifyLaunchTemplate": 1,
}
"""Calls a changed source server: launch configuration and template are read and written, the template is read back."""
WRITES = ("drs.UpdateLaunchConfiguration", "ec2.CreateLaunchTemplateVersion", "ec2.ModifyLaunchTemplate")


def find_floor(servers: int, *, left: float = 1.0, plan: Mapping[str, int] = MINIMAL_PLAN) -> float:
    """
    Tell the seconds that the scarcest API takes.

    Parameters:
        servers: How many source servers are changed.
        left: The share of each refill that nobody else takes.
        plan: Calls a source server, by API.

    Returns:
        Seconds from full buckets to the last call.
    """
    return max(_find_seconds(name, servers * calls, left) for name, calls in plan.items())


def find_use(calls: Mapping[str, Mapping[str, int]], seconds: float) -> dict[str, float]:
    """
    Tell which share of its tokens each bucket gave away.

    Parameters:
        calls: Call name to `count` and `throttled`.
        seconds: How long it took, from full buckets.

    Returns:
        API to a share from 0 to 1; one that nobody called, or that has no quota, is not there.
    """
    use = {}
    for name, counts in calls.items():
        quota = quota_of(*name.split("."))
        if quota is not None:
            taken = counts["count"] - counts["throttled"]
            use[name] = taken / (quota.capacity + seconds * quota.refill_per_second)
    return use


def find_half_rate(name: str) -> float:
    """Tell half of the refill of an API's bucket, in calls a second."""
    quota = quota_of(*name.split("."))
    if quota is None:
        raise ValueError(f"{name} has no quota")
    return quota.refill_per_second / 2


def _find_seconds(name: str, calls: int, left: float) -> float:
    quota = quota_of(*name.split("."))
    if quota is None:
        return 0.0
    return max(0.0, (calls - quota.capacity) / (quota.refill_per_second * left))
