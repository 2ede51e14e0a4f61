"""Applying and following many groups in virtual time: how many at once, how many reads, and how each ends."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from producer.cli.ask import OVERDUE, UNANSWERED_POLLS
from producer.cli.reapply.applying import GROUPS_AT_ONCE, Applying, Running
from producer.cli.reapply.board import Lines, Standing, Total
from producer.cli.reapply.bounded import Room, do_all
from producer.cli.reapply.following import Following, find_pause, follow_while
from producer.cli.reapply.interruption import Interrupted, Interruption, heed_signals
from producer.cli.reapply.outcome import Asked, Chosen, GroupOutcome
from tests.fakes.runs import MEMBERS, OPENED_AT, REQUESTER, run_over, status_of
from tests.fakes.virtual_time import now, run_virtually
from workers.core.contract import Queue
from workers.core.errors import GroupDeleted, ServiceUnavailable, SetupError
from workers.core.progress import RunProgress
from workers.core.queries import StatusView
from workers.core.requests import NotFound, RequestRefused
from workers.core.runs.submission import Submitted
from workers.core.status import Status
from workers.core.store.records import RunHead, ServerError, ServerItem

SERVERS = frozenset(MEMBERS[:2])
HEAD = replace(run_over(MEMBERS[:2], SERVERS).head, sent_at=OPENED_AT)
READY = dict.fromkeys(SERVERS, Status.READY)
FAILED = {**READY, MEMBERS[0]: Status.FAILED}
RUN = "run-1"
NOTHING = StatusView("pg-0", None, None, {}, None)
LATE = replace(HEAD, deadline=OPENED_AT - OVERDUE - timedelta(seconds=1))


def make_group(number: int, **changes: Any) -> Chosen:
    group = Chosen(f"pg-{number}", f"group {number}", "us-east-1", "111122223333", SERVERS, is_configured=True)
    return replace(group, **changes)


def submit(**changes: Any) -> Submitted:
    return replace(Submitted(RUN, accepted=True, in_hand=SERVERS, generation=3), **changes)


def make_progress(head: RunHead = HEAD, *, is_there: bool = True, waiting_for: str | None = None) -> RunProgress:
    return RunProgress(head, head.done, is_there, waiting_for)


class Services:
    """Operations whose answers a test says."""

    caller_arn = "me"

    def __init__(self) -> None:
        self.submission = self.progress = self.queries = self
        self.at_once = self.most_at_once = self.reads = 0
        self.read_seconds = 0.0
        self.applied: list[tuple[str, Queue]] = []
        self.on_apply: Callable[[str], Submitted | Exception] = lambda _group: submit()
        self.on_read: Callable[[int], Mapping[str, RunProgress] | Exception] = lambda _count: {}
        self.on_status: Callable[[str], StatusView | Exception] = lambda _group: StatusView(
            "pg-0", None, None, {}, None
        )

    async def apply(self, group_id: str, request: Any, requester: Any, *, queue: Queue) -> Submitted:
        assert requester == REQUESTER
        self.applied.append((group_id, queue))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(1)
        self.at_once -= 1
        answer: Submitted = _answer(self.on_apply(group_id))
        return answer

    async def read(self, generations: Mapping[str, int]) -> Mapping[str, RunProgress]:
        self.reads += 1
        await asyncio.sleep(self.read_seconds)
        found = _answer(self.on_read(self.reads))
        return {name: each for name, each in found.items() if name in generations}

    async def status(self, group_id: str, page: object) -> StatusView:
        answer: StatusView = _answer(self.on_status(group_id))
        return answer


def _answer(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def silent() -> Lines:
    return Lines(lambda: 0.0, lambda _line: None)


def apply(services: Any, groups: list[Chosen], asked: Asked | None = None, interrupt_at: float | None = None) -> Any:
    async def main() -> Any:
        interruption = Interruption()
        if interrupt_at is not None:
            asyncio.get_running_loop().call_later(interrupt_at, interruption.ask, signal.SIGINT)
        applying = Applying(services, REQUESTER, interruption, silent(), lambda _run: None)
        return await applying.apply_all(groups, asked or Asked())

    return run_virtually(main)


class Recorder(Lines):
    """Keeps what is shown."""

    def __init__(self, keep: Callable[[Any], None]) -> None:
        super().__init__(lambda: 0.0, lambda _line: None)
        self._keep = keep

    def show(self, going: Sequence[Standing], total: Total) -> None:
        self._keep((going, total))


async def follow_two(services: Any, keep: Callable[[Any], None]) -> None:
    following = Following(services, Interruption(), Recorder(keep), lambda: OPENED_AT)
    for number in range(2):
        following.add(Running(make_group(number), RUN, 3, SERVERS))
    following.close()
    await following.follow()


def follow(services: Any, count: int = 1, interrupt_at: float | None = None, at: Any = OPENED_AT) -> tuple[Any, float]:
    """Follow so many runs; answer what came of them and how long that took."""

    async def main() -> tuple[Following, float]:
        interruption, began = Interruption(), now()
        if interrupt_at is not None:
            asyncio.get_running_loop().call_later(interrupt_at, interruption.ask, signal.SIGTERM)
        following = Following(services, interruption, silent(), lambda: at)
        for number in range(count):
            following.add(Running(make_group(number), RUN, 3, SERVERS))
        following.close()
        await following.follow()
        return following, now() - began

    return run_virtually(main)


def ask_and_follow(services: Any, count: int, interrupt_at: float | None = None) -> tuple[Following, float]:
    """Ask so many groups and follow their runs; answer what came of them and how long that took."""

    async def main() -> tuple[Following, float]:
        interruption, began = Interruption(), now()
        if interrupt_at is not None:
            asyncio.get_running_loop().call_later(interrupt_at, interruption.ask, signal.SIGINT)
        following = Following(services, interruption, silent(), lambda: OPENED_AT)
        applying = Applying(services, REQUESTER, interruption, silent(), following.add)
        groups = [make_group(number) for number in range(count)]
        await follow_while(following, applying.apply_all(groups, Asked()))
        return following, now() - began

    return run_virtually(main)


# --- applying


def test_hundreds_of_groups_are_asked_so_many_at_once() -> None:
    """Bounded, each once, on the queue for bulk work; one group alone is no bulk work."""
    services = Services()
    applied = apply(services, [make_group(number) for number in range(300)])
    assert services.most_at_once == GROUPS_AT_ONCE
    assert sorted(name for name, _ in services.applied) == sorted(f"pg-{number}" for number in range(300))
    assert {queue for _, queue in services.applied} == {Queue.BULK}
    assert (len(applied.running), applied.outcomes, applied.unbegun) == (300, [], [])
    alone = Services()
    apply(alone, [make_group(0)])
    assert alone.applied == [("pg-0", Queue.NORMAL)]


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (NotFound("It was deleted.", code="GROUP_NOT_FOUND"), "GROUP_NOT_FOUND"),
        (RequestRefused("One is no member.", code="INVALID_BODY"), "INVALID_BODY"),
        (GroupDeleted("It was deleted."), "GROUP_DELETED"),
        (ServiceUnavailable("Others change it."), "SERVICE_UNAVAILABLE"),
    ],
)
def test_a_group_that_is_refused_fails_alone(refused: Exception, code: str) -> None:
    """With its reason in each of its rows; all others are applied."""
    services = Services()
    services.on_apply = lambda group_id: refused if group_id == "pg-1" else submit()
    applied = apply(services, [make_group(number) for number in range(3)])
    assert sorted(each.group.group_id for each in applied.running) == ["pg-0", "pg-2"]
    (outcome,) = applied.outcomes
    assert (outcome.group.group_id, outcome.code, outcome.has_failed) == ("pg-1", code, True)
    assert {row.code for row in outcome.rows} == {code}
    assert applied.unreachable is None


def test_where_our_own_queue_is_missing_no_more_groups_are_asked() -> None:
    """What was not begun is named; what was accepted before is followed no more, and not lost."""
    services = Services()
    services.on_apply = lambda group_id: SetupError("No queue.") if group_id == "pg-20" else submit()
    applied = apply(services, [make_group(number) for number in range(100)])
    assert str(applied.unreachable) == "No queue."
    assert len(services.applied) == 2 * GROUPS_AT_ONCE
    assert len(applied.unbegun) == 100 - 2 * GROUPS_AT_ONCE
    assert len(applied.running) == 2 * GROUPS_AT_ONCE - 1


def test_an_interruption_lets_what_is_begun_come_to_its_end() -> None:
    """No call is broken off in the middle; no group is begun any more, and each of those is named."""
    services = Services()
    applied = apply(services, [make_group(number) for number in range(40)], interrupt_at=0.5)
    assert services.at_once == 0
    assert (len(applied.running), len(applied.unbegun)) == (GROUPS_AT_ONCE, 40 - GROUPS_AT_ONCE)


@pytest.mark.parametrize(
    ("groups", "at", "told"), [(40, 0.5, [(0.5, GROUPS_AT_ONCE)]), (1, 0.5, [(0.5, 1)]), (0, 0.0, [])]
)
def test_an_interruption_is_heard_at_once(groups: int, at: float, told: list[tuple[float, int]]) -> None:
    """Before what is begun has come to its end: how many groups that waits for, where it waits for any."""
    heard: list[tuple[float, int]] = []

    class Endings(Lines):
        def tell_ending(self, groups: int) -> None:
            heard.append((now() - began, groups))

    began = 0.0

    async def main() -> None:
        nonlocal began
        began, interruption = now(), Interruption()
        asyncio.get_running_loop().call_later(at, interruption.ask, signal.SIGINT)
        board = Endings(lambda: 0.0, lambda _line: None)
        applying = Applying(Services(), REQUESTER, interruption, board, lambda _run: None)  # type: ignore[arg-type]  # scripted
        await applying.apply_all([make_group(number) for number in range(groups)], Asked())

    run_virtually(main)
    assert heard == told


@pytest.mark.parametrize(
    ("group", "submitted", "asked", "status"),
    [
        (make_group(0, is_configured=False), submit(), Asked(), "not_configured"),
        (make_group(0), submit(run_id=None), Asked(), "not_configured"),
        (make_group(0), submit(accepted=False, in_hand=frozenset()), Asked(), "ready"),
        (make_group(0), submit(in_hand=frozenset(), statuses=READY), Asked(servers=SERVERS), "ready"),
        (make_group(0), submit(in_hand=frozenset(), statuses=FAILED), Asked(servers=SERVERS), "running"),
        (make_group(0), submit(in_hand=frozenset(), statuses=READY), Asked(), "running"),
    ],
)
def test_where_nothing_is_under_way_nothing_is_waited_for(
    group: Chosen, submitted: Submitted, asked: Asked, status: str
) -> None:
    """No launch config, ready, or a run that is for others; who failed in one, or is about to settle, waits for it."""
    services = Services()
    services.on_apply = lambda _group: submitted
    applied = apply(services, [group], asked)
    assert [*(each.status for each in applied.outcomes), *("running" for _ in applied.running)] == [status]


def test_of_no_groups_none_is_shown() -> None:
    """No bar of nothing; of any others first that none is asked yet."""
    shown: list[tuple[int, int, int]] = []

    class AskedOnly(Lines):
        def show_asked(self, asked: int, groups: int, runs: int) -> None:
            shown.append((asked, groups, runs))

    async def main(count: int) -> None:
        board = AskedOnly(lambda: 0.0, lambda _line: None)
        applying = Applying(Services(), REQUESTER, Interruption(), board, lambda _run: None)  # type: ignore[arg-type]  # scripted
        await applying.apply_all([make_group(number) for number in range(count)], Asked())

    run_virtually(lambda: main(0))
    assert shown == []
    run_virtually(lambda: main(2))
    assert shown == [(0, 2, 0), (1, 2, 1), (2, 2, 2)]


def test_each_group_that_is_over_at_once_has_its_line_then() -> None:
    """Refused, ready or without a launch config: not when all are asked, and none that has a run."""
    services = Services()
    answers: dict[str, Submitted | Exception] = {
        "pg-0": RequestRefused("One is no member.", code="INVALID_BODY"),
        "pg-1": submit(accepted=False, in_hand=frozenset()),
        "pg-2": submit(run_id=None),
    }
    services.on_apply = lambda group_id: answers.get(group_id, submit())
    said: list[tuple[float, str]] = []

    async def main() -> None:
        began = now()
        lines = Lines(lambda: 0.0, lambda line: said.append((now() - began, line)))
        applying = Applying(services, REQUESTER, Interruption(), lines, lambda _run: None)  # type: ignore[arg-type]  # scripted
        await applying.apply_all([make_group(number) for number in range(GROUPS_AT_ONCE + 1)], Asked())

    run_virtually(main)
    assert sorted(said) == [
        (1.0, "group 0 (pg-0) failed: INVALID_BODY: One is no member."),
        (1.0, "group 1 (pg-1) is READY: 2 ready, 0 failed."),
        (1.0, "group 2 (pg-2): no launch config, nothing to apply."),
        (2.0, f"{GROUPS_AT_ONCE + 1} groups asked for: {GROUPS_AT_ONCE - 2} runs."),
    ]


# --- following


def test_reads_are_bounded_however_many_groups_there_are() -> None:
    """At most four reads of a hundred items a second to each table: the more groups, the longer the pause."""
    services = Services()
    services.on_read = lambda count: {
        f"pg-{number}": make_progress(replace(HEAD, outcome=Status.READY) if count > 10 else HEAD)
        for number in range(500)
    }
    following, took = follow(services, 500)
    assert (services.reads, took) == (11, 10 * find_pause(500))
    assert (find_pause(1), find_pause(50), find_pause(51), find_pause(500)) == (0.5, 0.5, 1.0, 5.0)
    assert len(following.outcomes) == 500
    assert following.left == {}


ERROR = ServerError(MEMBERS[0], "ValidationException", "No such subnet.", OPENED_AT, 1)
ITEM = ServerItem(MEMBERS[0], Status.FAILED, 3, "sha256:x", OPENED_AT, 1, errors=(ERROR,))
GROUP_STATUS = status_of(run_over(MEMBERS[:2], SERVERS), Status.FAILED)
SHOWN = StatusView(
    "pg-0",
    GROUP_STATUS,
    None,
    {MEMBERS[0]: (Status.FAILED, "sha256:x", ITEM), MEMBERS[1]: (Status.READY, "sha256:x", None)},
    None,
)


@pytest.mark.parametrize(
    ("progress", "status", "codes"),
    [
        (make_progress(replace(HEAD, outcome=Status.READY)), "ready", {""}),
        (make_progress(replace(HEAD, outcome=Status.READY), is_there=False), "ready", {""}),
        (make_progress(replace(HEAD, outcome=Status.FAILED)), "failed", {"ValidationException", ""}),
        (make_progress(replace(HEAD, superseded_by=4)), "failed", {"SUPERSEDED"}),
        (make_progress(is_there=False), "failed", {"GROUP_NOT_FOUND"}),
        (None, "failed", {"GROUP_NOT_FOUND"}),
        (
            make_progress(LATE),
            "failed",
            {"STILL_PENDING"},
        ),
    ],
)
def test_each_end_of_a_run_is_told(progress: RunProgress | None, status: str, codes: set[str]) -> None:
    """Ready, failed with what AWS said, taken over, deleted, or past its deadline."""
    services = Services()
    services.on_read = lambda _count: {} if progress is None else {"pg-0": progress}
    services.on_status = lambda _group: SHOWN
    following, took = follow(services)
    (outcome,) = following.outcomes
    assert isinstance(outcome, GroupOutcome)
    assert (outcome.status, {row.code for row in outcome.rows}) == (status, codes)
    assert {row.server for row in outcome.rows} == SERVERS
    assert (services.reads, took) == (1, 0.0)
    assert outcome.has_failed == (status == "failed")


def test_a_run_that_is_just_late_is_waited_for() -> None:
    """Until somebody has had the time to settle it."""
    services = Services()
    late = replace(HEAD, deadline=OPENED_AT - OVERDUE)
    services.on_read = lambda count: {"pg-0": make_progress(replace(late, outcome=Status.READY if count > 3 else None))}
    following, _ = follow(services)
    assert [each.status for each in following.outcomes] == ["ready"]


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (replace(SHOWN, status=replace(GROUP_STATUS, generation=4)), "SUPERSEDED"),
        (replace(SHOWN, status=None), "SUPERSEDED"),
        (NotFound("It is gone.", code="GROUP_NOT_FOUND"), "GROUP_NOT_FOUND"),
    ],
)
def test_a_failure_that_cannot_be_read_any_more_is_one_all_the_same(shown: Any, code: str) -> None:
    """What a newer run says of the source servers is not passed off as this one's."""
    services = Services()
    services.on_read = lambda _count: {"pg-0": make_progress(replace(HEAD, outcome=Status.FAILED))}
    services.on_status = lambda _group: shown
    (outcome,) = follow(services)[0].outcomes
    assert {row.code for row in outcome.rows} == {code}


