"""Three accounts in two Regions: each group through one session of its own role; whatever fails there fails alone."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from producer.main import open_doctor
from tests.integration.conftest import make_client
from tests.integration.product import Product
from workers.core.doctor.finding import Finding, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="session")

REGIONS = ("us-east-1", "eu-west-1")
SECRET = "between-us-alone"
_accounts: Iterator[int] = itertools.count(700_000_000_000)


@dataclass(frozen=True)
class Estate:
    """An account in a Region, with the role that lets us in."""

    account_id: str
    region: str

    @property
    def access(self) -> dict[str, Any]:
        return {
            "accountId": self.account_id,
            "region": self.region,
            "assumeRoleName": "recovery",
            "externalId": f"{SECRET}-{self.account_id}",
        }


@pytest.fixture
def estates(product: Product) -> list[Estate]:
    """Three accounts that nobody has used, each in both Regions."""
    account_ids = [str(next(_accounts)) for _ in range(3)]
    found = [Estate(account_id, region) for region in REGIONS for account_id in account_ids]
    for each in found[:3]:
        put_role(product, each)
    return found


def put_role(product: Product, estate: Estate, external_id: str | None = None) -> None:
    role = {"roleName": "recovery", "externalId": external_id or estate.access["externalId"]}
    product.local.control("PUT", f"accounts/{estate.account_id}", {"roles": [role]})


async def create(product: Product, estate: Estate, count: int = 2, **changes: Any) -> str:
    members = product.add_servers(count, accountId=estate.account_id, region=estate.region)
    return await product.create(members, **{**estate.access, **changes})


def calls_of(product: Product, estate: Estate) -> dict[str, int]:
    counted = product.local.control("GET", f"calls?accountId={estate.account_id}&region={estate.region}")
    return {name: counts["count"] for name, counts in counted.items() if name.startswith(("drs.", "ec2."))}


async def read_all(product: Product, group_ids: list[str]) -> list[str]:
    return [(await product.status(group_id))["status"] for group_id in group_ids]


async def test_each_group_is_applied_in_its_own_account_and_region_through_one_session(
    product: Product, estates: list[Estate]
) -> None:
    """Six groups are ready; a role is assumed once for each, for DRS, EC2 and IAM; nothing is called anywhere else."""
    group_ids = [await create(product, estate) for estate in estates]
    await product.drain()
    assert await read_all(product, group_ids) == ["ready"] * 6
    assert product.calls()["sts.AssumeRole"] == 6
    for estate in estates:
        calls = calls_of(product, estate)
        assert (calls["drs.UpdateLaunchConfiguration"], calls["ec2.ModifyLaunchTemplate"]) == (2, 2)
    own = {name: count for name, count in product.calls().items() if name.startswith(("drs.", "ec2."))}
    assert own == {name: sum(calls_of(product, each).get(name, 0) for each in estates) for name in own}


async def test_sessions_are_kept_and_renewed_before_they_end(product: Product, estates: list[Estate]) -> None:
    """Applying again assumes nothing; as the end draws near each session is renewed once, though many ask at once."""
    group_ids = [await create(product, estate, 5) for estate in estates]
    await product.drain()
    product.count_anew()
    for group_id in group_ids:
        await product.apply(group_id, force=True)
    await product.drain()
    assert "sts.AssumeRole" not in product.calls()
    for role in product.database.clients._roles._opened.values():
        # Of the hour that the stand-in's sessions live ten minutes are left: they serve, and are to be renewed.
        role._ends_at -= timedelta(minutes=50)
    product.count_anew()
    for group_id in group_ids:
        await product.apply(group_id, force=True)
    await product.drain()
    assert await read_all(product, group_ids) == ["ready"] * 6
    assert product.calls()["sts.AssumeRole"] == 6


async def test_one_accounts_role_that_fails_stops_nobody_else(product: Product, estates: list[Estate]) -> None:
    """Its own groups fail, in both Regions; those of the two others are ready, and no call reaches its account."""
    shut, *_ = estates
    put_role(product, shut, "changed-by-its-owner")
    with product.unchecked():
        group_ids = [await create(product, estate) for estate in estates]
    await product.drain()
    wanted = ["failed" if estate.account_id == shut.account_id else "ready" for estate in estates]
    assert await read_all(product, group_ids) == wanted
    assert wanted.count("failed") == 2
    assert [calls_of(product, each) for each in estates if each.account_id == shut.account_id] == [{}, {}]


async def test_a_wrong_external_id_is_one_clear_error_of_the_account(product: Product, estates: list[Estate]) -> None:
    """The same code and words for each of its servers, with the role; a request that is checked is refused by them."""
    estate = estates[4]
    put_role(product, estate, "changed-by-its-owner")
    members = product.add_servers(3, accountId=estate.account_id, region=estate.region)
    with product.unchecked():
        group_id = await product.create(members, **estate.access)
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"]) == ("failed", 3)
    (told,) = {(error["code"], error["operation"], error["message"]) for error in status["errors"]}
    assert told[:2] == ("AccessDenied", "sts.AssumeRole")
    assert f"arn:aws:iam::{estate.account_id}:role/recovery" in told[2]
    others = product.add_servers(3, accountId=estate.account_id, region=estate.region)
    refused = await product.api.post("/protection-groups", json=product.body(others, **estate.access))
    assert (refused.status_code, refused.json()["code"]) == (409, "ACCESS_DENIED")
    assert "role/recovery" in refused.json()["detail"]


async def test_neither_external_ids_nor_sessions_are_ever_shown(
    product: Product, estates: list[Estate], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in logs, answers, statuses, histories or errors, whether the role lets us in or not."""
    given: list[str] = []
    client = await product.database.clients.own("sts")
    assume = client.assume_role

    async def watched(**request: Any) -> Any:
        answer = await assume(**request)
        given.extend(answer["Credentials"][name] for name in ("SecretAccessKey", "SessionToken"))
        return answer

    monkeypatch.setattr(client, "assume_role", watched)
    put_role(product, estates[1], "changed-by-its-owner")
    with product.unchecked():
        group_ids = [await create(product, estate) for estate in estates[:3]]
    expiry = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ExpiredTokenException"}
    product.faults({**expiry, "times": 1})
    await product.drain()
    assert await read_all(product, group_ids) == ["ready", "failed", "ready"]
    parts = ("", "/launch-config-status", "/launch-config-plan", "/apply-runs")
    paths = [f"/{group_id}{part}" for group_id in group_ids for part in parts]
    shown = [(await product.api.get(f"/protection-groups{path}")).text for path in ("", *paths)]
    refused = await product.api.post("/protection-groups", json=product.body(["s-" + "1" * 17], **estates[1].access))
    written = "".join([*shown, refused.text, *capsys.readouterr()])
    assert "group.settled" in written
    assert len(given) >= 4
    assert SECRET not in written
    assert not [secret for secret in given if secret in written]


