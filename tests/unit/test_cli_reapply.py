"""`prelaunch reapply` in its pure parts: report, pace, what to do, what is listed, and how it ends."""

import csv
import io
import json
import os
import string
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cli.answer import ExitStatus
from producer.cli.options import NO_CHOICE, AwsChoice
from producer.cli.reapply.bars import Bars, open_board
from producer.cli.reapply.board import Lines, Standing, Total, describe_settled
from producer.cli.reapply.outcome import (
    COLUMNS,
    Asked,
    Chosen,
    GroupOutcome,
    Row,
    Summary,
    describe_errors,
    fail_by,
    read_rows,
    render_summary,
    settle,
)
from producer.cli.reapply.pace import Pace, say_duration
from producer.cli.reapply.planning import find_listed
from producer.cli.reapply.remedies import REMEDIES, find_remedy
from producer.cli.reapply.report import Report, make_cell, render_csv
from producer.cli.reapply.telling import FAILURES_SHOWN, list_watching, print_summary, tell_summary
from producer.cli.whole_file import FileUnwritable
from tests.fakes.runs import MEMBERS
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.requests import NotFound
from workers.core.runs.selection import select_listed
from workers.core.status import Status
from workers.core.store.records import ServerError, ServerItem

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SERVERS = MEMBERS[:3]
GROUP = Chosen("pg-1", "web", "us-east-1", "111122223333", frozenset(SERVERS), is_configured=True)
FORMULAS = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=1", "|calc")
AT_A_FORMULA = tuple("=+-@|%\uff1d\uff0b\uff0d\uff20")


def failed(*codes: str) -> GroupOutcome:
    rows = [Row(f"s-{number}", "failed", code, "no") for number, code in enumerate(codes)]
    return GroupOutcome(GROUP, "failed", rows, "run-1")


# --- the report


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_computed(formula: str) -> None:
    """Whatever a spreadsheet takes for a formula stands behind an apostrophe; the rest of it is there."""
    cell = make_cell(formula)
    assert cell.startswith("'")
    assert cell[1:].strip() == formula.strip()


@given(st.text())
def test_every_cell_is_one_line_of_text(text: str) -> None:
    """Whatever others named a group or answered: one line, no control characters, no formula, nothing lost."""
    cell = make_cell(text)
    assert cell.isprintable()
    assert not cell.lstrip().startswith(AT_A_FORMULA)
    assert len(cell) - len(text) in {0, 1}


@given(st.lists(st.text(alphabet=[*string.printable, "é", "\u2028"], max_size=20), min_size=1, max_size=5))
def test_a_report_reads_as_it_was_written(names: list[str]) -> None:
    """One row a source server under its headings, however names quote and divide."""
    outcomes = [settle(replace(GROUP, name=name), ["s-1"], Status.READY, "run-1") for name in names]
    document = render_summary(Summary("req-1", outcomes))
    rows = list(csv.DictReader(io.StringIO(render_csv(document["sourceServers"]))))
    assert [row["groupName"] for row in rows] == [make_cell(name) for name in names]
    assert {tuple(row) for row in rows} == {COLUMNS}
    assert {row["attempt"] for row in rows} == {""}


@pytest.mark.parametrize("name", ["report.csv", "REPORT.CSV", "report.json"])
def test_a_report_takes_its_place_whole(tmp_path: Path, name: str) -> None:
    """Until it is written what was there stays; afterwards nothing else is left."""
    path = tmp_path / name
    path.write_text("of yesterday")
    report = Report(str(path))
    assert path.read_text() == "of yesterday"
    document = render_summary(Summary("req-1", [failed("ValidationException")]))
    report.write(document)
    report.close()
    assert [*tmp_path.iterdir()] == [path]
    if path.suffix == ".json":
        assert json.loads(path.read_text()) == document
    else:
        assert "ValidationException" in path.read_text()


