"""
Do EventBridge's rules send what infra/template.yaml lets them send, to the right queue, and does it let them in? Pure.

What the template wants stands here in words of our own; a test compares the two.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.core.contract import REQUESTS, SWEEP_ACTOR, WATCH_ACTOR, Queue
from workers.core.doctor.finding import Finding, not_known, ok, problem
from workers.core.doctor.policy import lets_rule_send
from workers.core.doctor.ports import QueueSeen, RuleSeen, RuleTarget
from workers.core.doctor.stack import DEPLOY, ELSEWHERE
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import decode_job

CHECK_DRIFT = "check_drift"
"""The operation that a request with a CloudTrail event asks for."""
PATTERN: Mapping[str, Any] = {
    "source": ["aws.drs", "aws.ec2"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {
        "eventSource": ["drs.amazonaws.com", "ec2.amazonaws.com"],
        "eventName": [
            "UpdateLaunchConfiguration",
            "DisconnectSourceServer",
            "DeleteSourceServer",
            "ModifyLaunchTemplate",
            "DeleteLaunchTemplate",
        ],
    },
}
"""What others change a launch by; a version that is only created changes nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that the template makes."""

    name: str
    """After the stack's."""
    queue: str
    schedule: str | None = None
    """None: events set it off."""
    actor: str | None = None
    """What it sends a job for; None: what it sends asks for a check for drift."""
    without: str = ""
    """What does not happen without it."""


RULES = (
    Rule(
        "sweep", Queue.NORMAL, "rate(1 minute)", SWEEP_ACTOR, "runs that stand still wait for the workers' own timers"
    ),
    Rule("watch", Queue.NORMAL, "rate(6 hours)", WATCH_ACTOR, "drift is looked for by the workers' own timers alone"),
    Rule("changes", REQUESTS, without="what others change is found hours later, by the watch"),
)


def check_rule(rule: Rule, stack: str, seen: RuleSeen | None, queue: QueueSeen | None) -> Finding:
    """
    Compare a rule with what the template wants.

    Parameters:
        rule: Which of ours.
        stack: The stack's name.
        seen: As it is; None where there is none.
        queue: The queue that it must send to; None where there is none.

    Returns:
        The finding; all that is wrong in one.
    """
    name = f"{stack}-{rule.name}"
    if seen is None:
        return problem("rule", name, f"it is not there: {rule.without}", ELSEWHERE)
    wrong = [*_find_wrong_cause(rule, seen), *_find_wrong_target(rule, stack, seen, queue)]
    if not seen.state.startswith("ENABLED"):
        remedy = f"Turn it on: `aws events enable-rule --name {name}`."
        said = "; ".join([f"it is {seen.state}: {rule.without}", *wrong])
        return problem("rule", name, said, f"{remedy} {DEPLOY}" if wrong else remedy)
    if wrong:
        return problem("rule", name, f"{'; '.join(wrong)}: {rule.without}", DEPLOY)
    if queue is not None and lets_rule_send(queue.policy, seen.arn) is None:
        return not_known(
            "rule", name, f"whether the policy of {queue.arn} lets it send: it says more than is understood"
        )
    return ok("rule", name, f"{seen.state}, {rule.schedule or 'on CloudTrail events'}, to {stack}-{rule.queue}")


def _find_wrong_cause(rule: Rule, seen: RuleSeen) -> list[str]:
    if rule.schedule is not None:
        return [] if seen.schedule == rule.schedule else [f"its schedule is {seen.schedule}, not {rule.schedule}"]
    try:
        pattern = json.loads(seen.pattern or "null")
    except ValueError:
        pattern = None
    return (
        [] if _covers(pattern, PATTERN) else [f"its pattern, {seen.pattern}, leaves out some of {json.dumps(PATTERN)}"]
    )


def _covers(found: Any, wanted: Any) -> bool:
    """Tell whether a pattern matches all that another one does: more names widen it, more keys narrow it."""
    if isinstance(wanted, dict):
        same_keys = isinstance(found, dict) and found.keys() == wanted.keys()
        return same_keys and all(_covers(found[key], wanted[key]) for key in wanted)
    return isinstance(found, list) and all(name in found for name in wanted)


def _find_wrong_target(rule: Rule, stack: str, seen: RuleSeen, queue: QueueSeen | None) -> list[str]:
    wanted = f"{stack}-{rule.queue}"
    if queue is None:
        return [f"the queue {wanted} is not there"]
    ours = [target for target in seen.targets if target.arn == queue.arn]
    if not ours:
        others = ", ".join(target.arn for target in seen.targets) or "nothing"
        return [f"it sends to {others}, not to {queue.arn}"]
    wrong = [] if any(_is_sent_right(rule, stack, target) for target in ours) else ["what it sends is not ours"]
    if lets_rule_send(queue.policy, seen.arn) is False:
        wrong.append(f"the policy of {wanted} does not let it send")
    return wrong


def _is_sent_right(rule: Rule, stack: str, target: RuleTarget) -> bool:
    if rule.actor is None:
        return CHECK_DRIFT in (target.template or "")
    try:
        return decode_job(target.input or "", rule.queue, stack=stack).actor_name == rule.actor
    except UnreadableJob:
        return False
