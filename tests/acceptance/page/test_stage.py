"""The page behind API Gateway: served by the function, below a stage, where an authorizer stands before the rest."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from playwright.sync_api import expect

from producer.lambda_handler import Function
from producer.operations import Asked
from tests.acceptance.commands import make_environment, make_group_body, run
from tests.acceptance.page.hosted_pool import hosted_pool
from tests.acceptance.page.reader import Reader, Stack
from tests.fakes.user_pool import AUDIENCE, user_pool
from tests.forked_stand_in import StandIns
from tests.integration.doors.doors import make_context, make_event
from workers.core.settings import Settings

pytestmark = pytest.mark.xdist_group("page")
STAGE = "/prelaunch"
OPEN = ("/", "/page/", "/healthz", "/readyz", "/openapi.json", "/schemas/")
"""What the API lets through without a token; what ends with a slash, all below it."""


class Gateway(HTTPServer):
    """A stage of a REST API whose authorizer believes every token: what a token is worth is tested elsewhere."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self._settings = settings
        self.function: Function | None = None

    def run(self) -> None:
        """Serve in this thread, whose event loop is the function's."""
        self.function = Function(self._settings)
        self.serve_forever(poll_interval=0.05)
        self.function.close()


class _Request(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if not (parts.path == STAGE or parts.path.startswith(f"{STAGE}/")):
            self._answer(403, {"Content-Type": "application/json"}, '{"message": "Missing Authentication Token"}')
            return
        path = parts.path.removeprefix(STAGE) or "/"
        given = self.headers.get("Authorization")
        is_open = any(path == each or (each != "/" and each.endswith("/") and path.startswith(each)) for each in OPEN)
        if not is_open and given is None:
            self._answer(401, {"Content-Type": "application/json"}, '{"message":"Unauthorized"}')
            return
        assert self.server.function is not None
        told = self.server.function.handle(self._event(path, parts.query, given), make_context("api"))
        more = {name: values[0] for name, values in told["multiValueHeaders"].items()}
        self._answer(told["statusCode"], {**told["headers"], **more}, told["body"])

    def _event(self, path: str, query: str, given: str | None) -> dict[str, Any]:
        who: dict[str, Any] = {}
        if given is not None:
            claims = jwt.decode(given.removeprefix("Bearer "), options={"verify_signature": False})
            who["authorizer"] = {"claims": {**claims, "cognito:groups": ",".join(claims["cognito:groups"])}}
        return make_event(Asked("", "GET", path, query, None, {}), who)

    def _answer(self, status: int, headers: dict[str, str], body: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def stack(stand_ins: StandIns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with (
        pytest.MonkeyPatch.context() as patch,
        stand_ins.run() as aws,
        user_pool() as pool,
        hosted_pool(pool) as hosted,
    ):
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        name = aws.environment["PRELAUNCH_STACK"]
        settings = Settings(stack=name, auth_issuer=pool.issuer, auth_audience=AUDIENCE, auth_domain=hosted.domain)
        # Nobody works on it: it stands as it was accepted.
        file = tmp_path_factory.mktemp("group") / "staged.json"
        file.write_text(json.dumps({**make_group_body(aws, 1), "groupName": "staged"}))
        created = run(make_environment(aws.environment), "group", "create", "-f", str(file), "--no-wait")
        assert created.returncode == 0, created.stderr
        gateway = Gateway(settings)
        serving = threading.Thread(target=gateway.run)
        serving.start()
        address = f"http://127.0.0.1:{gateway.server_address[1]}{STAGE}"
        try:
            with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
                assert client.get("/healthz").status_code == 200
                yield Stack(aws, client)
        finally:
            gateway.shutdown()
            serving.join()
            gateway.server_close()


def test_it_works_below_a_stage(reader: Reader) -> None:
    """Opened with or without the slash at its end it finds its files, signs in and asks below the stage."""
    reader.page.goto(reader.stack.url)
    expect(reader.page.locator("#trouble")).to_contain_text("Sign in to go on.")
    assert reader.page.url == f"{reader.stack.url}/#/groups"
    reader.button("Sign in").click()
    expect(reader.row("staged")).to_have_count(1)
    expect(reader.page.locator("#who")).to_contain_text("ada (operator)")
    reader.page.get_by_role("link", name="staged").click()
    expect(reader.page.locator("h1")).to_have_text("Group staged")
    assert reader.page.url.startswith(f"{reader.stack.url}/#/groups/pg-")
