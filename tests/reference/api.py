"""docs/api.md: every call of the HTTP door as /openapi.json declares it, and the operation that messages know it by."""

from contextlib import nullcontext
from typing import Any

from producer.http import create_app
from producer.operations import CHECK_DRIFT, ENVELOPE, ROUTES

HEAD = """# The doors' operations

Written from the code by `make docs`; `/openapi.json` has every member of every body and answer.

Over HTTP each of these is a call. As a message on `<stack>-requests`, or as a direct invocation of the Lambda function,
it is `{"operation": "…"}` with the members of the call's path, query and body beside it, or in `body`; the answer is
the same. Members of every message: %s.

`%s` is an operation of messages and invocations alone: `accountId` and `region`, `sourceServerIds` or
`launchTemplateId`, or an event of CloudTrail's in `event`; it needs the role operator.
"""


def render() -> str:
    """Render the page."""
    document = create_app(lambda: nullcontext(None), has_callers=True).openapi()  # type: ignore[arg-type]  # never opened
    envelope = ", ".join(f"`{name}`" for name in ENVELOPE)
    parts = [HEAD % (envelope, CHECK_DRIFT)]
    for path, methods in document["paths"].items():
        parts += [_render(f"{method.upper()} {path}", declared) for method, declared in methods.items()]
    return "\n".join(parts)


def _render(call: str, declared: dict[str, Any]) -> str:
    operations = [name for name, route in ROUTES.items() if route == declared["operationId"]]
    role = declared.get("x-role")
    lines = [f"## {call}", "", declared["description"].partition("\n")[0], ""]
    lines += [f"- Operation: `{name}`" for name in operations]
    lines += [f"- Role: {role}" if role else "- Role: none; nobody is asked who they are"]
    for parameter in declared.get("parameters", []):
        needed = ", required" if parameter.get("required") else ""
        told = " ".join(str(parameter.get("description", "")).split())
        lines.append(f"- `{parameter['name']}` ({parameter['in']}{needed}): {told}".rstrip(": "))
    if "requestBody" in declared:
        content = next(iter(declared["requestBody"]["content"].values()))
        needed = "required" if declared["requestBody"]["required"] else "may be left out"
        lines.append(f"- Body: `{content['schema']['$ref'].rpartition('/')[2]}`, {needed}")
    lines += ["", "| Status | Answer |", "|---|---|"]
    for status, answer in sorted(declared["responses"].items()):
        lines.append(f"| {status} | {' '.join(answer['description'].split())} |")
    return "\n".join([*lines, ""])
