"""
How late an event loop is: a task that sleeps for a moment again and again, and notes by how much more it slept.

What it measures is what every other task on that loop waits at the same time. `python -m tests.benchmarks.probe FILE`
is a loop that does nothing else: by how much it is late is the machine's part.
"""

import array
import asyncio
import math
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PERIOD_SECONDS = 0.01


async def sample(late: "array.array[float]") -> None:
    """Note seconds of lateness, until cancelled."""
    while True:
        wake_at = time.monotonic() + PERIOD_SECONDS
        await asyncio.sleep(PERIOD_SECONDS)
        late.append(max(0.0, time.monotonic() - wake_at))


def find_percentile(late: Sequence[float], percent: float) -> float:
    """Tell below what so many per cent of the samples are, by nearest rank."""
    ranked = sorted(late)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def read_samples(path: Path) -> "array.array[float]":
    """Read what a probe has written."""
    late = array.array("d")
    late.frombytes(path.read_bytes())
    return late


async def _run_idle() -> "array.array[float]":
    late = array.array("d")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    sampling = asyncio.create_task(sample(late))
    await ended.wait()
    sampling.cancel()
    return late


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(asyncio.run(_run_idle()).tobytes())
