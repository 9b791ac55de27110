"""The store as its callers know it, on every engine."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import anyio
import pytest

from antiphon.store import Conflict, ItemRow, Page, UnknownCursor
from antiphon.store import store as verbs
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.store.rows import chain, context, items, response, save

if TYPE_CHECKING:
    from antiphon.store import Database

pytestmark = pytest.mark.anyio


async def rows(database: Database, table: str) -> int:
    """How many rows a table has."""
    [(count,)] = await database.fetch(f"SELECT count(*) FROM {table}", {})  # noqa: S608 - a test names the table
    assert isinstance(count, int)
    return count


async def listed(store: Store, id: str, order: Literal["asc", "desc"], *, limit: int = 100) -> list[str]:
    """The ids of the input items of a response, page by page to the end."""
    ids: list[str] = []
    more = True
    while more:
        page = await store.input_items(id, tenant="a", limit=limit, order=order, after=ids[-1] if ids else None)
        assert page is not None
        ids += [row.id for row in page.rows]
        more = page.has_more
        assert len(page.rows) == limit or not more
    return ids


async def test_a_saved_response_is_read_byte_for_byte(store: Store) -> None:
    """What was sent is what is found."""
    await save(store, "r1")

    assert await store.response("r1", tenant="a") == b'{"id":"r1"}'


async def test_an_unknown_response_is_found_nowhere(store: Store) -> None:
    """None says that there is none, False that nothing was deleted."""
    assert await store.response("r1", tenant="a") is None
    assert await store.context("r1", tenant="a") is None
    assert await store.input_items("r1", tenant="a", limit=20, order="asc", after=None) is None
    assert await store.find_items(["i1"], tenant="a") == {}
    assert await store.delete("r1", tenant="a") is False


async def test_items_keep_their_json_and_what_the_model_reads(store: Store) -> None:
    """Text of any language, control characters and the private output survive; no output stays no output."""
    kept = [
        ItemRow(id="i1", json='{"text":"Žluťoučký kůň 🐎"}'.encode(), output='found:\n"ž" \x00 🐎'),
        ItemRow(id="i2", json=b"{}", output=""),
        ItemRow(id="i3", json=b"{}"),
    ]
    await store.save(response("r1"), inputs=kept[:1], outputs=kept[1:])

    assert await store.context("r1", tenant="a") == kept
    assert await store.find_items(["i3", "i1", "i2"], tenant="a") == {item.id: item for item in kept}


async def test_an_id_is_kept_once(store: Store) -> None:
    """A second response under the same id is refused and leaves nothing behind."""
    await save(store, "r1")

    with pytest.raises(Conflict):
        await store.save(response("r1"), inputs=items("other"), outputs=[])

    assert await context(store, "r1") == ["r1.in", "r1.out"]
    assert await store.find_items(["other"], tenant="a") == {}


async def test_a_chain_is_read_oldest_first(store: Store) -> None:
    """The context is input, output, input, output, from the first turn to this one."""
    await chain(store, "r1", "r2", "r3")

    assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await context(store, "r3") == ["r1.in", "r1.out", "r2.in", "r2.out", "r3.in", "r3.out"]


async def test_a_chain_without_branches_is_one_lineage(store: Store, database: Database) -> None:
    """So it is read as one stretch, however long it is."""
    await chain(store, "r1", "r2", "r3")
    assert await rows(database, "lineages") == 1

    await save(store, "branch", after="r1")
    await save(store, "leaf", after="branch")
    assert await rows(database, "lineages") == 2


async def test_children_of_one_response_do_not_see_each_other(store: Store) -> None:
    """A second child branches; each goes on by itself, and the parent stays what it was."""
    await chain(store, "r1", "r2")
    await save(store, "left", after="r2")
    await save(store, "right", after="r2")
    await save(store, "right2", after="right")
    await save(store, "early", after="r1")

    trunk = ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await context(store, "r2") == trunk
    assert await context(store, "left") == [*trunk, "left.in", "left.out"]
    assert await context(store, "right2") == [*trunk, "right.in", "right.out", "right2.in", "right2.out"]
    assert await context(store, "early") == ["r1.in", "r1.out", "early.in", "early.out"]


async def test_children_saved_at_once_are_all_kept(store: Store) -> None:
    """No child has to wait for another, and none fails."""
    await save(store, "r1")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(partial(save, store, f"child{number}", after="r1"))

    for number in range(20):
        child = f"child{number}"
        assert await context(store, child) == ["r1.in", "r1.out", f"{child}.in", f"{child}.out"]


async def test_a_turn_without_items_has_its_parents_context(store: Store) -> None:
    """Turns that bring nothing share a place, and their children still do not meet."""
    await save(store, "r1")
    await store.save(response("empty", after="r1"), inputs=[], outputs=[])
    await save(store, "child", after="empty")
    await save(store, "sibling", after="r1")
    await store.save(response("alone"), inputs=[], outputs=[])

    assert await context(store, "empty") == ["r1.in", "r1.out"]
    assert await context(store, "child") == ["r1.in", "r1.out", "child.in", "child.out"]
    assert await context(store, "sibling") == ["r1.in", "r1.out", "sibling.in", "sibling.out"]
    assert await context(store, "alone") == []
    assert await store.input_items("alone", tenant="a", limit=1, order="asc", after=None) == Page([], has_more=False)


async def test_turns_without_items_can_be_erased(store: Store, database: Database) -> None:
    """Many tombstones at one place do not keep the sweep from its end."""
    await save(store, "r1")
    for number in range(verbs.SWEPT_RESPONSES + 5):
        await store.save(response(f"empty{number}", after="r1", expires_at=10), inputs=[], outputs=[])

    with anyio.fail_after(HANG_SECONDS):
        assert await store.sweep(10) == verbs.SWEPT_RESPONSES + 5
        assert await context(store, "r1") == ["r1.in", "r1.out"]
        assert await store.delete("r1", tenant="a")
        await store.sweep(10)

    assert await rows(database, "responses") == 0


async def test_a_response_after_an_unknown_one_begins_a_chain(store: Store) -> None:
    """What was erased meanwhile is no reason to lose a finished turn."""
    await save(store, "r2", after="never")

    assert await context(store, "r2") == ["r2.in", "r2.out"]


async def test_tenants_do_not_meet(store: Store) -> None:
    """A foreign response is found by no verb, and continuing it begins a chain of one's own."""
    await save(store, "r1", tenant="a")
    await save(store, "r1", tenant="b", after="r1")
    await save(store, "r2", tenant="b", after="r1")
    await save(store, "only", tenant="a")

    assert await store.response("only", tenant="b") is None
    assert await store.context("only", tenant="b") is None
    assert await store.find_items(["only.in"], tenant="b") == {}
    assert await store.input_items("only", tenant="b", limit=20, order="asc", after=None) is None
    assert await store.delete("only", tenant="b") is False
    assert await store.delete("r1", tenant="a")
    assert await context(store, "r2", tenant="b") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await store.response("r1", tenant="b") is not None