def test_while_a_report_is_not_written_there_is_no_file(tmp_path: Path) -> None:
    """Whoever is killed while he waits for the runs leaves nothing behind; one that was there keeps who may read it."""
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    old.write_text("of yesterday")
    old.chmod(0o640)
    reports = [Report(str(path)) for path in (new, old)]
    assert [*tmp_path.iterdir()] == [old]
    for report in reports:
        report.write(render_summary(Summary("req-1", [failed("X")])))
    assert sorted(tmp_path.iterdir()) == [new, old]
    assert old.stat().st_mode & 0o777 == 0o640
    assert old.read_text() == new.read_text()


def test_a_report_behind_a_link_leaves_the_link(tmp_path: Path) -> None:
    """What the link points to is written."""
    (tmp_path / "link.csv").symlink_to(tmp_path / "report.csv")
    report = Report(str(tmp_path / "link.csv"))
    report.write(render_summary(Summary("req-1", [failed("X")])))
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "report.csv").read_text()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("report", "neither with .csv nor with .json"),
        ("nowhere/report.csv", "cannot be written"),
        ("folder.csv", "it is a directory"),
        ("pipe.csv", "it is no ordinary file"),
        ("report\0.csv", "cannot be written"),
        ("round.csv", "cannot be written"),
    ],
)
def test_a_report_that_cannot_be_written_is_found_out_at_once(tmp_path: Path, name: str, why: str) -> None:
    """With the reason, and nothing is left behind."""
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "round.csv").symlink_to(tmp_path / "round.csv")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileUnwritable, match=why):
        Report(f"{tmp_path}/{name}")
    assert sorted(tmp_path.iterdir()) == before


def test_a_report_that_cannot_be_written_in_the_end_says_so(tmp_path: Path) -> None:
    """Somebody took the folder away: no traceback."""
    report = Report(str(tmp_path / "there.csv"))
    report.close()
    tmp_path.rmdir()
    with pytest.raises(FileUnwritable, match="cannot be written"):
        report.write(render_summary(Summary("req-1")))
    tmp_path.mkdir()


# --- what became of it


@pytest.mark.parametrize("code", [*REMEDIES, "Another", "InvalidSubnetID.NotFound"])
def test_it_is_said_what_to_do_about_every_code(code: str) -> None:
    """A sentence in which every name stands."""
    remedy = find_remedy(code, group="pg-1", account="111122223333", region="eu-west-1")
    assert remedy
    assert not {"{", "}"} & {*remedy}


def test_nothing_is_to_be_done_about_what_is_well() -> None:
    """No code, no remedy."""
    assert find_remedy("", group="pg-1", account="1", region="r") == ""
    (row,) = render_summary(Summary("r", [settle(GROUP, ["s-1"], Status.READY, "run-1")]))["sourceServers"]
    assert row["whatToDo"] is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ExitStatus.WELL),
        ({"groups": [settle(GROUP, SERVERS, Status.READY, "run-1")]}, ExitStatus.WELL),
        ({"groups": [settle(GROUP, SERVERS, Status.PENDING, "run-1")]}, ExitStatus.WELL),
        ({"groups": [failed("X")]}, ExitStatus.FAILED),
        ({"groups": [fail_by(replace(GROUP, servers=frozenset()), NotFound("Gone.", code="Y"))]}, ExitStatus.FAILED),
        ({"groups": [settle(GROUP, SERVERS, Status.READY, "run-1")], "is_reported": False}, ExitStatus.FAILED),
        ({"groups": [failed("X")], "unreachable": SetupError("No table.")}, ExitStatus.NOT_REACHABLE),
        ({"groups": [failed("X")], "interrupted_by": "SIGINT"}, ExitStatus.INTERRUPTED),
        ({"interrupted_by": "SIGTERM", "unreachable": SetupError("No table.")}, ExitStatus.TERMINATED),
    ],
)
def test_the_exit_status_says_how_it_ended(changes: dict[str, Any], expected: ExitStatus) -> None:
    """Well, something failed, not reachable, or ended by which signal."""
    assert replace(Summary("req-1"), **changes).exit_status() is expected


