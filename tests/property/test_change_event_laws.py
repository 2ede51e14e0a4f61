"""Laws of reading CloudTrail's events: whatever a message holds, what is read of it is names, nothing, or an error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.change_events import read_check
from workers.core.model.errors import InvalidBody

KEYS = [
    *("accountId", "region", "sourceServerIds", "launchTemplateId", "eventName", "eventTime", "userIdentity", "event"),
    *("detail", "requestParameters", "responseElements", "sourceServerID", "launchTemplate", "arn", "account"),
]
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=20,
)


@given(request=st.dictionaries(st.sampled_from(KEYS), values))
def test_any_message_is_read_or_refused(request: dict[str, Any]) -> None:
    """No member of another kind than it should be breaks the reading, or is taken for a name."""
    try:
        check = read_check(request)
    except InvalidBody:
        return
    found: list[Any] = [check.account_id, check.region, check.launch_template_id, check.event_name]
    named = [*check.source_server_ids, *(name for name in found if name is not None)]
    assert {type(name) for name in named} <= {str}
    assert "" not in found
    assert len(set(check.source_server_ids)) == len(check.source_server_ids)


@given(event=values)
def test_of_an_event_what_is_odd_is_passed_over(event: Any) -> None:
    """AWS writes it, and may write it in another way one day; what is none at all is refused."""
    if isinstance(event, dict):
        read_check({"event": event})
        return
    with pytest.raises(InvalidBody):
        read_check({"event": event})


RIGHT: dict[str, Any] = {
    "accountId": "123456789012",
    "region": "us-east-1",
    "sourceServerIds": ["s-1a2b3c4d5e6f7a8b9"],
    "launchTemplateId": "lt-1",
    "eventName": "ModifyLaunchTemplate",
    "eventTime": "2026-01-01T00:00:00Z",
    "userIdentity": "bo",
    "event": {},
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("wrong", [None, 7, True, "", ["s-1a2b3c4d5e6f7a8b9", 7], {"a": 1}, "s-1a2b3c4d5e6f7a8b9"])
def test_what_a_message_says_itself_is_refused_where_it_is_of_another_kind(name: str, wrong: object) -> None:
    """It would be looked for elsewhere, or everywhere: one clear error at its place, and nothing else."""
    read_check(RIGHT)
    is_text = isinstance(wrong, str) and wrong != "" and name in {"eventName", "eventTime", "userIdentity"}
    if is_text or (isinstance(wrong, dict) and name == "event"):
        read_check({**RIGHT, name: wrong})
        return
    with pytest.raises(InvalidBody) as refused:
        read_check({**RIGHT, name: wrong})
    (error,) = refused.value.errors
    assert error.pointer.startswith(f"/{name}")
    assert f"{name} must be " in error.message or f"{name} cannot be null" in error.message


def test_what_is_no_member_is_refused() -> None:
    """A misspelt name would have everything looked at; all that is wrong comes at once."""
    with pytest.raises(InvalidBody) as refused:
        read_check({**RIGHT, "accountID": "1", "region": 3})
    assert [(each.pointer, each.code) for each in refused.value.errors] == [
        ("/region", "INVALID_BODY"),
        ("/accountID", "INVALID_BODY"),
    ]
    assert "did you mean accountId?" in refused.value.errors[1].message