def test_an_outage_is_borne_and_one_without_end_is_told() -> None:
    """Our tables may fail for minutes, and each answer begins that anew; the runs are still there when it ends."""
    services = Services()
    down = ServiceUnavailable("DynamoDB does not answer.")
    answers = {UNANSWERED_POLLS + 1: {"pg-0": make_progress()}}
    services.on_read = lambda count: answers.get(count, down)
    following, _ = follow(services)
    assert following.unreachable is down
    assert services.reads == UNANSWERED_POLLS + 1 + UNANSWERED_POLLS + 1
    assert [each.status for each in following.find_pending()] == ["pending"]
    services = Services()
    services.on_read = lambda _count: SetupError("The credentials expired.")
    following, took = follow(services)
    assert (str(following.unreachable), services.reads, took) == ("The credentials expired.", 1, 0.0)


def test_each_outage_is_told_once() -> None:
    """When it begins: who waits sees nothing else move until it ends; an error without end is told in the end."""
    services = Services()
    down = ServiceUnavailable("DynamoDB does not answer.")
    answers = {3: {"pg-0": make_progress()}, 6: {"pg-0": make_progress(replace(HEAD, outcome=Status.READY))}}
    services.on_read = lambda count: answers.get(count, down)
    said: list[tuple[int, str]] = []

    async def main() -> None:
        lines = Lines(lambda: 0.0, lambda line: said.append((services.reads, line)))
        following = Following(services, Interruption(), lines, lambda: OPENED_AT)  # type: ignore[arg-type]  # scripted
        following.add(Running(make_group(0), RUN, 3, SERVERS))
        following.close()
        await following.follow()

    run_virtually(main)
    told = "the runs go on, and are looked at again: DynamoDB does not answer."
    assert said == [(1, told), (4, told), (6, "group 0 (pg-0) is READY: 2 ready, 0 failed.")]


