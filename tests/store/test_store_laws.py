"""The laws of the store: whatever is asked of it in whatever order, it answers as a plain model of chains does."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from antiphon.store import Conflict, ItemRow, UnknownCursor, sqlite
from antiphon.store import store as verbs
from antiphon.store.store import Store
from tests.store.rows import response

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.store.conftest import Open, Urls

T = TypeVar("T")
TENANTS = st.sampled_from(["a", "b"])
ITEM_IDS = [f"i{number}" for number in range(6)]
ITEMS = st.lists(st.sampled_from(ITEM_IDS), max_size=3)
INPUTS = st.lists(st.sampled_from(ITEM_IDS), min_size=1, max_size=3)


class Turn:
    """What the model knows of a saved response."""

    def __init__(self, tenant: str, previous: Turn | None, *, inputs: list[ItemRow], outputs: list[ItemRow]) -> None:
        self.tenant = tenant
        self.inputs = inputs
        self.outputs = outputs
        self.history: list[ItemRow] = previous.context if previous else []
        self.ancestors: list[Turn] = [*previous.ancestors, previous] if previous else []
        self.expires_at = 0
        self.lives = True

    @property
    def context(self) -> list[ItemRow]:
        """All items up to and with this turn."""
        return [*self.history, *self.inputs, *self.outputs]

    def listed(self) -> list[ItemRow]:
        """History and own input, each id at its last place."""
        last = {item.id: place for place, item in enumerate([*self.history, *self.inputs])}
        return [item for place, item in enumerate([*self.history, *self.inputs]) if last[item.id] == place]


class Chains(RuleBasedStateMachine):
    """Random saves, branches, deletions, expiries and sweeps, asked about at every step."""

    responses: Bundle[str] = Bundle("responses")

    def __init__(self, open_empty: Open) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = self.run(open_empty())
        self.store = Store(self.database)
        self.turns: dict[tuple[str, str], Turn] = {}  # in the order of saving, without what was erased
        self.count = 0
        self.now = 0

    def run(self, asked: Coroutine[object, None, T]) -> T:
        """Wait for the store."""
        return self.runner.run(asked)

    def rows(self, ids: list[str]) -> list[ItemRow]:
        """Items whose content is like no other's."""
        rows = []
        for key in ids:
            self.count += 1
            rows.append(
                ItemRow(id=key, json=b"%d" % self.count, output=None if self.count % 3 else f"read {self.count}")
            )
        return rows

    def alive(self, id: str, tenant: str) -> Turn | None:
        """The turn that a tenant finds under an id."""
        turn = self.turns.get((tenant, id))
        return turn if turn and turn.lives else None

    @rule(target=responses, tenant=TENANTS, inputs=INPUTS, outputs=ITEMS, life=st.integers(1, 20))
    def begin(self, tenant: str, inputs: list[str], outputs: list[str], life: int) -> str:
        """Save a response without a previous one."""
        return self.append(None, tenant, inputs=inputs, outputs=outputs, life=life)

    @rule(target=responses, previous=responses, tenant=TENANTS, inputs=INPUTS, outputs=ITEMS, life=st.integers(1, 20))
    def go_on(self, previous: str, tenant: str, inputs: list[str], outputs: list[str], life: int) -> str:
        """Save a response after any other: a tip, the middle of a chain, a tombstone, an erased or a foreign one."""
        return self.append(previous, tenant, inputs=inputs, outputs=outputs, life=life)

    def append(self, previous: str | None, tenant: str, *, inputs: list[str], outputs: list[str], life: int) -> str:
        """Save a response in the store and in the model."""
        key = f"r{self.count}"
        parent = self.turns.get((tenant, previous)) if previous else None
        turn = Turn(tenant, parent, inputs=self.rows(inputs), outputs=self.rows(outputs))
        turn.expires_at = self.now + life
        row = response(key, after=previous, tenant=tenant, expires_at=turn.expires_at)
        self.run(self.store.save(row, inputs=turn.inputs, outputs=turn.outputs))
        self.turns[tenant, key] = turn
        return key

    @rule(id=responses, tenant=TENANTS)
    def save_again(self, id: str, tenant: str) -> None:
        """An id that is there is refused, tombstone or not."""
        if (tenant, id) in self.turns:
            with pytest.raises(Conflict):
                self.run(self.store.save(response(id, tenant=tenant), inputs=self.rows(ITEM_IDS), outputs=[]))

    @rule(id=responses, tenant=TENANTS)
    def delete(self, id: str, tenant: str) -> None:
        """Delete what may be there."""
        turn = self.alive(id, tenant)
        assert self.run(self.store.delete(id, tenant=tenant)) == (turn is not None)
        if turn:
            turn.lives = False

    @rule(passed=st.integers(0, 15))
    def sweep(self, passed: int) -> None:
        """Let time pass, and sweep: what expired dies, what nothing alive was built on is gone."""
        self.now += passed
        expired = [turn for turn in self.turns.values() if turn.lives and turn.expires_at <= self.now]
        assert self.run(self.store.sweep(self.now)) == len(expired)
        for turn in expired:
            turn.lives = False
        needed = {id(needed) for turn in self.roots() for needed in (turn, *turn.ancestors)}
        self.turns = {key: turn for key, turn in self.turns.items() if id(turn) in needed}
        [(kept,)] = self.run(self.database.fetch("SELECT count(*) FROM items", {}))
        assert kept == sum(len(turn.inputs) + len(turn.outputs) for turn in self.turns.values())

    def roots(self) -> list[Turn]:
        """The turns that something is alive at."""
        return [turn for turn in self.turns.values() if turn.lives]

    @rule(id=responses, tenant=TENANTS)
    def read(self, id: str, tenant: str) -> None:
        """Ask for body and context."""
        turn = self.alive(id, tenant)
        assert self.run(self.store.response(id, tenant=tenant)) == (b'{"id":"%s"}' % id.encode() if turn else None)
        assert self.run(self.store.context(id, tenant=tenant)) == (turn.context if turn else None)

    @rule(
        id=responses,
        tenant=TENANTS,
        limit=st.integers(1, 6),
        order=st.sampled_from(["asc", "desc"]),
        after=st.none() | st.sampled_from(ITEM_IDS),
    )
    def page(self, id: str, tenant: str, limit: int, order: Literal["asc", "desc"], after: str | None) -> None:
        """Ask for a page of the input items."""
        asked = self.store.input_items(id, tenant=tenant, limit=limit, order=order, after=after)
        turn = self.alive(id, tenant)
        if turn is None:
            assert self.run(asked) is None
            return
        listed = turn.listed() if order == "asc" else turn.listed()[::-1]
        ids = [item.id for item in listed]
        if after is not None and after not in ids:
            with pytest.raises(UnknownCursor):
                self.run(asked)
            return
        start = 0 if after is None else ids.index(after) + 1
        page = self.run(asked)
        assert page is not None
        assert page.rows == listed[start : start + limit]
        assert page.has_more == (len(listed) > start + limit)

    @rule(tenant=TENANTS)
    def find(self, tenant: str) -> None:
        """Ask for items by id."""
        own = [turn for turn in self.turns.values() if turn.tenant == tenant]
        newest = {item.id: item for turn in own for item in self.found(turn)}
        assert self.run(self.store.find_items(ITEM_IDS, tenant=tenant)) == newest

    def found(self, turn: Turn) -> list[ItemRow]:
        """The items of a turn that are found by their ids, oldest first."""
        return [*turn.inputs, *turn.outputs] if turn.lives else []

    def teardown(self) -> None:
        """The database is sound at the end."""
        checks = ("PRAGMA foreign_key_check", "PRAGMA integrity_check") if self.database.engine == "sqlite" else ()
        found = [self.run(self.database.fetch(check, {})) for check in checks]
        self.run(self.store.aclose())
        self.runner.close()
        assert found in ([], [[], [("ok",)]])


