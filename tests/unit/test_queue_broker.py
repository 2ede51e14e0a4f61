"""What the broker tells of itself."""

from typing import Any

import pytest
import structlog

from workers.core.contract import Queue
from workers.core.queue.broker import JobBroker
from workers.core.queue.errors import QueueMissing


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(JobBroker, "_find_url", lambda _broker, name: f"http://queues/{name}")
    made = JobBroker(stack="blue")
    yield made
    made.close()


def find_told(logged: Any) -> list[dict[str, Any]]:
    return [line for line in logged if line["event"] == "worker.consuming"]


def test_a_worker_says_once_that_it_is_up(broker: JobBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last of its consumers runs, and never again: consumers are made anew after a trouble."""
    *others, last = Queue
    with structlog.testing.capture_logs() as logged:
        for queue in others:
            broker.consume(queue.value, prefetch=14)
        with monkeypatch.context() as gone:
            gone.setattr(JobBroker, "_find_url", lambda _broker, name: (_ for _ in ()).throw(QueueMissing([name])))
            with pytest.raises(Exception, match="blue-"):
                broker.consume(last.value, prefetch=14)
        assert find_told(logged) == []
        for queue in (last, *Queue):
            broker.consume(queue.value, prefetch=14)
    (told,) = find_told(logged)
    assert told["log_level"] == "info"
    assert (told["stack"], told["queues"], told["threads"]) == ("blue", sorted(q.value for q in Queue), 7)
