"""The laws of conversations: among all that happens to chains they are what a plain model says, and leave nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule, run_state_machine_as_test
from msgspec.structs import replace

from antiphon.store import ConversationHeld, UnknownCursor, sqlite
from antiphon.store import store as verbs
from antiphon.store.conversations import LOCK_SECONDS, Addition, ConversationRow, Conversations
from tests.store.rows import response
from tests.store.test_store_laws import INPUTS, ITEM_IDS, ITEMS, TENANTS, Chains, Turn

if TYPE_CHECKING:
    from antiphon.store import ItemRow
    from tests.store.conftest import Open, Urls

HOLDERS = st.sampled_from(["x", "y"])


class Talk:
    """What the model knows of a conversation: its items, the turns of which something is in it, and who holds it."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.items: list[ItemRow] = []
        self.turns: list[Turn] = []
        self.holder: str | None = None
        self.held_at = 0

    def is_free(self, holder: str, now: int) -> bool:
        """Whether somebody may hold it."""
        return self.holder in {None, holder} or self.held_at <= now - LOCK_SECONDS

    def listed(self) -> list[ItemRow]:
        """Each id at its last place."""
        last = {item.id: place for place, item in enumerate(self.items)}
        return [item for place, item in enumerate(self.items) if last[item.id] == place]


