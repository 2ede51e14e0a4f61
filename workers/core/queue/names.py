"""The names of the queues. No I/O: the template, the sender and the broker must never disagree on one."""

JOBS_URGENT = "jobs-urgent"
"""Servers that a wave waits for."""

JOBS = "jobs"
"""One group's apply or update, and the scheduled sweep and watch."""

JOBS_BULK = "jobs-bulk"
"""Work over several groups, drift repair, redrive."""

WORKER_QUEUES = (JOBS_URGENT, JOBS, JOBS_BULK)


def name_queue(stack: str, queue: str) -> str:
    """Build the name that a queue has in SQS."""
    return f"{stack}-{queue}"


def name_dead_letter_queue(stack: str, queue: str) -> str:
    """Build the name that a queue's dead-letter queue has in SQS."""
    return f"{stack}-{queue}-dlq"
