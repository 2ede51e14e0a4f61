"""What an installation can set, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.session import Session
from pydantic import ValidationError

from workers.core.environment import choose_aws
from workers.core.settings import Settings, explain_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("PRELAUNCH_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRELAUNCH_THREADS", "0"),
        ("PRELAUNCH_THREADS", "many"),
        ("PRELAUNCH_STACK", ""),
        ("PRELAUNCH_STACK", "with space"),
        ("PRELAUNCH_TIME_SCALE", "0"),
        ("PRELAUNCH_TIME_SCALE", "nan"),
        ("PRELAUNCH_RATE_FACTOR", "0"),
        ("PRELAUNCH_RATE_FACTOR", "-1"),
        ("PRELAUNCH_RATE_FACTOR", "inf"),
        ("PRELAUNCH_RATE_FACTOR", "nan"),
        ("PRELAUNCH_THREDS", "64"),
        ("PRELAUNCH_", "64"),
        ("PRELAUNCH_LEASE", "10"),
        ("PRELAUNCH_EXTRA_REGIONS", "us-east-1, Frankfurt"),
    ],
)
def test_wrong_and_unknown_variables_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A bad value and a misspelt name both stop the process, and the error names the variable."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    (error,) = caught.value.errors()
    assert f"PRELAUNCH_{str(error['loc'][0]).upper()}" == name


@pytest.mark.parametrize(
    ("second", "is_same"),
    [
        ("arn:aws:iam::123456789012:role/dr", True),
        ("arn:aws:iam::123456789012:role/teams/ops/dr", True),
        ("arn:aws:iam::123456789012:role/ops/dr2", False),
        ("arn:aws:iam::123456789012:user/ops/dr", False),
        ("arn:aws:iam::210987654321:role/dr", False),
        ("arn:aws-cn:iam::123456789012:role/dr", False),
    ],
)
def test_an_identity_has_one_role(monkeypatch: pytest.MonkeyPatch, second: str, *, is_same: bool) -> None:
    """A session of a role has not its path: which of two roles of ours it would be given is nobody's to guess."""
    monkeypatch.setenv("PRELAUNCH_IAM_ROLES", f"arn:aws:iam::123456789012:role/ops/dr=reader, {second}=admin")
    if not is_same:
        assert dict(Settings().iam_roles)[second] == "admin"
        return
    with pytest.raises(ValidationError) as caught:
        Settings()
    told = "PRELAUNCH_IAM_ROLES: names one identity twice: a path tells no two roles or users of an account apart"
    assert explain_settings(caught.value) == told


