"""
A wave, its groups and its parts as values, and what follows from them. No I/O.

The members are fixed when the wave is accepted. A part is one recovery job at most: where DRS refuses one for some of
its source servers, two other parts take its place, and it is never started again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from pydantic.dataclasses import dataclass

from workers.core.model.waves import OnNotReady, Verify
from workers.core.store.records import RECORD


class WaveStatus(StrEnum):
    """Where a wave stands."""

    STARTING = "starting"
    """Recovery is about to be started for what has no job yet."""
    APPLYING = "applying"
    """At least one group is not ready yet, and is made so."""
    WAITING = "waiting"
    """All groups are ready; what has no job yet waits, as for a quota."""
    STARTED = "started"
    """DRS has answered for every part; the launches go on."""
    FINISHED = "finished"
    """Every source server was launched."""
    FAILED = "failed"
    """It is over, and not every source server was launched."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more comes of it."""
        return self in {WaveStatus.FINISHED, WaveStatus.FAILED}

    @property
    def is_begun(self) -> bool:
        """Tell whether DRS has answered for every part."""
        return self is WaveStatus.STARTED or self.is_over


class GroupState(StrEnum):
    """How far a group of a wave is."""

    UNREADY = "unready"
    """It is to be compared with AWS or to be applied before its recovery may start."""
    LAUNCHING = "launching"
    """Its launch templates are held; its parts are started and followed."""
    OVER = "over"
    """Every launch is final, or none will be."""


FINAL = frozenset({"LAUNCHED", "FAILED", "TERMINATED"})
"""Launch statuses after which DRS reads no launch template any more. Source: the DRS API, LaunchStatus."""
LAUNCHED = "LAUNCHED"
LAUNCH_FAILED = "LAUNCH_FAILED"
FAST, FALLBACK = "fast", "fallback"


@dataclass(frozen=True, slots=True, config=RECORD)
class LeftOut:
    """A source server of a wave whose recovery is not started, and why."""

    source_server_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, config=RECORD)
class WaveGroup:
    """A group of a wave, and the way that it takes."""

    number: int
    group_id: str
    path: str
    """`fast`: nothing is to be applied before its recovery starts; `fallback`: something is, or was."""
    generation: int
    """At which it was found, then at which it is launched; 0 where it has no launch config."""
    config_version: int
    state: GroupState = GroupState.UNREADY
    applied: int = 0
    """The generation of the run that the wave asked for; 0 where it asked for none."""
    urged: int = 0
    """The generation whose pending source servers were given an urgent message."""
    error_code: str | None = None
    """Why no recovery of it is started, or none any more."""
    error_message: str | None = None


@dataclass(frozen=True, slots=True, config=RECORD)
class Wave:
    """Groups that recovery is started for together."""

    wave_id: str
    status: WaveStatus
    is_drill: bool
    accepted_at: datetime
    deadline: datetime
    """What is not started and final by then is given up, and the groups are held no longer."""
    requested_by: str
    door: str
    look_at: datetime
    """When the sweeper looks whether somebody goes on with it."""
    on_not_ready: OnNotReady = OnNotReady.APPLY
    verify: Verify = Verify.STORED
    started_at: datetime | None = None
    """When DRS answered the last StartRecovery."""
    request_id: str = ""
    waiting_for: str | None = None
    """A phrase that completes "waiting for"."""
    stop_code: str | None = None
    """Why it is to be ended: whoever goes on with it starts nothing more."""
    stop_message: str | None = None


