"""The options that commands share, read the same by each of them."""

from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from producer.cli.answer import ExitStatus, complain
from workers.core.model import types
from workers.core.settings import Settings, explain_settings

_region = TypeAdapter[str](types.Region)


@dataclass(frozen=True, slots=True)
class AwsChoice:
    """Which AWS a command speaks to; None leaves the choice to the SDK's own variables."""

    profile: str | None
    region: str | None


NO_CHOICE = AwsChoice(None, None)


def read_settings() -> Settings:
    """
    Read the settings of the environment; what is wrong in them is wrong use.

    Returns:
        The settings.

    Raises:
        typer.Exit: Something is wrong; the variables are named, their values never shown.
    """
    try:
        return Settings()
    except ValidationError as error:
        complain(f"the settings are wrong: {explain_settings(error)}.")
        raise typer.Exit(ExitStatus.WRONG_USE) from None


def _check_profile(profile: str | None) -> str | None:
    # An unset shell variable: the SDK would take it for no choice, and ask another account.
    if profile is not None and not profile.strip():
        raise typer.BadParameter("the name is empty")
    return profile


def _check_region(region: str | None) -> str | None:
    if region is None:
        return None
    try:
        return _region.validate_python(region)
    except ValidationError as error:
        raise typer.BadParameter(f"{region!r} is no AWS Region such as eu-central-1") from error


Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", metavar="NAME", callback=_check_profile, help="AWS profile. Default: the SDK's AWS_PROFILE."
    ),
]
RegionName = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="NAME",
        callback=_check_region,
        help="Region of prelaunch's own tables and queues. Default: AWS_DEFAULT_REGION, or the profile's.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="A protection group, by its id or its name.")]
File = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="The group as JSON; - stands for standard input.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every source server is ready or has failed.")]
