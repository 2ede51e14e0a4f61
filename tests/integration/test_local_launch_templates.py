"""The stand-in's launch templates against what is known of EC2's, through boto3 and HTTP."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from infra.local.launch_templates import launch_template_backends
from infra.local.launch_templates.responses import answer
from infra.local.world import WORLD
from tests.integration.local_services import (
    REGION,
    Account,
    advance,
    all_at_once,
    open_account,
    own_world,
    refused,
)

_names = itertools.count()


@pytest.fixture
def account(endpoint: str) -> Iterator[Account]:
    with own_world():
        yield open_account(endpoint)


def rich_data(account: Account) -> dict[str, Any]:
    subnet, group = account.network()
    return {
        "InstanceType": "m5.large",
        "Monitoring": {"Enabled": True},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3", "Iops": 4000}}],
        "NetworkInterfaces": [
            {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "DeleteOnTermination": True},
            {"DeviceIndex": 1, "SubnetId": subnet, "Groups": [group]},
        ],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}]}],
    }


def make_template(account: Account, data: dict[str, Any] | None = None) -> str:
    created = account.ec2.create_launch_template(
        LaunchTemplateName=f"template-{next(_names)}", LaunchTemplateData=data or rich_data(account)
    )
    return str(created["LaunchTemplate"]["LaunchTemplateId"])


def add_version(account: Account, template_id: str, data: dict[str, Any], **more: Any) -> int:
    created = account.ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData=data, **more)
    return int(created["LaunchTemplateVersion"]["VersionNumber"])


def promote(account: Account, template_id: str, number: int, **more: Any) -> None:
    account.ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(number), **more)


def read_versions(account: Account, **request: Any) -> list[dict[str, Any]]:
    pages = account.ec2.get_paginator("describe_launch_template_versions").paginate(**request)
    return [version for page in pages for version in page["LaunchTemplateVersions"]]


def without_state(data: dict[str, Any]) -> dict[str, Any]:
    """What EC2 answered, without what only its answers hold."""
    if "MetadataOptions" not in data:
        return data
    options = {name: value for name, value in data["MetadataOptions"].items() if name != "State"}
    return {**data, "MetadataOptions": options}


def test_a_new_version_changes_nothing_until_it_is_promoted(account: Account) -> None:
    """EC2 launches from the default version, and only ModifyLaunchTemplate moves that."""
    template_id = make_template(account)
    number = add_version(account, template_id, {"InstanceType": "c5.large"}, SourceVersion="1")
    before = account.default_version(template_id)
    promote(account, template_id, number)
    after = account.default_version(template_id)
    assert (before["VersionNumber"], after["VersionNumber"]) == (1, number) == (1, 2)
    assert (before["DefaultVersion"], after["DefaultVersion"]) == (True, True)
    assert [after["LaunchTemplateData"]["InstanceType"], before["LaunchTemplateData"]["InstanceType"]] == [
        "c5.large",
        "m5.large",
    ]


def test_the_promoted_number_is_not_the_latest(account: Account) -> None:
    """`$Latest` is whatever anyone made last; the promoted number is what was asked for."""
    template_id = make_template(account)
    ours = add_version(account, template_id, {"InstanceType": "c5.large"}, SourceVersion="1")
    theirs = add_version(account, template_id, {"InstanceType": "t3.nano"}, SourceVersion="1")
    promote(account, template_id, ours)
    (described,) = account.ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
    assert (described["DefaultVersionNumber"], described["LatestVersionNumber"]) == (ours, theirs)


def test_a_source_version_is_inherited_and_a_sent_member_replaces_its_own_whole(account: Account) -> None:
    """SourceVersion keeps every member that is not sent; one that is sent is replaced, not merged."""
    data = rich_data(account)
    template_id = make_template(account, data)
    sent = {
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": data["NetworkInterfaces"][0]["SubnetId"]}],
        "MetadataOptions": {"HttpTokens": "optional"},
    }
    number = add_version(account, template_id, sent, SourceVersion="1")
    (version,) = read_versions(account, LaunchTemplateId=template_id, Versions=[str(number)])
    assert without_state(version["LaunchTemplateData"]) == {**data, **sent}


def test_without_a_source_version_everything_not_sent_is_lost(account: Account) -> None:
    """Disks, IMDSv2, tags and interfaces are gone from a version that names no source."""
    template_id = make_template(account)
    number = add_version(account, template_id, {"InstanceType": "c5.large"})
    (version,) = read_versions(account, LaunchTemplateId=template_id, Versions=[str(number)])
    assert version["LaunchTemplateData"] == {"InstanceType": "c5.large"}


def test_every_member_of_the_request_comes_back(account: Account) -> None:
    """What the service model lets a client send is stored and answered: no name on the wire is lost."""
    shape = account.ec2.meta.service_model.shape_for("RequestLaunchTemplateData")
    data = sample_of(shape)
    template_id = make_template(account, data)
    assert without_state(account.default_version(template_id)["LaunchTemplateData"]) == data


def sample_of(shape: Any) -> Any:
    """Some value with every member of a shape in it."""
    plain = {"boolean": True, "integer": 7, "long": 8, "double": 0.5, "string": f"some {shape.name}"}
    match shape.type_name:
        case "structure":
            return {name: sample_of(member) for name, member in shape.members.items()}
        case "list":
            return [sample_of(shape.member), sample_of(shape.member)]
        case "timestamp":
            return datetime(2030, 1, 1, tzinfo=UTC)
        case kind:
            return plain[kind]


@pytest.mark.parametrize("text", ["<&>\"'", "a\r\nb\tc", " blank ", "ü 漢 🚀", "", "]]>"])
def test_text_comes_back_as_it_was_sent(account: Account, text: str) -> None:
    """Any text that XML can carry survives, whatever it holds."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": text}]}]
    template_id = make_template(account, {"TagSpecifications": tags})
    assert account.default_version(template_id)["LaunchTemplateData"]["TagSpecifications"] == tags


