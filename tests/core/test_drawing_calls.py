"""Calls of the tool that draws: what a client is told while they go on, and what they cost."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from antiphon.core.calls import Glimpse, Silent
from antiphon.core.deltas import Call, Finish
from antiphon.core.log import entries
from antiphon.core.machine import IllegalStep, Machine
from antiphon.core.notes import CallAnswered
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.core.transcript import is_reference
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.events import PartialImage, Snapshot
from antiphon.protocol.items import ItemReference, Message
from antiphon.protocol.response import ImageToolUsage, Response, ResponseError
from tests.core.lives import events_of, packed
from tests.core.stage import NOW, names

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent

KIND = Silent(
    "ig",
    lambda call: ImageGenerationCall(id=call.id, status="in_progress"),
    "response.image_generation_call.in_progress",
)
GLIMPSE = Glimpse(1, "AAAA", size="8x6", quality="low", background="opaque", output_format="webp")
PAID = ImageToolUsage(input_tokens=1, output_tokens=2, total_tokens=3)
MANNER = Manner(kinds={"draw": KIND})


class Drawing:
    """A machine whose model has called the tool as often as is said."""

    def __init__(self, calls: int = 1) -> None:
        numbers = count()
        self.machine = Machine(
            Response(id="resp_0", created_at=NOW, model="m", status="queued"),
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
            manner=MANNER,
        )
        self.log: list[StreamEvent | Note] = []
        self.told(self.machine.start())
        self.machine.next_turn()
        said = [Call(str(number), "draw", '{"prompt":"a"}') for number in range(calls)]
        self.told(self.machine.feed([*said, Finish()]))

    def told(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Take events and notes to the log."""
        self.log += [*events, *self.machine.take_notes()]
        return events

    def answer(self, call: OpenCall, usage: ImageToolUsage | None = PAID) -> None:
        """Answer a call, as the engine does."""
        events = self.machine.answer(call, ImageGenerationCall(id=call.id, result="AAAA"), usage)
        self.machine.notes.append(CallAnswered(call.id, "Drawn.", usage))
        self.told(events)

    def again(self) -> Machine:
        """The machine of another process, made of the log as it is kept."""
        log = [entry for chunk in packed(self.log, [2, 3]) for entry in entries(chunk.text, chunk.first)]
        return replayed(log, new_id=lambda prefix: f"{prefix}_again", manner=MANNER)


def cost(response: Response) -> int:
    """What pictures cost, in tokens."""
    return response.tool_usage.image_gen.total_tokens


def test_a_picture_as_far_as_it_is_drawn_is_told_with_all_that_is_known_of_it() -> None:
    """Under the call's id, its index and the next number; the number of the picture is the tool's to say."""
    drawing = Drawing()
    [call] = drawing.machine.waiting
    before = len(events_of(drawing.log))
    assert [
        PartialImage(
            background="opaque",
            output_format="webp",
            partial_image_b64="AAAA",
            partial_image_index=1,
            quality="low",
            size="8x6",
            item_id="ig_0",
            output_index=0,
            sequence_number=before,
        )
    ] == drawing.machine.phase(call, GLIMPSE)


def test_a_drawing_is_told_from_beginning_to_end() -> None:
    """As recorded."""
    drawing = Drawing()
    [call] = drawing.machine.waiting
    drawing.told(drawing.machine.phase(call, "response.image_generation_call.generating"))
    drawing.told(drawing.machine.phase(call, GLIMPSE))
    drawing.told(drawing.machine.phase(call, "response.image_generation_call.completed"))
    drawing.answer(call)
    phases = ("in_progress", "generating", "partial_image", "completed")
    told = ["output_item.added", *(f"image_generation_call.{phase}" for phase in phases), "output_item.done"]
    assert told == names(events_of(drawing.log))[2:]


def test_a_picture_that_nobody_waits_for_is_refused() -> None:
    """The call was answered."""
    drawing = Drawing()
    [call] = drawing.machine.waiting
    drawing.answer(call)
    with pytest.raises(IllegalStep):
        drawing.machine.phase(call, GLIMPSE)


def test_an_answer_that_is_refused_costs_nothing() -> None:
    """It changes nothing."""
    drawing = Drawing()
    [call] = drawing.machine.waiting
    with pytest.raises(IllegalStep):
        drawing.machine.answer(call, ImageGenerationCall(id="ig_of_another"), PAID)
    assert 0 == cost(ended(drawing.machine, "cancel"))


def ended(machine: Machine, how: str) -> Response:
    """The response as it ends, and as the last event has it."""
    match how:
        case "complete":
            events = machine.complete(NOW)
        case "fail":
            events = machine.fail(ResponseError(code="server_error", message="It broke."))
        case _:
            events = machine.cancel()
    assert isinstance(events[-1], Snapshot)
    assert machine.response == events[-1].response
    return machine.response


@pytest.mark.parametrize("how", ["complete", "fail", "cancel"])
@pytest.mark.parametrize("is_replayed", [False, True])
def test_pictures_are_paid_once_however_the_response_ends(how: str, *, is_replayed: bool) -> None:
    """By whichever process."""
    drawing = Drawing(calls=3)
    one, other, free = drawing.machine.waiting
    drawing.answer(one)
    drawing.answer(free, usage=None)
    drawing.answer(other)
    machine = drawing.again() if is_replayed else drawing.machine
    assert 6 == cost(ended(machine, how))


def test_a_picture_that_another_process_paid_is_not_paid_again() -> None:
    """What comes after the log is added to it."""
    drawing = Drawing(calls=2)
    one, _ = drawing.machine.waiting
    drawing.answer(one)
    machine = drawing.again()
    machine.resume()
    [other] = machine.waiting
    machine.answer(other, ImageGenerationCall(id=other.id, result="AAAA"), PAID)
    assert 6 == cost(ended(machine, "complete"))


def test_a_drawing_that_is_cut_short_has_failed_and_shows_nothing() -> None:
    """Its result is empty text, as clients read it whatever the status is."""
    drawing = Drawing()
    ended(drawing.machine, "cancel")
    assert [ImageGenerationCall(id="ig_0", status="failed", result="")] == drawing.machine.response.output


@pytest.mark.parametrize(
    ("item", "is_one"),
    [
        (ItemReference(id="x"), True),
        (ImageGenerationCall(id="x"), True),
        (ImageGenerationCall(id="x", result=""), True),
        (ImageGenerationCall(id="x", result="AAAA"), False),
        (ImageGenerationCall(id="x", status="failed", result=""), False),
        (Message(id="x", role="user", content=[]), False),
    ],
)
def test_a_drawing_without_its_picture_only_points_at_one(
    item: ItemReference | ImageGenerationCall | Message, *, is_one: bool
) -> None:
    """One that failed has nothing to point at."""
    assert is_one == is_reference(item)
