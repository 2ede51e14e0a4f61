"""
The parameters that a template is deployed with: the environment's file where it says one, else the template's default.

All of them are named at each deployment. CloudFormation keeps the value before for what is left out, so that a line
taken out of the file would change nothing; and `aws cloudformation deploy` passes over names that the template does not
have.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BY_DEPLOY = frozenset({"Stack", "Image"})
"""What the deployment itself says."""


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
        BadParameters: The file is of another form, or names what is no parameter; every such name at once.
    """
    declared = _members(_members(yaml.compose(template.read_text("utf-8"), yaml.SafeLoader))["Parameters"])
    defaults = {name: str(_members(each)["Default"].value) for name, each in declared.items() if name not in BY_DEPLOY}
    given = _read(file) if file.exists() else {}
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        raise BadParameters(
            f"{file} names {', '.join(unknown)}; an environment may choose {', '.join(sorted(defaults))}."
        )
    return {**defaults, **given}


def _members(mapping: Any) -> dict[str, Any]:
    """List the nodes of a YAML mapping by name: of nodes nothing is made, so that `!Ref` and its like mean nothing."""
    return {key.value: value for key, value in mapping.value}


def _read(file: Path) -> Mapping[str, str]:
    try:
        listed: Any = json.loads(file.read_text("utf-8"))
        pairs = [(each["ParameterKey"], each["ParameterValue"]) for each in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise BadParameters(f'{file} is no list of {{"ParameterKey": …, "ParameterValue": …}}: {error}.') from error
    wrong = sorted(str(name) for name, value in pairs if not isinstance(value, str) or "\n" in value)
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
