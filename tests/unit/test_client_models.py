"""What the SDK knows of a service is loaded once a process: EC2's model alone takes 30 MB and a quarter of a second."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.client import AioClientCreator
from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader

from workers.aws.clients import TARGET_SERVICES, Clients
from workers.aws.roles import Roles
from workers.core.errors import SetupError
from workers.core.model.group import Target

CREDENTIALS = {
    "AccessKeyId": "AKIAEXAMPLE",
    "SecretAccessKey": "secret",  # nosec B105
    "SessionToken": "token",
    "Expiration": datetime.now(UTC) + timedelta(hours=1),
}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Note every file of the SDK's that is loaded, and whether on the event loop's thread."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files: list[tuple[str, bool]] = []
    load = JSONFileLoader.load_file

    def note(self: Any, file_path: str) -> Any:
        found = load(self, file_path)
        if found is not None:
            files.append((file_path, threading.current_thread() is threading.main_thread()))
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", note)
    return files


@pytest.fixture
def make_for_five_accounts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the clients of five accounts, whose roles are assumed at once."""

    async def assume(_self: Roles, _target: Target) -> Any:
        return CREDENTIALS

    monkeypatch.setattr(Roles, "_assume", assume)

    async def make() -> None:
        async with Clients(connections=1) as clients:
            await clients.warm()
            for number in range(5):
                for service in TARGET_SERVICES:
                    await clients.target(service, Target("us-east-1", f"11112222333{number}", "DrsRole"))

    return lambda: asyncio.run(make())


def test_clients_of_many_accounts_load_a_service_once(
    loaded: list[tuple[str, bool]], make_for_five_accounts: Callable[[], None]
) -> None:
    """Clients of five accounts: each file once, those of the services before anybody asks and off the loop's thread."""
    make_for_five_accounts()
    files = [path for path, _ in loaded]
    assert sorted(files) == sorted(set(files))
    models = [on_loop for path, on_loop in loaded if any(f"/{service}/" in path for service in TARGET_SERVICES)]
    assert models
    assert not any(models)


@pytest.mark.usefixtures("loaded")
def test_no_session_and_no_client_of_an_account_is_made_on_the_loop(
    make_for_five_accounts: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker at work for others stands still for neither: one other thread makes both, one by one."""
    makers: list[threading.Thread] = []

    def note(owner: type, method: str) -> None:
        make = getattr(owner, method)

        def made(*arguments: Any, **named: Any) -> Any:
            makers.append(threading.current_thread())
            return make(*arguments, **named)

        monkeypatch.setattr(owner, method, made)

    note(AioClientCreator, "create_client")
    note(AioSession, "_register_builtin_handlers")
    make_for_five_accounts()
    own_session, *others = makers
    assert own_session is threading.main_thread(), "made before there is anything to do"
    assert len(others) == 5 * (1 + len(TARGET_SERVICES))
    assert len(set(others)) == 1
    assert threading.main_thread() not in others


@pytest.mark.usefixtures("loaded")
def test_authorities_that_cannot_be_read_are_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bundle that is not there, or is none, is said when the first client is made: no worker starts to consume."""
    for bundle in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))

        async def make() -> None:
            async with Clients(connections=1) as clients:
                with pytest.raises(SetupError, match="AWS_CA_BUNDLE"):
                    await clients.own("dynamodb")

        asyncio.run(make())
        (tmp_path / "empty.pem").write_text("no certificate")
