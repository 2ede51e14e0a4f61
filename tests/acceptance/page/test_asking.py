"""What a reader asks for is what is done: all of it, once, and nothing that he did not mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.acceptance.page.reader import Reader
from workers.core.contract import WAVE_ACTOR

pytestmark = pytest.mark.xdist_group("page")


def open_wave(reader: Reader, name: str, **changes: Any) -> None:
    """Create a group, and ask for a wave over it."""
    group = reader.stack.create(name, 1, **changes)
    reader.open(f"#/groups/{group['groupId']}")
    reader.button("Start a wave…").click()


def hold_posts(reader: Reader) -> list[Route]:
    """Let requests to start a wave wait; answer those that do."""
    held: list[Route] = []
    reader.page.route(
        f"{reader.stack.url}/waves",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    return held


def test_several_groups_are_applied_each_of_them(reader: Reader) -> None:
    """Each by a request of its own: none is taken for a repetition of another."""
    groups = [reader.stack.create(f"several {number}", 2, failing=1) for number in (1, 2)]
    reader.stack.aws.control("PUT", "faults", [])
    reader.open()
    for number in (1, 2):
        reader.page.get_by_label(f"Choose several {number}").check()
    reader.button("Apply…").click()
    reader.act.click()
    expect(reader.dialog).to_have_count(0)
    for group in groups:
        assert reader.stack.settle(group["groupId"])["status"] == "ready"


def test_groups_that_are_chosen_and_not_shown_are_counted(reader: Reader) -> None:
    """Whoever looks for others must know that these are meant too."""
    for name in ("meant", "unseen"):
        reader.stack.create(name, 1)
    reader.open()
    for name in ("meant", "unseen"):
        reader.page.get_by_label(f"Choose {name}").check()
    reader.page.get_by_label("Search").fill("meant")
    expect(reader.page.locator("main")).to_contain_text("2 groups chosen, 1 of them not shown.")


def test_a_recovery_among_dead_letters_is_asked_for_by_itself(reader: Reader) -> None:
    """It is never among others; the button says that it is in earnest."""
    group = reader.stack.create("buried", 1)
    asked = {"groupIds": [group["groupId"]], "isDrill": False}
    wave_id = reader.stack.api.post("/waves", json=asked).json()["waveId"]
    reader.stack.bury_job(WAVE_ACTOR, "jobs-urgent", {"waveId": wave_id}, "KeyError: 'wave'")
    reader.stack.bury(group["groupId"], group["sourceServerIds"][0], "KeyError: 'apply'")
    reader.open("#/dead-letters")
    expect(reader.row("KeyError: 'wave'")).to_have_count(1)
    reader.button("Do 1 letter again…").click()
    reader.act.click()
    expect(reader.row("KeyError: 'apply'")).to_have_count(0)
    expect(reader.dialog).to_have_count(0)
    reader.row("KeyError: 'wave'").get_by_role("button").click()
    expect(reader.dialog).to_contain_text(wave_id)
    expect(reader.act).to_have_text("Go on with the RECOVERY")
    reader.act.click()
    expect(reader.page.locator("main")).to_contain_text("There are none.")


def test_a_wave_over_a_group_without_launch_config_says_that_it_launches_it(reader: Reader) -> None:
    """Nobody counted its source servers, and all of them are launched."""
    open_wave(reader, "bare", launchConfig={})
    expect(reader.dialog).to_contain_text("all source servers of 1 group without launch config")
    expect(reader.dialog).not_to_contain_text("0 source servers")


def test_what_was_verified_long_ago_is_not_said_to_start_at_once(reader: Reader) -> None:
    """For a wave it is not ready after a day."""
    group = reader.stack.create("long ago", 1)
    reader.open(f"#/groups/{group['groupId']}")
    expect(reader.page.locator("dl")).to_contain_text("1 ready")
    reader.button("Start a wave…").click()
    expect(reader.dialog).to_contain_text("they start at once")
    reader.button("Cancel").click()
    # Its status as it would read if nothing looked at it for a day.
    verified_at = (datetime.now(UTC) - timedelta(hours=25)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def grow_old(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "verifiedAt": verified_at})

    reader.page.route("**/launch-config-status?*", grow_old)
    expect(reader.page.locator("dl")).to_contain_text("25 h ago")
    reader.button("Start a wave…").click()
    expect(reader.dialog).to_contain_text("The last read-back of 1 group is more than a day ago")
    expect(reader.dialog).not_to_contain_text("at once.")


def test_nobody_leaves_what_is_on_its_way(reader: Reader) -> None:
    """Cancelled it would look as if it was not done; what became of it is told."""
    reader.open("#/waves")
    open_wave(reader, "on its way")
    held = hold_posts(reader)
    with reader.page.expect_request(lambda request: request.method == "POST"):
        reader.act.click()
    expect(reader.dialog.get_by_role("status")).to_have_text("Waiting for the answer …")
    for _ in range(2):
        reader.page.keyboard.press("Escape")
    reader.page.go_back()
    expect(reader.dialog).to_be_visible()
    expect(reader.act).to_be_disabled()
    (route,) = held
    route.fulfill(status=503, json={"detail": "The tables do not answer."})
    expect(reader.dialog.get_by_role("alert")).to_contain_text("The tables do not answer.")
    expect(reader.act).to_be_focused()
    reader.button("Cancel").click()
    expect(reader.dialog).to_have_count(0)


def test_a_question_goes_with_what_it_was_asked_beside(reader: Reader) -> None:
    """Over another view nobody could tell what it is about."""
    reader.open("#/waves")
    open_wave(reader, "gone back")
    expect(reader.dialog).to_be_visible()
    reader.page.go_back()
    expect(reader.page.locator("h1")).to_have_text("Waves")
    expect(reader.dialog).to_have_count(0)


def test_what_was_asked_for_keeps_its_name(reader: Reader) -> None:
    """Also if something else was chosen in between: a wave whose answer was lost is not started twice."""
    open_wave(reader, "in between")
    names = reader.lose_answers("waves")
    for kind in ("Drill: instances", "Recovery: in earnest", "Drill: instances"):
        reader.page.get_by_label(kind).check()
        reader.act.click()
        expect(reader.act).to_be_enabled()
    assert names[0] == names[2] != names[1]


def test_a_key_that_is_held_down_starts_nothing(reader: Reader) -> None:
    """It opens the question, and does not answer it."""
    group = reader.stack.create("held down", 1)
    reader.open(f"#/groups/{group['groupId']}")
    held = hold_posts(reader)
    reader.button("Start a wave…").focus()
    for _ in range(3):
        reader.page.keyboard.down("Enter")
    reader.page.keyboard.up("Enter")
    expect(reader.dialog).to_be_visible()
    assert reader.act.is_enabled()
    assert held == []


def test_a_recovery_takes_its_own_button(reader: Reader) -> None:
    """Enter beside it starts none; on the button it does."""
    open_wave(reader, "in earnest")
    held = hold_posts(reader)
    recovery = reader.page.get_by_label("Recovery: in earnest")
    recovery.check()
    recovery.press("Enter")
    assert reader.act.is_enabled()
    with reader.page.expect_request(lambda request: request.method == "POST"):
        reader.act.press("Enter")
    (route,) = held
    assert '"isDrill":false' in (route.request.post_data or "")
    route.fulfill(status=503, json={"detail": "not today"})
    expect(reader.dialog.get_by_role("alert")).to_contain_text("not today")


def test_the_second_half_of_a_double_click_starts_nothing(reader: Reader) -> None:
    """It was meant for the button that opened the question."""
    open_wave(reader, "twice")
    held = hold_posts(reader)
    reader.act.hover()
    reader.page.mouse.down(click_count=2)
    reader.page.mouse.up(click_count=2)
    assert reader.act.is_enabled()
    assert held == []


def test_an_answer_of_somebody_else_is_none(reader: Reader) -> None:
    """A proxy's page with status 200 does not say what became of a wave."""
    open_wave(reader, "proxied")
    theirs = {"status": 200, "content_type": "text/html", "body": "<p>Sign in"}
    reader.page.route(f"{reader.stack.url}/waves", lambda route: route.fulfill(**theirs))
    reader.act.click()
    told = reader.dialog.get_by_role("alert")
    expect(told).to_contain_text("Something that is not prelaunch answered 200, without JSON.")
    expect(told).to_contain_text("may have had its effect all the same")


def test_a_group_that_a_wave_has_is_not_said_to_start_at_once(reader: Reader) -> None:
    """The API refuses it until that wave is over."""
    group = reader.stack.create("taken", 1)
    reader.stack.aws.control("PUT", "jobs", {"seconds": 3600})
    try:
        reader.stack.api.post("/waves", json={"groupIds": [group["groupId"]]}).raise_for_status()
        reader.open(f"#/groups/{group['groupId']}")
        reader.button("Start a wave…").click()
        expect(reader.dialog).to_contain_text("1 group is in a wave already.")
        expect(reader.dialog).not_to_contain_text("they start at once")
    finally:
        reader.stack.aws.control("PUT", "jobs", {"seconds": 60})
