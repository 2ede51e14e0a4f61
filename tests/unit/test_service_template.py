"""What runs is deployed as the code knows it: no name in infra/service.yaml may fall behind, and no role may more."""

import hashlib
import json
import re
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

import pytest
from cfnlint import api as cfnlint
from cfnlint.config import ManualArgs
from starlette.routing import Route

from producer import lambda_handler
from producer.access import ROLES
from producer.cli.processes import WORKER_GRACE_MILLISECONDS
from producer.http import create_app
from producer.problems import STATUS_BY_CODE, problem
from producer.services import Services
from tests.fakes.stack_template import INFRA, PSEUDO, StackTemplate
from workers.core.doctor.ports import Identity
from workers.core.doctor.stack import VISIBILITY
from workers.core.errors import ServiceUnavailable
from workers.core.settings import PREFIX, Settings

STACK = "recovery"
TEMPLATE = StackTemplate("service.yaml", Stack=STACK, Image="made@sha256:0", EventBus="default")
ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
IDENTITY = Identity(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/1", REGION, "container-role", None)
API = ("RestApi", "Authorizer", "GatewayResponse", "Resource", "Method")
MOST_BYTES = 51_200
"""What CloudFormation takes without a bucket (source: its quotas; awscli refuses more by itself)."""


@pytest.mark.parametrize("name", ["template.yaml", "repository.yaml", "service.yaml"])
def test_a_template_is_one(name: str) -> None:
    """By AWS's own schemas of its resources, for several Regions; and small enough to be sent as it is."""
    text = (INFRA / name).read_text("utf-8")
    found = cfnlint.lint(text, config=ManualArgs(regions=["eu-west-1", "us-east-1"]))
    assert [str(each) for each in found] == []
    assert len(text.encode()) < MOST_BYTES


def test_the_function_is_our_handler() -> None:
    """By module and function; in the time that API Gateway waits, and the queue hides a message."""
    (function,) = TEMPLATE.of_kind("AWS::Lambda::Function").values()
    module, _, name = function["ImageConfig"]["Command"][0].rpartition(".")
    assert (module, name) == (lambda_handler.__name__, lambda_handler.handle.__name__)
    assert function["Timeout"] == 29
    assert function["Timeout"] < VISIBILITY.total_seconds()


def test_aliases_are_those_that_the_handler_knows() -> None:
    """One for each role, API Gateway's and the queue's; each on what was deployed last."""
    aliases = TEMPLATE.of_kind("AWS::Lambda::Alias").values()
    known = {lambda_handler.API_ALIAS, lambda_handler.REQUESTS_ALIAS, *ROLES}
    assert sorted(each["Name"] for each in aliases) == sorted(known)
    assert {each["FunctionVersion"] for each in aliases} == {"$LATEST"}


def test_only_api_gateway_may_invoke_and_only_its_alias() -> None:
    """Of that API and stage: through any other alias, or none, an event of its kind is not believed."""
    (permission,) = TEMPLATE.of_kind("AWS::Lambda::Permission").values()
    alias = TEMPLATE.resources[permission["FunctionName"].strip("()")]
    assert TEMPLATE.resolve(alias["Properties"])["Name"] == lambda_handler.API_ALIAS
    assert permission["Principal"] == "apigateway.amazonaws.com"
    (stage,) = TEMPLATE.of_kind("AWS::ApiGateway::Stage").values()
    assert permission["SourceArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:(Api)/{stage['StageName']}/*"


def test_requests_come_through_their_alias_and_come_again() -> None:
    """What cannot be done now is left in the queue: the answer names it."""
    (mapping,) = TEMPLATE.of_kind("AWS::Lambda::EventSourceMapping").values()
    alias = TEMPLATE.resources[mapping["FunctionName"].strip("()")]
    assert TEMPLATE.resolve(alias["Properties"])["Name"] == lambda_handler.REQUESTS_ALIAS
    assert mapping["EventSourceArn"].endswith(f":{STACK}-requests")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def list_methods() -> dict[tuple[str, str], Any]:
    """The methods by verb and path."""
    resources = TEMPLATE.of_kind("AWS::ApiGateway::Resource")

    def path_of(resource_id: str) -> str:
        name = resource_id.strip("()")
        if name == "Api.RootResourceId":
            return ""
        return f"{path_of(resources[name]['ParentId'])}/{resources[name]['PathPart']}"

    methods = TEMPLATE.of_kind("AWS::ApiGateway::Method").values()
    return {(each["HttpMethod"], path_of(each["ResourceId"]) or "/"): each for each in methods}


def test_nobody_gets_in_without_a_token_but_where_everybody_may() -> None:
    """The page, its parts, and what tells of the door; all else the user pool's tokens."""
    methods = list_methods()
    opened = {where for where, method in methods.items() if method["AuthorizationType"] == "NONE"}
    assert opened == {
        ("GET", "/"),
        ("ANY", "/page/{proxy+}"),
        ("ANY", "/healthz"),
        ("ANY", "/readyz"),
        ("ANY", "/openapi.json"),
        ("ANY", "/schemas/{proxy+}"),
    }
    closed = {where: method for where, method in methods.items() if where not in opened}
    assert {*closed} == {("ANY", "/"), ("ANY", "/{proxy+}")}
    for method in closed.values():
        assert (method["AuthorizationType"], method["AuthorizerId"]) == ("COGNITO_USER_POOLS", "(ApiAuthorizer)")
    for method in methods.values():
        assert method["Integration"]["Type"] == "AWS_PROXY"
        assert "/functions/(ApiAlias)/invocations" in method["Integration"]["Uri"]


def never_opened() -> AbstractAsyncContextManager[Services]:
    raise AssertionError("to list routes nothing of a stack is opened")


def test_open_routes_are_those_that_ask_nobody_who_he_is() -> None:
    """What the door lets everybody read gets through; what needs a role is asked for a token by API Gateway too."""
    app = create_app(never_opened, has_callers=True)
    described = app.openapi()["paths"]
    closed = {path for path, methods in described.items() if any("security" in each for each in methods.values())}
    opened = [path for (_, path), method in list_methods().items() if method["AuthorizationType"] == "NONE"]
    for path in (route.path for route in app.routes if isinstance(route, Route)):
        gets_through = any(re.fullmatch(each.replace("{proxy+}", ".+"), path) for each in opened)
        assert gets_through == (path not in closed | {"/metrics"}), path


def test_what_changes_the_api_makes_a_new_deployment_of_it() -> None:
    """Its stage would show the old one: the deployment's name ends with the digest of what it deploys."""
    kinds = {f"AWS::ApiGateway::{kind}" for kind in API}
    deployed = {name: each for name, each in TEMPLATE.resources.items() if each["Type"] in kinds}
    digest = hashlib.sha256(json.dumps(deployed, sort_keys=True).encode()).hexdigest()[:8]
    ((name, deployment),) = (
        (name, each) for name, each in TEMPLATE.resources.items() if each["Type"] == "AWS::ApiGateway::Deployment"
    )
    assert name == f"Deployment{digest}", f"name it Deployment{digest}, in the stage too"
    (stage,) = TEMPLATE.of_kind("AWS::ApiGateway::Stage").values()
    assert stage["DeploymentId"] == f"({name})"
    late = {each for each in deployed if deployed[each]["Type"].endswith(("Method", "GatewayResponse"))}
    assert {*deployment["DependsOn"]} == late


def list_variables() -> dict[str, dict[str, str]]:
    (function,) = TEMPLATE.of_kind("AWS::Lambda::Function").values()
    (task,) = TEMPLATE.of_kind("AWS::ECS::TaskDefinition").values()
    (worker,) = task["ContainerDefinitions"]
    return {
        "function": function["Environment"]["Variables"],
        "worker": {each["Name"]: each["Value"] for each in worker["Environment"]},
    }


@pytest.mark.parametrize("role", ["function", "worker"])
def test_variables_are_settings(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one is a setting of ours, or the SDK's Region, and the settings take what it says."""
    variables = list_variables()[role]
    (domain,) = TEMPLATE.of_kind("AWS::Cognito::UserPoolDomain").values()
    ours = {
        name: str(value).replace("(SignIn)", domain["Domain"])
        for name, value in variables.items()
        if name.startswith(PREFIX)
    }
    assert variables.keys() - ours.keys() <= {"AWS_DEFAULT_REGION"}
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= Settings.model_fields.keys()
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    assert Settings().stack == STACK


def test_tokens_are_asked_for() -> None:
    """Of the pool, for the page's app client, which keeps no secret and signs in by code alone, where the page is."""
    variables = list_variables()["function"]
    (client,) = TEMPLATE.of_kind("AWS::Cognito::UserPoolClient").values()
    assert variables["PRELAUNCH_AUTH_ISSUER"] == f"https://cognito-idp.{REGION}.amazonaws.com/(UserPool)"
    assert variables["PRELAUNCH_AUTH_AUDIENCE"] == "(PageClient)"
    assert variables["PRELAUNCH_AUTH_DOMAIN"] == f"https://(SignIn).auth.{REGION}.amazoncognito.com"
    assert (client["GenerateSecret"], client["AllowedOAuthFlows"]) == (False, ["code"])
    page = f"https://(Api).execute-api.{REGION}.amazonaws.com/prelaunch"
    assert client["CallbackURLs"] == [page, f"{page}/"]
    assert client["SupportedIdentityProviders"] == ["COGNITO"]
    company = StackTemplate("service.yaml", Stack=STACK, Image="i", IdentityProviders="COGNITO,Company")
    (client,) = company.of_kind("AWS::Cognito::UserPoolClient").values()
    assert client["SupportedIdentityProviders"] == ["COGNITO", "Company"]


def test_nobody_signs_himself_up_and_the_groups_are_the_roles() -> None:
    """To the letter: a group of another name is no role."""
    (pool,) = TEMPLATE.of_kind("AWS::Cognito::UserPool").values()
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    groups = TEMPLATE.of_kind("AWS::Cognito::UserPoolGroup").values()
    assert sorted(each["GroupName"] for each in groups) == sorted(ROLES)


def test_a_pool_that_is_there_is_taken() -> None:
    """None is made then, and tokens are that pool's."""
    there = StackTemplate(
        "service.yaml", Stack=STACK, Image="i", UserPoolId="eu-west-1_x", UserPoolDomain="https://sso.example.com"
    )
    assert not there.of_kind("AWS::Cognito::UserPool")
    (function,) = there.of_kind("AWS::Lambda::Function").values()
    variables = function["Environment"]["Variables"]
    assert variables["PRELAUNCH_AUTH_ISSUER"].endswith("/eu-west-1_x")
    assert variables["PRELAUNCH_AUTH_DOMAIN"] == "https://sso.example.com"
    (client,) = there.of_kind("AWS::Cognito::UserPoolClient").values()
    assert client["UserPoolId"] == "eu-west-1_x"


def test_workers_end_in_their_own_time_and_one_always_runs() -> None:
    """ECS kills later than a worker has handed back what it has; none at all, and nobody would sweep."""
    (task,) = TEMPLATE.of_kind("AWS::ECS::TaskDefinition").values()
    (worker,) = task["ContainerDefinitions"]
    assert worker["EntryPoint"] + worker["Command"] == ["prelaunch", "worker"]
    assert worker["StopTimeout"] * 1000 > WORKER_GRACE_MILLISECONDS
    assert TEMPLATE.resources["Workers"]["Properties"].get("DesiredCount") is None
    (scaling,) = TEMPLATE.of_kind("AWS::ApplicationAutoScaling::ScalableTarget").values()
    assert scaling["MinCapacity"] >= 1
    assert TEMPLATE.parameters["WorkerTasks"]["MinValue"] >= 1


@pytest.mark.parametrize("name", ["template.yaml", "repository.yaml", "service.yaml"])
def test_a_stack_s_name_is_one_that_the_settings_take(name: str) -> None:
    """No other can be deployed: nothing would start."""
    (pattern,) = (each.pattern for each in Settings.model_fields["stack"].metadata if hasattr(each, "pattern"))
    assert f"^{StackTemplate(name).parameters['Stack']['AllowedPattern']}$" == pattern


def test_workers_scale_on_what_waits_in_all_their_queues() -> None:
    """For each task that runs."""
    (policy,) = TEMPLATE.of_kind("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    metrics = policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]["Metrics"]
    dimensions = [each["MetricStat"]["Metric"]["Dimensions"] for each in metrics if "MetricStat" in each]
    queues = {pair["Value"] for pairs in dimensions for pair in pairs if pair["Name"] == "QueueName"}
    assert queues == {f"{STACK}-jobs-urgent", f"{STACK}-jobs", f"{STACK}-jobs-bulk"}
    (result,) = (each for each in metrics if each["ReturnData"])
    named = {each["Id"] for each in metrics if each is not result}
    assert {*re.findall(r"[a-z]+", result["Expression"])} == named


def test_nobody_connects_to_a_worker() -> None:
    """Nothing comes in; an address of their own only where the subnets are ours."""
    (group,) = TEMPLATE.of_kind("AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group
    given = StackTemplate("service.yaml", WorkerVpc="vpc-1", WorkerSubnets="subnet-1,subnet-2", Image="i")
    assert not given.of_kind("AWS::EC2::VPC")
    network = given.of_kind("AWS::ECS::Service")["Workers"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert (network["Subnets"], network["AssignPublicIp"]) == (["subnet-1", "subnet-2"], "DISABLED")


def test_alarms_are_about_what_there_is_and_tell_who_is_named() -> None:
    """Each dead-letter queue has one; no alarm is about a queue that no stack has, for it would never ring."""
    state = StackTemplate("template.yaml", Stack=STACK)
    queues = {each["QueueName"] for each in state.of_kind("AWS::SQS::Queue").values()}
    topic = "arn:aws:sns:eu-west-1:111122223333:on-call"
    alarms = StackTemplate("service.yaml", Stack=STACK, Image="i", AlarmTopic=topic).of_kind("AWS::CloudWatch::Alarm")
    watched = {pair["Value"] for each in alarms.values() for pair in each["Dimensions"] if pair["Name"] == "QueueName"}
    assert watched <= queues
    assert {name for name in queues if name.endswith("-dlq")} <= watched
    assert {json.dumps(each["AlarmActions"]) for each in alarms.values()} == {json.dumps([topic])}
    assert not [each for each in TEMPLATE.of_kind("AWS::CloudWatch::Alarm").values() if "AlarmActions" in each]
    assert alarms["WorkersAlarm"]["TreatMissingData"] == "breaching"
    (api,) = TEMPLATE.of_kind("AWS::ApiGateway::RestApi").values()
    (stage,) = TEMPLATE.of_kind("AWS::ApiGateway::Stage").values()
    asked = {pair["Name"]: pair["Value"] for pair in alarms["ApiFailuresAlarm"]["Dimensions"]}
    assert asked == {"ApiName": api["Name"], "Stage": stage["StageName"]}


def test_what_api_gateway_refuses_by_itself_has_the_form_of_our_problems() -> None:
    """Programs read one form, whoever refuses."""
    responses = TEMPLATE.of_kind("AWS::ApiGateway::GatewayResponse").values()
    assert {each["ResponseType"] for each in responses} == {"UNAUTHORIZED", "THROTTLED", "MISSING_AUTHENTICATION_TOKEN"}
    for each in responses:
        (text,) = each["ResponseTemplates"].values()
        told = json.loads(text)
        status = HTTPStatus(int(each["StatusCode"]))
        _, ours = problem(status, told["code"], told["detail"])
        assert told == {**ours, "requestId": "$context.requestId"}
        others = {ServiceUnavailable.code: HTTPStatus.SERVICE_UNAVAILABLE, "NOT_FOUND": HTTPStatus.NOT_FOUND}
        assert {**STATUS_BY_CODE, **others}[told["code"]] == status
