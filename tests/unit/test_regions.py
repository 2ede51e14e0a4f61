"""Which Regions a group can be in."""

import pytest

from producer.main import find_regions
from workers.aws.regions import list_regions
from workers.core.settings import Settings


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-southeast-4", "us-gov-west-1"])
def test_drs_is_known_in_regions_of_several_partitions(region: str) -> None:
    """Whatever partition it is in."""
    assert region in list_regions()


@pytest.mark.parametrize("region", ["us-east-99", "aws-global", "ap-east-2"])
def test_it_is_not_known_everywhere(region: str) -> None:
    """Neither where nothing is, nor where EC2 is alone."""
    assert region not in list_regions()


def test_an_installation_knows_of_more() -> None:
    """A Region that is newer than the SDK is named in the settings."""
    found = find_regions(Settings(extra_regions=frozenset({"ap-east-2"})))
    assert found == list_regions() | {"ap-east-2"}