def test_a_control_character_is_refused(account: Account) -> None:
    """A character that XML cannot carry is refused when it is sent, not when it is read."""
    assert refused(lambda: make_template(account, {"KeyName": "a\x01b"})) == ("InvalidParameterValue", 400)


def test_a_client_token_makes_one_version(account: Account) -> None:
    """The same token and parameters answer the same version number again, and nothing is made."""
    template_id = make_template(account)
    request = {"SourceVersion": "1", "VersionDescription": "d", "ClientToken": "a" * 64}
    numbers = [add_version(account, template_id, {"InstanceType": "c5.large"}, **request) for _ in range(3)]
    assert numbers == [2, 2, 2]
    assert len(read_versions(account, LaunchTemplateId=template_id)) == 2


def test_a_client_token_makes_one_template(account: Account) -> None:
    """CreateLaunchTemplate with the same token answers the same template, and not that its name is taken."""
    request = {"LaunchTemplateName": "once", "LaunchTemplateData": {"KeyName": "k"}, "ClientToken": "t"}
    ids = [account.ec2.create_launch_template(**request)["LaunchTemplate"]["LaunchTemplateId"] for _ in range(2)]
    assert ids[0] == ids[1]


def test_a_warning_is_repeated_with_its_token(account: Account) -> None:
    """A repeated token warns as the first answer did: a lost answer must not hide the warning."""
    template_id = make_template(account)
    answers = [
        account.ec2.create_launch_template_version(
            LaunchTemplateId=template_id, LaunchTemplateData={"InstanceType": "nope"}, ClientToken="t"
        )
        for _ in range(2)
    ]
    assert answers[0]["Warning"] == answers[1]["Warning"]


