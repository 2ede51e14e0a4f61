"""The shapes of what is said from what AWS holds now, as /openapi.json declares them. See `schemas`."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from producer.http.run_schemas import FieldChange

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class ServerError(TypedDict):
    """Why a source server failed."""

    sourceServerId: str
    code: Annotated[str, Field(description="AWS's own code where AWS refused it")]
    message: str
    at: datetime
    attempt: int
    operation: NotRequired[Annotated[str, Field(description="the call that AWS refused")]]
    requestId: NotRequired[Annotated[str, Field(description="AWS's id of the refused call")]]


@with_config(_CLOSED)
class LiveSettings(TypedDict):
    """How a source server's settings in AWS compare with what is wanted, read for this answer."""

    drift: Annotated[list[FieldChange], Field(description="what is not as it is wanted; empty: all is")]
    errors: Annotated[list[ServerError], Field(description="why that cannot be told")]


@with_config(_CLOSED)
class UpdateConfigurationStep(TypedDict):
    """DRS's half: these fields would be sent to it."""

    step: Literal["drs.UpdateLaunchConfiguration"]
    fields: list[FieldChange]


@with_config(_CLOSED)
class CreateVersionStep(TypedDict):
    """EC2's half: a version of the launch template would be created with these fields, and promoted."""

    step: Literal["ec2.CreateLaunchTemplateVersion"]
    launchTemplateId: str
    sourceVersion: Annotated[
        int,
        Field(
            description="the default version now, which it would be made from; another one where DRS, told of its"
            " half, writes the template first"
        ),
    ]
    fields: list[FieldChange]


@with_config(_CLOSED)
class ServerPlan(TypedDict):
    """What an apply run would do with a source server."""

    steps: Annotated[
        list[UpdateConfigurationStep | CreateVersionStep],
        Field(description="in their order; empty without errors: nothing to do"),
    ]
    errors: Annotated[list[ServerError], Field(description="why it cannot be planned")]


@with_config(_CLOSED)
class LaunchConfigPlan(TypedDict):
    """What an apply run would do with a page of a group's source servers, as things stand."""

    groupId: str
    version: Annotated[int, Field(description="of the group's definition")]
    serverPlans: Annotated[dict[str, ServerPlan], Field(description="by source server id")]
    nextToken: NotRequired[str]
