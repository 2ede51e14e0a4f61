"""What `make mutants` leaves out, counts and writes down: a text for people and nothing else is left out."""

import ast
import json
from pathlib import Path

import pytest
from pydantic_core import PydanticCustomError

from tests.mutation.report import find_share, render, write_part
from tests.mutation.results import Counts, read_modules
from tests.mutation.survivors import NOT_JUDGED, Reason, Survivor, explain, read_reasons, render_survivors
from tests.mutation.texts import is_text_only
from workers.core.errors import PermanentError, ServiceUnavailable
from workers.core.model.conflicts import Conflict
from workers.core.model.errors import FieldError

NAMES = {
    "Conflict": Conflict,
    "FieldError": FieldError,
    "PermanentError": PermanentError,
    "PydanticCustomError": PydanticCustomError,
    "ServiceUnavailable": ServiceUnavailable,
    "show": repr,
}
CODE = """
def x_read(place, found, log):
    log.warning("read.refused", reason="late")
    shown = "" if place else f", not {show(found)}"
    message = "It is wrong; " "leave it out."
    kind = "INVALID"
    name = ", ".join(str(each) for each in found)
    if found == "x":
        raise PermanentError(f"{name} is wrong{shown}.", code="WRONG")
    raise PydanticCustomError("kind", "It is of a kind.", {"key": "value"})
    raise ServiceUnavailable(message="again", request_id=found["id"])
    return [
        place.at("field").error("No such field."),
        FieldError("/pointer", kind, message, "s-1"),
        Conflict("field", "They clash.", ("other",)),
        dict(message="kept"),
    ]
"""


def differ(before: str, after: str) -> bool:
    assert CODE.count(before) == 1, before
    original, mutant = (ast.parse(code).body[0] for code in (CODE, CODE.replace(before, after)))
    return is_text_only(original, mutant, NAMES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"read.refused"', "None"),
        ('"read.refused"', '"XXread.refusedXX"'),
        ('f", not {show(found)}"', "None"),
        ('shown = ""', 'shown = "XXXX"'),
        ('"It is wrong; " "leave it out."', '"XXIt is wrong; XX" "leave it out."'),
        ('"It is wrong; " "leave it out."', "None"),
        ('", ".join', '"XX, XX".join'),
        ('f"{name} is wrong{shown}."', "None"),
        ('message="again"', "message=None"),
        ('"No such field."', '"no such field."'),
        ('"It is of a kind."', '"XXIt is of a kind.XX"'),
        ('"They clash."', '"THEY CLASH."'),
    ],
)
def test_a_text_for_people_is_left_out(before: str, after: str) -> None:
    """A log's event, an error's message, what is said of a field, and what is put together for them."""
    assert differ(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('reason="late"', 'reason="XXlateXX"'),
        ("if place else", "if (place) and False else"),
        ("show(found)", "show(None)"),
        ('kind = "INVALID"', "kind = None"),
        ('found == "x"', 'found == "XXxXX"'),
        ('"kind",', "None,"),
        ('"value"', "None"),
        ('code="WRONG"', 'code="wrong"'),
        ('f"{name} is wrong{shown}.", ', ""),
        ('found["id"]', 'found["ID"]'),
        ('at("field")', 'at("XXfieldXX")'),
        ('"/pointer"', "None"),
        ('"s-1"', "None"),
        ('Conflict("field"', 'Conflict("FIELD"'),
        ('("other",)', '("XXotherXX",)'),
        ('dict(message="kept")', "dict(message=None)"),
        ("str(each)", "str(None)"),
        ("raise ServiceUnavailable", "return ServiceUnavailable"),
    ],
)
def test_what_is_more_than_a_text_is_not(before: str, after: str) -> None:
    """A code, a place, a key, a choice between texts, what is shown in one, and the want of one."""
    assert not differ(before, after)


def test_a_text_that_is_used_otherwise_too_is_not_left_out() -> None:
    """One use that decides something is enough."""
    code = "def f(log):\n    event = 'a'\n    log.info(event)\n    return event"
    original, mutant = (ast.parse(each).body[0] for each in (code, code.replace("'a'", "None")))
    assert not is_text_only(original, mutant, NAMES)
    original, mutant = (
        ast.parse(each.replace("return event", "")).body[0] for each in (code, code.replace("'a'", "None"))
    )
    assert is_text_only(original, mutant, NAMES)


def test_the_message_of_an_errors_own_class_is_a_text() -> None:
    """Of any other class the first argument may be anything."""
    code = "def __init__(self):\n    super().__init__('text')"
    original, mutant = (ast.parse(each).body[0] for each in (code, code.replace("'text'", "None")))
    assert is_text_only(original, mutant, NAMES, PermanentError)
    assert not is_text_only(original, mutant, NAMES, Counts)
    assert not is_text_only(original, original, NAMES, PermanentError)


