"""Every code of the HTTP door, once, from the running product: a code without a case here fails the test."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from producer.access import Access
from producer.http import create_app
from producer.problems import STATUS_BY_CODE
from tests.fakes.user_pool import AUDIENCE, UserPool, user_pool
from tests.integration.product import JSON, Product, problem_of
from workers.core.model.group import MAX_SERVERS

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
OUTSIDE = {
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "SERVICE_UNAVAILABLE": 503,
    "INTERNAL_ERROR": 500,
}
"""What no operation refuses: HTTP's own, our own, and AWS's."""


@pytest.fixture(scope="module")
def pool() -> Iterator[UserPool]:
    with user_pool() as pool:
        yield pool


async def invalid_body(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.post(GROUPS, json={"groupName": 3})


async def invalid_launch_config(product: Product, _: UserPool) -> httpx.Response:
    body = product.body(product.add_servers(1), launchConfig={"instanceType": "huge"})
    return await product.api.post(GROUPS, json=body)


async def ask_with(product: Product, pool: UserPool, headers: dict[str, str]) -> httpx.Response:
    app = create_app(lambda: nullcontext(product.services), Access(pool.issuer, AUDIENCE))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://prelaunch.test") as door,
    ):
        return await door.delete(f"{GROUPS}/pg-none", headers=headers)


async def unauthenticated(product: Product, pool: UserPool) -> httpx.Response:
    return await ask_with(product, pool, {})


async def forbidden(product: Product, pool: UserPool) -> httpx.Response:
    token = pool.sign(pool.claims("operator"))
    return await ask_with(product, pool, {"Authorization": f"Bearer {token}"})


async def group_not_found(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.delete(f"{GROUPS}/pg-none")


async def run_not_found(product: Product, _: UserPool) -> httpx.Response:
    group_id = await product.create(product.add_servers(1))
    return await product.api.get(f"{GROUPS}/{group_id}/apply-runs/run-none")


async def wave_not_found(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.get("/waves/wave-none")


async def group_name_exists(product: Product, _: UserPool) -> httpx.Response:
    first, second = product.add_servers(2)
    body = product.body([first])
    await product.api.post(GROUPS, json=body)
    return await product.api.post(GROUPS, json={**body, "sourceServerIds": [second]})


async def server_conflict(product: Product, _: UserPool) -> httpx.Response:
    members = product.add_servers(1)
    await product.create(members)
    return await product.api.post(GROUPS, json=product.body(members))


async def version_conflict(product: Product, _: UserPool) -> httpx.Response:
    body = product.body(product.add_servers(1))
    created = await product.api.post(GROUPS, json=body)
    return await product.api.put(f"{GROUPS}/{created.json()['groupId']}", json={**body, "version": 2})


async def status_changed(product: Product, _: UserPool) -> httpx.Response:
    group_id = await product.create(product.add_servers(2))
    token = (await product.status(group_id, limit=1))["nextToken"]
    await product.drain()
    return await product.api.get(f"{GROUPS}/{group_id}/launch-config-status", params={"nextToken": token})


async def not_ready(product: Product, _: UserPool) -> httpx.Response:
    group_id = await product.create(product.add_servers(1))
    return await product.api.post("/waves", json={"groupIds": [group_id], "onNotReady": "fail"})


async def account_not_initialized(product: Product, _: UserPool) -> httpx.Response:
    own = "accounts/123456789012"
    product.local.control("PUT", own, {"initialised": False})
    try:
        return await product.api.post(GROUPS, json=product.body(["s-00000000000000000"]))
    finally:
        product.local.control("PUT", own, {"initialised": True})


async def access_denied(product: Product, _: UserPool) -> httpx.Response:
    product.faults({"service": "drs", "operation": "DescribeSourceServers", "code": "AccessDeniedException"})
    try:
        return await product.api.post(GROUPS, json=product.body(["s-00000000000000000"]))
    finally:
        product.faults()


async def body_too_large(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.post(GROUPS, content=b" " * (1024 * 1024 + 1), headers=JSON)


async def group_too_large(product: Product, _: UserPool) -> httpx.Response:
    members = [f"s-{number:017d}" for number in range(MAX_SERVERS + 1)]
    return await product.api.post(GROUPS, json=product.body(members))


async def idempotency_key_reused(product: Product, _: UserPool) -> httpx.Response:
    headers = {"Idempotency-Key": "one name"}
    for server in product.add_servers(2):
        answer = await product.api.post(GROUPS, json=product.body([server]), headers=headers)
    return answer


async def not_found(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.get(f"{GROUPS}/a%2Fb")


async def method_not_allowed(product: Product, _: UserPool) -> httpx.Response:
    return await product.api.patch(GROUPS)


async def service_unavailable(product: Product, _: UserPool) -> httpx.Response:
    product.faults({"service": "dynamodb", "operation": "*", "code": "AccessDeniedException"})
    try:
        return await product.api.get(f"{GROUPS}/pg-none")
    finally:
        product.faults()


async def internal_error(product: Product, _: UserPool) -> httpx.Response:
    async def break_down(*_: object) -> None:
        raise RuntimeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(product.services.queries), "group", break_down)
        return await product.api.get(f"{GROUPS}/pg-none")


Case = Callable[[Product, UserPool], Awaitable[httpx.Response]]
CASES: dict[str, Case] = {
    "INVALID_BODY": invalid_body,
    "INVALID_LAUNCH_CONFIG": invalid_launch_config,
    "UNAUTHENTICATED": unauthenticated,
    "FORBIDDEN": forbidden,
    "GROUP_NOT_FOUND": group_not_found,
    "RUN_NOT_FOUND": run_not_found,
    "WAVE_NOT_FOUND": wave_not_found,
    "GROUP_NAME_EXISTS": group_name_exists,
    "SERVER_CONFLICT": server_conflict,
    "VERSION_CONFLICT": version_conflict,
    "STATUS_CHANGED": status_changed,
    "NOT_READY": not_ready,
    "ACCESS_DENIED": access_denied,
    "ACCOUNT_NOT_INITIALIZED": account_not_initialized,
    "BODY_TOO_LARGE": body_too_large,
    "GROUP_TOO_LARGE": group_too_large,
    "IDEMPOTENCY_KEY_REUSED": idempotency_key_reused,
    "NOT_FOUND": not_found,
    "METHOD_NOT_ALLOWED": method_not_allowed,
    "SERVICE_UNAVAILABLE": service_unavailable,
    "INTERNAL_ERROR": internal_error,
}
PROMISED = {
    400: {"INVALID_BODY", "INVALID_LAUNCH_CONFIG"},
    401: {"UNAUTHENTICATED"},
    403: {"FORBIDDEN"},
    404: {"GROUP_NOT_FOUND", "RUN_NOT_FOUND", "WAVE_NOT_FOUND"},
    409: {
        "GROUP_NAME_EXISTS",
        "SERVER_CONFLICT",
        "VERSION_CONFLICT",
        "STATUS_CHANGED",
        "NOT_READY",
        "ACCESS_DENIED",
        "ACCOUNT_NOT_INITIALIZED",
    },
    413: {"BODY_TOO_LARGE", "GROUP_TOO_LARGE"},
    422: {"IDEMPOTENCY_KEY_REUSED"},
}
"""What clients were promised: it may grow, and nothing of it may change."""


@pytest.mark.parametrize("code", CASES)
async def test_every_code_has_its_status(product: Product, pool: UserPool, code: str) -> None:
    """A case of each code gets that code and that status, as a problem, and 503 and 405 say what to do."""
    expected = {found: status for status, codes in PROMISED.items() for found in codes} | OUTSIDE
    answer = await CASES[code](product, pool)
    document = problem_of(answer)
    # Where AWS refused us the code is AWS's own.
    assert (answer.status_code, document["code"]) == (
        expected[code],
        document["code"] if answer.status_code == 503 else code,
    )
    more = {503: "retry-after", 405: "allow", 401: "www-authenticate"}
    assert answer.status_code not in more or answer.headers[more[answer.status_code]]


async def test_every_code_has_a_case() -> None:
    """What the product declares, what was promised and what is tried above are one set of codes."""
    promised = {code: HTTPStatus(status) for status, codes in PROMISED.items() for code in codes}
    assert dict(STATUS_BY_CODE) == promised
    assert CASES.keys() == promised.keys() | OUTSIDE.keys()


async def test_the_document_declares_every_code(pool: UserPool) -> None:
    """/openapi.json names each code that an operation refuses with, under its status, with an example."""
    access = Access(pool.issuer, AUDIENCE)
    document: dict[str, Any] = create_app(lambda: nullcontext(None), access).openapi()  # type: ignore[arg-type]  # never opened
    access.close()
    declared: dict[str, int] = {}
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                for code, example in (
                    response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
                ):
                    assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))
                    declared[code] = int(status)
    promised = {code: status for status, codes in PROMISED.items() for code in codes}
    assert declared == promised | {code: OUTSIDE[code] for code in OUTSIDE if code != "METHOD_NOT_ALLOWED"}
