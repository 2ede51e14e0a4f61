"""What an error carries: who raises it says it once, and everybody who shows or stores it finds it."""

from datetime import timedelta

import pytest

from workers.core.errors import (
    AccessDenied,
    InvalidLaunchConfig,
    LeaseHeld,
    StaleTemplate,
    VersionRefused,
    VersionVanished,
)
from workers.core.model.errors import LONGEST_SHOWN, GroupTooLarge
from workers.core.requests import Conflict, NotFound, RequestRefused, group_not_found, quote


def test_an_error_says_what_aws_said() -> None:
    """Its own code where AWS gave none, and nothing that is not known."""
    error = AccessDenied("no", code="UnauthorizedOperation", request_id="r-1", operation="drs.Get")
    assert (error.message, error.code, error.request_id, error.operation) == (
        "no",
        "UnauthorizedOperation",
        "r-1",
        "drs.Get",
    )
    plain = AccessDenied("no")
    assert (str(plain), plain.code, plain.request_id, plain.operation) == ("no", "ACCESS_DENIED", None, "")


def test_what_can_succeed_later_says_when() -> None:
    """If anybody knows."""
    after = timedelta(seconds=3)
    error = LeaseHeld("no", code="C", request_id="r-1", operation="o", retry_after=after)
    assert (str(error), error.message, error.code, error.request_id, error.operation, error.retry_after) == (
        "no",
        "no",
        "C",
        "r-1",
        "o",
        after,
    )
    plain = LeaseHeld("no")
    assert (plain.code, plain.request_id, plain.operation, plain.retry_after) == ("LEASE_HELD", None, "", None)


@pytest.mark.parametrize(("kind", "parent"), [(VersionRefused, InvalidLaunchConfig), (VersionVanished, StaleTemplate)])
def test_an_error_about_a_version_names_it(
    kind: type[VersionRefused | VersionVanished], parent: type[Exception]
) -> None:
    """With everything that AWS said of it."""
    error = kind("no", version=7, code="C", request_id="r-1", operation="o")
    assert isinstance(error, parent)
    assert (str(error), error.message, error.version, error.code) == ("no", "no", 7, "C")
    assert (error.request_id, error.operation) == ("r-1", "o")
    assert kind("no", version=7, code=None, request_id=None, operation="o").code == kind.code


def test_a_refused_request_carries_its_code_and_its_errors() -> None:
    """Its own code, or that of its kind; no errors unless they are given."""
    refused = RequestRefused("no", code="C")
    assert (str(refused), refused.detail, refused.errors, refused.code) == ("no", "no", (), "C")
    assert Conflict("no").code == RequestRefused.code == "REFUSED"
    unknown = group_not_found("web")
    assert isinstance(unknown, NotFound)
    assert (unknown.code, unknown.detail) == (
        "GROUP_NOT_FOUND",
        "There is no protection group 'web' in this stack.",
    )


def test_a_name_is_repeated_as_far_as_a_message_holds() -> None:
    """The whole of one of the greatest length; of a longer one the beginning, and a sign that there is more."""
    longest = "x" * LONGEST_SHOWN
    assert quote(longest) == repr(longest)
    assert quote(f"{longest}y") == f"{longest!r}…"


def test_a_group_that_is_too_large_says_of_what() -> None:
    """Of source servers, unless it is of something else."""
    assert "at most 5 source servers; this one has 6" in str(GroupTooLarge(6, 5))
    assert "at most 5 bytes; this one has 6" in str(GroupTooLarge(6, 5, "bytes"))
