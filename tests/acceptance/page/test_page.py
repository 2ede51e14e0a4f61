"""The page at work: what a reader sees is what the API says, and what he does is done once."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.acceptance.page.reader import Reader

pytestmark = pytest.mark.xdist_group("page")


def test_it_shows_where_every_group_stands_and_why_a_source_server_failed(reader: Reader) -> None:
    """Names are texts, whatever they hold; the failed source server comes first, with AWS's reason and request id."""
    markup = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    group = reader.stack.create(markup, 3, failing=1)
    failed = group["sourceServerIds"][0]
    reader.open()
    row = reader.row(markup)
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("2 ready, 1 failed")
    expect(row).to_contain_text("123456789012 us-east-1")
    row.get_by_role("link", name=markup).click()
    expect(reader.page.locator("h1")).to_have_text(f"Group {markup}")
    expect(reader.page.locator("tbody tr")).to_have_count(1)
    (error,) = reader.stack.settle(group["groupId"])["errors"]
    told = reader.row(failed)
    for text in (error["code"], error["message"], error["operation"], error["requestId"], "attempt 1"):
        expect(told).to_contain_text(text)
    reader.page.get_by_label("Which source servers").select_option("all")
    expect(reader.page.locator("tbody tr")).to_have_count(3)


def test_what_failed_is_applied_again_and_seen_to_be_ready(reader: Reader) -> None:
    """The page follows the run by itself; only what had failed is on its list."""
    group = reader.stack.create("again", 3, failing=2)
    reader.open(f"#/groups/{group['groupId']}")
    expect(reader.page.locator("dl")).to_contain_text("1 ready, 2 failed")
    reader.stack.aws.control("PUT", "faults", [])
    reader.button("Apply what has failed…").click()
    expect(reader.dialog).to_contain_text("Apply again")
    reader.act.click()
    expect(reader.page.locator("dl")).to_contain_text("3 ready")
    expect(reader.page.locator("dl")).not_to_contain_text("failed")
    runs = reader.stack.get(f"/protection-groups/{group['groupId']}/apply-runs")["applyRuns"]
    assert [run["listedServers"] for run in runs] == [2, 3]


def test_a_wave_is_a_drill_unless_somebody_says_otherwise(reader: Reader) -> None:
    """What is chosen stands on the button; the page then shows the wave, its jobs and what is not recovered."""
    good = reader.stack.create("drilled one", 2)
    bad = reader.stack.create("drilled two", 2, failing=1)
    reader.open()
    for name in ("drilled one", "drilled two"):
        reader.page.get_by_label(f"Choose {name}").check()
    reader.button("Start a wave…").click()
    expect(reader.dialog).to_contain_text("1 source server of these is not ready")
    expect(reader.act).to_have_text("Start a drill of 2 groups, 4 source servers")
    reader.page.get_by_label("Recovery: in earnest").check()
    expect(reader.act).to_have_text("Start the RECOVERY of 2 groups, 4 source servers")
    reader.page.get_by_label("Drill: instances").check()
    reader.page.get_by_label("What is not ready").select_option("skip")
    reader.act.click()
    expect(reader.page.locator("dl")).to_contain_text("started")
    wave_id = reader.page.url.rpartition("/")[2]
    wave = reader.stack.get(f"/waves/{wave_id}")
    assert (wave["isDrill"], wave["onNotReady"], wave["verify"]) == (True, "skip", "stored")
    assert {each["groupId"] for each in wave["groups"]} == {good["groupId"], bad["groupId"]}
    expect(reader.page.locator("dl")).to_contain_text("3 source servers")
    expect(reader.row("NOT_READY", bad["sourceServerIds"][0])).to_have_count(1)
    for job in wave["jobs"]:
        expect(reader.row(job["jobId"])).to_have_count(1)
    reader.page.get_by_role("link", name="Waves").click()
    expect(reader.row(wave_id, "drill")).to_have_count(1)


def test_a_recovery_whose_answer_was_lost_is_started_once(reader: Reader) -> None:
    """Whoever repeats it in the same dialog asks by the same name; what he changes is another request."""
    group = reader.stack.create("lost", 1)
    before = len(reader.stack.get("/waves")["waves"])
    reader.open(f"#/groups/{group['groupId']}")
    reader.button("Start a wave…").click()
    reader.page.get_by_label("Recovery: in earnest").check()
    names = reader.lose_answers("waves")
    reader.act.click()
    expect(reader.dialog.get_by_role("alert")).to_contain_text("may have had its effect all the same")
    assert len(reader.stack.get("/waves")["waves"]) == before + 1
    reader.page.unroute(f"{reader.stack.url}/waves")
    with reader.page.expect_request(lambda request: request.method == "POST") as repeated:
        reader.act.click()
    expect(reader.page.locator("h1")).to_contain_text("Wave")
    assert repeated.value.headers["idempotency-key"] == names[0] != ""
    waves = reader.stack.get("/waves")["waves"]
    assert len(waves) == before + 1
    assert waves[0]["isDrill"] is False


