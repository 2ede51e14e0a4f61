"""GET /metrics behind API Gateway: as text, of the stack alone, for who may read."""

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from producer.http.stack_metrics import GAUGES
from producer.operations import ROUTES, Asked
from tests.integration.doors.doors import Doors, make_context, make_event

ADMINISTRATOR = {"identity": {"userArn": "arn:aws:sts::123456789012:assumed-role/administrators/alice"}}
NOBODY = {"identity": {"userArn": "arn:aws:sts::123456789012:assumed-role/strangers/eve"}}
OPEN_METRICS = "application/openmetrics-text"


def scrape(doors: Doors, who: Mapping[str, Any], accept: str) -> dict[str, Any]:
    event = make_event(Asked("", "GET", "/metrics", "", None, {}), dict(who))
    event["headers"]["Accept"] = accept
    event["multiValueHeaders"]["Accept"] = [accept]
    answer: dict[str, Any] = doors.function.handle(event, make_context("api"))
    return answer


@pytest.mark.parametrize("accept", ["text/plain", OPEN_METRICS])
def test_it_comes_as_text_and_tells_of_the_stack_alone(doors: Doors, accept: str) -> None:
    """API Gateway would hand on what is encoded as it stands; an instance's own counters are one's of many."""
    answer = scrape(doors, ADMINISTRATOR, accept)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    headers = {**answer["headers"], **{name: each[0] for name, each in answer["multiValueHeaders"].items()}}
    assert headers["content-type"].startswith(accept)
    assert headers["cache-control"] == "no-store"
    read = read_openmetrics if accept == OPEN_METRICS else read_text
    assert [family.name for family in read(answer["body"])] == [gauge.name for gauge in GAUGES]


def test_a_stranger_is_told_nothing(doors: Doors) -> None:
    """It needs the role reader, as every read does."""
    assert scrape(doors, NOBODY, "text/plain")["statusCode"] == 403
    assert scrape(doors, {}, "text/plain")["statusCode"] == 401


def test_it_is_no_operation_of_messages_and_invocations(doors: Doors) -> None:
    """Its answer is no JSON: only doors with addresses have it."""
    assert not [name for name in ROUTES if "metric" in name]
    answer = doors.ask_directly({"operation": "get_metrics"})
    assert (answer.status, answer.document["code"]) == (400, "INVALID_BODY")
