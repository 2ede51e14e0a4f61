"""
The product's properties by their numbers, over the whole of it: doors, stores, workers, in virtual time.

10 and 11 are laws of pure functions and stand with them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from producer.http import schemas
from tests.fakes.launch_templates import observe
from tests.fakes.runs import recorded_runs, status_of
from tests.fakes.strategies import group_definitions, json_values, sendable_text
from tests.fakes.twin.door import open_door
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.process import TwinClients
from tests.fakes.twin.world import STACK, Call, Life, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import WITHIN
from workers.core.model.group import GroupDefinition, Target
from workers.core.plan.drift import find_drs_drift, find_template_drift
from workers.core.plan.observed import ObservedConfiguration
from workers.core.store.records import ServerError, ServerItem, from_item, to_item
from workers.core.store.runs import Run
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

MEMBERS = tuple(f"s-{letter * 17}" for letter in "abcd")
TYPES = ("m5.xlarge", "r5.large", "c6i.large")
SETTINGS_CALLS = {
    "get_launch_configuration",
    "update_launch_configuration",
    "create_launch_template_version",
    "modify_launch_template",
    "describe_launch_template_versions",
}
READS = ("get_", "batch_get_", "query", "describe_")
members = st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from(TYPES), min_size=1)


def body_of(wanted: Mapping[str, str], **more: Any) -> dict[str, Any]:
    overrides = [{"sourceServerId": each, "launchConfig": {"instanceType": kind}} for each, kind in wanted.items()]
    defaults = {"targetInstanceTypeRightSizingMethod": "NONE"}
    ids = sorted(wanted)
    return {"groupName": "web", "region": "us-east-1", "sourceServerIds": ids, "launchConfig": defaults} | {
        "servers": overrides,
        **more,
    }


def refuse_some(refused: Mapping[str, tuple[str, str]]) -> Any:
    """Refuse an operation for some source servers, each with a code of its own."""

    def on_call(call: Call) -> Exception | None:
        server_id = call.request.get("sourceServerID") or f"s-{call.request.get('LaunchTemplateId', '')[3:]}"
        operation, code = refused.get(server_id, ("", ""))
        if call.operation != operation:
            return None
        response: Any = {
            "Error": {"Code": code, "Message": f"{code} for {server_id}"},
            "ResponseMetadata": {"RequestId": f"request of {server_id}"},
        }
        error: Exception = ClientError(response, operation)
        return error

    return on_call


@given(definition=group_definitions())
def test_property_01_every_server_is_applied(definition: GroupDefinition) -> None:
    """Whatever is asked for: each server is ready and holds it, or failed and says why; the group says both."""
    target = Target("us-east-1", "111122223333", definition.target.assume_role_name, definition.target.external_id)
    definition = replace(definition, target=target)

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*definition.source_server_ids)
        async with open_door(fleet) as door:
            answer = await door.post("/protection-groups", json=_sent(definition))
            assert answer.status_code == 201, answer.text
            await fleet.settle(WITHIN)
            path = f"{answer.headers['Location']}/launch-config-status"
            status = (await door.get(path)).json()
        if not definition.has_launch_config():
            assert status["status"] == "not_configured"
            return
        assert status["serverConfigs"].keys() == set(definition.source_server_ids)
        for server_id, said in status["serverConfigs"].items():
            _check_server(world, definition, server_id, said)
        states = {said["status"] for said in status["serverConfigs"].values()}
        assert status["status"] == ("failed" if "failed" in states else "ready")

    run_virtually(story)


def _sent(definition: GroupDefinition) -> dict[str, Any]:
    external_id = definition.target.external_id
    return {**definition.to_body(), **({"externalId": external_id} if external_id is not None else {})}


def _check_server(world: World, definition: GroupDefinition, server_id: str, said: Mapping[str, Any]) -> None:
    desired = definition.effective(server_id)
    if said["status"] == "failed":
        assert said["errors"]
        assert all(error["code"] and error["message"] for error in said["errors"])
        return
    assert said["status"] == "ready"
    configuration = ObservedConfiguration(world.servers.configurations[server_id], "lt")
    assert find_drs_drift(desired, configuration) == []
    assert find_template_drift(desired, observe(world.servers.template_of(server_id).data)) == []


_ROUTES = st.sampled_from([("POST", "/protection-groups"), ("PUT", "/protection-groups/{group}"), ("POST", "/waves")])


@given(route=_ROUTES, spoilt=st.dictionaries(st.sampled_from([*body_of({}), "x", "version", "groupIds"]), json_values))
def test_property_02_nothing_invalid_is_stored(route: tuple[str, str], spoilt: dict[str, Any]) -> None:
    """Whatever is refused has changed nothing, anywhere."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of({MEMBERS[0]: TYPES[0]}))
            path = route[1].format(group=made.json()["groupId"])
            before = len(world.calls)
            try:
                content = json.dumps(body_of({MEMBERS[1]: TYPES[1]}) | spoilt).encode()
            except UnicodeEncodeError:
                return
            answer = await door.request(route[0], path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert [call for call in world.calls[before:] if not call.operation.startswith(READS)] == []

    run_virtually(story)


@given(wanted=st.lists(st.sampled_from(TYPES), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_property_03_a_wave_over_ready_groups_makes_no_call_about_settings(wanted: list[str], seed: int) -> None:
    """From the request to the last StartRecovery nobody reads or writes a launch configuration or a template."""

    async def story() -> None:
        world = World(seed)
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        async with open_door(fleet) as door:
            ids = []
            for number, kind in enumerate(wanted):
                body = body_of({MEMBERS[number]: kind}, groupName=f"group {number}")
                ids.append((await door.post("/protection-groups", json=body)).json()["groupId"])
            await fleet.settle(WITHIN)
            before = len(world.calls)
            accepted = await door.post("/waves", json={"groupIds": ids})
            assert accepted.status_code == 202, accepted.text
            await fleet.settle(WITHIN)
            wave = (await door.get(accepted.headers["Location"])).json()
        assert wave["status"] == "finished"
        assert len(world.servers.jobs) == len(ids)
        assert SETTINGS_CALLS.isdisjoint(call.operation for call in world.calls[before:])

    run_virtually(story)


@given(
    wanted=members,
    refused=st.sets(st.sampled_from(MEMBERS)),
    seconds=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 60.0]),
    query=st.fixed_dictionaries({}, optional={"servers": st.sampled_from(["all", "failed", "pending"])}),
)
def test_property_04_every_status_has_the_published_shape(
    wanted: dict[str, str], refused: set[str], seconds: float, query: dict[str, str]
) -> None:
    """At any moment of a run a status answer is what /openapi.json says, and adds up."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        world.on_call = refuse_some(dict.fromkeys(refused, ("update_launch_configuration", "ValidationException")))
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(wanted))
            working = asyncio.create_task(fleet.settle(WITHIN))
            await asyncio.sleep(seconds)
            answer = await door.get(f"{made.headers['Location']}/launch-config-status", params=query)
            await working
        status = TypeAdapter(schemas.GroupLaunchConfigStatus).validate_json(answer.content, extra="forbid")
        counted = status["appliedServers"] + status["failedServers"] + status["pendingServers"]
        assert counted == len(wanted)
        if not query or query["servers"] == "all":
            assert status["serverConfigs"].keys() == wanted.keys()
        else:
            assert {said["status"] for said in status["serverConfigs"].values()} <= {query["servers"]}

    run_virtually(story)


TEMPLATE_WRITES = {"create_launch_template_version", "modify_launch_template"}
_REFUSALS = st.tuples(
    st.sampled_from(sorted(SETTINGS_CALLS)),
    st.sampled_from(["ValidationException", "AccessDenied", "UnauthorizedOperation", "SomethingNobodyKnows"]),
)


@given(wanted=members, refused=st.dictionaries(st.sampled_from(MEMBERS), _REFUSALS))
def test_property_05_every_error_is_visible(wanted: dict[str, str], refused: dict[str, tuple[str, str]]) -> None:
    """Each server that AWS refuses is failed, alone, with code, message, operation, request id and attempt."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        world.on_call = refuse_some(refused)
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(wanted))
            await fleet.settle(WITHIN)
            status = (await door.get(f"{made.headers['Location']}/launch-config-status")).json()
        for server_id, said in status["serverConfigs"].items():
            if server_id not in refused:
                assert (said["status"], said["errors"]) == ("ready", [])
                continue
            operation, code = refused[server_id]
            (error,) = said["errors"]
            assert (said["status"], error["code"], error["sourceServerId"]) == ("failed", code, server_id)
            assert error["operation"].partition(".")[2].lower() == operation.replace("_", "")
            words = f"{code} for {server_id}"
            # EC2 does not say what to do about a template that may not be written: that comes after its own words.
            is_advised = code == "UnauthorizedOperation" and operation in TEMPLATE_WRITES
            advice = f" Allow ec2:{error['operation'].partition('.')[2]} on lt-{server_id[2:]}." if is_advised else ""
            assert error["message"].startswith(words + advice)
            assert is_advised or error["message"] == words
            assert error["requestId"] == f"request of {server_id}"
            assert error["attempt"] == 1
            assert error in status["errors"]

    run_virtually(story)


