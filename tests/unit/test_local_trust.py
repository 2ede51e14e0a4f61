"""Who may assume a role: the trust policy decides, and what is not understood lets nobody in."""

import json
from typing import Any

import pytest

from infra.local.sts import Caller, may_assume

HUB = "123456789012"


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "sts:AssumeRole",
        **changes,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def caller(account_id: str = HUB, external_id: str | None = None) -> Caller:
    return Caller(f"arn:aws:iam::{account_id}:role/worker", account_id, external_id)


WANTS = {"StringEquals": {"sts:ExternalId": "secret-1"}}


@pytest.mark.parametrize(
    ("trust", "who", "allowed"),
    [
        (policy(), caller(), True),
        (policy(), caller("999999999999"), False),
        (policy(Principal="*"), caller("999999999999"), True),
        (policy(Principal={"AWS": [f"arn:aws:iam::{HUB}:role/worker"]}), caller(), True),
        (policy(Principal={"AWS": f"arn:aws:iam::{HUB}:role/other"}), caller(), False),
        (policy(Principal={"Service": "ec2.amazonaws.com"}), caller(), False),
        (policy(Action="sts:*"), caller(), True),
        (policy(Action="sts:TagSession"), caller(), False),
        (policy(Condition=WANTS), caller(external_id="secret-1"), True),
        (policy(Condition=WANTS), caller(external_id="secret-2"), False),
        (policy(Condition=WANTS), caller(), False),
        (
            policy(Condition={"StringLike": {"STS:ExternalId": "secret-*"}}),
            caller(external_id="secret-9"),
            True,
        ),
        (policy(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), caller(), False),
        (policy(Effect="Deny"), caller(), False),
    ],
)
def test_a_trust_policy_lets_in_whom_it_names(trust: str, who: Caller, allowed: bool) -> None:
    """Principal, action and conditions must all fit."""
    assert may_assume(trust, who) is allowed


def test_a_denial_beats_any_permission() -> None:
    """One statement that denies is enough, even under a condition that is not understood."""
    allow = json.loads(policy())["Statement"][0]
    deny = {**allow, "Effect": "Deny", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}
    assert not may_assume(json.dumps({"Statement": [allow, deny]}), caller())
