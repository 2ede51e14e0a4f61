"""
The chaos from its first process to its verdict.

The main thread makes the faults and fills the slots, for a process is tied to the thread that started it; updaters and
readers have threads of their own. Nothing is believed that a fault could have touched: what is judged at the end is
read when the trouble is over.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.process import StandIn
from producer.local_stack.processes import StopSignals
from tests.acceptance.commands import make_environment
from tests.chaos.evidence import Evidence
from tests.chaos.faults import Faults
from tests.chaos.processes import Slot
from tests.chaos.readers import Reader, Watch
from tests.chaos.traffic import Caller, Ledger, Updater, apply, create_group, find_effective
from tests.chaos.truth import Truth
from tests.chaos.verdict import Verdict, judge

SERVERS = 300
WORKERS = 4
UPDATERS = 3
READERS = 2
THREADS = 16
"""Source servers that one worker has in hand: four workers on two cores must not outlast their own time-outs."""
WINDOW_SECONDS = 3.0
"""EC2's eventual consistency, less than what a worker waits for what it promoted; scaled with that."""
LOOK_SECONDS = 0.1
PAST_DEADLINE_SECONDS = 180
"""How long after the deadline that the run itself states it is given up."""
PREVENTED = ('"reason": "LEASE_LOST"', '"result": "SUPERSEDED"')


class Stopped(Exception):
    """Somebody told the chaos to stop, or it cannot go on; the message says why."""


