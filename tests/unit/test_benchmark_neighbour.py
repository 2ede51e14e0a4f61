"""The benchmark's neighbour: what is his is not counted as ours."""

from collections import Counter

from tests.benchmarks.neighbour import Neighbour


def test_a_neighbour_s_calls_are_taken_out_of_the_counts() -> None:
    """The stand-in counts an account's calls together; what is left is ours, throttled calls too."""
    create, get = "ec2.CreateLaunchTemplateVersion", "drs.GetLaunchConfiguration"
    neighbour = Neighbour({}, asked=Counter({create: 200}), throttled=Counter({create: 5}))
    counted = {create: {"count": 505, "throttled": 8}, get: {"count": 300, "throttled": 0}}
    ours = {create: {"count": 305, "throttled": 3}, get: {"count": 300, "throttled": 0}}
    assert neighbour.take_out(counted) == ours
    neighbour.forget()
    assert neighbour.take_out(counted) == counted
