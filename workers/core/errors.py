"""
The error tree: what can go wrong, in our words. Pure.

Adapters raise these, always `from` the original; use cases turn them into outcomes. The class says what happens
next, `code` and `message` say to a person what happened: AWS's own code where AWS answered.
"""

from datetime import timedelta


class PrelaunchError(Exception):
    """Something that we know how to deal with."""

    code = "PRELAUNCH_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None, operation: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.request_id = request_id
        self.operation = operation


class RetryableError(PrelaunchError):
    """The same work can succeed later; nothing is wrong with the source server."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        operation: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id, operation=operation)
        self.retry_after = retry_after


class Throttled(RetryableError):
    """AWS refused the call because a token bucket was empty."""

    code = "THROTTLED"


class ServiceUnavailable(RetryableError):
    """The service did not answer, or answered that it cannot now."""

    code = "SERVICE_UNAVAILABLE"


class JobInProgress(RetryableError):
    """DRS is working on the source server; it can be changed in some minutes."""

    code = "JOB_IN_PROGRESS"


class LeaseHeld(RetryableError):
    """Another worker holds the lease of the source server."""

    code = "LEASE_HELD"
    for_same_work = False
    """Whether it does what this one was about to do: then nobody waits, the work is under way."""


DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
"""The code of a source server that came to no outcome by the deadline of its run."""


class OutOfTurns(RetryableError):
    """The turn for a call did not come in time: the account's rate is used up by other work of ours."""

    code = "OUT_OF_TURNS"


class CredentialsExpired(RetryableError):
    """The session's credentials ran out; a new session is made."""

    code = "CREDENTIALS_EXPIRED"


class QuotaExceeded(RetryableError):
    """AWS runs as many recovery jobs as the account may have; running ones have to end first."""

    code = "QUOTA_EXCEEDED"


class PermanentError(PrelaunchError):
    """Trying again cannot help until somebody changes something."""


class InvalidLaunchConfig(PermanentError):
    """AWS refused the launch config, or stored it with a warning."""

    code = "INVALID_LAUNCH_CONFIG"


class VersionRefused(InvalidLaunchConfig):
    """EC2 stored a version of the launch template with a warning: it could not be launched."""

    def __init__(self, message: str, *, version: int, code: str | None, request_id: str | None, operation: str) -> None:
        super().__init__(message, code=code, request_id=request_id, operation=operation)
        self.version = version


class SourceServerNotFound(PermanentError):
    """DRS does not know the source server."""

    code = "SOURCE_SERVER_NOT_FOUND"


class AccessDenied(PermanentError):
    """The role may not make this call."""

    code = "ACCESS_DENIED"


class AccountNotInitialized(PermanentError):
    """DRS is not initialised in the target account and Region."""

    code = "ACCOUNT_NOT_INITIALIZED"


class DriftPersists(PermanentError):
    """What was written is not what is read back."""

    code = "DRIFT_PERSISTS"


class DriftFound(PermanentError):
    """What AWS holds is not what was applied, and nobody asked for it to be put back."""

    code = "DRIFT_FOUND"


class DriftRecurs(PermanentError):
    """Somebody changes a field again each time that it was put back."""

    code = "DRIFT_RECURS"


class StaleTemplate(PermanentError):
    """The launch template is not what it was when it was read: read and plan again, once."""

    code = "STALE_TEMPLATE"


class VersionVanished(StaleTemplate):
    """A version that was created is not there to be promoted: somebody deleted it."""

    def __init__(self, message: str, *, version: int, code: str | None, request_id: str | None, operation: str) -> None:
        super().__init__(message, code=code, request_id=request_id, operation=operation)
        self.version = version


class GroupDeleted(PermanentError):
    """The protection group was deleted while something was still to be done for it."""

    code = "GROUP_DELETED"


class WorkerLost(PermanentError):
    """Five workers took the source server's job and none of them reported an outcome."""

    code = "WORKER_LOST"


class TaskGone(PermanentError):
    """Nobody waits with this task token any more: the task timed out, was answered, or never was."""

    code = "TASK_GONE"


class LeaseLost(RetryableError):
    """The lease has too little time left to start a call that must end within it."""

    code = "LEASE_LOST"


class Superseded(PrelaunchError):
    """A newer generation owns the group, or nobody does any more: what is under way for an older one ends here."""

    code = "SUPERSEDED"


class SetupError(PrelaunchError):
    """Our own tables or queues are missing, or no endpoint answers: a person has to act."""

    code = "NOT_REACHABLE"