def test_a_row_holds_all_that_aws_said() -> None:
    """The first error's code and call, and the sentences of all; what has no error of its own says that too."""
    errors = [ServerError("s-1", code, f"{code}!", NOW, 2, "drs.X", "req-9") for code in ("A", "B")]
    row = describe_errors("s-1", errors, "now")
    assert row == Row("s-1", "failed", "A", "A! | B!", "drs.X", "req-9", 2, "now")
    item = ServerItem("s-1", Status.FAILED, 3, "sha256:x", NOW, 1, errors=tuple(errors))
    found = {
        "s-1": (Status.FAILED, "sha256:x", item),
        "s-2": (Status.FAILED, "sha256:y", None),
        "s-3": (Status.READY, "sha256:z", replace(item, status=Status.READY)),
    }
    rows = read_rows(["s-3", "s-2", "s-1", "s-gone"], found)
    assert [(each.server, each.code) for each in rows] == [("s-1", "A"), ("s-2", "NOT_APPLIED"), ("s-3", "")]
    assert rows[2].applied_at == "2026-03-04T05:06:07Z"


def test_a_report_holds_the_source_servers_of_groups_that_were_not_begun() -> None:
    """After all others, with what to do; they are neither ready nor failed, and change no exit status."""
    left = replace(GROUP, group_id="pg-2", servers=frozenset({"s-9", "s-8"}))
    summary = Summary("r", [settle(GROUP, ["s-1"], Status.PENDING, "run-1")], [left], interrupted_by="SIGINT")
    document = render_summary(summary)
    rows = [(row["groupId"], row["sourceServerId"], row["status"], row["runId"]) for row in document["sourceServers"]]
    assert rows == [
        ("pg-1", "s-1", "pending", "run-1"),
        ("pg-2", "s-8", "not_begun", None),
        ("pg-2", "s-9", "not_begun", None),
    ]
    assert "prelaunch reapply --group pg-2" in document["sourceServers"][-1]["whatToDo"]
    assert document["groupsNotBegun"] == ["pg-2"]
    assert summary.exit_status() is ExitStatus.INTERRUPTED


def test_a_setup_error_has_the_code_that_is_known_everywhere() -> None:
    """Of a missing table as of a refused request each source server says why."""
    assert {row.code for row in fail_by(GROUP, SetupError("No.", code="TABLE_MISSING")).rows} == {"NOT_REACHABLE"}
    assert {row.message for row in fail_by(GROUP, ServiceUnavailable("Not now.")).rows} == {"Not now."}
    assert {row.message for row in fail_by(GROUP, NotFound("Gone.")).rows} == {"Gone."}


# --- what is asked and listed


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        (Asked(), None),
        (Asked(force=True), None),
        (Asked(only_failed=True), SERVERS),
        (Asked(servers=frozenset(SERVERS)), SERVERS),
    ],
)
def test_all_of_a_group_is_asked_for_as_all(asked: Asked, ids: tuple[str, ...] | None) -> None:
    """Who joins meanwhile is applied too, and who leaves is no error, unless somebody chose source servers."""
    request = asked.of(SERVERS)
    assert request.source_server_ids == ids
    assert (request.force, request.only_failed) == (asked.force, asked.only_failed)


STATUSES = {"s-r": Status.READY, "s-f": Status.FAILED, "s-p": Status.PENDING}


@pytest.mark.parametrize(
    ("asked", "servers", "listed"),
    [
        (Asked(), STATUSES, {"s-f", "s-p"}),
        (Asked(force=True), STATUSES, {"s-r", "s-f", "s-p"}),
        (Asked(servers=frozenset({"s-r"})), {"s-r"}, set()),
        (Asked(servers=frozenset({"s-r"}), force=True), {"s-r"}, {"s-r", "s-f", "s-p"}),
        (Asked(servers=frozenset({"s-f"})), {"s-f"}, {"s-f", "s-p"}),
        (Asked(servers=frozenset({"s-gone"})), {"s-gone"}, set()),
    ],
)
def test_a_dry_run_plans_what_a_run_would_list(asked: Asked, servers: Any, listed: set[str]) -> None:
    """With everything that is not ready, for a new generation owns all of the group; nothing where all is ready."""
    assert find_listed(STATUSES, asked.of(servers)) == listed
    if listed and "s-gone" not in servers:
        assert select_listed(STATUSES, asked.of(servers)) == listed


