"""What a message may say: read whole, or refused with a reason; never half."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.bad_messages import BAD, HARMLESS
from workers.core.contract import (
    APPLY_ACTOR,
    SWEEP_ACTOR,
    WAVE_ACTOR,
    ApplyWork,
    Names,
    SweepWork,
    UnknownActor,
    WaveWork,
    WrongJob,
    find_fault,
    read_names,
    read_work,
)
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import MAX_BODY_BYTES, decode_job

SERVER = "s-1a2b3c4d5e6f7a8b9"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(body: str) -> str | None:
    """Read a body as a worker does; answer why it is refused."""
    try:
        message = decode_job(body, "jobs", stack="prelaunch")
    except UnreadableJob as error:
        return str(error)
    return find_fault(message.actor_name, message.kwargs)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_job_is_refused_with_its_reason(name: str) -> None:
    """Each kind of bad message says what is wrong with it, in one line that is short whatever was sent."""
    body, reason = BAD[name]
    found = read(body)
    assert found is not None
    assert re.search(reason, found), found
    assert len(found) < 400
    assert found.isprintable()


@pytest.mark.parametrize("name", HARMLESS)
def test_what_another_release_may_send_is_read(name: str) -> None:
    """Messages only grow, and jobs of before said less: neither is a fault."""
    assert read(HARMLESS[name]) is None


def test_work_is_what_the_arguments_name() -> None:
    """Each actor's message becomes its own work, with what a later release says more passed over."""
    assert read_work(APPLY_ACTOR, {"groupId": "pg-1", "sourceServerId": SERVER, "later": []}) == ApplyWork(
        "pg-1", SERVER
    )
    assert read_work(WAVE_ACTOR, {"waveId": "wave-1", "requestId": ""}) == WaveWork("wave-1")
    assert read_work(SWEEP_ACTOR, {}) == SweepWork()


def test_an_actor_of_the_next_release_is_no_fault_yet() -> None:
    """An unknown name may be a newer release's: it is told apart from what nobody can ever do."""
    with pytest.raises(UnknownActor, match="of_the_next_release"):
        read_work("of_the_next_release", {})
    assert find_fault("of_the_next_release", {}) is None


@pytest.mark.unmeasured
@given(
    actor=st.sampled_from([APPLY_ACTOR, WAVE_ACTOR, SWEEP_ACTOR]) | st.text(),
    arguments=st.dictionaries(
        st.sampled_from(["groupId", "sourceServerId", "waveId", "generation", "requestId"]) | st.text(), json_values
    ),
)
def test_whatever_is_sent_it_is_read_or_refused(actor: str, arguments: dict[str, object]) -> None:
    """No arguments raise anything else, which would stop a consumer."""
    with contextlib.suppress(WrongJob):
        read_work(actor, arguments)


def test_the_limit_is_the_last_byte() -> None:
    """A body of exactly the limit is read; bytes count, not characters."""
    fitting = "x" * MAX_BODY_BYTES
    assert "bytes" not in (read(fitting) or "bytes")
    assert "has 65538 bytes" in (read("é" * (MAX_BODY_BYTES // 2 + 1)) or "")


def test_what_a_job_names_is_read_where_it_can_be() -> None:
    """For a person who looks at a letter: each name by itself, and none that is no such name."""
    names = {"groupId": "pg-1", "sourceServerId": SERVER, "waveId": "wave-1"}
    assert read_names({**names, "later": 1}) == Names("pg-1", SERVER, "wave-1")
    assert read_names({}) == Names(None, None, None)
    assert read_names({**names, "groupId": "ü"}) == Names(None, SERVER, "wave-1")
    assert read_names({**names, "sourceServerId": "s-1"}) == Names("pg-1", None, "wave-1")
    assert read_names({**names, "waveId": 7}) == Names("pg-1", SERVER, None)
