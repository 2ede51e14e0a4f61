"""Other accounts: reached by their own role and external id, once, and no group by another group's."""

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiobotocore.session import AioSession

from tests.integration.product import REGION, Product
from workers.aws.clients import Clients
from workers.core.errors import SetupError
from workers.core.model.group import Target

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "a-secret-between-us"
_accounts: Iterator[int] = itertools.count(300_000_000_000)


@pytest.fixture
def account_id(product: Product) -> str:
    """An account that nobody has used, which lets us in by the role `recovery` and an external id."""
    number = str(next(_accounts))
    product.local.control("PUT", f"accounts/{number}", {"roles": [{"roleName": "recovery", "externalId": SECRET}]})
    return number


def access(account_id: str, external_id: str | None = SECRET) -> dict[str, Any]:
    return {"accountId": account_id, "assumeRoleName": "recovery", "externalId": external_id}


def calls_of(product: Product, account_id: str) -> dict[str, int]:
    counted = product.local.control("GET", f"calls?accountId={account_id}")
    return {name: counts["count"] for name, counts in counted.items()}


async def test_another_account_is_reached_by_its_role(product: Product, account_id: str) -> None:
    """Every call about a group is made in its own account, by its role, assumed once for all; so is its recovery."""
    members = product.add_servers(20, accountId=account_id)
    group_id = await product.create_ready(members, **access(account_id))
    assert product.calls()["sts.AssumeRole"] == 1
    calls = calls_of(product, account_id)
    assert calls["ec2.ModifyLaunchTemplate"] == 20
    assert {name: count for name, count in product.calls().items() if name.startswith(("drs.", "ec2."))} == calls
    product.count_anew()
    answer = await product.api.post("/waves", json={"groupIds": [group_id]})
    assert answer.status_code == 202
    await product.drain()
    assert calls_of(product, account_id) == {"drs.StartRecovery": 1}


