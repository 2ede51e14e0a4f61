"""What a pending group waits for: what holds its source servers up, and once nothing does, its own status."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes.runs import MEMBERS, OPENED_AT, run_over, status_of
from workers.core.errors import (
    JobInProgress,
    LeaseHeld,
    OutOfTurns,
    QuotaExceeded,
    RetryableError,
    ServiceUnavailable,
    Throttled,
)
from workers.core.queries import Page, Queries
from workers.core.runs.waiting import SETTLING, describe_wait, read_wait
from workers.core.status import Status
from workers.core.store.records import Counts, RunHead, ServerItem
from workers.core.store.runs import Run

RUN = run_over(MEMBERS[:2], frozenset(MEMBERS[:2]))
NOTED = replace(RUN.head, sent_at=OPENED_AT, waiting_for="tokens: AWS throttles", waiting_at=OPENED_AT)
SILENT = "workers: no outcome since 2026-01-02T03:04:05Z: see whether workers run, and `prelaunch dlq list`"
LATER = OPENED_AT + timedelta(seconds=1)


@pytest.mark.parametrize("head", [NOTED, replace(NOTED, sent_at=None), replace(NOTED, waiting_for=None)])
@pytest.mark.parametrize("held_by", [None, "wave-1"])
def test_a_group_without_a_pending_member_waits_for_its_status(head: RunHead, held_by: str | None) -> None:
    """Whatever was noted before: the source servers wait for nothing any more."""
    status = replace(status_of(RUN), counts=Counts(1, 1, 0), held_by=held_by)
    assert read_wait(status, head, LATER) == SETTLING
    assert read_wait(replace(status, counts=Counts(1, 0, 1)), head, LATER) != SETTLING
    assert read_wait(replace(status, status=Status.FAILED), head, LATER) is None


class Stores:
    """A group whose status was written when its run was opened, and the outcomes that there are since."""

    def __init__(self, run: Run, head: RunHead, servers: dict[str, ServerItem]) -> None:
        self._run, self._head, self._servers = run, head, servers
        self._status = replace(status_of(run), counts=Counts(0, 0, 2))

    async def read_status(self, _group_id: str) -> Any:
        return self._status

    async def read_run(self, _group_id: str, _generation: int) -> Run:
        return self._run

    async def read_head(self, _group_id: str, _generation: int) -> RunHead:
        return self._head

    async def read_servers(self, _group_id: str) -> dict[str, ServerItem]:
        return self._servers


@pytest.mark.parametrize(("recorded", "said"), [(1, NOTED.waiting_for), (2, SETTLING)])
async def test_an_answer_never_tells_an_old_wait_beside_no_pending_server(recorded: int, said: str) -> None:
    """The words go with the counts beside them, and not with those that the status was opened with."""
    items = {
        member: ServerItem(member, Status.READY, RUN.head.generation, RUN.config_hashes[member], OPENED_AT, attempts=1)
        for member in MEMBERS[:recorded]
    }
    stores: Any = Stores(RUN, NOTED, items)
    view = await Queries(stores, stores, lambda: LATER).status("pg-1", Page())
    assert view.status is not None
    assert (view.status.status, view.status.counts.pending, view.waiting_for) == (Status.PENDING, 2 - recorded, said)


@pytest.mark.parametrize(
    ("head", "seconds", "held_by", "waits_for"),
    [
        (NOTED, 0, None, "tokens: AWS throttles"),
        (NOTED, 120, None, "tokens: AWS throttles"),
        (NOTED, 121, None, SILENT),
        (NOTED, 0, "wave-1", "hold: wave-1 is launching this group"),
        (replace(NOTED, sent_at=None), 0, None, "jobs: they are not sent yet"),
        (replace(NOTED, waiting_for=None), 0, None, None),
        (replace(NOTED, waiting_at=None), 0, None, None),
        (replace(NOTED, waiting_for=None, waiting_at=None), 0, None, None),
        (NOTED, 121, "wave-1", "hold: wave-1 is launching this group"),
        (replace(NOTED, sent_at=None), 121, None, "jobs: they are not sent yet"),
    ],
)
def test_a_note_is_believed_for_a_while(
    head: RunHead, seconds: int, held_by: str | None, waits_for: str | None
) -> None:
    """A hold comes before it, and so does that nothing was sent; one without its time is none."""
    hold: dict[str, Any] = {"held_by": held_by, "held_until": LATER + timedelta(hours=6), "launching": True}
    status = replace(status_of(RUN), counts=Counts(0, 0, 2), **(hold if held_by else {}))
    assert read_wait(status, head, OPENED_AT + timedelta(seconds=seconds)) == waits_for


@pytest.mark.parametrize("ended", [{"launching": False}, {"held_until": OPENED_AT}])
def test_a_group_that_is_claimed_or_was_held_too_long_waits_for_no_launch(ended: dict[str, Any]) -> None:
    """A wave that has not begun to launch it keeps nobody from it, nor does one whose time is over."""
    hold: dict[str, Any] = {"held_by": "wave-1", "held_until": LATER, "launching": True, **ended}
    status = replace(status_of(RUN), counts=Counts(0, 0, 2), **hold)
    assert read_wait(status, NOTED, OPENED_AT) == NOTED.waiting_for


@pytest.mark.parametrize(
    ("done_at", "noted_at", "seconds", "waits_for"),
    [
        (None, None, 120, None),
        (None, None, 121, SILENT),
        (30, None, 150, None),
        (30, None, 151, SILENT.replace("04:05Z", "04:35Z")),
        # Recorded before it was sent again: what was sent last is what an outcome is to be expected of.
        (-30, None, 100, None),
        (-30, None, 121, SILENT),
        # A note is no outcome; while it is believed it says more.
        (None, 30, 150, "tokens"),
        (None, 30, 151, SILENT),
    ],
)
def test_a_run_without_a_sign_of_life_says_where_to_look(
    done_at: int | None, noted_at: int | None, seconds: int, waits_for: str | None
) -> None:
    """Sent, and for two minutes no outcome and no note: workers, or dead letters, are what it waits for."""

    def at(second: int | None) -> datetime | None:
        return None if second is None else OPENED_AT + timedelta(seconds=second)

    head = replace(
        RUN.head,
        sent_at=OPENED_AT,
        done_at=at(done_at),
        waiting_for=None if noted_at is None else "tokens",
        waiting_at=at(noted_at),
    )
    status = replace(status_of(RUN), counts=Counts(0, 0, 2))
    assert read_wait(status, head, OPENED_AT + timedelta(seconds=seconds)) == waits_for


@pytest.mark.parametrize(
    ("error", "waits_for"),
    [
        (Throttled("no", operation="drs.Get"), "tokens: AWS throttles drs.Get"),
        (Throttled("no"), "tokens: AWS throttles the account"),
        (OutOfTurns("no", operation="drs.Get"), "tokens: drs.Get is called as often as the account may"),
        (OutOfTurns("no"), "tokens: AWS is called as often as the account may"),
        (LeaseHeld("no"), "lease: another worker is at work on s-1"),
        (JobInProgress("a job"), "job: DRS is busy with s-1 (a job)"),
        (QuotaExceeded("20 jobs"), "job: DRS is busy with s-1 (20 jobs)"),
        (ServiceUnavailable("away", operation="ec2.Create"), "ec2.Create: away"),
        (ServiceUnavailable("away"), "AWS: away"),
    ],
)
def test_what_is_waited_for_is_named(error: RetryableError, waits_for: str) -> None:
    """In a word that says who has to act, and what it is about."""
    assert describe_wait(error, "s-1") == waits_for
