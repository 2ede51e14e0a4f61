"""`make deploy`: what it does and in which order, what it leaves alone, and what it says where something is missing."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.deploying import ROOT, Deployed, Deploying, deploying

# Nothing of producer or workers runs here: there is nothing to measure.
pytestmark = [pytest.mark.xdist_group("deploy"), pytest.mark.unmeasured]
STACKS = ("prelaunch-dev", "prelaunch-dev-repository", "prelaunch-dev-service")
NOTHING = "Nothing was changed."


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploying]:
    with deploying(tmp_path_factory.mktemp("deploy")) as made:
        yield made


def read_image(repository: Deploying) -> str:
    return str(repository.ask("lambda").get_function(FunctionName="prelaunch-dev")["Code"]["ImageUri"])


def test_each_step_comes_after_what_it_needs_and_is_taken_once(tmp_path: Path) -> None:
    """State, repository, image, and what runs, all of it by the image's digest; a second run changes nothing."""
    with deploying(tmp_path) as repository:
        run = repository.run("dev")
        assert run.status == 0, run.errors
        check_order(repository, run)
        check_images(repository)
        check_words(repository, run.output)
        before = repository.list_events()
        again = repository.run("dev")
        assert (again.status, again.errors) == (0, "")
        assert not [name for name in again.changing() if name.startswith("docker")]
        assert repository.list_events() == before
        assert again.output.splitlines()[-10:] == run.output.splitlines()[-10:]


def check_order(repository: Deploying, run: Deployed) -> None:
    state, registry, service = (f"aws cloudformation {stack}" for stack in STACKS)
    assert run.changing() == [state, registry, "docker login", "docker build", "docker push", service]
    (build,) = (call for call in run.calls if call[:2] == ["docker", "build"])
    assert "--provenance=false" in build
    assert build[build.index("--platform") + 1] == "linux/amd64"
    assert build[-2].endswith(f"/prelaunch-dev:{repository.git('rev-parse', '--short=12', 'HEAD')}")


def check_images(repository: Deploying) -> None:
    (pushed,) = repository.ask("ecr").describe_images(repositoryName="prelaunch-dev")["imageDetails"]
    ecs = repository.ask("ecs")
    (task,) = ecs.list_task_definitions(familyPrefix="prelaunch-dev")["taskDefinitionArns"]
    (container,) = ecs.describe_task_definition(taskDefinition=task)["taskDefinition"]["containerDefinitions"]
    images = {read_image(repository).partition("/")[2], container["image"].partition("/")[2]}
    assert images == {f"prelaunch-dev@{pushed['imageDigest']}"}


def check_words(repository: Deploying, told: str) -> None:
    (api,) = repository.ask("apigateway").get_rest_apis()["items"]
    assert f"https://{api['id']}.execute-api.eu-west-1.amazonaws.com/prelaunch/\n" in told
    assert "PRELAUNCH_STACK=prelaunch-dev prelaunch doctor --region eu-west-1" in told
    *admin, doctor = (line.replace("YOU", "alice") for line in told.splitlines() if line.startswith("  aws "))
    for line in admin:
        repository.paste(line)
    # Else Cognito writes to a telephone (botocore's model of AdminCreateUser).
    assert "--desired-delivery-mediums EMAIL" in admin[0]
    assert re.search(r"run-task .*subnets=\[subnet-\w+,subnet-\w+\].*\"doctor\"", doctor)
    # Checked as AWS's model of it says, and not sent: moto runs no task of a definition that its CloudFormation made.
    repository.paste(f"{doctor} --generate-cli-skeleton output")
    cognito = repository.ask("cognito-idp")
    (pool,) = cognito.list_user_pools(MaxResults=5)["UserPools"]
    (first,) = cognito.list_users_in_group(UserPoolId=pool["Id"], GroupName="admin")["Users"]
    assert first["Username"] == "alice"


