"""A request that is repeated under its key has one effect and the same answer; the key names no other request."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import TESTER, Product
from workers.core.contract import Queue
from workers.core.model.group_parse import parse_group
from workers.core.requests import Requester, RequestKey, RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.wave_plan import WaveRequest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

FORCE = ApplyRequest(force=True)


def keyed(key: str, fingerprint: str = "f" * 64, principal: str = "tester") -> Requester:
    return replace(TESTER, principal=principal, key=RequestKey(key, fingerprint))


async def test_trace_20_a_repeated_creation_makes_one_group(product: Product) -> None:
    """Trace 20: repeated later or at once under its key, one group is made, and every answer names it."""
    for key in ("later", "at once"):
        definition = parse_group(product.body(product.add_servers(2)))
        create = product.services.submission.create_group
        if key == "later":
            heads = [await create(definition, keyed(key)) for _ in range(2)]
        else:
            heads = await asyncio.gather(*(create(definition, keyed(key)) for _ in range(4)))
        assert len({head.group_id for head in heads}) == 1
        assert len(product.take_jobs()) == 2


async def test_a_repeated_apply_opens_one_generation(product: Product) -> None:
    """Force would open one each time; under one key it opens one, also after that has settled."""
    group_id = await product.create_ready(product.add_servers(2))
    apply = product.services.submission.apply
    first = await asyncio.gather(*(apply(group_id, FORCE, keyed("a")) for _ in range(3)))
    assert len(set(first)) == 1
    assert first[0].accepted
    await product.drain()
    assert (await product.status(group_id))["generation"] == 2
    # Also after the run has settled, and another one has followed it.
    assert await apply(group_id, FORCE, keyed("a")) == first[0]
    other = await apply(group_id, FORCE, keyed("b"))
    assert other.run_id != first[0].run_id
    assert await apply(group_id, FORCE, keyed("a")) == first[0]
    assert (await product.status(group_id))["generation"] == 3


async def test_a_key_without_effect_is_remembered_too(product: Product) -> None:
    """An apply that found nothing to do answers the same when it is repeated, and cannot be another request."""
    group_id = await product.create_ready(product.add_servers(1))
    apply = product.services.submission.apply
    for _ in range(2):
        assert not (await apply(group_id, ApplyRequest(), keyed("none"))).accepted
    with pytest.raises(RequestRefused) as refused:
        await apply(group_id, FORCE, keyed("none", "e" * 64))
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert (await product.status(group_id))["generation"] == 1


async def test_a_repeated_update_answers_its_own_run(product: Product) -> None:
    """The second time it is no VERSION_CONFLICT but the answer of the first; one run, its servers named."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    change = {"launchConfig": {"monitoring": True}}
    first = await product.update(group_id, change, requester=keyed("u"), version=1)
    again = await product.update(group_id, change, requester=keyed("u"), version=1)
    assert first.reapply == again.reapply
    assert (first.head.version, again.head.version) == (2, 2)
    assert len(product.take_jobs()) == 2
    quiet = [
        await product.update(group_id, {**change, "description": "x"}, requester=keyed("q"), version=2)
        for _ in range(2)
    ]
    assert quiet[0].head.version == quiet[1].head.version == 3


async def test_a_repeated_update_answers_what_it_made(product: Product) -> None:
    """Its own version, name and definition, whatever the group became since; where the group stands is as of now."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members, groupName=f"first {members[0]}")
    path, headers = f"/protection-groups/{group_id}", {"Idempotency-Key": "mine"}
    mine = product.body(members, groupName=f"mine {members[0]}", launchConfig={"monitoring": True}, version=1)
    first = (await product.api.put(path, json=mine, headers=headers)).json()
    await product.drain()
    product.clock.advance(timedelta(seconds=5))
    theirs = product.body(members[:1], groupName=f"theirs {members[0]}", version=2)
    assert (await product.api.put(path, json=theirs)).status_code == 200
    again = await product.api.put(path, json=mine, headers=headers)
    assert again.status_code == 200
    now = (await product.api.get(path)).json()["launchConfigStatus"]
    assert again.json() == {**first, "launchConfigStatus": now}
    assert (again.json()["version"], now["generation"], now["status"]) == (2, 3, "pending")
    assert (await product.api.delete(path)).status_code == 204
    assert (await product.api.put(path, json=mine, headers=headers)).status_code == 404


async def test_a_repeated_update_answers_the_run_that_was_in_hand(product: Product) -> None:
    """Also where it opened none, for the run in progress does already what there is to do."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    updates = [
        await product.update(group_id, {"description": "x"}, requester=keyed("in hand"), version=1) for _ in range(2)
    ]
    assert updates[0].reapply is not None
    assert updates[0] == replace(updates[1], head=replace(updates[1].head, change_id=updates[0].head.change_id))


async def test_a_repeated_wave_starts_once(product: Product) -> None:
    """One wave, and one recovery job, also where the repetition sent a second message."""
    group_id = await product.create_ready(product.add_servers(1))
    accept = product.services.waves.accept
    waves = [await accept(WaveRequest((group_id,)), keyed("w")) for _ in range(2)]
    assert waves[0].wave.wave_id == waves[1].wave.wave_id
    product.count_anew()
    await product.drain(product.take_jobs(Queue.URGENT))
    assert product.calls()["drs.StartRecovery"] == 1


async def test_a_key_is_the_principals_own_and_ends(product: Product) -> None:
    """Another principal's equal key names another request; a day later the same key can name a new one."""
    group_id = await product.create_ready(product.add_servers(1))
    apply = product.services.submission.apply
    await apply(group_id, FORCE, keyed("k"))
    await apply(group_id, FORCE, keyed("k", "e" * 64, principal="another"))
    assert (await product.status(group_id))["generation"] == 3
    product.clock.advance(timedelta(hours=23, minutes=59))
    with pytest.raises(RequestRefused):
        await apply(group_id, FORCE, keyed("k", "d" * 64))
    product.clock.advance(timedelta(minutes=2))
    await apply(group_id, FORCE, keyed("k", "d" * 64))
    assert (await product.status(group_id))["generation"] == 4


async def test_a_refused_request_leaves_its_key_free(product: Product) -> None:
    """Nothing was done under it, so it can be mended and sent again under the same key."""
    taken = await product.create(product.add_servers(1), groupName="taken already")
    assert taken
    members = product.add_servers(1)
    definition = parse_group(product.body(members, groupName="taken already"))
    with pytest.raises(RequestRefused):
        await product.services.submission.create_group(definition, keyed("r"))
    mended = parse_group(product.body(members, groupName="free"))
    head = await product.services.submission.create_group(mended, keyed("r", "e" * 64))
    assert head.name == "free"


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


async def test_a_wave_that_was_accepted_and_never_sent_is_sent_by_its_repetition(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its producer died between the transaction and the message: the same request under its key sends it."""
    group_id = await product.create_ready(product.add_servers(1))
    accept = product.services.waves.accept

    async def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(product.services.waves, "_send", die)
        with pytest.raises(Killed):
            await accept(WaveRequest((group_id,)), keyed("never sent"))
    assert product.take_jobs(Queue.URGENT) == []
    wave = (await accept(WaveRequest((group_id,)), keyed("never sent"))).wave
    jobs = product.take_jobs(Queue.URGENT)
    assert [job.arguments["waveId"] for job in jobs] == [wave.wave_id]
    await product.drain(jobs)
    # Once it is under way a repetition sends nothing.
    await accept(WaveRequest((group_id,)), keyed("never sent"))
    assert product.take_jobs(Queue.URGENT) == []