def test_a_failure_that_cannot_be_read_just_now_is_read_at_the_next_look() -> None:
    """An outage in between loses no reason."""
    services = Services()
    services.on_read = lambda _count: {"pg-0": make_progress(replace(HEAD, outcome=Status.FAILED))}
    services.on_status = lambda _group: ServiceUnavailable("Not now.") if services.reads < 3 else SHOWN
    (outcome,) = follow(services)[0].outcomes
    assert outcome.rows[0].code == "ValidationException"
    assert services.reads == 3


def test_a_failure_that_can_never_be_read_is_not_waited_for_without_end() -> None:
    """As a look that is never answered; what can be read is told meanwhile."""
    services = Services()
    services.on_read = lambda _count: {
        "pg-0": make_progress(replace(HEAD, outcome=Status.FAILED)),
        "pg-1": make_progress(replace(HEAD, outcome=Status.READY)),
    }
    services.on_status = lambda _group: ServiceUnavailable("Not now.")
    following, _ = follow(services, 2)
    assert [each.group.group_id for each in following.outcomes] == ["pg-1"]
    assert [each.group.group_id for each in following.find_pending()] == ["pg-0"]
    assert (str(following.unreachable), services.reads) == ("Not now.", UNANSWERED_POLLS + 1)


def test_an_interruption_ends_the_wait_at_once() -> None:
    """Also in the middle of a pause; nothing is asked any more, and what is pending is known."""
    services = Services()
    services.on_read = lambda _count: {f"pg-{number}": make_progress() for number in range(500)}
    following, took = follow(services, 500, interrupt_at=7.0)
    assert (took, services.reads) == (7.0, 2)
    assert len(following.find_pending()) == 500


