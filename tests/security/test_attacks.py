"""What somebody tries who should not get in, or means harm: each refused, and nothing changed by it."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping

import jwt
import pytest
import structlog

from tests.fakes.user_pool import UserPool, make_key
from tests.integration.doors.doors import DOORS, Doors, Guarded, make_context
from tests.integration.doors.test_doors import body, group_id
from workers.core.contract import APPLY_ACTOR
from workers.core.queue.job import encode_job

SECRET = "hunter2-and-more"
WRITES = ("Put", "Update", "Delete", "Transact", "Create", "Modify", "Start", "Batch")


def changes(doors: Doors) -> dict[str, int]:
    """Count the calls that changed anything in tables, DRS or EC2."""
    calls = doors.aws.control("GET", "calls")
    return {
        name: told["count"]
        for name, told in calls.items()
        if name.partition(".")[2].startswith(WRITES) and not name.endswith("BatchGetItem")
    }


def _unsigned(pool: UserPool) -> str:
    return jwt.encode(pool.claims("admin"), "", algorithm="none", headers={"kid": "first"})


def _by_public_key(pool: UserPool) -> str:
    """Signed as HS256 with the pool's public key as the secret, as PyJWT itself would refuse to."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "first"}, pool.claims("admin")]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(algorithm.sign(head.encode(), pool.public_pem())).rstrip(b"=").decode()
    return f"{head}.{signature}"


def _with_own_key(pool: UserPool) -> str:
    return jwt.encode(
        pool.claims("admin"), make_key(), algorithm="RS256", headers={"kid": "first", "jku": "http://127.0.0.1:1/keys"}
    )


def _spoilt(pool: UserPool) -> str:
    head, _, signature = pool.sign(pool.claims("reader")).split(".")
    claims = base64.urlsafe_b64encode(json.dumps(pool.claims("admin")).encode()).rstrip(b"=").decode()
    return f"{head}.{claims}.{signature}"


TOKENS: Mapping[str, Callable[[UserPool], str]] = {
    "none at all": lambda _: "",
    "unsigned": _unsigned,
    "signed with the public key": _by_public_key,
    "signed with a key of the caller's own": _with_own_key,
    "claims put into another token": _spoilt,
    "of a key that the pool does not have": lambda pool: pool.sign(pool.claims("admin"), "second", make_key()),
    "expired": lambda pool: pool.sign(pool.claims("admin", exp=1)),
    "not valid yet": lambda pool: pool.sign(pool.claims("admin", nbf=4102444800)),
    "without an end": lambda pool: pool.sign(pool.claims("admin", exp=None)),
    "of another pool": lambda pool: pool.sign(pool.claims("admin", iss="https://cognito-idp.example.com/pool")),
    "for another application": lambda pool: pool.sign(pool.claims("admin", client_id="another")),
    "to refresh tokens with": lambda pool: pool.sign(pool.claims("admin", token_use="refresh")),
}


@pytest.mark.parametrize("attack", TOKENS)
def test_a_token_that_proves_nothing_opens_nothing(doors: Doors, guarded: Guarded, pool: UserPool, attack: str) -> None:
    """401 with the reason, logged with who and what; the group is still there."""
    target = group_id(doors)
    doors.aws.control("DELETE", "calls")
    token = TOKENS[attack](pool)
    with structlog.testing.capture_logs() as logs:
        answer = guarded.ask("DELETE", f"/protection-groups/{target}", token)
    assert (answer.status, answer.document["code"]) == (401, "UNAUTHENTICATED")
    assert changes(doors) == {}
    (told,) = (line for line in logs if line["event"] == "access.refused")
    assert (told["method"], told["path_parameters"]) == ("DELETE", {"groupId": target})
    assert not token or token not in json.dumps([logs, answer.document], default=str)
    assert doors.ask_http({"operation": "get_protection_group", "groupId": target}).status == 200


IDS = (
    "../../dead-letters/redrive",
    "pg-1/apply-launch-configs",
    "%2e%2e%2fwaves",
    "..",
    "pg-1?force=true",
    "pg-1#",
    "pg-1\r\nX-Role: admin",
    "pg-1\x00",
    "GROUP#pg-1",
    "' OR '1'='1",
    "{groupId}",
    "${jndi:ldap://127.0.0.1/a}",
    "p" * 10_000,
    "\ud800",
    "группа",
)


@pytest.mark.parametrize("name", IDS, ids=range(len(IDS)))
@pytest.mark.parametrize("operation", ["delete_protection_group", "apply_launch_configs", "rollback"])
def test_an_id_is_a_name_and_nothing_else(doors: Doors, operation: str, name: str) -> None:
    """Not a path, a query, a header or a key of a table: it is refused, or names no group; nothing is written."""
    doors.aws.control("DELETE", "calls")
    more = {"toRun": 1} if operation == "rollback" else {}
    answer = doors.ask_directly({"operation": operation, "groupId": name, **more})
    assert answer.status in {400, 404}, answer.document
    assert changes(doors) == {}


