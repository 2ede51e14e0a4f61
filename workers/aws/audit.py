"""
What the log says of a call to AWS, whatever became of it: one line, at the door to AWS.

Of a call that changes something always, of others where that is asked for. The line stands beside the request that the
call was made for, which the log's context names, with the id by which CloudTrail has it. Of what was sent and of AWS's
words nothing is repeated but its code: both may hold secrets.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from botocore.exceptions import ClientError

from workers.aws.guarding import Sending, is_known
from workers.core.model.group import Target

log = structlog.get_logger()

READS = ("Describe", "Get", "List")
"""How AWS's names of operations begin that change nothing."""


def is_write(operation: str, request: Mapping[str, Any]) -> bool:
    """Tell whether a call changes something where AWS allows it."""
    return not (operation.startswith(READS) or request.get("DryRun"))


@contextmanager
def audited(sending: Sending, target: Target, called: str) -> Iterator[None]:
    """
    Log what becomes of the call of this block where AWS refuses or does not answer it; each try is one.

    Parameters:
        sending: The call.
        target: Where it goes.
        called: Service and operation, as IAM writes them.

    Yields:
        Nothing, once.
    """
    try:
        yield
    except ClientError as error:
        _tell("aws.refused", target, called, error.response, code=error.response.get("Error", {}).get("Code"))
        raise
    except BaseException as error:
        # Also where this process is told to stop in the middle of it. What was not sent is nothing to CloudTrail.
        if sending.sent:
            kind = type(error).__name__
            _tell("aws.unanswered", target, called, {}, error=kind, may_have_happened=not is_known(error))
        raise


def tell_answered(target: Target, called: str, answer: Mapping[str, Any], *, is_write: bool) -> None:
    """Log a call that AWS has answered."""
    _tell("aws.changed" if is_write else "aws.read", target, called, answer)


def _tell(event: str, target: Target, called: str, answer: Mapping[str, Any], **more: Any) -> None:
    request_id = answer.get("ResponseMetadata", {}).get("RequestId")
    known = {"operation": called, "account_id": target.account_id, "region": target.region}
    log.info(event, **known, aws_request_id=request_id, **more)