@pytest.mark.parametrize(
    "change",
    [
        {"VersionDescription": "other"},
        {"SourceVersion": "2"},
        {"LaunchTemplateData": {"InstanceType": "c5.large"}},
    ],
    ids=["description", "source", "data"],
)
def test_a_client_token_with_other_parameters_is_refused(account: Account, change: dict[str, Any]) -> None:
    """Every parameter but the token must be the same, the description too."""
    template_id = make_template(account)
    add_version(account, template_id, {"InstanceType": "t3.nano"})
    request = {
        "LaunchTemplateId": template_id,
        "LaunchTemplateData": {"InstanceType": "m5.xlarge"},
        "SourceVersion": "1",
        "VersionDescription": "d",
        "ClientToken": "token",
    }
    account.ec2.create_launch_template_version(**request)
    error = refused(lambda: account.ec2.create_launch_template_version(**{**request, **change}))
    assert error == ("IdempotentParameterMismatch", 400)


def test_a_client_token_is_not_used_up_by_a_refusal(account: Account) -> None:
    """A call that was refused leaves its token free."""
    template_id = make_template(account)
    with pytest.raises(account.ec2.exceptions.ClientError):
        add_version(account, template_id, {"InstanceType": "t3.nano"}, SourceVersion="9", ClientToken="t")
    assert add_version(account, template_id, {"InstanceType": "t3.nano"}, ClientToken="t") == 2


def test_a_repeated_token_of_modify_does_nothing_and_succeeds(account: Account) -> None:
    """A repair with the token of an earlier promotion would change nothing and look like a success."""
    template_id = make_template(account)
    number = add_version(account, template_id, {"InstanceType": "c5.large"})
    promote(account, template_id, number, ClientToken="m")
    promote(account, template_id, 1)
    promote(account, template_id, number, ClientToken="m")
    assert account.default_version(template_id)["VersionNumber"] == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"InstanceType": "m5.3xlarge"}, "InvalidInstanceType"),
        ({"InstanceType": "M5.large"}, "InvalidInstanceType"),
        ({"SecurityGroupIds": ["sg-nope"]}, "InvalidGroupId.Malformed"),
        ({"NetworkInterfaces": [{"Groups": ["sg-0123456789abcdef0"]}]}, "InvalidGroup.NotFound"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": 0}]}, "InvalidParameterValue"),
        (
            {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1"}]},
            "InvalidParameterCombination",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}], "SecurityGroups": ["default"]},
            "InvalidParameterCombination",
        ),
        ({"BlockDeviceMappings": [{"Ebs": {"VolumeType": "io2"}}]}, "MissingParameter"),
    ],
)
def test_bad_data_is_stored_with_a_warning(account: Account, data: dict[str, Any], code: str) -> None:
    """A bad type, group or combination answers 200 with Warning.Errors, and the version is there."""
    template_id = make_template(account)
    answer = account.ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData=data)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [error["Code"] for error in answer["Warning"]["Errors"]] == [code]
    (version,) = read_versions(account, LaunchTemplateId=template_id, Versions=["2"])
    assert version["LaunchTemplateData"] == data


@pytest.mark.parametrize("instance_type", ["m5.large", "t3.nano", "r7iz.metal-16xl", "u-6tb1.112xlarge"])
def test_good_data_has_no_warning(account: Account, instance_type: str) -> None:
    """An instance type of any family, with groups that exist, is stored without a warning."""
    template_id = make_template(account)
    answer = account.ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="1", LaunchTemplateData={"InstanceType": instance_type}
    )
    assert "Warning" not in answer


