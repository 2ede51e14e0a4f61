"""What the HTTP door refuses, in what words, and that a refused request leaves no trace."""

import json
from typing import Any

import pytest
import structlog

from tests.integration.product import JSON, Product, problem_of
from workers.core.model.group import MAX_SERVERS

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
UNKNOWN = "s-0123456789abcdefg"
SECRET = "a-secret-between-us"


def pointers(document: dict[str, Any]) -> dict[str, str | None]:
    return {error["pointer"]: error["sourceServerId"] for error in document["errors"]}


async def test_a_wrong_group_is_refused_with_everything_that_is_wrong(product: Product) -> None:
    """Every error comes back at once, each with its place, its server and a code; nothing is stored or sent."""
    first, second = product.add_servers(2)
    body = product.body(
        [first, second, first],
        region="nowhere",
        launchConfig={"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "BASIC", "keyName": "k"},
        servers=[
            {"sourceServerId": second, "launchConfig": {"monitoring": "yes"}},
            {"sourceServerId": UNKNOWN},
        ],
        externalId=SECRET,
        colour="red",
    )
    answer = await product.api.post(GROUPS, json=body)
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (400, "INVALID_BODY")
    found = pointers(document)
    assert found.keys() >= {
        "/region",
        "/colour",
        "/externalId",
        "/sourceServerIds/2",
        "/launchConfig/keyName",
        "/launchConfig/instanceType",
        "/servers/0/launchConfig/monitoring",
        "/servers/1/sourceServerId",
    }
    assert found["/servers/0/launchConfig/monitoring"] == second
    assert found["/servers/1/sourceServerId"] == UNKNOWN
    assert {error["code"] for error in document["errors"]} <= {"INVALID_BODY", "INVALID_LAUNCH_CONFIG"}
    assert SECRET not in answer.text
    assert product.writes() == {}
    assert (await product.api.post(GROUPS, json=product.body([first, second]))).status_code == 201


async def test_a_region_where_nothing_is_can_be_no_groups(product: Product) -> None:
    """A slip in a Region's name is refused at the door: nothing would ever answer there."""
    answer = await product.api.post(GROUPS, json=product.body(product.add_servers(1), region="us-east-99"))
    assert (answer.status_code, pointers(problem_of(answer))) == (400, {"/region": None})
    assert "us-east-1" in problem_of(answer)["errors"][0]["message"]
    assert product.writes() == {}


async def test_a_wrong_launch_config_alone_has_a_code_of_its_own(product: Product) -> None:
    """Where the structure is right and a launch config is not, the code says so."""
    members = product.add_servers(1)
    answer = await product.api.post(GROUPS, json=product.body(members, launchConfig={"instanceType": "huge"}))
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "INVALID_LAUNCH_CONFIG")
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}, "more than turns to ask for the rest was written"


BODIES = {
    "no JSON": b"groupName: web",
    "cut off": b'{"groupName": "web',
    "no bytes": b"",
    "NaN": b'{"groupName": NaN}',
    "infinity": b'{"groupName": -Infinity}',
    "not UTF-8": b'{"groupName": "caf\xe9"}',
    "UTF-16": '{"groupName": "web"}'.encode("utf-16"),
    "deep": b"[" * 200_000,
    "deep objects": b'{"launchConfig":' * 60_000,
    "a deep tree that ends": b"[" * 900 + b"]" * 900,
    "no object": b"[]",
    "null": b"null",
    "a lone surrogate": b'{"groupName": "\\ud800"}',
    "digits without end": b'{"groupName": ' + b"9" * 100_000 + b"}",
}


NO_JSON = {"no JSON", "cut off", "NaN", "infinity", "not UTF-8", "UTF-16", "deep", "deep objects"}


@pytest.mark.parametrize("path", [GROUPS, "/waves", f"{GROUPS}/pg-none/apply-launch-configs"])
async def test_a_body_that_is_no_request_is_refused(product: Product, path: str) -> None:
    """Whatever bytes arrive, the answer is a 400 problem and never a crash; nothing is stored or sent."""
    for name, body in BODIES.items():
        if name == "no bytes" and "apply" in path:
            continue  # an apply without a body asks for nothing special
        answer = await product.api.post(path, content=body, headers=JSON)
        assert (name, answer.status_code) == (name, 400), answer.text
        error = problem_of(answer)["errors"][0]
        if name in NO_JSON:
            assert (error["pointer"], "no JSON" in error["message"]) == ("", True), name
    assert product.writes() == {}


