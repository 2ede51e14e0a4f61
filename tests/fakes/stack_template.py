"""A template of CloudFormation as it stands in infra/, and its values once parameters are chosen. No AWS is asked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

INFRA = Path(__file__).parents[2] / "infra"
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "prelaunch-service",
    "AWS::URLSuffix": "amazonaws.com",
}
_NAMED = re.compile(r"\$\{([\w:.]+)\}")
_NONE = object()


class StackTemplate:
    """
    One template.

    Parameters:
        name: Of the file.
        parameters: What is chosen beside the defaults.
    """

    def __init__(self, name: str, **parameters: str) -> None:
        self._document = cfn_yaml.load(str(INFRA / name))
        defaults = {key: each.get("Default") for key, each in self._document["Parameters"].items()}
        self._values = {**PSEUDO, **defaults, **parameters}

    @property
    def resources(self) -> Mapping[str, Any]:
        """As they stand there, by logical id."""
        found: Mapping[str, Any] = self._document["Resources"]
        return found

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What may be chosen, as it stands there, by name."""
        found: Mapping[str, Any] = self._document["Parameters"]
        return found

    def of_kind(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a kind, with values for what parameters and conditions say, by id."""
        return {
            name: self.resolve(each["Properties"])
            for name, each in self.resources.items()
            if each["Type"] == kind and self._is_made(each)
        }

    def resolve(self, found: Any) -> Any:
        """Give the value; of what another resource tells `(its id)`, or `(its id.attribute)`."""
        if isinstance(found, list):
            return [value for each in found if (value := self.resolve(each)) is not _NONE]
        if not isinstance(found, dict):
            return found
        if len(found) == 1:
            ((function, said),) = found.items()
            if function in _FUNCTIONS:
                return _FUNCTIONS[function](self, said)
        values = {key: self.resolve(value) for key, value in found.items()}
        return {key: value for key, value in values.items() if value is not _NONE}

    def _is_made(self, resource: Any) -> bool:
        return "Condition" not in resource or bool(self._decide({"Condition": resource["Condition"]}))

    def _decide(self, said: Any) -> Any:
        ((function, inner),) = said.items()
        match function:
            case "Condition":
                return self._decide(self._document["Conditions"][inner])
            case "Fn::Equals":
                left, right = map(self.resolve, inner)
                return left == right
            case "Fn::Not":
                return not self._decide(inner[0])
        raise AssertionError(f"conditions of the kind {function} are not read here")

    def _ref(self, said: str) -> Any:
        if said == "AWS::NoValue":
            return _NONE
        return self._values.get(said, f"({said})")

    def _sub(self, said: Any) -> str:
        text, own = (said, {}) if isinstance(said, str) else said
        values = {name: self.resolve(value) for name, value in own.items()}
        return _NAMED.sub(lambda named: str(values.get(named[1], self._ref(named[1]))), text)

    def _if(self, said: Any) -> Any:
        condition, yes, no = said
        return self.resolve(yes if self._decide({"Condition": condition}) else no)

    def _get_attribute(self, said: Any) -> str:
        return f"({'.'.join(said) if isinstance(said, list) else said})"

    def _join(self, said: Any) -> str:
        between, parts = said
        return str(between).join(map(str, self.resolve(parts)))

    def _split(self, said: Any) -> list[str]:
        between, text = said
        return str(self.resolve(text)).split(between)

    def _select(self, said: Any) -> str:
        return f"({said})"


_FUNCTIONS: Mapping[str, Any] = {
    "Ref": StackTemplate._ref,
    "Fn::Sub": StackTemplate._sub,
    "Fn::If": StackTemplate._if,
    "Fn::GetAtt": StackTemplate._get_attribute,
    "Fn::Join": StackTemplate._join,
    "Fn::Split": StackTemplate._split,
    "Fn::Select": StackTemplate._select,
}
