"""The stand-in reads EC2's query protocol and writes its XML by the service model alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.parsers import EC2QueryParser
from botocore.serialize import EC2Serializer
from hypothesis import given
from hypothesis import strategies as st

from infra.local.launch_templates.answer import compile_writer, render_error, render_result
from infra.local.launch_templates.exceptions import EC2Error, InvalidParameterValue, UnknownParameter
from infra.local.launch_templates.query import compile_reader, nest

MODEL = botocore.session.get_session().get_service_model("ec2")
CREATE = MODEL.operation_model("CreateLaunchTemplateVersion")
DESCRIBE = MODEL.operation_model("DescribeLaunchTemplateVersions")
READ = compile_reader(CREATE.input_shape)
WRITE = compile_writer(DESCRIBE.output_shape)

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=9)


PLAIN_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-9, 10**9),
    "long": st.integers(-9, 10**12),
    "double": st.floats(0, 100).map(lambda number: round(number, 3)),
    "string": texts,
    "timestamp": st.integers(0, 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
}


def values_of(shape: Any) -> st.SearchStrategy[Any]:
    """Values of a shape that the protocol can carry: what is empty is not sent at all."""
    match shape.type_name:
        case "structure":
            members = {name: values_of(member) for name, member in shape.members.items()}
            return st.fixed_dictionaries({}, optional=members).filter(bool)
        case "list":
            return st.lists(values_of(shape.member), min_size=1, max_size=3)
        case kind:
            return PLAIN_VALUES[kind]


@given(data=values_of(CREATE.input_shape.members["LaunchTemplateData"]))
def test_what_boto_sends_is_what_is_read(data: dict[str, Any]) -> None:
    """Reading undoes botocore's own writing, for every member of launch template data."""
    sent = EC2Serializer().serialize_to_request({"LaunchTemplateData": data}, CREATE)["body"]
    pairs = [(name, str(value)) for name, value in sent.items()]
    assert READ(nest(pairs), "") == {"LaunchTemplateData": data}


@given(data=values_of(DESCRIBE.output_shape.members["LaunchTemplateVersions"].member))
def test_what_is_written_is_what_boto_reads(data: dict[str, Any]) -> None:
    """botocore's own reading undoes our writing, for every member of a version's answer."""
    body = render_result("DescribeLaunchTemplateVersions", WRITE, {"LaunchTemplateVersions": [data]}, "r-1")
    response = {"body": body.encode(), "headers": {}, "status_code": 200}
    parsed = EC2QueryParser().parse(response, DESCRIBE.output_shape)
    assert parsed["LaunchTemplateVersions"] == [data]


def test_what_the_model_does_not_know_is_not_written() -> None:
    """An answer never holds a member that EC2 lacks."""
    version = {"LaunchTemplateData": {"KeyName": "k", "Colour": "red"}, "NextToken": None}
    body = render_result("DescribeLaunchTemplateVersions", WRITE, {"LaunchTemplateVersions": [version]}, "r-1")
    assert "k</keyName>" in body
    assert "red" not in body


def test_an_error_is_escaped() -> None:
    """A message that quotes the request cannot break the document."""
    root = ET.fromstring(render_error("Code", "<&>", "r-1"))
    assert root.findtext("Errors/Error/Message") == "<&>"


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([("Colour", "red")], UnknownParameter),
        ([("LaunchTemplateData.Colour", "red")], UnknownParameter),
        ([("LaunchTemplateId.1", "x")], UnknownParameter),
        ([("LaunchTemplateId", "x"), ("LaunchTemplateId.1", "x")], UnknownParameter),
        ([("LaunchTemplateData", "x")], UnknownParameter),
        ([("LaunchTemplateData.NetworkInterface.a.SubnetId", "x")], UnknownParameter),
        ([("LaunchTemplateData.EbsOptimized", "yes")], InvalidParameterValue),
        ([("LaunchTemplateData.CpuOptions.CoreCount", "two")], InvalidParameterValue),
        ([("LaunchTemplateData.KeyName", "\x00")], InvalidParameterValue),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(pairs: list[tuple[str, str]], error: type[EC2Error]) -> None:
    """No parameter is dropped in silence: what EC2 does not know or cannot read is an error."""
    with pytest.raises(error):
        READ(nest(pairs), "")


@pytest.mark.parametrize("shuffle", [sorted, lambda items: sorted(items, reverse=True)])
def test_list_items_keep_their_numbers(shuffle: Callable[[Any], list[tuple[str, str]]]) -> None:
    """Items are ordered by number, not as text and not as they came."""
    pairs = [(f"LaunchTemplateData.SecurityGroupId.{n}", f"sg-{n}") for n in range(1, 12)]
    read = READ(nest(shuffle(pairs)), "")
    assert read["LaunchTemplateData"]["SecurityGroupIds"] == [f"sg-{n}" for n in range(1, 12)]
