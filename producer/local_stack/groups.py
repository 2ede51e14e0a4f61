"""The two groups: their source servers and network, in the stand-in; and where they stand, asked at the API's door."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.process import StandIn
from producer.local_stack.door import Door
from producer.local_stack.scenario import GROUP_NAMES, REFUSAL, REFUSED_MEMBER, REGION, Network, draw_group
from producer.local_stack.sdk import plain_client


def find_network(aws: StandIn) -> Network:
    """Find the subnet and the security group that recovered servers are to have."""
    ec2 = plain_client("ec2", aws.environment)
    subnet = min(ec2.describe_subnets()["Subnets"], key=lambda found: str(found["SubnetId"]))
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    return Network(subnet["SubnetId"], subnet["CidrBlock"], groups["SecurityGroups"][0]["GroupId"])


def draw_groups(aws: StandIn, network: Network, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """
    Make the source servers of both groups, and draw the groups.

    Parameters:
        aws: Where the source servers are made.
        network: Where they land.
        sizes: How many source servers each group has.

    Returns:
        The bodies of `POST /protection-groups`.
    """
    return [
        draw_group(name, aws.control("POST", "servers", {"count": size, "region": REGION})["sourceServerIds"], network)
        for name, size in zip(GROUP_NAMES, sizes, strict=True)
    ]


def refuse_one(aws: StandIn, body: Mapping[str, Any]) -> None:
    """Let DRS refuse the update of one source server of a group, until the stand-in's faults are replaced."""
    members = body["sourceServerIds"]
    fault = {
        "service": "drs",
        "operation": "UpdateLaunchConfiguration",
        "code": REFUSAL,
        "sourceServerId": members[: REFUSED_MEMBER + 1][-1],
    }
    aws.control("PUT", "faults", [fault])


def read_status(door: Door, group_id: str) -> Any:
    """Read a group's status, with one of its source servers."""
    return door.call("GET", f"/protection-groups/{group_id}/launch-config-status?limit=1")


def find_failure(door: Door, group_ids: Sequence[str]) -> Mapping[str, Any]:
    """Find the one source server that failed; one of none or of several names nobody."""
    errors = [error for group_id in group_ids for error in read_status(door, group_id)["errors"]]
    return errors[0] if len(errors) == 1 else {"sourceServerId": None, "code": None, "message": f"{len(errors)} errors"}


def describe_failure(failure: Mapping[str, Any]) -> str:
    """Say which source server failed, at which call, and why."""
    return (
        f"{failure['sourceServerId']}: {failure.get('operation')} answered {failure['code']}: {failure['message']}"
        f" (request {failure.get('requestId')}, attempt {failure.get('attempt')})"
    )


def summarise(door: Door, group_id: str) -> dict[str, Any]:
    """Sum a group up: its status, and how many source servers are ready and have failed."""
    status = read_status(door, group_id)
    ready, failed = status["appliedServers"], status["failedServers"]
    total = ready + failed + status["pendingServers"]
    return {"groupId": group_id, "status": status["status"], "total": total, "ready": ready, "failed": failed}
