"""Whatever a client sends to the HTTP door, the answer is one clear refusal, and nothing is stored or sent."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.strategies import source_server_ids
from tests.integration.product import JSON, Product, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
# One product serves all examples: none may leave anything behind, which is the law itself.
many = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(codec=None), max_size=20)
numbers = st.one_of(
    st.integers(), st.integers(10**17, 10**400), st.floats(allow_nan=False, allow_infinity=False), st.just(1e308)
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
NAMES = (
    "groupName",
    "region",
    "sourceServerIds",
    "launchConfig",
    "servers",
    "externalId",
    "version",
    "force",
    "groupIds",
    "isDrill",
    "description",
)
objects = st.dictionaries(st.sampled_from(NAMES), values)
broken_groups = st.tuples(
    st.fixed_dictionaries(
        {
            "groupName": st.just("web"),
            "region": st.just("us-east-1"),
            "sourceServerIds": st.lists(source_server_ids, min_size=1, max_size=3),
        }
    ),
    st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), values, min_size=1, max_size=3),
).map(lambda parts: {**parts[0], **parts[1], "nobody knows this": 1})
bodies = st.one_of(
    st.binary(max_size=200),
    st.one_of(values, objects, broken_groups).map(lambda value: json.dumps(value).encode()),
    broken_groups.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
)
ids = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).map(lambda text: quote(text, safe="")),
    st.binary(min_size=1, max_size=40).map(lambda raw: quote(raw, safe="")),
    st.sampled_from(
        ["%00", "%2F", "..%2F..", "%", "%zz", "%e2%28%a1", "%ed%a0%80", "a" * 65, "a;b", "name%23x", "%2e%2e"]
    ),
)


@many
@given(
    call=st.sampled_from(
        [
            ("POST", GROUPS),
            ("PUT", f"{GROUPS}/pg-none"),
            ("POST", f"{GROUPS}/pg-none/apply-launch-configs"),
            ("POST", f"{GROUPS}/pg-none/rollback"),
            ("POST", "/waves"),
        ]
    ),
    body=bodies,
)
async def test_no_body_breaks_the_door(product: Product, call: tuple[str, str], body: bytes) -> None:
    """Bytes, JSON of any shape and groups that are nearly right get a 4xx problem, whatever stands in them."""
    answer = await product.api.request(*call, content=body, headers=JSON)
    assert 400 <= answer.status_code < 500, answer.text
    problem_of(answer)
    # Of a group that is nearly right the account is asked for the rest.
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}, "more than turns to ask was written"


@many
@given(group=ids, other=ids)
async def test_no_id_breaks_the_door(product: Product, group: str, other: str) -> None:
    """Ids of any characters, encoded in any way, name nothing: 400 or 404, and a write finds nothing to change."""
    for method, path in (
        ("GET", f"{GROUPS}/{group}"),
        ("DELETE", f"{GROUPS}/{group}"),
        ("GET", f"{GROUPS}/{group}/launch-config-status"),
        ("GET", f"{GROUPS}/{group}/apply-runs/{other}"),
        ("POST", f"{GROUPS}/{group}/apply-launch-configs"),
        ("GET", f"/waves/{other}"),
    ):
        answer = await product.api.request(method, path)
        # An id with a slash, or of dots alone, can be a path of another route.
        assert answer.status_code in {400, 404, 405}, (method, path, answer.text)
        problem_of(answer)
    assert product.writes() == {}


@many
@given(
    path=st.sampled_from([GROUPS, f"{GROUPS}/pg-none/apply-runs", f"{GROUPS}/pg-none/launch-config-status"]),
    query=st.dictionaries(
        st.one_of(
            st.sampled_from(["limit", "nextToken", "wait", "servers"]),
            st.text(st.characters(codec="utf-8"), max_size=9),
        ),
        st.text(st.characters(codec="utf-8"), max_size=30),
        max_size=3,
    ),
)
async def test_no_query_breaks_the_door(product: Product, path: str, query: dict[str, str]) -> None:
    """Parameters of any name and value are understood or refused."""
    answer = await product.api.get(path, params=query)
    assert answer.status_code in {200, 400, 404}, answer.text
    if answer.status_code != 200:
        problem_of(answer)


DOUBLED: list[tuple[bytes, str]] = [
    (b'{"groupIds": ["pg-1"], "groupIds": ["pg-2"]}', "groupIds"),
    (b'{"groupIds": ["pg-1"], "isDrill": true, "isDrill": true}', "isDrill"),
    (b'{"groupIds": [{"a": 1, "\\u0061": 2}]}', "a"),
]


@pytest.mark.parametrize(("body", "name"), DOUBLED)
async def test_a_member_that_is_given_twice_is_refused_by_name(product: Product, body: bytes, name: str) -> None:
    """Readers of JSON disagree on which of two counts: `isDrill` must never be read both ways."""
    answer = await product.api.post("/waves", content=body, headers=JSON)
    (error,) = problem_of(answer)["errors"]
    assert (answer.status_code, error["code"]) == (400, "INVALID_BODY")
    assert f'"{name}"' in error["message"]
    assert product.writes() == {}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (f"{GROUPS}?colour=red&size=2", ["colour", "size"]),
        (f"{GROUPS}?Limit=1", ["Limit"]),
        (f"{GROUPS}?limit=1&limit=2", ["limit"]),
        (f"{GROUPS}?=1", [""]),
        ("/healthz?verbose", ["verbose"]),
        ("/waves/wave-none?wait=1", ["wait"]),
    ],
)
async def test_parameters_that_are_not_known_are_named(product: Product, path: str, named: list[str]) -> None:
    """A parameter that would be ignored, or that is there twice, is refused by its name, all of them at once."""
    answer = await product.api.get(path)
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (400, "INVALID_BODY")
    assert [error["message"].split('"')[1] for error in document["errors"]] == named


async def test_a_page_has_a_hundred_and_never_more_than_a_thousand(product: Product) -> None:
    """`limit` is 100 unless it is given, and 1 to 1,000."""
    members = product.add_servers(101)
    group_id = await product.create(members)
    path = f"{GROUPS}/{group_id}/launch-config-status"
    assert len((await product.api.get(path)).json()["serverConfigs"]) == 100
    assert len((await product.api.get(f"{path}?limit=1000")).json()["serverConfigs"]) == 101
    for where in (path, GROUPS, f"{GROUPS}/{group_id}/apply-runs"):
        for limit in (0, 1001, -1, 1.5, "x"):
            assert (await product.api.get(where, params={"limit": limit})).status_code == 400


NOT_JSON: list[list[str]] = [
    [],
    [""],
    ["application/x-www-form-urlencoded"],
    ["multipart/form-data; boundary=x"],
    ["text/plain"],
    ["text/plain; charset=application/json"],
    ["text/plain, application/vnd.x+json"],
    ["application/json+xml"],
    ["text/json"],
    ["application/json", "text/plain"],
]


async def test_a_body_has_to_be_called_json(product: Product) -> None:
    """A page of another site can send a form or plain text unasked: such a body is refused, and the type is named."""
    group_id = await product.create(product.add_servers(1))
    product.count_anew()
    for kinds in NOT_JSON:
        for method, path, body in (
            ("POST", GROUPS, product.body(["s-0123456789abcdefg"])),
            ("PUT", f"{GROUPS}/{group_id}", {}),
            ("POST", f"{GROUPS}/{group_id}/apply-launch-configs", {"force": True}),
            ("POST", "/waves", {"groupIds": [group_id]}),
        ):
            headers = [("Content-Type", kind) for kind in kinds]
            answer = await product.api.request(method, path, content=json.dumps(body).encode(), headers=headers)
            (error,) = problem_of(answer)["errors"]
            assert (answer.status_code, error["code"], error["pointer"]) == (400, "INVALID_BODY", ""), kinds
            assert "Content-Type: application/json" in error["message"]
    assert product.calls() == {}


async def test_json_of_any_name_is_read(product: Product) -> None:
    """Every media type of JSON is taken, whatever its parameters say."""
    for kind in ("application/json", "APPLICATION/JSON;charset=utf-8", "application/vnd.web.v1+json"):
        answer = await product.api.post("/waves", content=b'{"groupIds": ["pg-none"]}', headers={"Content-Type": kind})
        assert problem_of(answer)["code"] == "GROUP_NOT_FOUND", kind


async def test_no_body_needs_no_name(product: Product) -> None:
    """An apply without a body says nothing of its type."""
    group_id = await product.create(product.add_servers(1))
    answer = await product.api.post(f"{GROUPS}/{group_id}/apply-launch-configs")
    assert answer.status_code == 202


async def test_a_flood_of_wrong_members_is_answered_in_short(product: Product) -> None:
    """1 MiB of unknown members is counted, and the first thousand are shown: no answer outgrows its request."""
    flood = b"{" + b",".join(b'"m%d":1' % number for number in range(90_000)) + b"}"
    answer = await product.api.post(GROUPS, content=flood, headers=JSON)
    document = problem_of(answer)
    assert answer.status_code == 400
    assert len(document["errors"]) == 1000
    assert "90003 things are wrong" in document["detail"]
    assert len(answer.content) < 1024 * 1024
