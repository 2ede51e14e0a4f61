"""
Count the jobs that a process holds, over all its queues, so that it takes no more than it can run.

A slot is taken for a message that was received and given back when its outcome is decided; it must never
depend on whether SQS accepted that outcome, or a failed delete would cost the process a slot for good.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta


class Slots:
    """
    The slots of one process, shared by the consumers of its queues. Safe to use from any thread.

    Parameters:
        total: Jobs that the process runs at once: its worker threads.
        reserved: Slots that only the named queue may take; it may take the others too.

    Raises:
        ValueError: If nothing would be left for the other queues.
    """

    def __init__(self, total: int, *, reserved: Mapping[str, int] | None = None) -> None:
        self.total = total
        self._reserved = dict(reserved or {})
        if total < 1 or sum(self._reserved.values()) >= total:
            raise ValueError(f"{total} slots cannot hold {self._reserved} in reserve and run anything else")
        self._used: Counter[str] = Counter()
        self._changed = threading.Condition()

    @property
    def used(self) -> int:
        """Count the jobs that the process holds now."""
        with self._changed:
            return self._used.total()

    def count_free(self, queue: str) -> int:
        """Count the slots that this queue could take now."""
        with self._changed:
            return self._free(queue)

    def take(self, queue: str, wanted: int) -> int:
        """Take as many slots as there are, up to the number wanted, and return how many."""
        with self._changed:
            taken = min(wanted, self._free(queue))
            self._used[queue] += taken
            return taken

    def give_back(self, queue: str, count: int = 1) -> None:
        """Give slots back and wake the consumers that wait for one."""
        with self._changed:
            self._used[queue] -= count
            self._changed.notify_all()

    def wait_for_one(self, queue: str, limit: timedelta) -> bool:
        """Wait until this queue could take a slot; answer False if none came free within the limit."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free(queue) > 0, limit.total_seconds())

    def _free(self, queue: str) -> int:
        kept = sum(max(0, n - self._used[name]) for name, n in self._reserved.items() if name != queue)
        return max(0, self.total - self._used.total() - kept)
