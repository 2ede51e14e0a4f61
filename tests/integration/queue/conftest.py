"""One SQS server a test process, one stack a test."""

from collections.abc import Iterator

import pytest

from tests.integration.queue.sqs import Stack, make_stack, run_sqs


@pytest.fixture(scope="session")
def sqs_variables() -> Iterator[dict[str, str]]:
    with run_sqs() as variables:
        yield variables


@pytest.fixture
def stack(sqs_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name, value in sqs_variables.items():
        monkeypatch.setenv(name, value)
    made = make_stack()
    yield made
    made.client.close()
