"""
What DRS refuses of a recovery, waits with or does in vain, each with the words that the user sees.

The traps are those of StartRecovery: what is all or nothing there is told of the one source server that it concerns.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.conftest import make_client
from tests.integration.product import Product
from tests.integration.stack.test_wave import accept, read
from workers.core.contract import Queue

pytestmark = pytest.mark.asyncio(loop_scope="session")

_accounts: Iterator[int] = itertools.count(720_000_000_000)


class Estate:
    """An account whose jobs are no other test's, with somebody in it who starts recoveries beside ours."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.account_id = str(next(_accounts))
        product.local.control("PUT", f"accounts/{self.account_id}", {"roles": [{"roleName": "recovery"}]})
        self.drs = make_client("drs", product.local.url, access_key_id=self.account_id)

    def add(self, count: int) -> list[str]:
        return sorted(self.product.add_servers(count, accountId=self.account_id))

    async def create(self, members: list[str]) -> str:
        access = {"accountId": self.account_id, "assumeRoleName": "recovery"}
        return await self.product.create(members, launchConfig=None, **access)

    def recover(self, members: list[str]) -> str:
        """Start a job as somebody else would."""
        asked = [{"sourceServerID": each} for each in members]
        return str(self.drs.start_recovery(isDrill=False, sourceServers=asked)["job"]["jobID"])


@pytest.fixture
def estate(product: Product) -> Iterator[Estate]:
    product.local.control("PUT", "jobs", {"seconds": 3600})
    estate = Estate(product)
    yield estate
    estate.drs.close()


def use_all_jobs(estate: Estate) -> None:
    for member in estate.add(20):
        estate.recover([member])


def use_all_servers(estate: Estate) -> None:
    members = estate.add(500)
    for first in range(0, 500, 100):
        estate.recover(members[first : first + 100])


@pytest.mark.parametrize(
    ("use_up", "said"),
    [
        (use_all_jobs, "At most 20 jobs can be in progress"),
        (use_all_servers, "At most 500 source servers can be in all jobs"),
    ],
)
async def test_a_quota_of_drs_that_others_use_up_is_said_and_waited_for(
    estate: Estate, use_up: Callable[[Estate], None], said: str
) -> None:
    """Whoever waits is told for which of the two; nothing is named as failed, and it starts when their jobs end."""
    product = estate.product
    group_id = await estate.create(estate.add(2))
    use_up(estate)
    answer = await accept(product, group_id)
    (sent,) = product.take_jobs(Queue.URGENT)
    await product.run(sent)
    wave = await read(product, answer)
    assert (wave["status"], wave["waitingFor"]) == ("waiting", f"job quota: {said}")
    assert (wave["jobs"], wave["errors"]) == ([], [])
    product.local.control("PUT", "clock", {"advanceSeconds": 7300})
    await product.drain([sent])
    wave = await read(product, answer)
    assert (wave["status"], wave["waitingFor"], wave["errors"]) == ("started", None, [])


async def test_who_is_in_somebody_elses_job_is_named_with_it(estate: Estate) -> None:
    """DRS refuses all for it, without a name: which one, in which job, and what to do; the other one is started."""
    busy, free = members = estate.add(2)
    theirs = estate.recover([busy])
    answer = await accept(estate.product, await estate.create(members), isDrill=False)
    await estate.product.drain()
    wave = await read(estate.product, answer)
    (error,) = wave["errors"]
    assert (error["sourceServerIds"], error["code"], error["message"]) == (
        [busy],
        "IN_ANOTHER_JOB",
        f"It is in {theirs}, a recovery that is still running. Start it again when that is over.",
    )
    assert [job["sourceServerIds"] for job in wave["jobs"]] == [[free]]


def delete(estate: Estate, member: str) -> dict[str, Any]:
    estate.product.local.control("DELETE", f"servers/{member}")
    return {}


def ask_for_no_snapshot(_: Estate, member: str) -> dict[str, Any]:
    return {"recoverySnapshotIds": {member: "pit-" + "0" * 17}}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (delete, "SourceServer with ID {} does not exist"),
        (ask_for_no_snapshot, "RecoverySnapshot with ID pit-00000000000000000 does not exist"),
    ],
)
async def test_who_cannot_be_recovered_is_found_among_the_others(
    estate: Estate, spoil: Callable[[Estate, str], dict[str, Any]], said: str
) -> None:
    """One of eight: DRS's words at that one, and the seven others are started."""
    members = estate.add(8)
    group_id = await estate.create(members)
    answer = await accept(estate.product, group_id, **spoil(estate, members[4]))
    await estate.product.drain()
    wave = await read(estate.product, answer)
    (error,) = wave["errors"]
    assert (error["sourceServerIds"], error["code"], error["message"]) == (
        [members[4]],
        "ResourceNotFoundException",
        said.format(members[4]),
    )
    started = sorted(each for job in wave["jobs"] for each in job["sourceServerIds"])
    assert started == [each for each in members if each != members[4]]
