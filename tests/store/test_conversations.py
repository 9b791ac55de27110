"""Conversations: what is in one, who has it, what it costs and what is left of it, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.store import Conflict, Page, UnknownCursor
from antiphon.store.blobs import Blobs, NoSuchBlob, response_prefix
from antiphon.store.conversations import Addition, ConversationRow, Conversations
from antiphon.store.erasing import Erasing
from antiphon.store.store import Store
from tests.store.rows import context, items, response
from tests.store.talks import NOW, add, begin, held, say

if TYPE_CHECKING:
    from antiphon.store import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def talks(database: Database) -> Conversations:
    """No conversation is there yet."""
    return Conversations(database)


async def test_what_was_kept_is_found(talks: Conversations) -> None:
    """By its tenant alone."""
    await begin(talks)
    assert ConversationRow("c", NOW, {"k": "v"}) == await talks.find("c", tenant="a")
    assert await talks.find("c", tenant="b") is None
    assert await talks.find("d", tenant="a") is None


async def test_an_id_is_given_once_to_a_tenant(talks: Conversations) -> None:
    """Another tenant may have the same."""
    await begin(talks)
    await begin(talks, tenant="b")
    with pytest.raises(Conflict):
        await begin(talks)


async def test_metadata_is_replaced(talks: Conversations) -> None:
    """All of it, and nobody else's."""
    await begin(talks)
    assert await talks.update("c", tenant="b", metadata={}) is None
    assert ConversationRow("c", NOW, {"é": "\N{SNOWMAN}"}) == await talks.update(
        "c", tenant="a", metadata={"é": "\N{SNOWMAN}"}
    )
    assert ConversationRow("c", NOW, {"é": "\N{SNOWMAN}"}) == await talks.find("c", tenant="a")


async def test_an_empty_conversation_differs_from_none(talks: Conversations) -> None:
    """In its context and in its pages."""
    await begin(talks)
    empty = Page([], has_more=False)
    assert [] == await held(talks)
    assert empty == await talks.page("c", tenant="a", limit=2, order="asc", after=None)
    assert await held(talks, "d") is None
    assert await talks.page("d", tenant="a", limit=2, order="asc", after=None) is None
    assert await talks.page("c", tenant="b", limit=2, order="asc", after=None) is None


async def test_a_page_after_nothing_is_refused(talks: Conversations) -> None:
    """And one after the last item is empty."""
    await begin(talks, "c", "i1", "i2")
    assert Page([], has_more=False) == await talks.page("c", tenant="a", limit=2, order="asc", after="i2")
    with pytest.raises(UnknownCursor):
        await talks.page("c", tenant="a", limit=2, order="asc", after="i3")


async def test_turns_and_additions_stand_in_their_order(talks: Conversations, store: Store) -> None:
    """Whoever brought them; a response has what was before it."""
    await begin(talks, "c", "i1")
    await say(talks, store, "r1")
    assert await add(talks, "i2", "i3")
    await say(talks, store, "r2")
    assert ["i1", "r1.in", "r1.out", "i2", "i3", "r2.in", "r2.out"] == await held(talks)
    assert ["i1", "r1.in", "r1.out"] == await context(store, "r1")
    assert ["i1", "r1.in", "r1.out", "i2", "i3", "r2.in", "r2.out"] == await context(store, "r2")


async def test_a_chain_that_leaves_a_conversation_does_not_grow_it(talks: Conversations, store: Store) -> None:
    """It goes on from a response of it; the conversation branches off, and both are whole."""
    await begin(talks)
    await say(talks, store, "r1")
    await store.save(response("own", after="r1"), inputs=items("own.in"), outputs=[])
    await say(talks, store, "r2")
    assert ["r1.in", "r1.out", "r2.in", "r2.out"] == await held(talks)
    assert ["r1.in", "r1.out", "own.in"] == await context(store, "own")
    assert ["r1.in", "r1.out", "r2.in", "r2.out"] == await context(store, "r2")


async def test_what_was_omitted_is_in_nothing_made_later(talks: Conversations, store: Store) -> None:
    """Neither in the conversation, nor in chains that go on from its later responses; earlier ones keep it."""
    await begin(talks, "c", "i1", "i2")
    await say(talks, store, "r1")
    assert await talks.omit("c", "i1", tenant="a")
    await say(talks, store, "r2")
    await store.save(response("late", after="r2"), inputs=items("late.in"), outputs=[])
    await store.save(response("later", after="late"), inputs=items("later.in"), outputs=[])
    await store.save(response("early", after="r1"), inputs=items("early.in"), outputs=[])
    rest = ["i2", "r1.in", "r1.out", "r2.in", "r2.out"]
    assert rest == await held(talks)
    assert {} == await talks.named("c", ["i1"], tenant="a")
    assert rest == await context(store, "r2")
    assert [*rest, "late.in", "later.in"] == await context(store, "later")
    assert ["i1", "i2", "r1.in", "r1.out", "early.in"] == await context(store, "early")
    listed = [
        await store.input_items(id, tenant="a", limit=9, order="asc", after=None) for id in ("r1", "later", "early")
    ]
    assert [
        Page(items("i1", "i2", "r1.in"), has_more=False),
        Page(items(*rest, "late.in", "later.in"), has_more=False),
        Page(items("i1", "i2", "r1.in", "r1.out", "early.in"), has_more=False),
    ] == listed
    with pytest.raises(UnknownCursor):
        await store.input_items("r2", tenant="a", limit=9, order="asc", after="i1")


