"""Who reads the page: signed in at the user pool, by a token of his own, or refused; and nothing of it left behind."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Route, expect

from tests.acceptance.commands import make_environment, make_group_body, running_api
from tests.acceptance.page.hosted_pool import HostedPool, hosted_pool
from tests.acceptance.page.reader import Reader, Stack
from tests.fakes.user_pool import AUDIENCE, user_pool
from tests.forked_stand_in import StandIns

pytestmark = pytest.mark.xdist_group("page")


@dataclass(frozen=True, slots=True)
class Guarded(Stack):
    """A stack whose API asks for tokens of a pool."""

    hosted: HostedPool


@pytest.fixture(scope="module")
def stack(stand_ins: StandIns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    log = tmp_path_factory.mktemp("logs") / "api"
    with stand_ins.run() as aws, user_pool() as pool, hosted_pool(pool) as hosted:
        asked = {
            "PRELAUNCH_AUTH_ISSUER": pool.issuer,
            "PRELAUNCH_AUTH_AUDIENCE": AUDIENCE,
            "PRELAUNCH_AUTH_DOMAIN": hosted.domain,
        }
        with running_api(make_environment(aws.environment, asked), log) as api:
            body = {**make_group_body(aws, 1), "groupName": "guarded"}
            token = pool.sign(pool.claims("admin"))
            answer = api.post("/protection-groups", json=body, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 201, answer.text
            yield Guarded(aws, api, hosted)


@pytest.fixture
def hosted(stack: Guarded) -> HostedPool:
    stack.hosted.groups = ("operator",)
    stack.hosted.lives_seconds = 3600
    stack.hosted.granted.clear()
    return stack.hosted


def sign_in(reader: Reader, where: str = "") -> None:
    reader.open(where)
    expect(reader.page.locator("#trouble")).to_contain_text("Sign in to go on.")
    expect(reader.page.get_by_text("guarded")).to_have_count(0)
    reader.button("Sign in").click()


def test_who_signs_in_comes_back_to_where_he_was(reader: Reader, hosted: HostedPool) -> None:
    """By a code that only this window can use; neither code nor token stays in the address or outlives the window."""
    sign_in(reader, "#/waves")
    expect(reader.page.locator("h1")).to_have_text("Waves")
    expect(reader.page.locator("#who")).to_contain_text("ada (operator)")
    assert reader.page.url == f"{reader.stack.url}/#/waves"
    assert hosted.granted == ["authorization_code"]
    assert reader.page.evaluate("localStorage.length") == 0
    assert reader.page.evaluate("document.cookie") == ""
    reader.page.get_by_role("link", name="Protection groups").click()
    expect(reader.row("guarded")).to_have_count(1)


@pytest.mark.parametrize("begun", [None, {"verifier": "mine", "state": "mine", "hash": ""}])
def test_a_code_that_was_not_asked_for_here_signs_nobody_in(
    reader: Reader, hosted: HostedPool, begun: object | None
) -> None:
    """Another page may send somebody here with its own code: he would act as its maker, whatever was begun here."""
    reader.open()
    if begun is not None:
        reader.page.evaluate("begun => sessionStorage.setItem('prelaunch.sign-in', JSON.stringify(begun))", begun)
    reader.open("?code=theirs&state=theirs")
    expect(reader.page.locator("#trouble")).to_contain_text("Signing in was not begun here")
    assert reader.page.url.startswith(f"{reader.stack.url}/")
    assert "theirs" not in reader.page.url
    assert hosted.granted == []


def test_what_the_pool_refuses_is_said(reader: Reader, hosted: HostedPool) -> None:
    """In the pool's words, which are text."""
    reader.open("?error=access_denied&error_description=<b>User is disabled</b>")
    expect(reader.page.locator("#trouble")).to_contain_text("Signing in failed: <b>User is disabled</b>")


def test_a_token_that_ends_is_renewed_while_its_reader_looks_on(reader: Reader, hosted: HostedPool) -> None:
    """Nobody is interrupted within an hour of a disaster."""
    hosted.lives_seconds = 30
    sign_in(reader)
    expect(reader.row("guarded")).to_have_count(1)
    hosted.lives_seconds = 3600
    with reader.page.expect_response(lambda answer: "protection-groups" in answer.url) as asked:
        pass
    assert asked.value.status == 200
    assert "refresh_token" in hosted.granted


def test_who_may_not_is_told_so_and_nothing_happens(reader: Reader, hosted: HostedPool) -> None:
    """The page offers everything; the API decides, and its refusal stands where it was asked."""
    hosted.groups = ("reader",)
    sign_in(reader)
    reader.page.get_by_label("Choose guarded").check()
    reader.button("Start a wave…").click()
    reader.act.click()
    expect(reader.dialog.get_by_role("alert")).to_contain_text("FORBIDDEN, request req-")


