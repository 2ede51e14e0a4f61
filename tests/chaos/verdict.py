"""
What was seen, counted and judged. Pure: the same evidence gives the same verdict.

Nothing may be forgiven here but what is written down: a process that was stopped between its check and the send of a
write, for under five minutes, writes late, once for each source server in hand. That counts as found only where the
product repairs it, by a newer generation or by its watch; what is left for the forced apply at the end, which is ours,
is excused and counted apart. Nobody but the product writes: drift that no late write explains is a false alarm.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from tests.chaos.evidence import Evidence, Run
from tests.chaos.processes import Stop
from tests.chaos.traffic import Accepted, find_effective, read_version
from tests.chaos.truth import OURS, AwsWrite

SETTLED = {"ready", "failed", "superseded"}
FENCED_SECONDS = 300
"""AWS refuses a signature that is older: who was stopped for longer cannot write what he had signed before."""
DRIFT = "drift"
"""The reason of the runs that the product opens by itself."""
RESUMED_SECONDS = 30
"""By when a process that goes on has sent what it was about to send, on however busy a machine."""


class Repair(StrEnum):
    """Who wrote a source server right after a stale write."""

    FOUND = "found"
    FORCED = "repaired by the forced apply at the end only"
    NONE = "not found"


@dataclass(frozen=True, slots=True)
class StaleWrite:
    """A write for an older version of the group, after a newer one was verified on the source server."""

    write: AwsWrite
    mark: str
    generation: int
    """The newer one's."""
    stopped: bool
    """Whether it is what its process was about to send when it was stopped, and not for too long."""
    repair: Repair
    repaired_at: float | None

    def __str__(self) -> str:
        why = "" if self.stopped else ", which no stop excuses"
        return (
            f"promise 5: {self.write.who} wrote {self.mark} to {self.write.source_server_id}"
            f" ({self.write.operation}) after generation {self.generation} had verified it{why}; {self.repair}"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures, and what is broken."""

    figures: dict[str, int]
    faults: Mapping[str, int]
    broken: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    """The late writes that nobody but the forced apply repaired."""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        counts = self.figures
        return (
            f"chaos: {counts['faults']} faults, {counts['accepted']} requests accepted, {counts['settled']} settled,"
            f" lost {counts['lost']}, duplicate versions {counts['duplicateVersions']},"
            f" stale writes neither prevented nor found {counts['staleWritesNotFound']}"
        )

    def to_json(self) -> dict[str, Any]:
        """Render the figures."""
        return {
            **self.figures,
            "faultsByKind": dict(self.faults),
            "failures": self.failures,
            "excused": self.excused,
            "broken": self.broken,
            "summary": self.summary,
        }


def judge(seen: Evidence) -> Verdict:
    """Judge what was seen."""
    lost = list(find_lost(seen.accepted, seen.runs))
    duplicates = list(find_duplicates(seen.writes))
    stale = list(find_stale(seen))
    not_found = [each for each in stale if not each.stopped or each.repair is Repair.NONE]
    excused = [each for each in stale if each.stopped and each.repair is Repair.FORCED]
    left = {
        each.write.source_server_id
        for each in stale
        if each.repaired_at is None or each.repaired_at > seen.looked_at or each.repair is not Repair.FOUND
    }
    unexplained = list(find_unexplained(seen, left))
    figures = {
        "faults": seen.faults.total(),
        "accepted": len(seen.accepted),
        "settled": len(seen.accepted) - len(lost),
        "lost": len(lost),
        "runs": len(seen.runs),
        "driftRuns": sum(run["reason"] == DRIFT for run in seen.runs),
        "conflicts": seen.conflicts,
        "repeats": seen.repeats,
        "answersRead": seen.answers,
        "truthsRead": seen.truths,
        "serversFailedOnTheWay": len(seen.failures),
        "versions": sum(version.description.startswith(OURS) for version in seen.versions),
        "duplicateVersions": len(duplicates),
        "writes": len(seen.writes),
        "staleWritesPrevented": seen.prevented,
        "staleWritesFound": len(stale) - len(not_found) - len(excused),
        "staleWritesExcused": len(excused),
        "staleWritesNotFound": len(not_found) + len(unexplained),
    }
    alarms = find_false_alarms(seen.runs, stale)
    broken = [*seen.broken, *lost, *duplicates, *map(str, not_found), *unexplained, *alarms, *find_wrong_ends(seen)]
    failures = [f"generation {at}: {server}: {why}" for (at, server), why in sorted(seen.failures.items())]
    return Verdict(figures, seen.faults, broken, failures, [*map(str, excused)])


def find_lost(accepted: Sequence[Accepted], runs: Sequence[Run]) -> Iterator[str]:
    """Find accepted requests whose run is not there, or has not settled."""
    known = {run["runId"]: run for run in runs}
    for request in accepted:
        run = known.get(request.run_id or "")
        if run is None:
            yield f"promise 3: the {request.what} {request.request_id} was accepted as {request.run_id}, which is gone"
        elif run["status"] not in SETTLED or run["settledAt"] is None:
            yield f"promise 3: generation {run['generation']} ({request.what}, {request.run_id}) is {run['status']}"


def find_duplicates(writes: Sequence[AwsWrite]) -> Iterator[str]:
    """Find versions of one source server that were made twice from one source for one payload."""
    made: defaultdict[tuple[str, str | None, str | None], set[int | None]] = defaultdict(set)
    for write in writes:
        if write.operation == "CreateLaunchTemplateVersion":
            made[write.source_server_id, write.source, write.description].add(write.version)
    for (server, source, description), numbers in made.items():
        if len(numbers) > 1:
            yield f"promise 4: {server} has versions {sorted(map(str, numbers))} from {source} for {description}"


def find_stale(seen: Evidence) -> Iterator[StaleWrite]:
    """Find writes that came after a newer generation had verified their source server."""
    verified = find_verified(seen.runs)
    held = find_held(seen.writes, seen.stops)
    for position, write in enumerate(seen.writes):
        mark = write.mark
        if mark is None:
            continue
        version = read_version(mark)
        newer = [
            (at, generation)
            for at, generation, other in verified.get(write.source_server_id, ())
            if at < write.at and read_version(other) > version
        ]
        if newer:
            yield StaleWrite(write, mark, max(newer)[1], position in held, *_find_repair(seen, position, version))


def find_verified(runs: Sequence[Run]) -> dict[str, list[tuple[float, int, str]]]:
    """Tell when which generation verified which mark on which source server, as far as it had to be changed."""
    verified: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for run in runs:
        for change in run["changes"]:
            mark = next((f["desired"] for f in change["fields"] if f["field"] in {"tags.Chaos", "name"}), None)
            if mark is not None and change["outcome"] == "ready" and change["completedAt"] is not None:
                at = datetime.fromisoformat(change["completedAt"]).timestamp()
                verified[change["sourceServerId"]].append((at, run["generation"], mark))
    return verified


def find_held(writes: Sequence[AwsWrite], stops: Sequence[Stop]) -> set[int]:
    """Find the positions of the writes that a stop may have held back, for less than their signatures were good."""
    held = set()
    for stop in stops:
        written: set[str] = set()
        for position, write in enumerate(writes):
            if write.who != stop.who or write.at <= stop.begun_at or write.source_server_id in written:
                continue
            # A job has one call between check and send: what follows the first one was checked after the stop.
            written.add(write.source_server_id)
            ended_at = stop.ended_at or write.at
            if write.at < ended_at + RESUMED_SECONDS and ended_at - stop.begun_at < FENCED_SECONDS:
                held.add(position)
    return held


def _find_repair(seen: Evidence, position: int, version: int) -> tuple[Repair, float | None]:
    """Tell whether what is launched is right at the end, and who wrote it right after the stale write, when."""
    stale = seen.writes[position]
    if stale.operation == "CreateLaunchTemplateVersion":
        # Of a version that nobody promotes nothing is launched.
        return Repair.FOUND, stale.at
    if stale.source_server_id in seen.after:
        return Repair.NONE, None
    forced_at = datetime.fromisoformat(seen.forced_run["openedAt"]).timestamp()
    for write in seen.writes[position + 1 :]:
        same = (write.source_server_id, write.operation) == (stale.source_server_id, stale.operation)
        if same and write.mark is not None and read_version(write.mark) > version:
            return Repair.FOUND if write.at < forced_at else Repair.FORCED, write.at
    return Repair.NONE, None


def find_unexplained(seen: Evidence, explained: set[str]) -> Iterator[str]:
    """Find source servers that read ready and were not: no stale write that is known tells why."""
    generation = seen.status["generation"]
    later = (run for run in [*seen.runs, seen.forced_run] if run["generation"] > generation)
    repaired = {change["sourceServerId"] for run in later for change in run["changes"] if change["outcome"] == "ready"}
    for server, what in seen.before.items():
        if seen.status["serverConfigs"][server]["status"] != "ready":
            continue
        if server not in explained:
            yield f"promise 1: {server} reads ready at generation {generation} and is not: {what}"
        elif server not in repaired:
            yield f"promise 5: nobody found that {server}, ready at generation {generation}, is not: {what}"


def find_false_alarms(runs: Sequence[Run], stale: Sequence[StaleWrite]) -> Iterator[str]:
    """Find what the product repaired as drift though nobody had written anything late."""
    for run in runs:
        if run["reason"] == DRIFT:
            opened_at = datetime.fromisoformat(run["openedAt"]).timestamp()
            late = {each.write.source_server_id for each in stale if each.write.at < opened_at}
            for change in run["changes"]:
                if change["sourceServerId"] not in late:
                    fields = [field["field"] for field in change["fields"]]
                    yield (
                        f"promise 11: generation {run['generation']} found drift of {change['sourceServerId']} in"
                        f" {fields}, which nobody changed"
                    )


def find_wrong_ends(seen: Evidence) -> Iterator[str]:
    """Find what is otherwise at the end than it must be when all has settled."""
    if seen.status["status"] != "ready":
        errors = Counter(error["code"] for error in seen.status["errors"])
        yield f"the group ended {seen.status['status']} at generation {seen.status['generation']}: {dict(errors)}"
    if seen.forced_run["status"] != "ready":
        yield f"the forced apply at the end, generation {seen.forced_run['generation']}, {seen.forced_run['status']}"
    for server, what in seen.after.items():
        yield f"{server} is not as wanted after the forced apply: {what}"
    yield from _find_wrong_definition(seen)
    yield from _find_wrong_history(seen)
    made = {(write.source_server_id, write.version) for write in seen.writes}
    for version in seen.versions:
        if version.description.startswith(OURS) and (version.source_server_id, version.number) not in made:
            yield f"version {version.number} of {version.source_server_id} was made by a write that nobody recorded"


def _find_wrong_definition(seen: Evidence) -> Iterator[str]:
    """Find whether the group is not what the last accepted update asked for."""
    updates = [request for request in seen.accepted if request.version is not None]
    last = max(updates, key=lambda request: request.version or 0)
    versions = sorted(request.version or 0 for request in updates)
    if versions != list(range(1, len(versions) + 1)):
        yield f"promise 3: the accepted updates made versions {versions}"
    asked = last.body or {}
    for member in sorted({*asked["sourceServerIds"], *seen.definition["sourceServerIds"]}):
        wanted, found = find_effective(asked, member), find_effective(seen.definition, member)
        if wanted != found:
            yield f"promise 3: {member} is to be {found}, not as the last accepted update, {last.version}, has it"


def _find_wrong_history(seen: Evidence) -> Iterator[str]:
    """Find generations that are missing or were opened twice, and requests that had more than one effect."""
    generations = [run["generation"] for run in seen.runs]
    if generations != list(range(1, len(generations) + 1)):
        yield f"the history holds generations {generations}"
    asked = Counter(run["requestId"] for run in seen.runs if run["reason"] != DRIFT)
    for request_id, count in asked.items():
        if count > 1:
            yield f"the request {request_id} opened {count} generations"
    for request_id in asked.keys() - {request.request_id for request in seen.accepted}:
        yield f"a generation was opened for {request_id}, which nobody was told to be accepted"
