"""What DynamoDB refuses, and what that means to us: a decision of the caller's, contention, or a missing table."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from workers.core.errors import ServiceUnavailable, SetupError

CONTENTION = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
DENIED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
SERVER_ERROR = 500


class ConditionFailed(Exception):
    """The condition of a write did not hold; nothing was written."""

    def __init__(self, failed: Sequence[int] = (0,), item: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"The condition of write {', '.join(map(str, failed))} did not hold.")
        self.failed = tuple(failed)
        """Positions, in the transaction, of the writes whose condition did not hold."""
        self.item = item
        """The item as it is, in DynamoDB's types, where the write asked for it."""


class TableMissing(SetupError):
    """A table of the stack does not exist in this account and Region; prelaunch never creates one."""

    code = "TABLE_MISSING"

    def __init__(self, names: Sequence[str], stack: str) -> None:
        self.names = tuple(names)
        which = (
            f"Table {names[0]} is missing" if len(names) == 1 else f"One of the tables {', '.join(names)} is missing"
        )
        super().__init__(
            f"{which} in this account and Region. Deploy stack {stack!r} (`prelaunch local` on a laptop), or set"
            " PRELAUNCH_STACK, the Region and the account to where it is deployed."
        )


def translate(error: Exception, stack: str, tables: Sequence[str]) -> Exception:
    """
    Answer what a refusal of DynamoDB's means.

    Parameters:
        error: What the SDK raised.
        stack: Whose tables they are.
        tables: The full names of those that the request named: of a missing one DynamoDB does not say which.

    Returns:
        An error of ours; the very error where it is none of AWS's own troubles, so a bug.
    """
    response: Any = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", "")
    if code == "ResourceNotFoundException":
        return TableMissing(tables, stack)
    if code in DENIED:
        return SetupError(f"The tables of stack {stack!r} may not be used: {error}.", code=code)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if any(reason.get("Code") == "ValidationError" for reason in response.get("CancellationReasons") or []):
        # Tried again it would be refused again, for as long as anybody waits for better times.
        return error
    if code in CONTENTION or code == "TransactionCanceledException" or status >= SERVER_ERROR:
        return ServiceUnavailable(f"DynamoDB refused a request: {error}", code=code)
    return error


def raise_failed_conditions(error: ClientError) -> None:
    """Raise ConditionFailed where the condition of a write did not hold."""
    if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
        raise ConditionFailed(item=error.response.get("Item")) from error
    reasons = error.response.get("CancellationReasons") or []
    failed = [n for n, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
    if failed:
        raise ConditionFailed(failed) from error


def is_contention(error: ClientError) -> bool:
    """Tell whether others wrote at the same moment, or too many: nothing is wrong with the request."""
    codes = {error.response["Error"]["Code"]}
    codes.update(reason.get("Code", "") for reason in error.response.get("CancellationReasons") or [])
    return bool(codes & CONTENTION)
