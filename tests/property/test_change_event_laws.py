"""Laws of reading CloudTrail's events: whatever a message holds, what is read of it is names or nothing."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producer.change_events import read_check

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
def test_any_message_is_read(request: dict[str, Any]) -> None:
    """No member of another kind than it should be breaks the reading, or is taken for a name."""
    check = read_check(request)
    found: list[Any] = [check.account_id, check.region, check.launch_template_id, check.event_name]
    named = [*check.source_server_ids, *(name for name in found if name is not None)]
    assert {type(name) for name in named} <= {str}
    assert "" not in found
    assert len(set(check.source_server_ids)) == len(check.source_server_ids)