@given(before=members, after=members, broken=st.sets(st.sampled_from(MEMBERS)), force=st.booleans())
def test_property_06_an_update_applies_what_changed_joined_or_is_not_ready(
    before: dict[str, str], after: dict[str, str], broken: set[str], force: bool
) -> None:
    """Exactly those are applied again, all of them with force; of the others nothing is read, written or recorded."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        world.on_call = refuse_some(dict.fromkeys(broken, ("update_launch_configuration", "ValidationException")))
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(before))
            await fleet.settle(WITHIN)
            world.on_call = lambda _call: None
            calls = len(world.calls)
            answer = await door.put(made.headers["Location"], json=body_of(after, version=1, force=force))
            await fleet.settle(WITHIN)
            status = (await door.get(f"{made.headers['Location']}/launch-config-status")).json()
        due = {each for each, kind in after.items() if force or each in broken or before.get(each) != kind}
        reapply = answer.json()["reapply"]
        assert set(reapply["sourceServerIds"] if reapply else ()) == due
        touched = {call.request["sourceServerID"] for call in world.calls[calls:] if "sourceServerID" in call.request}
        assert touched == due
        assert status["status"] == "ready"
        assert status["serverConfigs"].keys() == after.keys()

    run_virtually(story)


def launched(world: World) -> list[tuple[str, float]]:
    """Tell which source servers were started, and when."""
    return [
        (each["sourceServerID"], world.servers.job_times[job["jobID"]])
        for job in world.servers.jobs
        for each in job["participatingServers"]
    ]


def kind_at(world: World, server_id: str, at: float) -> str:
    template = world.servers.template_of(server_id)
    return str(template.versions[template.default_at(at)]["InstanceType"])


@given(
    wanted=members,
    broken=st.sets(st.sampled_from(MEMBERS)),
    mended=st.booleans(),
    settled=st.booleans(),
    later=st.none() | st.sampled_from(TYPES),
)
def test_property_07_what_is_not_ready_is_applied_before_recovery_starts(
    wanted: dict[str, str], broken: set[str], mended: bool, settled: bool, later: str | None
) -> None:
    """Failed, pending, or changed while the wave waits: what starts has what its generation wants; others are named."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        refuse_broken = refuse_some(dict.fromkeys(broken, ("get_launch_configuration", "ValidationException")))
        world.on_call = refuse_broken
        kinds = dict(wanted)
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(wanted))
            if settled:
                await fleet.settle(WITHIN)
            world.on_call = (lambda _call: None) if mended else refuse_broken
            accepted = await door.post("/waves", json={"groupIds": [made.json()["groupId"]]})
            assert accepted.status_code == 202, accepted.text
            if later is not None and accepted.json()["groups"][0]["path"] == "fallback":
                kinds = dict.fromkeys(wanted, later)
                answer = await door.put(made.headers["Location"], json=body_of(kinds, version=1))
                assert answer.status_code == 200, answer.text
            await fleet.settle(WITHIN)
            wave = (await door.get(accepted.headers["Location"])).json()
        started = launched(world)
        named = {server_id for error in wave["errors"] for server_id in error["sourceServerIds"]}
        assert sorted(server_id for server_id, _ in started) == sorted(wanted.keys() - named)
        assert named == (set() if mended or (settled and not broken) else broken & wanted.keys())
        assert wave["status"] == ("failed" if named else "finished")
        for server_id, at in started:
            assert kind_at(world, server_id, at) == kinds[server_id]

    run_virtually(story)


