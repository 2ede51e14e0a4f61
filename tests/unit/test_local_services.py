"""The backends of the stand-in are called one at a time, where that cannot stop what has to go on."""

from typing import Any

import pytest

from infra.local.httpd import Answer, Request
from infra.local.services import Services


class LookingServices(Services):
    """Calls no backend, and sees whether others could be called meanwhile."""

    def _call(self, _service: str, _environ: dict[str, Any]) -> Answer:
        return Answer(200, b"alone" if self._turn.locked() else b"free")


@pytest.mark.parametrize(
    ("service", "one_at_a_time", "seen"),
    [
        ("dynamodb", True, b"alone"),
        ("drs", True, b"alone"),
        ("sqs", True, b"free"),
        ("", True, b"free"),
        ("dynamodb", False, b"free"),
    ],
)
def test_only_what_cannot_wait_takes_a_turn(
    monkeypatch: pytest.MonkeyPatch, service: str, one_at_a_time: bool, seen: bytes
) -> None:
    """SQS's long polls and what is not signed take no turn, nor does anything where locks are tested."""
    monkeypatch.setattr(Services, "one_at_a_time", one_at_a_time)
    request = Request("POST", "/", {}, b"")
    assert LookingServices(("127.0.0.1", 1))(request, "123456789012", service).body == seen
