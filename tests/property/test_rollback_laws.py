"""Laws of going back: each member's effective launch config is exactly the one of then, or the one that it has."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.strategies import group_definitions
from workers.core.model.group import GroupDefinition
from workers.core.runs.rollback import restore


@given(now=group_definitions(), then=group_definitions(), data=st.data())
def test_effective_launch_configs_are_those_of_then(
    now: GroupDefinition, then: GroupDefinition, data: st.DataObject
) -> None:
    """Of who was a member, to the digest; who joined later keeps its own; all else of the group is as it is now."""
    stayed = data.draw(st.sets(st.sampled_from(then.source_server_ids)))
    now = replace(now, source_server_ids=tuple(sorted({*now.source_server_ids, *stayed})))
    restored = restore(now, then)
    for member in now.source_server_ids:
        source = then if member in then.source_server_ids else now
        assert restored.effective(member) == source.effective(member)
    assert set(restored.overrides) <= set(now.source_server_ids)
    assert replace(restored, launch_config=now.launch_config, overrides=now.overrides) == now
    assert restore(restored, then) == restored
    assert restore(now, now) == replace(
        now, overrides={m: o for m, o in now.overrides.items() if m in restored.source_server_ids}
    )
