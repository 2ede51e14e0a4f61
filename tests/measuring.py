"""
Which processes are measured when the tests run under coverage: the tests' own, and prelaunch's own commands.

The stand-in, `aws` and the clients that tests start are not: to be measured slows a process down, and nothing of the
product runs in them.
"""

import os
from collections.abc import Mapping

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
    """Answer the variables that let a process be measured: none if the tests are not."""
    return _measuring
