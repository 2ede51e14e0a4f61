"""
The settings tree: read once at the door, frozen, passed down.

Credentials, Region and endpoints of AWS are never settings of ours: the SDK's own variables work everywhere.

Longer than others: each setting stands beside its check, and beside every period that one of them scales.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from workers.core.identities import without_path
from workers.core.model.types import Region
from workers.core.periods import RunPeriods, TellPeriods

PREFIX = "PRELAUNCH_"


RoleName = Literal["reader", "operator", "admin"]
_IAM_IDENTITY = re.compile(r"arn:aws[\w-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]{1,512}", re.ASCII)


class _Misfit(ValueError):
    """A value that does not fit, in words of ours that do not repeat it."""


class _EveryVariable(EnvSettingsSource):
    """Answers unknown variables of ours too: a misspelt setting must be refused, not run without."""

    def __call__(self) -> dict[str, Any]:
        prefix = PREFIX.lower()
        named = {name.removeprefix(prefix) for name in self.env_vars if name.startswith(prefix)}
        unknown = dict.fromkeys(named - {*self.settings_cls.model_fields})
        return {**unknown, **super().__call__()}


class Settings(BaseSettings):
    """What an installation can set, each as `PRELAUNCH_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    stack: str = Field(
        default="prelaunch",
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        description="at most 40 lower-case letters, digits and hyphens, a letter first",
    )
    """Prefix of the names of tables and queues."""
    threads: int = Field(default=64, ge=1, le=512, description="a whole number from 1 to 512")
    """Source servers that one worker process works on at once.

    Where it is not set `prelaunch worker` chooses it by the quotas.
    """
    time_scale: float = Field(default=1.0, ge=0.02, le=10, description="a number from 0.02 to 10")
    """Scales every period of ours (leases, visibility, back-off); tests use a tenth.

    SQS hides messages for whole seconds, so much less than that is no period.
    """
    rate_factor: float = Field(default=1.0, gt=0, le=1000, description="a number above 0 and up to 1000")
    """How many times the calls that AWS publishes, or that are assumed, its accounts are granted.

    For accounts whose quotas AWS has raised, or of which prelaunch is to take a part only.
    """
    extra_regions: Annotated[frozenset[Region], NoDecode] = Field(
        default=frozenset(), description="names of AWS Regions such as eu-central-1, between commas"
    )
    """Regions that a group can be in beside those where the SDK knows DRS: newer ones, between commas."""
    auth_issuer: str = Field(default="", validate_default=True, description="an https address")
    """The user pool whose tokens the HTTP door asks for, as https://cognito-idp.<Region>.amazonaws.com/<pool id>.

    Its keys are read at `<issuer>/.well-known/jwks.json`. Without it nobody is told apart, and the door listens on
    loopback only.
    """
    auth_audience: str = Field(default="", validate_default=True, description="the id of an app client")
    """The id of the app client that the tokens must have been issued for."""
    auth_domain: str = Field(default="", validate_default=True, description="an https address")
    """Where people sign in to that pool on the page, as https://<name>.auth.<Region>.amazoncognito.com.

    The app client has no secret, lets codes be exchanged, and has the page's address among its callbacks. Without it
    the page asks for a token.
    """
    api_host: str = Field(default="127.0.0.1", validate_default=True, description="an IPv4 address such as 127.0.0.1")
    """The IPv4 address that the HTTP door listens on; any but loopback needs an issuer and an audience."""

    iam_roles: Annotated[Mapping[str, RoleName], NoDecode] = Field(
        default_factory=dict,
        description="ARNs of IAM roles or users, each with =reader, =operator or =admin, between commas",
    )
    """Who may what by an identity that API Gateway has checked: `arn:aws:iam::<account>:role/<name>=operator, …`.

    A role's path counts for nothing, for the ARN of its session has none; a name with a comma cannot be given.
    """
    requests_role: RoleName = Field(default="operator", description="reader, operator or admin")
    """What the senders of messages to the queue `<stack>-requests` may; the queue's policy says who may send."""
    event_bus: str = Field(
        default="",
        pattern=r"^((arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus/)?[.\-_A-Za-z0-9]{1,256})?$",
        description="the name or ARN of an EventBridge event bus, such as default",
    )
    """The EventBridge bus that is told when a group or a wave has settled; without it nobody is.

    The workers tell it. Source of its form: botocore's model of PutEvents.
    """
    metrics_open: bool = Field(default=False, description="true or false")
    """Whether `/metrics` is answered to whoever can reach it, for scrapers that have no token of the user pool.

    It holds numbers, and no name of a group, an account or a source server.
    """
    log_reads: bool = Field(default=False, description="true or false")
    """Whether the log has a line for each read from DRS and EC2 too, beside the request that it was made for."""

    @field_validator("extra_regions", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given

    @field_validator("iam_roles", mode="before")
    @classmethod
    def _split_roles(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        pairs = [each.strip().rpartition("=") for each in given.split(",") if each.strip()]
        if any(_IAM_IDENTITY.fullmatch(arn) is None for arn, _, _ in pairs):
            raise _Misfit(f"must be {cls.model_fields['iam_roles'].description}")
        if len({without_path(arn) for arn, _, _ in pairs}) < len(pairs):
            raise _Misfit("names one identity twice: a path tells no two roles or users of an account apart")
        return {arn: role for arn, _, role in pairs}

    @field_validator("auth_issuer", "auth_domain")
    @classmethod
    def _check_address(cls, address: str) -> str:
        parts = urlsplit(address)
        # Whoever can answer in the pool's place makes keys of his own: only this machine is asked without TLS.
        trusted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
        if address and not (trusted and parts.hostname):
            raise _Misfit("must be an https address")
        return address.rstrip("/")

    @field_validator("auth_domain")
    @classmethod
    def _check_domain(cls, domain: str, known: ValidationInfo) -> str:
        # It becomes a word of the page's policy, where a blank or a semicolon would begin another one.
        if domain and re.fullmatch(r"https?://[\w.-]+(:\d+)?", domain, re.ASCII) is None:
            raise _Misfit("must be an https address without a path")
        if domain and not known.data.get("auth_audience"):
            raise _Misfit("needs PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE")
        return domain

    @field_validator("auth_audience")
    @classmethod
    def _check_audience(cls, audience: str, known: ValidationInfo) -> str:
        if bool(audience) != bool(known.data.get("auth_issuer", audience)):
            raise _Misfit("PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE are given both or neither")
        return audience

    @field_validator("api_host")
    @classmethod
    def _check_host(cls, host: str, known: ValidationInfo) -> str:
        if not ipaddress.IPv4Address(host).is_loopback and not known.data.get("auth_audience"):
            raise _Misfit("without PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE it must be 127.0.0.1")
        return host

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the code says, then the environment, and nothing else."""
        return init_settings, _EveryVariable(settings_cls)

    @property
    def lease(self) -> timedelta:
        """How long a lease lasts unless it is renewed; four renewals fit into it."""
        return timedelta(seconds=60) * self.time_scale

    @property
    def lease_margin(self) -> timedelta:
        """How much of the lease must be left when a call starts: more than a call may take."""
        return timedelta(seconds=25) * self.time_scale

    @property
    def lease_grace(self) -> timedelta:
        """How long after its expiry a lease is left alone."""
        return timedelta(seconds=2) * self.time_scale

    @property
    def call_timeout(self) -> timedelta:
        """How long one call to AWS may take."""
        return timedelta(seconds=20) * self.time_scale

    @property
    def unanswered_hold(self) -> timedelta:
        """How long after a write that was not answered nobody else works on the source server: it may come late."""
        return timedelta(seconds=60) * self.time_scale

    @property
    def settle_time(self) -> timedelta:
        """How long after a write of ours an observation may still show the state before (EC2)."""
        return timedelta(seconds=5) * self.time_scale

    @property
    def read_back_limit(self) -> timedelta:
        """How long a promoted version may take to be read back."""
        return timedelta(seconds=10) * self.time_scale

    @property
    def look_again(self) -> timedelta:
        """How soon a repeated job of a recorded source server looks whether its group can be settled."""
        return timedelta(seconds=10) * self.time_scale

    @property
    def sweep_period(self) -> timedelta:
        """How often a worker process looks for runs that need looking after."""
        return timedelta(seconds=60) * self.time_scale

    @property
    def watch_period(self) -> timedelta:
        """How often all source servers are compared with what was applied to them."""
        return timedelta(hours=6) * self.time_scale

    @property
    def run_periods(self) -> RunPeriods:
        """When a run that does not come to its end by itself is looked after."""
        return RunPeriods(
            send_after=timedelta(seconds=30) * self.time_scale,
            stall_after=timedelta(minutes=10) * self.time_scale,
            base_deadline=timedelta(minutes=15) * self.time_scale,
            longest=timedelta(hours=6) * self.time_scale,
            late_after=timedelta(minutes=5) * self.time_scale,
            clear_after=timedelta(minutes=5) * self.time_scale,
        )

    @property
    def tell_periods(self) -> TellPeriods:
        """When others are told what has settled, if that was not possible at once."""
        return TellPeriods(
            again_after=timedelta(seconds=30) * self.time_scale,
            longest_wait=timedelta(minutes=15) * self.time_scale,
            longest_try=self.call_timeout,
            give_up_after=timedelta(hours=24) * self.time_scale,
        )

    @property
    def letter_wait(self) -> timedelta:
        """How long SQS looks for a dead letter: without a wait it asks some of its servers only."""
        return timedelta(seconds=1) * self.time_scale

    @property
    def request_wait(self) -> timedelta:
        """How long SQS waits for a request from outside: less than a client of ours waits for any answer."""
        return timedelta(seconds=5) * self.time_scale

    @property
    def client_patience(self) -> timedelta:
        """How long the HTTP door waits for a client that hardly goes on sending its request, or reading the answer."""
        return timedelta(seconds=20) * self.time_scale

    @property
    def longest_wave(self) -> timedelta:
        """How long a wave may take, and hold its groups."""
        return timedelta(hours=6) * self.time_scale

    @property
    def longest_wave_pause(self) -> timedelta:
        """How seldom at most it is looked whether a wave can go on: SQS hands a message out 1,000 times."""
        return timedelta(seconds=30) * self.time_scale

    @property
    def job_wait(self) -> timedelta:
        """How soon it is looked again whether recovery jobs have ended that a part waits for."""
        return timedelta(seconds=10) * self.time_scale

    @property
    def max_ready_age(self) -> timedelta:
        """How old the oldest verification of a ready group may be for a wave's fast path."""
        return timedelta(hours=24)


def explain_settings(error: ValidationError) -> str:
    """
    Say what is wrong with settings, each by its variable.

    Parameters:
        error: What reading them raised.

    Returns:
        A sentence in which no value stands: a secret may have been put into the wrong variable.
    """
    wrong = (f"{_name(str(found['loc'][0]))}: {_explain(found)}" for found in error.errors())
    return "; ".join(dict.fromkeys(wrong))


def _explain(found: ErrorDetails) -> str:
    if found["type"] == "extra_forbidden":
        return f"no such setting; known are {', '.join(map(_name, Settings.model_fields))}"
    misfit = found.get("ctx", {}).get("error")
    if isinstance(misfit, _Misfit):
        return str(misfit)
    return f"must be {Settings.model_fields[str(found['loc'][0])].description}"


def _name(field: str) -> str:
    return f"{PREFIX}{field.upper()}"