def test_a_changed_question_is_another_request(reader: Reader) -> None:
    """A name that was used for a drill is not used for a recovery: the API would refuse it."""
    group = reader.stack.create("changed", 1)
    reader.open(f"#/groups/{group['groupId']}")
    reader.button("Start a wave…").click()
    names = reader.lose_answers("waves")
    reader.act.click()
    expect(reader.dialog.get_by_role("alert")).to_contain_text("repeat it here")
    reader.page.get_by_label("Recovery: in earnest").check()
    reader.act.click()
    expect(reader.act).to_be_enabled()
    reader.page.wait_for_function("() => document.querySelector('dialog [role=alert] p') !== null")
    assert len(names) == 2
    assert names[0] != names[1]


def test_a_refusal_is_told_in_full_and_the_question_stays(reader: Reader) -> None:
    """Each source server that keeps the wave from being started is named; nothing was started."""
    group = reader.stack.create("refused", 3, failing=2)
    before = len(reader.stack.get("/waves")["waves"])
    reader.open(f"#/groups/{group['groupId']}")
    reader.button("Start a wave…").click()
    reader.page.get_by_label("What is not ready").select_option("fail")
    reader.act.click()
    told = reader.dialog.get_by_role("alert")
    for server_id in group["sourceServerIds"][:2]:
        expect(told).to_contain_text(server_id)
    expect(told).to_contain_text("NOT_READY, request req-")
    assert len(reader.stack.get("/waves")["waves"]) == before
    reader.button("Cancel").click()
    expect(reader.dialog).to_have_count(0)


def test_what_is_shown_is_never_said_to_be_newer_than_it_is(reader: Reader) -> None:
    """While the API does not answer the page says so, and of when that is which it shows; then it goes on by itself."""
    reader.stack.create("cut off", 1)
    reader.open()
    expect(reader.row("cut off")).to_have_count(1)
    mend = reader.cut_off()
    trouble = reader.page.locator("#trouble")
    expect(trouble).to_contain_text("prelaunch did not answer")
    expect(trouble).to_contain_text("What is shown is of")
    expect(reader.row("cut off")).to_have_count(1)
    mend()
    expect(trouble).to_be_hidden()


def test_a_group_that_is_not_there_is_said(reader: Reader) -> None:
    """With the API's own words."""
    reader.open("#/groups/pg-0000000000000000")
    expect(reader.page.locator("#trouble")).to_contain_text("pg-0000000000000000")


def test_what_somebody_selects_stays_while_nothing_changes(reader: Reader) -> None:
    """A reader who copies a request id is not interrupted by the next look at the same."""
    group = reader.stack.create("selected", 1, failing=1)
    reader.open(f"#/groups/{group['groupId']}")
    cell = reader.row(group["sourceServerIds"][0])
    expect(cell).to_have_count(1)
    cell.evaluate("row => getSelection().selectAllChildren(row)")
    with reader.page.expect_response(lambda answer: "launch-config-status" in answer.url):
        pass
    reader.page.evaluate("() => new Promise(requestAnimationFrame)")
    selected = reader.page.evaluate("getSelection().toString()")
    assert group["sourceServerIds"][0] in selected
    assert "AWS request" in selected


def test_pages_are_of_one_generation(reader: Reader) -> None:
    """Where a group changes while somebody turns its pages, it begins anew with the first one."""
    group = reader.stack.create("paged", 101)
    reader.open(f"#/groups/{group['groupId']}")
    rows = reader.page.locator("tbody tr")
    expect(rows).to_have_count(100)
    reader.button("Next page").click()
    expect(rows).to_have_count(1)
    reader.stack.api.post(f"/protection-groups/{group['groupId']}/apply-launch-configs", json={"force": True})
    expect(rows).to_have_count(100)
    expect(reader.page.locator("#trouble")).to_be_hidden()


def test_the_plan_is_read_when_somebody_asks(reader: Reader) -> None:
    """Field by field, observed and desired, of what is not as it is wanted; nothing is written."""
    group = reader.stack.create("planned", 2, failing=1)
    reader.open(f"#/groups/{group['groupId']}/plan")
    reader.button("Read DRS and EC2 now").click()
    row = reader.row(group["sourceServerIds"][0])
    expect(row).to_contain_text("drs.UpdateLaunchConfiguration")
    expect(row).to_contain_text('targetInstanceTypeRightSizingMethod "BASIC" → "NONE"')
    expect(reader.page.locator("section")).to_contain_text("1 of 2 are as they are wanted.")


def test_history_says_what_changed_and_leads_back(reader: Reader) -> None:
    """Who asked, through which door, what changed from what to what; going back is a run of its own."""
    group = reader.stack.create("old", 1)
    where = f"/protection-groups/{group['groupId']}"
    changed = {**group, "launchConfig": {**group["launchConfig"], "monitoring": False}}
    for name in ("groupId", "accountId", "createdAt", "updatedAt", "launchConfigStatus"):
        changed.pop(name)
    answer = reader.stack.api.put(where, json=changed)
    assert answer.status_code == 200, answer.text
    reader.stack.settle(group["groupId"])
    reader.open(f"#/groups/{group['groupId']}/history")
    rows = reader.page.locator("section tbody tr")
    expect(rows).to_have_count(2)
    rows.first.get_by_text("What it changed").click()
    expect(reader.page.locator("section")).to_contain_text("monitoring true → false")
    rows.nth(1).get_by_text("Go back to it…").click()
    reader.act.click()
    expect(reader.dialog).to_have_count(0)
    reader.stack.settle(group["groupId"])
    assert reader.stack.get(where)["launchConfig"]["monitoring"] is True


