"""
`prelaunch worker` with a probe in it: `python -m tests.benchmarks.probed_worker FILE worker …`.

It is the same command, with one middleware more in the process that the command forks: it samples the worker's own
event loop from when the worker consumes until it stops, and notes how many jobs were worked on at once. Needs the
command to fork: a process that is spawned imports everything anew, without the probe, and then there are no samples.
"""

import array
import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.asyncio import get_event_loop_thread

import workers.main
from producer.cli import main
from tests.benchmarks.probe import sample


class Probe(dramatiq.Middleware):
    """Samples the loop, and counts the jobs at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._late = array.array("d")
        self._counting = threading.Lock()
        self._running = self._most = 0

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        """Begin: what the start needs is no stall of a worker that works."""
        thread = get_event_loop_thread()
        assert thread is not None
        asyncio.run_coroutine_threadsafe(sample(self._late), thread.loop)

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Write down what was seen."""
        self._path.write_bytes(self._late.tobytes())
        self._path.with_suffix(".json").write_text(json.dumps({"most": self._most}))

    def before_process_message(self, broker: Any, message: Any) -> None:
        """Count a job that begins."""
        with self._counting:
            self._running += 1
            self._most = max(self._most, self._running)

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        """Count a job that ended."""
        with self._counting:
            self._running -= 1


def _probe(path: Path) -> None:
    set_up = workers.main.set_up

    def set_up_with_probe() -> None:
        set_up()
        dramatiq.get_broker().add_middleware(Probe(path))

    workers.main.set_up = set_up_with_probe


if __name__ == "__main__":
    _probe(Path(sys.argv.pop(1)))
    main()