def test_what_a_run_waits_for_is_shown() -> None:
    """By the group that waits, with how many are done of all."""
    services = Services()
    waiting = make_progress(replace(HEAD, done=1), waiting_for="tokens: AWS throttles")
    services.on_read = lambda count: {
        "pg-0": make_progress(replace(HEAD, outcome=Status.READY)),
        "pg-1": waiting if count < 5 else make_progress(replace(HEAD, outcome=Status.READY)),
    }
    shown: list[Any] = []
    run_virtually(lambda: follow_two(services, shown.append))
    (going, total), *_, last = shown
    assert [(each.name, each.done, each.listed, each.waiting_for) for each in going] == [
        ("group 1", 1, 2, "tokens: AWS throttles")
    ]
    assert total == Total(3, 4)
    assert last == ([], Total(4, 4))


@pytest.mark.parametrize(
    ("done", "in_hand", "outcome", "before"),
    [
        (0, MEMBERS[:10], None, 0),
        # A run of our own, some of it done by the first look.
        (4, MEMBERS[:10], None, 0),
        (10, MEMBERS[:10], Status.READY, 0),
        # A run that was in hand already.
        (6, MEMBERS[6:10], None, 6),
        (7, MEMBERS[6:10], None, 6),
        (10, MEMBERS[6:10], Status.READY, 6),
        # Only one of its source servers was asked for.
        (6, MEMBERS[9:10], None, 6),
    ],
)
def test_what_a_run_did_before_it_was_asked_for_is_known(
    done: int, in_hand: Sequence[str], outcome: Status | None, before: int
) -> None:
    """From how much it had still to do: none of it is taken for the pace of this re-apply, and no other is lost."""
    head = replace(HEAD, listed=10, done=done, outcome=outcome)
    services = Services()
    services.on_read = lambda count: {
        "pg-0": make_progress(head if count == 1 else replace(head, outcome=Status.READY))
    }
    shown: list[Any] = []

    async def main() -> None:
        following = Following(services, Interruption(), Recorder(shown.append), lambda: OPENED_AT)  # type: ignore[arg-type]  # scripted
        following.add(Running(make_group(0), RUN, 3, frozenset(in_hand)))
        following.close()
        await following.follow()

    run_virtually(main)
    assert shown[0][1] == Total(done, 10, before)
    assert shown[-1][1] == Total(10, 10, before)


