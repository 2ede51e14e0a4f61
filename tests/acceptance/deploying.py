"""Deploy as a person does, from a repository with one commit: Amazon's own `aws`, and a `docker` that writes down."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance import deployed_aws
from tests.acceptance.commands import make_environment

ROOT = Path(__file__).parents[2]
DEPLOYED = ("infra/__init__.py", "infra/parameters.py", "infra/deploy.sh", "infra/Dockerfile")
PATIENCE_SECONDS = 120
DOING = {"docker login", "docker build", "docker push"}
TOOLS = {
    "aws": """
import os, sys
write_down("aws", sys.argv[1:])
os.execv({aws!r}, ["aws", *sys.argv[1:]])
""",
    # No engine can be had here. What is pushed is in the registry afterwards, as the registry then says.
    "docker": """
import os, sys
write_down("docker", sys.argv[1:])
verb = sys.argv[1]
if verb == os.environ.get("DOCKER_FAILS"):
    sys.exit("docker: " + verb + " failed")
if verb == "login":
    assert sys.stdin.read()
if verb == "push":
    import boto3, hashlib, json
    repository, _, tag = sys.argv[2].rpartition("/")[2].partition(":")
    layer = {{"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1}}
    layer["digest"] = "sha256:" + hashlib.sha256(tag.encode()).hexdigest()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {{"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": []}}
    manifest = json.dumps(manifest)
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    boto3.client("ecr").put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest, imageDigest=digest)
""",
}
WRITE_DOWN = """
def write_down(tool, arguments):
    import json
    with open({log!r}, "a") as log:
        log.write(json.dumps([tool, *arguments]) + "\\n")
"""


@dataclass(frozen=True)
class Deployed:
    """What one run of the script came to."""

    status: int
    output: str
    errors: str
    calls: list[list[str]]
    """Each call of a tool: its name, then its arguments."""

    def said(self) -> list[str]:
        """The lines that it complained with, without its name."""
        return [line.removeprefix("deploy: ") for line in self.errors.splitlines() if line.startswith("deploy: ")]

    def changing(self) -> list[str]:
        """What it did that changes something, in its order."""
        calls = [["docker", *call[2:]] if call[:3] == ["docker", "buildx", "build"] else call for call in self.calls]
        named = [" ".join([*call[:2], *call[4:5]]) if "deploy" in call else " ".join(call[:2]) for call in calls]
        return [name for name in named if name.startswith("aws cloudformation prelaunch") or name in DOING]


@dataclass
class Deploying:
    """A repository that is deployed from."""

    url: str
    path: Path
    tools: Path
    log: Path
    _read: int = field(default=0)

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.path, capture_output=True, text=True, check=True, env=self._plain()
        ).stdout.strip()

    def commit(self, what: str = "a change") -> None:
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "--message", what)

    def run(self, *arguments: str, without: Sequence[str] = (), **variables: str) -> Deployed:
        """Run the script, without some variables and tools, and with variables of its own."""
        reached = {"PATH": f"{self.tools}:{self.path.parent / 'plain'}", **deployed_aws.make_environment(self.url)}
        environment = {**self._plain(), **reached, **variables}
        for name in without:
            environment.pop(name, None)
        hidden = {"docker", "aws"} & {*without}
        for name in hidden:
            (self.tools / name).rename(self.tools / f"{name}.hidden")
        try:
            ran = subprocess.run(
                [self.path / "infra" / "deploy.sh", *arguments],
                env=environment,
                cwd=self.path.parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        finally:
            for name in hidden:
                (self.tools / f"{name}.hidden").rename(self.tools / name)
        calls = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        new, self._read = calls[self._read :], len(calls)
        return Deployed(ran.returncode, ran.stdout, ran.stderr, new)

    def paste(self, command: str) -> None:
        """Do what a line of the script's output says."""
        environment = {**self._plain(), **deployed_aws.make_environment(self.url)}
        environment["PATH"] = f"{self.tools}:{self.path.parent / 'plain'}"
        subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True)

    def ask(self, service: str) -> Any:
        return deployed_aws.open_client(service, self.url)

    def list_log_groups(self) -> list[str]:
        return [each["logGroupName"] for each in self.ask("logs").describe_log_groups()["logGroups"]]

    def list_events(self) -> list[str]:
        """Everything that has happened to any stack."""
        cloudformation = self.ask("cloudformation")
        stacks = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
        return [
            event["EventId"]
            for stack in stacks
            for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        ]

    def _plain(self) -> dict[str, str]:
        kept = {name: value for name, value in make_environment().items() if not name.startswith("GIT_")}
        return {**kept, "PYTHON": sys.executable, "HOME": str(self.path.parent)}


def _make_tools(tools: Path, log: Path) -> None:
    tools.mkdir()
    aws = str(Path(sys.executable).with_name("aws"))
    for name, text in TOOLS.items():
        tool = tools / name
        tool.write_text(f"#!{sys.executable}\n" + (WRITE_DOWN + text).format(log=str(log), aws=aws))
        tool.chmod(0o755)


def _make_plain(plain: Path) -> None:
    """A directory of the tools that the script takes for granted, so that those of this machine do not stand in."""
    plain.mkdir()
    for name in ("bash", "env", "dirname", "git", "tr", "date", "cat", "uname"):
        found = shutil.which(name)
        assert found, name
        (plain / name).symlink_to(found)


@contextmanager
def deploying(place: Path) -> Iterator[Deploying]:
    """Make the repository and run the server."""
    path = place / "repository"
    for name in (*DEPLOYED, *(str(each.relative_to(ROOT)) for each in (ROOT / "infra").glob("*.yaml"))):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, path / name)
    (path / ".gitignore").write_text("__pycache__/\n")
    _make_tools(place / "tools", place / "calls.log")
    _make_plain(place / "plain")
    with deployed_aws.running() as url:
        made = Deploying(url, path, place / "tools", place / "calls.log")
        made.git("init", "--quiet")
        made.commit("the first")
        yield made
