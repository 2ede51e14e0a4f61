"""What the doctor measures against a real stack."""

from datetime import datetime, timedelta

import pytest

from producer.main import open_doctor
from tests.integration.product import Product
from workers.core.clock import read_clock

pytestmark = pytest.mark.asyncio(loop_scope="session")
REFUSED = {"service": "sts", "operation": "GetCallerIdentity", "code": "SignatureDoesNotMatch"}


@pytest.mark.parametrize("wrong_by", [timedelta(0), timedelta(minutes=6), timedelta(minutes=-6)])
@pytest.mark.parametrize("faults", [[], [REFUSED]], ids=["answered", "refused"])
async def test_a_clock_is_measured_by_what_aws_answers(
    product: Product, wrong_by: timedelta, faults: list[dict[str, str]]
) -> None:
    """Also where it refuses, as it does everything that a clock signed that is so far off."""

    def read_wrong_clock() -> datetime:
        return read_clock() + wrong_by

    async with open_doctor(product.settings, clock=read_wrong_clock) as doctor:
        product.faults(*faults)
        offset = await doctor._own.find_clock_offset()
        product.faults()
    assert offset is not None
    # AWS's Date has whole seconds.
    assert abs(offset + wrong_by) <= timedelta(seconds=2)
