"""The bodies of applies, waves and redrives: taken whole, or refused with every error at its place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from workers.core.model.bodies import (
    MAX_MESSAGE_IDS,
    MAX_WAVE_GROUPS,
    ApplyBody,
    RedriveBody,
    WaveBody,
    parse_apply,
    parse_redrive,
    parse_rollback,
    parse_wave,
)
from workers.core.model.errors import InvalidBody
from workers.core.model.group_body import MAX_SERVERS
from workers.core.model.waves import OnNotReady, Verify

A, B = (f"s-{letter * 17}" for letter in "ab")


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        ({}, ApplyBody(force=False, only_failed=False, source_server_ids=None)),
        ({"force": True}, ApplyBody(force=True, only_failed=False, source_server_ids=None)),
        ({"force": False, "onlyFailed": True}, ApplyBody(force=False, only_failed=True, source_server_ids=None)),
        ({"sourceServerIds": [A, B]}, ApplyBody(force=False, only_failed=False, source_server_ids=(A, B))),
    ],
)
def test_an_apply_is_read(raw: dict[str, Any], body: ApplyBody) -> None:
    """What is not said is False, or all source servers."""
    assert parse_apply(raw) == body


SNAPSHOT = "pit-" + "1" * 17
DRILL = WaveBody(("pg-1",), is_drill=True, on_not_ready=OnNotReady.APPLY, verify=Verify.STORED, snapshots={})


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        ({"groupIds": ["pg-1"]}, DRILL),
        ({"groupIds": ["pg-2", "pg-1"], "isDrill": False}, replace(DRILL, group_ids=("pg-2", "pg-1"), is_drill=False)),
        ({"groupIds": ["pg-1"], "isDrill": True}, DRILL),
        ({"groupIds": ["pg-1"], "onNotReady": "skip"}, replace(DRILL, on_not_ready=OnNotReady.SKIP)),
        ({"groupIds": ["pg-1"], "verify": "live"}, replace(DRILL, verify=Verify.LIVE)),
        ({"groupIds": ["pg-1"], "recoverySnapshotIds": {A: SNAPSHOT}}, replace(DRILL, snapshots={A: SNAPSHOT})),
    ],
)
def test_a_wave_is_read(raw: dict[str, Any], body: WaveBody) -> None:
    """What is not said to be a recovery is a drill, of which what is not ready is applied first."""
    assert parse_wave(raw) == body


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        ({}, RedriveBody(None, None)),
        ({"messageIds": ["m-1", "m-2"]}, RedriveBody(("m-1", "m-2"), None)),
        ({"groupId": "pg-1"}, RedriveBody(None, "pg-1")),
    ],
)
def test_a_redrive_is_read(raw: dict[str, Any], body: RedriveBody) -> None:
    """What is not said leaves nothing out."""
    assert parse_redrive(raw) == body


def many(name: str, count: int) -> dict[str, Any]:
    form = "s-{:017d}" if name == "sourceServerIds" else "id-{}"
    return {name: [form.format(number) for number in range(count)]}


@pytest.mark.parametrize(("named", "to_run"), [(3, "3"), ("3", "3"), ("run-1", "run-1"), (10**10 - 1, "9999999999")])
def test_a_run_is_named_by_its_generation_or_its_id(named: object, to_run: str) -> None:
    """A number, or text as the history shows it."""
    assert parse_rollback({"toRun": named}) == to_run


@pytest.mark.parametrize("named", [None, True, 0, -1, 1.5, 10**10, "", "x" * 65, []])
def test_what_names_no_run_is_refused_at_its_place(named: object) -> None:
    """A generation is a whole number that a key can hold, an id a text of at most 64 characters."""
    with pytest.raises(InvalidBody) as refused:
        parse_rollback({"toRun": named})
    assert [error.pointer for error in refused.value.errors] == ["/toRun"]


@pytest.mark.parametrize(
    ("snapshots", "wrong"), [({A: "pit-1"}, '"pit-1"'), ({"s-1": SNAPSHOT}, '"s-1"'), ({A: 3}, "3")]
)
def test_a_snapshot_that_is_none_is_told_with_the_form_of_both_ids(snapshots: dict[str, Any], wrong: str) -> None:
    """An id that was cut short while it was copied is seen at once."""
    with pytest.raises(InvalidBody) as refused:
        parse_wave({"groupIds": ["pg-1"], "recoverySnapshotIds": snapshots})
    (error,) = refused.value.errors
    forms = "source server ids (s- and 17 letters or digits) to recovery snapshot ids (pit- and 17 letters or digits)"
    assert error.message.endswith(f"must be an object of {forms}, not {wrong}.")


LISTS: list[tuple[Callable[[object], object], str, int]] = [
    (parse_apply, "sourceServerIds", MAX_SERVERS),
    (parse_wave, "groupIds", MAX_WAVE_GROUPS),
    (parse_redrive, "messageIds", MAX_MESSAGE_IDS),
]


@pytest.mark.parametrize(("parse", "name", "longest"), LISTS)
def test_a_list_names_each_once_and_not_too_many(parse: Callable[[object], object], name: str, longest: int) -> None:
    """One at least, as many as are taken at once, and none twice: each repetition is pointed to."""
    assert parse(many(name, longest)) is not None
    one, other = many(name, 2)[name]
    pointers = {
        "none": ({name: []}, [f"/{name}"]),
        "too many": (many(name, longest + 1), [f"/{name}"]),
        "twice": ({name: [one, other, one, one]}, [f"/{name}/2", f"/{name}/3"]),
    }
    for raw, wrong in pointers.values():
        with pytest.raises(InvalidBody) as refused:
            parse(raw)
        assert [error.pointer for error in refused.value.errors] == wrong
        assert refused.value.code == "INVALID_BODY"


@pytest.mark.parametrize(
    ("parse", "raw", "pointers"),
    [
        (parse_apply, None, [""]),
        (parse_wave, [], [""]),
        (parse_redrive, "all", [""]),
        (
            parse_apply,
            {"force": 1, "onlyFailed": "yes", "sourceServerIds": ["x"]},
            ["/force", "/onlyFailed", "/sourceServerIds/0"],
        ),
        (parse_apply, {"sourceServerIds": None}, ["/sourceServerIds"]),
        (parse_apply, {"Force": True}, ["/Force"]),
        (parse_wave, {}, [""]),
        (parse_wave, {"groupIds": ["x" * 65], "isDrill": 0}, ["/groupIds/0", "/isDrill"]),
        (parse_redrive, {"messageIds": ["x" * 101], "groupId": ""}, ["/messageIds/0", "/groupId"]),
        (parse_redrive, {"groupIds": ["pg-1"]}, ["/groupIds"]),
        (parse_rollback, None, [""]),
        (parse_rollback, {}, [""]),
        (parse_rollback, {"torun": 1}, ["/torun", ""]),
    ],
)
def test_everything_wrong_is_said_at_its_place(
    parse: Callable[[object], object], raw: object, pointers: list[str]
) -> None:
    """All at once; a member that is missing at the object that lacks it."""
    with pytest.raises(InvalidBody) as refused:
        parse(raw)
    assert [error.pointer for error in refused.value.errors] == pointers
    assert all(error.message for error in refused.value.errors)
