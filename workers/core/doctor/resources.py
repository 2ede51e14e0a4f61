"""What prelaunch calls, and on which resources: the names that IAM has for both. Pure."""

from collections.abc import Collection, Iterable, Mapping

from workers.core.contract import DEAD_LETTER_QUEUES
from workers.core.doctor.ports import Identity
from workers.core.model.group import Target
from workers.core.queue.names import name_dead_letter_queue, name_queue
from workers.core.store.writes import INDEXES, KEYS

ITEMS = (
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
BUCKET = ("dynamodb:GetItem", "dynamodb:UpdateItem")
MESSAGES = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
)
REPLYING = ("sqs:GetQueueUrl", "sqs:SendMessage")
ANSWERING = ("states:SendTaskSuccess", "states:SendTaskFailure")
DRY_RUNS = (
    "CreateLaunchTemplateVersion",
    "ModifyLaunchTemplate",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchTemplates",
    "DescribeSubnets",
    "DescribeSecurityGroups",
    "DescribeInstanceTypeOfferings",
    "DescribeInstances",
    "DescribeNetworkInterfaces",
)
"""Of EC2; each of them has DryRun (botocore's model)."""
CALLED = (
    ("drs", "DescribeSourceServers"),
    ("drs", "DescribeJobs"),
    ("drs", "GetLaunchConfiguration"),
    ("iam", "ListInstanceProfiles"),
    ("iam", "ListEntitiesForPolicy"),
)
"""Reads that have no DryRun: to make them is the only sure way, and changes nothing."""


def list_resources(identity: Identity, stack: str, event_bus: str) -> Mapping[str, Collection[str]]:
    """
    List what API, command line and workers do with the stack's own resources.

    Parameters:
        identity: Whose account and Region they are in.
        stack: Their prefix.
        event_bus: The name or ARN of the bus that workers tell; "" for none.

    Returns:
        Actions by the resource's ARN.
    """
    arns: dict[str, Collection[str]] = {}
    place = f"{identity.region}:{identity.account_id}"
    start = f"arn:{find_partition(identity)}"
    for table in KEYS:
        arn = f"{start}:dynamodb:{place}:table/{stack}-{table}"
        arns[arn] = BUCKET if table == "rate-buckets" else ITEMS
        arns |= {f"{arn}/index/{index}": ("dynamodb:Query",) for index, (owner, _) in INDEXES.items() if owner == table}
    for queue in DEAD_LETTER_QUEUES:
        for name in (name_queue(stack, queue), name_dead_letter_queue(stack, queue)):
            arns[f"{start}:sqs:{place}:{name}"] = MESSAGES
    if event_bus:
        bus = event_bus if event_bus.startswith("arn:") else f"{start}:events:{place}:event-bus/{event_bus}"
        arns[bus] = ("events:PutEvents",)
    return arns


def list_state_machines(identity: Identity) -> Mapping[str, Collection[str]]:
    """List how tasks are answered, by the ARN of every state machine: which one waits only its token knows."""
    place = f"{identity.region}:{identity.account_id}"
    return {f"arn:{find_partition(identity)}:states:{place}:stateMachine:*": ANSWERING}


def list_reply_queues(identity: Identity, queues: Iterable[str]) -> Mapping[str, Collection[str]]:
    """List how messages are answered, by the ARN of each queue for replies."""
    start = f"arn:{find_partition(identity)}:sqs:{identity.region}:{identity.account_id}"
    return {f"{start}:{queue}": REPLYING for queue in queues}


def list_drs_writes(caller: str, target: Target, source_server_id: str) -> Mapping[str, Collection[str]]:
    """
    List what an apply run and a wave write to DRS, which has no DryRun.

    Parameters:
        caller: The ARN of who writes, for its partition and account.
        target: The Region.
        source_server_id: What it is written to.

    Returns:
        Actions by the resource's ARN (Service Authorization Reference: their forms).
    """
    _, partition, _, _, account_id, *_ = caller.split(":")
    start = f"arn:{partition}:drs:{target.region}:{target.account_id or account_id}"
    return {
        f"{start}:source-server/{source_server_id}": ("drs:UpdateLaunchConfiguration", "drs:StartRecovery"),
        f"{start}:job/drsjob-{'0' * 17}": ("drs:TagResource",),
    }


def build_role_arn(identity: Identity, target: Target) -> str:
    """Build the ARN of a target's role."""
    return f"arn:{find_partition(identity)}:iam::{target.account_id}:role/{target.assume_role_name}"


def find_partition(identity: Identity) -> str:
    """Find the partition that we are in: that of our own ARN."""
    return identity.arn.split(":")[1]
