"""
The serial way: what people do today in the middle of a disaster, one source server after the other.

GetLaunchConfiguration, UpdateLaunchConfiguration, CreateLaunchTemplateVersion, ModifyLaunchTemplate for each, then
StartRecovery: with plain boto3, its own retries, and the same launch configs as the groups have.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from producer.local_stack.sdk import plain_client
from workers.core.model.group import GroupDefinition
from workers.core.model.launch_config import FIELDS, Half, LaunchConfig
from workers.core.plan.template import TEMPLATE_FIELDS

SERVERS_A_JOB = 100


def recover_serially(
    environment: Mapping[str, str],
    groups: Sequence[GroupDefinition],
    on_server: Callable[[], None],
) -> float:
    """
    Configure every member of the groups and start their recovery.

    Parameters:
        environment: Endpoint and credentials.
        groups: What is wanted, of which source servers.
        on_server: Called after each source server.

    Returns:
        Seconds from the first call to the answer of the last StartRecovery.
    """
    drs, ec2 = (plain_client(service, environment) for service in ("drs", "ec2"))
    begun = time.monotonic()
    for group in groups:
        for member in group.source_server_ids:
            _configure(drs, ec2, member, group.effective(member))
            on_server()
    for group in groups:
        members = group.source_server_ids
        for start in range(0, len(members), SERVERS_A_JOB):
            part = [{"sourceServerID": member} for member in members[start : start + SERVERS_A_JOB]]
            drs.start_recovery(isDrill=True, sourceServers=part)
    return time.monotonic() - begun


def _configure(drs: Any, ec2: Any, member: str, wanted: LaunchConfig) -> None:
    template_id = drs.get_launch_configuration(sourceServerID=member)["ec2LaunchTemplateID"]
    fields = {name: value for name, value in wanted.values.items() if FIELDS[name].half is Half.DRS}
    drs.update_launch_configuration(sourceServerID=member, **fields)
    data: dict[str, Any] = {}
    for name, value in wanted.values.items():
        if FIELDS[name].half is Half.EC2:
            data = TEMPLATE_FIELDS[name].write(data, value)
    created = ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="$Default", LaunchTemplateData=data
    )
    version = str(created["LaunchTemplateVersion"]["VersionNumber"])
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=version)
