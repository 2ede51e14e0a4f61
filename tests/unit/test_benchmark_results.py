"""The benchmark's record: bars, the file, the table, and the page that is written from it."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.floor import MINIMAL_PLAN
from tests.benchmarks.lines import LINES, NoSuchLine, choose
from tests.benchmarks.probe import find_percentile
from tests.benchmarks.report import BEGIN, END, publish, show, summarise
from tests.benchmarks.results import (
    Result,
    find_broken,
    merge,
    parse,
    read,
    render_bottlenecks,
    render_table,
    show_bar,
    show_value,
    write,
)
from tests.document_parts import replace_part

TIME = Result(
    "apply-300-2: time",
    46.123456,
    "s",
    "the quota's floor 40.0 s",
    bar=48.2,
    bottleneck="the quota (99 %)",
    figures={"servers": 300, "seconds": 46.123456, "unpaced": 12, **dict.fromkeys(MINIMAL_PLAN, 300)},
    measured_at="2026-01-02T03:04:05+00:00",
)
THROTTLED = Result("apply-300-2: throttled", 0.1, "%", "3 of 3,000 calls", bar=0.1, below=True)
SCRIPT = Result("script-300-standard: throttled", 31.5, "%", "567 of 1,800 calls")
RESULTS = [TIME, THROTTLED, SCRIPT]


def test_a_bar_is_the_most_that_is_allowed() -> None:
    """To reach it is well, unless it has to stay below; without one nothing is judged."""
    assert replace(TIME, value=48.2).holds is True
    assert replace(TIME, value=48.21).holds is False
    assert THROTTLED.holds is False
    assert replace(THROTTLED, value=0.099).holds is True
    assert SCRIPT.holds is None
    assert find_broken(RESULTS) == [THROTTLED]
    assert summarise(RESULTS) == "1 of 2 bars hold; 1 do not: apply-300-2: throttled."


def test_the_record_begins_with_the_promised_members(tmp_path: Path) -> None:
    """Name, value, unit, bar, whether it holds, compared to: in this order; and it is read back as it was."""
    path = tmp_path / "benchmarks" / "results.json"
    write(path, RESULTS)
    assert [*TIME.to_json()][:6] == ["name", "value", "unit", "bar", "holds", "compared_to"]
    assert TIME.to_json()["holds"] is True
    assert read(path) == [parse(result.to_json()) for result in RESULTS]
    assert [result.name for result in read(path)] == [result.name for result in RESULTS]
    assert read(path)[0].value == 46.1235
    assert read(tmp_path / "none.json") == []


def test_a_line_is_replaced_as_a_whole_and_in_its_place() -> None:
    """Figures of one line are of one run; what belongs to no line any more is gone."""
    lines = ("apply-300-2", "script-300-standard")
    anew = replace(TIME, value=50.0)
    gone = replace(SCRIPT, name="script-300-none: time")
    assert merge([SCRIPT, gone, TIME, THROTTLED], [anew], lines) == [anew, SCRIPT]
    assert merge([], RESULTS, lines) == RESULTS


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.0345, "0.0345"), (5, "5"), (46.12, "46.1"), (123.4, "123"), (4000, "4,000")]
)
def test_figures_are_shown_with_as_much_as_they_say(value: float, shown: str) -> None:
    """Three digits, or whole."""
    assert show_value(replace(TIME, value=value)) == f"{shown} s"
    assert show_bar(replace(TIME, bar=value)) == f"≤ {shown} s"


def test_the_table_says_of_each_figure_whether_its_bar_holds() -> None:
    """A line a figure, that which does not hold in bold; a figure without a bar is judged by nobody."""
    lines = render_table(RESULTS).splitlines()
    assert len(lines) == 2 + len(RESULTS)
    assert lines[2] == "| apply-300-2: time | 46.1 s | ≤ 48.2 s | holds | the quota's floor 40.0 s |"
    assert "| < 0.1 % | **does not hold** |" in lines[3]
    assert lines[4] == "| script-300-standard: throttled | 31.5 % |  |  | 567 of 1,800 calls |"
    assert render_bottlenecks(RESULTS) == "- apply-300-2: time: the quota (99 %)."


def test_the_printed_table_holds_every_figure() -> None:
    """Who waits sees what is written, and what each line waited for."""
    console = Console(record=True, width=160)
    show(RESULTS, console)
    text = console.export_text()
    assert all(result.name in text and result.compared_to in text for result in RESULTS)
    assert "does not hold" in text
    assert "the quota (99 %)" in text


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    """Somebody else's parts of the page stay; the same record makes the same page and pictures, to the byte."""
    page, pictures = tmp_path / "page.md", tmp_path / "pictures"
    marks = [f"{BEGIN.format(name)}\n{END.format(name)}" for name in ("figures", "bottlenecks")]
    page.write_text(f"# Ours\n{marks[0]}\nin between\n{marks[1]}\n<!-- others -->\n")
    publish(page, pictures, RESULTS)
    text, drawn = page.read_text(), {path.name: path.read_bytes() for path in pictures.iterdir()}
    assert text.startswith("# Ours\n")
    assert text.endswith("<!-- others -->\n")
    assert "in between" in text
    assert render_table(RESULTS) in text
    assert {*drawn} == {"time.svg", "throttled.svg", "calls.svg"}
    publish(page, pictures, RESULTS)
    assert page.read_text() == text
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == drawn


def test_a_page_without_marks_is_refused() -> None:
    """What would be lost in silence is said."""
    with pytest.raises(ValueError, match="make bench: figures"):
        replace_part("# Ours\n", BEGIN.format("figures"), END.format("figures"), "x")


def test_lines_are_chosen_by_what_they_begin_with() -> None:
    """None chooses all; a name that chooses nothing is refused with all that there are."""
    assert [line for run in choose([]) for line in run.lines] == [*LINES]
    assert [run.lines for run in choose(["reapply"])] == [("apply-1000-4", "reapply-1000")]
    assert len(choose(["apply-300", "wave"])) == 4
    assert [run.servers for run in choose(["apply-100"])] == [100, 100, 100], "and not 1,000"
    with pytest.raises(NoSuchLine, match=r"'walk'.*wave-100"):
        choose(["walk"])


def test_a_percentile_is_a_sample() -> None:
    """By nearest rank: of a thousand samples one may be worse than the 99.9th per cent."""
    late = [1.0] * 998 + [2.0, 3.0]
    assert find_percentile(late, 99.9) == 2.0
    assert find_percentile(late, 100) == 3.0
    assert find_percentile([4.0], 99.9) == 4.0
