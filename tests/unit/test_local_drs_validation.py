"""The stand-in checks a DRS request by the service model: no more, no less."""

from typing import Any

import botocore.session
import pytest

from infra.local.drs.exceptions import ValidationException
from infra.local.drs.validation import check_request

MODEL = botocore.session.get_session().get_service_model("drs")
SERVER = "s-0123456789abcdefX"


def violations_of(operation: str, parameters: Any) -> list[str]:
    """Which fields are refused."""
    try:
        check_request(MODEL.operation_model(operation).input_shape, parameters)
    except ValidationException as error:
        return [field["name"] for field in error.field_list or []]
    return []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER, "name": "n" * 128}),
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER, "name": ""}),
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER, "copyTags": None}),
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER, "colour": "red"}),
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER, "launchIntoInstanceProperties": {}}),
        ("StartRecovery", {"sourceServers": [{"sourceServerID": SERVER}] * 200}),
        ("StartRecovery", {"sourceServers": [{"sourceServerID": SERVER}], "tags": {"": ""}}),
        ("DescribeJobs", {}),
        ("DescribeJobs", {"maxResults": 1, "filters": {"jobIDs": []}}),
        ("DescribeSourceServers", {"filters": {"sourceServerIDs": [SERVER] * 200}}),
    ],
)
def test_what_the_model_allows_passes(operation: str, parameters: dict[str, Any]) -> None:
    """Values at a limit, null for what is optional, and members that nobody knows are no violation."""
    assert violations_of(operation, parameters) == []


@pytest.mark.parametrize(
    ("operation", "parameters", "fields"),
    [
        ("UpdateLaunchConfiguration", {"sourceServerID": None}, ["sourceServerID"]),
        ("UpdateLaunchConfiguration", {"sourceServerID": SERVER + "\n"}, ["sourceServerID"]),
        ("StartRecovery", {"sourceServers": {"sourceServerID": SERVER}}, ["sourceServers"]),
        ("StartRecovery", {"sourceServers": ["s"]}, ["sourceServers[0]"]),
        ("StartRecovery", {"sourceServers": [{"sourceServerID": SERVER}], "tags": {"a": 1}}, ["tags.a"]),
        ("DescribeJobs", {"maxResults": True}, ["maxResults"]),
        ("DescribeJobs", {"maxResults": 1.5}, ["maxResults"]),
        ("DescribeJobs", {"filters": []}, ["filters"]),
    ],
)
def test_what_the_model_forbids_is_named(operation: str, parameters: dict[str, Any], fields: list[str]) -> None:
    """Each violation is named by the path of its field."""
    assert violations_of(operation, parameters) == fields
