"""A test that is not measured is run at its own speed, and the next one is measured again."""

import subprocess
import sys
import threading

import pytest

from tests import measuring
from tests.acceptance.commands import make_environment

CHILD = "import os; print(os.environ.get('COVERAGE_PROCESS_CONFIG', ''), end='')"


@pytest.mark.unmeasured
def test_an_unmeasured_test_is_followed_by_nobody() -> None:
    """Under coverage too: neither this thread nor another one, nor a process."""
    found = []
    other = threading.Thread(target=lambda: found.append(sys.gettrace()))
    other.start()
    other.join()
    assert [sys.gettrace(), *found] == [None, None]
    started = subprocess.run([sys.executable, "-c", CHILD], env=make_environment(), stdout=subprocess.PIPE, check=True)
    assert started.stdout == b""


def test_after_a_pause_all_is_measured_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever measured, in this thread and for those to come; and the variables of processes are the same."""
    variables = {measuring.VARIABLE: "how"}
    monkeypatch.setattr(measuring, "_measuring", dict(variables))
    before = (sys.gettrace(), threading.gettrace())
    with measuring.paused():
        assert (sys.gettrace(), threading.gettrace()) == (None, None)
        assert measuring.measured() == {}
    assert (sys.gettrace(), threading.gettrace()) == before
    assert measuring.measured() == variables
