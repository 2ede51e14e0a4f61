"""The file of a group: read whole or refused, and what was shown can be sent back."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from producer.cli.file import MAX_FILE_BYTES, ONLY_SHOWN, check_same_group, read_document, read_update
from producer.render import render_group
from tests.fakes.runs import MEMBERS, OPENED_AT, run_over
from tests.fakes.strategies import group_definitions
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.queries import GroupView
from workers.core.requests import RequestRefused
from workers.core.store.records import GroupHead

HEAD = GroupHead("pg-1", "web", "us-east-1", "111122223333", 4, OPENED_AT, OPENED_AT)


def give(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    """Put text on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


@settings(max_examples=25)
@given(group=group_definitions())
def test_a_group_can_be_updated_as_it_is_shown(group: GroupDefinition) -> None:
    """What `group get --json` prints is an update to the same definition, at the version that was shown."""
    head = replace(HEAD, name=group.name, region=group.target.region)
    shown = json.dumps(render_group(GroupView(head, group, None))).encode()
    with pytest.MonkeyPatch.context() as patched:
        give(patched, shown)
        asked = read_update(read_document("-"))
    target = replace(group.target, account_id=HEAD.account_id, external_id=None)
    assert asked.update.definition == replace(group, target=target)
    assert (asked.update.version, asked.update.force, asked.shown) == (4, False, "pg-1")


def test_exactly_what_is_shown_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that a file can hold only members that `get` prints go unread; each other one is refused by its name."""
    shown = render_group(GroupView(HEAD, run_over(MEMBERS, frozenset()).definition, None))
    assert shown.keys() >= ONLY_SHOWN
    give(monkeypatch, json.dumps({**shown, "reapply": None, "updatedBy": "me"}).encode())
    with pytest.raises(InvalidBody) as refused:
        read_update(read_document("-"))
    assert {error.pointer for error in refused.value.errors} == {"/reapply", "/updatedBy"}


def test_an_update_needs_the_version_that_it_was_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nobody could tell what the update would undo."""
    shown = render_group(GroupView(HEAD, run_over(MEMBERS, frozenset()).definition, None))
    del shown["version"]
    give(monkeypatch, json.dumps(shown).encode())
    with pytest.raises(InvalidBody, match="version"):
        read_update(read_document("-"))


def test_the_file_of_another_group_is_refused() -> None:
    """A mistaken name must not put one group's definition over another's."""
    check_same_group(None, "pg-1")
    check_same_group("pg-1", "pg-1")
    with pytest.raises(InvalidBody, match="pg-2"):
        check_same_group("pg-2", "pg-1")


@pytest.mark.parametrize("body", [b"[]", b"3", b'"text"', b"null"])
def test_what_is_no_object_is_refused(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Any JSON is read without a crash."""
    give(monkeypatch, body)
    with pytest.raises(InvalidBody):
        read_update(read_document("-"))


@pytest.mark.parametrize(
    "text",
    [b"", b"groupName: web", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'"' + b"1" * 5000, b"1" * 5000],
)
def test_what_is_no_json_is_refused_with_the_reason(tmp_path: Path, text: bytes) -> None:
    """Broken text, another encoding, endless nesting and numbers without end: one error, no crash."""
    (tmp_path / "file").write_bytes(text)
    with pytest.raises(InvalidBody, match="JSON"):
        read_document(str(tmp_path / "file"))


def test_a_file_that_says_one_thing_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of JSON disagree on which of the two counts: nobody knows what was meant."""
    give(monkeypatch, b'{"servers": [{"launchConfig": {"copyTags": true, "copyTags": false}}]}')
    with pytest.raises(InvalidBody, match='"copyTags"'):
        read_document("-")


def unreadable(name: str, folder: Path) -> str:
    paths: dict[str, Any] = {"missing": folder / "nothing", "folder": folder, "nul": "a\0b", "empty": ""}
    return str(paths[name])


@pytest.mark.parametrize("name", ["missing", "folder", "nul", "empty"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """One sentence says why."""
    with pytest.raises(RequestRefused, match=r"^The file cannot be read: .+\.$") as refused:
        read_document(unreadable(name, tmp_path))
    assert refused.value.code == "INVALID_BODY"


def test_a_file_without_end_is_not_read_for_ever() -> None:
    """A device that never ends is given up at the limit."""
    with pytest.raises(RequestRefused, match=f"over {MAX_FILE_BYTES // 1024**2} MiB") as refused:
        read_document("/dev/zero")
    assert refused.value.code == "BODY_TOO_LARGE"