def test_what_ran_before_runs_on_where_a_step_fails(repository: Deploying) -> None:
    """
    And the next run does what is left, with what the environment's file says.

    Changes that are in no commit are deployed only if that is said, and then by a name of their own.
    """
    assert repository.run("dev").status == 0
    image, before = read_image(repository), repository.list_events()
    file = repository.path / "infra" / "environments" / "dev.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([{"ParameterKey": "RateFactor", "ParameterValue": "2.5"}]))
    repository.commit()
    failed = repository.run("dev", DOCKER_FAILS="push")
    assert failed.status == 1
    assert failed.changing()[-1] == "docker push"
    assert failed.said() == ["The image was not pushed. What ran before runs on; run this again."]
    assert (read_image(repository), repository.list_events()) == (image, before)
    with broken_template(repository):
        refused = repository.run("dev")
        failed = repository.run("dev", ALLOW_DIRTY="1")
    assert refused.status == 1
    assert refused.said()[0] == "The tree has changes that are in no commit: commit them, or say ALLOW_DIRTY=1."
    assert refused.changing() == []
    (pushed,) = (call[-1] for call in failed.calls if call[:2] == ["docker", "push"])
    assert re.search(r":[0-9a-f]{12}-dirty-\d{8}T\d{6}Z$", pushed)
    assert failed.status == 1
    assert failed.changing()[-1] == "aws cloudformation prelaunch-dev-service"
    assert "describe-stack-events --stack-name prelaunch-dev-service" in failed.said()[0]
    assert "is deployed" not in failed.output
    assert read_image(repository) == image
    assert repository.run("dev").status == 0
    assert read_image(repository) != image
    described = repository.ask("lambda").get_function_configuration(FunctionName="prelaunch-dev")
    assert described["Environment"]["Variables"]["PRELAUNCH_RATE_FACTOR"] == "2.5"


@contextmanager
def broken_template(repository: Deploying) -> Iterator[None]:
    """What runs names a resource that is not there."""
    template = repository.path / "infra" / "service.yaml"
    whole = template.read_text()
    template.write_text(whole.replace("!Ref FunctionLog\n", "!Ref Nowhere\n", 1))
    try:
        yield
    finally:
        template.write_text(whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say which environment: make deploy ENV=dev."),
        (("",), "Say which environment: make deploy ENV=dev."),
        (("dev", "test"), "Say which environment: make deploy ENV=dev."),
        (("Dev",), "ENV=Dev cannot be"),
        (("dev-",), "ENV=dev- cannot be"),
        (("d" * 31,), "at most 30"),
        (("my-aws",), "aws, amazon and cognito may not stand in it"),
    ],
)
def test_a_wrong_environment_is_wrong_use(repository: Deploying, arguments: tuple[str, ...], said: str) -> None:
    """Status 2, one line, and nobody is asked anything."""
    refused = repository.run(*arguments)
    assert refused.status == 2
    assert len(refused.said()) == 1
    assert said in refused.said()[0]
    assert refused.calls == []


def test_all_that_is_missing_is_said_at_once(repository: Deploying) -> None:
    """Before anything is changed."""
    file = repository.path / "infra" / "environments" / "test.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([{"ParameterKey": "WorkerTask", "ParameterValue": "2"}]))
    try:
        refused = repository.run("test", without=("docker", "AWS_REGION", "AWS_DEFAULT_REGION"))
    finally:
        file.unlink()
    assert refused.status == 1
    told = refused.said()
    assert [line for line in told if line.startswith("docker is not installed")]
    assert [line for line in told if line.startswith("The tree has changes")]
    assert [line for line in told if line.startswith("infra/environments/test.json names WorkerTask;")]
    assert [line for line in told if line.startswith("No Region is chosen")]
    assert told[-1] == NOTHING
    assert refused.changing() == []


@pytest.mark.parametrize(
    ("variables", "without", "status", "said"),
    [
        ({}, ("aws",), 1, "aws is not installed"),
        ({"DOCKER_FAILS": "info"}, (), 1, "No Docker engine answers"),
        ({"DOCKER_FAILS": "buildx"}, (), 1, "Docker has no buildx"),
        ({}, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), 3, "Unable to locate credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, (), 3, "Could not connect to the endpoint"),
    ],
)
def test_what_is_missing_is_named(
    repository: Deploying, variables: dict[str, str], without: tuple[str, ...], status: int, said: str
) -> None:
    """A tool, the engine, or AWS itself: nothing was changed, and the status tells the two apart."""
    refused = repository.run("dev", without=without, **variables)
    assert refused.status == status
    assert len(refused.said()) == 2
    assert said in refused.said()[0]
    assert refused.said()[1] == NOTHING
    assert refused.changing() == []


def test_a_stack_that_takes_no_change_is_told_beforehand(repository: Deploying) -> None:
    """One that was never deployed whole, say: CloudFormation would refuse it, one step after the other."""
    repository.ask("cloudformation").create_change_set(
        StackName="prelaunch-half-service",
        ChangeSetName="never",
        ChangeSetType="CREATE",
        TemplateBody=(ROOT / "infra" / "repository.yaml").read_text(),
    )
    refused = repository.run("half")
    assert refused.status == 1
    assert refused.said()[0].startswith("The stack prelaunch-half-service is REVIEW_IN_PROGRESS and takes no change")
    assert refused.changing() == []


def test_make_says_which_environment_is_missing() -> None:
    """In one line, and make fails."""
    ran = subprocess.run(
        ["make", "--silent", "--old-file", ".venv/.dev", "deploy"],
        cwd=Path(ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0] == "deploy: Say which environment: make deploy ENV=dev."
