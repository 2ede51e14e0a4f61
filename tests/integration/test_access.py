"""Tokens against a real user pool's keys: what proves who asks, and what proves nothing."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import structlog

from producer.access import Access, Principal, Role, Unauthenticated
from producer.pool_keys import COOLDOWN, KEYS_KEPT, KEYS_LIVE, PoolKeys
from tests.fakes.user_pool import AUDIENCE, UserPool, make_key, user_pool
from workers.core.errors import ServiceUnavailable


@pytest.fixture(scope="module")
def running_pool() -> Iterator[UserPool]:
    with user_pool() as pool:
        yield pool


@pytest.fixture
def pool(running_pool: UserPool) -> UserPool:
    """The pool, up, with its first key alone."""
    running_pool.keys = {"first": running_pool.keys["first"]}
    running_pool.fetched, running_pool.down = 0, False
    return running_pool


@pytest.fixture
def access(pool: UserPool) -> Iterator[Access]:
    opened = Access(pool.issuer, AUDIENCE)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["reader"], Role.READER),
        (["operator"], Role.OPERATOR),
        (["admin"], Role.ADMIN),
        (["others", "reader", "admin", "operator"], Role.ADMIN),
        (["others"], None),
        ([], None),
    ],
)
async def test_a_role_is_a_group_of_the_pool(
    pool: UserPool, access: Access, groups: list[str], role: Role | None
) -> None:
    """The highest role among the token's groups counts; other groups are none."""
    found = await access.authenticate(pool.sign(pool.claims(*groups)))
    assert found == Principal("ada", role)


async def test_an_id_token_is_as_good_as_an_access_token(pool: UserPool, access: Access) -> None:
    """An ID token names the app client in aud, an access token in client_id; each has its own claim for the name."""
    claims = pool.claims("reader", token_use="id", client_id=None, username=None, aud=AUDIENCE)
    named = {**claims, "cognito:username": "grace"}
    assert (await access.authenticate(pool.sign(named))).name == "grace"
    assert (await access.authenticate(pool.sign(claims))).name == claims["sub"]


async def test_groups_that_are_no_list_are_no_role(pool: UserPool, access: Access) -> None:
    """A claim of another shape than Cognito's gives no rights, and breaks nothing."""
    for odd in ("admin", {"admin": True}, 3, None, ["Admin"], ["adm\u0131n"], [["admin"]]):
        token = pool.sign({**pool.claims(), "cognito:groups": odd})
        assert (await access.authenticate(token)).role is None


