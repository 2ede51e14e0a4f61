"""What the doctor says of rules, of the policies that let them send, of expiry, and of those who wait to be told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.doctor_rules import PLACE, arn_of, make_job, make_policy, make_rule, make_statement, rule_arn
from tests.unit.test_doctor import WELL, Own, examine
from workers.core.doctor.finding import Outcome
from workers.core.doctor.policy import lets_rule_send
from workers.core.doctor.ports import QueueSeen, RuleSeen, RuleTarget, TimeToLive, Verdict
from workers.core.doctor.rules import PATTERN, RULES, check_rule
from workers.core.doctor.stack import check_time_to_live
from workers.core.doctor.telling import check_event_bus, check_replies, check_task_tokens
from workers.core.errors import AccessDenied, PrelaunchError, ServiceUnavailable

OK, PROBLEM, NOT_KNOWN = Outcome
SWEEP, WATCH, CHANGES = RULES
CALLER = "arn:aws:iam::111122223333:user/ops"


def queue_of(rule: Any) -> QueueSeen:
    name = f"p-{rule.queue}"
    return replace(WELL, arn=arn_of(name), policy=make_policy(RULES, name))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_as_it_is_deployed_is_ok(rule: Any) -> None:
    """Schedule or events, target, message, and the policy that lets it in."""
    found = check_rule(rule, "p", make_rule(rule), queue_of(rule))
    assert (found.outcome, found.check, found.subject) == (OK, "rule", f"p-{rule.name}")


def retarget(rule: RuleSeen, **changes: Any) -> RuleSeen:
    return replace(rule, targets=(replace(rule.targets[0], **changes),))


@pytest.mark.parametrize(
    ("rule", "seen", "words", "remedy"),
    [
        (SWEEP, None, "it is not there", "Deploy the stack"),
        (SWEEP, replace(make_rule(SWEEP), state="DISABLED"), "it is DISABLED", "aws events enable-rule --name p-sweep"),
        (
            WATCH,
            replace(make_rule(WATCH), schedule="rate(6 days)"),
            "its schedule is rate(6 days), not rate(6 hours)",
            "Deploy",
        ),
        (
            SWEEP,
            retarget(make_rule(SWEEP), arn=arn_of("p-jobs-bulk")),
            f"it sends to {arn_of('p-jobs-bulk')}",
            "Deploy",
        ),
        (SWEEP, replace(make_rule(SWEEP), targets=()), "it sends to nothing", "Deploy"),
        (SWEEP, retarget(make_rule(SWEEP), input=make_job("watch")), "what it sends is not ours", "Deploy"),
        (SWEEP, retarget(make_rule(SWEEP), input=make_job("sweep", "q")), "what it sends is not ours", "Deploy"),
        (SWEEP, retarget(make_rule(SWEEP), input=None), "what it sends is not ours", "Deploy"),
        (CHANGES, retarget(make_rule(CHANGES), template=None), "what it sends is not ours", "Deploy"),
        (CHANGES, replace(make_rule(CHANGES), pattern=None), "leaves out some of", "Deploy"),
        (
            CHANGES,
            replace(make_rule(CHANGES), pattern=json.dumps({**PATTERN, "source": ["aws.drs"]})),
            "leaves out some of",
            "Deploy",
        ),
        (
            CHANGES,
            replace(make_rule(CHANGES), pattern=json.dumps({**PATTERN, "region": ["eu-west-1"]})),
            "leaves out some of",
            "Deploy",
        ),
    ],
)
def test_a_rule_that_is_not_the_templates_is_a_problem(rule: Any, seen: Any, words: str, remedy: str) -> None:
    """With what is wrong, what does not happen meanwhile, and what to do."""
    found = check_rule(rule, "p", seen, queue_of(rule))
    assert found.outcome is PROBLEM
    assert words in found.saw
    assert rule.without in found.saw
    assert remedy in found.remedy


def test_more_events_than_the_templates_are_no_problem() -> None:
    """A wider pattern leaves nothing out."""
    wider = {
        **PATTERN,
        "detail": {**PATTERN["detail"], "eventName": [*PATTERN["detail"]["eventName"], "StopReplication"]},
    }
    seen = replace(make_rule(CHANGES), pattern=json.dumps(wider))
    assert check_rule(CHANGES, "p", seen, queue_of(CHANGES)).outcome is OK


def test_a_rule_whose_queue_is_gone_or_shut_sends_nothing() -> None:
    """EventBridge tells nobody what it could not deliver."""
    gone = check_rule(SWEEP, "p", make_rule(SWEEP), None)
    assert (gone.outcome, "the queue p-jobs is not there" in gone.saw) == (PROBLEM, True)
    shut = check_rule(SWEEP, "p", make_rule(SWEEP), replace(queue_of(SWEEP), policy=None))
    assert (shut.outcome, "the policy of p-jobs does not let it send" in shut.saw) == (PROBLEM, True)


def test_a_policy_that_is_not_understood_is_not_known() -> None:
    """What it comes to may be a denial: that is never ok."""
    odd = make_statement([rule_arn(SWEEP)])
    odd["Condition"]["Bool"] = {"aws:SecureTransport": "true"}
    policy = json.dumps({"Statement": odd})
    found = check_rule(SWEEP, "p", make_rule(SWEEP), replace(queue_of(SWEEP), policy=policy))
    assert (found.outcome, "policy" in found.saw) == (NOT_KNOWN, True)


def allow(**changes: Any) -> dict[str, Any]:
    return {**make_statement([rule_arn(SWEEP)]), **changes}


@pytest.mark.parametrize(
    ("statements", "answer"),
    [
        ([allow()], True),
        ([allow(Condition={})], True),
        ([allow(Principal="*", Action=["SQS:*"])], True),
        ([allow(Principal={"AWS": "*"}, Action="*")], True),
        ([allow(Condition={"ArnLike": {"AWS:SourceArn": f"arn:aws:events:{PLACE}:rule/p-*"}})], True),
        ([allow(Condition={"StringEquals": {"aws:SourceArn": rule_arn(SWEEP)}})], True),
        ([allow(Condition={"StringEquals": {"aws:SourceArn": f"arn:aws:events:{PLACE}:rule/*"}})], False),
        ([allow(Condition={"ArnEquals": {"aws:SourceArn": rule_arn(WATCH)}})], False),
        ([allow(Principal={"Service": "sns.amazonaws.com"})], False),
        ([allow(Principal={"AWS": "arn:aws:iam::111122223333:root"})], False),
        ([allow(Action="sqs:ReceiveMessage")], False),
        ([], False),
        ([allow(), allow(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})], None),
        ([allow(), allow(Effect="Deny", Condition={"ArnEquals": {"aws:SourceArn": rule_arn(WATCH)}})], True),
        ([allow(), {"Effect": "Deny", "NotAction": "sqs:ReceiveMessage", "Principal": "*"}], None),
        ([{"Effect": "Allow"}], False),
        (["?"], None),
    ],
)
def test_a_policy_lets_in_whom_it_names(statements: list[Any], answer: bool | None) -> None:
    """And what it says beside that is not known, on the side of a denial too."""
    assert lets_rule_send(json.dumps({"Statement": statements}), rule_arn(SWEEP)) is answer


def test_no_policy_lets_nobody_in_and_one_that_is_no_json_is_not_known() -> None:
    """EventBridge needs one."""
    assert lets_rule_send(None, rule_arn(SWEEP)) is False
    assert lets_rule_send("?", rule_arn(SWEEP)) is None
    assert lets_rule_send("[]", rule_arn(SWEEP)) is None


@pytest.mark.parametrize(
    ("table", "seen", "outcome", "words"),
    [
        ("runs", TimeToLive(is_on=True, attribute="expiresAt"), OK, "items go by expiresAt"),
        ("runs", TimeToLive(is_on=False, attribute="expiresAt"), PROBLEM, "it is off"),
        ("runs", TimeToLive(is_on=False, attribute=None), PROBLEM, "it is off"),
        ("runs", TimeToLive(is_on=True, attribute="until"), PROBLEM, "by until, not by expiresAt"),
        ("waves", TimeToLive(is_on=False, attribute=None), OK, "none, as it has to be"),
        ("waves", TimeToLive(is_on=True, attribute="acceptedAt"), PROBLEM, "by acceptedAt: they must not go"),
    ],
)
def test_what_a_tables_items_go_by_is_looked_at(table: Any, seen: TimeToLive, outcome: Outcome, words: str) -> None:
    """Off, the table grows for ever; by another attribute it loses what is needed."""
    found = check_time_to_live(table, f"p-{table}", seen)
    assert found is not None
    assert (found.outcome, words in found.saw) == (outcome, True)
    assert bool(found.remedy) is (outcome is PROBLEM)


def test_an_event_bus_that_is_not_there_is_a_problem() -> None:
    """EventBridge drops what goes to it in silence."""
    assert check_event_bus("told", is_there=True).outcome is OK
    found = check_event_bus("told", is_there=False)
    assert (found.outcome, "PRELAUNCH_EVENT_BUS" in found.remedy) == (PROBLEM, True)


@pytest.mark.parametrize(("allowed", "outcome"), [(True, OK), (False, NOT_KNOWN), (None, NOT_KNOWN)])
def test_task_tokens_that_cannot_be_answered_everywhere_are_not_known(
    *, allowed: bool | None, outcome: Outcome
) -> None:
    """No setting says that any request hands one on, and a role may be let answer those of one state machine."""
    verdicts = [Verdict("states:SendTaskSuccess", True), Verdict("states:SendTaskFailure", allowed, "implicitDeny")]
    found = check_task_tokens("stack p", CALLER, verdicts)
    assert found.outcome is outcome
    assert ("allow states:SendTaskFailure to the workers" in found.remedy) is (outcome is NOT_KNOWN)


@pytest.mark.parametrize(
    ("queues", "allowed", "outcome", "words"),
    [
        ([], None, OK, "replyTo"),
        (["p-replies"], True, OK, "allowed to send to p-replies"),
        (["p-replies"], False, NOT_KNOWN, "implicitDeny"),
        (["p-replies"], None, NOT_KNOWN, "implicitDeny"),
        (["p-replies", "p-replies-2.fifo"], True, PROBLEM, "no answer goes to p-replies-2.fifo"),
    ],
)
def test_queues_for_replies_are_looked_at_where_there_are_any(
    queues: list[str], allowed: bool | None, outcome: Outcome, words: str
) -> None:
    """Whoever waits there would wait for ever; these credentials need not be those by which messages are answered."""
    found = check_replies("p-replies", CALLER, queues, [Verdict("sqs:SendMessage", allowed, "implicitDeny")])
    assert (found.outcome, words in found.saw) == (outcome, True)
    assert bool(found.remedy) is (outcome is PROBLEM or allowed is False)


DENIALS = [
    ("ttl p-runs", ("TTL", "p-runs"), "dynamodb.DescribeTimeToLive", "dynamodb:DescribeTimeToLive"),
    ("p-sweep", ("rule", "p-sweep"), "events.ListTargetsByRule", "events:ListTargetsByRule"),
    ("bus", ("event bus", "told"), "events.DescribeEventBus", "events:DescribeEventBus"),
    ("list_queues", ("replies", "p-replies…"), "sqs.ListQueues", "sqs:ListQueues"),
    ("p-runs", ("table", "p-runs"), "dynamodb.DescribeTable", "dynamodb:DescribeTable"),
]


@pytest.mark.parametrize(("name", "what", "operation", "action"), DENIALS)
def test_what_may_not_be_asked_is_not_known_and_names_the_permission(
    name: str, what: tuple[str, str], operation: str, action: str
) -> None:
    """Neither ok nor a problem: AWS may have it all right."""
    denied = AccessDenied("not authorized", code="AccessDeniedException", operation=operation)
    (found,) = (each for each in examine(Own({name: denied})).report.findings if (each.check, each.subject) == what)
    assert (found.outcome, found.remedy) == (
        NOT_KNOWN,
        f"Allow {action} to whoever runs this, to have it looked at.",
    )


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("no answer", code="RequestTimeout", operation="dynamodb.DescribeTimeToLive"),
        PrelaunchError("unknown", code="UnknownOperationException", operation="dynamodb.DescribeTimeToLive"),
        AccessDenied("no key", code="InvalidClientTokenId", operation="dynamodb.DescribeTimeToLive"),
    ],
)
def test_what_aws_does_not_answer_is_not_known_without_a_permission(error: PrelaunchError) -> None:
    """No permission helps where a service knows no such call, or does not answer."""
    (found,) = (
        each
        for each in examine(Own({"ttl p-runs": error})).report.findings
        if (each.check, each.subject) == ("TTL", "p-runs")
    )
    assert (found.outcome, found.remedy) == (NOT_KNOWN, "")


def test_a_target_beside_ours_is_nobodys_business() -> None:
    """Whoever listens too does no harm."""
    seen = make_rule(SWEEP)
    beside = replace(seen, targets=(RuleTarget(arn_of("theirs"), None, None), *seen.targets))
    assert check_rule(SWEEP, "p", beside, queue_of(SWEEP)).outcome is OK
