"""What a refusal of DynamoDB's means: a decision, contention that passes, a missing table, or a bug."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.store.refusals import ConditionFailed, is_contention, raise_failed_conditions, translate


def refusal(code: str, *reasons: str, status: int = 400) -> ClientError:
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "TransactWriteItems")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (refusal("ResourceNotFoundException"), SetupError, "TABLE_MISSING"),
        (refusal("AccessDeniedException"), SetupError, "AccessDeniedException"),
        (refusal("UnrecognizedClientException"), SetupError, "UnrecognizedClientException"),
        (refusal("ThrottlingException"), ServiceUnavailable, "ThrottlingException"),
        (refusal("ProvisionedThroughputExceededException"), ServiceUnavailable, None),
        (refusal("TransactionInProgressException"), ServiceUnavailable, None),
        (refusal("TransactionCanceledException", "TransactionConflict"), ServiceUnavailable, None),
        (refusal("InternalServerError", status=500), ServiceUnavailable, "InternalServerError"),
        (refusal("SomethingNew", status=503), ServiceUnavailable, "SomethingNew"),
    ],
)
def test_troubles_of_awss_are_told_apart(error: ClientError, kind: type[Exception], code: str | None) -> None:
    """What a person has to mend is a SetupError that names the stack; what passes is ServiceUnavailable."""
    translated = translate(error, "blue", ["blue-groups"])
    assert isinstance(translated, kind)
    assert isinstance(translated, SetupError | ServiceUnavailable)
    assert translated.code == (code or error.response["Error"]["Code"])
    assert isinstance(translated, ServiceUnavailable) or "'blue'" in str(translated)


@pytest.mark.parametrize(
    ("tables", "told"),
    [(["blue-keys"], "Table blue-keys is missing"), (["blue-keys", "blue-runs"], "the tables blue-keys, blue-runs")],
)
def test_a_missing_table_is_named(tables: list[str], told: str) -> None:
    """Or, of a transaction, those that it named: DynamoDB does not say which of them it is."""
    assert told in str(translate(refusal("ResourceNotFoundException"), "blue", tables))


@pytest.mark.parametrize(
    "error",
    [
        refusal("ValidationException"),
        refusal("TransactionCanceledException", "None", "ValidationError"),
        KeyError("item"),
    ],
)
def test_a_bug_stays_one(error: Exception) -> None:
    """A request that DynamoDB can never take, and whatever is no answer of AWS's, is not hidden."""
    assert translate(error, "blue", ["blue-groups"]) is error


def test_a_condition_that_did_not_hold_is_a_decision() -> None:
    """Of a single write it is the only one; of a transaction the positions say which."""
    with pytest.raises(ConditionFailed) as single:
        raise_failed_conditions(refusal("ConditionalCheckFailedException"))
    assert single.value.failed == (0,)
    reasons = ("None", "ConditionalCheckFailed", "TransactionConflict", "ConditionalCheckFailed")
    with pytest.raises(ConditionFailed) as several:
        raise_failed_conditions(refusal("TransactionCanceledException", *reasons))
    assert several.value.failed == (1, 3)
    assert str(several.value) == "The condition of write 1, 3 did not hold."


def test_contention_is_no_decision() -> None:
    """Others wrote at the same moment, or too many: the same request may succeed, and only then."""
    conflict = refusal("TransactionCanceledException", "None", "TransactionConflict")
    raise_failed_conditions(conflict)
    assert is_contention(conflict)
    assert is_contention(refusal("ThrottlingException"))
    assert is_contention(refusal("TransactionCanceledException", "ThrottlingError"))
    assert not is_contention(refusal("TransactionCanceledException", "ItemCollectionSizeLimitExceeded"))
    assert not is_contention(refusal("ValidationException"))
