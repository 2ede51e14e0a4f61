"""
DryRun where moto does not heed it: EC2 answers DryRunOperation and does nothing else (EC2's API reference).

A reader that asks whether it may read must not be given what it did not ask for.
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.security_groups import SecurityGroups

from infra.local.mend import replace


def install() -> None:
    """Mend moto's EC2."""
    replace(InstanceResponse, "describe_instance_type_offerings", _heeding)
    replace(SecurityGroups, "describe_security_groups", _heeding)


def _heeding(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def describe(self: Any) -> Any:
        self.error_on_dryrun()
        return original(self)

    return describe
