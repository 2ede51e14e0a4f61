"""Laws of looking after a run: it is never sent again while it gets on, and never left alone past its time."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.runs import MEMBERS, OPENED_AT, PERIODS, run_over
from workers.core.store.records import RunHead
from workers.sweep.look import Act, decide

HEAD = run_over(MEMBERS, frozenset(MEMBERS)).head
ages = st.integers(0, int(PERIODS.longest.total_seconds()) + 3600).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def heads(draw: st.DrawFn) -> RunHead:
    sent_at = draw(st.none() | st.just(OPENED_AT))
    done = draw(st.integers(0, len(MEMBERS)))
    seen = draw(st.integers(0, done))
    done_at = OPENED_AT + draw(ages) if done else None
    return replace(HEAD, sent_at=sent_at, done=done, done_at=done_at, done_seen=seen, stalls=draw(st.integers(0, 40)))


@given(head=heads(), age=ages, ago=st.integers(0, 599))
def test_trace_17_what_gets_on_is_never_sent_again(head: RunHead, age: timedelta, ago: int) -> None:
    """Trace 17: with an outcome lately, since the last look, a sent run is watched until the longest time is over."""
    now = OPENED_AT + age
    head = replace(head, done_at=now - timedelta(seconds=ago))
    decision = decide(head, now, PERIODS)
    if head.done > head.done_seen and head.sent_at is not None and age < PERIODS.longest:
        assert decision.act is Act.WATCH
        assert decision.look.stalls == 0


@given(last=st.integers(0, 3 * 3600).map(lambda seconds: timedelta(seconds=seconds)), steps=st.integers(1, 40))
def test_a_lost_job_is_sent_again_ten_minutes_after_the_last_outcome(last: timedelta, steps: int) -> None:
    """Whenever the last of many outcomes was: sent again once before its run is given up, and never before its time."""
    head = replace(HEAD, sent_at=OPENED_AT, resend_after=OPENED_AT + PERIODS.stall_after)
    outcomes = [last * step / steps for step in range(steps + 1)]
    acts: list[tuple[Act, timedelta]] = []
    # Source servers settle in even steps, at most ten minutes apart: a longer pause is a loss by itself.
    while last / steps < PERIODS.stall_after and (not acts or acts[-1][0] is Act.WATCH):
        age = head.resend_after - OPENED_AT
        done = [at for at in outcomes if at <= age]
        head = replace(head, done=len(done), done_at=OPENED_AT + done[-1])
        decision = decide(head, head.resend_after, PERIODS)
        acts.append((decision.act, age))
        head = replace(head, resend_after=decision.after.next_at, deadline=decision.after.deadline, done_seen=head.done)
    if acts:
        act, age = acts[-1]
        assert act is Act.REVIVE
        assert last + PERIODS.stall_after <= age <= last + PERIODS.stall_after + PERIODS.send_after
        assert OPENED_AT + last + PERIODS.base_deadline <= head.deadline


@given(head=heads(), age=ages)
def test_no_run_is_left_alone_past_its_time(head: RunHead, age: timedelta) -> None:
    """The next look is in the future, by the deadline at the latest; the deadline only moves on, six hours at most."""
    now = OPENED_AT + age
    decision = decide(head, now, PERIODS)
    assert decision.look.next_at > now or decision.look.next_at == decision.look.deadline
    assert head.deadline <= decision.look.deadline <= max(head.deadline, OPENED_AT + PERIODS.longest)
    if decision.act is not Act.GIVE_UP:
        assert decision.look.next_at <= decision.look.deadline
    if now >= max(head.deadline, OPENED_AT + PERIODS.longest):
        assert decision.act is Act.GIVE_UP


@given(head=heads())
def test_a_run_that_stands_still_is_sent_ever_less_often(head: RunHead) -> None:
    """Each revival doubles the time to the next; one that fails is followed soon. So no storm comes of it."""
    still = replace(head, sent_at=OPENED_AT, done_seen=head.done, stalls=0, deadline=OPENED_AT + timedelta(days=9))
    still = replace(still, resend_after=OPENED_AT)
    now, waits = OPENED_AT, []
    for _ in range(5):
        decision = decide(still, now, PERIODS)
        assert decision.act is Act.REVIVE
        assert decision.look.next_at == now + PERIODS.send_after
        waits.append(decision.after.next_at - now)
        still = replace(still, stalls=decision.after.stalls, resend_after=decision.after.next_at)
        now = decision.after.next_at
    assert waits == [PERIODS.stall_after * 2**n for n in range(1, 6)]


@given(head=heads(), outage=st.integers(301, 5 * 3600).map(lambda seconds: timedelta(seconds=seconds)))
def test_an_outage_costs_no_run_its_time(head: RunHead, outage: timedelta) -> None:
    """A look that comes late by so much moves the deadline by as much, up to the longest time; nothing is given up."""
    decision = decide(head, head.resend_after + outage, PERIODS)
    assert decision.act is not Act.GIVE_UP
    expected = min(head.deadline + outage, OPENED_AT + PERIODS.longest)
    assert decision.look.deadline >= expected


def test_what_gets_on_is_looked_at_again_after_one_interval() -> None:
    """However often it stood still before: only a revival doubles the wait."""
    head = replace(HEAD, sent_at=OPENED_AT, done=2, done_seen=1, stalls=5, deadline=OPENED_AT + timedelta(days=9))
    decision = decide(head, OPENED_AT, PERIODS)
    assert decision.act is Act.WATCH
    assert decision.look == decision.after
    assert (decision.look.next_at, decision.look.stalls) == (OPENED_AT + PERIODS.stall_after, 0)


def test_whoever_gives_a_run_up_is_followed_soon() -> None:
    """Although its deadline is over: who gives it up may die of it."""
    now = HEAD.deadline + PERIODS.longest
    decision = decide(replace(HEAD, sent_at=OPENED_AT, done_seen=HEAD.done, stalls=3), now, PERIODS)
    assert decision.act is Act.GIVE_UP
    assert decision.look.next_at == now + PERIODS.send_after
    assert decision.after.next_at == now + PERIODS.stall_after


def test_an_outage_is_more_than_a_look_that_comes_a_little_late() -> None:
    """Up to the limit the deadline stays; past it, it moves by all of the time that nobody could use."""
    head = replace(HEAD, sent_at=OPENED_AT, done_seen=HEAD.done, resend_after=OPENED_AT)
    late = PERIODS.late_after
    assert decide(head, OPENED_AT + late, PERIODS).look.deadline == head.deadline
    late += timedelta(seconds=1)
    assert decide(head, OPENED_AT + late, PERIODS).look.deadline == head.deadline + late


def test_the_deadline_itself_is_over_for_what_stands_still() -> None:
    """What got on lately has the time of a new run from its last outcome; what was never sent has it from now on."""
    now = HEAD.deadline
    still = replace(HEAD, sent_at=OPENED_AT, done=1, done_seen=1, resend_after=now)
    assert decide(still, now, PERIODS).act is Act.GIVE_UP
    gets_on = decide(replace(still, done_seen=0, done_at=now - PERIODS.send_after), now, PERIODS)
    assert (gets_on.act, gets_on.look.deadline) == (Act.WATCH, now - PERIODS.send_after + PERIODS.base_deadline)
    unsent = decide(replace(still, sent_at=None), now, PERIODS)
    assert (unsent.act, unsent.look.deadline) == (Act.SEND, now + PERIODS.base_deadline)


def test_ten_minutes_without_an_outcome_are_too_many() -> None:
    """To the second: what stands still is sent again when the time has come, not at the next look."""
    head = replace(HEAD, sent_at=OPENED_AT, done=1, done_at=OPENED_AT)
    assert decide(head, OPENED_AT + PERIODS.stall_after, PERIODS).act is Act.REVIVE
    assert decide(head, OPENED_AT + PERIODS.stall_after - timedelta(seconds=1), PERIODS).act is Act.WATCH
