"""Who may ask what at the HTTP door, and what becomes of those who may not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi.routing import APIRoute

from producer.access import Access
from producer.http import create_app
from tests.fakes.user_pool import AUDIENCE, UserPool, user_pool
from tests.integration.product import Product, problem_of
from workers.core.contract import DEAD_LETTER_QUEUES

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
OPEN = {"/healthz", "/readyz", "/schemas/fleet.json", "/", "/page/settings.json", "/page/{name}"}
"""What says nothing of anybody's groups."""
ROLES = ("reader", "operator", "admin")


@pytest.fixture(scope="module")
def pool() -> Iterator[UserPool]:
    with user_pool() as pool:
        yield pool


@pytest_asyncio.fixture(loop_scope="session")
async def door(product: Product, pool: UserPool) -> AsyncIterator[httpx.AsyncClient]:
    """A door of the same product that asks for tokens."""
    pool.down = False
    app = create_app(lambda: nullcontext(product.services), Access(pool.issuer, AUDIENCE))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://prelaunch.test") as api,
    ):
        yield api


def bearer(pool: UserPool, *groups: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {pool.sign(pool.claims(*groups))}"}


def routes() -> list[tuple[str, str, str]]:
    """Answer every route with the role that its declaration names."""
    app = create_app(lambda: nullcontext(None))  # type: ignore[arg-type]  # never opened
    return [
        (method, route.path, (route.openapi_extra or {}).get("x-role", ""))
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]


NEEDED = {
    ("POST", GROUPS): "admin",
    ("PUT", f"{GROUPS}/{{groupId}}"): "admin",
    ("DELETE", f"{GROUPS}/{{groupId}}"): "admin",
    ("POST", f"{GROUPS}/{{groupId}}/apply-launch-configs"): "operator",
    ("POST", f"{GROUPS}/{{groupId}}/rollback"): "admin",
    ("POST", "/waves"): "operator",
    ("POST", "/dead-letters/redrive"): "operator",
}


async def test_for_the_body_of_who_may_not_change_groups_no_account_is_asked(
    product: Product, pool: UserPool, door: httpx.AsyncClient
) -> None:
    """A body that is wrong in itself is looked up only for who could have it stored if it were right."""
    members = product.add_servers(1)
    group_id = await product.create(members, launchConfig={"copyTags": True})
    wrong = product.body(members, description=7, launchConfig={"instanceProfileName": "nobodys"})
    calls = [("POST", GROUPS, wrong), ("PUT", f"{GROUPS}/{group_id}", {**wrong, "version": 1})]
    product.count_anew()
    for method, path, body in calls:
        for headers in ({}, bearer(pool, "reader"), bearer(pool, "operator")):
            answer = await door.request(method, path, json=body, headers=headers)
            assert answer.status_code in {401, 403}
    assert product.calls() == {}
    for method, path, body in calls:
        answer = await door.request(method, path, json=body, headers=bearer(pool, "admin"))
        pointers = [error["pointer"] for error in problem_of(answer)["errors"]]
        assert pointers == ["/description", "/launchConfig/instanceProfileName"]


async def test_every_route_needs_its_role(product: Product, pool: UserPool, door: httpx.AsyncClient) -> None:
    """Reads are a reader's, applies and waves an operator's, the rest an admin's; below that is a 403, no effect."""
    # Letters of an earlier test would be hidden and shown again while they are listed.
    for queue in DEAD_LETTER_QUEUES:
        url = product.client("sqs").get_queue_url(QueueName=f"{product.settings.stack}-{queue}-dlq")["QueueUrl"]
        product.client("sqs").purge_queue(QueueUrl=url)
    product.count_anew()
    for method, path, declared in routes():
        needed = NEEDED.get((method, path), "reader" if method == "GET" else "none")
        if path in OPEN:
            assert (await door.request(method, path.format(name="main.js"))).status_code == 200
            continue
        assert declared == needed, (method, path)
        address = path.format(groupId="pg-none", waveId="wave-none", runId="run-none")
        for position, role in enumerate(ROLES):
            answer = await door.request(method, address, json={}, headers=bearer(pool, role))
            if position < ROLES.index(needed):
                document = problem_of(answer)
                assert (answer.status_code, document["code"]) == (403, "FORBIDDEN"), (method, path, role)
                assert needed in document["detail"]
            else:
                assert answer.status_code in {200, 400, 404}, (method, path, role, answer.text)
        nobody = await door.request(method, address, json={}, headers=bearer(pool, "others"))
        assert nobody.status_code == 403
    assert product.writes() == {}


async def test_nobody_gets_anything(product: Product, pool: UserPool, door: httpx.AsyncClient) -> None:
    """Without one right token every route is a 401 that says how to authenticate, before anything else is judged."""
    token = pool.sign(pool.claims("admin"))
    wrong: list[list[tuple[str, str]]] = [
        [],
        [("Authorization", token)],
        [("Authorization", f"Basic {token}")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer  ")],
        [("Authorization", "Bearer x")],
        [("Authorization", f"Bearer {token[:-8]}")],
        [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
    ]
    for method, path, _ in routes():
        if path in OPEN:
            continue
        for headers in wrong:
            answer = await door.request(method, f"{path}?colour=red&wait=99", content=b"no JSON", headers=headers)
            document = problem_of(answer)
            assert (answer.status_code, document["code"]) == (401, "UNAUTHENTICATED"), (method, path, headers)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert token not in answer.text
    assert product.calls() == {}
    assert (await door.get("/openapi.json")).status_code == 200


async def test_who_asked_is_written_down(product: Product, pool: UserPool, door: httpx.AsyncClient) -> None:
    """What is done is done in the name of the token's user, and stands so in the status."""
    body = product.body(product.add_servers(1))
    created = await door.post(GROUPS, json=body, headers=bearer(pool, "admin"))
    assert created.status_code == 201
    assert created.json()["launchConfigStatus"]["appliedBy"] == "ada"


async def test_a_refused_call_is_logged_with_who_and_what(
    product: Product, pool: UserPool, door: httpx.AsyncClient
) -> None:
    """An engineer finds each refused call, its user or address, and what it was for; never the token."""
    headers = {**bearer(pool, "reader"), "X-Request-Id": "look-for-me"}
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        await door.delete(f"{GROUPS}/pg-none", headers=headers)
        await door.delete(f"{GROUPS}/pg-none", headers={"Authorization": "Bearer x"})
    refused = [line for line in logged if line["event"] == "access.refused"]
    assert [(line["principal"], line["code"]) for line in refused] == [
        ("ada", "FORBIDDEN"),
        ("unauthenticated@192.0.2.7", "UNAUTHENTICATED"),
    ]
    for line in refused:
        assert line["client"] == "192.0.2.7"
        assert (line["method"], line["route"]) == ("DELETE", f"{GROUPS}/{{groupId}}")
        assert line["path_parameters"] == {"groupId": "pg-none"}
    assert refused[0]["request_id"] == "look-for-me"
    assert headers["Authorization"].split()[1] not in str(logged)


async def test_a_user_pool_that_is_down_is_no_fault_of_the_caller(
    product: Product, pool: UserPool, door: httpx.AsyncClient
) -> None:
    """While the pool's keys cannot be had the answer is a 503 that says when to try again; health needs no pool."""
    pool.down = True
    answer = await door.get(GROUPS, headers=bearer(pool, "admin"))
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert (await door.get("/healthz")).status_code == 200
