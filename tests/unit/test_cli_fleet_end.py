"""An apply of a file that is ended in between: Ctrl-C must not leave anybody guessing what was done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from producer.cli.fleet import _apply
from tests.unit.test_fleet_changes import HEAD, STORED, read
from workers.core.fleet.changes import GroupChange, compare
from workers.core.fleet.outcome import Outcome


class Ended:
    """A fleet that is broken off after its first change."""

    async def apply(self, changes: Sequence[GroupChange], _requester: object) -> AsyncIterator[Outcome]:
        yield Outcome(changes[0], "pg-1")
        raise asyncio.CancelledError


def test_who_ends_an_apply_is_told_how_far_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """How many groups of how many, that their runs go on, and that the same file does the rest; with --json too."""
    change = compare(read(description="another"), 0, HEAD, STORED)
    services: Any = SimpleNamespace(fleet=Ended(), caller_arn="arn:aws:iam::111122223333:user/ops")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_apply(services, [change, change, compare(STORED, 1, HEAD, STORED)], as_json=True))
    told = capsys.readouterr()
    assert told.out == ""
    assert "Ended after 1 of 2 groups; their runs go on. The same file, applied again, does the rest." in told.err
