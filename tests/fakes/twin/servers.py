"""Source servers in DRS and their launch templates in EC2, in memory: aws-facts in a hundred lines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.twin.dynamodb import refuse

NEW_CONFIGURATION: Mapping[str, Any] = {
    "launchDisposition": "STARTED",
    "targetInstanceTypeRightSizingMethod": "BASIC",
    "copyPrivateIp": False,
    "copyTags": False,
    "licensing": {"osByol": False},
    "postLaunchEnabled": False,
}
NEW_TEMPLATE: Mapping[str, Any] = {
    "InstanceType": "c5.large",
    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3"}}],
}
DATA = "LaunchTemplateData"


@dataclass(slots=True)
class Template:
    """A launch template: versions never change, the default does."""

    template_id: str
    server_id: str
    versions: dict[int, Mapping[str, Any]]
    defaults: list[tuple[float, int]]
    """Which version was the default from when on."""
    newest: int = 1
    made: list[tuple[int, str]] = field(default_factory=list)
    """The source and the payload of each version that was created through the API."""

    @property
    def default(self) -> int:
        """Tell which version DRS would launch from."""
        return self.defaults[-1][1]

    @property
    def data(self) -> Mapping[str, Any]:
        """Tell what DRS would launch."""
        return self.versions[self.default]

    def default_at(self, at: float) -> int:
        """Tell which version was the default at a time."""
        return [number for since, number in self.defaults if since <= max(at, self.defaults[0][0])][-1]

    def promote(self, version: int, at: float) -> None:
        """Make a version the default."""
        self.defaults.append((at, version))

    def add(self, data: Mapping[str, Any]) -> int:
        """Add a version."""
        self.newest += 1
        self.versions[self.newest] = data
        return self.newest


MOST_IN_A_CALL = 200


class SourceServers:
    """
    DRS and EC2 of every account and Region at once.

    Parameters:
        now: Seconds of the world's time.
        choose_lag: Chooses by how many seconds a read of EC2 is behind.
    """

    def __init__(self, now: Callable[[], float], choose_lag: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self._choose_lag = choose_lag
        self.configurations: dict[str, dict[str, Any]] = {}
        self.templates: dict[str, Template] = {}
        self.jobs: list[dict[str, Any]] = []
        self.job_times: dict[str, float] = {}
        """When each job was started."""
        self.job_seconds = 90.0
        """How long a job takes."""
        self.job_lag = 0.0
        """How long after its start a job is not listed yet."""
        self.most_jobs = 20
        self.unrecoverable: set[str] = set()
        """The source servers for which StartRecovery refuses a whole job."""
        self._tokens: dict[str, tuple[Mapping[str, Any], int]] = {}
        self._modified: set[str] = set()

    def add(self, *server_ids: str) -> None:
        """Add source servers, as DRS makes them."""
        for server_id in server_ids:
            self.configurations[server_id] = dict(NEW_CONFIGURATION)
            template = Template(f"lt-{server_id[2:]}", server_id, {1: NEW_TEMPLATE}, [(self._now(), 1)])
            self.templates[template.template_id] = template

    def template_of(self, server_id: str) -> Template:
        """Find a source server's launch template."""
        return self.templates[f"lt-{server_id[2:]}"]

    def edit(self, server_id: str, **members: Any) -> None:
        """Write a new default version, as somebody else does."""
        template = self.template_of(server_id)
        template.promote(template.add({**template.data, **members}), self._now())

    # --- DRS

    def get_launch_configuration(self, **request: Any) -> dict[str, Any]:
        """Answer what DRS holds."""
        return self._configuration(request["sourceServerID"], "GetLaunchConfiguration")

    def update_launch_configuration(self, **request: Any) -> dict[str, Any]:
        """Set the fields that are named."""
        server_id = request.pop("sourceServerID")
        self._configuration(server_id, "UpdateLaunchConfiguration")
        self.configurations[server_id] |= request
        return self._configuration(server_id, "UpdateLaunchConfiguration")

    def start_recovery(self, **request: Any) -> dict[str, Any]:
        """Start a job; a source server that is in one that runs refuses it whole, and so does one that is unknown."""
        asked = {each["sourceServerID"] for each in request["sourceServers"]}
        running = [job for job in self._describe_jobs() if job["status"] != "COMPLETED"]
        if asked & {each["sourceServerID"] for job in running for each in job["participatingServers"]}:
            raise refuse("ConflictException", "StartRecovery")
        if asked & self.unrecoverable or asked - self.configurations.keys():
            raise refuse("ValidationException", "StartRecovery")
        if len(running) >= self.most_jobs:
            raise refuse("ServiceQuotaExceededException", "StartRecovery")
        servers = [{"sourceServerID": each["sourceServerID"]} for each in request["sourceServers"]]
        job = {
            "jobID": f"drsjob-{len(self.jobs):017d}",
            "initiatedBy": "START_DRILL" if request["isDrill"] else "START_RECOVERY",
            "tags": request["tags"],
            "participatingServers": servers,
        }
        self.jobs.append(job)
        self.job_times[job["jobID"]] = self._now()
        return {"job": {**job, "status": "PENDING"}}

    def describe_jobs(self, **request: Any) -> dict[str, Any]:
        """List the jobs, each as far as it is: the templates are read in the middle of its time."""
        named, since = request["filters"].get("jobIDs"), self._now() - self.job_lag
        listed = [job for job in self._describe_jobs() if self.job_times[job["jobID"]] <= since]
        return {"items": [job for job in listed if named is None or job["jobID"] in named]}

    def _describe_jobs(self) -> list[dict[str, Any]]:
        described = []
        for job in self.jobs:
            over = self._now() >= self.job_times[job["jobID"]] + self.job_seconds
            launch = {"launchStatus": "LAUNCHED" if over else "PENDING"}
            servers = [{**each, **launch} for each in job["participatingServers"]]
            described.append({**job, "status": "COMPLETED" if over else "STARTED", "participatingServers": servers})
        return described

    def find_launching(self, server_id: str) -> str | None:
        """Tell which wave's job may still read the source server's template for a launch."""
        for job in self._describe_jobs():
            members = {each["sourceServerID"] for each in job["participatingServers"]}
            if job["status"] != "COMPLETED" and server_id in members:
                return str(job["tags"]["prelaunch:waveId"])
        return None

    def _configuration(self, server_id: str, operation: str) -> dict[str, Any]:
        if server_id not in self.configurations:
            raise refuse("ResourceNotFoundException", operation)
        template_id = self.template_of(server_id).template_id
        return {"sourceServerID": server_id, "ec2LaunchTemplateID": template_id, **self.configurations[server_id]}

    # --- EC2

    def describe_launch_template_versions(self, **request: Any) -> dict[str, Any]:
        """Answer the default version, perhaps that of a moment ago."""
        assert request["Versions"] == ["$Default"]
        if "LaunchTemplateId" not in request:
            return self._describe_all(int(request.get("NextToken", 0)), request["MaxResults"])
        template = self._template(request, "DescribeLaunchTemplateVersions")
        number = template.default_at(self._now() - self._choose_lag())
        return {"LaunchTemplateVersions": [{"VersionNumber": number, DATA: template.versions[number]}]}

    def _describe_all(self, start: int, limit: int) -> dict[str, Any]:
        assert limit <= MOST_IN_A_CALL
        at = self._now() - self._choose_lag()
        templates = list(self.templates.values())
        versions = [
            {"LaunchTemplateId": each.template_id, "VersionNumber": number, DATA: each.versions[number]}
            for each in templates[start : start + limit]
            for number in [each.default_at(at)]
        ]
        more = {"NextToken": str(start + limit)} if start + limit < len(templates) else {}
        return {"LaunchTemplateVersions": versions, **more}

    def describe_launch_templates(self, **request: Any) -> dict[str, Any]:
        """Tell default versions, perhaps those of a moment ago; one template that is gone fails it."""
        asked = request["LaunchTemplateIds"]
        assert len(asked) <= MOST_IN_A_CALL
        templates = [self._template({"LaunchTemplateId": each}, "DescribeLaunchTemplates") for each in asked]
        at = self._now() - self._choose_lag()
        versions = {each.template_id: each.default_at(at) for each in templates}
        found = [{"LaunchTemplateId": each, "DefaultVersionNumber": number} for each, number in versions.items()]
        return {"LaunchTemplates": found}

    def create_launch_template_version(self, **request: Any) -> dict[str, Any]:
        """Add a version; the same token answers the same number again."""
        template = self._template(request, "CreateLaunchTemplateVersion")
        token = request["ClientToken"]
        if token in self._tokens:
            before, number = self._tokens[token]
            if before != request:
                raise refuse("IdempotentParameterMismatch", "CreateLaunchTemplateVersion")
            return {"LaunchTemplateVersion": {"VersionNumber": number}}
        source = int(request.get("SourceVersion", 0))
        if source and source not in template.versions:
            raise refuse("InvalidLaunchTemplateId.VersionNotFound", "CreateLaunchTemplateVersion")
        inherited = template.versions[source] if source else {}
        number = template.add({**inherited, **request[DATA]})
        template.made.append((source, repr(sorted(request[DATA].items()))))
        self._tokens[token] = (request, number)
        return {"LaunchTemplateVersion": {"VersionNumber": number}}

    def modify_launch_template(self, **request: Any) -> dict[str, Any]:
        """Promote a version; a token that was seen is a success that does nothing."""
        template = self._template(request, "ModifyLaunchTemplate")
        version = int(request["DefaultVersion"])
        if version not in template.versions:
            raise refuse("InvalidLaunchTemplateId.VersionNotFound", "ModifyLaunchTemplate")
        if request["ClientToken"] not in self._modified:
            self._modified.add(request["ClientToken"])
            template.promote(version, self._now())
        return {}

    def _template(self, request: Mapping[str, Any], operation: str) -> Template:
        template = self.templates.get(request["LaunchTemplateId"])
        if template is None:
            raise refuse("InvalidLaunchTemplateId.NotFound", operation)
        return template