@dataclass(slots=True)
class Chaos:
    """Everything that takes part."""

    aws: StandIn
    folder: Path
    seed: int
    seconds: float
    scale: float
    signals: StopSignals
    ledger: Ledger = field(default_factory=Ledger)
    watch: Watch = field(default_factory=lambda: Watch(SERVERS))
    abandon: threading.Event = field(default_factory=threading.Event)
    workers: list[Slot] = field(default_factory=list)
    tasks: "list[Task]" = field(default_factory=list)
    api: Slot = field(init=False)

    def __post_init__(self) -> None:
        scaled = {
            "PRELAUNCH_TIME_SCALE": str(self.scale),
            "PRELAUNCH_THREADS": str(THREADS),
            # The stand-in's buckets are off, and what is waited for here is no quota.
            "PRELAUNCH_RATE_FACTOR": "100",
        }
        environment = make_environment(self.aws.environment, scaled)
        self.api = Slot("api", ("api", "--port", "0"), environment, self.folder)
        self.workers = [Slot(f"worker{n}", ("worker",), environment, self.folder) for n in range(1, WORKERS + 1)]

    @property
    def slots(self) -> list[Slot]:
        """Every slot."""
        return [self.api, *self.workers]

    def run(self) -> Verdict:
        """Run it all, and judge."""
        members = self.aws.control("POST", "servers", {"count": SERVERS})["sourceServerIds"]
        truth = Truth(self.aws, members, WINDOW_SECONDS * self.scale)
        self.aws.control("PUT", "consistency", {"seconds": truth.window_seconds})
        faults = Faults(random.Random(self.seed), self.aws, self.scale, self.workers, self.api)
        with self._threads() as start:
            group_id = self._await(start(create_group, self._caller(), members))
            over = threading.Event()
            for number in range(READERS):
                asked = None if number else truth
                start(Reader(group_id, self._caller(), self.watch, over, self._dice("reader", number), asked).run)
            self._make_trouble(faults, group_id, start)
            say("The faults have ended; now all that was accepted must settle …")
            self._await_settled(group_id, start)
            evidence = self._finish(faults, group_id, truth, start)
            over.set()
        return judge(evidence())

    def _make_trouble(self, faults: Faults, group_id: str, start: "Start") -> None:
        over = threading.Event()
        updating = [
            start(Updater(f"u{n}", group_id, self._caller(), self._dice("updater", n), self.scale, over).run)
            for n in range(UPDATERS)
        ]
        ends_at = time.monotonic() + self.seconds
        next_at = time.monotonic() + faults.pause()
        try:
            while time.monotonic() < ends_at:
                self._look()
                if time.monotonic() >= next_at:
                    faults.inject()
                    next_at = time.monotonic() + faults.pause()
        finally:
            over.set()
        faults.end()
        for each in updating:
            self._await(each)

    def _finish(self, faults: Faults, group_id: str, truth: Truth, start: "Start") -> Callable[[], Evidence]:
        caller = self._caller()
        path = f"/protection-groups/{group_id}"

        def read(what: str) -> Any:
            return self._await(start(lambda: caller.ask("GET", path + what).json()))

        definition = read("")
        wanted = {member: find_effective(definition, member) for member in definition["sourceServerIds"]}
        while True:
            self._await_settled(group_id, start)
            status, looked_at = read("/launch-config-status?limit=1000"), time.time()
            before = self._await(start(truth.find_differences, wanted))
            # The watch opens runs of its own: what AWS holds says something of a group only if that stands still.
            generation = read("/launch-config-status?limit=1")["generation"]
            if status["status"] != "pending" and status["generation"] == generation:
                break
        forced = self._await(start(apply, caller, group_id, {"force": True}))
        self._await_settled(group_id, start)
        self._await_truth()
        after = self._await(start(truth.find_differences, wanted))
        heads = read("/apply-runs?limit=1000")["applyRuns"]
        runs = [read(f"/apply-runs/{head['runId']}") for head in reversed(heads)]
        versions = self._await(start(truth.read_versions))
        writes = self._await(start(truth.read_writes, versions))
        caller.close()
        return lambda: Evidence(
            faults=faults.injected,
            accepted=self.ledger.accepted,
            runs=runs,
            status=status,
            definition=definition,
            writes=writes,
            versions=versions,
            stops=[stop for slot in self.slots for stop in slot.stops],
            before=before,
            looked_at=looked_at,
            after=after,
            forced_run=next(run for run in runs if run["runId"] == forced),
            prevented=self._count_prevented(),
            answers=self.watch.answers,
            truths=self.watch.truths,
            repeats=self.ledger.repeats,
            conflicts=self.ledger.conflicts,
            failures=self.watch.failures,
            broken=self.find_broken(),
        )

    def _await_settled(self, group_id: str, start: "Start") -> None:
        """Wait until no run is under way; a run's own deadline, which may move on, is when to give up."""
        caller, path = self._caller(), f"/protection-groups/{group_id}/launch-config-status?limit=1&wait=5"
        while True:
            status = self._await(start(lambda: caller.ask("GET", path).json()))
            if status["status"] != "pending":
                return
            late = datetime.now(UTC) - datetime.fromisoformat(status["deadline"])
            if late.total_seconds() > PAST_DEADLINE_SECONDS:
                raise Stopped(
                    f"promise 3: generation {status['generation']} has not settled {late} after its deadline:"
                    f" {status['pendingServers']} source servers are pending. It waits for {status['waitingFor']}."
                )

    def _await_truth(self) -> None:
        """Wait until a reader has asked AWS whether the group, which is ready, is."""
        seen = self.watch.truths
        while self.watch.truths == seen and not self.watch.broken:
            self._look()

    def _look(self) -> None:
        """Fill the slots and see whether to go on; then let a moment pass."""
        if self.signals.received:
            raise Stopped(f"The chaos was stopped by {self.signals.received.name}.")
        for task in self.tasks:
            if task.error is not None:
                raise task.error
        for slot in self.slots:
            slot.look()
        self.abandon.wait(LOOK_SECONDS)

    def find_broken(self) -> list[str]:
        """Tell what was found broken so far."""
        return [*self.watch.broken, *self.ledger.broken, *self._find_wrong_processes()]

    def _await(self, task: "Task") -> Any:
        while task.thread.is_alive():
            self._look()
        if task.error is not None:
            raise task.error
        self.tasks.remove(task)
        return task.result

    @contextmanager
    def _threads(self) -> Iterator["Start"]:
        """Start threads, all of which end with the block."""

        def start(work: Callable[..., Any], *arguments: Any) -> Task:
            task = Task(work, arguments)
            self.tasks.append(task)
            return task

        try:
            yield start
        except BaseException:
            self.abandon.set()
            raise
        finally:
            for task in self.tasks:
                task.thread.join()

    def _caller(self) -> Caller:
        return Caller(lambda: self.api.url if self.api.is_running else None, self.ledger, self.abandon)

    def _dice(self, *what: object) -> random.Random:
        return random.Random(f"{self.seed} {what}")

    def _count_prevented(self) -> int:
        lines = (line for slot in self.workers for _, line in slot.read_logs())
        return sum(any(words in line for words in PREVENTED) for line in lines)

    def _find_wrong_processes(self) -> Iterator[str]:
        for slot in self.slots:
            yield from slot.ends
            for who, line in slot.read_logs():
                if line.startswith("Traceback") or '"exception": ' in line:
                    yield f"{who} met an error of prelaunch's own: {line[:500]}"


class Task:
    """A thread with its result."""

    def __init__(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._work, self._arguments = work, arguments
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work(*self._arguments)
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            self.error = error


Start = Callable[..., Task]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
