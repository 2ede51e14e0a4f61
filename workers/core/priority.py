"""Whose work comes first: of what the running coroutine does, by the queue that its message came by."""

from contextvars import ContextVar
from enum import IntEnum

from workers.core.contract import Queue


class Priority(IntEnum):
    """The lower comes first."""

    URGENT = 0
    """A wave waits for it."""
    NORMAL = 1
    """Somebody asked for one group."""
    BULK = 2
    """Many groups at once, repairs: leaves half of every bucket to the others."""


_PRIORITIES = {Queue.URGENT: Priority.URGENT, Queue.NORMAL: Priority.NORMAL, Queue.BULK: Priority.BULK}
_current: ContextVar[Priority] = ContextVar("priority", default=Priority.NORMAL)


def read_priority() -> Priority:
    """Tell the priority of what runs here."""
    return _current.get()


def set_priority(queue: str) -> None:
    """Set the priority of what runs here from now on to that of a queue, named without the stack."""
    _current.set(_PRIORITIES[Queue(queue)])


def use_priority(priority: Priority) -> None:
    """Set the priority of what runs here from now on, where it is done for somebody else."""
    _current.set(priority)