def test_runs_are_followed_while_others_are_asked_for() -> None:
    """From the first one on; one that joins during a look is in the next, and as many looks as ever are taken."""
    services = Services()
    services.read_seconds = 1.5
    shown: list[tuple[int, int, int]] = []
    services.on_read = lambda count: {
        f"pg-{number}": make_progress(replace(HEAD, outcome=Status.READY if count > 20 else None))
        for number in range(300)
    }

    async def main() -> tuple[Following, Any]:
        def keep(each: Any) -> None:
            shown.append((len(services.applied), len(each[0]), each[1].listed))

        interruption, board = Interruption(), Recorder(keep)
        following = Following(services, interruption, board, lambda: OPENED_AT)  # type: ignore[arg-type]  # scripted
        applying = Applying(services, REQUESTER, interruption, board, following.add)  # type: ignore[arg-type]  # scripted
        groups = [make_group(number) for number in range(300)]
        return following, await follow_while(following, applying.apply_all(groups, Asked()))

    following, applied = run_virtually(main)
    assert shown[0] == (3 * GROUPS_AT_ONCE, 2 * GROUPS_AT_ONCE, 4 * GROUPS_AT_ONCE), "not from the first groups on"
    assert sum(asked < 300 for asked, _, _ in shown) >= 5
    assert {each.status for each in following.outcomes} == {"ready"}
    assert len(following.outcomes) == len(applied.running) == 300
    assert services.reads == 21


