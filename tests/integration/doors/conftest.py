"""One installation, opened once: a function takes a second to open."""

from collections.abc import Iterator

import pytest

from infra.local.process import StandIn
from tests.integration.doors.doors import ADMIN_ARN, Doors
from workers.core.settings import Settings


@pytest.fixture(scope="module")
def doors(shared_stand_in: StandIn) -> Iterator[Doors]:
    """All doors, through which an administrator comes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shared_stand_in.environment.items():
            patch.setenv(name, value)
        settings = Settings(
            stack=shared_stand_in.environment["PRELAUNCH_STACK"],
            time_scale=0.1,
            iam_roles={ADMIN_ARN: "admin"},
            requests_role="admin",
        )
        opened = Doors.open(shared_stand_in, settings)
        yield opened
        # A letter that stays is one more call of whoever counts calls over the same stack.
        for queue in ("jobs-dlq", "requests-dlq"):
            opened.take(queue)
        opened.close()
