"""One process of ours: the clients that it calls the world by, and its time."""

from types import SimpleNamespace
from typing import Any

import structlog

from tests.fakes.launch_templates import create_version_model
from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.world import Call, Life, World
from workers.aws.errors import translate
from workers.aws.guarding import ask_guard
from workers.core.clock import Time
from workers.core.model.group import Target

ACCOUNT = "111122223333"


class TwinClient:
    """Stands where a client of the SDK does."""

    def __init__(self, world: World, life: Life, service: str, backend: Any) -> None:
        self._world = world
        self._life = life
        self._service = service
        self._backend = backend
        model = SimpleNamespace(operation_model=lambda _name: create_version_model())
        events = SimpleNamespace(register=lambda _event, _handler: None)
        self.meta = SimpleNamespace(service_model=model, endpoint_url=f"https://{service}", events=events)

    def __getattr__(self, operation: str) -> Any:
        effect = getattr(self._backend, operation)

        async def call(**request: Any) -> Any:
            run_id = structlog.contextvars.get_contextvars().get("run_id")
            called = Call(self._life.name, self._service, operation, request, run_id)
            return await self._world.call(self._life, called, effect, ask_guard)

        return call


class TwinClients:
    """Stands where `workers.aws.clients.Clients` does."""

    def __init__(self, world: World, life: Life) -> None:
        backends = {"dynamodb": world.tables, "sqs": world.queues, "drs": world.servers, "ec2": world.servers}
        self._world = world
        backends |= {"events": world.listeners, "stepfunctions": world.listeners}
        self._clients = {service: TwinClient(world, life, service, backend) for service, backend in backends.items()}

    async def own(self, service: str) -> Any:
        """Answer a client for our tables or queues."""
        return self._clients[service]

    async def target(self, service: str, target: Target) -> Any:
        """Answer a client for DRS or EC2; AWS refuses one whose role is there no more."""
        if target.assume_role_name in self._world.roles_gone:
            raise translate(refuse("AccessDenied", "AssumeRole"), "sts", "AssumeRole")
        return self._clients[service]

    async def account_id(self) -> str:
        """Answer the account that we run in."""
        return ACCOUNT

    def forget(self, _client: object) -> None:
        """Nothing of a client is kept."""


def time_of(world: World) -> Time:
    """Answer the time of a process."""
    return Time(world.now, world.seconds)
