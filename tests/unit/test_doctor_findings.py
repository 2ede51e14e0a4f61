"""What the doctor says of what it saw: never ok where something is wrong or not known, and what to do about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workers.core.doctor.accounts import (
    QUOTAS,
    Place,
    WayIn,
    check_initialised,
    check_jobs,
    check_permissions,
    check_quotas,
    check_role,
)
from workers.core.doctor.finding import Outcome
from workers.core.doctor.identity import check_clock, describe_identity
from workers.core.doctor.ports import Identity, JobsSeen, QueueSeen, TableSeen, Verdict
from workers.core.doctor.stack import QueueState, check_letters, check_queue, check_table
from workers.core.errors import AccessDenied, AccountNotInitialized, ServiceUnavailable
from workers.core.model.group import Target

OK, PROBLEM, NOT_KNOWN = Outcome
TABLE = TableSeen("ACTIVE", "PAY_PER_REQUEST", ("groupId", "item"), {"unsettled": ("unsettled", "resendAfter")})
QUEUE = QueueSeen(timedelta(seconds=60), "p-jobs-dlq", 1000, waiting=0, in_flight=0, delayed=0)
LETTERS = QueueSeen(timedelta(seconds=30), None, None, waiting=0, in_flight=0, delayed=0)
SECRET = "our-external-id"
PLACE = Place(Target("eu-west-1", "444455556666", "recovery", SECRET), ("web", "db"))
CALLER = "arn:aws:iam::111122223333:user/ops"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "it is not there"),
        (replace(TABLE, status="CREATING"), "it is CREATING"),
        (replace(TABLE, billing="PROVISIONED"), "its billing is PROVISIONED, not PAY_PER_REQUEST"),
        (replace(TABLE, key=("groupId", None)), "its key is groupId, not groupId and item"),
        (replace(TABLE, indexes={}), "its index unsettled is missing"),
        (
            replace(TABLE, indexes={"unsettled": ("unsettled", "lookAt")}),
            "the key of its index unsettled is unsettled and lookAt, not unsettled and resendAfter",
        ),
    ],
)
def test_a_table_that_is_not_the_templates_is_a_problem(seen: TableSeen | None, words: str) -> None:
    """With what is wrong, and what to do."""
    found = check_table("runs", "p-runs", seen)
    assert (found.outcome, found.subject, found.saw) == (PROBLEM, "p-runs", words)
    assert "Deploy" in found.remedy


def test_all_that_is_wrong_with_a_table_is_one_line() -> None:
    """So that nobody deploys twice; and what is right is ok."""
    found = check_table("runs", "p-runs", replace(TABLE, billing="PROVISIONED", indexes={}))
    assert found.saw == "its billing is PROVISIONED, not PAY_PER_REQUEST, its index unsettled is missing"
    assert check_table("runs", "p-runs", TABLE).outcome is OK


@pytest.mark.parametrize(
    ("seen", "letters", "words"),
    [
        (None, LETTERS, "it is not there"),
        (QUEUE, None, "its dead-letter queue p-jobs-dlq is not there"),
        (replace(QUEUE, visibility=timedelta(seconds=30)), LETTERS, "its visibility is 30 s, not 60 s"),
        (replace(QUEUE, dead_letter_queue=None, max_receives=None), LETTERS, "it has no redrive policy"),
        (
            replace(QUEUE, max_receives=5),
            LETTERS,
            "its redrive policy is 5 receives to p-jobs-dlq, not 1000 to p-jobs-dlq",
        ),
    ],
)
def test_a_queue_that_is_not_the_templates_is_a_problem(
    seen: QueueSeen | None, letters: QueueSeen | None, words: str
) -> None:
    """With what is wrong, and what to do; and what is right is ok."""
    found = check_queue(QueueState("p-jobs", seen, letters), "p-jobs-dlq")
    assert (found.outcome, found.saw) == (PROBLEM, words)
    assert "Deploy" in found.remedy
    assert check_queue(QueueState("p-jobs", QUEUE, LETTERS), "p-jobs-dlq").outcome is OK


@pytest.mark.parametrize(
    ("name", "remedy"), [("p-jobs", "prelaunch dlq redrive --all"), ("p-requests", "prelaunch dlq purge")]
)
def test_dead_letters_are_a_problem_with_the_command_that_ends_it(name: str, remedy: str) -> None:
    """Those of requests cannot be redriven; hidden ones count too."""
    letters = replace(LETTERS, waiting=2, in_flight=1)
    found = check_letters(QueueState(name, QUEUE, letters), f"{name}-dlq")
    assert found is not None
    assert (found.outcome, found.saw) == (PROBLEM, "about 3 that nobody could do")
    assert remedy in found.remedy
    none = check_letters(QueueState(name, QUEUE, LETTERS), f"{name}-dlq")
    assert none is not None
    assert none.outcome is OK


@pytest.mark.parametrize(
    ("seconds", "outcome", "words"),
    [
        (0.4, OK, "within 1 s"),
        (-5, OK, "within 5 s"),
        (6, PROBLEM, "6 s behind AWS's"),
        (-400, PROBLEM, "400 s ahead of AWS's"),
        (None, NOT_KNOWN, "Date"),
    ],
)
def test_a_clock_that_is_seconds_off_is_a_problem(seconds: float | None, outcome: Outcome, words: str) -> None:
    """On either side; and where no answer said its time nothing is known."""
    found = check_clock(None if seconds is None else timedelta(seconds=seconds))
    assert found.outcome is outcome
    assert words in found.saw


def test_who_we_are_is_told_with_the_end_of_the_credentials() -> None:
    """Where it is known."""
    ends_at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    found = describe_identity(Identity("111122223333", CALLER, "eu-west-1", "sso", ends_at))
    assert found.subject == "account 111122223333, eu-west-1"
    assert found.saw == f"{CALLER} (from sso; expires 2026-03-04 05:06:07 UTC)"


@pytest.mark.parametrize(
    ("way_in", "words"),
    [
        (
            WayIn(None, None, Place(PLACE.target, ("billing",))),
            "The ExternalId is wrong: the role lets in group billing",
        ),
        (WayIn(may_ask=False, is_there=None, opened_by=None), f"allow {CALLER} sts:AssumeRole on role recovery"),
        (WayIn(may_ask=True, is_there=False, opened_by=None), "There is no role recovery in account 444455556666"),
        (WayIn(may_ask=True, is_there=True, opened_by=None), "let its trust policy let in"),
        (WayIn(may_ask=True, is_there=None, opened_by=None), "AWS does not say which of these it is"),
    ],
)
def test_a_role_that_does_not_let_us_in_is_one_problem_with_its_remedy(way_in: WayIn, words: str) -> None:
    """Told apart as far as AWS lets it be told; the external id itself is never shown."""
    refused = AccessDenied("not authorized", code="AccessDenied")
    found = check_role(PLACE, CALLER, refused, way_in)
    assert found.outcome is PROBLEM
    assert found.saw == "AccessDenied: not authorized (groups: web, db)"
    assert words in found.remedy
    assert SECRET not in str(found)


def test_a_role_that_could_not_be_asked_for_is_not_known() -> None:
    """An STS that does not answer says nothing of the role; one that let us in is ok."""
    found = check_role(PLACE, CALLER, ServiceUnavailable("no answer", code="RequestTimeout"))
    assert (found.outcome, found.saw) == (NOT_KNOWN, "RequestTimeout: no answer (groups: web, db)")
    assert check_role(PLACE, CALLER, None).outcome is OK


def test_many_groups_of_a_place_are_named_in_part() -> None:
    """A line stays a line."""
    assert replace(PLACE, groups=("a", "b", "c", "d", "e")).whose == "a, b, c and 2 more"


def test_drs_that_is_not_initialised_is_a_problem_and_one_that_does_not_tell_is_not_known() -> None:
    """Only DRS's own word for it says that it is not."""
    refused = AccountNotInitialized("Account not initialized", code="UninitializedAccountException")
    found = check_initialised(PLACE, None, refused)
    assert (found.outcome, "--region eu-west-1" in found.remedy) == (PROBLEM, True)
    assert check_initialised(PLACE, None, AccessDenied("no")).outcome is NOT_KNOWN
    assert check_initialised(PLACE, None, None).outcome is OK