UNKNOWN = "lt-0123456789abcdef0"


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("describe_launch_templates", {"LaunchTemplateIds": [UNKNOWN]}, "InvalidLaunchTemplateId.NotFound"),
        ("describe_launch_templates", {"LaunchTemplateIds": ["lt-x"]}, "InvalidLaunchTemplateId.Malformed"),
        (
            "describe_launch_templates",
            {"LaunchTemplateNames": ["nobody"]},
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        (
            "describe_launch_templates",
            {"LaunchTemplateIds": [UNKNOWN] * 201},
            "InvalidParameterValue",
        ),
        ("describe_launch_templates", {"MaxResults": 201}, "InvalidParameterValue"),
        ("describe_launch_templates", {"NextToken": "nope"}, "InvalidNextToken"),
        (
            "describe_launch_templates",
            {"Filters": [{"Name": "colour", "Values": ["red"]}]},
            "InvalidParameterValue",
        ),
        ("describe_launch_templates", {"DryRun": True}, "DryRunOperation"),
        (
            "describe_launch_template_versions",
            {"LaunchTemplateId": UNKNOWN},
            "InvalidLaunchTemplateId.NotFound",
        ),
        ("describe_launch_template_versions", {}, "MissingParameter"),
        ("describe_launch_template_versions", {"Versions": ["1"]}, "InvalidParameterValue"),
        ("modify_launch_template", {"LaunchTemplateId": UNKNOWN}, "MissingParameter"),
        ("modify_launch_template", {"DefaultVersion": "1"}, "MissingParameter"),
        (
            "modify_launch_template",
            {"LaunchTemplateId": UNKNOWN, "LaunchTemplateName": "abc", "DefaultVersion": "1"},
            "InvalidParameterCombination",
        ),
        (
            "modify_launch_template",
            {"LaunchTemplateId": UNKNOWN, "DefaultVersion": "1"},
            "InvalidLaunchTemplateId.NotFound",
        ),
        (
            "create_launch_template_version",
            {"LaunchTemplateId": "lt-0", "LaunchTemplateData": {"KeyName": "k"}},
            "InvalidLaunchTemplateId.Malformed",
        ),
        ("create_launch_template_version", {"LaunchTemplateId": UNKNOWN}, "MissingParameter"),
        ("delete_launch_template", {"LaunchTemplateId": UNKNOWN}, "InvalidLaunchTemplateId.NotFound"),
        (
            "create_launch_template",
            {"LaunchTemplateName": "a b", "LaunchTemplateData": {"KeyName": "k"}},
            "InvalidLaunchTemplateName.MalformedException",
        ),
    ],
)
def test_a_wrong_request_is_refused_by_code(
    account: Account, operation: str, request_: dict[str, Any], code: str
) -> None:
    """Each kind of wrong request has EC2's own code."""
    assert refused(lambda: getattr(account.ec2, operation)(**request_))[0] == code


@pytest.mark.parametrize("version", ["2", "0", "$latest", "x", "1.0"])
def test_a_version_that_is_not_there_is_version_not_found(account: Account, version: str) -> None:
    """Describe, Modify and SourceVersion all say InvalidLaunchTemplateId.VersionNotFound."""
    template_id = make_template(account)
    calls = [
        lambda: read_versions(account, LaunchTemplateId=template_id, Versions=[version]),
        lambda: account.ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=version),
        lambda: add_version(account, template_id, {"KeyName": "k"}, SourceVersion=version),
    ]
    assert {refused(call) for call in calls} == {("InvalidLaunchTemplateId.VersionNotFound", 400)}


def test_a_denied_template_can_be_read_and_not_written(account: Account) -> None:
    """UnauthorizedOperation is a 403 and touches one template only."""
    denied, other = make_template(account), make_template(account)
    launch_template_backends[account.account_id][REGION].templates[denied].writes_denied = True
    calls = [
        lambda: add_version(account, denied, {"KeyName": "k"}),
        lambda: promote(account, denied, 1),
        lambda: account.ec2.delete_launch_template(LaunchTemplateId=denied),
        lambda: account.ec2.delete_launch_template_versions(LaunchTemplateId=denied, Versions=["1"]),
    ]
    assert {refused(call) for call in calls} == {("UnauthorizedOperation", 403)}
    assert account.default_version(denied)["VersionNumber"] == 1
    assert add_version(account, other, {"KeyName": "k"}) == 2


def test_the_default_version_of_every_template_comes_in_pages_of_200(account: Account) -> None:
    """`$Default` without an id answers one version of every template in the account, 200 a page."""
    backend = launch_template_backends[account.account_id][REGION]
    made = {
        backend.create_template(f"many-{number}", {"KeyName": str(number)}, tags={}).template_id
        for number in range(405)
    }
    promoted = next(iter(made))
    promote(account, promoted, add_version(account, promoted, {"KeyName": "new"}))
    pages = list(account.ec2.get_paginator("describe_launch_template_versions").paginate(Versions=["$Default"]))
    versions = [version for page in pages for version in page["LaunchTemplateVersions"]]
    assert [len(page["LaunchTemplateVersions"]) for page in pages] == [200, 200, 5]
    assert {version["LaunchTemplateId"] for version in versions} == made
    assert {v["LaunchTemplateId"]: v["VersionNumber"] for v in versions if v["VersionNumber"] > 1} == {promoted: 2}