def test_signing_out_ends_it_here_and_there(reader: Reader, hosted: HostedPool) -> None:
    """The next one at this machine is asked to sign in."""
    sign_in(reader)
    expect(reader.row("guarded")).to_have_count(1)
    before = hosted.left
    reader.button("Sign out").click()
    expect(reader.page.locator("#trouble")).to_contain_text("Sign in to go on.")
    assert hosted.left == before + 1
    assert reader.page.evaluate("sessionStorage.length") == 0


def test_a_token_that_the_api_takes_no_more_asks_to_sign_in_again(reader: Reader, hosted: HostedPool) -> None:
    """What is shown stays, with its time."""
    sign_in(reader)
    expect(reader.row("guarded")).to_have_count(1)
    forged = hosted.pool.sign(hosted.pool.claims("admin"), key_id="unknown", key=hosted.pool.keys["first"])
    reader.page.evaluate("token => sessionStorage.setItem('prelaunch.token', JSON.stringify({token}))", forged)
    expect(reader.page.locator("#trouble")).to_contain_text("What is shown is of")
    expect(reader.button("Sign in")).to_be_visible()
    expect(reader.row("guarded")).to_have_count(1)


def test_where_nobody_can_sign_in_a_token_is_asked_for(reader: Reader, hosted: HostedPool) -> None:
    """One that the pool gave out elsewhere; what is none is refused before it is sent anywhere."""
    told = {"version": "0", "asksForTokens": True, "signIn": None}
    reader.page.route("**/page/settings.json", lambda route: route.fulfill(json=told))
    reader.open()
    field = reader.page.get_by_label("A token of the user pool")
    field.fill("no token")
    reader.button("Use it").click()
    expect(reader.page.locator("#trouble")).to_contain_text("This is no token of a user pool")
    field.fill(hosted.pool.sign(hosted.pool.claims("reader")))
    reader.button("Use it").click()
    expect(reader.row("guarded")).to_have_count(1)
    expect(reader.page.locator("#who")).to_contain_text("ada (reader)")


def test_a_page_whose_settings_came_late_signs_in_as_any(reader: Reader, hosted: HostedPool) -> None:
    """What it could not read is not taken for a no: it would ask for a token that it never sends."""
    reader.page.route("**/page/settings.json", lambda route: route.fulfill(status=503))
    reader.open()
    expect(reader.page.locator("#trouble")).to_contain_text("prelaunch answered 503 for the page's settings")
    reader.page.unroute("**/page/settings.json")
    reader.button("Go on").click()
    reader.button("Sign in").click()
    expect(reader.row("guarded")).to_have_count(1)


def test_a_pool_that_is_away_for_a_moment_is_asked_again(reader: Reader, hosted: HostedPool) -> None:
    """The token that is there is still good, and its reader is not sent away for it."""
    hosted.lives_seconds = 30
    sign_in(reader)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if lost or "refresh" not in (route.request.post_data or ""):
            route.continue_()
            return
        lost.append(route.request.url)
        route.abort("connectionrefused")

    reader.page.route("**/oauth2/token", lose)
    expect(reader.row("guarded")).to_have_count(1)
    with reader.page.expect_response("**/oauth2/token"):
        pass
    assert len(lost) == 1
    assert hosted.granted[-1] == "refresh_token"


def test_a_refusal_of_an_old_token_leaves_the_new_one(reader: Reader, hosted: HostedPool) -> None:
    """One that was renewed while the request was on its way is nobody's fault."""
    sign_in(reader)
    expect(reader.row("guarded")).to_have_count(1)
    kept = reader.page.evaluate("sessionStorage.getItem('prelaunch.token')")
    newer = hosted.pool.sign(hosted.pool.claims("reader"))

    def refuse(route: Route) -> None:
        reader.page.evaluate("token => sessionStorage.setItem('prelaunch.token', JSON.stringify({token}))", newer)
        route.fulfill(status=401, json={"detail": "That one has ended."})

    reader.page.route("**/protection-groups?*", refuse)
    expect(reader.page.locator("#trouble")).to_contain_text("That one has ended.")
    assert newer in reader.page.evaluate("sessionStorage.getItem('prelaunch.token')")
    assert newer not in kept


def test_who_has_left_leaves_nothing_to_see(reader: Reader, hosted: HostedPool) -> None:
    """Also where the pool's own page does not open, or somebody goes back from it."""
    sign_in(reader)
    expect(reader.row("guarded")).to_have_count(1)
    reader.page.route("**/logout?*", lambda route: route.fulfill(status=204))
    with reader.page.expect_request("**/logout?*"):
        reader.button("Sign out").click()
    expect(reader.page.get_by_text("guarded")).to_have_count(0)