SOURCE = """
def x_combine__mutmut_orig(statuses):
    return set(statuses)
def x_combine__mutmut_1(statuses):
    return set(None)
def x_combine__mutmut_2(statuses):
    raise ValueError("a")
def x_spare__mutmut_orig():
    raise ValueError("a")
def x_spare__mutmut_1():
    raise ValueError(None)
"""


def write_results(root: Path, **codes: int | None) -> None:
    path = root / "workers/core/status.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    meta = {"exit_code_by_key": {f"workers.core.status.{name}": code for name, code in codes.items()}, "else": 1}
    path.with_name("status.py.meta").write_text(json.dumps(meta))


def test_what_became_of_mutants_is_counted(tmp_path: Path) -> None:
    """A text is neither killed nor survives; one that never ended is noticed; one that was not run is told."""
    write_results(tmp_path, x_combine__mutmut_1=0, x_combine__mutmut_2=36, x_spare__mutmut_1=None)
    (module,) = read_modules(tmp_path)
    assert [*module.unrun()] == ["workers.core.status.x_spare__mutmut_1"]
    assert render([module]).splitlines()[4:] == [
        "| `workers/core/status.py` | not run to its end | | | | |",
        "| those that were run to their end | 0 | 0 | 0 | 0 | 0.0 % |",
    ]
    assert module.leave_out(module.texts()) == 1
    (module,) = read_modules(tmp_path)
    assert module.meta["else"] == 1
    assert module.counts == Counts(killed=0, timeouts=1, survived=1, left_out=1)
    assert find_share([module]) == 50.0
    assert [*module.unrun()] == []
    (survivor,) = module.survivors()
    assert module.show(survivor) == Survivor("core.status.combine", "return set(statuses)", "return set(None)")
    assert render([module]).splitlines()[2:] == [
        "| `workers/core/status.py` | 0 | 1 | 1 | 1 | 50.0 % |",
        "| all | 0 | 1 | 1 | 1 | 50.0 % |",
    ]


@pytest.mark.parametrize("code", [0, 5, 33, 35, -11])
def test_what_nobody_noticed_survived(tmp_path: Path, code: int) -> None:
    """No test comes by it, or it broke the process in a way that says nothing: that is no kill."""
    write_results(tmp_path, x_combine__mutmut_1=code, x_combine__mutmut_2=1)
    (module,) = read_modules(tmp_path)
    assert module.counts == Counts(killed=1, timeouts=0, survived=1, left_out=0)


def test_a_part_is_put_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    """All else in the document stays, the other part too."""
    document = tmp_path / "quality.md"
    marks = "<!-- make mutants: {0} -->\nold\n<!-- /make mutants: {0} -->\n"
    document.write_text(f"before\n{marks.format('figures')}between\n{marks.format('survivors')}after\n")
    for text in ("new", "newer"):
        write_part(document, "figures", text)
    assert document.read_text() == (
        "before\n<!-- make mutants: figures -->\n\nnewer\n\n<!-- /make mutants: figures -->\nbetween\n"
        f"{marks.format('survivors')}after\n"
    )


def test_a_survivor_shows_what_changed() -> None:
    """And a little of what stands around it, of a long line."""
    assert str(Survivor("core.retry.back_off", "a < 30", "a < 31")) == "`core.retry.back_off`: `a < 30` → `a < 31`"
    long = Survivor("m.f", "x" * 50 + "(30)" + "y" * 50, "x" * 50 + "(31)" + "y" * 50)
    around = "…" + "x" * 22 + "({})" + "y" * 23 + "…"
    assert str(long) == f"`m.f`: `{around.format(30)}` → `{around.format(31)}`"


def test_survivors_are_told_by_the_first_reason_that_fits() -> None:
    """Those that nobody has judged come first."""
    reasons = [Reason("core.*", "*30* -> *31*", "Both are plenty."), Reason("*", "*None*", "Never asked.")]
    first, second, third = (
        Survivor("core.a", "x = 30", "x = 31"),
        Survivor("store.b", "x = 30", "x = 31"),
        Survivor("core.c", "f(1)", "f(None)"),
    )
    explained = explain([first, second, third], reasons)
    assert list(explained.items()) == [
        (NOT_JUDGED, [second]),
        ("Both are plenty.", [first]),
        ("Never asked.", [third]),
    ]
    assert render_survivors(explained).splitlines()[:4] == [NOT_JUDGED, "", f"- {second}", ""]


def test_every_reason_is_one() -> None:
    """A sentence, for a place and a change; none twice."""
    reasons = read_reasons()
    assert all(reason.why.endswith(".") for reason in reasons)
    assert len(set(reasons)) == len(reasons)
