"""Which jobs of a process may begin, in virtual time: none that keeps others from their slots or turns."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.fakes.pacing import pace
from tests.fakes.virtual_time import now, run_virtually
from workers.aws.pacing.admission import STEP_SECONDS, Admission
from workers.aws.pacing.pacing import Pacing
from workers.core.contract import Queue
from workers.core.errors import OutOfTurns
from workers.core.priority import Priority, set_priority

LONG = timedelta(hours=5)
CREATE = ("ec2", "CreateLaunchTemplateVersion")


def admit(play: Callable[[Pacing, Admission], Awaitable[None]], places: int = 4) -> None:
    """Play with the admission of one process."""

    async def main() -> None:
        pacing = pace()
        await play(pacing, Admission(pacing, places, random.Random(1)))
        await pacing.close()

    run_virtually(main)


def test_trace_26_a_stuck_account_leaves_half_of_the_slots() -> None:
    """Trace 26: jobs of an account whose jobs never end are handed back soon; another account's begin at once."""

    async def play(_pacing: Pacing, admission: Admission) -> None:
        refused: list[tuple[float, OutOfTurns]] = []

        async def hang() -> None:
            begun = now()
            try:
                async with admission.enter("stuck", "us-east-1"):
                    await asyncio.sleep(600)
            except OutOfTurns as error:
                refused.append((now() - begun, error))

        stuck = [asyncio.create_task(hang()) for _ in range(8)]
        await asyncio.sleep(10)
        # As long as nobody else is there, their slots are nobody else's either.
        assert [round(waited) for waited, _ in refused] == [4] * 4
        begun = now()
        async with admission.enter("well", "us-east-1"):
            assert now() == begun
        stuck += [asyncio.create_task(hang()) for _ in range(4)]
        await asyncio.sleep(2)
        assert [round(waited) for waited, _ in refused[4:]] == [1] * 4
        assert all(error.retry_after and error.retry_after >= timedelta(seconds=2) for _, error in refused)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)
        begun = now()
        async with admission.enter("stuck", "us-east-1"):
            assert now() == begun

    admit(play)


def test_urgent_work_finds_a_place_beside_the_rest() -> None:
    """What a wave waits for begins although its account has no place left for anything else."""

    async def play(_pacing: Pacing, admission: Admission) -> None:
        async with admission.enter("1", "us-east-1"), admission.enter("1", "us-east-1"):
            set_priority(Queue.URGENT)
            begun = now()
            async with admission.enter("1", "us-east-1"):
                assert now() == begun

    admit(play, places=2)


def test_nobody_begins_what_would_only_wait_for_turns() -> None:
    """With a queue at the scarcest API a job waits for ten seconds before it reads anything, then comes again."""

    async def play(pacing: Pacing, admission: Admission) -> None:
        bucket = pacing.bucket("1", "us-east-1", *CREATE)
        waiting = [asyncio.create_task(bucket.take(Priority.NORMAL, LONG)) for _ in range(300)]
        await asyncio.sleep(5)
        entered, refused = 0, 0

        async def work() -> None:
            nonlocal entered, refused
            try:
                async with admission.enter("1", "us-east-1"):
                    entered += 1
                    await asyncio.sleep(60)
            except OutOfTurns:
                refused += 1

        jobs = [asyncio.create_task(work()) for _ in range(100)]
        await asyncio.sleep(20)
        # Eight seconds' worth of turns, at five a second.
        assert 30 <= entered <= 50
        assert entered + refused == 100
        for task in [*jobs, *waiting]:
            task.cancel()

    admit(play, places=200)


def test_trace_26_urgent_jobs_of_a_stuck_account_leave_slots_too() -> None:
    """Trace 26, with a wave over the stuck account: of eight slots its urgent jobs take half, all its jobs six."""

    async def play(_pacing: Pacing, admission: Admission) -> None:
        inside = 0

        async def hang(queue: Queue) -> None:
            nonlocal inside
            set_priority(queue)
            try:
                async with admission.enter("stuck", "us-east-1"):
                    inside += 1
                    await asyncio.sleep(600)
            except OutOfTurns:
                return

        urgent = [asyncio.create_task(hang(Queue.URGENT)) for _ in range(8)]
        await asyncio.sleep(10)
        assert inside == 4
        for task in urgent[2:]:
            task.cancel()
        normal = [asyncio.create_task(hang(Queue.NORMAL)) for _ in range(8)]
        await asyncio.sleep(10)
        # Two urgent ones are still there, and the account's half is four.
        assert inside == 4 + 2
        urgent += [asyncio.create_task(hang(Queue.URGENT)) for _ in range(8)]
        await asyncio.sleep(10)
        assert inside == 4 + 2 + 2
        for task in [*urgent, *normal]:
            task.cancel()
        await asyncio.wait([*urgent, *normal])

    admit(play)


@pytest.mark.parametrize("others", [Queue.NORMAL, Queue.BULK])
def test_trace_27_urgent_work_does_not_wait_behind_the_rest_to_begin(others: Queue) -> None:
    """Trace 27: jobs that wait for turns keep other ones from beginning, and nothing that is more urgent."""

    async def play(pacing: Pacing, admission: Admission) -> None:
        bucket = pacing.bucket("1", "us-east-1", *CREATE)

        async def work(queue: Queue) -> float:
            set_priority(queue)
            begun = now()
            try:
                async with admission.enter("1", "us-east-1"):
                    entered = now() - begun
                    priority = Priority.URGENT if queue is Queue.URGENT else Priority.NORMAL
                    for _ in range(10):
                        await bucket.take(priority, LONG)
                    return entered
            except OutOfTurns:
                return float("inf")

        jobs = [asyncio.create_task(work(others)) for _ in range(100)]
        await asyncio.sleep(25)
        assert bucket.count_waiting() > 0
        assert await work(others) > 0
        assert await work(Queue.URGENT) == 0
        for task in jobs:
            task.cancel()
        await asyncio.wait(jobs)

    admit(play, places=200)


def test_jobs_that_come_together_do_not_go_on_in_step() -> None:
    """Each begins a moment after the one before; who comes alone, or is urgent, begins at once."""

    async def play(_pacing: Pacing, admission: Admission) -> None:
        async def begin(queue: Queue = Queue.NORMAL) -> float:
            set_priority(queue)
            await admission.begin()
            return now()

        came = now()
        together = [asyncio.create_task(begin()) for _ in range(50)]
        urgent = await asyncio.create_task(begin(Queue.URGENT))
        began = sorted(await asyncio.gather(*together))
        assert urgent == came == began[0]
        assert began == pytest.approx([came + number * STEP_SECONDS for number in range(50)])
        await asyncio.sleep(10)
        came = now()
        assert await asyncio.create_task(begin()) == came

    admit(play)