async def test_a_deleted_response_is_found_nowhere(store: Store) -> None:
    """A tombstone looks like a response that never was, and cannot be deleted twice."""
    await save(store, "r1")

    assert await store.delete("r1", tenant="a")

    assert await store.response("r1", tenant="a") is None
    assert await store.context("r1", tenant="a") is None
    assert await store.input_items("r1", tenant="a", limit=20, order="asc", after="r1.in") is None
    assert await store.find_items(["r1.in", "r1.out"], tenant="a") == {}
    assert await store.delete("r1", tenant="a") is False


@pytest.mark.parametrize("sweeps", [0, 1, 2])
async def test_descendants_of_a_deleted_response_keep_their_context(store: Store, sweeps: int) -> None:
    """Neither the deletion nor a sweep takes from a response what it was built on."""
    await chain(store, "r1", "r2", "r3")
    await save(store, "branch", after="r2")

    assert await store.delete("r2", tenant="a")
    assert await store.delete("r1", tenant="a")
    for _ in range(sweeps):
        await store.sweep(0)

    trunk = ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await context(store, "r3") == [*trunk, "r3.in", "r3.out"]
    assert await context(store, "branch") == [*trunk, "branch.in", "branch.out"]
    assert await listed(store, "branch", "asc") == [*trunk, "branch.in"]
    assert await store.find_items(["r2.in"], tenant="a") == {}


