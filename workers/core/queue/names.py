"""The names that the queues have in SQS. Pure: the template, the sender and the broker must never disagree on one."""


def name_queue(stack: str, queue: str) -> str:
    """Build the name that a queue has in SQS."""
    return f"{stack}-{queue}"


def name_dead_letter_queue(stack: str, queue: str) -> str:
    """Build the name that a queue's dead-letter queue has in SQS."""
    return name_queue(stack, dead_letters_of(queue))


def dead_letters_of(queue: str) -> str:
    """Name the dead-letter queue of a queue, both without the stack."""
    return f"{queue}-dlq"