@dataclass(frozen=True, slots=True, config=RECORD)
class WavePart:
    """At most 100 source servers of one group: one recovery job."""

    number: int
    group_id: str
    source_server_ids: tuple[str, ...]
    path: str = ""
    """Which half of which half of the part that was accepted: `.0.1`."""
    snapshots: dict[str, str] | None = None
    """Source server to the recovery snapshot that it is launched from; of others DRS takes the latest."""
    starting_at: datetime | None = None
    """Written before StartRecovery: whoever finds it without a job looks for the job before repeating the call."""
    started_at: datetime | None = None
    """When DRS answered."""
    job_id: str | None = None
    launch_statuses: dict[str, str] | None = None
    job_over: bool = False
    """Whether every launch status is final, or DRS knows nothing more of the job."""
    is_split: bool = False
    """Whether other parts have taken its place."""
    conflicts: int = 0
    """How often DRS said that a source server is in a job, and no such job was found."""
    waits_for: tuple[str, ...] = ()
    """Recovery jobs of a drill that have to end first."""
    left_out: tuple[LeftOut, ...] = ()
    """Members that it was accepted with and is not started for."""
    error_code: str | None = None
    error_message: str | None = None
    error_request_id: str | None = None

    @property
    def name(self) -> str:
        """Name the part within its wave: the value of the job's tag."""
        return f"{self.number}{self.path}"

    @property
    def is_done(self) -> bool:
        """Tell whether DRS answered, one way or the other."""
        return self.job_id is not None or self.error_code is not None or self.is_split

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more comes of it."""
        return self.is_done and (self.job_id is None or self.job_over)

    def halve(self) -> "tuple[WavePart, WavePart]":
        """Make two parts of it, neither of them empty."""
        middle = (len(self.source_server_ids) + 1) // 2
        return self.cut(self.source_server_ids[:middle])

    def cut(self, first: Sequence[str]) -> "tuple[WavePart, WavePart]":
        """Make two parts of it: these source servers, and the others."""
        others = [each for each in self.source_server_ids if each not in first]
        return self._child(0, first), self._child(1, others)

    def _child(self, number: int, members: Sequence[str]) -> "WavePart":
        snapshots = {each: at for each, at in (self.snapshots or {}).items() if each in members}
        return WavePart(
            self.number, self.group_id, tuple(members), path=f"{self.path}.{number}", snapshots=snapshots or None
        )


@dataclass(frozen=True, slots=True)
class WaveView:
    """A wave with its groups and parts, in order."""

    wave: Wave
    groups: tuple[WaveGroup, ...]
    parts: tuple[WavePart, ...]

    def parts_of(self, group_id: str) -> tuple[WavePart, ...]:
        """Tell a group's parts."""
        return tuple(part for part in self.parts if part.group_id == group_id)


@dataclass(frozen=True, slots=True)
class WaveError:
    """Why source servers of a wave are not recovered."""

    group_id: str
    source_server_ids: tuple[str, ...]
    code: str
    message: str
    request_id: str | None = None


def find_errors(view: WaveView) -> list[WaveError]:
    """Name every source server of a wave that is not recovered, by what kept it from it."""
    reasons = {group.group_id: group.error_message for group in view.groups}
    return [error for part in view.parts for error in _errors_of(part, reasons.get(part.group_id))]


def _errors_of(part: WavePart, why: str | None) -> list[WaveError]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for each in part.left_out:
        by_reason.setdefault((each.code, each.message), []).append(each.source_server_id)
    errors = [WaveError(part.group_id, tuple(members), code, message) for (code, message), members in by_reason.items()]
    if part.error_code is not None and part.source_server_ids:
        told = part.error_message or part.error_code
        errors.append(WaveError(part.group_id, part.source_server_ids, part.error_code, told, part.error_request_id))
    statuses = part.launch_statuses or {}
    lost = tuple(each for each in part.source_server_ids if statuses.get(each, "PENDING") != LAUNCHED)
    if part.job_id is not None and part.job_over and lost and part.error_code is None:
        seen = ", ".join(sorted({statuses.get(each, "PENDING") for each in lost}))
        told = (
            f"{len(lost)} of {len(part.source_server_ids)} source servers of recovery job {part.job_id} are not"
            f" launched ({seen}), and it is followed no more{f': {why}' if why else '.'} See what became of them:"
            f" aws drs describe-job-log-items --job-id {part.job_id}"
        )
        errors.append(WaveError(part.group_id, lost, LAUNCH_FAILED, told))
    return errors


def advance(view: WaveView, waiting_for: str | None) -> Wave:
    """
    Tell what a wave is by what its groups and parts are.

    Parameters:
        view: The wave as it was, its groups and parts as they are.
        waiting_for: What those that are not over wait for, if anything.

    Returns:
        The wave.
    """
    answered = [part.started_at for part in view.parts if part.started_at is not None]
    is_begun = all(part.is_done for part in view.parts)
    is_over = is_begun and all(group.state is GroupState.OVER for group in view.groups)
    status = WaveStatus.STARTED if is_begun else find_unbegun(view.groups, waiting_for)
    if is_over:
        status = WaveStatus.FAILED if find_errors(view) else WaveStatus.FINISHED
    return replace(
        view.wave,
        status=status,
        started_at=max(answered, default=None) if is_begun else None,
        waiting_for=None if is_over else waiting_for,
    )


def find_unbegun(groups: Sequence[WaveGroup], waiting_for: str | None = None) -> WaveStatus:
    """Tell what a wave is of which something is still to be started."""
    if any(group.state is GroupState.UNREADY and group.path == FALLBACK for group in groups):
        return WaveStatus.APPLYING
    return WaveStatus.WAITING if waiting_for is not None else WaveStatus.STARTING
