"""What is shown is what is so: nothing is said before it is known or as newer than it is, nobody asked too often."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Request, Route, expect

from tests.acceptance.page.reader import Reader, Stack

pytestmark = pytest.mark.xdist_group("page")
COUNT_LISTENERS = """
let kept = 0;
for (const [name, one] of [["addEventListener", 1], ["removeEventListener", -1]]) {
  const own = EventTarget.prototype[name];
  EventTarget.prototype[name] = function (...given) {
    if (this instanceof AbortSignal) kept += one;
    return own.apply(this, given);
  };
}
globalThis.countListeners = () => kept;
"""


def asks_for(text: str) -> Callable[[Request], bool]:
    """Tell the requests whose address holds a text."""
    return lambda request: text in request.url


def hold(reader: Reader, pattern: str) -> list[Route]:
    """Let requests wait; answer those that do."""
    held: list[Route] = []
    reader.page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108 - it marks what it is given
    return held


def test_before_an_answer_nothing_is_said_of_it(reader: Reader) -> None:
    """A slow API is no empty one; and an answer is of when it was asked for."""
    reader.stack.create("slow", 1)
    reader.page.clock.set_fixed_time("2026-03-01T03:00:00Z")
    held = hold(reader, "**/protection-groups?*")
    with reader.page.expect_request(asks_for("/protection-groups?")):
        reader.open()
    expect(reader.page.locator("h1")).to_have_text("Protection groups")
    assert reader.page.get_by_text("There are no groups yet").count() == 0
    reader.page.clock.set_fixed_time("2026-03-01T03:00:50Z")
    held[0].continue_()
    expect(reader.row("slow")).to_have_count(1)
    expect(reader.page.locator("#as-of")).to_have_text("as of 03:00:00 UTC")


def test_an_answer_to_what_is_asked_no_more_is_not_waited_for(reader: Reader) -> None:
    """Whoever chooses others sees those, and never what he chose before under their name."""
    group = reader.stack.create("out of order", 3, failing=1)
    reader.open(f"#/groups/{group['groupId']}")
    rows = reader.page.locator("section tbody tr")
    expect(rows).to_have_count(1)
    hold(reader, "**/launch-config-status?servers=all*")
    only = reader.page.get_by_label("Which source servers")
    with reader.page.expect_request(asks_for("servers=all")):
        only.select_option("all")
    with reader.page.expect_response(lambda answer: "servers=pending" in answer.url):
        only.select_option("pending")
    expect(reader.page.locator("section")).to_contain_text("There are none.")


def test_who_asks_too_often_is_answered_later_by_itself(reader: Reader) -> None:
    """API Gateway's 429 passes: the page does not stop for it."""
    reader.stack.create("throttled", 1)
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=429, headers={"Retry-After": "1"}, json={"message": "Too Many Requests"})

    reader.page.route("**/protection-groups?*", refuse)
    reader.open()
    expect(reader.row("throttled")).to_have_count(1)
    expect(reader.page.locator("#trouble")).to_be_hidden()


