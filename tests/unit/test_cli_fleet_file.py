"""The file that an export or an import writes: whole, in the place of a file and of nothing else, found out early."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from producer.cli.fleet_file import opening, write_fleet
from producer.strict_yaml import parse_yaml
from workers.core.requests import RequestRefused

FLEET: dict[str, Any] = {"groups": []}
ONLY_OWNER = 0o600


def write(path: Path, *, as_json: bool = False) -> None:
    with opening(str(path)) as file:
        write_fleet(FLEET, file=file, head="of a test", as_json=as_json)


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    """Who could not read it before cannot afterwards, and nothing else is left behind."""
    there, link = tmp_path / "there.yaml", tmp_path / "link.yaml"
    there.write_text("old")
    there.chmod(ONLY_OWNER)
    link.symlink_to(there)
    write(link)
    assert link.is_symlink()
    assert parse_yaml(there.read_bytes()).to_json() == FLEET
    assert there.stat().st_mode & 0o777 == ONLY_OWNER
    assert sorted(tmp_path.iterdir()) == [link, there]


def test_json_is_written_as_json(tmp_path: Path) -> None:
    """Without the comment, which JSON has not."""
    write(tmp_path / "fleet.json", as_json=True)
    assert json.loads((tmp_path / "fleet.json").read_text()) == FLEET


@pytest.mark.parametrize(
    ("name", "why"), [("pipe", "no ordinary file"), ("folder", "a directory"), ("no/where", "No such file")]
)
def test_what_cannot_be_replaced_is_refused_before_anything_is_asked(tmp_path: Path, name: str, why: str) -> None:
    """A device or a pipe too, of which a file would take the place: of the machine's own, with root's rights."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RequestRefused, match=why), opening(str(tmp_path / name)):
        pytest.fail("It was begun.")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "pipe").is_fifo()


def test_a_file_that_is_not_written_stays_as_it_was(tmp_path: Path) -> None:
    """Where what was to stand in it could not be had."""
    (tmp_path / "fleet.yaml").write_text("old")
    with pytest.raises(KeyError), opening(str(tmp_path / "fleet.yaml")):
        raise KeyError
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]
