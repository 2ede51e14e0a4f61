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
    (build,) = (call for call in run.calls if call[:3] == ["docker", "buildx", "build"])
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
    assert "PRELAUNCH_STACK=prelaunch-dev .venv/bin/prelaunch doctor --region eu-west-1" in told
    *admin, doctor, log = (line.replace("YOU", "alice") for line in told.splitlines() if line.startswith("  aws "))
    for line in admin:
        repository.paste(line)
    # Else Cognito writes to a telephone (botocore's model of AdminCreateUser).
    assert "--desired-delivery-mediums EMAIL" in admin[0]
    assert re.search(r"run-task .*subnets=\[subnet-\w+,subnet-\w+\].*\"doctor\"", doctor)
    # Checked as AWS's model of it says, and not sent: moto runs no task of a definition that its CloudFormation made.
    repository.paste(f"{doctor} --generate-cli-skeleton output")
    (worker,) = (each for each in repository.list_log_groups() if each.endswith("/worker"))
    assert log.startswith(f"  aws logs tail {worker} --region eu-west-1")
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
        (("a--b",), "single hyphens"),
        (("dev-service",), "so ends the name of a stack of another environment"),
        (("repository",), "so ends the name of a stack of another environment"),
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


@contextmanager
def in_state(repository: Deploying, state: str) -> Iterator[None]:
    """`aws` tells that what runs is in another state than it is."""
    aws = repository.tools / "aws"
    whole = aws.read_text()
    says = f"""
if "StackName,StackStatus" in " ".join(sys.argv):
    print("prelaunch-dev-service\\t{state}")
    sys.exit()
os.execv("""
    aws.write_text(whole.replace("\nos.execv(", says, 1))
    try:
        yield
    finally:
        aws.write_text(whole)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ROLLBACK_COMPLETE", "and takes no change: aws cloudformation delete-stack --stack-name"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name"),
        ("UPDATE_FAILED", "aws cloudformation rollback-stack --stack-name"),
        ("UPDATE_IN_PROGRESS", "somebody else deploys"),
    ],
)
def test_a_stack_that_takes_no_change_is_told_beforehand(repository: Deploying, state: str, said: str) -> None:
    """With what to do: CloudFormation would refuse it, when the steps before it are done."""
    with in_state(repository, state):
        refused = repository.run("dev")
    assert refused.status == 1
    assert refused.said()[0].startswith(f"The stack prelaunch-dev-service is {state}")
    assert said in refused.said()[0]
    assert refused.changing() == []


def test_a_stack_of_which_nothing_was_made_yet_is_in_nobody_s_way(repository: Deploying) -> None:
    """Its change set was made and never carried out: `aws cloudformation deploy` makes it."""
    repository.ask("cloudformation").create_change_set(
        StackName="prelaunch-half-service",
        ChangeSetName="never",
        ChangeSetType="CREATE",
        TemplateBody=(ROOT / "infra" / "repository.yaml").read_text(),
    )
    failed = repository.run("half", DOCKER_FAILS="login")
    assert failed.status == 1
    assert failed.changing()[-1] == "docker login"


@contextmanager
def environment_file(repository: Deploying, environment: str, **values: str) -> Iterator[None]:
    """An environment says what differs, in a commit; it is gone afterwards, as from another clone."""
    file = repository.path / "infra" / "environments" / f"{environment}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]))
    repository.commit()
    try:
        yield
    finally:
        file.unlink()
        repository.commit()


def test_what_nobody_asked_for_is_not_changed(repository: Deploying) -> None:
    """
    Where the file is not there by which what runs was deployed, nothing is changed: it is named, and what it said.

    Its values would go back to the defaults else, without a word: nobody told of alarms, workers in another VPC. The
    user pool stays as long as the service does: API Gateway's stage would go on asking for tokens of the one before.
    """
    topic = "arn:aws:sns:eu-west-1:111122223333:on-call"
    with environment_file(repository, "kept", AlarmTopic=topic):
        assert repository.run("kept").status == 0
    refused = repository.run("kept")
    assert refused.status == 1
    named = f"There is no infra/environments/kept.json, and prelaunch-kept-service runs with AlarmTopic={topic}. "
    assert refused.said()[0].startswith(named)
    assert refused.changing() == []
    pool = {"UserPoolId": "eu-west-1_Company1", "UserPoolDomain": "https://sso.example.com"}
    with environment_file(repository, "kept", **pool):
        refused = repository.run("kept")
    assert refused.status == 1
    assert refused.said()[0].startswith("UserPoolId cannot change from '' to 'eu-west-1_Company1' while")
    assert refused.changing() == []
    with environment_file(repository, "kept"):
        assert repository.run("kept").status == 0


def test_another_s_role_for_logs_is_not_replaced(repository: Deploying) -> None:
    """API Gateway has one for account and Region: who deploys is told, before anything is changed."""
    role = "arn:aws:iam::123456789012:role/theirs"
    change = {"op": "replace", "path": "/cloudwatchRoleArn"}
    repository.ask("apigateway").update_account(patchOperations=[{**change, "value": role}])
    try:
        refused = repository.run("second")
    finally:
        repository.ask("apigateway").update_account(patchOperations=[{**change, "value": ""}])
    assert refused.status == 1
    told = f'API Gateway in eu-west-1 writes logs by {role} already: say "ApiLogRole": "there" in '
    assert refused.said()[0].startswith(told)
    assert refused.changing() == []


def test_without_what_make_makes_it_says_so(repository: Deploying) -> None:
    """The script by itself, in a clone where nothing was made yet."""
    refused = repository.run("dev", PYTHON=".venv/bin/python")
    assert refused.status == 1
    assert refused.said()[0].startswith("There is no .venv/bin/python: `make deploy ENV=dev` makes it")


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