@pytest.mark.parametrize("path", [GROUPS, "/waves", f"{GROUPS}/pg-none/apply-launch-configs"])
async def test_a_body_over_one_mebibyte_is_refused(product: Product, path: str) -> None:
    """1 MiB and a byte is a 413, however valid it is; exactly 1 MiB is read."""
    for size, status in ((1024 * 1024 + 1, 413), (1024 * 1024, 400)):
        body = json.dumps({"x": ""})
        body = body[:-2] + "x" * (size - len(body)) + body[-2:]
        assert len(body) == size
        answer = await product.api.post(path, content=body.encode(), headers=JSON)
        assert answer.status_code == status
        problem_of(answer)
    assert product.writes() == {}


async def test_too_many_servers_are_refused(product: Product) -> None:
    """One server more than an account and Region can have: 413, and nothing is stored."""
    members = [f"s-{number:017d}" for number in range(MAX_SERVERS + 1)]
    answer = await product.api.post(GROUPS, json=product.body(members))
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "GROUP_TOO_LARGE")
    assert product.writes() == {}


async def test_a_server_of_another_group_is_refused_by_name(product: Product) -> None:
    """A source server is in one group at most: 409 names each such server, its place and the group that has it."""
    shared, also_shared, own = product.add_servers(3)
    owner = await product.create([shared, also_shared])
    product.take_jobs()
    product.count_anew()
    answer = await product.api.post(GROUPS, json=product.body([own, shared, also_shared]))
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (409, "SERVER_CONFLICT")
    assert pointers(document) == {"/sourceServerIds/1": shared, "/sourceServerIds/2": also_shared}
    for error in document["errors"]:
        assert owner in error["message"]
        assert error["sourceServerId"] in error["message"]
    assert product.writes() == {}
    await product.create([own])


async def test_a_name_that_is_taken_is_refused(product: Product) -> None:
    """Two groups never have one name, also where white space is all the difference: 409, nothing stored."""
    first, second = product.add_servers(2)
    body = product.body([first])
    await product.create([first], groupName=body["groupName"])
    product.count_anew()
    for name in (body["groupName"], f"  {body['groupName']} "):
        answer = await product.api.post(GROUPS, json=product.body([second], groupName=name))
        document = problem_of(answer)
        assert (answer.status_code, document["code"]) == (409, "GROUP_NAME_EXISTS")
        assert pointers(document) == {"/groupName": None}
    assert product.writes() == {}


async def test_another_account_needs_a_role(product: Product) -> None:
    """Without a role to assume a group of another account could never be applied: it is refused before it is stored."""
    members = product.add_servers(1)
    answer = await product.api.post(GROUPS, json=product.body(members, accountId="210987654321"))
    assert answer.status_code == 400
    assert pointers(problem_of(answer)) == {"/accountId": None}
    assert product.writes() == {}


UNKNOWNS = [
    ("GET", f"{GROUPS}/pg-none", None, "GROUP_NOT_FOUND"),
    ("GET", f"{GROUPS}/pg-none/launch-config-status", None, "GROUP_NOT_FOUND"),
    ("GET", f"{GROUPS}/pg-none/launch-config-status?wait=5", None, "GROUP_NOT_FOUND"),
    ("POST", f"{GROUPS}/pg-none/apply-launch-configs", {}, "GROUP_NOT_FOUND"),
    ("POST", f"{GROUPS}/pg-none/apply-launch-configs", {"force": True}, "GROUP_NOT_FOUND"),
    ("POST", f"{GROUPS}/pg-none/rollback", {"toRun": 1}, "GROUP_NOT_FOUND"),
    ("POST", f"{GROUPS}/pg-none/rollback", {"toRun": "run-none"}, "GROUP_NOT_FOUND"),
    ("POST", "/waves", {"groupIds": ["pg-none"]}, "GROUP_NOT_FOUND"),
    ("POST", "/waves", {"groupIds": ["\ud800"]}, None),
    ("POST", "/waves", {"groupIds": [""]}, None),
    ("POST", "/waves", {"groupIds": ["x" * 3000]}, None),
    ("GET", "/waves/wave-none", None, "WAVE_NOT_FOUND"),
    ("GET", f"{GROUPS}/%00", None, "GROUP_NOT_FOUND"),
    ("GET", f"{GROUPS}/%ff", None, "GROUP_NOT_FOUND"),
    ("GET", f"{GROUPS}/a%2Fb", None, "NOT_FOUND"),
    ("GET", "/nowhere", None, "NOT_FOUND"),
    ("GET", f"{GROUPS}/", None, "NOT_FOUND"),
]


async def test_what_is_not_there_is_said_to_be_not_there(product: Product) -> None:
    """An id that names nothing is a client's mistake, 404 or 400, whatever characters it has; never a 5xx."""
    for method, path, body, code in UNKNOWNS:
        content = None if body is None else json.dumps(body).encode()
        answer = await product.api.request(method, path, content=content, headers=JSON)
        assert answer.status_code in {400, 404, 405}, (path, body, answer.text)
        document = problem_of(answer)
        assert code in {None, document["code"]}, (path, document)
    assert product.writes() == {}