def hmac_token(claims: dict[str, Any], secret: bytes) -> str:
    """Sign with HS256 and any secret, which PyJWT itself refuses to do with a public key."""

    def encode(part: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")

    signed = encode({"alg": "HS256", "typ": "JWT", "kid": "first"}) + b"." + encode(claims)
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()


def wrong_tokens(pool: UserPool) -> dict[str, str]:
    good = pool.claims("admin")
    now = int(time.time())
    whole = pool.sign(good)
    head, body, signature = whole.split(".")
    other_body = pool.sign(pool.claims("admin", username="eve")).split(".")[1]
    return {
        "no token": "x",
        "parts of no token": "a.b.c",
        "nothing signed": f"{head}.{body}.",
        "another body": f"{head}.{other_body}.{signature}",
        "algorithm none": jwt.encode(good, "", algorithm="none", headers={"kid": "first"}),
        "HS256 with the public key": hmac_token(good, pool.public_pem()),
        "HS256 with no secret": hmac_token(good, b""),
        "RS384": jwt.encode(good, pool.keys["first"], algorithm="RS384", headers={"kid": "first"}),
        "no key id": jwt.encode(good, pool.keys["first"], algorithm="RS256"),
        "a key of somebody else's": pool.sign(good, key=make_key()),
        "expired": pool.sign(pool.claims("admin", exp=now - 60)),
        "no end": pool.sign(pool.claims("admin", exp=None)),
        "not yet": pool.sign(pool.claims("admin", nbf=now + 3600)),
        "another issuer": pool.sign(pool.claims("admin", iss=f"{pool.issuer}/other")),
        "no issuer": pool.sign(pool.claims("admin", iss=None)),
        "another application": pool.sign(pool.claims("admin", client_id="another")),
        "no application": pool.sign(pool.claims("admin", client_id=None)),
        "aud in an access token": pool.sign(pool.claims("admin", client_id=None, aud=AUDIENCE)),
        "client_id in an ID token": pool.sign(pool.claims("admin", token_use="id")),
        "another kind": pool.sign(pool.claims("admin", token_use="refresh")),
        "no kind": pool.sign(pool.claims("admin", token_use=None)),
        "nobody": pool.sign(pool.claims("admin", sub=None)),
    }


async def test_what_proves_nothing_is_refused(pool: UserPool, access: Access) -> None:
    """Whatever is wrong with a token, whoever sent it is nobody; the reason holds nothing of the token."""
    for name, token in wrong_tokens(pool).items():
        with pytest.raises(Unauthenticated) as refused:
            await access.authenticate(token)
        assert refused.value.detail, name
        assert "eve" not in refused.value.detail
    assert pool.fetched <= 1


async def test_a_token_that_can_never_be_right_costs_the_pool_nothing(pool: UserPool, access: Access) -> None:
    """Anybody can send them, as fast as he likes: no key is fetched for what no key could prove."""
    tokens = wrong_tokens(pool)
    for name in ("no token", "parts of no token", "algorithm none", "HS256 with no secret", "RS384", "no key id"):
        with pytest.raises(Unauthenticated):
            await access.authenticate(tokens[name])
    assert pool.fetched == 0


async def test_keys_are_fetched_once_and_again_when_one_is_new(pool: UserPool) -> None:
    """Keys are remembered; a token of a rotated key makes them be fetched anew, and is good then."""
    access = Access(pool.issuer, AUDIENCE, PoolKeys(pool.issuer, cooldown=timedelta(0)))
    for _ in range(3):
        await access.authenticate(pool.sign(pool.claims("reader")))
    assert pool.fetched == 1
    pool.keys["second"] = make_key()
    for _ in range(2):
        assert (await access.authenticate(pool.sign(pool.claims("reader"), "second"))).role is Role.READER
    assert pool.fetched == 2
    access.close()


async def test_unknown_keys_do_not_make_us_fetch_again_and_again(pool: UserPool, access: Access) -> None:
    """Anybody can name keys that are not there: that costs the pool one request in half a minute at most."""
    await access.authenticate(pool.sign(pool.claims("reader")))
    stranger = make_key()
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await access.authenticate(pool.sign(pool.claims("admin"), f"unknown-{number}", stranger))
    assert pool.fetched == 1


async def test_a_withdrawn_key_opens_nothing(pool: UserPool) -> None:
    """A key that the pool no longer publishes is refused by whoever fetches the keys."""
    leaked = pool.keys.pop("first")
    pool.keys = {"second": make_key()}
    access = Access(pool.issuer, AUDIENCE)
    try:
        with pytest.raises(Unauthenticated):
            await access.authenticate(pool.sign(pool.claims("admin"), "first", leaked))
    finally:
        access.close()
        pool.keys = {"first": leaked}


async def test_keys_that_cannot_be_fetched_refuse_nobody(pool: UserPool, access: Access) -> None:
    """Without the pool's keys nobody can be told apart: that is no fault of the caller's, and passes."""
    pool.down = True
    token = pool.sign(pool.claims("reader"))
    with pytest.raises(ServiceUnavailable):
        await access.authenticate(token)
    pool.down = False
    assert (await access.authenticate(token)).name == "ada"
    pool.down = True
    assert (await access.authenticate(token)).name == "ada"


class Stopwatch:
    """Monotonic time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by.total_seconds()


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def lasting(pool: UserPool, stopwatch: Stopwatch) -> Iterator[Access]:
    """A check whose time is moved by hand."""
    opened = Access(pool.issuer, AUDIENCE, PoolKeys(pool.issuer, monotonic=stopwatch))
    yield opened
    opened.close()


async def test_a_pool_that_is_down_shuts_nobody_out(pool: UserPool, lasting: Access, stopwatch: Stopwatch) -> None:
    """The last keys are used for a day while newer ones cannot be had; each failure is logged once, and tried again."""
    token = pool.sign(pool.claims("admin", exp=int(time.time()) + 60))
    await lasting.authenticate(token)
    pool.down = True
    stopwatch.advance(KEYS_LIVE)
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert (await lasting.authenticate(token)).role is Role.ADMIN
        assert pool.fetched == 2
        stopwatch.advance(COOLDOWN)
        for _ in range(3):
            await lasting.authenticate(token)
    assert pool.fetched == 3
    assert [(line["event"], line["log_level"]) for line in logged] == [("access.keys_not_renewed", "warning")] * 2
    stopwatch.advance(KEYS_KEPT - KEYS_LIVE - COOLDOWN - timedelta(seconds=1))
    assert (await lasting.authenticate(token)).role is Role.ADMIN
    stopwatch.advance(timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await lasting.authenticate(token)
    pool.down = False
    assert (await lasting.authenticate(token)).role is Role.ADMIN


async def test_an_answer_without_keys_is_no_answer(pool: UserPool, lasting: Access, stopwatch: Stopwatch) -> None:
    """A key set that holds nothing does not take the place of one that does."""
    token = pool.sign(pool.claims("reader"))
    await lasting.authenticate(token)
    kept, pool.keys = pool.keys, {}
    stopwatch.advance(KEYS_LIVE)
    try:
        assert (await lasting.authenticate(token)).role is Role.READER
        assert pool.fetched == 2
    finally:
        pool.keys = kept


async def test_a_key_that_nobody_can_look_up_is_not_judged(
    pool: UserPool, lasting: Access, stopwatch: Stopwatch
) -> None:
    """While the pool is down an unknown key may be its newest: that is a 503; once it answers it is a 401."""
    await lasting.authenticate(pool.sign(pool.claims("reader")))
    unknown = pool.sign(pool.claims("admin"), "unknown", make_key())
    pool.down = True
    stopwatch.advance(COOLDOWN)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            await lasting.authenticate(unknown)
    assert pool.fetched == 2
    pool.down = False
    stopwatch.advance(COOLDOWN)
    with pytest.raises(Unauthenticated):
        await lasting.authenticate(unknown)


async def test_keys_that_were_withdrawn_open_nothing_once_the_pool_answers(
    pool: UserPool, lasting: Access, stopwatch: Stopwatch
) -> None:
    """Keys are fetched again after five minutes, and what is no longer published is refused from then on."""
    token = pool.sign(pool.claims("reader"))
    await lasting.authenticate(token)
    kept, pool.keys = pool.keys, {"second": make_key()}
    try:
        stopwatch.advance(KEYS_LIVE - timedelta(seconds=1))
        await lasting.authenticate(token)
        stopwatch.advance(timedelta(seconds=1))
        with pytest.raises(Unauthenticated):
            await lasting.authenticate(token)
    finally:
        pool.keys = kept


class MeetingLock:
    """A lock that nobody takes before all have come to it."""

    def __init__(self, parties: int) -> None:
        self._lock = threading.Lock()
        self._meeting = threading.Barrier(parties)

    def acquire(self, *, blocking: bool) -> bool:
        self._meeting.wait()
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        self._lock.release()


async def test_callers_share_one_fetch(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for somebody's fetch does not repeat it, well or not: else a slow pool would hold them one by one."""
    for pool.down, expected in ((True, ServiceUnavailable), (False, Principal)):
        pool.fetched = 0
        keys = PoolKeys(pool.issuer)
        monkeypatch.setattr(keys, "_fetching", MeetingLock(4))
        access = Access(pool.issuer, AUDIENCE, keys)
        token = pool.sign(pool.claims("reader"))
        outcomes = await asyncio.gather(*(access.authenticate(token) for _ in range(4)), return_exceptions=True)
        access.close()
        assert ([type(outcome) for outcome in outcomes], pool.fetched) == ([expected] * 4, 1)
