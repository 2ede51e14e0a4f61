"""The tables in memory beside a real database: each call is made to both, and both have to answer the same."""

from typing import Any

from botocore.exceptions import ClientError

from tests.fakes.twin.dynamodb import PAGE, Tables

MIRRORED = frozenset(
    {
        "get_item",
        "batch_get_item",
        "query",
        "put_item",
        "delete_item",
        "update_item",
        "transact_write_items",
        "batch_write_item",
    }
)


class MirroredTables:
    """
    Stands where the tables do.

    Parameters:
        tables: Those in memory; what is told of every change is told by them.
        client: A client of a real database that holds the same.
    """

    def __init__(self, tables: Tables, client: Any) -> None:
        self._tables = tables
        self._client = client
        self.compared = 0
        """How many answers were the same."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tables, name)
        return self._call(name, found) if name in MIRRORED else found

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "on_store":
            self._tables.on_store = value
        else:
            super().__setattr__(name, value)

    def _call(self, operation: str, effect: Any) -> Any:
        def call(**request: Any) -> Any:
            real = _told(lambda: getattr(self._client, operation)(**request))
            try:
                answer = effect(**request)
            except ClientError as refused:
                self._compare(operation, request, _said(refused), real)
                raise
            told = _content(answer)
            if len(told.get("Items", ())) < PAGE:
                # A page of the twin's is shorter than a real one: the rest of what it holds back comes in the next.
                self._compare(operation, request, told, real)
            return answer

        return call

    def _compare(self, operation: str, request: dict[str, Any], here: Any, there: Any) -> None:
        assert here == there, f"{operation} {request}: {here} here, {there} there"
        self.compared += 1


def _told(call: Any) -> Any:
    try:
        return _content(call())
    except ClientError as refused:
        return _said(refused)


def _said(refused: ClientError) -> tuple[str, list[str]]:
    reasons = [reason["Code"] for reason in refused.response.get("CancellationReasons", [])]
    return refused.response["Error"]["Code"], reasons


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    kept = {name: answer[name] for name in ("Item", "Items", "Attributes", "LastEvaluatedKey") if answer.get(name)}
    if "Responses" not in answer:
        return kept
    # A batch is answered in any order, and an item's attributes are too.
    many = [item for items in answer["Responses"].values() for item in items]
    return {**kept, "Responses": sorted(many, key=lambda item: repr(sorted(item.items())))}
