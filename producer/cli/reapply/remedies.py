"""What to do about a source server that was not brought to its launch config, by code. Pure."""

from collections.abc import Mapping

AGAIN = "prelaunch reapply --group {group} --only-failed"
_ACCOUNT = f"Let the role that the group names be assumed, and make this call, in account {{account}}; then: {AGAIN}"
_INSTALL = f"Initialise DRS in account {{account}}, Region {{region}}; then: {AGAIN}"
_BUSY = f"AWS did not keep up, or does not answer: see that workers run, and when it is quieter: {AGAIN}"
_TEMPLATE = f"See in DRS whether the source server is disconnected and has a launch template; then: {AGAIN}"
_CONFIG = f"Correct the launch config (prelaunch group get {{group}} --json, prelaunch group update); then: {AGAIN}"
_DRIFT = f"Find who changes it (prelaunch status {{group}} --live) and agree with them; then: {AGAIN}"
_FOLLOW = "See what the newer run does: prelaunch status {group} --wait"
_OTHER = f"Put right what the message says; then: {AGAIN}"

REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "ACCESS_DENIED",
            "AccessDenied",
            "AccessDeniedException",
            "AuthFailure",
            "InvalidClientTokenId",
            "OptInRequired",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
        ),
        _ACCOUNT,
    ),
    **dict.fromkeys(("ACCOUNT_NOT_INITIALIZED", "UninitializedAccountException"), _INSTALL),
    **dict.fromkeys(("DEADLINE_EXCEEDED", "WORKER_LOST", "SERVICE_UNAVAILABLE", "STILL_PENDING"), _BUSY),
    **dict.fromkeys(("LAUNCH_TEMPLATE_MISSING", "InvalidLaunchTemplateId.NotFound"), _TEMPLATE),
    **dict.fromkeys(("INVALID_LAUNCH_CONFIG", "ValidationException"), _CONFIG),
    **dict.fromkeys(("DRIFT_PERSISTS", "DRIFT_RECURS"), _DRIFT),
    "DRIFT_FOUND": f"Apply it to put back what was applied, or update the group to what AWS holds: {AGAIN}",
    "NOT_APPLIED": AGAIN,
    "NOT_BEGUN": "Ask for it once more: prelaunch reapply --group {group}, with the options of this time",
    "SOURCE_SERVER_NOT_FOUND": "Take it out of the group, or install its agent anew: prelaunch group update {group}",
    "ResourceNotFoundException": "Take it out of the group, or install its agent anew: prelaunch group update {group}",
    "SUPERSEDED": _FOLLOW,
    "STATUS_CHANGED": _FOLLOW,
    "GROUP_NOT_FOUND": "Nothing, or create the group again: prelaunch group create",
    "NOT_REACHABLE": f"See prelaunch's own tables, queues and credentials; then: {AGAIN}",
}
"""By AWS's codes and ours; all others are in their message."""


def find_remedy(code: str, *, group: str, account: str, region: str) -> str:
    """
    Say what to do.

    Parameters:
        code: Why a source server failed; nothing where it did not.
        group: The group's id.
        account: The number of its account.
        region: Its Region.

    Returns:
        What to do; nothing where nothing is to be done.
    """
    if not code:
        return ""
    return REMEDIES.get(code, _OTHER).format(group=group, account=account, region=region)