def answer_as_the_model_does(batch: int, monkeypatch: pytest.MonkeyPatch, open_empty: Open, *, examples: int) -> None:
    """Run the machine on empty databases, with a sweep that takes so many rows at once."""
    monkeypatch.setattr(verbs, "SWEPT_RESPONSES", batch)
    monkeypatch.setattr(verbs, "SWEPT_LINEAGES", batch)

    class ChainsHere(Chains):
        """The machine on these databases."""

        def __init__(self) -> None:
            super().__init__(open_empty)

    limits = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(ChainsHere, settings=limits)


@pytest.mark.parametrize("batch", [1, 100])
def test_the_store_answers_as_a_plain_model_of_chains_does(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is saved, branched, deleted, expired and swept, and however small the sweep's transactions are."""
    answer_as_the_model_does(batch, monkeypatch, partial(sqlite.connect, "sqlite://"), examples=40)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 100])
def test_on_postgres_the_store_answers_as_the_model_does(
    batch: int, monkeypatch: pytest.MonkeyPatch, urls: Urls
) -> None:
    """The same, over a network."""
    answer_as_the_model_does(batch, monkeypatch, urls.open, examples=15)


@pytest.mark.slow
def test_through_a_pooler_the_store_answers_as_the_model_does(
    monkeypatch: pytest.MonkeyPatch, pooled_urls: Urls
) -> None:
    """The same, where each transaction may meet another connection."""
    answer_as_the_model_does(1, monkeypatch, pooled_urls.open, examples=10)