class Talks(Chains):
    """Conversations beside chains that begin in them, go on from them, and die before them."""

    talks: Bundle[str] = Bundle("talks")
    responses = Chains.responses

    def __init__(self, open_empty: Open) -> None:
        super().__init__(open_empty)
        self.conversations = Conversations(self.database)
        self.talking: dict[tuple[str, str], Talk] = {}

    def roots(self) -> list[Turn]:
        """Whatever stands in a conversation is needed."""
        return [*super().roots(), *(turn for talk in self.talking.values() for turn in talk.turns)]

    def found(self, turn: Turn) -> list[ItemRow]:
        """Items of a turn that is dead are found where they are in a conversation."""
        there = {id(item) for talk in self.talking.values() if turn in talk.turns for item in talk.items}
        return super().found(turn) or [item for item in (*turn.inputs, *turn.outputs) if id(item) in there]

    def appended(self, key: str, talk: Talk, inputs: list[ItemRow], outputs: list[ItemRow], *, lives: bool) -> Turn:
        """A turn at the end of a conversation."""
        turn = Turn(talk.tenant, None, inputs=inputs, outputs=outputs)
        turn.history, turn.ancestors, turn.lives = [*talk.items], [*talk.turns], lives
        talk.items += [*inputs, *outputs]
        talk.turns.append(turn)
        self.turns[talk.tenant, key] = turn
        return turn

    @rule(target=talks, tenant=TENANTS, ids=ITEMS)
    def talk(self, tenant: str, ids: list[str]) -> str:
        """A conversation, with items or without."""
        self.count += 1
        key, rows = f"c{self.count}", self.rows(ids)
        talk = self.talking[tenant, key] = Talk(tenant)
        addition = Addition(f"{key}.0", rows) if rows else None
        row = ConversationRow(key, self.now, {"is": key})
        self.run(self.conversations.create(row, tenant=tenant, addition=addition))
        if rows:
            self.appended(f"{key}.0", talk, rows, [], lives=False)
        return key

    @rule(id=talks, tenant=TENANTS, ids=INPUTS)
    def add(self, id: str, tenant: str, ids: list[str]) -> None:
        """Add items, unless a response is being written into it."""
        rows = self.rows(ids)
        addition = Addition(f"{id}.{self.count}", rows)
        adding = self.conversations.append(id, addition, tenant=tenant, now=self.now)
        talk = self.talking.get((tenant, id))
        if talk is None:
            assert not self.run(adding)
        elif talk.is_free(addition.id, self.now):
            assert self.run(adding)
            talk.holder = None
            self.appended(addition.id, talk, rows, [], lives=False)
        else:
            with pytest.raises(ConversationHeld):
                self.run(adding)

    @rule(id=talks, tenant=TENANTS, holder=HOLDERS)
    def hold(self, id: str, tenant: str, holder: str) -> None:
        """Hold what is free."""
        talk = self.talking.get((tenant, id))
        is_free = talk is not None and talk.is_free(holder, self.now)
        assert is_free == self.run(self.conversations.lock(id, tenant=tenant, holder=holder, now=self.now))
        if talk is not None and is_free:
            talk.holder, talk.held_at = holder, self.now

    @rule(id=talks, tenant=TENANTS, holder=HOLDERS)
    def let_go(self, id: str, tenant: str, holder: str) -> None:
        """Let go of what one holds, and of nothing else."""
        self.run(self.conversations.unlock(id, tenant=tenant, holder=holder))
        talk = self.talking.get((tenant, id))
        if talk is not None and talk.holder == holder:
            talk.holder = None

    @rule(holders=st.lists(HOLDERS, unique=True))
    def hold_on(self, holders: list[str]) -> None:
        """Hold on to what one holds."""
        self.run(self.conversations.renew(holders, self.now))
        for talk in self.talking.values():
            if talk.holder in holders:
                talk.held_at = self.now

    @rule(target=responses, id=talks, tenant=TENANTS, inputs=INPUTS, outputs=ITEMS, life=st.integers(1, 20))
    def say(self, id: str, tenant: str, inputs: list[str], outputs: list[str], life: int) -> str:
        """Save a response in a conversation, if it can be held; where there is none it begins a chain."""
        key = f"r{self.count}"
        talk = self.talking.get((tenant, id))
        is_free = talk is not None and talk.is_free(key, self.now)
        assert is_free == self.run(self.conversations.lock(id, tenant=tenant, holder=key, now=self.now))
        expires_at = self.now + life
        row = replace(response(key, tenant=tenant, expires_at=expires_at), conversation=id)
        read, said = self.rows(inputs), self.rows(outputs)
        if talk is not None and not is_free:
            with pytest.raises(ConversationHeld):
                self.run(self.store.save(row, inputs=read, outputs=said))
            return key
        self.run(self.store.save(row, inputs=read, outputs=said))
        if talk is None:
            turn = self.turns[tenant, key] = Turn(tenant, None, inputs=read, outputs=said)
        else:
            talk.holder = None
            turn = self.appended(key, talk, read, said, lives=True)
        turn.expires_at = expires_at
        return key

    @rule(id=talks, tenant=TENANTS, item=st.sampled_from(ITEM_IDS))
    def omit(self, id: str, tenant: str, item: str) -> None:
        """Take an item out, wherever it stands."""
        talk = self.talking.get((tenant, id))
        left = [] if talk is None else [row for row in talk.items if row.id != item]
        was_there = talk is not None and len(left) < len(talk.items)
        assert was_there == self.run(self.conversations.omit(id, item, tenant=tenant))
        if talk is not None:
            talk.items = left

    @rule(id=talks, tenant=TENANTS)
    def forget(self, id: str, tenant: str) -> None:
        """Delete what may be there."""
        talk = self.talking.pop((tenant, id), None)
        assert (talk is not None) == self.run(self.conversations.delete(id, tenant=tenant))

    @rule(
        id=talks,
        tenant=TENANTS,
        limit=st.integers(1, 6),
        order=st.sampled_from(["asc", "desc"]),
        after=st.none() | st.sampled_from(ITEM_IDS),
    )
    def look(self, id: str, tenant: str, limit: int, order: Literal["asc", "desc"], after: str | None) -> None:
        """Ask for all, for some by their ids, and for a page."""
        talk = self.talking.get((tenant, id))
        listed = talk.listed() if talk else []
        assert (talk.items if talk else None) == self.run(self.conversations.context(id, tenant=tenant))
        named = self.run(self.conversations.named(id, ITEM_IDS, tenant=tenant))
        assert {row.id: row for row in listed} == named
        asked = self.conversations.page(id, tenant=tenant, limit=limit, order=order, after=after)
        if talk is None:
            assert self.run(asked) is None
            return
        rows = listed if order == "asc" else listed[::-1]
        ids = [row.id for row in rows]
        if after is not None and after not in ids:
            with pytest.raises(UnknownCursor):
                self.run(asked)
            return
        start = 0 if after is None else ids.index(after) + 1
        page = self.run(asked)
        assert page is not None
        assert (rows[start : start + limit], len(rows) > start + limit) == (page.rows, page.has_more)

    def teardown(self) -> None:
        """Once all is forgotten and has expired, nothing is left."""
        for tenant, id in [*self.talking]:
            self.forget(id, tenant)
        self.sweep(1000)
        tables = ("items", "lineages", "responses", "conversations")
        left = [self.run(self.database.fetch(f"SELECT count(*) FROM {table}", {})) for table in tables]  # noqa: S608 - those above
        super().teardown()
        assert [[(0,)]] * len(tables) == left


def answer_as_the_model_does(batch: int, monkeypatch: pytest.MonkeyPatch, open_empty: Open, *, examples: int) -> None:
    """Run the machine on empty databases, with a sweep that takes so many rows at once."""
    monkeypatch.setattr(verbs, "SWEPT_RESPONSES", batch)
    monkeypatch.setattr(verbs, "SWEPT_LINEAGES", batch)

    class TalksHere(Talks):
        """The machine on these databases."""

        def __init__(self) -> None:
            super().__init__(open_empty)

    limits = settings(max_examples=examples, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(TalksHere, settings=limits)


@pytest.mark.parametrize("batch", [1, 100])
def test_conversations_are_what_a_plain_model_says(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes into them, goes on from them, takes items out of them and forgets them, in whatever order."""
    answer_as_the_model_does(batch, monkeypatch, partial(sqlite.connect, "sqlite://"), examples=50)


@pytest.mark.slow
def test_on_postgres_conversations_are_what_the_model_says(monkeypatch: pytest.MonkeyPatch, urls: Urls) -> None:
    """The same, over a network."""
    answer_as_the_model_does(1, monkeypatch, urls.open, examples=15)
