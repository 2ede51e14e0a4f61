"""What is told fits, whatever it is about: into an event, into a task's answer, into a task's failure."""

import json
from datetime import UTC, datetime

from workers.core.status import Status
from workers.core.store.notices import Notice
from workers.core.store.records import Counts, GroupStatus, ServerError
from workers.core.store.wave_records import GroupState, Wave, WaveGroup, WavePart, WaveStatus, WaveView
from workers.core.telling.notice import ERRORS_TOLD, MESSAGE_TOLD, Subject, make_cause, tell_group, tell_wave

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WIDEST = "\U0001f525"
"""A character of four bytes in UTF-8."""
LARGEST_EVENT, LONGEST_OUTPUT, LONGEST_CAUSE = 256 * 1024, 262_144, 32_768


def entry_size(notice: Notice) -> int:
    """Measure an entry as EventBridge does: 14 bytes for its time, and its texts in UTF-8."""
    return 14 + sum(len(text.encode()) for text in ("prelaunch", notice.kind, notice.detail))


def make_failed(message: str, count: int) -> Notice:
    errors = tuple(ServerError(f"s-{n:017d}", "ValidationException", message, NOW, 1) for n in range(count))
    status = GroupStatus(Status.FAILED, 7, "run-1", NOW, WIDEST * 2048, Counts(0, 4000, 0), "sha256:0", errors=errors)
    return tell_group("prelaunch", Subject("pg-1", WIDEST * 128, "1" * 12, "us-east-1"), status, due_at=NOW)


def test_the_largest_group_event_fits() -> None:
    """Twenty errors of the longest and widest messages: below 256 KB, and below what a task's answer may have."""
    notice = make_failed(WIDEST * 100_000, 20)
    assert entry_size(notice) < LARGEST_EVENT
    assert len(notice.detail) <= LONGEST_OUTPUT
    errors = json.loads(notice.detail)["errors"]
    assert [len(error["message"]) for error in errors] == [MESSAGE_TOLD] * ERRORS_TOLD


def test_a_cause_is_the_whole_detail_where_there_is_room() -> None:
    """Who catches the failure reads it as JSON."""
    notice = make_failed("DRS refused it.", 20)
    assert json.loads(make_cause(notice)) == json.loads(notice.detail)


def test_a_cause_that_would_be_too_long_names_fewer_errors() -> None:
    """At most 32,768 characters of JSON that can be read, with as many errors as fit."""
    notice = make_failed('"\n' * 100_000, 20)
    cause = make_cause(notice)
    kept = json.loads(cause)["errors"]
    assert len(cause) <= LONGEST_CAUSE
    assert 0 < len(kept) < ERRORS_TOLD
    assert kept == json.loads(notice.detail)["errors"][: len(kept)]
    assert len(cause) + len(json.dumps(kept[0], ensure_ascii=False)) > LONGEST_CAUSE


def test_the_largest_wave_event_fits() -> None:
    """Fifty groups in 99 parts, half of them refused at length."""
    groups = tuple(WaveGroup(n, f"pg-{n:017d}" + "x" * 44, "fast", 1, 1, state=GroupState.OVER) for n in range(50))
    wave = Wave("wave-" + "1" * 17, WaveStatus.FAILED, True, NOW, NOW, "alice", "http", NOW)
    members = tuple(f"s-{n:017d}" for n in range(100))
    parts = tuple(
        WavePart(n, groups[n % 50].group_id, members, error_code="ConflictException", error_message=WIDEST * 9000)
        if n % 2
        else WavePart(n, groups[n % 50].group_id, members, job_id="drsjob-" + "1" * 17)
        for n in range(99)
    )
    notice = tell_wave("prelaunch", WaveView(wave, groups, parts), NOW, due_at=NOW)
    detail = json.loads(notice.detail)
    assert entry_size(notice) < LARGEST_EVENT
    assert len(make_cause(notice)) <= LONGEST_CAUSE
    assert notice.error == "ConflictException"
    assert (len(detail["groups"]), len(detail["jobs"]), len(detail["errors"])) == (50, 50, ERRORS_TOLD)
    assert detail["jobs"][0] == {"jobId": "drsjob-" + "1" * 17, "groupId": groups[0].group_id, "sourceServers": 100}
