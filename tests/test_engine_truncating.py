"""Truncation: what is asked of a model whose window is too small."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.backends import UpstreamError, UpstreamFault
from antiphon.core.deltas import Finish, Text
from antiphon.core.estimate import estimate
from antiphon.core.turn import Turn
from antiphon.engine.truncating import TRIES, Truncating
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput, Wait
from antiphon.protocol.content import ComputerScreenshot
from tests.core.test_cutting import call, message, output

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.protocol.items import Item


pytestmark = pytest.mark.anyio


class Narrow:
    """A model that reads so many items and says how many it read; it may say something before it refuses."""

    def __init__(
        self, most: int, *, speaks_first: bool = False, fault: UpstreamFault = "context_length_exceeded"
    ) -> None:
        self._most = most
        self._speaks_first = speaks_first
        self._fault: UpstreamFault = fault
        self.turns: list[Turn] = []
        self.closed = 0

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Read, or refuse."""
        self.turns.append(turn)
        try:
            if self._speaks_first:
                yield [Text("So")]
            if len(turn.items) > self._most:
                raise UpstreamError(self._fault, "Too long.")
            yield [Text(f"{len(turn.items)} items"), Finish()]
            yield []
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        """There is nothing to let go of."""


async def heard(backend: Truncating, turn: Turn) -> list[Delta]:
    """All that is said."""
    said: list[Delta] = []
    async with aclosing(backend.stream(turn)) as stream:
        async for deltas in stream:
            said += deltas
    await backend.aclose()
    return said


def talk(length: int) -> Turn:
    """A conversation of so many messages, the last of them the user's."""
    items: list[Item] = [message("user" if n % 2 else "assistant", f"{n} " * 30, f"msg_{n}") for n in range(length - 1)]
    return Turn([*items, message("user", "And now?", "msg_last")])


async def test_a_turn_that_fits_is_asked_as_it_is() -> None:
    """Once."""
    model, turn = Narrow(5), talk(5)
    assert [Text("5 items"), Finish()] == await heard(Truncating(model), turn)
    assert [True] == [asked is turn for asked in model.turns]


async def test_a_turn_that_is_refused_as_too_long_is_asked_shorter() -> None:
    """The oldest items go, until it fits; every stream is closed."""
    model, turn = Narrow(8), talk(21)
    await heard(Truncating(model), turn)
    lengths = [len(asked.items) for asked in model.turns]
    assert sorted(lengths, reverse=True) == lengths
    assert len(set(lengths)) == len(lengths) > 1
    assert turn.items[-lengths[-1] :] == model.turns[-1].items
    assert len(lengths) == model.closed


async def test_a_call_and_its_output_go_together() -> None:
    """No upstream takes one of them alone."""
    items: list[Item] = [item for n in range(8) for item in (call(str(n)), output(str(n), "word " * 30))]
    model = Narrow(5)
    await heard(Truncating(model), Turn([message("user"), *items]))
    for asked in model.turns:
        assert 1 == len(asked.items) % 2


async def test_where_nothing_can_go_the_refusal_goes_out() -> None:
    """Instructions and what the user said last stay."""
    model = Narrow(0)
    with pytest.raises(UpstreamError, match=r"Too long\."):
        await heard(Truncating(model), Turn([message("developer"), message("user")]))
    assert 1 == len(model.turns)


async def test_no_more_is_asked_than_so_many_times() -> None:
    """An upstream that refuses everything is left in peace."""
    model = Narrow(0)
    with pytest.raises(UpstreamError):
        await heard(Truncating(model), talk(400))
    assert TRIES + 1 == len(model.turns)
    assert len(model.turns[-1].items) < 40


async def test_another_fault_is_not_asked_again() -> None:
    """It would come again."""
    model = Narrow(0, fault="server_error")
    with pytest.raises(UpstreamError) as caught:
        await heard(Truncating(model), talk(10))
    assert ("server_error", 1) == (caught.value.fault, len(model.turns))


