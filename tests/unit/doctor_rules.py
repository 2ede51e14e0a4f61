"""EventBridge's rules and queues' policies as a deployed stack `p` has them."""

import json
from collections.abc import Iterable
from typing import Any

from workers.core.doctor.ports import RuleSeen, RuleTarget
from workers.core.doctor.rules import CHECK_DRIFT, PATTERN, Rule

PLACE = "eu-west-1:111122223333"


def arn_of(queue: str) -> str:
    return f"arn:aws:sqs:{PLACE}:{queue}"


def rule_arn(rule: Rule) -> str:
    return f"arn:aws:events:{PLACE}:rule/p-{rule.name}"


def make_job(actor: str, stack: str = "p") -> str:
    job = {"queue_name": "jobs", "actor_name": actor, "args": [], "kwargs": {}, "options": {"stack": stack}}
    return json.dumps({**job, "message_id": "scheduled", "message_timestamp": 0})


def make_rule(rule: Rule) -> RuleSeen:
    job = make_job(rule.actor) if rule.actor else None
    template = None if rule.actor else json.dumps({"operation": CHECK_DRIFT})
    target = RuleTarget(arn_of(f"p-{rule.queue}"), job, template)
    pattern = None if rule.schedule else json.dumps(PATTERN)
    return RuleSeen(rule_arn(rule), "ENABLED", rule.schedule, pattern, (target,))


def make_statement(arns: list[str]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": arns}},
    }


def make_policy(rules: Iterable[Rule], queue: str) -> str | None:
    arns = [rule_arn(rule) for rule in rules if f"p-{rule.queue}" == queue]
    return json.dumps({"Version": "2012-10-17", "Statement": [make_statement(arns)]}) if arns else None
