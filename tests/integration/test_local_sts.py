"""The stand-in's STS: a role is assumed only by whom its trust policy lets in."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.process import StandIn

Clients = Callable[..., Any]
TARGET = "444444444444"


def assume(sts: Any, role: str, **more: str) -> Any:
    arn = f"arn:aws:iam::{TARGET}:role/{role}"
    return sts.assume_role(RoleArn=arn, RoleSessionName="prelaunch", **more)["Credentials"]


def test_an_assumed_role_acts_in_its_own_account(local: StandIn, client: Clients) -> None:
    """What is done with the credentials is done, and counted, in the target account."""
    local.control("PUT", f"accounts/{TARGET}", {"roles": [{"roleName": "hub", "externalId": "let-me-in"}]})
    credentials = assume(client("sts"), "hub", ExternalId="let-me-in")
    session = boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], "us-east-1"
    )
    assert session.client("sts", endpoint_url=local.url).get_caller_identity()["Account"] == TARGET
    (made,) = local.control("POST", "servers", {"count": 1, "accountId": TARGET})["sourceServerIds"]
    found = session.client("drs", endpoint_url=local.url).describe_source_servers()["items"]
    assert [item["sourceServerID"] for item in found] == [made]
    assert local.control("GET", f"calls?accountId={TARGET}")["drs.DescribeSourceServers"]["count"] == 1


@pytest.mark.parametrize("external_id", [{}, {"ExternalId": "wrong"}])
def test_a_wrong_external_id_is_denied(local: StandIn, client: Clients, external_id: dict[str, str]) -> None:
    """AccessDenied, 403, with caller and role named."""
    local.control("PUT", f"accounts/{TARGET}", {"roles": [{"roleName": "hub", "externalId": "let-me-in"}]})
    with pytest.raises(ClientError) as denied:
        assume(client("sts"), "hub", **external_id)
    response = denied.value.response
    assert response["Error"]["Code"] == "AccessDenied"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert response["ResponseMetadata"]["RequestId"]
    assert "sts:AssumeRole on resource: arn:aws:iam::444444444444:role/hub" in response["Error"]["Message"]


def test_a_role_that_is_not_there_is_denied(client: Clients) -> None:
    """AWS does not tell whether a role exists."""
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(client("sts"), "nobody")


def test_another_account_is_not_let_in(local: StandIn, client: Clients) -> None:
    """The control's roles trust the stand-in's own account."""
    local.control("PUT", f"accounts/{TARGET}", {"roles": [{"roleName": "open"}]})
    assume(client("sts"), "open")
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(client("sts", access_key_id="333333333333"), "open")


def test_putting_a_role_again_replaces_its_external_id(local: StandIn, client: Clients) -> None:
    """The last word counts."""
    for external_id in ("first-id", "second-id"):
        local.control("PUT", f"accounts/{TARGET}", {"roles": [{"roleName": "turn", "externalId": external_id}]})
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(client("sts"), "turn", ExternalId="first-id")
    assume(client("sts"), "turn", ExternalId="second-id")


def test_roles_made_through_iam_count_too(client: Clients) -> None:
    """The trust policy that IAM keeps is the one that decides."""
    iam = client("iam", access_key_id=TARGET)
    statement = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="made-by-iam", AssumeRolePolicyDocument=policy)
    assume(client("sts"), "made-by-iam")
    iam.delete_role(RoleName="made-by-iam")
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(client("sts"), "made-by-iam")