def test_200_templates_are_described_in_one_call(account: Account) -> None:
    """DescribeLaunchTemplates takes 200 ids and answers their default and latest numbers; 201 are refused."""
    backend = launch_template_backends[account.account_id][REGION]
    ids = [backend.create_template(f"many-{n}", {"KeyName": "k"}, tags={}).template_id for n in range(201)]
    described = account.ec2.describe_launch_templates(LaunchTemplateIds=ids[:200])["LaunchTemplates"]
    assert {template["LaunchTemplateId"] for template in described} == set(ids[:200])
    assert {(t["DefaultVersionNumber"], t["LatestVersionNumber"]) for t in described} == {(1, 1)}
    assert refused(lambda: account.ec2.describe_launch_templates(LaunchTemplateIds=ids))[1] == 400


def test_a_template_made_between_two_pages_hides_no_other(account: Account) -> None:
    """A page goes on after the last item seen: nothing is repeated or skipped."""
    backend = launch_template_backends[account.account_id][REGION]
    before = {backend.create_template(f"a{n}-x", {"KeyName": "k"}, tags={}).template_id for n in range(9)}
    seen: list[str] = []
    request: dict[str, Any] = {"MaxResults": 2}
    for number in itertools.count():
        page = account.ec2.describe_launch_templates(**request)
        seen += [template["LaunchTemplateId"] for template in page["LaunchTemplates"]]
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
        backend.create_template(f"b{number}-x", {"KeyName": "k"}, tags={})
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_versions_of_a_template_can_be_chosen_by_range_and_by_name(account: Account) -> None:
    """Min, Max, `$Default`, `$Latest` and numbers choose; newest first; a version comes once."""
    template_id = make_template(account)
    for _ in range(5):
        add_version(account, template_id, {"KeyName": "k"})

    def numbers(**request: Any) -> list[int]:
        return [v["VersionNumber"] for v in read_versions(account, LaunchTemplateId=template_id, **request)]

    assert numbers() == [6, 5, 4, 3, 2, 1]
    assert numbers(MinVersion="2", MaxVersion="4") == [4, 3, 2]
    assert numbers(MinVersion="5") == [6, 5]
    assert numbers(Versions=["$Default", "1", "$Latest", "3"]) == [6, 3, 1]
    assert numbers(PaginationConfig={"PageSize": 4}) == [6, 5, 4, 3, 2, 1]
    assert numbers(Filters=[{"Name": "is-default-version", "Values": ["true"]}]) == [1]
    assert numbers(Filters=[{"Name": "instance-type", "Values": ["m5.large"]}]) == [1]


def test_templates_can_be_filtered_by_tag_and_name(account: Account) -> None:
    """Filters are and-ed, and a template's own tags are answered."""
    for name in ("red", "blue"):
        account.ec2.create_launch_template(
            LaunchTemplateName=f"t-{name}",
            LaunchTemplateData={"KeyName": "k"},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "colour", "Value": name}]}],
        )
    (found,) = account.ec2.describe_launch_templates(
        Filters=[{"Name": "tag:colour", "Values": ["red"]}, {"Name": "tag-key", "Values": ["colour"]}]
    )["LaunchTemplates"]
    assert (found["LaunchTemplateName"], found["Tags"]) == ("t-red", [{"Key": "colour", "Value": "red"}])


