"""
What can go wrong between prelaunch and its queues, said once and clearly.

Never raise a botocore error across this package's door: a caller must not have to know it.
"""

from collections.abc import Sequence

from workers.core.errors import PrelaunchError, ServiceUnavailable, SetupError


class QueueError(PrelaunchError):
    """A queue could not be used."""


class QueueMissing(QueueError, SetupError):
    """A queue does not exist in this account and Region; prelaunch never creates one."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"SQS queue missing: {', '.join(self.names)}. Deploy the stack (`prelaunch local` on a laptop), "
            "or set PRELAUNCH_STACK, the Region and the account to where it is deployed."
        )


class QueueUnreachable(QueueError, ServiceUnavailable):
    """SQS did not answer, or refused: no endpoint, no Region, no credentials, no permission."""

    def __init__(self, endpoint: str, cause: object) -> None:
        super().__init__(
            f"SQS is not usable at {endpoint}: {cause}. Check AWS_ENDPOINT_URL (or AWS_ENDPOINT_URL_SQS), "
            "AWS_DEFAULT_REGION and the credentials."
        )


class UnreadableJob(QueueError):
    """A message's body is not a job of ours."""


class JobsNotSent(QueueError, ServiceUnavailable):
    """Some jobs of a send were not accepted by SQS, after every try."""

    def __init__(self, queue: str, *, unsent: int, total: int, cause: str) -> None:
        self.unsent = unsent
        self.total = total
        super().__init__(f"{unsent} of {total} jobs were not sent to {queue}: {cause}")