@given(wanted=members, edited=st.sets(st.sampled_from(MEMBERS)), redefined=st.sets(st.sampled_from(MEMBERS)))
def test_property_08_what_differs_is_applied_again_before_recovery_starts(
    wanted: dict[str, str], edited: set[str], redefined: set[str]
) -> None:
    """An observation (by `verify: live`) or a digest that differs: applied first; of the rest nothing is written."""

    async def story() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(wanted))
            await fleet.settle(WITHIN)
            await asyncio.sleep(60)
            kinds = {each: "m7i.large" if each in redefined else kind for each, kind in wanted.items()}
            if kinds != wanted:
                assert (await door.put(made.headers["Location"], json=body_of(kinds, version=1))).status_code == 200
            for server_id in edited & wanted.keys():
                world.servers.edit(server_id, InstanceType="t3.micro")
            before = {each: world.servers.template_of(each).newest for each in wanted}
            body = {"groupIds": [made.json()["groupId"]], "verify": "live"}
            accepted = await door.post("/waves", json=body)
            await fleet.settle(WITHIN)
            wave = (await door.get(accepted.headers["Location"])).json()
        assert (wave["status"], wave["errors"]) == ("finished", [])
        started = launched(world)
        assert {server_id for server_id, _ in started} == wanted.keys()
        for server_id, at in started:
            assert kind_at(world, server_id, at) == kinds[server_id]
        written = {each for each in wanted if world.servers.template_of(each).newest > before[each]}
        assert written == (edited | redefined) & wanted.keys()

    run_virtually(story)


