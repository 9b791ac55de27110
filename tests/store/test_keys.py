"""Keys of callers: kept as digests, found until they are revoked or expire, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.http.auth.stored import StoredKeys
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import ApiError
from antiphon.store import StoreUnavailable
from antiphon.store.keys import SHOWN_CHARACTERS, Keys, digest, is_key, new_key
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


@pytest.fixture
def keys(database: Database) -> Keys:
    """Nobody has a key yet."""
    return Keys(database)


async def added(keys: Keys, *, tenant: str = "a", life_ms: int | None = None) -> tuple[str, str]:
    """A new key and its id."""
    key = new_key()
    return key, await keys.add(key, tenant=tenant, name="for tests", life_ms=life_ms)


async def test_a_key_is_found_by_its_digest(keys: Keys) -> None:
    """And by nothing else; whose it is, is known."""
    key, id = await added(keys)
    found = await keys.find(digest(key))
    assert found is not None
    assert (id, "a", "good") == (found.id, found.tenant, found.state)
    assert None is await keys.find(digest(new_key()))
    assert None is await keys.find(key)


async def test_nothing_that_opens_is_kept(keys: Keys, database: Database) -> None:
    """Neither in a row nor in the list: the first characters alone."""
    key, id = await added(keys)
    rows = await database.fetch("SELECT * FROM api_keys", {})
    assert key not in str(rows)
    assert key[SHOWN_CHARACTERS:] not in str(rows)
    [entry] = await keys.entries()
    assert (id, key[:SHOWN_CHARACTERS], "for tests", "good") == (entry.id, entry.shown, entry.name, entry.state)
    assert (None, None, None) == (entry.expires_at, entry.revoked_at, entry.last_used_at)


async def test_a_revoked_key_stays_revoked(keys: Keys) -> None:
    """Twice is once, others are not touched, and the first time counts."""
    key, id = await added(keys)
    other, _ = await added(keys)
    assert await keys.revoke(id)
    first = [entry.revoked_at for entry in await keys.entries() if entry.id == id]
    assert await keys.revoke(id)
    assert first == [entry.revoked_at for entry in await keys.entries() if entry.id == id]
    assert not await keys.revoke("key_none")
    states = [found.state for each in (key, other) if (found := await keys.find(digest(each)))]
    assert ["revoked", "good"] == states


async def test_a_key_expires(keys: Keys) -> None:
    """By the database's clock; one with a day to live has its time."""
    short, _ = await added(keys, life_ms=0)
    long, _ = await added(keys, life_ms=DAY_MS)
    assert ["expired", "good"] == [found.state for key in (short, long) if (found := await keys.find(digest(key)))]
    lives = sorted((entry.expires_at or 0) - entry.created_at for entry in await keys.entries())
    assert [0, DAY_MS] == [life // 1000 * 1000 for life in lives]  # two readings of one clock may lie apart
    with pytest.raises(ApiError, match="has expired: ak-"):
        await StoredKeys(keys).caller(short)


async def test_keys_are_listed_by_tenant(keys: Keys) -> None:
    """Of one, or of all, the oldest first."""
    ids = [(await added(keys, tenant=tenant))[1] for tenant in ("a", "b", "a")]
    assert sorted(ids) == sorted(entry.id for entry in await keys.entries())
    assert [ids[1]] == [entry.id for entry in await keys.entries(tenant="b")]
    assert [] == await keys.entries(tenant="c")


async def test_it_is_known_whether_anybody_has_a_key(keys: Keys) -> None:
    """One that opens."""
    assert not await keys.any_good()
    _, id = await added(keys)
    assert await keys.any_good()
    await keys.revoke(id)
    assert not await keys.any_good()


async def test_the_use_of_a_key_is_noted_once_an_hour(keys: Keys) -> None:
    """So that requests seldom write."""
    key, id = await added(keys)
    assert [True] == [found.is_used_anew for found in [await keys.find(digest(key))] if found]
    await keys.touch(id)
    [first] = await keys.entries()
    await keys.touch(id)
    [second] = await keys.entries()
    assert first.last_used_at == second.last_used_at is not None
    assert [False] == [found.is_used_anew for found in [await keys.find(digest(key))] if found]


async def test_what_opens_nothing_is_not_used(keys: Keys) -> None:
    """Whoever goes on sending it: else the list would say that it is in use."""
    old, _ = await added(keys, life_ms=0)
    revoked, id = await added(keys)
    await keys.revoke(id)
    for key in (old, revoked):
        with pytest.raises(ApiError):
            await StoredKeys(keys).caller(key)
    assert [None, None] == [entry.last_used_at for entry in await keys.entries()]


async def test_a_revoked_key_is_refused_everywhere_within_seconds(processes: list[Database]) -> None:
    """What a process has looked up holds for a moment, and no longer; a new key works at once."""
    clock = [0.0]
    nodes = [StoredKeys(Keys(database), clock=lambda: clock[0]) for database in processes]
    key, id = await added(Keys(processes[0]))
    assert [Caller("a")] * len(nodes) == [await node.caller(key) for node in nodes]
    await Keys(processes[-1]).revoke(id)
    clock[0] = 2.9
    assert [Caller("a")] * len(nodes) == [await node.caller(key) for node in nodes]
    clock[0] = 3.1
    for node in nodes:
        with pytest.raises(ApiError, match="was revoked: ak-"):
            await node.caller(key)


async def test_what_was_looked_up_fills_no_memory(keys: Keys) -> None:
    """However many keys are sent, and whether they are any: the one goes that was looked up longest ago."""
    stored = StoredKeys(keys, clock=lambda: 0.0, most=2)
    (one, first), (two, second) = [await added(keys) for _ in range(2)]
    for key in (one, two):
        assert Caller("a") == await stored.caller(key)
    with pytest.raises(ApiError, match="Incorrect API key"):
        await stored.caller(new_key())
    for id in (first, second):
        await keys.revoke(id)
    assert Caller("a") == await stored.caller(two)
    with pytest.raises(ApiError, match="was revoked"):
        await stored.caller(one)


async def test_a_key_that_is_none_is_not_looked_up(database: Database) -> None:
    """What has not the form of one is refused without a word to the database, whoever sends how many."""
    troubled = Troubled(database)
    troubled.is_away = True
    stored = StoredKeys(Keys(troubled))
    for text in ("", "wrong", "ak-", f"ak-{'x' * 42}", f"ak-{'x' * 44}", "ak-" + "\u00e9" * 43, f"AK-{'x' * 43}"):
        assert not is_key(text)
        with pytest.raises(ApiError, match="Incorrect API key"):
            await stored.caller(text)
    assert is_key(new_key())
    with pytest.raises(StoreUnavailable):
        await stored.caller(new_key())


async def test_a_use_that_cannot_be_noted_keeps_nobody_out(database: Database) -> None:
    """The owner of a key is let in all the same."""
    troubled = Troubled(database)
    key, _ = await added(Keys(database))
    troubled.unheard = 1
    assert Caller("a") == await StoredKeys(Keys(troubled)).caller(key)
