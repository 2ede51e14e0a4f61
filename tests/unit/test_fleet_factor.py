"""What many have in common becomes the default; what one alone has does not."""

from workers.core.fleet.factor import factor
from workers.core.model.launch_config import LaunchConfig

A, B, C = "abc"


def test_what_most_have_is_the_default() -> None:
    """Where everybody has some value of it; the others say their own."""
    defaults, overrides = factor(
        {
            A: LaunchConfig({"instanceType": "m5.large", "monitoring": True}),
            B: LaunchConfig({"instanceType": "m5.large"}),
            C: LaunchConfig({"instanceType": "t3.micro", "monitoring": True}),
        }
    )
    assert defaults.to_json() == {"instanceType": "m5.large"}
    assert {member: each.to_json() for member, each in overrides.items()} == {
        A: {"monitoring": True},
        C: {"instanceType": "t3.micro", "monitoring": True},
    }


def test_members_of_objects_are_shared_one_by_one() -> None:
    """A tag that all have with one value, beside one that names each of them."""
    defaults, overrides = factor(
        {member: LaunchConfig({"tags": {"Name": member, "CostCenter": "4711"}}) for member in (A, B)}
    )
    assert defaults.to_json() == {"tags": {"CostCenter": "4711"}}
    assert {member: each.to_json() for member, each in overrides.items()} == {
        member: {"tags": {"Name": member}} for member in (A, B)
    }


def test_an_address_is_nobodys_default() -> None:
    """Of one alone everything else is: there is nobody to differ from."""
    defaults, overrides = factor({A: LaunchConfig({"staticPrivateIp": "10.0.0.9", "instanceType": "m5.large"})})
    assert defaults.to_json() == {"instanceType": "m5.large"}
    assert overrides[A].to_json() == {"staticPrivateIp": "10.0.0.9"}