@pytest.mark.parametrize("external_id", [SECRET + "x", None])
async def test_a_wrong_external_id_opens_nothing(
    product: Product, account_id: str, external_id: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its servers fail with what STS says; the id is shown in no answer and no log; no call reaches the account."""
    members = product.add_servers(2, accountId=account_id)
    with product.unchecked():
        group_id = await product.create(members, **access(account_id, external_id))
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"]) == ("failed", 2)
    for error in status["errors"]:
        assert (error["code"], error["operation"]) == ("AccessDenied", "sts.AssumeRole")
        assert f"arn:aws:iam::{account_id}:role/recovery" in error["message"]
        assert error["requestId"]
    assert calls_of(product, account_id) == {}
    written = "".join(capsys.readouterr())
    assert "group.settled" in written
    assert SECRET not in str(status) + written


async def test_no_group_gets_in_by_the_external_id_of_another(product: Product, account_id: str) -> None:
    """A group with a wrong external id fails also where one with the right id has opened the same role before."""
    right, wrong = product.add_servers(2, accountId=account_id)
    await product.create_ready([right], **access(account_id))
    product.count_anew()
    with product.unchecked():
        group_id = await product.create([wrong], **access(account_id, "guessed-by-somebody"))
    await product.drain()
    assert (await product.status(group_id))["errors"][0]["code"] == "AccessDenied"
    assert calls_of(product, account_id) == {}


async def test_a_role_that_is_mended_is_assumed(product: Product, account_id: str) -> None:
    """A refusal is not remembered: when the role lets us in, applying again makes the group ready."""
    members = product.add_servers(1, accountId=account_id)
    with product.unchecked():
        group_id = await product.create(members, **access(account_id, "the-new-one"))
    await product.drain()
    assert (await product.status(group_id))["status"] == "failed"
    roles = [{"roleName": "recovery", "externalId": "the-new-one"}]
    product.local.control("PUT", f"accounts/{account_id}", {"roles": roles})
    await product.apply(group_id, onlyFailed=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_expired_credentials_are_no_failure(product: Product, account_id: str) -> None:
    """When AWS calls the session expired, the role is assumed anew, once, within the same call."""
    members = product.add_servers(3, accountId=account_id)
    group_id = await product.create_ready(members, **access(account_id))
    for service, operation, code in (
        ("drs", "GetLaunchConfiguration", "ExpiredTokenException"),
        ("ec2", "DescribeLaunchTemplateVersions", "RequestExpired"),
    ):
        product.results.clear()
        product.count_anew()
        product.faults({"service": service, "operation": operation, "code": code, "times": 1})
        await product.apply(group_id, force=True)
        await product.drain()
        assert (await product.status(group_id))["status"] == "ready"
        assert not any("Expired" in result for result in product.results)
        assert product.calls()["sts.AssumeRole"] == 1


async def test_a_session_is_renewed_before_it_expires(
    product: Product, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker outlives its sessions of an hour: as the expiry draws near the role is assumed again."""
    members = product.add_servers(1, accountId=account_id)
    group_id = await product.create_ready(members, **access(account_id))
    monkeypatch.setattr("workers.aws.role_session.RENEW_BY", timedelta(hours=2))
    monkeypatch.setattr("workers.aws.role_session.RENEW_FROM", timedelta(hours=2))
    product.count_anew()
    await product.apply(group_id, force=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert product.calls()["sts.AssumeRole"] >= 1


async def test_a_bad_account_harms_no_other(product: Product, account_id: str) -> None:
    """DRS not set up in one account fails that account's servers, clearly; another account's become ready."""
    product.local.control("PUT", f"accounts/{account_id}", {"initialised": False})
    with product.unchecked():
        bad = await product.create([f"s-{account_id:0>17}"], **access(account_id))
    good = await product.create(product.add_servers(2))
    await product.drain()
    assert (await product.status(good))["status"] == "ready"
    status = await product.status(bad)
    assert (status["status"], status["errors"][0]["code"]) == ("failed", "UninitializedAccountException")


async def test_our_own_account_needs_no_role(product: Product) -> None:
    """Named or meant, our own account is the same account: one index of servers, no role assumed."""
    (member,) = product.add_servers(1)
    await product.create_ready([member], accountId="123456789012")
    assert "sts.AssumeRole" not in product.calls()
    answer = await product.api.post("/protection-groups", json=product.body([member]))
    assert answer.status_code == 409


async def test_a_region_of_its_own(product: Product) -> None:
    """A group is applied in its own Region; the same id in another Region is another server."""
    members = product.add_servers(1, region="eu-west-1")
    group_id = await product.create_ready(members, region="eu-west-1")
    assert (await product.status(group_id))["appliedServers"] == 1
    with product.unchecked():
        wrong = await product.create(members)
    await product.drain()
    assert (await product.status(wrong))["errors"][0]["code"] == "ResourceNotFoundException"


async def test_no_region_is_one_clear_line(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing says the Region, the error says so, and is no traceback of the SDK's."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    async with Clients(connections=2) as clients:
        with pytest.raises(SetupError, match="region"):
            await clients.own("dynamodb")


async def test_one_client_serves_all_who_ask_at_once(
    product: Product, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four slots that begin together assume the role once and share one client."""
    opened: list[str] = []
    make = AioSession.create_client

    def watched(self: AioSession, service: str, *args: Any, **more: Any) -> Any:
        opened.append(service)
        return make(self, service, *args, **more)

    monkeypatch.setattr(AioSession, "create_client", watched)
    async with Clients(connections=2) as clients:
        target = Target(region=REGION, account_id=account_id, assume_role_name="recovery", external_id=SECRET)
        made = await asyncio.gather(*(clients.target("drs", target) for _ in range(64)))
        assert len({id(client) for client in made}) == 1
        assert opened.count("drs") == 1
        assert product.calls()["sts.AssumeRole"] == 1