@pytest.mark.parametrize(("id", "item", "tenant"), [("c", "i2", "a"), ("c", "i1", "b"), ("d", "i1", "a")])
async def test_what_is_not_there_cannot_be_omitted(talks: Conversations, id: str, item: str, tenant: str) -> None:
    """Nor twice; and nothing is gone."""
    await begin(talks, "c", "i1")
    assert not await talks.omit(id, item, tenant=tenant)
    assert ["i1"] == await held(talks)
    assert await talks.omit("c", "i1", tenant="a")
    assert not await talks.omit("c", "i1", tenant="a")


async def test_added_items_are_found_by_their_ids(talks: Conversations, store: Store) -> None:
    """As long as the conversation has them, and whatever became of its responses."""
    await begin(talks, "c", "i1", "i2")
    await say(talks, store, "r1", expires_at=1)
    await store.sweep(2)
    ids = ["i1", "i2", "r1.in", "r1.out"]
    assert {*ids} == (await store.find_items(ids, tenant="a")).keys()
    assert {} == await store.find_items(ids, tenant="b")
    await talks.omit("c", "i1", tenant="a")
    assert {*ids[1:]} == (await store.find_items(ids, tenant="a")).keys()
    await talks.delete("c", tenant="a")
    assert {} == await store.find_items(ids, tenant="a")


async def test_a_conversation_does_not_expire(talks: Conversations, store: Store) -> None:
    """Its responses do, and their items stay in it."""
    await begin(talks, "c", "i1")
    await say(talks, store, "r1", expires_at=1)
    assert 1 == await store.sweep(10**9)
    assert await store.response("r1", tenant="a") is None
    assert ["i1", "r1.in", "r1.out"] == await held(talks)
    await say(talks, store, "r2")
    assert ["i1", "r1.in", "r1.out", "r2.in", "r2.out"] == await context(store, "r2")


async def test_the_responses_of_a_deleted_conversation_are_whole(talks: Conversations, store: Store) -> None:
    """With all that was before them; the conversation is gone at once, for its tenant alone to say."""
    await begin(talks, "c", "i1")
    await say(talks, store, "r1")
    assert not await talks.delete("c", tenant="b")
    assert await talks.delete("c", tenant="a")
    assert not await talks.delete("c", tenant="a")
    await store.sweep(1)
    assert await held(talks) is None
    assert ["i1", "r1.in", "r1.out"] == await context(store, "r1")


async def test_nothing_is_left_of_what_was_deleted(talks: Conversations, store: Store, database: Database) -> None:
    """The first sweep erases items that nothing alive has, and plans what lies on the shelf for them."""
    blobs, erasing = Blobs("memory:"), Erasing(database, lambda: NOW)
    key = response_prefix("a", "add_1") + "blob"
    assert await erasing.plan_response("a", "add_1", due_at=NOW)
    await blobs.put(key, b"large")
    await talks.create(
        ConversationRow("c", NOW, {}), tenant="a", addition=Addition("add_1", items("i1"), has_blobs=True)
    )
    await say(talks, store, "r1")
    assert 0 == await erasing.erase(blobs)
    await talks.delete("c", tenant="a")
    await store.sweep(1)
    assert 0 == await erasing.erase(blobs)
    assert b"large" == await blobs.read(key)  # the response has it still
    await store.delete("r1", tenant="a")
    await store.sweep(1)
    assert 1 == await erasing.erase(blobs)
    with pytest.raises(NoSuchBlob):
        await blobs.read(key)
    for table in ("conversations", "items", "lineages", "responses", "erasures"):
        assert [(0,)] == await database.fetch(f"SELECT count(*) FROM {table}", {})  # noqa: S608 - those above
    await blobs.aclose()


@pytest.mark.slow
async def test_a_long_conversation_costs_as_much_as_a_short_one(traced: Database, statements: list[str]) -> None:
    """The thousandth turn takes the statements that the tenth took, and so do additions; its context is one."""
    talks, store = Conversations(traced), Store(traced)
    await begin(talks)
    costs: list[tuple[int, int]] = []
    for number in range(1000):
        statements.clear()
        await say(talks, store, f"r{number}")
        turn = len(statements)
        await add(talks, f"i{number}")
        costs.append((turn, len(statements) - turn))
    statements.clear()
    rows = await talks.context("c", tenant="a")
    assert 1 == len(statements)
    assert 3000 == len(rows or [])
    assert costs[9] == costs[999]