async def test_a_turn_whose_parent_was_deleted_meanwhile_is_saved_with_its_context(store: Store) -> None:
    """A deletion while the model speaks does not tear the chain."""
    await chain(store, "r1", "r2")
    await store.delete("r2", tenant="a")

    await save(store, "r3", after="r2")

    assert await context(store, "r3") == ["r1.in", "r1.out", "r2.in", "r2.out", "r3.in", "r3.out"]


async def test_what_nothing_alive_needs_is_erased_by_the_next_sweep(store: Store, database: Database) -> None:
    """The end of a chain goes at once; its middle goes with the last response that was built on it."""
    await chain(store, "r1", "r2", "r3")
    await save(store, "branch", after="r2")
    await store.delete("r3", tenant="a")
    await store.delete("r2", tenant="a")
    await store.sweep(0)
    assert await rows(database, "items") == 6
    assert await rows(database, "responses") == 3

    await store.delete("branch", tenant="a")
    await store.sweep(0)
    assert await rows(database, "items") == 2
    assert await rows(database, "lineages") == 1

    await save(store, "again", after="r1")
    assert await context(store, "again") == ["r1.in", "r1.out", "again.in", "again.out"]
    assert await rows(database, "lineages") == 1


async def test_a_long_chain_is_erased_in_small_transactions(store: Store, database: Database) -> None:
    """Whatever is deleted at once, nothing of it is left, and no transaction touches more than its share."""
    ids = [f"r{number}" for number in range(2 * verbs.SWEPT_RESPONSES + 20)]
    await chain(store, *ids)
    for turn in ids[5:]:
        await store.delete(turn, tenant="a")

    await store.sweep(0)

    assert await rows(database, "responses") == 5
    assert await rows(database, "items") == 10
    await save(store, "next", after="r4")
    assert await context(store, "next") == [f"{turn}.{side}" for turn in [*ids[:5], "next"] for side in ("in", "out")]


async def test_branches_on_branches_are_erased_to_the_root(store: Store, database: Database) -> None:
    """A lineage that nothing alive needs takes its parent with it, where that is needed no more either."""
    for number in range(3 * verbs.SWEPT_LINEAGES):
        await save(store, f"r{number}", after=f"r{number - 1}", expires_at=10)
        await save(store, f"twin{number}", after=f"r{number - 1}", expires_at=10)

    assert await store.sweep(10) == 6 * verbs.SWEPT_LINEAGES

    assert [await rows(database, table) for table in ("items", "responses", "lineages")] == [0, 0, 0]


async def test_a_response_expires_when_its_time_has_come(store: Store) -> None:
    """At ``expires_at`` it is gone like a deleted one, and counted once; what was built on it lives on."""
    await save(store, "r1", expires_at=10)
    await save(store, "r2", after="r1", expires_at=11)

    assert await store.sweep(9) == 0
    assert await store.response("r1", tenant="a") is not None
    assert await store.sweep(10) == 1
    assert await store.sweep(10) == 0
    assert await store.response("r1", tenant="a") is None
    assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await store.sweep(1000) == 1
    assert await context(store, "r2") is None


async def test_more_expire_than_one_transaction_takes(store: Store, database: Database) -> None:
    """The sweep goes on until nothing is left that expired."""
    count = 2 * verbs.SWEPT_RESPONSES + 1
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(partial(save, store, f"r{number}", expires_at=10))

    assert await store.sweep(10) == count
    assert await rows(database, "lineages") == 0


async def test_saving_goes_on_during_a_sweep(store: Store) -> None:
    """Turns that are saved while the sweep erases around them are kept whole."""
    await chain(store, *(f"r{number}" for number in range(150)))
    for number in range(1, 150):
        await store.delete(f"r{number}", tenant="a")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(store.sweep, 0)
            for number in range(20):
                group.start_soon(partial(save, store, f"new{number}", after="r0"))

    await store.sweep(0)
    for number in range(20):
        assert await context(store, f"new{number}") == ["r0.in", "r0.out", f"new{number}.in", f"new{number}.out"]


