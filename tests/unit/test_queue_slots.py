"""The slots of a process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.queue.slots import Slots


def test_no_more_is_taken_than_there_is() -> None:
    """Asking for more than is free gives what is free."""
    slots = Slots(5)
    assert (slots.take("jobs", 3), slots.take("jobs-bulk", 3), slots.take("jobs", 1)) == (3, 2, 0)
    slots.give_back("jobs", 2)
    assert slots.take("jobs-bulk", 10) == 2


def test_a_reserve_is_for_its_queue_alone() -> None:
    """Others leave the reserve alone; its owner may take it and the rest."""
    slots = Slots(8, reserved={"jobs-urgent": 2})
    assert slots.take("jobs-bulk", 10) == 6
    assert slots.take("jobs-urgent", 10) == 2
    alone = Slots(8, reserved={"jobs-urgent": 2})
    assert alone.take("jobs-urgent", 10) == 8


@pytest.mark.parametrize(("total", "reserve"), [(0, 0), (4, 4), (4, 9)])
def test_slots_that_would_run_nothing_are_refused(total: int, reserve: int) -> None:
    """A reserve that leaves nothing for the other queues is an error at once, not a worker that idles."""
    with pytest.raises(ValueError, match="slots cannot hold"):
        Slots(total, reserved={"jobs-urgent": reserve})


queues = st.sampled_from(["jobs-urgent", "jobs", "jobs-bulk"])


@given(steps=st.lists(st.tuples(queues, st.integers(1, 12), st.booleans())))
def test_never_over_the_total_and_never_into_the_reserve(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever is taken and given back: the total holds, and the urgent queue can have its reserve."""
    slots, held = Slots(10, reserved={"jobs-urgent": 3}), {"jobs-urgent": 0, "jobs": 0, "jobs-bulk": 0}
    for queue, count, giving in steps:
        if giving:
            given = min(count, held[queue])
            slots.give_back(queue, given)
            held[queue] -= given
        else:
            held[queue] += slots.take(queue, count)
        assert slots.used == sum(held.values()) <= 10
        assert held["jobs"] + held["jobs-bulk"] <= 7
