"""Patience: one span of time for all that waits together."""

from __future__ import annotations

import anyio
import pytest

from antiphon.lifecycle import patience
from antiphon.lifecycle.patience import AT_ONCE, Patience
from antiphon.store import StoreUnavailable
from tests.patient import HANG_SECONDS

pytestmark = pytest.mark.anyio


async def ends(one: Patience) -> float:
    """When the time of something is over that comes now."""
    async with one.place() as until:
        return until


@pytest.mark.parametrize("is_renewed", [False, True])
async def test_what_waits_together_has_one_end(*, is_renewed: bool) -> None:
    """Whenever it came."""
    one = Patience(is_renewed=is_renewed)
    async with one.place() as first, one.place() as second:
        assert first == second == await ends(one)


async def test_what_is_stored_at_once_has_one_end_for_all() -> None:
    """Though nothing waits in between."""
    one = Patience(is_renewed=False)
    assert await ends(one) == await ends(one)


async def test_a_run_has_new_time_for_what_comes_later() -> None:
    """But for a while after it was in vain."""
    one = Patience(is_renewed=True)
    first = await ends(one)
    second = await ends(one)
    assert first < second
    one.lose()
    assert second == await ends(one)


async def test_a_run_tries_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage may be back."""
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.0)
    one = Patience(is_renewed=True)
    first = await ends(one)
    one.lose()
    assert first < await ends(one)


async def test_where_no_time_is_left_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even begun."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 0.0)
    with pytest.raises(StoreUnavailable, match="too long"):
        await ends(Patience(is_renewed=False))


async def test_whoever_finds_no_place_waits_no_longer_than_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a place that becomes free is given on."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 0.3)
    one = Patience(is_renewed=True)
    entered: list[float] = []

    async def hold(release: anyio.Event) -> None:
        async with one.place() as until:
            entered.append(until)
            await release.wait()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            release = anyio.Event()
            for _ in range(AT_ONCE):
                group.start_soon(hold, release)
            await anyio.wait_all_tasks_blocked()
            assert AT_ONCE == len(entered)
            with pytest.raises(StoreUnavailable, match="too long"):
                await ends(one)
            release.set()
        assert entered[0] < await ends(one)