def test_a_huge_body_is_not_read_to_its_end(doors: Doors) -> None:
    """Of 100 MB no more than the limit, and a piece, is taken in before it is refused."""
    taken = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1600):
            taken += 1
            yield b"[" * 65_536

    answer = doors.function.run(
        doors.http.post("/protection-groups", content=flood(), headers={"Content-Type": "application/json"})
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert taken == 17


DEEP = ('{"groupIds": ' + "[" * 100_000, '{"operation": "get_wave", "body": ' + '{"a": ' * 100_000)


@pytest.mark.parametrize("text", DEEP, ids=["http", "message"])
def test_json_nested_too_deeply_is_refused_in_words(doors: Doors, text: str) -> None:
    """Neither a crash nor a message that comes again for ever."""
    headers = {"Content-Type": "application/json"}
    answer = doors.function.run(doors.http.post("/waves", content=text.encode(), headers=headers))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    doors.take("requests-dlq")
    record = {**doors.make_record({}), "body": text}
    assert doors.function.handle({"Records": [record]}, make_context("requests")) == {"batchItemFailures": []}
    (letter,) = doors.take("requests-dlq")
    assert "no JSON" in letter["MessageAttributes"]["reason"]["StringValue"]


FORGED: Mapping[str, Callable[[Doors], object]] = {
    "a worker's job of another stack": lambda doors: encode_job(
        APPLY_ACTOR, "jobs", {"groupId": group_id(doors), "sourceServerId": "s-1a2b3c4d5e6f7a8b9"}
    ),
    "an answer elsewhere": lambda doors: {
        "operation": "list_protection_groups",
        "replyTo": f"{doors.settings.stack}-jobs",
    },
    "an answer to the jobs of a stack that is called as replies are": lambda doors: {
        "operation": "list_protection_groups",
        "replyTo": f"{doors.settings.stack}-replies-x-jobs",
    },
    "an answer to another stack": lambda _: {"operation": "list_protection_groups", "replyTo": "other-replies"},
    "an answer to an address": lambda _: {
        "operation": "list_protection_groups",
        "replyTo": "https://sqs.us-east-1.amazonaws.com/999999999999/prelaunch-replies",
    },
    "an operation of Python's": lambda _: {"operation": "__class__"},
}


@pytest.mark.parametrize("attack", FORGED)
def test_a_forged_message_does_nothing(doors: Doors, attack: str) -> None:
    """It is a dead letter with the reason; nothing is stored, sent or answered."""
    message = FORGED[attack](doors)
    # The first refusal of a stack makes the key that reasons are sealed with.
    doors.function.handle({"Records": [doors.make_record({"operation": "nothing"})]}, make_context("requests"))
    for queue in ("requests-dlq", "jobs"):
        doors.take(queue)
    doors.aws.control("DELETE", "calls")
    assert doors.function.handle({"Records": [doors.make_record(message)]}, make_context("requests")) == {
        "batchItemFailures": []
    }
    assert {name: count for name, count in changes(doors).items() if not name.startswith("sqs.")} == {}
    assert doors.count("jobs") == 0
    (letter,) = doors.take("requests-dlq")
    assert letter["MessageAttributes"]["reason"]["StringValue"]


@pytest.mark.parametrize("door", DOORS)
def test_secrets_stand_in_no_log_and_no_answer(doors: Doors, door: str) -> None:
    """The external id and the token of a task: stored or refused, they are repeated nowhere."""
    with structlog.testing.capture_logs() as logs:
        good = {**body(doors), "externalId": SECRET, "accountId": "123456789012", "assumeRoleName": "dr"}
        wrong: tuple[dict[str, object], ...] = (
            {},
            {"externalId": [SECRET]},
            {"region": "moon"},
            {"launchConfig": {"instanceType": 1}},
        )
        asked = [{"operation": "create_protection_group", **good, **each} for each in wrong]
        groups: tuple[object, ...] = ([group_id(doors)], ["pg-0"], "pg-0")
        asked += [{"operation": "start_wave_recovery", "taskToken": SECRET, "groupIds": each} for each in groups]
        said = [DOORS[door](doors, each) for each in asked]
    assert {answer.status for answer in said} > {202, 400}
    assert SECRET not in json.dumps([logs, [answer.document for answer in said]], default=str)


@pytest.mark.parametrize("door", ["invocation", "message"])
def test_a_request_that_is_text_is_not_repeated(doors: Doors, door: str) -> None:
    """JSON within JSON, as events of API Gateway have it: what was to be stored may be all that stands there."""
    doors.take("requests-dlq")
    request = {"operation": "create_protection_group", "body": json.dumps({"externalId": SECRET, "taskToken": SECRET})}
    with structlog.testing.capture_logs() as logs:
        answer = DOORS[door](doors, request)
        letters = doors.ask_http({"operation": "list_dead_letters"})
    assert answer.status == 400
    assert "give the JSON itself" in answer.document["errors"][0]["message"]
    assert SECRET not in json.dumps([logs, answer.document, letters.document], default=str)