def test_a_wait_that_no_browser_can_wait_is_none_of_no_time(reader: Reader) -> None:
    """A proxy's Retry-After of weeks must not become a storm of requests."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "9999999"}, json={"message": "Closed"})

    reader.page.clock.install()
    reader.page.route("**/protection-groups?*", refuse)
    reader.open()
    expect(reader.page.locator("#trouble")).to_contain_text("Closed")
    reader.page.clock.run_for(10_000)
    expect(reader.page.locator("#trouble")).to_contain_text("Closed")
    assert len(asked) == 1


def test_what_was_refused_is_asked_again_by_who_wants_it(reader: Reader) -> None:
    """A refusal that does not pass by itself is not repeated by itself, and is no end either."""
    reader.stack.create("refused once", 1)
    reader.page.route("**/protection-groups?*", lambda route: route.fulfill(status=403, json={"detail": "Not you."}))
    reader.open()
    expect(reader.page.locator("#trouble")).to_contain_text("Not you.")
    reader.page.unroute("**/protection-groups?*")
    reader.button("Try again").click()
    expect(reader.row("refused once")).to_have_count(1)


def test_a_page_that_begins_while_the_api_is_away_begins_later(reader: Reader) -> None:
    """As it would have begun: it is known then whether the API asks for tokens."""
    reader.stack.create("later", 1)
    reader.page.route("**/page/settings.json", lambda route: route.abort("connectionrefused"))
    reader.open("#/groups")
    expect(reader.page.locator("#trouble")).to_contain_text("prelaunch did not answer")
    reader.page.unroute("**/page/settings.json")
    with reader.page.expect_response("**/page/settings.json"):
        reader.button("Go on").click()
    expect(reader.row("later")).to_have_count(1)
    expect(reader.page.locator("#trouble")).to_be_hidden()


def test_a_comparison_with_aws_is_made_once_a_minute(reader: Reader) -> None:
    """Each takes a read of DRS for each source server, from what the workers have."""
    group = reader.stack.create("compared", 1)
    compared: list[str] = []
    reader.page.on("request", lambda request: compared.append(request.url) if "live=true" in request.url else None)
    reader.page.clock.install()
    reader.open(f"#/groups/{group['groupId']}")
    reader.page.get_by_label("compare with DRS and EC2").check()
    expect(reader.row("as it is wanted")).to_have_count(1)
    expect(reader.page.locator("section .tools")).to_be_visible()
    reader.page.clock.run_for(30_000)
    with reader.page.expect_response(lambda answer: "live=true" in answer.url):
        reader.page.clock.run_for(40_000)
    assert len(compared) == 2


def test_what_changes_without_a_run_is_followed_too(reader: Reader) -> None:
    """Whether drift is repaired is no launch config, and is told as it is."""
    group = reader.stack.create("described", 1)
    where = f"/protection-groups/{group['groupId']}"
    reader.page.clock.install()
    reader.open(f"#/groups/{group['groupId']}")
    expect(reader.page.locator("dl")).to_contain_text("is reported")
    changed = {**group, "autoRepair": True}
    for name in ("groupId", "createdAt", "updatedAt", "launchConfigStatus"):
        changed.pop(name)
    answer = reader.stack.api.put(where, json=changed)
    assert (answer.status_code, answer.json()["reapply"]) == (200, None), answer.text
    reader.page.clock.run_for(15_000)
    expect(reader.page.locator("dl")).to_contain_text("is repaired")


def test_a_plan_is_of_when_it_was_read(reader: Reader) -> None:
    """The page goes on reading where the group stands, and not that."""
    group = reader.stack.create("planned once", 1)
    reader.page.clock.set_fixed_time("2026-03-01T03:00:00Z")

    def say_when(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "date": "Sun, 01 Mar 2026 03:00:00 GMT"})

    reader.page.route("**/protection-groups/**", say_when)
    reader.open(f"#/groups/{group['groupId']}/plan")
    reader.button("Read DRS and EC2 now").click()
    expect(reader.page.locator("section")).to_contain_text("Read at 2026-03-01 03:00:00 UTC")


def test_of_two_runs_that_were_asked_for_the_later_is_shown(reader: Reader) -> None:
    """However late the answer about the first one is."""
    group = reader.stack.create("two runs", 1)
    where = f"/protection-groups/{group['groupId']}"
    reader.stack.api.post(f"{where}/apply-launch-configs", json={"force": True})
    reader.stack.settle(group["groupId"])
    newer, older = reader.stack.get(f"{where}/apply-runs")["applyRuns"]
    reader.open(f"#/groups/{group['groupId']}/history")
    held = hold(reader, f"**/apply-runs/{older['runId']}")
    looks = reader.page.get_by_role("button", name="What it changed")
    with reader.page.expect_request(asks_for(older["runId"])):
        looks.nth(1).click()
    looks.nth(0).click()
    title = reader.page.locator("section h2")
    expect(title).to_have_text(f"Run {newer['generation']}")
    with reader.page.expect_response(lambda answer: older["runId"] in answer.url) as late:
        held[0].continue_()
    late.value.finished()
    reader.page.evaluate("() => new Promise((done) => setTimeout(done))")
    expect(title).to_have_text(f"Run {newer['generation']}")


def test_a_link_that_was_cut_off_is_told_of(reader: Reader) -> None:
    """An address that is none shows no empty page."""
    reader.open("#/groups/%E0%A4%A")
    expect(reader.page.locator("#trouble")).to_contain_text("There is no protection group")


def test_a_view_that_is_looked_at_for_days_keeps_nothing_of_each_look(reader: Reader) -> None:
    """What waits for the reader to leave is let go after each wait."""
    reader.page.add_init_script(COUNT_LISTENERS)
    reader.open("#/dead-letters")
    expect(reader.page.locator("main")).to_contain_text("There are none.")
    for _ in range(3):
        with reader.page.expect_response(lambda answer: "/dead-letters" in answer.url):
            reader.button("Look again").click()
    # That of the wait which it is in now.
    reader.page.wait_for_function("countListeners() === 1")


def test_a_wave_is_shown_also_where_names_have_no_answer(reader: Reader) -> None:
    """How far a recovery is is what its reader came for; groups then stand there by their ids."""
    group = reader.stack.create("nameless", 1)
    wave = reader.stack.api.post("/waves", json={"groupIds": [group["groupId"]]}).json()
    reader.page.route("**/protection-groups?*", lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
    reader.open(f"#/waves/{wave['waveId']}")
    expect(reader.row(group["groupId"])).to_have_count(1)
    reader.page.unroute("**/protection-groups?*")
    expect(reader.row("nameless")).to_have_count(1)


def test_markup_is_refused_by_the_browser_itself(browser: Browser, stack: Stack) -> None:
    """What no script here does, none of a later day can do either."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(stack.url)
        put_in = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
        assert page.evaluate(put_in) == "TypeError"
    finally:
        context.close()
