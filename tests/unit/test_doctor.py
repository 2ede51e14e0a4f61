"""All checks are made, whatever becomes of one of them; and what cannot be told is never ok."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from producer.cli.answer import ExitStatus
from producer.cli.doctor import find_status
from tests.unit.doctor_rules import arn_of, make_policy, make_rule
from workers.core.doctor.accounts import QUOTAS, Place
from workers.core.doctor.consumers import LOOK_AGAIN
from workers.core.doctor.doctor import Doctor, Report
from workers.core.doctor.finding import Finding, Outcome
from workers.core.doctor.places import PlaceChecks
from workers.core.doctor.ports import Identity, JobsSeen, QueueSeen, RuleSeen, TableSeen, TimeToLive, Verdict
from workers.core.doctor.rules import RULES
from workers.core.doctor.stack import EXPIRING, list_indexes
from workers.core.errors import AccessDenied, PrelaunchError, ServiceUnavailable, SetupError
from workers.core.model.group import Target
from workers.core.store.writes import KEYS

ME = Identity("111122223333", "arn:aws:iam::111122223333:user/ops", "eu-west-1", "env", None)
WELL = QueueSeen(timedelta(seconds=60), None, 1000, waiting=0, in_flight=0, delayed=0)
Broken = PrelaunchError | ValueError


@dataclass
class Own:
    """Our own account, in which one thing may be broken."""

    broken: Mapping[str, Broken] = field(default_factory=dict)
    backlog: list[QueueSeen] = field(default_factory=list)
    """What the queue `p-jobs` is at each look; the last one stays."""
    oldest: timedelta | None = None
    receives: int = 3
    has_role: bool | None = None
    replies: Sequence[str] = ()
    has_bus: bool = True
    looks: int = 0

    def _meet(self, name: str) -> None:
        if name in self.broken:
            raise self.broken[name]

    async def who(self) -> Identity:
        self._meet("who")
        return ME

    async def find_clock_offset(self) -> timedelta | None:
        self._meet("clock")
        return timedelta(0)

    async def describe_table(self, name: str) -> TableSeen | None:
        self._meet(name)
        (table,) = (each for each in KEYS if name == f"p-{each}")
        return TableSeen("ACTIVE", "PAY_PER_REQUEST", KEYS[table], list_indexes(table))

    async def describe_queue(self, name: str) -> QueueSeen | None:
        self._meet(name)
        if name == "p-jobs" and self.backlog:
            self.looks += 1
            return self.backlog[min(self.looks, len(self.backlog)) - 1]
        found = replace(WELL, dead_letter_queue=f"{name}-dlq", arn=arn_of(name))
        return replace(found, policy=make_policy(RULES, name))

    async def describe_time_to_live(self, name: str) -> TimeToLive | None:
        self._meet(f"ttl {name}")
        (attribute,) = (EXPIRING.get(each) for each in KEYS if name == f"p-{each}")
        return TimeToLive(attribute is not None, attribute)

    async def list_queues(self, prefix: str) -> Sequence[str]:
        self._meet("list_queues")
        return self.replies

    async def describe_rule(self, name: str) -> RuleSeen | None:
        self._meet(name)
        (rule,) = (each for each in RULES if name == f"p-{each.name}")
        return make_rule(rule)

    async def has_event_bus(self, name: str) -> bool:
        self._meet("bus")
        return self.has_bus

    async def find_oldest(self, name: str) -> timedelta | None:
        self._meet("oldest")
        return self.oldest

    async def count_receives(self, name: str, reach: timedelta) -> int:
        self._meet("receives")
        return self.receives

    async def may_use(self, arn: str, resources: Mapping[str, Collection[str]]) -> Sequence[Verdict]:
        self._meet("may_use")
        return [Verdict(action, True) for actions in resources.values() for action in actions]

    async def find_role(self, name: str) -> bool | None:
        return self.has_role


@dataclass
class World:
    """Other accounts, some of whose roles do not open."""

    shut: Mapping[Target, PrelaunchError] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)

    async def enter(self, target: Target) -> None:
        if target in self.shut:
            raise self.shut[target]

    async def find_source_server(self, target: Target) -> str | None:
        self._meet("find_source_server")
        return None

    async def may_call(self, target: Target, caller: str, samples: Sequence[str]) -> Sequence[Verdict]:
        self._meet("may_call")
        return [Verdict("drs:StartRecovery", True)]

    async def count_jobs(self, target: Target) -> JobsSeen:
        self._meet("count_jobs")
        return JobsSeen(0, 0)

    async def read_quotas(self, target: Target) -> Mapping[str, float]:
        self._meet("read_quotas")
        return {quota.code: float(quota.assumed) for quota in QUOTAS}

    def _meet(self, name: str) -> None:
        if name in self.broken:
            raise self.broken[name]


@dataclass
class Visit:
    """One examination."""

    report: Report
    waited: list[float]

    def of(self, check: str) -> list[Finding]:
        return [finding for finding in self.report.findings if finding.check == check]

    def outcomes(self) -> dict[tuple[str, str], Outcome]:
        return {(finding.check, finding.subject): finding.outcome for finding in self.report.findings}


def examine(own: Own, world: World | None = None, places: Sequence[Place] | PrelaunchError = ()) -> Visit:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async def find_places(here: Place) -> Sequence[Place]:
        if isinstance(places, PrelaunchError):
            raise places
        return [here, *places]

    checks = PlaceChecks(own, world or World(), find_places)
    doctor = Doctor(own, checks, stack="p", event_bus="told", pause=wait)
    return Visit(asyncio.run(doctor.examine()), waited)


def place(
    group: str, external_id: str | None = None, account_id: str = "444455556666", role: str = "recovery"
) -> Place:
    return Place(Target("eu-west-1", account_id, role, external_id), (group,), ("s-1",))


def test_where_all_is_well_there_is_no_problem_and_nothing_is_waited_for() -> None:
    """Every table, queue and place has its lines, and each is ok."""
    visit = examine(Own(), places=[place("web")])
    assert {*visit.outcomes().values()} == {Outcome.OK}
    assert (visit.report.has_problem, visit.report.is_reachable, visit.waited) == (False, True, [])
    assert [len(visit.of(check)) for check in ("table", "TTL", "queue", "rule")] == [5, 5, 4, 3]
    assert [len(visit.of(check)) for check in ("consumers", "event bus", "DRS", "role")] == [4, 1, 2, 1]


ASKED = (
    "clock",
    "p-runs",
    "ttl p-runs",
    "p-jobs",
    "p-jobs-dlq",
    "p-sweep",
    "list_queues",
    "bus",
    "receives",
    "may_use",
)
OTHERS = ("find_source_server", "may_call", "count_jobs", "read_quotas")


@pytest.mark.parametrize("broken", [AccessDenied("no", code="AccessDeniedException"), ValueError("a bug")])
@pytest.mark.parametrize("name", [*ASKED, *OTHERS])
def test_a_check_that_fails_keeps_no_other_from_being_made(name: str, broken: Broken) -> None:
    """What it would have told is not known, and says why; all that others told stays the same."""
    well = examine(Own()).outcomes()
    visit = examine(Own({name: broken}), World(broken={name: broken}))
    failed = [finding for finding in visit.report.findings if finding.outcome is not Outcome.OK]
    assert failed
    assert {finding.outcome for finding in failed} == {Outcome.NOT_KNOWN}
    assert all(str(broken) in finding.saw for finding in failed)
    assert visit.outcomes().items() - {(f.check, f.subject): f.outcome for f in failed}.items() <= well.items()
    # Of a queue three lines become one, of DRS with its permissions and of quotas two each.
    assert len(visit.report.findings) >= len(well) - 2


def test_where_nobody_answers_who_we_are_the_rest_is_looked_at_all_the_same() -> None:
    """It is a problem with its remedy, and says that AWS is not reached."""
    visit = examine(Own({"who": SetupError("no credentials")}))
    (found,) = visit.of("credentials")
    assert (found.outcome, found.saw, visit.report.is_reachable) == (Outcome.PROBLEM, "no credentials", False)
    assert len(visit.of("table")) == 5
    assert visit.of("DRS") == []


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ({}, ExitStatus.WELL),
        ({"may_use": AccessDenied("no")}, ExitStatus.WELL),
        ({"ttl p-runs": AccessDenied("no")}, ExitStatus.WELL),
        ({"p-runs": AccessDenied("no")}, ExitStatus.NOT_REACHABLE),
        ({"p-jobs": AccessDenied("no")}, ExitStatus.NOT_REACHABLE),
        ({"p-jobs": ValueError("a bug")}, ExitStatus.NOT_REACHABLE),
        ({"find_source_server": ServiceUnavailable("later")}, ExitStatus.NOT_REACHABLE),
        ({"find_source_server": ValueError("a bug")}, ExitStatus.NOT_REACHABLE),
        ({"who": SetupError("nobody answers")}, ExitStatus.NOT_REACHABLE),
    ],
)
def test_health_that_nobody_saw_is_not_claimed(broken: Mapping[str, Broken], status: ExitStatus) -> None:
    """Without tables, queues and DRS nothing is known of the product; what is beside them costs no status."""
    report = examine(Own(broken), World(broken=broken)).report
    assert (find_status(report), report.is_seen) == (status, status is ExitStatus.WELL)


def test_groups_and_roles_that_are_not_seen_are_no_health_either() -> None:
    """They may be in accounts that are shut; a problem that was seen is told all the same."""
    unread = examine(Own(), places=ServiceUnavailable("later"))
    assert find_status(unread.report) is ExitStatus.NOT_REACHABLE
    slow = place("web")
    world = World({slow.target: ServiceUnavailable("no answer")})
    assert find_status(examine(Own(), world, [slow]).report) is ExitStatus.NOT_REACHABLE
    both = examine(Own({"p-runs": AccessDenied("no")}, has_bus=False))
    assert find_status(both.report) is ExitStatus.FAILED


def test_groups_that_cannot_be_read_do_not_hide_our_own_account() -> None:
    """Where they are is not known; our own account and Region are looked at."""
    visit = examine(Own(), places=ServiceUnavailable("later", code="X"))
    (groups,) = visit.of("groups")
    assert (groups.outcome, groups.saw.endswith("X: later")) == (Outcome.NOT_KNOWN, True)
    assert len(visit.of("DRS")) == 1


def test_a_role_that_does_not_open_is_one_line_and_touches_no_other_account() -> None:
    """Nothing else is asked there; another account is looked at as if nothing were."""
    shut, other = place("web"), place("db", account_id="777788889999")
    visit = examine(Own(), World({shut.target: AccessDenied("no", code="AccessDenied")}), [shut, other])
    there = [finding for finding in visit.report.findings if finding.subject == shut.subject]
    assert [(each.check, each.outcome) for each in there] == [("role", Outcome.PROBLEM)]
    assert {o for (_, subject), o in visit.outcomes().items() if subject == other.subject} == {Outcome.OK}


def test_an_external_id_is_wrong_where_the_same_role_opens_by_another() -> None:
    """That is told apart from a role that is not there; with the same one, in another Region say, it is not."""
    right, wrong = place("web", "first-secret"), place("db", "second-secret")
    visit = examine(Own(), World({wrong.target: AccessDenied("no", code="AccessDenied")}), [right, wrong])
    (shut,) = (each for each in visit.of("role") if each.outcome is Outcome.PROBLEM)
    assert "The ExternalId is wrong: the role lets in group web" in shut.remedy
    assert "secret" not in str(visit.report)
    there = Place(Target("eu-central-1", "444455556666", "recovery", "first-secret"), ("far",))
    visit = examine(Own(), World({there.target: AccessDenied("no", code="AccessDenied")}), [right, there])
    (shut,) = (each for each in visit.of("role") if each.outcome is Outcome.PROBLEM)
    assert "AWS does not say which" in shut.remedy


@pytest.mark.parametrize(("has_role", "words"), [(False, "There is no role recovery"), (True, "trust policy")])
def test_a_role_of_our_own_account_can_be_looked_for(*, has_role: bool, words: str) -> None:
    """IAM tells of our own account what STS does not."""
    ours = place("web", account_id=ME.account_id)
    world = World({ours.target: AccessDenied("no", code="AccessDenied")})
    (shut,) = examine(Own(has_role=has_role), world, [ours]).of("role")
    assert words in shut.remedy


def test_an_sts_that_does_not_answer_says_nothing_of_a_role() -> None:
    """Not known, for it may open in a minute."""
    slow = place("web")
    visit = examine(Own(), World({slow.target: ServiceUnavailable("no answer", code="RequestTimeout")}), [slow])
    (found,) = visit.of("role")
    assert (found.outcome, found.saw.startswith("RequestTimeout")) == (Outcome.NOT_KNOWN, True)


@pytest.mark.parametrize(
    ("second", "receives", "outcome"),
    [((0, 1), 0, Outcome.OK), ((5, 0), 0, Outcome.PROBLEM), ((5, 0), 3, Outcome.PROBLEM)],
)
def test_a_backlog_is_looked_at_twice(second: tuple[int, int], receives: int, outcome: Outcome) -> None:
    """A message that was sent just now is taken meanwhile; nothing is said of one that is not."""
    waiting, in_flight = second
    looks = [replace(WELL, waiting=5), replace(WELL, waiting=waiting, in_flight=in_flight)]
    visit = examine(Own(backlog=looks, receives=receives))
    assert visit.waited == [LOOK_AGAIN.total_seconds()]
    assert visit.outcomes()["consumers", "p-jobs"] is outcome


def test_what_is_in_hand_of_one_that_died_is_not_well() -> None:
    """It stays in flight until its visibility ends: of a message in flight alone nothing is known."""
    visit = examine(Own(backlog=[replace(WELL, in_flight=3)], receives=0))
    assert visit.outcomes()["consumers", "p-jobs"] is Outcome.NOT_KNOWN


def test_who_may_not_read_cloudwatch_is_told_of_the_backlog_all_the_same() -> None:
    """The age of the oldest message is not known then."""
    denied = AccessDenied("no", code="AccessDenied", operation="cloudwatch.GetMetricStatistics")
    own = Own({"oldest": denied, "receives": denied}, [replace(WELL, waiting=5)])
    (found,) = (each for each in examine(own).of("consumers") if each.outcome is Outcome.PROBLEM)
    assert found.saw == "5 wait, for how long CloudWatch does not say, and nobody has one in hand"
    (unread, *_) = (each for each in examine(own).of("consumers") if each.outcome is Outcome.NOT_KNOWN)
    assert "cloudwatch:GetMetricStatistics" in unread.remedy
