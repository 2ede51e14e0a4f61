"""A job's body: what is encoded is decoded, and nothing else is."""

import base64
import contextlib
import json

import dramatiq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import decode_job, encode_job

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# No actor can take an argument of that name.
names = st.text(min_size=1).filter(lambda name: name != "self")


@given(actor=st.text(min_size=1), kwargs=st.dictionaries(names, json_values, max_size=4))
def test_a_job_comes_back_as_it_was(actor: str, kwargs: dict[str, object]) -> None:
    """The actor and its arguments survive the wire; the queue is the one that delivered it."""
    message = decode_job(encode_job(actor, "jobs", kwargs), "jobs-bulk")
    assert (message.actor_name, message.kwargs, message.args) == (actor, kwargs, ())
    assert (message.queue_name, message.options) == ("jobs-bulk", {})


def test_the_body_is_what_dramatiq_sqs_reads() -> None:
    """Any consumer of dramatiq_sqs could run the job: base64 of dramatiq's own message."""
    message = dramatiq.Message.decode(base64.b64decode(encode_job("work", "jobs", {"n": 1})))
    assert (message.queue_name, message.actor_name, message.kwargs) == ("jobs", "work", {"n": 1})


def test_each_job_has_an_id_of_its_own() -> None:
    """Two jobs that say the same are two messages."""
    bodies = {encode_job("work", "jobs", {}) for _ in range(10)}
    assert len({decode_job(body, "jobs").message_id for body in bodies}) == 10


@given(body=st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_whatever_a_body_is_it_is_read_or_refused(body: str) -> None:
    """No body raises anything but UnreadableJob, which would stop a consumer."""
    with contextlib.suppress(UnreadableJob):
        decode_job(body, "jobs")


@given(parts=st.dictionaries(st.sampled_from(["actor_name", "kwargs", "args", "options", "message_id"]), json_values))
def test_wrong_parts_are_read_or_refused(parts: dict[str, object]) -> None:
    """A message of dramatiq's shape with parts of a wrong type never gets past the door half read."""
    whole = json.loads(base64.b64decode(encode_job("work", "jobs", {})))
    body = base64.b64encode(json.dumps(whole | parts).encode()).decode()
    try:
        message = decode_job(body, "jobs")
    except UnreadableJob:
        return
    assert isinstance(message.actor_name, str)
    assert isinstance(message.kwargs, dict)


@pytest.mark.parametrize(
    ("body", "reason"),
    [("?", "not base64"), (base64.b64encode(b"{}").decode(), "not a dramatiq message")],
)
def test_the_refusal_says_why(body: str, reason: str) -> None:
    """The reason on the dead-letter queue tells what is wrong with the body."""
    with pytest.raises(UnreadableJob, match=reason):
        decode_job(body, "jobs")


@pytest.mark.parametrize(
    "part",
    [{"actor_name": "\ud800"}, {"message_id": "x\udfff"}, {"kwargs": {"x": ["\udc00"]}}, {"kwargs": {"\ud800": 1}}],
)
def test_what_no_answer_could_hold_is_refused(part: dict[str, object]) -> None:
    """Half a character, which JSON can escape and UTF-8 cannot hold, goes no further than the door."""
    whole = json.loads(base64.b64decode(encode_job("work", "jobs", {})))
    body = base64.b64encode(json.dumps(whole | part).encode()).decode()
    with pytest.raises(UnreadableJob, match="half a character"):
        decode_job(body, "jobs")
