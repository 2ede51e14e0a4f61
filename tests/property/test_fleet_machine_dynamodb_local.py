"""
The state machine over Amazon's DynamoDB Local: the same requests, deliveries, faults and deaths in any order.

Whatever is under way at the same time meets there in the real conditional writes and transactions; and each answer of
the tables in memory, over which the machine runs elsewhere, is held to what the real ones answer.
"""

import itertools
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.dynamodb_local.tables import make_tables
from tests.fakes.twin.dynamodb import Tables
from tests.fakes.twin.mirror import MirroredTables
from tests.fakes.twin.world import STACK
from tests.integration.conftest import make_client
from tests.property.test_fleet_machine import FEW, FleetMachine

EXAMPLES = settings().max_examples // 10
"""A call takes a hundred times as long here as in memory."""


def test_every_promise_holds_over_dynamodb_local(dynamodb_local: str) -> None:
    """No promise breaks, all settles, and both databases give every answer alike."""
    databases = itertools.count()
    compared: list[int] = []

    class OverDynamoDBLocal(FleetMachine):
        async def _begin(self, seed: int, lag: float) -> None:
            # An index that lags is the twin's alone: DynamoDB Local's never does.
            await super()._begin(seed, 0.0)

        def make_tables(self, tables: Tables) -> Tables:
            # It keeps a database for each access key: every example begins with an empty one.
            client = make_client("dynamodb", dynamodb_local, f"AKIAMACHINE{next(databases)}")
            # In the world's own time nothing ends before its time, whatever the machine's clock says.
            make_tables(client, STACK, expire=False)
            self.mirrored = MirroredTables(tables, client)
            return cast("Tables", self.mirrored)

        def teardown(self) -> None:
            super().teardown()
            if hasattr(self, "mirrored"):
                compared.append(self.mirrored.compared)

    machine: Any = OverDynamoDBLocal
    chosen = settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES < FEW,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # What fails here alone is a difference between the databases, which the message names: nothing to make smaller.
        phases=[Phase.generate],
    )
    run_state_machine_as_test(machine, settings=chosen)
    assert sum(compared) > EXAMPLES