def test_dead_letters_are_shown_with_their_reason_and_done_again(reader: Reader) -> None:
    """What can be done again is, by one run of its group; what cannot says why, and stays."""
    group = reader.stack.create("dead", 1, failing=1)
    reader.stack.aws.control("PUT", "faults", [])
    reader.stack.bury(group["groupId"], group["sourceServerIds"][0], "KeyError: 'x'")
    reader.stack.bury("pg-0000000000000000", "s-00000000000000000", "gone")
    reader.open("#/dead-letters")
    for server_id, reason in ((group["sourceServerIds"][0], "KeyError: 'x'"), ("s-00000000000000000", "gone")):
        expect(reader.row(server_id)).to_contain_text(reason)
    reader.button("Do 2 letters again…").click()
    reader.act.click()
    expect(reader.dialog.get_by_role("alert")).to_contain_text("1 letter of 2 stayed")
    reader.button("Cancel").click()
    expect(reader.page.locator("tbody tr")).to_have_count(1)
    expect(reader.row("s-00000000000000000")).to_have_count(1)
    assert reader.stack.settle(group["groupId"])["status"] == "ready"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_from_using_it(reader: Reader, scheme: Literal["light", "dark"]) -> None:
    """Every view, by day and by night: names, roles and contrast are as WCAG 2.1 AA asks them."""
    group = reader.stack.create(f"usable by {scheme}", 2, failing=1)
    reader.page.emulate_media(color_scheme=scheme)
    where = f"#/groups/{group['groupId']}"
    for view in ("#/groups", where, f"{where}/plan", f"{where}/history", f"{where}/definition", "#/dead-letters"):
        reader.open(view)
        expect(reader.page.locator("#as-of")).to_contain_text("as of")
        assert reader.find_barriers() == [], view
    reader.open(where)
    reader.button("Start a wave…").click()
    assert reader.find_barriers() == []
    reader.act.click()
    expect(reader.page.locator("dl")).to_contain_text("started")
    assert reader.find_barriers() == []
    reader.open("#/waves")
    expect(reader.page.locator("tbody tr").first).to_be_visible()
    assert reader.find_barriers() == []


def test_long_names_hide_nothing_on_a_narrow_window(reader: Reader) -> None:
    """A telephone at night: the page is no wider than the window, nor is a question, with both of its buttons."""
    group = reader.stack.create("narrow" + "x" * 120, 1, failing=1, description="y" * 200)
    reader.page.set_viewport_size({"width": 400, "height": 800})
    for view in ("", "/plan", "/history", "/definition"):
        reader.open(f"#/groups/{group['groupId']}{view}")
        expect(reader.page.locator("#as-of")).to_contain_text("as of")
        assert reader.page.evaluate("document.documentElement.scrollWidth") == 400, view
    reader.button("Start a wave…").click()
    for button in (reader.button("Cancel"), reader.act):
        box = button.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 400
    assert reader.dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


def test_ages_go_by_the_doors_clock(reader: Reader) -> None:
    """A machine whose clock is days fast does not show what was just verified as old."""
    reader.stack.create("clocked", 1)
    reader.page.clock.set_system_time(datetime.now(UTC) + timedelta(days=3))
    reader.open()
    row = reader.row("clocked")
    expect(row).to_contain_text(re.compile(r"UTC, \d+ (s|min) ago"))
    expect(row).not_to_contain_text(" d ago")
    assert datetime.now(UTC).strftime("as of %H:") in reader.page.locator("#as-of").inner_text()


def test_older_waves_are_shown_when_somebody_asks(reader: Reader) -> None:
    """Fifty first, then as many more; where there are no older ones nothing offers them."""
    waves = [make_wave(number) for number in range(60)]

    def answer(route: Route) -> None:
        limit = int(parse_qs(urlsplit(route.request.url).query)["limit"][0])
        more = {"nextToken": "older"} if limit < len(waves) else {}
        route.fulfill(json={"waves": waves[:limit], **more})

    reader.page.route("**/waves?*", answer)
    reader.open("#/waves")
    expect(reader.page.locator("tbody tr")).to_have_count(50)
    reader.button("Show older ones").click()
    expect(reader.page.locator("tbody tr")).to_have_count(60)
    expect(reader.button("Show older ones")).to_have_count(0)


def make_wave(number: int) -> dict[str, object]:
    """Make a wave as a list has it."""
    at = "2026-03-01T03:00:00Z"
    times = {"acceptedAt": at, "startedAt": at, "deadline": None}
    choices = {"isDrill": True, "onNotReady": "apply", "verify": "stored"}
    return {
        "waveId": f"wave-{number}",
        "status": "finished",
        "waitingFor": None,
        "requestedBy": "ada",
        **times,
        **choices,
    }