def test_groups_of_which_none_has_a_run_cost_no_look() -> None:
    """Nothing is read while nothing is under way, and the end is at once."""
    services = Services()
    services.on_apply = lambda _group: submit(accepted=False, in_hand=frozenset())
    following, took = ask_and_follow(services, 300)
    assert (services.reads, following.left, took) == (0, {}, 19.0)


def test_an_interruption_while_groups_are_asked_ends_the_looks() -> None:
    """What is begun is asked to its end and known as pending."""
    services = Services()
    services.on_read = lambda _count: {f"pg-{number}": make_progress() for number in range(300)}
    following, took = ask_and_follow(services, 300, interrupt_at=2.5)
    assert (len(following.find_pending()), took) == (3 * GROUPS_AT_ONCE, 3.0)
    reads = services.reads
    assert 0 < reads < 5


def test_where_our_own_queue_is_missing_nobody_waits_for_the_runs() -> None:
    """The looks end with the asking; the runs that go on are known."""
    services = Services()
    services.on_read = lambda _count: {f"pg-{number}": make_progress() for number in range(300)}
    services.on_apply = lambda group_id: SetupError("No queue.") if group_id == "pg-20" else submit()
    following, took = ask_and_follow(services, 100)
    assert (len(following.left), took) == (2 * GROUPS_AT_ONCE - 1, 2.0)


