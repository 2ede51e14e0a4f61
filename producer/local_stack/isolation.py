"""Nothing that is started here may ever reach a real account, whatever the environment of the person who starts it."""

import os

_FOREIGN_PREFIXES = ("AWS_", "PRELAUNCH_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


def leave_real_accounts_alone() -> None:
    """Take out of our own environment, which our processes inherit, what could lead to a real account."""
    environment = os.environ  # noqa: TID251  # cleared, not read
    for name in [*environment]:
        if name.startswith(_FOREIGN_PREFIXES) or name.upper() in _PROXIES:
            del environment[name]
    # A profile's settings may say to ignore the endpoint that the environment names.
    environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