async def test_a_wrong_method_is_told_what_is_allowed(product: Product) -> None:
    """405 comes with Allow (RFC 9110), as a problem that does not deny the route."""
    for method, path, allowed in (
        ("DELETE", "/waves", "GET, HEAD, OPTIONS, POST"),
        ("PATCH", f"{GROUPS}/pg-none/apply-launch-configs", "OPTIONS, POST"),
        ("PATCH", f"{GROUPS}/pg-none/launch-config-status", "GET, HEAD, OPTIONS"),
    ):
        answer = await product.api.request(method, path)
        document = problem_of(answer)
        assert (answer.status_code, document["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == allowed
        assert "no such route" not in document["detail"]


PARAMETERS = [
    "launch-config-status?limit=0",
    "launch-config-status?limit=1001",
    "launch-config-status?limit=many",
    "launch-config-status?servers=ready",
    "launch-config-status?wait=-1",
    "launch-config-status?wait=26",
    "launch-config-status?wait=nan",
    "launch-config-status?wait=inf",
    "launch-config-status?wait=soon",
    "launch-config-status?nextToken=" + "x" * 129,
    "launch-config-status?nextToken=",
    "launch-config-status?nextToken=1",
    "launch-config-status?nextToken=one.ready.s-1",
    "launch-config-status?nextToken=1.done.s-1",
    "launch-config-status?nextToken=%C2%B2.ready.s-1",
    "launch-config-status?nextToken=" + "9" * 100 + ".",
    "apply-runs?nextToken=",
    "apply-runs?nextToken=0",
]


async def test_wrong_parameters_are_refused(product: Product) -> None:
    """A parameter out of its range is a 400 that says which; a token of nobody's is refused too."""
    group_id = await product.create(product.add_servers(1))
    for query in PARAMETERS:
        answer = await product.api.get(f"{GROUPS}/{group_id}/{query}")
        assert answer.status_code == 400, (query, answer.text)
        assert problem_of(answer)["code"] == "INVALID_BODY"
    answer = await product.api.get(f"{GROUPS}/{group_id}/{PARAMETERS[0]}")
    assert "limit" in problem_of(answer)["errors"][0]["message"]


async def test_a_member_of_no_group_cannot_be_applied(product: Product) -> None:
    """Each source server that is asked for and is no member is named at its place; nothing is sent."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    product.take_jobs()
    product.count_anew()
    answer = await product.apply(group_id, force=True, sourceServerIds=[members[0], UNKNOWN])
    assert answer.status_code == 400
    assert pointers(problem_of(answer)) == {"/sourceServerIds/1": UNKNOWN}
    assert product.writes() == {}


REQUESTS = [
    ("GET", f"{GROUPS}/pg-none"),
    ("GET", f"{GROUPS}/pg-none/launch-config-status"),
    ("POST", f"{GROUPS}/pg-none/apply-launch-configs"),
    ("GET", "/waves/wave-none"),
    ("GET", "/readyz"),
]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
async def test_tables_that_do_not_answer_are_no_fault_of_the_caller(product: Product, code: str) -> None:
    """While our tables cannot be read every door says 503 and when to try again; being alive needs no table."""
    members = product.add_servers(1)
    product.faults({"service": "dynamodb", "operation": "*", "code": code})
    answers = [await product.api.request(method, path) for method, path in REQUESTS]
    answers.append(await product.api.post(GROUPS, json=product.body(members)))
    answers.append(await product.api.post("/waves", json={"groupIds": ["pg-none"]}))
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
        problem_of(answer)
    (ready,) = [answer for answer in answers if answer.url.path == "/readyz"]
    # Strangers read it, and what AWS says names tables, accounts and roles.
    assert ready.json()["detail"] == "The stack's tables do not answer; the log says why."
    assert code not in ready.text
    assert (await product.api.get("/healthz")).status_code == 200
    product.faults()
    assert (await product.api.get("/readyz")).status_code == 200


async def test_a_bug_is_a_problem_too_and_says_nothing_of_itself(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own is a 500 problem without traceback or internals."""

    async def break_down(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(type(product.services.queries), "group", break_down)
    with structlog.testing.capture_logs() as logged:
        answer = await product.api.get(f"{GROUPS}/pg-none")
    assert [entry["event"] for entry in logged] == ["request.failed", "request.answered"]
    assert answer.status_code == 500
    assert problem_of(answer)["code"] == "INTERNAL_ERROR"
    assert SECRET not in answer.text
