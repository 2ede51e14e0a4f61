"""/openapi.json: whole, and its examples true."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import TypeAdapter

from producer.http import create_app, examples, schemas
from workers.core.model.bodies import parse_apply, parse_redrive, parse_rollback, parse_wave
from workers.core.model.group_parse import parse_group, parse_group_update

DOCUMENT: dict[str, Any] = create_app(lambda: nullcontext(None)).openapi()  # type: ignore[arg-type]  # never opened
PARSERS: dict[str, Callable[[object], object]] = {
    "create_group": parse_group,
    "update_group": parse_group_update,
    "apply_launch_configs": parse_apply,
    "rollback": parse_rollback,
    "start_wave": parse_wave,
    "redrive_dead_letters": parse_redrive,
}
OPERATIONS = {operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()}


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(each) for each in node.values()))
    return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    """No schema is named that is not there, and none is there that nothing names."""
    named = {each.removeprefix("#/components/schemas/") for each in references(DOCUMENT)}
    assert named == set(DOCUMENT["components"]["schemas"])
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_every_body_that_is_shown_is_taken() -> None:
    """The examples of bodies pass the very parsers that read requests, and every body has one."""
    with_body = {name for name, operation in OPERATIONS.items() if "requestBody" in operation}
    assert with_body == PARSERS.keys()
    for name, parse in PARSERS.items():
        shown = OPERATIONS[name]["requestBody"]["content"]["application/json"]["examples"]
        assert shown
        for example in shown.values():
            parse(example["value"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_that_is_shown_has_its_shape(name: str) -> None:
    """The examples of answers and problems are of the shapes that they are declared with, null for null."""
    for status, response in OPERATIONS[name]["responses"].items():
        assert "X-Request-Id" in response["headers"]
        assert ("Retry-After" in response["headers"]) == (status == "503")
        for content in response.get("content", {}).values():
            schema = content["schema"]
            reference = schema["$ref"] if "$ref" in schema else schema["allOf"][0]["$ref"]
            shape = TypeAdapter(getattr(schemas, reference.rpartition("/")[2]))
            shown = [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
            assert shown
            for example in shown:
                shape.validate_json(json.dumps(example))


def test_an_open_door_says_nothing_of_tokens() -> None:
    """Where no token is asked for, none is declared, and no 401 either; what is refused there is a web page."""
    assert "securitySchemes" not in DOCUMENT["components"]
    for operation in OPERATIONS.values():
        assert not {"security", "x-role"} & operation.keys()
        assert "401" not in operation["responses"]
        (shown,) = operation["responses"]["403"]["content"]["application/problem+json"]["examples"].values()
        assert "web page" in shown["value"]["detail"]


def test_an_update_of_the_example_names_its_version() -> None:
    """What the example of a group answers can be put back over its version."""
    assert parse_group_update(examples.UPDATE_BODY).version == examples.GROUP["version"]
