"""The bodies of the smaller requests, checked in full like a group's: all errors at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.model import types
from workers.core.model.errors import FieldError, InvalidBody, Place
from workers.core.model.group_body import MAX_SERVERS
from workers.core.model.shape import Mark, Member, members_of, read_object
from workers.core.model.waves import OnNotReady, Verify

MAX_WAVE_GROUPS = 32
"""A wave is accepted in one transaction of 100 items: three for each group that fits into one recovery job."""
MAX_MESSAGE_IDS = 1000


@dataclass(frozen=True, slots=True)
class ApplyBody:
    """What an apply asks for."""

    force: bool
    only_failed: bool
    source_server_ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class WaveBody:
    """What a wave asks for."""

    group_ids: tuple[str, ...]
    is_drill: bool
    on_not_ready: OnNotReady
    verify: Verify
    snapshots: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RedriveBody:
    """What a redrive asks for."""

    message_ids: tuple[str, ...] | None
    group_id: str | None


@with_config(ConfigDict(extra="forbid"))
class ApplyRequestBody(TypedDict, total=False):
    """Which members of a group to apply."""

    force: Annotated[bool, Field(description="true (take also what is ready, and verify it anew) or false")]
    onlyFailed: Annotated[bool, Field(description="true (ask for failed members alone) or false")]
    sourceServerIds: Annotated[
        list[types.SourceServerId],
        Field(description="a list of the group's source server ids", json_schema_extra={"uniqueItems": True}),
    ]
    taskToken: Annotated[
        types.TaskToken,
        Field(description="the token of a Step Functions task that waits for the end, 1 to 2048 characters"),
        Mark.CONFIDENTIAL,
    ]


class _RequiredOfRollback(TypedDict):
    toRun: Annotated[types.RunName, Field(description="an apply run of the group, by its id or its generation")]


@with_config(ConfigDict(extra="forbid"))
class RollbackRequestBody(_RequiredOfRollback, total=False):
    """Which run of a group to go back to."""

    taskToken: Annotated[
        types.TaskToken,
        Field(description="the token of a Step Functions task that waits for the end, 1 to 2048 characters"),
        Mark.CONFIDENTIAL,
    ]


class _RequiredOfWave(TypedDict):
    groupIds: Annotated[
        list[types.GroupId],
        Field(
            description="a list of group ids, each of 1 to 64 characters",
            json_schema_extra={"minItems": 1, "maxItems": MAX_WAVE_GROUPS, "uniqueItems": True},
        ),
    ]


@with_config(ConfigDict(extra="forbid"))
class WaveRequestBody(_RequiredOfWave, total=False):
    """Which groups to recover together."""

    isDrill: Annotated[bool, Field(description="true (a drill) or false (a recovery)")]
    onNotReady: Annotated[
        Literal["apply", "fail", "skip"],
        Field(
            description="apply (what is not ready is applied first), fail (nothing is started where something is not"
            " ready) or skip (what is not ready is left out)"
        ),
    ]
    verify: Annotated[
        Literal["stored", "live"],
        Field(description="stored (the last read-back counts) or live (DRS and EC2 are read once more first)"),
    ]
    recoverySnapshotIds: Annotated[
        dict[types.SourceServerId, types.RecoverySnapshotId],
        Field(
            description="an object of source server ids (s- and 17 letters or digits) to recovery snapshot ids"
            " (pit- and 17 letters or digits)"
        ),
    ]
    taskToken: Annotated[
        types.TaskToken,
        Field(description="the token of a Step Functions task that waits for the end, 1 to 2048 characters"),
        Mark.CONFIDENTIAL,
    ]


@with_config(ConfigDict(extra="forbid"))
class RedriveRequestBody(TypedDict, total=False):
    """Which dead letters to do again: those that both members name; without any, all."""

    messageIds: Annotated[
        list[types.MessageId],
        Field(
            description="a list of dead letters' message ids, each of 1 to 100 characters",
            json_schema_extra={"minItems": 1, "maxItems": MAX_MESSAGE_IDS, "uniqueItems": True},
        ),
    ]
    groupId: Annotated[types.GroupId, Field(description="a group's id, of 1 to 64 characters")]


_APPLY = members_of(ApplyRequestBody)
_ROLLBACK = members_of(RollbackRequestBody)
_WAVE = members_of(WaveRequestBody)
_REDRIVE = members_of(RedriveRequestBody)


def parse_apply(raw: object) -> ApplyBody:
    """
    Check the body of an apply.

    Parameters:
        raw: Any JSON value.

    Returns:
        What it asks for.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
    """
    values, errors = _read(raw, _APPLY, frozenset())
    asked = _list_of(values, "sourceServerIds")
    _refuse(errors + _check_list(asked, "sourceServerIds", MAX_SERVERS))
    return ApplyBody(values.get("force") is True, values.get("onlyFailed") is True, asked)


def parse_rollback(raw: object) -> str:
    """
    Check the body of a rollback.

    Parameters:
        raw: Any JSON value.

    Returns:
        The run to go back to, by its id or its generation in digits.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
    """
    values, errors = _read(raw, _ROLLBACK, RollbackRequestBody.__required_keys__)
    _refuse(errors)
    return str(values["toRun"])


def parse_wave(raw: object) -> WaveBody:
    """
    Check the body of a wave.

    Parameters:
        raw: Any JSON value.

    Returns:
        What it asks for.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
    """
    values, errors = _read(raw, _WAVE, WaveRequestBody.__required_keys__)
    asked = _list_of(values, "groupIds")
    _refuse(errors + _check_list(asked, "groupIds", MAX_WAVE_GROUPS))
    snapshots = values.get("recoverySnapshotIds")
    return WaveBody(
        asked or (),
        values.get("isDrill", True) is True,
        OnNotReady(str(values.get("onNotReady", OnNotReady.APPLY.value))),
        Verify(str(values.get("verify", Verify.STORED.value))),
        dict(snapshots) if isinstance(snapshots, dict) else {},
    )


def read_task_token(raw: object) -> str | None:
    """Tell what a task waits with for the end of what a body asks for; it was found right before, whatever it asks."""
    token = raw.get("taskToken") if isinstance(raw, dict) else None
    return token if isinstance(token, str) else None


def parse_redrive(raw: object) -> RedriveBody:
    """
    Check the body of a redrive.

    Parameters:
        raw: Any JSON value.

    Returns:
        What it asks for.

    Raises:
        InvalidBody: Something is wrong; it carries every error.
    """
    values, errors = _read(raw, _REDRIVE, frozenset())
    asked, group_id = _list_of(values, "messageIds"), values.get("groupId")
    _refuse(errors + _check_list(asked, "messageIds", MAX_MESSAGE_IDS))
    return RedriveBody(asked, str(group_id) if group_id is not None else None)


def _read(
    raw: object, members: Mapping[str, Member], required: frozenset[str]
) -> tuple[dict[str, object], list[FieldError]]:
    root = Place("")
    if not isinstance(raw, dict):
        return {}, [root.error("The body must be an object.")]
    return read_object(raw, members, required, root)


def _check_list(ids: tuple[str, ...] | None, name: str, longest: int) -> list[FieldError]:
    if ids is None:
        return []
    place = Place("").at(name)
    if not ids:
        return [place.error(f"{name} must name at least one.")]
    if len(ids) > longest:
        return [place.error(f"{name} names {len(ids)}; at most {longest} are taken at once.")]
    first = {each: position for position, each in reversed(list(enumerate(ids)))}
    return [
        place.at(position).error(f"{each} is named twice; leave one of the two out.")
        for position, each in enumerate(ids)
        if first[each] != position
    ]


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidBody(tuple(errors))


def _list_of(values: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    ids = values.get(name)
    return tuple(str(each) for each in ids) if isinstance(ids, list) else None