def test_permissions_are_ok_only_where_each_call_is_known_to_be_allowed() -> None:
    """One line a service; a denial is named with the action to allow, and what is not known beside it."""
    verdicts = [
        Verdict("ec2:DescribeSubnets", True),
        Verdict("drs:StartRecovery", False, "implicitDeny"),
        Verdict("drs:TagResource", None, "nobody says"),
        Verdict("iam:ListInstanceProfiles", None, "nobody says"),
        Verdict("iam:ListInstanceProfiles", None, "nobody says"),
    ]
    ec2, drs, iam = check_permissions("here", CALLER, verdicts)
    assert (ec2.check, ec2.outcome, ec2.saw) == ("permissions ec2", OK, "allowed: DescribeSubnets")
    assert drs.outcome is PROBLEM
    assert drs.saw == "drs:StartRecovery: implicitDeny; not known: drs:TagResource: nobody says"
    assert drs.remedy == f"Allow {CALLER} drs:StartRecovery."
    assert (iam.outcome, iam.saw) == (NOT_KNOWN, "iam:ListInstanceProfiles: nobody says")


def test_quotas_are_compared_with_what_waves_count_on() -> None:
    """Fewer source servers a job than a wave asks for is a problem; a value that is not there is not known."""
    full = {quota.code: float(quota.assumed) for quota in QUOTAS}
    assert check_quotas(PLACE, full).outcome is OK
    few = check_quotas(PLACE, {**full, "L-B827C881": 50.0})
    assert (few.outcome, "50 source servers in a job" in few.saw) == (PROBLEM, True)
    assert check_quotas(PLACE, {**full, "L-D88FAC3A": 5.0}).outcome is OK
    assert check_quotas(PLACE, {"L-D88FAC3A": 20.0}).outcome is NOT_KNOWN
    denied = check_quotas(PLACE, AccessDenied("no", code="AccessDeniedException"))
    assert (denied.outcome, "prelaunch assumes 20 recovery jobs" in denied.saw) == (NOT_KNOWN, True)


@pytest.mark.parametrize(
    ("jobs", "outcome"),
    [
        (JobsSeen(3, 120), OK),
        (JobsSeen(20, 120), PROBLEM),
        (JobsSeen(3, 500), PROBLEM),
        (AccessDenied("no"), NOT_KNOWN),
    ],
)
def test_quotas_of_jobs_that_are_used_up_are_a_problem(jobs: JobsSeen | AccessDenied, outcome: Outcome) -> None:
    """By the numbers that Service Quotas has, or those that are assumed."""
    assert check_jobs(PLACE, jobs, AccessDenied("no")).outcome is outcome


def test_the_value_of_service_quotas_counts_and_not_the_one_assumed() -> None:
    """An account may have more or less."""
    assert check_jobs(PLACE, JobsSeen(20, 0), {"L-D88FAC3A": 40.0}).outcome is OK
    assert check_jobs(PLACE, JobsSeen(5, 0), {"L-D88FAC3A": 5.0}).outcome is PROBLEM