async def test_what_was_heard_is_not_asked_again() -> None:
    """The client has it already."""
    model = Narrow(0, speaks_first=True)
    with pytest.raises(UpstreamError):
        await heard(Truncating(model), talk(10))
    assert 1 == len(model.turns)


async def test_a_known_window_spares_the_question() -> None:
    """With room for the answer that is asked for, or for a usual one."""
    turn = talk(40)
    window = estimate(turn) // 2
    for limit in (None, 200):
        model = Narrow(1000)
        limited = Turn(turn.items, max_output_tokens=limit)
        await heard(Truncating(model, window), limited)
        (asked,) = model.turns
        assert window - (limit or window // 8) - 60 < estimate(asked) <= window - (limit or window // 8)


async def test_what_fits_a_known_window_is_asked_as_it_is() -> None:
    """And so is what cannot be made to fit: the upstream has the last word."""
    for turn, window in ((talk(3), 1000), (Turn([message("user", "word " * 100)]), 50)):
        model = Narrow(1000)
        await heard(Truncating(model, window), turn)
        assert model.turns[0] is turn


async def test_a_model_that_says_nothing_is_heard() -> None:
    """Whoever reads it says that it broke off."""

    class Silent(Narrow):
        """Says nothing at all."""

        async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
            """End."""
            silence: list[list[Delta]] = []
            for deltas in silence:
                yield deltas

    assert [] == await heard(Truncating(Silent(1)), talk(3))


def drive(steps: int) -> Turn:
    """A screen that was looked at so many times."""
    items: list[Item] = [message("user", "Look.", "msg_0")]
    for number in range(steps):
        items.append(ComputerCall(id=f"cu_{number}", call_id=f"c{number}", actions=[Wait()]))
        screen = ComputerScreenshot(image_url=f"https://example.com/{number}.png")
        items.append(ComputerCallOutput(id=f"cuo_{number}", call_id=f"c{number}", output=screen))
    return Turn(items)


def screens(turn: Turn) -> list[str]:
    """The screens that are left."""
    return [item.id for item in turn.items if isinstance(item, ComputerCallOutput)]


async def test_a_turn_loses_old_screens_before_anything_else() -> None:
    """As many as it takes; that there were others is told."""
    model = Narrow(100)
    turn = drive(6)
    await heard(Truncating(model, estimate(turn) - 1_200 + 1_000), replace(turn, max_output_tokens=1_000))
    [asked] = model.turns
    assert ["cuo_2", "cuo_3", "cuo_4", "cuo_5"] == screens(asked)
    assert len(turn.items) == len(asked.items)


async def test_where_fewer_screens_are_not_enough_steps_go_too() -> None:
    """The last one stays."""
    model = Narrow(100)
    await heard(Truncating(model, 2_000), replace(drive(60), max_output_tokens=1_000))
    [asked] = model.turns
    assert ["cuo_59"] == screens(asked)
    assert len(asked.items) < 60


async def test_a_refused_turn_has_fewer_screens_and_then_fewer_items() -> None:
    """The upstream alone knows what is too long."""
    model = Narrow(10)
    await heard(Truncating(model), drive(6))
    shown = [screens(turn) for turn in model.turns]
    assert 6 == len(shown[0]) > len(shown[1]) > 0
    assert 13 == len(model.turns[1].items), "the steps were still there"
    assert len(model.turns[-1].items) <= 10


async def test_whole_steps_go_for_an_upstream_that_knows_the_tool() -> None:
    """A call and its screen together."""
    model = Narrow(100)
    turn = drive(6)
    limit = estimate(turn) - 1_200 + 1_000
    await heard(Truncating(model, limit, whole_steps=True), replace(turn, max_output_tokens=1_000))
    [asked] = model.turns
    assert ["cuo_2", "cuo_3", "cuo_4", "cuo_5"] == screens(asked)
    assert 9 == len(asked.items)
    narrow = Narrow(5)
    await heard(Truncating(narrow, whole_steps=True), turn)
    assert all(len(turn.items) == 1 + 2 * len(screens(turn)) for turn in narrow.turns)
