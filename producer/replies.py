"""Answers that are sent to a queue: to which queues, and what is said where no message can hold the answer. Pure."""

import json
import re
from typing import Any

from producer.ask import Answer
from workers.core.contract import DEAD_LETTER_QUEUES, REPLIES
from workers.core.model.errors import show
from workers.core.queue.names import name_dead_letter_queue, name_queue

MOST_BYTES = 2**20
"""What SQS takes of one message (source: AWS, SQS quotas); more may be allowed of no queue."""
TOO_LARGE = "ANSWER_TOO_LARGE"
FIRST_ERRORS = 20
_NAME = re.compile("[A-Za-z0-9_-]{1,80}")
"""Of a standard queue (source: SQS, CreateQueue)."""
_OWN = tuple(name("", queue) for queue in DEAD_LETTER_QUEUES for name in (name_queue, name_dead_letter_queue))
"""How the names of a stack's own queues end: that of another stack may begin like this one's replies."""


def find_fault(queue: object, stack: str) -> str | None:
    """
    Tell why a queue cannot be answered to.

    Parameters:
        queue: What a message names, any JSON value.
        stack: The installation's.

    Returns:
        The reason; None where it can be.
    """
    begins = name_queue(stack, REPLIES)
    if isinstance(queue, str) and queue.startswith(begins) and _NAME.fullmatch(queue) and not queue.endswith(_OWN):
        return None
    return (
        f"replyTo must be the name of a standard queue of this account that begins with {begins} and does not end as a"
        f" stack's own queues do ({', '.join(_OWN)}), not {show(queue)}."
    )


def write_reply(answer: Answer, correlation_id: str | None) -> str:
    """
    Write an answer as a message; one that no message holds is told of, with the way to it.

    Parameters:
        answer: The answer.
        correlation_id: By what whoever waits knows it; None where nothing was given.

    Returns:
        JSON, as much as SQS takes.
    """
    told: dict[str, Any] = answer.render()
    if answer.asked is not None:
        told = {"operation": answer.asked.operation, **told}
    if correlation_id is not None:
        told["correlationId"] = correlation_id
    text = json.dumps(told)
    if len(text) <= MOST_BYTES:
        return text
    return json.dumps({**told, "body": _explain(answer, len(text))})


def _explain(answer: Answer, size: int) -> dict[str, Any]:
    much = f"{size} bytes, and a message holds {MOST_BYTES}."
    if answer.is_refused:
        errors = answer.document["errors"]
        more = f"Of its {len(errors)} errors these are the first {FIRST_ERRORS}: the answer has {much}"
        detail = f"{answer.document['detail']} {more}"
        return {**answer.document, "detail": detail, "errors": errors[:FIRST_ERRORS]}
    detail = f"It was done as statusCode says, but the answer has {much} {_find_way(answer)}"
    return {"code": TOO_LARGE, "detail": detail, "answerBytes": size, "mostBytes": MOST_BYTES}


def _find_way(answer: Answer) -> str:
    asked = answer.asked
    if asked is None:
        raise ValueError("What is no request is refused.")
    path = answer.headers.get("Location") or asked.path
    if asked.has_pages:
        return f"Ask for it in pages: with a smaller limit, then with the nextToken of each. Over HTTP: GET {path}."
    if "Location" not in answer.headers and asked.method == "POST":
        path = path.rpartition("/")[0]
    return f"Read it over HTTP: GET {path}."