KNOWN = "no such setting; known are PRELAUNCH_STACK, PRELAUNCH_THREADS, "
NO_SECRET = "hunter2"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "STACK",
            f"{NO_SECRET} {NO_SECRET}",
            "must be at most 40 lower-case letters, digits and hyphens, a letter first",
        ),
        ("THREADS", NO_SECRET, "must be a whole number from 1 to 512"),
        ("THREADS", "513", "must be a whole number from 1 to 512"),
        ("TIME_SCALE", "0", "must be a number from 0.02 to 10"),
        (
            "EXTRA_REGIONS",
            f"{NO_SECRET},{NO_SECRET}-2",
            "must be names of AWS Regions such as eu-central-1, between commas",
        ),
        ("AUTH_ISSUER", f"ftp://{NO_SECRET}", "must be an https address"),
        ("AUTH_AUDIENCE", NO_SECRET, "PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE are given both or neither"),
        ("AUTH_DOMAIN", f"ftp://{NO_SECRET}", "must be an https address"),
        ("AUTH_DOMAIN", f"https://{NO_SECRET}/login", "must be an https address without a path"),
        ("AUTH_DOMAIN", f"https://{NO_SECRET}; script-src *", "must be an https address without a path"),
        ("AUTH_DOMAIN", f"https://{NO_SECRET}", "needs PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE"),
        ("API_HOST", NO_SECRET, "must be an IPv4 address such as 127.0.0.1"),
        ("API_HOST", "10.0.0.1", "without PRELAUNCH_AUTH_ISSUER and PRELAUNCH_AUTH_AUDIENCE it must be 127.0.0.1"),
        ("THREDS", NO_SECRET, KNOWN),
        ("", NO_SECRET, KNOWN),
    ],
)
def test_what_is_wrong_is_told_in_words_of_ours(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    """What it must be, or what there is instead; a validator's patterns and types are no answer, nor is the value."""
    monkeypatch.setenv(f"PRELAUNCH_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    words = [
        part for part in explain_settings(caught.value).split("; PRELAUNCH_") if part.startswith(f"PRELAUNCH_{name}:")
    ]
    assert [each.startswith(f"PRELAUNCH_{name}: {told}") for each in words] == [True]
    assert NO_SECRET not in explain_settings(caught.value)


def test_every_setting_says_what_it_must_be() -> None:
    """None is left to a validator's words."""
    assert all(field.description for field in Settings.model_fields.values())


def test_variables_of_others_are_not_ours_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the prefix is ours."""
    monkeypatch.setenv("PRELAUNCHER_THREADS", "none")
    monkeypatch.setenv("XPRELAUNCH_THREDS", "3")
    monkeypatch.setenv("PRELAUNCH_THREADS", "7")
    assert Settings().threads == 7


@pytest.mark.parametrize(
    ("value", "regions"),
    [("", set()), ("ap-new-1", {"ap-new-1"}), (" ap-new-1,eusc-de-east-1 ,", {"ap-new-1", "eusc-de-east-1"})],
)
def test_regions_are_named_between_commas(monkeypatch: pytest.MonkeyPatch, value: str, regions: set[str]) -> None:
    """As many as there are, with blanks or without."""
    monkeypatch.setenv("PRELAUNCH_EXTRA_REGIONS", value)
    assert Settings().extra_regions == regions


@pytest.mark.parametrize("scale", ["0.02", "0.1", "1", "10"])
def test_a_call_and_its_margin_fit_into_the_lease_at_every_scale(monkeypatch: pytest.MonkeyPatch, scale: str) -> None:
    """A call that starts with the margin left ends within the lease, and a renewed lease has room for calls."""
    monkeypatch.setenv("PRELAUNCH_TIME_SCALE", scale)
    settings = Settings()
    assert settings.call_timeout < settings.lease_margin < settings.lease * 3 / 4


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile in the SDK's configuration, beside the keys and the profile of another identity."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[ops]\naws_access_key_id = OF-THE-PROFILE\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    others = {
        "AWS_PROFILE": "one",
        "AWS_DEFAULT_PROFILE": "another",
        "AWS_ACCESS_KEY_ID": "OF-THE-ENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_SESSION_TOKEN": "z",
        "AWS_SECURITY_TOKEN": "z",
        "AWS_WEB_IDENTITY_TOKEN_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }
    for name, value in others.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("profile")
def test_a_chosen_profile_and_region_hold_for_the_sdk_in_this_process_and_in_its_children() -> None:
    """What is chosen wins over every other identity and Region of the environment, without being told again."""
    choose_aws("ops", "eu-central-1")
    asked = (
        "import botocore.session as s; x = s.Session();"
        " c = x.get_credentials(); print(c.access_key, c.token, x.get_config_variable('region'))"
    )
    child = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert child.stdout == "OF-THE-PROFILE None eu-central-1\n"
    session = Session()
    credentials = session.get_credentials()
    assert (credentials.access_key, session.get_config_variable("region")) == ("OF-THE-PROFILE", "eu-central-1")
    assert os.environ["AWS_REGION"] == "eu-central-1"


@pytest.mark.usefixtures("profile")
def test_what_is_not_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Region alone changes no identity, and no choice changes nothing."""
    before = dict(os.environ)
    choose_aws(None, None)
    assert dict(os.environ) == before
    choose_aws(None, "eu-central-1")
    changed = {name for name, value in os.environ.items() if before.get(name) != value}
    assert changed == {"AWS_REGION", "AWS_DEFAULT_REGION"}
