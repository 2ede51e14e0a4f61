"""What the roles of infra/service.yaml may: all that the doctor asks for, and nothing of anybody else's."""

import json
import re
from collections.abc import Iterable

import pytest

from infra.local.simulation import decide
from tests.fakes.stack_template import PSEUDO, StackTemplate
from workers.core.doctor.ports import Identity
from workers.core.doctor.resources import (
    CALLED,
    DRY_RUNS,
    REPLYING,
    list_drs_writes,
    list_reply_queues,
    list_resources,
    list_state_machines,
)
from workers.core.model.group import Target

STACK = "recovery"
TEMPLATE = StackTemplate("service.yaml", Stack=STACK, Image="made@sha256:0", EventBus="default")
ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
IDENTITY = Identity(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/1", REGION, "container-role", None)


def list_policies(role: str) -> list[str]:
    """The documents of a role, attached ones of the template too."""
    properties = TEMPLATE.of_kind("AWS::IAM::Role")[role]
    managed = TEMPLATE.of_kind("AWS::IAM::ManagedPolicy")
    attached = [managed[each.strip("()")] for each in properties.get("ManagedPolicyArns", []) if each.startswith("(")]
    return [json.dumps(each["PolicyDocument"]) for each in (*attached, *properties.get("Policies", []))]


def list_denied(role: str, wanted: Iterable[tuple[str, str]], conditions: set[str]) -> list[tuple[str, str]]:
    """What the role may not, of pairs of an action and a resource; conditions on these keys are taken as fulfilled."""
    denied = []
    for action, resource in wanted:
        decision = decide(list_policies(role), action, resource)
        if decision.word != "allowed" and not (decision.missing and decision.missing <= conditions):
            denied.append((action, resource))
    return denied


def list_wanted_of_both() -> list[tuple[str, str]]:
    own = list_resources(IDENTITY, STACK, "")
    wanted = [(action, arn) for arn, actions in own.items() for action in actions]
    reads = [operation for operation in DRY_RUNS if operation.startswith("Describe")]
    return [
        *wanted,
        *((f"{service}:{call}", "*") for service, call in CALLED),
        *((f"ec2:{call}", "*") for call in reads),
    ]


@pytest.mark.parametrize("role", ["FunctionRole", "WorkerRole"])
def test_both_may_what_the_doctor_says_that_they_need(role: str) -> None:
    """Tables, indexes, queues and reads, one by one; and the roles that groups name."""
    assert list_denied(role, list_wanted_of_both(), set()) == []
    assert list_denied(role, [("sts:AssumeRole", "arn:aws:iam::444455556666:role/prelaunch-target")], set()) == []


def test_workers_may_write_and_the_function_may_not() -> None:
    """DRS, launch templates that DRS made, tasks and events; the function answers messages."""
    target = Target(REGION)
    writes = [
        *((action, arn) for arn, actions in list_drs_writes(IDENTITY.arn, target, "s-1").items() for action in actions),
        *((f"ec2:{call}", f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/lt-1") for call in DRY_RUNS[:2]),
        *((action, arn) for arn, actions in list_state_machines(IDENTITY).items() for action in actions),
        ("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
    ]
    assert list_denied("WorkerRole", writes, {"aws:ResourceTag/AWSElasticDisasterRecoveryManaged"}) == []
    assert list_denied("FunctionRole", writes, set()) == writes
    ((queue, actions),) = list_reply_queues(IDENTITY, [f"{STACK}-replies-x"]).items()
    replies = [(action, queue) for action in actions]
    assert actions == REPLYING
    assert list_denied("FunctionRole", replies, set()) == []
    assert list_denied("WorkerRole", replies, set()) == replies


@pytest.mark.parametrize("role", ["FunctionRole", "WorkerRole"])
def test_no_role_may_what_is_another_stack_s(role: str) -> None:
    """Also one whose name begins with ours."""
    theirs = [(action, arn.replace(STACK, f"{STACK}-two")) for action, arn in list_wanted_of_both() if STACK in arn]
    assert theirs
    assert list_denied(role, theirs, set()) == theirs


def test_no_role_may_everything() -> None:
    """Each action is named: none by a pattern, and none of the writes on anything."""
    for role in TEMPLATE.of_kind("AWS::IAM::Role"):
        for document in map(json.loads, list_policies(role)):
            for statement in document["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not [action for action in actions if "*" in action]
                if statement["Resource"] == "*" and "Condition" not in statement:
                    verbs = {re.sub(r"(?<=[a-z])[A-Z].*", "", action.partition(":")[2]) for action in actions}
                    assert verbs <= {"Describe", "Get", "List", "Simulate"}
