"""Conversing: what is kept of what callers bring, and whose turn it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import anyio
import pytest
from msgspec.structs import replace

from antiphon.lifecycle import conversing
from antiphon.lifecycle.conversing import Conversing
from antiphon.protocol.conversations import Brought, read_addition, read_creation
from antiphon.protocol.errors import ApiError
from antiphon.store import ItemRow, ResponseRow, StoreUnavailable
from antiphon.store.blobs import NoSuchBlob
from antiphon.store.conversations import LOCK_SECONDS, Conversations
from tests.drawing import encoded, noise
from tests.filing import NOW
from tests.patient import HANG_SECONDS
from tests.store.rows import response
from tests.store.troubled import Troubled
from tests.talking import OWNER, STRANGER, Parlour, parlour
from tests.working import a_moment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

pytestmark = pytest.mark.anyio

HELLO = {"role": "user", "content": "Hello."}


@pytest.fixture
async def kept() -> AsyncGenerator[Parlour]:
    """No conversation is there yet."""
    async with parlour() as made:
        yield made


def brought(*items: dict[str, Any]) -> Brought:
    """What a caller adds."""
    return read_addition(json.dumps({"items": items}).encode())


async def begun(kept: Parlour, *items: dict[str, Any]) -> str:
    """A conversation of the owner's."""
    body = json.dumps({"items": items, "metadata": {"k": "v"}}).encode()
    return (await kept.conversing.create(read_creation(body), OWNER)).id


async def refused(asked: Awaitable[object]) -> tuple[int, str | None, str | None]:
    """Why something is not done."""
    with pytest.raises(ApiError) as caught:
        await asked
    return caught.value.status, caught.value.param, caught.value.code


async def history(kept: Parlour, id: str) -> list[Any]:
    """The items of a conversation, as JSON."""
    return [json.loads(row.json) for row in await kept.conversing.history(id, OWNER)]


def row(id: str, conversation: str) -> ResponseRow:
    """A response in a conversation of the owner's."""
    return replace(response(id, expires_at=NOW + 1), conversation=conversation)


