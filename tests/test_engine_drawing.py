"""The turn loop with the tool that draws: what clients and models are shown, what it costs, and who takes over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any  # a script is open

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.fold import fold
from antiphon.core.notes import CallAnswered
from antiphon.engine.task import Task
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.errors import ApiError, invalid_request
from antiphon.protocol.events import PartialImage
from antiphon.protocol.items import FunctionCall
from antiphon.protocol.tools import ImageGenerationTool
from antiphon.tools.image_generation import DrawingError
from antiphon.tools.image_generation.drawer import Drawer
from tests.drawing import PAID, SIDE, Brush, encoded, noise
from tests.patient import HANG_SECONDS
from tests.playing import ASKED, OPENED, Model, Run
from tests.test_engine_resuming import Succession, check

if TYPE_CHECKING:
    from antiphon.core.turn import Turn
    from antiphon.protocol.response import Response
    from antiphon.tools.image_generation import Drawn, Wish
    from antiphon.tools.image_generation.drawing import Show

pytestmark = pytest.mark.anyio

DONE = {"steps": [{"text": "There."}], "outputs": 1}


def drawing(*prompts: str, after: int = 0) -> dict[str, Any]:
    """A reply that draws, once ``after`` outputs are there."""
    calls = [{"call": {"name": "image_generation", "arguments": {"prompt": prompt}}} for prompt in prompts]
    return {"steps": calls, "outputs": after}


def drawer(brush: Brush, **settings: Any) -> Drawer:
    """The tool."""
    return Drawer(brush, ImageGenerationTool(**settings), subjects=[], mask=None, turns=asyncio.Semaphore(4))


def paid(response: Response) -> int:
    """What pictures cost, in tokens."""
    return response.tool_usage.image_gen.total_tokens


async def test_a_drawing_is_told_as_recorded() -> None:
    """From its beginning over what is not finished to its end; then the model goes on, and knows of it."""
    run = Run(drawing("a cat"), DONE, tools={"image_generation": drawer(Brush(), partial_images=2)})
    response = await run.perform()
    item = response.output[0]
    assert isinstance(item, ImageGenerationCall)
    assert ("ig_0", "completed", encoded(noise("a cat"))) == (item.id, item.status, item.result)
    phases = ["in_progress", "generating", "partial_image", "partial_image", "completed"]
    told = [f"response.image_generation_call.{phase}" for phase in phases]
    assert ["response.output_item.added", *told, "response.output_item.done"] == run.names[2:9]
    assert response == fold(run.emitted)
    [_, second] = run.model.turns
    assert [*ASKED.items, item] == second.items
    assert "user sees it already" in str(second.outputs["ig_0"])


async def test_what_is_not_finished_is_told_with_its_number() -> None:
    """And with what is known of it."""
    run = Run(drawing("a cat"), DONE, tools={"image_generation": drawer(Brush(), partial_images=3)})
    await run.perform()
    size = f"{SIDE}x{SIDE}"
    assert [
        (number, encoded(noise(f"a cat {number}")), "opaque", "png", "low", size, "ig_0", 0) for number in range(3)
    ] == [
        (
            event.partial_image_index,
            event.partial_image_b64,
            event.background,
            event.output_format,
            event.quality,
            event.size,
            event.item_id,
            event.output_index,
        )
        for event in run.emitted
        if isinstance(event, PartialImage)
    ]


async def test_what_pictures_cost_is_summed_beside_what_the_model_costs() -> None:
    """Over all turns."""
    run = Run(
        drawing("a cat", "a dog"),
        drawing("a cow", after=2),
        {"steps": [{"text": "There."}], "outputs": 3},
        tools={"image_generation": drawer(Brush())},
    )
    response = await run.perform()
    assert "completed" == response.status
    assert 3 * PAID.total_tokens == paid(response)
    assert 27 == response.tool_usage.image_gen.output_tokens_details.image_tokens
    assert response.usage


class Meeting(Brush):
    """A way to draw in which two wishes have to be there at once."""

    def __init__(self) -> None:
        super().__init__()
        self._both = anyio.Event()

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """Meet the other, and draw."""
        drawn = await super().draw(wish, show)
        if len(self.wishes) == 2:
            self._both.set()
        await self._both.wait()
        return drawn


async def test_pictures_are_drawn_side_by_side_and_numbered_each_on_its_own() -> None:
    """The numbers of the events stay in order."""
    run = Run(
        drawing("a cat", "a dog"),
        {**DONE, "outputs": 2},
        tools={"image_generation": drawer(Meeting(), partial_images=2)},
    )
    with anyio.fail_after(HANG_SECONDS):
        response = await run.perform()
    assert list(range(len(run.emitted))) == [event.sequence_number for event in run.emitted]
    numbers: dict[str, list[int]] = {}
    for event in run.emitted:
        if isinstance(event, PartialImage):
            numbers.setdefault(event.item_id, []).append(event.partial_image_index)
    assert {"ig_0": [0, 1], "ig_2": [0, 1]} == numbers
    drawn = [item.result for item in response.output if isinstance(item, ImageGenerationCall)]
    assert [encoded(noise("a cat")), encoded(noise("a dog"))] == drawn


class Broken(Brush):
    """A way to draw in which one thing cannot be drawn."""

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """Draw, or not."""
        if wish.prompt == "a dog":
            await show(await super().draw(wish, show))
            raise DrawingError("server_error", "The brush broke.")
        return await super().draw(wish, show)


async def test_a_drawing_that_fails_is_an_answer_too() -> None:
    """It costs nothing, shows nothing, and the model is told why."""
    run = Run(drawing("a cat", "a dog"), {**DONE, "outputs": 2}, tools={"image_generation": drawer(Broken())})
    response = await run.perform()
    assert "completed" == response.status
    cat, dog, _ = response.output
    assert isinstance(cat, ImageGenerationCall)
    assert isinstance(dog, ImageGenerationCall)
    assert (("completed", UNSET), ("failed", "")) == ((cat.status, cat.error), (dog.status, dog.result))
    assert "No picture was drawn: The brush broke." == run.outputs[dog.id]
    assert PAID.total_tokens == paid(response)


async def test_what_was_paid_is_told_where_the_response_fails_afterwards() -> None:
    """The model breaks down over the picture."""
    fault = {"steps": [{"fail": {"fault": "server_error", "message": "Oh."}}], "outputs": 1}
    response = await Run(drawing("a cat"), fault, tools={"image_generation": drawer(Brush())}).perform()
    assert ("failed", PAID.total_tokens) == (response.status, paid(response))


async def test_a_run_that_is_cancelled_tells_what_was_paid_and_shows_the_others_as_failed() -> None:
    """As far as it came."""
    brush = Brush(stuck_at="a dog")
    run = Run(drawing("a cat"), drawing("a dog", after=1), tools={"image_generation": drawer(brush, partial_images=1)})
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(run.perform)
            await brush.stuck.wait()
            group.cancel_scope.cancel()
    [response] = run.kept
    drawn = [(item.status, bool(item.result)) for item in response.output if isinstance(item, ImageGenerationCall)]
    assert ("cancelled", [("completed", True), ("failed", False)]) == (response.status, drawn)
    assert PAID.total_tokens == paid(response)


async def test_a_call_by_another_name_is_not_heard_as_the_clients() -> None:
    """Models invent names; the client has no such function."""
    run = Run(
        {"steps": [{"call": {"name": "draw_image", "arguments": {}}}, {"text": "There."}]},
        tools={"image_generation": drawer(Brush())},
        allowed=frozenset({"image_generation"}),
    )
    response = await run.perform()
    assert [] == [item for item in response.output if isinstance(item, FunctionCall)]
    assert "completed" == response.status


# Shown to the model


class Showing:
    """What stands between a run and its model. It notes the turns, and shows them without pictures."""

    def __init__(self, fault: ApiError | None = None, *, after: int = 0) -> None:
        self.turns: list[Turn] = []
        self._fault = fault
        self._after = after

    async def show(self, turn: Turn) -> Turn:
        """Show a turn."""
        await anyio.lowlevel.checkpoint()
        self.turns.append(turn)
        if self._fault is not None and len(self.turns) > self._after:
            raise self._fault
        items = [replace(item, result=UNSET) if isinstance(item, ImageGenerationCall) else item for item in turn.items]
        return replace(turn, items=items)


async def test_every_turn_is_shown_as_the_model_is_to_see_it() -> None:
    """What is told and kept stays whole."""
    showing = Showing()
    run = Run(drawing("a cat"), DONE, tools={"image_generation": drawer(Brush())}, show=showing.show)
    response = await run.perform()
    assert 2 == len(showing.turns)
    item = run.model.turns[1].items[-1]
    assert isinstance(item, ImageGenerationCall)
    assert UNSET is item.result
    assert showing.turns[1].items[-1] == response.output[0]


async def test_a_turn_that_cannot_be_shown_is_refused_before_anything_is_told() -> None:
    """Or fails the response, once something was."""
    fault = invalid_request("It cannot be seen.", param="input")
    run = Run(DONE, show=Showing(fault).show)
    with pytest.raises(ApiError, match="cannot be seen"):
        await run.perform()
    assert [] == run.emitted
    later = Run(drawing("a"), DONE, tools={"image_generation": drawer(Brush())}, show=Showing(fault, after=1).show)
    response = await later.perform()
    assert "failed" == response.status
    assert response.error
    assert ("invalid_prompt", "It cannot be seen.") == (response.error.code, response.error.message)


# Taken over


class Drawings(Succession):
    """Processes that draw, one after the other."""

    def __init__(self, *replies: dict[str, Any], partials: int = 0) -> None:
        self.brush = Brush()
        self._partials = partials
        super().__init__(*replies)

    def _task(self) -> Task:
        self.models.append(Model(*self._replies))
        tools = {"image_generation": drawer(self.brush, partial_images=self._partials)}
        return Task(OPENED, ASKED, self.models[-1], tools)


async def test_a_picture_that_nobody_got_is_drawn_again() -> None:
    """The process died before its answer was written; it is paid once."""
    story = Drawings(drawing("a cat"), DONE, partials=1)
    await story.go_on()
    story.cut(CallAnswered, behind=False)
    response = check(story, await story.go_on())
    assert "completed" == response.status
    assert ["a cat", "a cat"] == [wish.prompt for wish in story.brush.wishes]
    assert PAID.total_tokens == paid(response)


async def test_a_picture_that_was_answered_is_not_drawn_again() -> None:
    """It is in the log, with what it cost, and the model is shown it."""
    story = Drawings(drawing("a cat"), DONE)
    await story.go_on()
    story.cut(CallAnswered, behind=True)
    response = check(story, await story.go_on())
    assert ["a cat"] == [wish.prompt for wish in story.brush.wishes]
    assert PAID.total_tokens == paid(response)
    item = story.models[-1].turns[-1].items[-1]
    assert isinstance(item, ImageGenerationCall)
    assert encoded(noise("a cat")) == item.result


@settings(max_examples=25)
@given(lives=st.lists(st.integers(0, 12), max_size=3))
async def test_wherever_processes_die_each_picture_is_told_and_paid_once(lives: list[int]) -> None:
    """In however many lives."""
    story = Drawings(drawing("a cat", "a dog"), {**DONE, "outputs": 2}, partials=1)
    response: Response | None = None
    for life in [*lives, None]:
        response = response or await story.go_on(lives=life)
    ended = check(story, response)
    drawn = [item.result for item in ended.output if isinstance(item, ImageGenerationCall) and item.result]
    assert [encoded(noise("a cat")), encoded(noise("a dog"))] == drawn
    assert 2 * PAID.total_tokens == paid(ended)
