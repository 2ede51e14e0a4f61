"""
The parameters that a template is deployed with: the environment's file where it says one, else the template's default.

All of them are named at each deployment. CloudFormation keeps the value before for what is left out, so that a line
taken out of the file would change nothing; and `aws cloudformation deploy` passes over names that the template does not
have. CloudFormation looks at values when it is asked to deploy, which is late: the image is made by then.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BY_DEPLOY = frozenset({"Stack", "Image"})
"""What the deployment itself says."""
PAIRS = (("WorkerVpc", "WorkerSubnets"), ("UserPoolId", "UserPoolDomain"))
"""Given both or neither."""
MEMORY_OF_CPU = (2, 8)
"""How many MiB a CPU unit has on Fargate, at least and at most, of the sizes that the template allows."""


class BadParameters(Exception):
    """The environment's file cannot be used."""


def choose_parameters(template: Path, file: Path) -> Mapping[str, str]:
    """
    Choose the value of each parameter that a deployment does not say itself.

    Parameters:
        template: The template.
        file: In CloudFormation's own form, [{"ParameterKey", "ParameterValue"}]; it need not be there.

    Returns:
        Values by name.

    Raises:
        BadParameters: The file is of another form, or names what is no parameter, or has a value that the template
            does not take; all such at once.
    """
    declared = _members(_members(yaml.compose(template.read_text("utf-8"), yaml.SafeLoader))["Parameters"])
    defaults = {name: str(_members(each)["Default"].value) for name, each in declared.items() if name not in BY_DEPLOY}
    given = _read(file) if file.exists() else {}
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        raise BadParameters(
            f"{file} names {', '.join(unknown)}; an environment may choose {', '.join(sorted(defaults))}."
        )
    chosen = {**defaults, **given}
    wrong = [why for name, value in chosen.items() if (why := _find_fault(_members(declared[name]), value, name))]
    wrong = wrong or _find_contradictions(chosen)
    if wrong:
        raise BadParameters(f"{file}: {'; '.join(wrong)}.")
    return chosen


def _members(mapping: Any) -> dict[str, Any]:
    """List the nodes of a YAML mapping by name: of nodes nothing is made, so that `!Ref` and its like mean nothing."""
    return {key.value: value for key, value in mapping.value}


def _find_fault(declared: Mapping[str, Any], value: str, name: str) -> str | None:
    """Say what the template does not take of one value, as CloudFormation would."""
    if "AllowedValues" in declared:
        allowed = [each.value for each in declared["AllowedValues"].value]
        return None if value in allowed else f"{name} is {value!r}; it may be {', '.join(allowed)}"
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"].value, value, re.ASCII):
        return f"{name} is {value!r}; it has to be {declared['ConstraintDescription'].value}"
    least = declared.get("MinValue")
    if least is not None and not (value.isascii() and value.isdigit() and int(value) >= int(least.value)):
        return f"{name} is {value!r}; it has to be a whole number of at least {least.value}"
    return None


def _find_contradictions(chosen: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{one} and {other} are given both or neither"
        for one, other in PAIRS
        if bool(chosen[one]) != bool(chosen[other])
    ]
    if int(chosen["WorkerTasks"]) > int(chosen["WorkerMostTasks"]):
        wrong.append(
            f"WorkerTasks is {chosen['WorkerTasks']} and WorkerMostTasks {chosen['WorkerMostTasks']}, which is less"
        )
    cpu, memory = int(chosen["WorkerCpu"]), int(chosen["WorkerMemory"])
    least, most = (each * cpu for each in MEMORY_OF_CPU)
    if not least <= memory <= most:
        wrong.append(f"WorkerMemory is {memory}; of WorkerCpu {cpu} it has to be from {least} to {most}")
    return wrong


def _read(file: Path) -> Mapping[str, str]:
    try:
        listed: Any = json.loads(file.read_text("utf-8"))
        pairs = [(each["ParameterKey"], each["ParameterValue"]) for each in listed]
    except OSError as error:
        raise BadParameters(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BadParameters(f'{file} is no list of {{"ParameterKey": …, "ParameterValue": …}}: {error}.') from error
    if not all(isinstance(name, str) for name, _ in pairs):
        raise BadParameters(f"{file} has a ParameterKey that is no text.")
    wrong = sorted(name for name, value in pairs if not isinstance(value, str) or "\n" in value)
    if wrong:
        raise BadParameters(f"{file} has values that are no text of one line: {', '.join(wrong)}.")
    if len(dict(pairs)) < len(pairs):
        raise BadParameters(f"{file} names a parameter twice.")
    return dict(pairs)


def main(arguments: list[str]) -> int:
    """Print the parameters, NAME=VALUE, one a line; or why not, and 1."""
    template, file = map(Path, arguments)
    try:
        chosen = choose_parameters(template, file)
    except BadParameters as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{name}={value}\n" for name, value in chosen.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