# --- pace and lines


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_pace_is_that_of_the_last_minute() -> None:
    """What was slow at first is forgotten; nothing is said of what is not known."""
    clock = Seconds()
    pace = Pace(clock)
    assert (pace.rate, pace.find_left(5), pace.find_left(0)) == (0.0, None, 0.0)
    pace.note(0)
    assert pace.find_left(5) is None
    clock.now += 100
    pace.note(10)
    assert pace.rate == pytest.approx(0.1)
    clock.now += 60
    pace.note(310)
    assert pace.rate == pytest.approx(5.0)
    assert pace.find_left(50) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "-:--"), (0.0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_a_duration_is_said_shortly(seconds: float | None, said: str) -> None:
    """As clocks show it."""
    assert say_duration(seconds) == said


def test_a_pipe_gets_a_line_a_group_and_one_now_and_then() -> None:
    """What is waited for is named once for each cause, with a group; nothing is said between."""
    clock, said = Seconds(), list[str]()
    lines = Lines(clock, said.append)
    lines.show_asked(1, 3, 1)
    lines.show_asked(3, 3, 3)
    going = [
        Standing("a", 1, 2, "tokens: AWS throttles"),
        Standing("b", 0, 2, "tokens: AWS throttles"),
        Standing("c", 0, 2, "hold: wave-1 is launching this group"),
    ]
    lines.show(going, Total(1, 6))
    clock.now += 29
    lines.show(going, Total(2, 6))
    clock.now += 1
    lines.show(going, Total(4, 6))
    lines.tell_settled(settle(GROUP, SERVERS, Status.READY, "run-1"))
    assert said == [
        "3 groups asked for: 3 runs.",
        (
            "4 of 6 source servers, 0.1/s, 0:20 left, 3 groups to go; c waits for hold: wave-1 is launching this group;"
            " a waits for tokens: AWS throttles."
        ),
        "web (pg-1) is READY: 3 ready, 0 failed.",
    ]


def test_a_pipe_is_told_of_all_while_groups_end() -> None:
    """Of hundreds of groups one ends every few seconds: that keeps nobody from seeing how long the rest takes."""
    clock, said = Seconds(), list[str]()
    lines = Lines(clock, said.append)
    going = [Standing("a", 0, 2, None)]
    for done in range(0, 80, 10):
        lines.show(going, Total(done, 100))
        lines.tell_settled(settle(GROUP, SERVERS, Status.READY, "run-1"))
        clock.now += 10
    assert [line for line in said if " left" in line] == [
        "30 of 100 source servers, 1.0/s, 1:10 left, 1 group to go.",
        "60 of 100 source servers, 1.0/s, 0:40 left, 1 group to go.",
    ]


class Screen:
    """What a live display is given, drawn."""

    def __init__(self, width: int = 200) -> None:
        from rich.console import Console

        self.console = Console(file=io.StringIO(), width=width, force_terminal=False)

    def update(self, renderable: Any, *, refresh: bool) -> None:
        assert refresh
        assert isinstance(self.console.file, io.StringIO)
        self.console.file.truncate(0)
        self.console.file.seek(0)
        self.console.print(renderable)

    @property
    def lines(self) -> list[str]:
        assert isinstance(self.console.file, io.StringIO)
        return [line.rstrip() for line in self.console.file.getvalue().splitlines()]


def test_where_no_group_has_a_run_none_is_spoken_of() -> None:
    """Of so many groups some have one, or none."""
    said = list[str]()
    lines = Lines(Seconds(), said.append)
    lines.show_asked(3, 3, 0)
    assert said == []
    lines.show_asked(3, 3, 1)
    assert said == ["3 groups asked for: 1 run."]


def test_a_terminal_shows_no_more_groups_than_fit() -> None:
    """Those that wait or have begun come first; of the others only how many there are; the total is last."""
    screen: Any = Screen()
    bars = Bars(screen, Seconds(), lambda: 5)
    bars.show_asked(3, 7, 3)
    assert screen.lines[0].endswith("3 of 7 groups asked for")
    bars.show_asked(7, 7, 7)
    going = [Standing(f"g{number}", 0, 2, None) for number in range(5)]
    going += [Standing("h", 1, 2, None), Standing("\x1b[2Jw", 0, 2, "tokens: AWS throttles")]
    bars.show(going, Total(1, 14))
    assert len(screen.lines) == 4
    assert "0/2 waits for tokens: AWS throttles" in screen.lines[0]
    assert "\x1b" not in screen.lines[0]
    assert screen.lines[1].startswith("h ")
    assert screen.lines[1].endswith("1/2")
    assert screen.lines[2] == "and 5 groups more"
    assert screen.lines[3].startswith("all")
    assert screen.lines[3].endswith("1 of 14 source servers, 0.0/s, -:-- left")
    bars.show([], Total(14, 14))
    assert len(screen.lines) == 1


def test_a_terminal_that_was_made_smaller_shows_fewer_groups() -> None:
    """And one that was made larger more: the total is always seen."""
    screen: Any = Screen()
    heights = [10, 6, 20]
    bars = Bars(screen, Seconds(), lambda: heights[0])
    going = [Standing(f"g{number}", 0, 2, None) for number in range(9)]
    drawn = []
    while heights:
        bars.show(going, Total(0, 18))
        drawn.append((len(screen.lines), screen.lines[-1][:3]))
        heights.pop(0)
    assert drawn == [(9, "all"), (5, "all"), (10, "all")]


@pytest.mark.parametrize(
    ("width", "told"), [(60, "1 of 10 source servers, 0.0/s, -:-- left"), (20, "1 of 10 source serv…")]
)
def test_where_a_terminal_is_narrow_the_numbers_are_shown(width: int, told: str) -> None:
    """The bar gives way first; no line is longer than the terminal is wide; a group keeps its name."""
    screen: Any = Screen(width)
    bars = Bars(screen, Seconds(), lambda: 10)
    bars.show([Standing("web of Monday", 1, 2, "tokens: AWS throttles drs.UpdateLaunchConfiguration")], Total(1, 10))
    group, total = screen.lines
    assert group.startswith("web"), group
    assert total.endswith(told), total
    assert max(len(line) for line in screen.lines) <= width


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Iterator[int]:
    """Make standard error a terminal; give the end at which a person sits."""
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    person, ours = os.openpty()
    os.set_blocking(person, False)
    with os.fdopen(ours, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        yield person


@pytest.mark.parametrize(
    ("variables", "board"),
    [
        ({"TERM": "xterm"}, Bars),
        ({"TERM": "xterm", "NO_COLOR": "1"}, Bars),
        ({"TERM": "dumb"}, Lines),
        ({"TERM": "xterm", "TTY_COMPATIBLE": "0"}, Lines),
    ],
)
def test_where_no_bars_can_be_drawn_there_are_lines(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], board: type
) -> None:
    """A terminal that cannot move its cursor, or is said to be none, shows something all the same."""
    with terminal(monkeypatch, variables) as person:
        with open_board() as opened:
            assert isinstance(opened, board)
            opened.show_step("comparing", 0, 2)
            opened.tell_unanswered(ServiceUnavailable("DynamoDB does not answer."))
            opened.tell_ending(2)
        shown = b""
        with suppress(BlockingIOError):
            while True:
                shown += os.read(person, 4096)
        assert b"comparing" in shown
        assert b"are looked at again: DynamoDB does not answer." in shown
        assert b"ending: 2 groups still being asked for; once more ends at once." in shown
        os.close(person)


def test_a_terminal_that_goes_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way to our tables must not be broken off for that."""
    with terminal(monkeypatch, {"TERM": "xterm"}) as person, open_board() as board:
        assert isinstance(board, Bars)
        os.close(person)
        board.show_step("comparing", 0, 2)
        board.tell_settled(failed("X"))
        board.tell_unanswered(ServiceUnavailable("DynamoDB does not answer."))
        board.show([Standing("web", 1, 2, None)], Total(1, 2))


def test_bars_show_runs_while_others_are_asked_for() -> None:
    """Both on no more lines than there are; the time left is of all groups, those that are still to be asked too."""
    clock = Seconds()
    screen: Any = Screen()
    bars = Bars(screen, clock, lambda: 6)
    bars.show_asked(1, 10, 1)
    going = [Standing(f"g{number}", 0, 2, None) for number in range(5)]
    bars.show(going, Total(0, 10))
    bars.show_asked(5, 10, 5)
    clock.now += 10
    bars.show(going, Total(2, 10))
    asked, first, second, others, total = screen.lines
    assert asked.endswith("5 of 10 groups asked for")
    assert (first[:2], second[:2], others) == ("g0", "g1", "and 3 groups more")
    # 8 that are known and 10 of the other five groups, at one in five seconds.
    assert total.endswith("2 of 10 source servers, 0.2/s, 1:30 left")
    bars.show_asked(10, 10, 10)
    assert not any("asked for" in line for line in screen.lines)
    assert screen.lines[-1].endswith("2 of 10 source servers, 0.2/s, 0:40 left")


def test_lines_tell_of_runs_while_others_are_asked_for() -> None:
    """The line about all says of how many groups it speaks."""
    clock, said = Seconds(), list[str]()
    lines = Lines(clock, said.append)
    lines.show_asked(0, 4, 0)
    lines.show_asked(1, 4, 1)
    lines.show([Standing("a", 0, 2, None)], Total(0, 2))
    clock.now += 30
    lines.show([Standing("a", 1, 2, None)], Total(1, 2))
    assert said == ["1 of 2 source servers, 0.0/s, 3:30 left, 1 of 4 groups asked for, 1 group to go."]


def test_what_was_done_before_is_no_pace() -> None:
    """A run that was in hand for long already joins: what it did before shows in the count, and not in the pace."""
    clock = Seconds()
    screen: Any = Screen()
    said = list[str]()
    for board in (Bars(screen, clock, lambda: 6), Lines(clock, said.append)):
        board.show_asked(2, 2, 2)
        board.show([Standing("a", 0, 10, None)], Total(0, 10))
        clock.now += 30
        board.show([Standing("a", 5, 10, None), Standing("b", 90, 100, None)], Total(105, 110, before=90))
    assert screen.lines[-1].endswith("105 of 110 source servers, 0.5/s, 0:10 left")
    assert said[-1] == "105 of 110 source servers, 0.5/s, 0:10 left, 2 groups to go."


def test_a_step_before_the_runs_is_shown() -> None:
    """A bar, or a line when it begins and then now and then, while it is not known how many there are too."""
    clock, said = Seconds(), list[str]()
    screen: Any = Screen()
    bars, lines = Bars(screen, clock, lambda: 6), Lines(clock, said.append)
    for board in (bars, lines):
        board.show_step("reading", 0, 0)
    assert (screen.lines, said) == (["reading …"], ["reading."])
    clock.now += 100
    for done in range(4):
        for board in (bars, lines):
            board.show_step("comparing", done, 4)
        clock.now += 15
        if done == 1:
            assert screen.lines[0].startswith("comparing ")
            assert screen.lines[0].endswith("1 of 4 groups, 0:45 left")
    assert said == ["reading.", "4 groups: comparing.", "comparing: 2 of 4 groups, 0:30 left."]
    lines.show_step("comparing", 4, 4)
    assert len(said) == 3
    bars.show_asked(0, 4, 0)
    assert len(screen.lines) == 1
    assert screen.lines[0].endswith("0 of 4 groups asked for")


# --- what is printed


def test_commands_that_are_named_ask_the_same_aws() -> None:
    """With profile and Region as they were given, quoted for a shell; a name does nothing to the terminal."""
    pending = [settle(replace(GROUP, name="we\x1bb"), SERVERS, Status.PENDING, "run-1")]
    assert list_watching(pending, NO_CHOICE) == ["  prelaunch status pg-1    # we b"]
    (line,) = list_watching(pending, AwsChoice("my profile", "eu-west-1"))
    assert line == "  prelaunch status pg-1 --profile 'my profile' --region eu-west-1    # we b"


def tell_all(summary: Summary, *, as_json: bool = False) -> None:
    tell_summary(summary, NO_CHOICE)
    print_summary(summary, as_json=as_json)


def test_what_needs_somebody_is_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Groups that were not begun, runs that go on, and failures, not more than are read."""
    many = failed(*["X"] * (FAILURES_SHOWN + 2))
    pending = settle(replace(GROUP, group_id="pg-2"), SERVERS, Status.PENDING, "run-2")
    summary = Summary(
        "req-1", [many, pending], [replace(GROUP, group_id="pg-3")], unreachable=SetupError("No table any more.")
    )
    tell_all(summary)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"pg-1\tweb\tfailed\t0\t{FAILURES_SHOWN + 2}\t0\t",
        "pg-2\tweb\tpending\t0\t0\t3\t",
        f"2 groups, 1 failed; source servers: 0 ready, {FAILURES_SHOWN + 2} failed, 3 pending.",
    ]
    first, *rest = printed.err.splitlines()
    assert first == "prelaunch: No table any more."
    assert rest[:4] == [
        "prelaunch: Nothing was asked of 1 group:",
        "prelaunch:   web (pg-3)",
        "prelaunch: 1 run goes on. Watch with:",
        "prelaunch:   prelaunch status pg-2    # web",
    ]
    assert sum(" failed: X: no" in line for line in rest) == FAILURES_SHOWN
    assert rest[-1] == "prelaunch: 2 source servers more failed: --json or --report names them all."