async def test_ids_are_in_the_form_of_the_live_service(kept: Parlour) -> None:
    """The time, chance, and the partition, which the items and the responses of a conversation share."""
    id = await begun(kept, HELLO, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"})
    assert 53 == len(id)
    assert id.startswith(f"conv_{NOW:08x}")
    partition = id[-16:]
    message, call = [item["id"] for item in await history(kept, id)]
    assert [f"msg_{NOW:08x}", f"fc_{NOW:08x}"] == [message[:12], call[:11]]
    assert [partition, partition, 52, 51] == [message[-16:], call[-16:], len(message), len(call)]
    assert kept.conversing.ids(id).new("resp").startswith(f"resp_{partition}00{NOW:08x}")
    assert 16 == len(kept.conversing.ids("another's").partition)


async def test_shorthand_is_kept_in_full_with_what_the_caller_adds(kept: Parlour) -> None:
    """As in a request, and without secrets."""
    id = await begun(kept, {**HELLO, "mine": {"a": 1}})
    [item] = await history(kept, id)
    assert {
        "mine": {"a": 1},
        "id": item["id"],
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello."}],
    } == item


async def test_an_item_that_is_there_already_is_not_added_again(kept: Parlour) -> None:
    """A client that sends back what it was given adds what is new; an id of its own may be given to something new."""
    id = await begun(kept, {**HELLO, "id": "msg_1"})
    again = await kept.conversing.add(id, brought({**HELLO, "id": "msg_1"}), OWNER)
    assert [] == again.rows
    other = await kept.conversing.add(id, brought({"id": "msg_1", "role": "user", "content": "New."}, HELLO), OWNER)
    assert 2 == len(other.rows)
    assert ["Hello.", "New.", "Hello."] == [item["content"][0]["text"] for item in await history(kept, id)]


async def test_a_reference_brings_an_item_of_elsewhere(kept: Parlour) -> None:
    """Of another conversation or of a response, with what the model read of it; one that is there is not moved."""
    first = await begun(kept, {**HELLO, "id": "msg_1"})
    call = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
    item = ItemRow(id="ws_1", json=json.dumps(call).encode(), output="What it read.")
    await kept.store.save(response("r1"), inputs=[], outputs=[item])
    second = await begun(kept)
    page = await kept.conversing.add(second, brought({"id": "msg_1"}, {"id": "ws_1"}), OWNER)
    assert ["msg_1", "ws_1"] == [row.id for row in page.rows]
    rows = await kept.conversing.history(second, OWNER)
    assert {"msg_1": None, "ws_1": "What it read."} == {row.id: row.output for row in rows}
    assert [] == (await kept.conversing.add(first, brought({"id": "msg_1"}), OWNER)).rows


async def test_a_reference_to_nothing_is_refused(kept: Parlour) -> None:
    """To an item of somebody else's too; nothing is kept."""
    id = await begun(kept, {**HELLO, "id": "msg_1"})
    assert (404, "items", None) == await refused(kept.conversing.add(id, brought({"id": "msg_2"}), OWNER))
    assert (404, "items", None) == await refused(
        kept.conversing.create(read_creation(b'{"items":[{"id":"msg_1"}]}'), STRANGER)
    )
    assert 1 == len(await history(kept, id))


async def test_large_content_lies_on_the_shelf_as_long_as_the_item_is_kept(kept: Parlour) -> None:
    """It goes with the sweep after the conversation was deleted."""
    image = encoded(noise("a"))
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{image}"}
    id = await begun(kept)
    [item] = (await kept.conversing.add(id, brought({"role": "user", "content": [picture]}), OWNER)).rows
    assert len(item.json) < 1000
    url = json.loads(item.json)["content"][0]["image_url"]
    assert noise("a") == await kept.shelves.shelf.content(url, "a")
    kept.now += 10**6
    assert 0 == await kept.shelves.erasing.erase(kept.shelves.blobs)
    await kept.conversing.delete(id, OWNER)
    await kept.store.sweep(kept.now)
    assert 1 == await kept.shelves.erasing.erase(kept.shelves.blobs)
    with pytest.raises(NoSuchBlob):
        await kept.shelves.shelf.content(url, "a")


async def test_what_is_on_the_shelf_for_an_addition_that_was_refused_goes(kept: Parlour) -> None:
    """Nothing leads to it."""
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{encoded(noise('a'))}"}
    id = await begun(kept)
    async with kept.conversing.holding(id, OWNER, "r1"):
        adding = kept.conversing.add(id, brought({"role": "user", "content": [picture]}), OWNER)
        assert (409, "conversation", "conversation_locked") == await refused(adding)
    kept.now += 10**6
    assert 1 == await kept.shelves.erasing.erase(kept.shelves.blobs)


async def test_what_is_not_there_is_the_same_404_for_everybody(kept: Parlour) -> None:
    """Unknown or somebody else's."""
    id = await begun(kept, {**HELLO, "id": "msg_1"})
    made = kept.conversing
    for caller, name in ((STRANGER, id), (OWNER, "conv_x")):
        for asked in (
            made.find(name, caller),
            made.update(name, Brought(), caller),
            made.delete(name, caller),
            made.page(name, caller, limit=1, order="asc", after=None),
            made.add(name, brought(HELLO), caller),
            made.item(name, "msg_1", caller),
            made.omit(name, "msg_1", caller),
            made.history(name, caller),
            made.holding(name, caller, "r1").__aenter__(),
        ):
            assert (404, None, None) == await refused(asked)


async def test_an_item_is_found_until_it_is_omitted(kept: Parlour) -> None:
    """Then it is not there."""
    id = await begun(kept, {**HELLO, "id": "msg_1"})
    assert "msg_1" == (await kept.conversing.item(id, "msg_1", OWNER)).id
    assert id == (await kept.conversing.omit(id, "msg_1", OWNER)).id
    for asked in (kept.conversing.item(id, "msg_1", OWNER), kept.conversing.omit(id, "msg_1", OWNER)):
        assert (404, None, None) == await refused(asked)


async def test_one_response_at_a_time_holds_a_conversation(kept: Parlour) -> None:
    """Of whichever process; it is free once the block ends, however that is."""
    id, other = await begun(kept), kept.process()
    with pytest.raises(ZeroDivisionError):
        await broken_off(kept, id, other)
    async with other.holding(id, OWNER, "r2"):
        pass


async def broken_off(kept: Parlour, id: str, other: Conversing) -> None:
    """A run that fails, and is alone until then."""
    async with kept.conversing.holding(id, OWNER, "r1"):
        taking = other.holding(id, OWNER, "r2").__aenter__()
        assert (409, "conversation", "conversation_locked") == await refused(taking)
        raise ZeroDivisionError


async def test_a_hold_that_is_kept_outlives_its_block(kept: Parlour) -> None:
    """A job has it then."""
    id = await begun(kept)
    async with kept.conversing.holding(id, OWNER, "r1") as hold:
        hold.keep()
    assert 409 == (await refused(kept.conversing.holding(id, OWNER, "r2").__aenter__()))[0]
    await kept.store.save(row("r1", id), inputs=[], outputs=[])
    async with kept.conversing.holding(id, OWNER, "r2"):
        pass


async def test_a_run_that_is_cancelled_lets_go(kept: Parlour) -> None:
    """Though nothing waits for it any more."""
    id = await begun(kept)
    inside = anyio.Event()

    async def hold() -> None:
        async with kept.conversing.holding(id, OWNER, "r1"):
            inside.set()
            await anyio.sleep_forever()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(hold)
            await inside.wait()
            group.cancel_scope.cancel()
        async with kept.conversing.holding(id, OWNER, "r2"):
            pass


async def test_what_is_held_is_renewed_by_one_task(kept: Parlour, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all of the process, and as long as they are in their block."""
    monkeypatch.setattr(conversing, "RENEWED_SECONDS", 0.001)
    first, second = await begun(kept), await begun(kept)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(kept.conversing.run)
            async with kept.conversing.holding(first, OWNER, "r1"), kept.conversing.holding(second, OWNER, "r2"):
                await renewed(kept, first, second)
            group.cancel_scope.cancel()


async def renewed(kept: Parlour, *ids: str) -> None:
    """Long after they were taken, wait until conversations are renewed: nobody else gets them."""
    kept.now += 10 * LOCK_SECONDS
    while [(len(ids),)] != await kept.database.fetch(
        "SELECT count(*) FROM conversations WHERE held_at = :now", {"now": kept.now}
    ):
        await a_moment()
    for id in ids:
        assert 409 == (await refused(kept.process().holding(id, OWNER, "r3").__aenter__()))[0]


@pytest.mark.parametrize(("passed", "is_freed"), [(0, False), (1, True)])
async def test_what_a_process_held_that_is_gone_is_free_at_the_start(
    kept: Parlour, passed: int, *, is_freed: bool
) -> None:
    """The next one begins with nothing held but what it holds by then, as the database is its own alone."""
    first, second = await begun(kept), await begun(kept)
    async with kept.conversing.holding(first, OWNER, "r1") as hold:
        hold.keep()
    kept.now += passed
    counted = Troubled(kept.database)
    after = Conversing(Conversations(counted), kept.store, kept.shelves.shelf, tokens=kept.tokens, now=kept.time)
    async with after.holding(second, OWNER, "r2"):
        await begins(after, counted)
        assert is_freed == await kept.talks.lock(first, tenant="a", holder="r3", now=kept.now)
        assert not await kept.talks.lock(second, tenant="a", holder="r3", now=kept.now)


async def begins(process: Conversing, counted: Troubled) -> None:
    """Run it until it has freed what it may."""
    before = counted.transactions
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(process.run)
            while counted.transactions == before:
                await a_moment()
            group.cancel_scope.cancel()


async def test_a_start_frees_what_was_held_within_its_second(kept: Parlour) -> None:
    """As long as it holds nothing itself."""
    id = await begun(kept)
    async with kept.conversing.holding(id, OWNER, "r1") as hold:
        hold.keep()
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(kept.process().run)
            while not await kept.talks.lock(id, tenant="a", holder="r2", now=kept.now):
                await a_moment()
            group.cancel_scope.cancel()


async def test_a_store_that_is_away_ends_no_run(kept: Parlour) -> None:
    """What cannot be renewed or let go now is tried again, or free by itself."""
    id = await begun(kept)
    troubled = Troubled(kept.database)
    made = Conversing(Conversations(troubled), kept.store, kept.shelves.shelf, tokens=kept.tokens, now=kept.time)
    async with made.holding(id, OWNER, "r1"):
        troubled.is_away = True
        await made.renew()
        with anyio.move_on_after(0.01):  # it goes on, though nothing can be freed
            await made.run()
    with pytest.raises(StoreUnavailable):
        await made.delete(id, OWNER)
    kept.now += LOCK_SECONDS
    async with kept.conversing.holding(id, OWNER, "r2"):
        pass


async def test_nobody_who_holds_nothing_is_renewed(kept: Parlour) -> None:
    """The store is not asked."""
    troubled = Troubled(kept.database)
    made = Conversing(Conversations(troubled), kept.store, kept.shelves.shelf, tokens=kept.tokens, now=kept.time)
    await made.renew()
    assert 0 == troubled.transactions


async def test_a_conversation_that_goes_meanwhile_takes_nothing(kept: Parlour) -> None:
    """Between the look at it and the addition."""
    id = await begun(kept)

    class Fleeting(Conversations):
        """Found, and then gone."""

        async def named(self, id: str, ids: object, *, tenant: str) -> dict[str, ItemRow]:
            """Nothing, and no conversation any more."""
            await self.delete(id, tenant=tenant)
            return {}

    made = Conversing(Fleeting(kept.database), kept.store, kept.shelves.shelf, tokens=kept.tokens, now=kept.time)
    assert (404, None, None) == await refused(made.add(id, brought({**HELLO, "id": "msg_1"}), OWNER))
