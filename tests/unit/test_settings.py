"""What an installation can set, and what is refused."""

import os

import pytest
from pydantic import ValidationError

from workers.core.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("PRELAUNCH_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRELAUNCH_THREADS", "0"),
        ("PRELAUNCH_THREADS", "many"),
        ("PRELAUNCH_STACK", ""),
        ("PRELAUNCH_STACK", "with space"),
        ("PRELAUNCH_TIME_SCALE", "0"),
        ("PRELAUNCH_TIME_SCALE", "nan"),
        ("PRELAUNCH_THREDS", "64"),
        ("PRELAUNCH_", "64"),
        ("PRELAUNCH_LEASE", "10"),
    ],
)
def test_wrong_and_unknown_variables_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A bad value and a misspelt name both stop the process, and the error names the variable."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    (error,) = caught.value.errors()
    assert f"PRELAUNCH_{str(error['loc'][0]).upper()}" == name


def test_variables_of_others_are_not_ours_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the prefix is ours."""
    monkeypatch.setenv("PRELAUNCHER_THREADS", "none")
    monkeypatch.setenv("XPRELAUNCH_THREDS", "3")
    monkeypatch.setenv("PRELAUNCH_THREADS", "7")
    assert Settings().threads == 7


@pytest.mark.parametrize("scale", ["0.02", "0.1", "1", "10"])
def test_a_call_and_its_margin_fit_into_the_lease_at_every_scale(monkeypatch: pytest.MonkeyPatch, scale: str) -> None:
    """A call that starts with the margin left ends within the lease, and a renewed lease has room for calls."""
    monkeypatch.setenv("PRELAUNCH_TIME_SCALE", scale)
    settings = Settings()
    assert settings.call_timeout < settings.lease_margin < settings.lease * 3 / 4
