"""
What a command chooses for this process and for those that it forks, written into the environment.

dramatiq's CLI forks the workers and hands them nothing else.
"""

import os

from workers.core.settings import PREFIX

_OTHER_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_DEFAULT_PROFILE",
)
"""What the SDK prefers to a profile that AWS_PROFILE names."""


def choose_aws(profile: str | None, region: str | None) -> None:
    """
    Choose AWS's profile and Region for this process and for those that it forks.

    dramatiq's CLI forks the workers and hands them nothing but the environment, so the choice is written there, into
    the SDK's own variables. As with the SDK's own `--profile`, keys that stand in the environment do not count then.

    Parameters:
        profile: The profile; None leaves the SDK's own choice.
        region: The Region; None leaves the SDK's own choice.
    """
    environment = os.environ  # noqa: TID251  # written, not read
    if profile is not None:
        for name in _OTHER_IDENTITIES:
            environment.pop(name, None)
        environment["AWS_PROFILE"] = profile
    if region is not None:
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = region


def choose_threads(threads: int) -> None:
    """
    Choose the threads of the workers that this process forks: they share their slots out by the setting.

    Parameters:
        threads: How many source servers each of them works on at once.
    """
    os.environ[f"{PREFIX}THREADS"] = str(threads)  # noqa: TID251  # written, not read
