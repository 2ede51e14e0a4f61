"""
The messages between producer and workers. Pure.

A job names a source server, never a config: whoever receives it applies what is wanted *then*. So a late or
doubled job is one more nudge and never stale. Names here are a wire format: they only grow.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from workers.core.model.errors import show

APPLY_ACTOR = "apply_launch_config"
"""Takes `groupId`, `sourceServerId`, the hint `generation` and, for the log, `requestId`."""

WAVE_ACTOR = "start_wave"
"""Takes `waveId` and, for the log, `requestId`."""

SWEEP_ACTOR = "sweep"
"""Takes nothing: look after every run that is due."""

WATCH_ACTOR = "watch"
"""Takes `accountId` and `region`: look for drift there; without them: send one such message for each place.

`sourceServerId` or `launchTemplateId` (with the `defaultVersion` that it got) narrows it to what an event names, and
`changedBy` says who made that change.
"""


class Queue(StrEnum):
    """The queues that workers consume; the SQS name is `<stack>-<value>`."""

    URGENT = "jobs-urgent"
    """Waves, and what a wave waits for."""
    NORMAL = "jobs"
    """One group's apply or update."""
    BULK = "jobs-bulk"
    """Work over several groups, which must not delay the rest."""


REQUESTS = "requests"
"""The queue of plain JSON requests from outside; the SQS name is `<stack>-requests`."""

REPLIES = "replies"
"""Queues whose names begin with the stack's and this are answered to, and no others: who may send a message must not
make the door write wherever it may itself."""

DEAD_LETTER_QUEUES: tuple[str, ...] = (*Queue, REQUESTS)
"""The queues that have a dead-letter queue, `<stack>-<value>-dlq`."""


@dataclass(frozen=True, slots=True)
class ApplyWork:
    """What a job of APPLY_ACTOR names."""

    group_id: str
    source_server_id: str


@dataclass(frozen=True, slots=True)
class WaveWork:
    """What a message of WAVE_ACTOR names."""

    wave_id: str


@dataclass(frozen=True, slots=True)
class SweepWork:
    """What a message of SWEEP_ACTOR asks for."""


@dataclass(frozen=True, slots=True)
class WatchWork:
    """What a message of WATCH_ACTOR asks for."""

    account_id: str | None = None
    """None: everywhere."""
    region: str | None = None
    source_server_id: str | None = None
    launch_template_id: str | None = None
    default_version: int | None = None
    """The version that became that launch template's default."""
    changed_by: str = ""
    request_id: str = ""
    """Of the request to look; empty where the schedule asks."""

    @property
    def is_narrowed(self) -> bool:
        """Tell whether it is about what one event names, and not about all that there is."""
        return self.source_server_id is not None or self.launch_template_id is not None

    def concerns(self, source_server_id: str, launch_template_id: str | None, version: int | None) -> bool:
        """
        Tell whether a source server is to be looked at.

        Parameters:
            source_server_id: The source server.
            launch_template_id: Its launch template when it was verified.
            version: That template's default version then: an event that made just this the default tells nothing new.

        Returns:
            Whether it is.
        """
        if not self.is_narrowed or source_server_id == self.source_server_id:
            return True
        is_named = launch_template_id is not None and launch_template_id == self.launch_template_id
        return is_named and (version is None or version != self.default_version)


Work = ApplyWork | WaveWork | SweepWork | WatchWork


class WrongJob(ValueError):
    """A message that names no work which anybody could ever do; its text says why."""


class UnknownActor(WrongJob):
    """A message for an actor that this release does not have."""


@dataclass(frozen=True, slots=True)
class _Argument:
    """How one argument of a job is read."""

    pattern: re.Pattern[str] | None
    """None: a whole number."""
    description: str
    required: bool = True

    def is_right(self, value: object) -> bool:
        if self.pattern is None:
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, str) and self.pattern.fullmatch(value) is not None