def test_the_answer_holds_members_that_the_request_refuses(account: Account) -> None:
    """MetadataOptions.State is answered; a client that sends it back is refused."""
    template_id = make_template(account)
    options = account.default_version(template_id)["LaunchTemplateData"]["MetadataOptions"]
    assert options["State"] in ("pending", "applied")
    backend = launch_template_backends[account.account_id][REGION]
    pairs = [("LaunchTemplateId", template_id), ("LaunchTemplateData.MetadataOptions.State", "pending")]
    status, _, body = answer(backend, "CreateLaunchTemplateVersion", pairs)
    assert status == 400
    assert "<Code>UnknownParameter</Code>" in body


def test_a_read_just_after_a_write_answers_the_state_before(account: Account) -> None:
    """EC2 reads are eventually consistent: inside the window every write is unseen, after it all are seen."""
    template_id = make_template(account)
    advance(60)
    WORLD.consistency_seconds = 30
    number = add_version(account, template_id, {"InstanceType": "c5.large"}, SourceVersion="1")
    promote(account, template_id, number)

    def observe() -> tuple[int, int, int]:
        (found,) = account.ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
        default = account.default_version(template_id)["VersionNumber"]
        return default, found["DefaultVersionNumber"], found["LatestVersionNumber"]

    assert observe() == (1, 1, 1)
    unseen = refused(lambda: read_versions(account, LaunchTemplateId=template_id, Versions=[str(number)]))
    assert unseen == ("InvalidLaunchTemplateId.VersionNotFound", 400)
    advance(31)
    assert observe() == (2, 2, 2)


def test_templates_come_and_go_late_for_readers(account: Account) -> None:
    """Inside the window a new template is not found yet, and a deleted one still is."""
    WORLD.consistency_seconds = 30
    template_id = make_template(account)
    describe = partial(account.default_version, template_id)
    assert refused(describe)[0] == "InvalidLaunchTemplateId.NotFound"
    advance(31)
    assert describe()["VersionNumber"] == 1
    account.ec2.delete_launch_template(LaunchTemplateId=template_id)
    assert describe()["VersionNumber"] == 1
    assert refused(lambda: promote(account, template_id, 1))[0] == "InvalidLaunchTemplateId.NotFound"
    advance(31)
    assert refused(describe)[0] == "InvalidLaunchTemplateId.NotFound"


def test_a_template_is_full_at_10000_versions(account: Account) -> None:
    """The 10,000th version is made, the next one is refused; deleting one makes room under a new number."""
    template_id = make_template(account)
    template = launch_template_backends[account.account_id][REGION].templates[template_id]
    for _ in range(9_998):
        template.add_version({}, None, WORLD.now(), WORLD.now())
    assert add_version(account, template_id, {"KeyName": "k"}) == 10_000
    assert refused(lambda: add_version(account, template_id, {"KeyName": "k"}))[1] == 400
    account.ec2.delete_launch_template_versions(LaunchTemplateId=template_id, Versions=["5"])
    assert add_version(account, template_id, {"KeyName": "k"}) == 10_001


def test_a_version_description_has_at_most_255_characters(account: Account) -> None:
    """255 characters are stored, 256 refused."""
    template_id = make_template(account)
    add_version(account, template_id, {"KeyName": "k"}, VersionDescription="d" * 255)
    (version,) = read_versions(account, LaunchTemplateId=template_id, Versions=["2"])
    assert version["VersionDescription"] == "d" * 255
    error = refused(lambda: add_version(account, template_id, {"KeyName": "k"}, VersionDescription="d" * 256))
    assert error == ("InvalidParameterValue", 400)


def test_versions_are_deleted_one_by_one_and_their_numbers_are_gone_for_good(account: Account) -> None:
    """The default and a missing version stay, with a code each; a deleted number is never used again."""
    template_id = make_template(account)
    for _ in range(2):
        add_version(account, template_id, {"KeyName": "k"})
    answer = account.ec2.delete_launch_template_versions(LaunchTemplateId=template_id, Versions=["1", "3", "9"])
    deleted = [v["VersionNumber"] for v in answer["SuccessfullyDeletedLaunchTemplateVersions"]]
    kept = {
        v["VersionNumber"]: v["ResponseError"]["Code"] for v in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    }
    assert (deleted, kept) == ([3], {1: "unexpectedError", 9: "launchTemplateVersionDoesNotExist"})
    assert refused(lambda: promote(account, template_id, 3))[0] == "InvalidLaunchTemplateId.VersionNotFound"
    assert add_version(account, template_id, {"KeyName": "k"}) == 4