async def examine(product: Product) -> list[Finding]:
    async with open_doctor(product.settings) as doctor:
        return list((await doctor.examine()).findings)


async def test_the_doctor_looks_at_every_account_and_region_through_its_role(
    product: Product, estates: list[Estate]
) -> None:
    """Each is one place; what is wrong in one is told of that one, with its remedy, and not of another."""
    for estate in estates:
        await create(product, estate)
    shut, bare, poor = estates[:3]
    put_role(product, shut, "changed-by-its-owner")
    product.local.control("PUT", f"accounts/{bare.account_id}", {"initialised": False})
    refuse_recovery(product, poor)
    # Sessions that are open already would say nothing of a role that was shut since.
    for service in ("drs", "ec2", "iam"):
        await forget(product, service, shut)
    found = await examine(product)
    told = {(each.check, each.subject): each for each in found}

    def of(estate: Estate) -> str:
        return f"account {estate.account_id}, {estate.region}, role recovery"

    assert {of(estate) for estate in estates} <= {each.subject for each in found}
    for region in REGIONS:
        assert told["role", of(Estate(shut.account_id, region))].outcome is Outcome.PROBLEM
        initialised = told["DRS", of(Estate(bare.account_id, region))]
        assert (initialised.outcome, region in initialised.remedy) == (Outcome.PROBLEM, True)
        recovery = told["permissions drs", of(Estate(poor.account_id, region))]
        assert (recovery.outcome, "drs:StartRecovery: explicitDeny" in recovery.saw) == (Outcome.PROBLEM, True)
        assert "role/recovery drs:StartRecovery" in recovery.remedy
        assert told["permissions ec2", of(Estate(poor.account_id, region))].outcome is Outcome.OK
    assert SECRET not in str(found)


def refuse_recovery(product: Product, estate: Estate) -> None:
    """Deny the role to start a recovery, by a policy of its own."""
    iam = make_client("iam", product.local.url, access_key_id=estate.account_id)
    denial = {"Statement": {"Effect": "Deny", "Action": "drs:StartRecovery", "Resource": "*"}, "Version": "2012-10-17"}
    iam.put_role_policy(RoleName="recovery", PolicyName="no-recovery", PolicyDocument=json.dumps(denial))
    iam.close()


async def forget(product: Product, service: str, estate: Estate) -> None:
    """Forget the clients that were made for an account."""
    clients = product.database.clients
    for (target, name), made in list(clients._made.items()):
        if target is not None and target.account_id == estate.account_id and name == service:
            clients.forget(made.client)
