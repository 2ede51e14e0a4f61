"""A page's token leads on in the answer that gave it, and nowhere else."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.runs import OPENED_AT
from workers.core.history import History
from workers.core.pages import read_token, write_token
from workers.core.queries import Page, Queries, ServerFilter
from workers.core.requests import NotFound, RequestRefused
from workers.core.store.records import GroupHead

texts = st.text(st.characters(codec="utf-8"), max_size=40)
questions = st.lists(texts, min_size=1, max_size=4)
places = st.lists(st.integers() | texts, max_size=4)


def assert_is_refused(token: str, asked: list[str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_token(token, asked)
    assert refused.value.code == "INVALID_BODY"


@given(asked=questions, place=places)
def test_a_token_tells_where_the_page_ended(asked: list[str], place: list[str | int]) -> None:
    """What was written is read, of any text."""
    assert read_token(write_token(asked, place), asked) == place


@given(asked=questions, other=questions, place=places)
def test_a_token_of_another_question_is_refused(asked: list[str], other: list[str], place: list[str | int]) -> None:
    """Another route, group or filter: a refusal, and never a place in another answer."""
    if other[: len(asked)] != asked and asked[: len(other)] != other:
        assert_is_refused(write_token(other, place), asked)


@given(token=st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_no_answer_gave_is_refused(token: str) -> None:
    """Whatever it is, nothing at all too."""
    assert_is_refused(token, ["apply-runs", "pg-1"])


@given(asked=questions, place=places, data=st.data())
def test_a_token_that_was_changed_is_refused(asked: list[str], place: list[str | int], data: st.DataObject) -> None:
    """One character more, less or another one."""
    token = write_token(asked, place)
    at = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.sampled_from("A9_-=").filter(lambda each: each != token[at]))
    for changed in (token[:at] + put + token[at + 1 :], token[:at] + token[at + 1 :], token + put, f"{token}\n"):
        assert_is_refused(changed, asked)


class EmptyStores:
    """Stores of groups without runs, one of them there."""

    async def read_head(self, group_id: str) -> GroupHead | None:
        there = GroupHead(group_id, "web", "us-east-1", "1" * 12, 1, OPENED_AT, OPENED_AT)
        return there if group_id == "pg-1" else None

    async def read_status(self, group_id: str) -> None:
        return None

    async def read_heads(self, group_id: str, *, limit: int, before: int | None) -> list[object]:
        assert before in {None, 7}
        return []

    async def read_named(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        assert after in {None, ("web", "pg-1")}
        return []

    async def read_many(self, group_ids: list[str]) -> dict[str, object]:
        return {}


RUNS = ("apply-runs", "pg-1")
STATUS = Page().asked("pg-1")
GROUPS = ("protection-groups",)
TOKENS = {
    "runs": write_token(RUNS, (7,)),
    "groups": write_token(GROUPS, ("web", "pg-1")),
    "status": write_token(STATUS, (1, "ready", "s-1")),
}
FOREIGN = [
    *(("runs", token) for token in ("", "0", "7", TOKENS["groups"], TOKENS["status"])),
    *(("groups", token) for token in ("", "web", TOKENS["runs"], TOKENS["status"])),
    *(("status", token) for token in ("", "1.ready.s-1", TOKENS["groups"], TOKENS["runs"])),
    ("runs", write_token(("apply-runs", "pg-2"), (7,))),
    ("status", write_token(Page().asked("pg-2"), (1, "ready", "s-1"))),
    ("status", write_token(Page(ServerFilter.FAILED).asked("pg-1"), (1, "ready", "s-1"))),
    # Places that are none, however well they are written.
    *(("runs", write_token(RUNS, place)) for place in ((), (1,), (0,), (-7,), ("7",), (10**10,), (7, 7))),
    *(("groups", write_token(GROUPS, place)) for place in ((), ("web",), ("", "pg-1"), ("w" * 201, "pg-1"), (1, 2))),
]


@pytest.mark.parametrize(("route", "token"), FOREIGN)
async def test_every_route_reads_tokens_alike(route: str, token: str) -> None:
    """An empty one, one of another route, group or filter, and one that says no place: each is refused as a token."""
    stores: Any = EmptyStores()
    queries, history = Queries(stores, stores, lambda: OPENED_AT), History(stores, stores, stores)

    async def ask(with_token: str | None) -> None:
        match route:
            case "runs":
                await history.runs("pg-1", 10, with_token)
            case "groups":
                await queries.groups(10, with_token)
            case _:
                await queries.status("pg-1", Page(token=with_token))

    with pytest.raises(RequestRefused) as refused:
        await ask(token)
    assert refused.value.code == "INVALID_BODY"
    await ask(None)
    await ask(TOKENS[route])


async def test_a_token_is_read_before_its_group_is_looked_for() -> None:
    """What is asked with a token of nobody's is refused for that; without one the group is not there."""
    stores: Any = EmptyStores()
    history = History(stores, stores, stores)
    with pytest.raises(NotFound):
        await history.runs("pg-9", 10, write_token(("apply-runs", "pg-9"), (7,)))
    with pytest.raises(RequestRefused) as refused:
        await history.runs("pg-9", 10, TOKENS["runs"])
    assert not isinstance(refused.value, NotFound)


def test_a_token_with_anything_added_is_none_of_ours() -> None:
    """Also where a decoder would pass over it."""
    token = write_token(("route", "pg-1"), ["place", 1])
    assert read_token(token, ("route", "pg-1")) == ["place", 1]
    for added in ("!", " ", "\n", "+"):
        with pytest.raises(RequestRefused):
            read_token(f"{token[:5]}{added}{token[5:]}", ("route", "pg-1"))


def test_tokens_have_a_form_that_stays() -> None:
    """Base64 of a check and these bytes; a token that an older release gave would otherwise be refused."""
    body = '["groups","Größe",7,"€"]'.encode()
    token = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:6] + body).decode()
    assert write_token(("groups", "Größe"), (7, "€")) == token
    assert read_token(token, ("groups", "Größe")) == [7, "€"]
