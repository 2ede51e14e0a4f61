"""Going back to an earlier run: exactly what it was for, for those who were in it; and nothing for anybody else."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.twin.servers import NEW_TEMPLATE
from tests.faults.scenarios import BARE, CONFIG, OTHER, WIDE, A, B, C, Story
from tests.faults.test_put_back import make_wide, name, writes
from tests.faults.test_traces import instance_type, told
from workers.core.requests import NotFound
from workers.core.store.records import HISTORY_KEPT

LONG_AGO = 60.0
"""Longer than a read of EC2 may lag behind our own writes."""


def state(story: Story, server_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    servers = story.fleet.world.servers
    return servers.template_of(server_id).data, dict(servers.configurations[server_id])


def test_trace_35_a_removed_field_a_null_and_a_rollback_are_exact() -> None:
    """Removed: what was there before us. Null: emptied. Rolled back to before both: as in that run, to the digest."""

    async def story(story: Story) -> None:
        address = {"DeviceIndex": 0, "PrivateIpAddress": "10.0.0.9", "SubnetId": "subnet-0a1b2c3d4e5f67890"}
        story.fleet.world.servers.edit(A, NetworkInterfaces=[address, {"DeviceIndex": 1}])
        before = state(story, A)
        group_id = await story.create(
            "web",
            A,
            B,
            launchConfig=WIDE,
            servers=[{"sourceServerId": A, "launchConfig": {"staticPrivateIp": "10.0.0.17"}}],
        )
        await story.settle()
        then, digest = [state(story, each) for each in (A, B)], story.fleet.statuses()[group_id]["digest"]
        assert then[0][0]["NetworkInterfaces"][0]["PrivateIpAddress"] == "10.0.0.17"
        await asyncio.sleep(LONG_AGO)
        await story.define(group_id, (A, B), {"copyTags": True}, {A: {"staticPrivateIp": None}})
        await story.settle()
        data, configuration = state(story, A)
        assert data["InstanceType"] == NEW_TEMPLATE["InstanceType"]
        assert data["NetworkInterfaces"][0] == {
            name: value for name, value in address.items() if name != "PrivateIpAddress"
        }
        assert configuration == {**before[1], "copyTags": True}
        await asyncio.sleep(LONG_AGO)
        await story.roll_back(group_id, "1")
        await story.settle()
        assert [state(story, each) for each in (A, B)] == then
        assert story.fleet.statuses()[group_id]["digest"] == digest
        assert story.fleet.heads(group_id)[-1]["reason"] == "rollback to generation 1"
        await asyncio.sleep(LONG_AGO)
        # And what was there before us is known through all of it.
        await name(story, group_id, BARE)
        assert state(story, A) == before
        story.watch.check_end(story.wanted)

    told(story)


def test_members_stay_who_they_are() -> None:
    """Who joined later keeps what it has, and is named; who left is not touched; who stayed has what it had."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        await story.define(group_id, (A, C), OTHER, {C: {"instanceType": "c6i.large"}})
        await story.settle()
        left = state(story, B)
        begun = len(story.fleet.world.calls)
        went = await story.roll_back(group_id, "1")
        await story.settle()
        assert went.kept == (C,)
        assert went.updated.reapply is not None
        assert went.updated.reapply.source_server_ids == (A,)
        assert (instance_type(story, A), instance_type(story, C)) == ("m5.xlarge", "c6i.large")
        assert story.fleet.world.servers.configurations[A]["copyTags"] is True
        assert state(story, B) == left
        assert {call.request.get("sourceServerID", A) for call in writes(story, begun)} == {A}
        assert set(story.wanted[group_id]) == {A, C}
        story.watch.check_end(story.wanted)

    told(story)


def test_where_nothing_is_to_be_done_nothing_is() -> None:
    """Back to what the group is: no version, no run, the status as it was; what is under way is the answer."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        status = story.fleet.statuses()[group_id]
        went = await story.roll_back(group_id, "1")
        assert (went.updated.reapply, went.updated.head.version) == (None, 1)
        assert story.fleet.statuses()[group_id] == status
        assert len(story.fleet.heads(group_id)) == 1
        await story.define(group_id, (A, B), BARE)
        # The run of generation 2 is under way: it is what is asked for.
        went = await story.roll_back(group_id, "2")
        assert went.updated.reapply is not None
        assert went.updated.reapply.run_id == story.fleet.heads(group_id)[1]["runId"]
        assert went.updated.head.version == 2
        assert len(story.fleet.heads(group_id)) == 2
        await story.settle()
        story.watch.check_end(story.wanted)

    told(story)


def test_a_superseded_run_can_be_gone_back_to_and_twice_is_once() -> None:
    """What it was for is known, also where it never came to it; the same request again is answered as the first was."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, launchConfig=WIDE)
        await story.define(group_id, [A], OTHER)
        await story.settle()
        run_id = str(story.fleet.heads(group_id)[0]["runId"])

        async def ask() -> tuple[int, str | None]:
            went = await story.ask("once", lambda services, who: services.rollback.roll_back(group_id, run_id, who))
            return went.updated.head.version, went.updated.reapply.run_id if went.updated.reapply else None

        first = await ask()
        await story.settle()
        assert await ask() == first
        assert first == (3, story.fleet.heads(group_id)[-1]["runId"])
        assert len(story.fleet.heads(group_id)) == 3
        assert instance_type(story, A) == "m5.xlarge"

    told(story)


@pytest.mark.parametrize("to_run", ["7", "0", "9" * 64, "run-none", "-1", " "])
def test_a_run_that_is_none_of_the_group_is_not_found(to_run: str) -> None:
    """Nothing is stored."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story, A)
        await story.create("other", B)
        await story.settle()
        with pytest.raises(NotFound) as refused:
            await story.roll_back(group_id, to_run)
        assert refused.value.code == "RUN_NOT_FOUND"
        assert f"{HISTORY_KEPT.days} days" in refused.value.detail
        assert len(story.fleet.heads(group_id)) == 1

    told(story)


@pytest.mark.parametrize("gone", ["config#0000000001#0000", "head#0000000001"])
def test_a_run_whose_time_is_over_is_told_so(gone: str) -> None:
    """After ninety days what a run was for is not known any more, its head longer than its definition or not."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story, A)
        await name(story, group_id, CONFIG, A)
        tables = story.fleet.world.tables
        table = "groups" if gone.startswith("config") else "runs"
        tables.expire(table, group_id, gone)
        with pytest.raises(NotFound) as refused:
            await story.roll_back(group_id, "1")
        assert refused.value.code == "RUN_NOT_FOUND"
        assert f"{HISTORY_KEPT.days} days" in refused.value.detail

    told(story)
