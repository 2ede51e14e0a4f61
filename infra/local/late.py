"""
Effects that come after their answers were lost, by the stand-in's own clock.

A late effect must never run twice, and never before its time: a client that has given up relies on both.
"""

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from infra.local.world import World


class LateEffects:
    """Runs what was scheduled when the stand-in's clock reaches it, advanced by hand or not."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed = threading.Condition()
        self._queue: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = count()
        self._thread: threading.Thread | None = None

    def schedule(self, delay_seconds: float, effect: Callable[[], object]) -> None:
        """Run an effect so much later."""
        due = self._world.now() + timedelta(seconds=delay_seconds)
        with self._changed:
            heapq.heappush(self._queue, (due, next(self._order), effect))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="late-effects", daemon=True)
                self._thread.start()
            self._changed.notify()

    def run_due(self) -> None:
        """Run everything that is due now; returns when it has run."""
        while True:
            with self._changed:
                if not self._queue or self._queue[0][0] > self._world.now():
                    self._changed.notify()
                    return
                _, _, effect = heapq.heappop(self._queue)
            effect()

    def _run(self) -> None:
        while True:
            with self._changed:
                pause = None
                if self._queue:
                    pause = max(0.0, (self._queue[0][0] - self._world.now()).total_seconds())
                if pause is None or pause > 0:
                    self._changed.wait(pause)
            self.run_due()
