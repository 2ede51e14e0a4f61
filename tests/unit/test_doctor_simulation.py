"""What is asked of IAM's simulation, and what is made of its answer: not known is never allowed, and never denied."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from workers.aws.calls import Calls
from workers.aws.doctor.simulation import Simulation
from workers.core.doctor.ports import Verdict
from workers.core.errors import AccessDenied, InvalidLaunchConfig, PrelaunchError
from workers.core.model.group import Target

SESSION = "arn:aws:sts::111122223333:assumed-role/ops/me"
ROLE = "arn:aws:iam::111122223333:role/ops"
DEEP = "arn:aws:iam::111122223333:role/teams/ops"


@dataclass
class Iam:
    """Answers for one role, by what its policies say of each action."""

    decisions: Mapping[str, tuple[str, list[str]]] = field(default_factory=dict)
    arn: str = ROLE
    refusal: PrelaunchError | None = None
    asked: list[str] = field(default_factory=list)

    async def call(self, _target: Target, _service: str, operation: str, request: dict[str, Any]) -> Any:
        self.asked.append(request.get("PolicySourceArn", operation))
        if self.refusal:
            raise self.refusal
        if operation == "GetRole":
            return {"Role": {"Arn": self.arn}}
        if request["PolicySourceArn"] != self.arn:
            raise InvalidLaunchConfig("no such role", code="NoSuchEntity")
        names = request["ActionNames"]
        name = names[int(request.get("Marker", 0))]
        decision, missing = self.decisions[name]
        result = {"EvalActionName": name, "EvalResourceName": "r", "EvalDecision": decision}
        at = names.index(name) + 1
        more = {"IsTruncated": at < len(names), "Marker": str(at)}
        return {"EvaluationResults": [{**result, "MissingContextValues": missing}], **more}


def ask(iam: Iam, arn: str, *actions: str) -> list[Verdict]:
    simulation = Simulation(cast("Calls", iam))
    return list(asyncio.run(simulation.ask(Target("eu-west-1"), arn, {"r": actions})))


def test_each_decision_is_told_apart_over_every_page() -> None:
    """A condition that the simulation cannot know leaves it open, unless something denies it all the same."""
    iam = Iam(
        {
            "a:may": ("allowed", []),
            "a:must-not": ("explicitDeny", ["aws:x"]),
            "a:may-not": ("implicitDeny", []),
            "a:perhaps": ("implicitDeny", ["aws:SourceIp"]),
        }
    )
    verdicts = ask(iam, ROLE, *iam.decisions)
    assert [each.allowed for each in verdicts] == [True, False, False, None]
    assert "aws:SourceIp" in verdicts[3].why


@pytest.mark.parametrize(
    ("arn", "asked"), [(ROLE, [ROLE, "GetRole", DEEP]), (DEEP, [DEEP]), (SESSION, [ROLE, "GetRole", DEEP])]
)
def test_a_session_is_simulated_by_its_role_and_that_by_its_path(arn: str, asked: list[str]) -> None:
    """The ARN of a session leaves out the path: IAM is asked for it only where it knows no role without one."""
    iam = Iam({"a:may": ("allowed", [])}, DEEP)
    assert ask(iam, arn, "a:may") == [Verdict("a:may", True)]
    assert iam.asked == asked


def test_who_may_not_simulate_and_who_cannot_be_simulated_is_not_known() -> None:
    """With AWS's reason, or ours; root is asked for in vain by nobody."""
    (denied,) = ask(Iam(refusal=AccessDenied("no", code="AccessDenied")), ROLE, "a:may")
    assert (denied.allowed, "AccessDenied: no" in denied.why) == (None, True)
    iam = Iam()
    (root,) = ask(iam, "arn:aws:iam::111122223333:root", "a:may")
    assert (root.allowed, iam.asked) == (None, [])
