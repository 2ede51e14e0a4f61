"""
AWS as far as a deployment needs it: moto's own server, in a process of its own, that ends when its input does.

What moto's CloudFormation does not make is passed by, as for every user of moto: authorizers, scaling, alarms and the
like. Of what its services have, and its CloudFormation has not, the kinds in MADE are made. A change set without a
change it refuses; CloudFormation makes one that FAILED and says why, which is what awscli waits for. Of one that is
executed it forgets outputs and parameters.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.apigateway.models import apigateway_backends
from moto.awslambda.models import lambda_backends
from moto.cloudformation.models import ChangeSet
from moto.cloudformation.responses import CloudFormationResponse
from moto.cognitoidp.models import cognitoidp_backends
from moto.core.common_models import CloudFormationModel
from moto.server import ThreadedMotoServer

from infra.local.mend import replace

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
USED = ("cloudwatch", "ecr", "ecs", "events", "logs")
"""moto makes resources of those services alone that somebody has loaded."""


Make = Callable[[Any, str, str], str]
"""Makes a resource of its properties, in an account and Region; its physical id."""


def _make_alias(wanted: Any, account_id: str, region: str) -> str:
    backend = lambda_backends[account_id][region]
    made = backend.create_alias(
        wanted["Name"], wanted["FunctionName"], wanted["FunctionVersion"], wanted["Description"], ""
    )
    return str(made.arn)


def _make_pool(wanted: Any, account_id: str, region: str) -> str:
    backend = cognitoidp_backends[account_id][region]
    return str(backend.create_user_pool(wanted["UserPoolName"], {**wanted}).id)


def _make_pool_client(wanted: Any, account_id: str, region: str) -> str:
    backend = cognitoidp_backends[account_id][region]
    made = backend.create_user_pool_client(wanted["UserPoolId"], bool(wanted["GenerateSecret"]), {**wanted})
    return str(made.id)


def _make_pool_group(wanted: Any, account_id: str, region: str) -> str:
    backend = cognitoidp_backends[account_id][region]
    backend.create_group(wanted["UserPoolId"], wanted["GroupName"], wanted["Description"], "", 0)
    return str(wanted["GroupName"])


def _make_pool_domain(wanted: Any, account_id: str, region: str) -> str:
    backend = cognitoidp_backends[account_id][region]
    backend.create_user_pool_domain(wanted["UserPoolId"], wanted["Domain"])
    return str(wanted["Domain"])


def _make_stage(wanted: Any, account_id: str, region: str) -> str:
    backend = apigateway_backends[account_id][region]
    backend.create_stage(wanted["RestApiId"], wanted["StageName"], wanted["DeploymentId"])
    return str(wanted["StageName"])


MADE: Mapping[str, Make] = {
    "AWS::Lambda::Alias": _make_alias,
    "AWS::Cognito::UserPool": _make_pool,
    "AWS::Cognito::UserPoolClient": _make_pool_client,
    "AWS::Cognito::UserPoolGroup": _make_pool_group,
    "AWS::Cognito::UserPoolDomain": _make_pool_domain,
    "AWS::ApiGateway::Stage": _make_stage,
}


def offer(kind: str, make: Make) -> type[CloudFormationModel]:
    """Give moto's CloudFormation a kind of resource; it knows the subclasses that somebody holds."""

    class Made(CloudFormationModel):
        # Of that service: moto reads it there.
        __module__ = f"moto.{kind.split('::')[1].lower()}.made"

        def __init__(self, physical_resource_id: str) -> None:
            self.physical_resource_id = physical_resource_id

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return kind

        @classmethod
        def create_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
        ) -> "Made":
            return cls(make(cloudformation_json["Properties"], account_id, region_name))

    return Made


def keep_what_was_applied(apply: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let the stack know by what template and parameters it is what it is, and what it tells."""

    def apply_and_keep(self: Any) -> None:
        apply(self)
        self.stack.template, self.stack.parameters = self.template, self.parameters
        self.stack._parse_template()
        self.stack.output_map = self.stack._create_output_map()

    return apply_and_keep


def make_environment(url: str) -> dict[str, str]:
    """The SDK's variables that lead to a server, and nowhere else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIADEPLOYS000000000",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
    }


def open_client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="AKIADEPLOYS000000000",
        aws_secret_access_key="local",
    )


@contextmanager
def running() -> Iterator[str]:
    """Run the server; its address, until the block is left."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    for service in USED:
        importlib.import_module(f"moto.{service}.models")
    _offered = [offer(kind, make) for kind, make in MADE.items()]
    replace(CloudFormationResponse, "_validate_different_update", lambda _refuse: lambda *_: None)
    replace(ChangeSet, "apply", keep_what_was_applied)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(json.dumps(f"http://{host}:{port}") + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
