"""How a worker process comes up where its time runs out: once more, a few times, and never with half of it open."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from workers.aws.clients import Clients
from workers.boot import OPENINGS, OpenedUseCases, OpenUseCases
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.settings import Settings


class Opened:
    """Use cases that do nothing."""

    def __init__(self) -> None:
        self.closed = 0

    async def run_sweeps(self) -> None:
        await asyncio.Event().wait()

    async def run_watches(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed += 1


def open_after(failures: list[Exception], opened: Any) -> tuple[Callable[..., Any], list[Clients]]:
    """Make what wires the use cases, but fails first; and the clients that it was given."""
    given: list[Clients] = []

    async def wire(_: Settings, clients: Clients) -> OpenedUseCases:
        given.append(clients)
        if len(given) <= len(failures):
            raise failures[len(given) - 1]
        return opened  # type: ignore[no-any-return]

    return wire, given


async def test_a_process_that_was_stopped_while_it_came_up_comes_up_all_the_same() -> None:
    """With clients of its own each time; what had been opened before is closed, and the log says why."""
    opened = Opened()
    wire, given = open_after([ServiceUnavailable("not made within 20 s")] * (OPENINGS - 1), opened)
    opening = OpenUseCases(Settings(), wire)
    with capture_logs() as logs:
        await opening._open()
    assert id(opening.wired()) == id(opened)
    assert len({id(clients) for clients in given}) == len(given) == OPENINGS
    closing: Any = opening._closing
    assert len(closing._exit_callbacks) == 1, "clients of an opening that failed are still open"
    assert [(line["event"], line["reason"]) for line in logs] == [("worker.opens_again", "not made within 20 s")] * 2
    await opening._close()
    assert opened.closed == 1


@pytest.mark.parametrize(("failure", "tries"), [(ServiceUnavailable("never"), OPENINGS), (SetupError("no Region"), 1)])
async def test_what_does_not_pass_ends_it(failure: Exception, tries: int) -> None:
    """After a few tries, and at once where trying again cannot help; nothing is taken for open."""
    wire, given = open_after([failure] * OPENINGS, Opened())
    opening = OpenUseCases(Settings(), wire)
    with pytest.raises(type(failure)):
        await opening._open()
    assert len(given) == tries
    with pytest.raises(SetupError, match="No worker has booted"):
        opening.wired()
    await opening._close()