def test_why_a_group_failed_as_a_whole_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """When it did, and not once more in the end; a dry run tells it in the end, for nothing of it is told before."""
    refused = fail_by(GROUP, NotFound("It is gone.", code="GROUP_NOT_FOUND"))
    for is_dry_run in (False, True):
        summary = Summary("req-1", [refused], is_dry_run=is_dry_run)
        tell_all(summary, as_json=True)
        assert capsys.readouterr().err == ""
    tell_all(summary)
    assert capsys.readouterr().err == f"prelaunch: {describe_settled(refused)}\n"


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_of_what_was_ended_before_it_began_nothing_is_said_to_be_done(
    capsys: pytest.CaptureFixture[str], *, is_dry_run: bool
) -> None:
    """Not that there is nothing to do either; where nothing is asked of any group that is said."""
    ended = Summary("req-1", unbegun=[GROUP], interrupted_by="SIGINT", is_dry_run=is_dry_run)
    tell_all(ended)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("prelaunch: Ended by SIGINT. Nothing was applied.\n")
    nothing = Summary("req-1", is_dry_run=is_dry_run)
    tell_all(nothing)
    assert capsys.readouterr() == ("Nothing to do: of no group anything is asked.\n", "")


def test_a_group_that_failed_as_a_whole_is_one_line() -> None:
    """Its code and its reason, and no line for each source server."""
    told = describe_settled(fail_by(GROUP, NotFound("It is\ngone.", code="GROUP_NOT_FOUND")))
    assert told == "web (pg-1) failed: GROUP_NOT_FOUND: It is gone."