def test_a_deleted_templates_name_is_free_and_its_id_is_not(account: Account) -> None:
    """A template made again under the old name has a new id."""
    created = [account.ec2.create_launch_template(LaunchTemplateName="again", LaunchTemplateData={"KeyName": "k"})]
    request = {"LaunchTemplateName": "again", "LaunchTemplateData": {"KeyName": "k"}}
    error = refused(lambda: account.ec2.create_launch_template(**request))
    assert error[0] == "InvalidLaunchTemplateName.AlreadyExistsException"
    account.ec2.delete_launch_template(LaunchTemplateName="again")
    created.append(account.ec2.create_launch_template(**request))
    assert len({answer["LaunchTemplate"]["LaunchTemplateId"] for answer in created}) == 2


def test_accounts_and_regions_do_not_see_each_other(endpoint: str, account: Account) -> None:
    """A template is found in its own account and Region only."""
    template_id = make_template(account)
    elsewhere = open_account(endpoint, "us-east-1", account.account_id)
    for other in (open_account(endpoint), elsewhere):
        assert refused(partial(other.default_version, template_id))[0] == ("InvalidLaunchTemplateId.NotFound")


def test_64_clients_lose_and_double_nothing(account: Account) -> None:
    """64 versions made at once have 64 numbers; one token used 64 times at once makes one version."""
    template_id = make_template(account)
    own = [
        partial(add_version, account, template_id, {"KeyName": str(number)}, SourceVersion="1") for number in range(64)
    ]
    assert sorted(all_at_once(own)) == list(range(2, 66))
    one = [lambda: add_version(account, template_id, {"KeyName": "one"}, ClientToken="same")] * 64
    assert set(all_at_once(one)) == {66}


def test_versions_made_without_a_pause_between_them_are_all_there(account: Account) -> None:
    """32 threads that make versions as fast as they can, HTTP left out, get a number each and lose none."""
    template_id = make_template(account)
    backend = launch_template_backends[account.account_id][REGION]
    pairs = [("LaunchTemplateId", template_id), ("LaunchTemplateData.KeyName", "k")]

    def make_many() -> list[str]:
        bodies = [answer(backend, "CreateLaunchTemplateVersion", pairs)[2] for _ in range(30)]
        return [body.partition("<versionNumber>")[2].partition("<")[0] for body in bodies]

    numbers = [int(number) for made in all_at_once([make_many] * 32) for number in made]
    assert sorted(numbers) == list(range(2, 962))


def test_a_call_costs_the_server_under_3_ms(account: Account) -> None:
    """Create and Describe cost the one process of the stand-in less than 3 ms of CPU each, HTTP left out."""
    (source_server_id,) = account.add_servers(1)
    template_id = account.drs.get_launch_configuration(sourceServerID=source_server_id)["ec2LaunchTemplateID"]
    backend = launch_template_backends[account.account_id][REGION]
    create = [
        ("LaunchTemplateId", template_id),
        ("SourceVersion", "1"),
        *[(f"LaunchTemplateData.NetworkInterface.{n}.DeviceIndex", str(n)) for n in range(1, 9)],
    ]
    describe = [("LaunchTemplateId", template_id), ("LaunchTemplateVersion.1", "$Default")]
    for operation, pairs in (
        ("CreateLaunchTemplateVersion", create),
        ("DescribeLaunchTemplateVersions", describe),
    ):
        answer(backend, operation, pairs)
        started = time.process_time()
        for _ in range(100):
            assert answer(backend, operation, pairs)[0] == 200
        assert time.process_time() - started < 0.3


def test_the_rest_of_ec2_stays_motos(account: Account) -> None:
    """An operation that is no launch-template operation is answered as before."""
    assert account.ec2.describe_vpcs()["Vpcs"][0]["IsDefault"]