_ID = _Argument(re.compile(r"[!-~]{1,64}"), "text of 1 to 64 printable ASCII characters")
_SERVER = _Argument(re.compile(r"s-[0-9a-zA-Z]{17}"), "a source server's id such as s-1a2b3c4d5e6f7a8b9")
_REQUEST = _Argument(re.compile(r"[!-~]{0,128}"), "text of at most 128 printable ASCII characters", required=False)
_CHANGED_BY = _Argument(re.compile(r"[ -~]{0,512}"), "text of at most 512 printable ASCII characters", required=False)
_ARGUMENTS: Mapping[str, Mapping[str, _Argument]] = {
    APPLY_ACTOR: {
        "groupId": _ID,
        "sourceServerId": _SERVER,
        "generation": _Argument(None, "a whole number", required=False),
        "requestId": _REQUEST,
    },
    WAVE_ACTOR: {"waveId": _ID, "requestId": _REQUEST},
    SWEEP_ACTOR: {},
    WATCH_ACTOR: {
        "accountId": _Argument(re.compile(r"[0-9]{12}"), "an account's number of 12 digits", required=False),
        "region": _Argument(re.compile(r"[a-z0-9-]{1,32}"), "an AWS Region such as eu-central-1", required=False),
        "sourceServerId": replace(_SERVER, required=False),
        "launchTemplateId": _Argument(re.compile(r"lt-[0-9a-f]{1,32}"), "a launch template's id", required=False),
        "defaultVersion": _Argument(None, "a whole number", required=False),
        "changedBy": _CHANGED_BY,
        "requestId": _REQUEST,
    },
}
_WORK: Mapping[str, Callable[[Mapping[str, object]], Work]] = {
    APPLY_ACTOR: lambda given: ApplyWork(str(given["groupId"]), str(given["sourceServerId"])),
    WAVE_ACTOR: lambda given: WaveWork(str(given["waveId"])),
    SWEEP_ACTOR: lambda _given: SweepWork(),
    WATCH_ACTOR: lambda given: WatchWork(
        account_id=_text(given, "accountId"),
        region=_text(given, "region"),
        source_server_id=_text(given, "sourceServerId"),
        launch_template_id=_text(given, "launchTemplateId"),
        default_version=_number(given, "defaultVersion"),
        changed_by=_text(given, "changedBy") or "",
        request_id=_text(given, "requestId") or "",
    ),
}


def _text(given: Mapping[str, object], argument: str) -> str | None:
    return str(given[argument]) if argument in given else None


def _number(given: Mapping[str, object], argument: str) -> int | None:
    value = given.get(argument)
    return value if isinstance(value, int) else None


def read_work(actor: str, arguments: Mapping[str, object]) -> Work:
    """
    Read what a job names; members that only a later release knows are passed over.

    Parameters:
        actor: The actor that the job is for.
        arguments: Its keyword arguments, any JSON.

    Returns:
        The work.

    Raises:
        UnknownActor: No actor of ours has this name.
        WrongJob: An argument is missing or of a wrong kind; all of them are named.
    """
    if actor not in _ARGUMENTS:
        raise UnknownActor(f"no actor is named {show(actor)}")
    known = _ARGUMENTS[actor]
    faults = [f"{name} is missing" for name, each in known.items() if each.required and name not in arguments]
    faults += [
        f"{name} must be {each.description}, not {show(arguments[name])}"
        for name, each in known.items()
        if name in arguments and not each.is_right(arguments[name])
    ]
    if faults:
        raise WrongJob("; ".join(faults))
    return _WORK[actor](arguments)


@dataclass(frozen=True, slots=True)
class Names:
    """What a job names, as far as that can be read, also where the job as a whole cannot."""

    group_id: str | None = None
    source_server_id: str | None = None
    wave_id: str | None = None


NO_NAMES = Names()


def read_names(arguments: Mapping[str, object]) -> Names:
    """Read what a job names, for a person: an argument that is no such name is left out."""

    def read(argument: str, known: _Argument) -> str | None:
        value = arguments.get(argument)
        return str(value) if known.is_right(value) else None

    return Names(read("groupId", _ID), read("sourceServerId", _SERVER), read("waveId", _ID))


def find_fault(actor: str, arguments: Mapping[str, object]) -> str | None:
    """
    Tell why a job can never be done, whoever receives it.

    Parameters:
        actor: The actor that the job is for.
        arguments: Its keyword arguments, any JSON.

    Returns:
        The reason; None where nothing of it is wrong, or another release may know the actor.
    """
    try:
        read_work(actor, arguments)
    except UnknownActor:
        return None
    except WrongJob as wrong:
        return str(wrong)
    return None
