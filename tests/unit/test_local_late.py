"""Effects that come late: once, and not before their time."""

import threading

from infra.local.late import LateEffects
from infra.local.world import World


def test_a_late_effect_waits_for_the_clock_and_runs_once() -> None:
    """Advancing the stand-in's clock brings the effect, and only once."""
    world, ran = World(), list[object]()
    late = LateEffects(world)
    late.schedule(3600, lambda: ran.append("late"))
    late.run_due()
    assert ran == []
    world.clock_offset_seconds = 3601
    late.run_due()
    late.run_due()
    assert ran == ["late"]


def test_a_late_effect_comes_by_itself() -> None:
    """Nobody needs to touch the clock."""
    happened = threading.Event()
    LateEffects(World()).schedule(0.01, happened.set)
    assert happened.wait(10)


def test_late_effects_come_in_the_order_of_their_times() -> None:
    """What is due earlier runs earlier, in whatever order it was scheduled."""
    world, ran = World(), list[object]()
    late = LateEffects(world)
    late.schedule(200, lambda: ran.append(2))
    late.schedule(100, lambda: ran.append(1))
    world.clock_offset_seconds = 300
    late.run_due()
    assert ran == [1, 2]
