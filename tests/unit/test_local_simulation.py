"""What policies allow, as IAM's simulation says it: a denial beats all, a condition is never taken for fulfilled."""

import json
from typing import Any

import pytest

from infra.local.simulation import ALLOW_ALL, decide

ARN = "arn:aws:drs:eu-west-1:111122223333:source-server/s-1"


def policy(**changes: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": "drs:StartRecovery", "Resource": "*", **changes}]})


@pytest.mark.parametrize(
    ("policies", "word"),
    [
        ([], "implicitDeny"),
        ([ALLOW_ALL], "allowed"),
        ([policy()], "allowed"),
        ([policy(Action="DRS:start*")], "allowed"),
        ([policy(Action=["drs:TagResource", "drs:*"])], "allowed"),
        ([policy(Action="drs:StartFailback")], "implicitDeny"),
        ([policy(Resource="arn:aws:drs:*:*:source-server/*")], "allowed"),
        ([policy(Resource="arn:aws:drs:*:*:job/*")], "implicitDeny"),
        ([policy(Action=None, NotAction="iam:*")], "allowed"),
        ([policy(Action=None, NotAction="drs:*")], "implicitDeny"),
        ([policy(Resource=None, NotResource=ARN)], "implicitDeny"),
        ([ALLOW_ALL, policy(Effect="Deny")], "explicitDeny"),
        ([policy(), policy(Effect="Deny", Resource="arn:aws:s3:::*")], "allowed"),
    ],
)
def test_policies_decide(policies: list[str], word: str) -> None:
    """Action and resource must both fit; their patterns are AWS's."""
    policies = [json.dumps(_without_none(json.loads(each))) for each in policies]
    assert decide(policies, "drs:StartRecovery", ARN).word == word


def _without_none(document: Any) -> Any:
    statements = [{name: value for name, value in each.items() if value is not None} for each in document["Statement"]]
    return {"Statement": statements}


def test_a_condition_is_a_key_that_is_missing() -> None:
    """What it would allow is not allowed, and what it would deny not denied; the key is named."""
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    for effect in ("Allow", "Deny"):
        decision = decide([policy(Effect=effect, Condition=condition)], "drs:StartRecovery", ARN)
        assert (decision.word, decision.missing) == ("implicitDeny", {"aws:RequestedRegion"})
