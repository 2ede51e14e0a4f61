"""
Which trouble comes next, and making it: signals to processes, and scripts for the stand-in.

No trouble here may be one that AWS or an operating system does not make: a late effect comes while the lease of the
process that asked for it is still held, as a call that AWS finishes after its time-out does.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.process import StandIn
from tests.chaos.processes import Slot

EVERY_SECONDS = (0.8, 3.0)
"""Between two faults. Not scaled: a process takes its seconds to start whatever our own periods are."""
SHORT_STOP_SECONDS = (2.0, 20.0)
LONG_STOP_SECONDS = (65.0, 100.0)
"""Longer than a lease, its grace and the visibility of a message; to be scaled as they are."""
LATE_SECONDS = 20.0
"""Less than the 60 s that a write without an answer keeps others away; scaled with them."""
MOST_STOPPED = 2

Script = list[dict[str, Any]]


def _throttles() -> Script:
    return [
        {"service": "ec2", "operation": "CreateLaunchTemplateVersion", "code": "RequestLimitExceeded", "times": 8},
        {"service": "ec2", "operation": "DescribeLaunchTemplateVersions", "code": "RequestLimitExceeded", "times": 8},
        {
            "service": "drs",
            "operation": "GetLaunchConfiguration",
            "code": "ThrottlingException",
            "retryAfterSeconds": 1,
            "times": 8,
        },
    ]


def _lost_answers() -> Script:
    operations = {
        "ec2": ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate"),
        "drs": ("UpdateLaunchConfiguration",),
        "dynamodb": ("TransactWriteItems", "UpdateItem"),
        "sqs": ("SendMessageBatch", "DeleteMessageBatch"),
    }
    return [
        {"service": service, "operation": operation, "afterEffect": True, "times": 3}
        for service, named in operations.items()
        for operation in named
    ]


def _late_effects(scale: float) -> Script:
    late = {"effectDelaySeconds": LATE_SECONDS * scale, "times": 3}
    return [
        {"service": "ec2", "operation": "CreateLaunchTemplateVersion", **late},
        {"service": "ec2", "operation": "ModifyLaunchTemplate", **late},
        {"service": "drs", "operation": "UpdateLaunchConfiguration", **late},
    ]


def _contention() -> Script:
    return [
        {
            "service": "dynamodb",
            "operation": "TransactWriteItems",
            "cancellationReasons": ["TransactionConflict"],
            "probability": 0.3,
        },
        {"service": "dynamodb", "operation": "*", "code": "ProvisionedThroughputExceededException", "probability": 0.1},
    ]


def _outages() -> Script:
    return [
        {"service": "dynamodb", "operation": "*", "kind": "reset", "times": 40},
        {"service": "sqs", "operation": "*", "code": "ServiceUnavailable", "times": 20},
        {"service": "ec2", "operation": "*", "code": "Unavailable", "times": 10},
        {"service": "drs", "operation": "GetLaunchConfiguration", "kind": "hang", "times": 3},
    ]


@dataclass(slots=True)
class Faults:
    """Makes trouble, one fault at a time, and counts it."""

    dice: random.Random
    aws: StandIn
    scale: float
    workers: Sequence[Slot]
    api: Slot
    injected: Counter[str] = field(default_factory=Counter)

    def pause(self) -> float:
        """Draw the seconds until the next one."""
        return self.dice.uniform(*EVERY_SECONDS)

    def inject(self) -> None:
        """Draw the next fault and make it."""
        # A process that is starting is killed too, and a script is replaced in the middle: that is chaos.
        kinds: dict[Callable[[], str | None], int] = {
            self._kill: 3,
            self._terminate: 2,
            self._stop: 3,
            self._restart_api: 2,
            self._script: 3,
        }
        (kind,) = self.dice.choices(list(kinds), list(kinds.values()))
        made = kind()
        if made is not None:
            self.injected[made] += 1

    def end(self) -> None:
        """End the trouble: AWS is well, and who was stopped goes on."""
        self.aws.control("PUT", "faults", [])
        for slot in self.workers:
            slot.go_on()

    def _choose(self) -> Slot | None:
        running = [slot for slot in self.workers if slot.is_running]
        return self.dice.choice(running) if running else None

    def _kill(self) -> str | None:
        slot = self._choose()
        if slot is None:
            return None
        slot.kill(forked=self.dice.random() < 0.5)
        return "SIGKILL to a worker"

    def _terminate(self) -> str | None:
        slot = self._choose()
        if slot is None:
            return None
        slot.terminate()
        return "SIGTERM to a worker"

    def _stop(self) -> str | None:
        slot = self._choose()
        if slot is None or sum(not slot.is_running for slot in self.workers) >= MOST_STOPPED:
            return None
        seconds = self.dice.choice([SHORT_STOP_SECONDS, LONG_STOP_SECONDS])
        slot.stop(self.dice.uniform(*seconds) * self.scale)
        return "SIGSTOP to a worker"

    def _restart_api(self) -> str | None:
        if not self.api.is_running or self.api.url is None:
            return None
        if self.dice.random() < 0.5:
            self.api.kill(forked=False)
            return "SIGKILL to the API"
        self.api.terminate()
        return "SIGTERM to the API"

    def _script(self) -> str:
        scripts: dict[str, Script] = {
            "AWS throttles": _throttles(),
            "AWS loses answers": _lost_answers(),
            "AWS acts after its answer was lost": _late_effects(self.scale),
            "DynamoDB is contended": _contention(),
            "AWS fails and hangs": _outages(),
            "AWS is well again": [],
        }
        name = self.dice.choice(list(scripts))
        self.aws.control("PUT", "faults", scripts[name])
        return name
