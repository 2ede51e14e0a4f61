"""IAM identities as ARNs name them. Pure."""

import re

_IDENTITY = re.compile(
    r"arn:(?P<partition>aws[\w-]*):(iam|sts)::(?P<account>\d{12}):(?P<kind>user|role|assumed-role)/(?P<name>.+)",
    re.ASCII,
)


def without_path(arn: str) -> str:
    """
    Reduce an ARN to account, kind and name, which are one user's or role's: a session of a role has not its path.

    Parameters:
        arn: Of a user, a role, or a session of an assumed role.

    Returns:
        What all ARNs of one identity have in common; the ARN where it is none of these.
    """
    found = _IDENTITY.fullmatch(arn)
    if found is None:
        return arn
    kind = "role" if found["kind"] == "assumed-role" else found["kind"]
    names = found["name"].split("/")
    return f"{found['partition']}:{found['account']}:{kind}/{names[0] if kind != found['kind'] else names[-1]}"