# --- interruption


async def test_a_signal_breaks_off_what_only_reads() -> None:
    """And no more than that: what is awaited without being broken off goes on; afterwards signals are as before."""
    before = signal.getsignal(signal.SIGTERM)
    with heed_signals() as interruption:
        assert await interruption.unless_asked(asyncio.sleep(0, "answer")) == "answer"
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        with pytest.raises(Interrupted):
            await interruption.unless_asked(asyncio.Event().wait())
        assert interruption.signal is signal.SIGTERM
        assert interruption.is_asked
        await interruption.pause(3600)
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_the_second_signal_ends_all() -> None:
    """Who presses Ctrl-C twice does not want to wait for anything."""

    async def work() -> None:
        with heed_signals() as interruption:
            interruption.ask(signal.SIGINT)
            interruption.ask(signal.SIGINT)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_one_failure_ends_what_is_done_for_all() -> None:
    """Nothing goes on in the background."""
    ended: list[int] = []

    async def work(number: int) -> int:
        if number == 1:
            raise SetupError("No table.")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
        return number

    with pytest.raises(SetupError):
        await do_all([0, 1, 2], work, at_once=2)
    await asyncio.sleep(0)
    assert set(ended) >= {0}


def test_answers_come_in_the_order_of_what_was_asked() -> None:
    """However long each takes; how many are done is told when each is."""

    async def work(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    told: list[tuple[float, int, int]] = []

    async def main() -> list[int]:
        began = now()
        return await do_all([3, 1, 2], work, tell=lambda done, of: told.append((now() - began, done, of)))

    assert run_virtually(main) == [3, 1, 2]
    assert told == [(0, 0, 3), (1, 1, 3), (2, 2, 3), (3, 3, 3)]


def test_groups_share_the_room_for_source_servers() -> None:
    """No more at once than there is room for, however large a group is; many small ones go side by side."""
    at_once, most, groups = 0, 0, 0

    async def main(sizes: Sequence[int]) -> float:
        room, began = Room(8), now()

        async def work(size: int) -> None:
            nonlocal at_once, most, groups
            async with room.take(size):
                at_once += min(size, 8)
                groups += 1
                most = max(most, at_once)
                await asyncio.sleep(1)
                at_once -= min(size, 8)

        await do_all(sizes, work)
        return now() - began

    assert run_virtually(lambda: main([2] * 12)) == 3.0
    assert most == 8
    assert run_virtually(lambda: main([5, 5, 20, 0, 3])) == 4.0
    assert (most, groups) == (8, 17)


def test_who_gives_up_waiting_for_room_leaves_it_to_others() -> None:
    """Places that it had taken already are free again, and so is its turn: nobody waits for ever."""

    async def main() -> float:
        began, room = now(), Room(3)
        async with room.take(2):
            waiting = asyncio.create_task(room.take(3).__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
            async with room.take(1):
                pass
        async with room.take(3):
            return now() - began

    assert run_virtually(main) == 0.0
