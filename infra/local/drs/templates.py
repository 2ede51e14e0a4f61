"""
The launch templates of an account's source servers, as DRS makes, reads and writes them.

DRS writes a template through EC2's own API: each write is told to the world, because it draws on the account's
token buckets and shows in its CloudTrail. Nothing here may change a template that has lost DRS's tag.
"""

from datetime import datetime
from typing import Any

from infra.local.drs.blueprint import MANAGED_TAG, draw_template, find_landing
from infra.local.drs.jobs import LaunchSource
from infra.local.drs.servers import SourceServer
from infra.local.launch_templates import LaunchTemplate, LaunchTemplateBackend, launch_template_backends
from infra.local.world import WORLD, ServiceWrite


class ManagedTemplates:
    """DRS's launch templates in one account and Region, at most one a source server."""

    def __init__(self, account_id: str, region_name: str) -> None:
        self._account_id = account_id
        self._region_name = region_name
        self._made = 0
        self.server_ids: dict[str, str] = {}
        """For which source server a template was made, by the template's id; also if the template is gone."""

    @property
    def store(self) -> LaunchTemplateBackend:
        """EC2's launch templates of the same account and Region."""
        return launch_template_backends[self._account_id][self._region_name]

    def find(self, server: SourceServer) -> LaunchTemplate | None:
        """Find the server's template; none if anyone has deleted it."""
        template = self.store.templates.get(server.template_id or "")
        return template if template is not None and template.deleted_at is None else None

    def make(self, server: SourceServer, *, settled: bool = False) -> None:
        """Make a template from scratch, under a new id; `settled` if every read has always seen it."""
        landing = find_landing(self._account_id, self._region_name)
        data = draw_template(server.number, server.source_server_id, server.hardware, landing)
        template = self.store.create_template(
            f"AWSElasticDisasterRecovery-{server.source_server_id}-{self._made}",
            data,
            tags={MANAGED_TAG: "drs.amazonaws.com", "Name": server.hardware.hostname},
            settled=settled,
        )
        self._made += 1
        server.template_id = template.template_id
        self.server_ids[template.template_id] = server.source_server_id

    def refresh(self, server: SourceServer) -> None:
        """Make a new template if the server's own is gone; a disconnected server stays without."""
        if self.find(server) is not None:
            return
        server.template_id = None
        if server.state != "DISCONNECTED":
            self.make(server)

    def drop(self, server: SourceServer) -> None:
        """Delete the server's template."""
        template = self.find(server)
        if template is not None:
            self.store.delete_template(template)

    def deny_writes(self, server: SourceServer) -> None:
        """Take DRS's tag from the server's template, so that every policy refuses to write it."""
        template = self.find(server)
        if template is not None:
            template.tags.pop(MANAGED_TAG, None)
            template.writes_denied = True

    def read(self, server: SourceServer, moment: datetime) -> LaunchSource | None:
        """Read what a launch at this moment is made from: the default version of then."""
        template = self.store.templates.get(server.template_id or "")
        if template is None or not template.exists_at(moment):
            return None
        version = template.versions[template.default_at(moment)]
        return LaunchSource(template.template_id, version.number, version.data, moment)

    def write(self, server: SourceServer, changes: dict[str, Any]) -> None:
        """Change members of the template in a new default version; what is there already is not written."""
        template = self.find(server)
        if template is None or template.writes_denied:
            # DRS's own role asks for the tag too.
            return
        data = template.versions[template.default_at(WORLD.now())].data
        if all(data.get(name) == value for name, value in changes.items()):
            return
        version = self.store.create_version(template, changes, source="$Default")
        self.store.promote(template, str(version.number))
        for operation in ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate"):
            WORLD.on_service_write(
                ServiceWrite(
                    self._account_id, self._region_name, operation, template.template_id, version.number, changes
                )
            )

    def write_primary_interface(self, server: SourceServer, members: dict[str, str]) -> None:
        """Change members of the interface with index 0, which is DRS's own; every other one is kept."""
        template = self.find(server)
        if template is None:
            return
        data = template.versions[template.default_at(WORLD.now())].data
        interfaces = data.get("NetworkInterfaces", [])
        written = [
            {**interface, **members} if interface.get("DeviceIndex") == 0 else interface for interface in interfaces
        ]
        if not any(interface.get("DeviceIndex") == 0 for interface in interfaces):
            written = [{"DeviceIndex": 0, **members}, *interfaces]
        self.write(server, {"NetworkInterfaces": written})
