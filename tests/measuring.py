"""
What is measured when the tests run under coverage: the tests' own processes, and prelaunch's own commands.

The stand-in, `aws` and the clients that tests start are not: to be measured slows a process down, and nothing of the
product runs in them. Neither is a test that is marked unmeasured, nor what it starts.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""What coverage measures a new Python process by."""

_measuring: dict[str, str] = {}


def measure_chosen_processes_only() -> None:
    """Take the variable out of the environment that every process inherits."""
    if VARIABLE in os.environ:
        _measuring[VARIABLE] = os.environ.pop(VARIABLE)


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """Answer an environment whose processes are not measured: they are not ours, or what they show is time."""
    return {name: value for name, value in environment.items() if name != VARIABLE}


def measured() -> Mapping[str, str]:
    """Answer the variables that let a process be measured: none if the tests are not, or this one of them is not."""
    return _measuring


@contextmanager
def paused() -> Iterator[None]:
    """Measure neither this thread while the block runs, nor what threads and processes are started in it."""
    tracer, of_threads, variables = sys.gettrace(), threading.gettrace(), dict(_measuring)
    _measuring.clear()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(tracer)
        _measuring.update(variables)