@given(wanted=members, seed=st.integers(0, 9999), doubled=st.integers(0, 8), killed=st.booleans())
def test_property_09_a_status_changes_twice_a_generation(
    wanted: dict[str, str], seed: int, doubled: int, killed: bool
) -> None:
    """Once when it is opened and once when it settles, in whatever order and however often its jobs are done."""

    async def story() -> None:
        world = World(seed)
        fleet = Fleet(world)
        world.servers.add(*MEMBERS)
        written: Counter[tuple[str, int]] = Counter()

        def count(_table: str, key: tuple[str, str], _before: object, after: Any) -> None:
            if key[1] == "status":
                written[after["status"]["S"], int(after["generation"]["N"])] += 1

        world.tables.on_store = count
        if killed:
            world.on_call = _kill_a_worker()
        async with open_door(fleet) as door:
            made = await door.post("/protection-groups", json=body_of(wanted))
            messages = world.queues.messages
            messages += [replace(messages[number % len(messages)]) for number in range(doubled)]
            working = asyncio.create_task(fleet.settle(WITHIN))
            await asyncio.sleep(world.dice.uniform(0, 2))
            answer = await door.post(f"{made.headers['Location']}/apply-launch-configs", json={"force": True})
            await working
        assert max(written.values()) == 1, written
        assert answer.status_code == 202, answer.text
        assert written["pending", 2] == written["ready", 2] == written["pending", 1] == 1, written

    run_virtually(story)


def _kill_a_worker() -> Any:
    """Kill a worker right after it has recorded its second outcome."""
    records = [None, Trouble.CRASH_AFTER]

    def on_call(call: Call) -> Trouble | None:
        is_record = call.process.startswith("worker") and call.operation == "transact_write_items"
        return records.pop(0) if records and is_record else None

    return on_call


@given(recorded=recorded_runs(), message=sendable_text, code=sendable_text)
def test_property_12_records_survive_dynamodb(
    recorded: tuple[Run, dict[str, ServerItem]], message: str, code: str
) -> None:
    """Heads, statuses and what is recorded of servers come back from the table as they were put there."""
    run, items = recorded
    error = ServerError(run.head.run_id, code, message, run.head.opened_at, 3)
    records = [run.head, status_of(run), *(replace(item, errors=(error, *item.errors)) for item in items.values())]

    async def story() -> None:
        world = World()
        tables = Tables(await TwinClients(world, Life("reader")).own("dynamodb"), STACK)
        for number, record in enumerate(records):
            await tables.write(Write("Put", "runs", ("pg-1", f"record#{number}"), to_item(record)))
            item = await tables.get("runs", "pg-1", f"record#{number}")
            assert item is not None
            assert from_item(type(record), item) == record

    run_virtually(story)