async def test_the_newest_item_under_an_id_is_found(store: Store) -> None:
    """Clients send items again by hand: the last saved one counts, as long as its response lives."""
    await store.save(response("r1"), inputs=[ItemRow(id="i", json=b"1")], outputs=[])
    await store.save(response("r2"), inputs=[ItemRow(id="i", json=b"2"), ItemRow(id="i", json=b"3")], outputs=[])
    await store.save(response("r3", after="r1"), inputs=[ItemRow(id="i", json=b"4")], outputs=[])

    found = []
    for newest in ("r3", "r2", "r1"):
        found += [row.json for row in (await store.find_items(["i", "i"], tenant="a")).values()]
        await store.delete(newest, tenant="a")

    assert found == [b"4", b"3", b"1"]
    assert await store.find_items(["i"], tenant="a") == {}


async def test_input_items_are_the_history_and_the_own_input(store: Store) -> None:
    """The own output is not listed, the output of earlier turns is."""
    await chain(store, "r1", "r2")

    assert await listed(store, "r2", "asc") == ["r1.in", "r1.out", "r2.in"]
    assert await listed(store, "r2", "desc") == ["r2.in", "r1.out", "r1.in"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_pages_add_up_to_the_list(store: Store, limit: int) -> None:
    """In both orders, over branches, and whatever the length of a page is."""
    await chain(store, "r1", "r2", "r3")
    await save(store, "branch", after="r2")
    await save(store, "leaf", after="branch")

    whole = ["r1.in", "r1.out", "r2.in", "r2.out", "branch.in", "branch.out", "leaf.in"]
    assert await listed(store, "leaf", "asc", limit=limit) == whole
    assert await listed(store, "leaf", "desc", limit=limit) == whole[::-1]


async def test_pages_do_not_move_while_the_chain_grows(store: Store) -> None:
    """New turns and branches after a response change nothing in its own list."""
    await chain(store, "r1", "r2")
    first = await store.input_items("r2", tenant="a", limit=1, order="desc", after=None)

    await save(store, "r3", after="r2")
    await save(store, "other", after="r1")
    await store.delete("r1", tenant="a")
    rest = await store.input_items("r2", tenant="a", limit=5, order="desc", after="r2.in")

    assert first == Page(items("r2.in"), has_more=True)
    assert rest == Page(items("r1.out", "r1.in"), has_more=False)


async def test_a_page_after_the_last_item_is_empty(store: Store) -> None:
    """The end of the list is no error."""
    await save(store, "r1")

    assert await store.input_items("r1", tenant="a", limit=5, order="asc", after="r1.in") == Page([], has_more=False)


@pytest.mark.parametrize("cursor", ["r2.out", "r3.in", "never", ""])
async def test_a_cursor_that_is_not_in_the_list_is_refused(store: Store, cursor: str) -> None:
    """The own output, the input of a later turn and an invented id are no places in the list."""
    await chain(store, "r1", "r2", "r3")

    with pytest.raises(UnknownCursor):
        await store.input_items("r2", tenant="a", limit=5, order="asc", after=cursor)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_an_item_that_was_sent_again_is_listed_once(store: Store, order: Literal["asc", "desc"]) -> None:
    """So a cursor has one place, and paging comes to an end."""
    await store.save(response("r1"), inputs=items("i1", "i2"), outputs=items("i3"))
    await store.save(response("r2", after="r1"), inputs=items("i1", "i4"), outputs=[])

    whole = ["i2", "i3", "i1", "i4"]
    assert await listed(store, "r2", order, limit=1) == (whole if order == "asc" else whole[::-1])
    assert await context(store, "r2") == ["i1", "i2", "i3", "i1", "i4"]


@pytest.mark.slow
async def test_a_long_chain_costs_as_much_as_a_short_one(traced: Database, statements: list[str]) -> None:
    """The thousandth turn takes the statements that the tenth took, and its context is one statement."""
    store = Store(traced)
    costs = []
    for previous, number in pairwise(range(1001)):
        statements.clear()
        await save(store, f"r{number}", after=f"r{previous}")
        costs.append(len(statements))
    statements.clear()

    rows = await store.context("r1000", tenant="a")

    assert costs[9] == costs[999]
    assert rows is not None
    assert [row.id for row in rows] == [f"r{turn}.{side}" for turn in range(1, 1001) for side in ("in", "out")]
    assert len(statements) == 1
