"""Asking the API that runs on this machine."""

from typing import Any, Protocol

import httpx

from producer.local_stack.processes import LocalStackFailed

ANSWER_SECONDS = 60


class NoAnswer(LocalStackFailed):
    """The API did not answer, or could not just now: asking again may help."""


class Door(Protocol):
    """Whoever can ask the API."""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call it; answer the answer's JSON."""


def call_api(api: httpx.Client, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """
    Call the API.

    Parameters:
        api: What connects to it.
        method: The HTTP method.
        path: The path, with its query.
        body: What is sent, as JSON.
        key: By which a request that is repeated is known, and has no second effect.

    Returns:
        The answer's JSON.

    Raises:
        NoAnswer: It did not answer, or with a status of 500 or more.
        LocalStackFailed: It refused.
    """
    try:
        answer = api.request(method, path, json=body, headers={"Idempotency-Key": key} if key else None)
    except httpx.HTTPError as error:
        raise NoAnswer(f"The API does not answer {method} {path}: {error!r}.") from error
    if answer.is_error:
        failed = NoAnswer if answer.is_server_error else LocalStackFailed
        raise failed(f"The API answered {answer.status_code} to {method} {path}: {answer.text}")
    return answer.json()
