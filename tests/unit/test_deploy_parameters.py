"""What a template is deployed with: the environment's file, else its own defaults, and nothing that is neither."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.parameters import BY_DEPLOY, BadParameters, choose_parameters, main
from tests.fakes.stack_template import INFRA, StackTemplate
from workers.core.settings import Settings

SERVICE = INFRA / "service.yaml"
EXAMPLE = INFRA / "environments" / "example.json"


def write(place: Path, listed: Any) -> Path:
    file = place / "dev.json"
    file.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    return file


def pair(name: str, value: Any) -> dict[str, Any]:
    return {"ParameterKey": name, "ParameterValue": value}


def test_every_parameter_is_said(tmp_path: Path) -> None:
    """Also what no file says: CloudFormation would keep the value of the deployment before."""
    chosen = choose_parameters(SERVICE, tmp_path / "none.json")
    assert {*chosen} == StackTemplate("service.yaml").parameters.keys() - BY_DEPLOY
    assert chosen["WorkerMostTasks"] == "4"
    assert chosen["LogReads"] == "false"
    assert chosen["EventBus"] == ""


def test_the_file_comes_before_the_default(tmp_path: Path) -> None:
    """For the parameters that it names."""
    chosen = choose_parameters(SERVICE, write(tmp_path, [pair("WorkerMostTasks", "9")]))
    assert (chosen["WorkerMostTasks"], chosen["WorkerTasks"]) == ("9", "1")


def test_the_example_is_one() -> None:
    """Whoever copies it can deploy with it."""
    assert choose_parameters(SERVICE, EXAMPLE)["WorkerMostTasks"] == "8"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([pair("Worker", "1"), pair("Image", "mine"), pair("Stack", "other")], "names Image, Stack, Worker; an"),
        ([pair("WorkerTasks", 2)], "no text of one line: WorkerTasks"),
        ([pair("EventBus", "a\nImage=b")], "no text of one line: EventBus"),
        ([pair("EventBus", "a"), pair("EventBus", "b")], "names a parameter twice"),
        ([{"Key": "EventBus"}], "is no list of"),
        ({"EventBus": "a"}, "is no list of"),
        (7, "is no list of"),
        ("{", "is no list of"),
        ([{"ParameterKey": 1, "ParameterValue": "a"}], "has a ParameterKey that is no text"),
        ([{"ParameterKey": ["a"], "ParameterValue": "a"}], "has a ParameterKey that is no text"),
    ],
)
def test_what_is_no_parameter_is_refused(tmp_path: Path, listed: Any, said: str) -> None:
    """`aws cloudformation deploy` would pass over it, or take a second parameter out of a value."""
    with pytest.raises(BadParameters) as caught:
        choose_parameters(SERVICE, write(tmp_path, listed))
    assert said in str(caught.value)
    assert "dev.json" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RateFactor": "0"}, "RateFactor is '0'; it has to be a number above 0"),
        ({"RateFactor": "0.0"}, "RateFactor is '0.0'"),
        ({"RateFactor": "1001"}, "RateFactor is '1001'"),
        ({"RateFactor": "abc", "LogDays": "2"}, "LogDays is '2'; it may be 1, 3, 5"),
        ({"RateFactor": "abc", "LogDays": "2"}, "RateFactor is 'abc'"),
        ({"WorkerTasks": "0"}, "WorkerTasks is '0'; it has to be a whole number of at least 1"),
        ({"WorkerTasks": "x"}, "WorkerTasks is 'x'"),
        ({"WorkerTasks": "9", "WorkerMostTasks": "2"}, "WorkerTasks is 9 and WorkerMostTasks 2, which is less"),
        (
            {"WorkerCpu": "4096", "WorkerMemory": "1024"},
            "WorkerMemory is 1024; of WorkerCpu 4096 it has to be from 8192",
        ),
        ({"WorkerVpc": "vpc-1"}, "WorkerVpc and WorkerSubnets are given both or neither"),
        ({"UserPoolDomain": "https://a.example"}, "UserPoolId and UserPoolDomain are given both or neither"),
    ],
)
def test_a_value_that_the_template_does_not_take_is_refused(tmp_path: Path, given: dict[str, str], said: str) -> None:
    """CloudFormation would say so too, but after state and image are deployed; all of them at once."""
    with pytest.raises(BadParameters) as caught:
        choose_parameters(SERVICE, write(tmp_path, [pair(name, value) for name, value in given.items()]))
    assert said in str(caught.value)


@pytest.mark.parametrize("factor", ["0.5", "0.05", "1", "2.5", "999.9", "1000"])
def test_a_value_that_the_settings_take_is_taken(tmp_path: Path, factor: str) -> None:
    """As the function and the workers will read it."""
    chosen = choose_parameters(SERVICE, write(tmp_path, [pair("RateFactor", factor)]))
    assert Settings(rate_factor=chosen["RateFactor"]).rate_factor == float(factor)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A directory, say."""
    with pytest.raises(BadParameters, match="cannot be read: Is a directory"):
        choose_parameters(SERVICE, tmp_path)


def test_it_prints_what_the_deployment_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NAME=VALUE, one a line; or the reason, and status 1."""
    assert main([str(SERVICE), str(write(tmp_path, [pair("EventBus", "default")]))]) == 0
    printed = capsys.readouterr()
    assert "EventBus=default\n" in printed.out
    assert main([str(SERVICE), str(write(tmp_path, "{"))]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
