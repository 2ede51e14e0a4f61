"""What is sent to the stand-in's control. A body that is wrong in any part is refused whole."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from infra.local.call import DEFAULT_ACCOUNT_ID

DEFAULT_REGION = "us-east-1"
"""Where the stand-in's stack, and source servers of no told Region, are."""


class Body(BaseModel):
    """A body; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class RatesBody(Body):
    """`PUT /_local/rates`."""

    rates: Literal["real", "off"] | Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SecondsBody(Body):
    """`PUT /_local/latency`, `…/consistency` and `…/jobs`."""

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class VersionsBody(Body):
    """`PUT /_local/versions`."""

    limit: Annotated[int, Field(ge=1)]


class ClockBody(Body):
    """`PUT /_local/clock`."""

    advance_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EventsBody(Body):
    """`PUT /_local/events`."""

    on: bool
    also_to: list[Annotated[str, StringConstraints(pattern=r"^[\w-]{1,80}$")]] = []
    """The names of queues that get what the requests queue gets; one that is not there gets nothing."""


AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]


class ServersBody(Body):
    """`POST /_local/servers`."""

    count: Annotated[int, Field(ge=1, le=4000)]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = DEFAULT_REGION
    account_id: AccountId = DEFAULT_ACCOUNT_ID
    tags: dict[str, str] = {}


class ServerBody(Body):
    """`PATCH /_local/servers/{id}`."""

    state: Literal[
        "STOPPED",
        "INITIATING",
        "INITIAL_SYNC",
        "BACKLOG",
        "CREATING_SNAPSHOT",
        "CONTINUOUS",
        "PAUSED",
        "RESCAN",
        "STALLED",
        "DISCONNECTED",
    ] = "CONTINUOUS"
    recovery_point: bool = True
    drs_tag: Literal[False] = False
    """The launch template loses the tag by which DRS knows it; it cannot be given back."""
    template: None = None
    """The launch template is deleted."""
    subnet_id: Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")] = ""
    """A source-network operation of DRS writes this subnet into the launch template."""


class Role(Body):
    """A role that the stand-in's own account may assume."""

    role_name: Annotated[str, StringConstraints(pattern=r"^[\w+=,.@-]{1,64}$")]
    external_id: Annotated[str, StringConstraints(min_length=2, max_length=1224, pattern=r"^[\w+=,.@:/-]+$")] | None = (
        None
    )


class AccountBody(Body):
    """`PUT /_local/accounts/{id}`."""

    initialised: bool | None = None
    roles: list[Role] | None = None
