"""What surrounds every request at the HTTP door: its id, its log line, its wait, and what HTTP itself asks for."""

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from tests.integration.product import JSON, Product, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
ADDRESSES = [
    ("GET", "/healthz", 200),
    ("HEAD", "/healthz", 200),
    ("OPTIONS", GROUPS, 204),
    ("GET", "/openapi.json", 200),
    ("GET", "/nowhere", 404),
    ("PATCH", GROUPS, 405),
    ("GET", f"{GROUPS}/pg-none", 404),
    ("GET", f"{GROUPS}?limit=0", 400),
    ("POST", GROUPS, 400),
]


async def test_every_answer_carries_the_callers_id(product: Product) -> None:
    """Whatever becomes of a request, its answer names the id that it came with; a problem does so in its body too."""
    for number, (method, path, status) in enumerate(ADDRESSES):
        given = f"caller/{number}:~!"
        answer = await product.api.request(method, path, headers={"X-Request-Id": given})
        assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, [given]), (method, path)
        if status >= 400:
            assert problem_of(answer)["requestId"] == given


async def test_an_id_of_no_use_is_replaced(product: Product) -> None:
    """No id, an empty one, one too long, with a space or no ASCII: the request has an id of its own, each another."""
    seen = set()
    odd = [None, b"", b"x" * 129, b"two words", b"caf\xc3\xa9", b"a\tb"]
    for given in odd:
        headers = {} if given is None else {b"X-Request-Id": given}
        answer = await product.api.get("/healthz", headers=headers)
        seen.add(answer.headers["x-request-id"])
        assert answer.headers["x-request-id"].encode() != given
    assert len(seen) == len(odd)
    assert (await product.api.get("/healthz", headers={"X-Request-Id": "x" * 128})).headers["x-request-id"] == "x" * 128


async def test_one_canonical_line_a_request(product: Product) -> None:
    """Each request has one line with method, route, status, seconds and who asked; no id of a group, no query in it."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        for method, path, _ in ADDRESSES:
            await product.api.request(method, path, headers={"X-Request-Id": f"{method}:{path}"})
    lines = [line for line in logged if line["event"] == "request.answered"]
    assert [(line["request_id"], line["status"]) for line in lines] == [
        (f"{method}:{path}", status) for method, path, status in ADDRESSES
    ]
    by_id = {line["request_id"]: line for line in lines}
    group = by_id[f"GET:{GROUPS}/pg-none"]
    assert (group["method"], group["route"], group["code"]) == ("GET", f"{GROUPS}/{{groupId}}", "GROUP_NOT_FOUND")
    assert group["principal"] == "unauthenticated@192.0.2.7"
    assert by_id["HEAD:/healthz"]["method"] == "HEAD"
    assert by_id["GET:/nowhere"]["route"] == "none"
    assert all(line["seconds"] >= 0 for line in lines)


async def test_the_id_goes_with_every_job(product: Product) -> None:
    """Jobs and runs carry the id of the request that asked for them, so that workers log it."""
    members = product.add_servers(2)
    created = await product.api.post(GROUPS, json=product.body(members), headers={"X-Request-Id": "for-the-jobs"})
    assert [job.arguments["requestId"] for job in product.take_jobs()] == ["for-the-jobs"] * 2
    (run,) = (await product.api.get(f"{GROUPS}/{created.json()['groupId']}/apply-runs")).json()["applyRuns"]
    assert run["requestId"] == "for-the-jobs"


async def test_head_is_get_without_content(product: Product) -> None:
    """HEAD answers what GET answers, headers and all, and sends no content (RFC 9110)."""
    group_id = await product.create(product.add_servers(1))
    for path in ("/healthz", GROUPS, f"{GROUPS}/{group_id}", f"{GROUPS}/pg-none", "/nowhere"):
        got, head = await product.api.get(path), await product.api.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert (await product.api.head("/dead-letters/redrive")).status_code == 405


async def test_options_says_what_a_route_takes(product: Product) -> None:
    """OPTIONS is a 204 whose Allow holds every method of the path; of no path it is a 404."""
    for path, allowed in (
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        (GROUPS, "GET, HEAD, OPTIONS, POST"),
        (f"{GROUPS}/pg-none", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/waves", "GET, HEAD, OPTIONS, POST"),
        ("/dead-letters/redrive", "OPTIONS, POST"),
    ):
        answer = await product.api.options(path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")
        refused = await product.api.request("TRACE", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert (await product.api.options("/nowhere")).status_code == 404


async def test_waiting_begins_when_the_request_comes_in(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request takes before it can wait is part of its wait: a gateway in front counts from there too."""
    waited: list[float] = []

    async def note(_services: Any, _group_id: str, limit: timedelta) -> bool:
        waited.append(limit.total_seconds())
        return False

    monkeypatch.setattr(type(product.services), "wait_for_group", note)
    body = json.dumps(product.body(product.add_servers(1))).encode()
    times: list[float] = []

    async def content() -> AsyncIterator[bytes]:
        for part in (body[:10], body[10:], b""):
            times.append(time.monotonic())
            yield part

    assert (await product.api.post(f"{GROUPS}?wait=20", content=content(), headers=JSON)).status_code == 201
    (left,) = waited
    assert left <= 20 - (times[-1] - times[0])


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"caf\xe9", b"a\x01b"])
async def test_a_key_that_is_no_name_is_refused(product: Product, key: bytes) -> None:
    """Idempotency-Key has 1 to 255 printable characters, or nothing is done."""
    body = product.body(product.add_servers(1))
    answer = await product.api.post(GROUPS, json=body, headers={b"Idempotency-Key": key})
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "INVALID_BODY")
    assert "Idempotency-Key" in answer.text
    assert product.writes() == {}


async def test_a_repeated_request_has_no_second_effect(product: Product) -> None:
    """POST and PUT under one key do once what they ask, however the JSON is written; another request is a 422."""
    body = product.body(product.add_servers(1), description="caf\u00e9")
    headers = {"Idempotency-Key": "k" * 255}
    first = await product.api.post(GROUPS, json=body, headers=headers)
    respelled = httpx.Request("POST", "http://x", json=dict(reversed(body.items()))).content.replace(
        b"\xc3\xa9", b"\\u00e9"
    )
    again = await product.api.post(GROUPS, content=respelled, headers={**headers, **JSON})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(product.take_jobs()) == 1
    path = f"{GROUPS}/{first.json()['groupId']}"
    update = {**body, "description": "more", "version": 1}
    for request in (
        ("PUT", path, update),
        ("POST", f"{path}/apply-launch-configs", {}),
        ("POST", "/waves", {"groupIds": ["x"]}),
    ):
        answer = await product.api.request(request[0], request[1], json=request[2], headers=headers)
        assert (answer.status_code, problem_of(answer)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED"), request
    own = {"Idempotency-Key": "an update"}
    answers = [await product.api.put(path, json=update, headers=own) for _ in range(2)]
    assert [(each.status_code, each.json()["version"]) for each in answers] == [(200, 2)] * 2
