"""Screens: what is known of one before the next step, and what stands before that step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.core.deltas import Call, Finish
from antiphon.core.image_size import Pixels
from antiphon.core.offer import Computer, offer
from antiphon.engine.driving import Driving
from antiphon.lifecycle import Caller, Deployment, seeing
from antiphon.lifecycle.guarding import Config, Guarding
from antiphon.lifecycle.screens import Past, Screens
from antiphon.protocol.computer import Click, ComputerCall, ComputerCallOutput, Wait
from antiphon.protocol.content import ComputerScreenshot, InputImage, InputText
from antiphon.protocol.items import FunctionCallOutput, Message
from antiphon.protocol.picture_faults import TooMuchShown
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import ComputerTool, ComputerUsePreviewTool
from tests.drawing import inlined, noise
from tests.playing import Model
from tests.test_engine_driving import steps, turn
from tests.test_engine_fitting import Speaking

if TYPE_CHECKING:
    from antiphon.engine.driving import Drive
    from antiphon.protocol.items import Item
    from tests.drawing import Shelves

pytestmark = pytest.mark.anyio

CALLER = Caller("a")
BATCH = Computer("computer", ComputerTool())
SINGLE = Computer("computer", ComputerUsePreviewTool(display_width=1024, display_height=768, environment="mac"))
CLICK = Click(button="left", x=1, y=1)
LARGE, SMALL = Pixels(1280, 800), Pixels(640, 400)


def picture(size: Pixels) -> str:
    """A picture of that size: of a PNG its header says it."""
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + size.width.to_bytes(4, "big") + size.height.to_bytes(4, "big")
    return inlined(header + b"\x08\x02\x00\x00\x00")


def output(url: str, number: int = 1) -> ComputerCallOutput:
    """What the screen shows after a call."""
    return ComputerCallOutput(id=f"cuo_{number}", call_id=f"c{number}", output=ComputerScreenshot(image_url=url))


def clicked(number: int = 1) -> ComputerCall:
    """A call."""
    return ComputerCall(id=f"cu_{number}", call_id=f"c{number}", actions=[CLICK])


async def drive(
    shelves: Shelves, sent: list[Item], seen: list[Item], *, side: int = 2048, computer: Computer = BATCH, most: int = 5
) -> Drive:
    """What is known before a step."""
    screens = Screens(shelves.seeing, Guarding(Config(), None, shelves.seeing), most_repeats=most)
    deployment = Deployment("m", Model(), image_side=side)
    driving = await screens.driven(deployment.backend, computer, Past(sent, seen), deployment, CALLER)
    assert isinstance(driving, Driving)
    return driving.drive


@pytest.mark.parametrize(
    ("computer", "side", "display"),
    [(BATCH, 640, LARGE), (BATCH, 2048, SMALL), (SINGLE, 640, Pixels(1024, 768))],
    ids=["made smaller", "as it is", "declared"],
)
async def test_a_display_is_as_large_as_the_client_says_or_shows(
    shelves: Shelves, computer: Computer, side: int, display: Pixels
) -> None:
    """What was sent is looked at only where what is shown may be smaller."""
    screen = (
        await drive(shelves, [output(picture(LARGE))], [output(picture(SMALL))], side=side, computer=computer)
    ).screen
    assert (display, SMALL, True) == (screen.display, screen.picture, screen.is_seen)


async def test_a_display_is_measured_wherever_its_picture_lies(shelves: Shelves) -> None:
    """On the shelf, where a chain has it."""
    board = shelves.shelf.board("a", "resp_1")
    large = inlined(
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (1280).to_bytes(4, "big") + (800).to_bytes(4, "big") + b"x" * 20_000
    )
    [kept] = await board.items([output(large)])
    assert isinstance(kept, ComputerCallOutput)
    assert kept.output.image_url != large
    screen = (await drive(shelves, [kept], [output(picture(SMALL))], side=640)).screen
    assert LARGE == screen.display


async def test_before_the_first_screenshot_it_is_the_users_last_picture(shelves: Shelves) -> None:
    """Or nothing at all."""
    shown: Item = Message(role="user", content=[InputImage(image_url=picture(SMALL)), InputText(text="Click.")])
    screen = (await drive(shelves, [shown], [shown])).screen
    assert (SMALL, SMALL) == (screen.display, screen.picture)
    unseen = (await drive(shelves, [], [])).screen
    assert (None, None, False) == (unseen.display, unseen.picture, unseen.is_seen)


async def test_a_picture_that_is_told_in_words_has_no_size(shelves: Shelves) -> None:
    """The client's display is not known then, unless the tool says it."""
    told = FunctionCallOutput(call_id="c1", output="A form.")
    screen = (await drive(shelves, [output(picture(LARGE))], [told])).screen
    assert (None, None, True) == (screen.display, screen.picture, screen.is_seen)


def shots(count: int) -> list[Item]:
    """So many steps, each with a picture of its own."""
    pairs = [(clicked(n), output(inlined(noise(str(n), side=8)), n)) for n in range(count)]
    return [item for pair in pairs for item in pair]


async def shown(shelves: Shelves, items: list[Item], *, truncates: bool, most: int | None = None) -> list[str]:
    """Of which calls a model sees what came of them."""
    screens = Screens(shelves.seeing, Guarding(Config(), None, shelves.seeing), most_repeats=5)
    deployment, offered = Deployment("m", Model(), screenshots=most), offer(CreateResponse(tools=[ComputerTool()]))
    seen = await screens.seen(items, offered, deployment, CALLER, truncates=truncates)
    assert len(seen) == len(items)
    return [item.call_id for item in seen if isinstance(item, ComputerCallOutput)]


@pytest.mark.parametrize("limit", ["MOST_PARTS", "MOST_CHARACTERS"])
async def test_of_more_than_can_be_shown_a_request_that_truncates_shows_the_newest(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """The older half goes as often as need be. Others are refused, and one screenshot that is too much is as well."""
    items, size = shots(12), len(picture_of(shots(1)[1]))
    monkeypatch.setattr(seeing, limit, 5 if limit == "MOST_PARTS" else 5 * size + size // 2)
    assert ["c9", "c10", "c11"] == await shown(shelves, items, truncates=True)
    assert ["c8", "c9", "c10", "c11"] == await shown(shelves, items, truncates=True, most=4)
    assert ["c7", "c8", "c9", "c10", "c11"] == await shown(shelves, items[14:], truncates=False)
    with pytest.raises(TooMuchShown):
        await shown(shelves, items, truncates=False)
    monkeypatch.setattr(seeing, limit, 0)
    with pytest.raises(TooMuchShown):
        await shown(shelves, items, truncates=True)


def picture_of(item: Item) -> str:
    """The picture that an output shows."""
    assert isinstance(item, ComputerCallOutput)
    return str(item.output.image_url)


async def test_screens_are_compared_by_what_they_show(shelves: Shelves) -> None:
    """One may lie on the shelf, and another in the request."""
    same = inlined(b"GIF89a" + b"\x10\x00\x10\x00" + b"x" * 20_000)
    [kept] = await shelves.shelf.board("a", "resp_1").items([output(same, 1)])
    run: list[Item] = [clicked(1), kept, clicked(2), output(same, 2)]
    known = await drive(shelves, run, run, most=2)
    assert ([CLICK], 2, 2) == (known.past.actions, known.past.count, known.past.unchanged)
    other = inlined(b"GIF89a" + b"\x10\x00\x10\x00" + b"y" * 20_000)
    changed = await drive(shelves, [*run, clicked(3), output(other, 3)], run, most=2)
    assert (3, 1) == (changed.past.count, changed.past.unchanged)


async def test_who_guards_is_told_the_page_and_all_that_the_user_asked_for(shelves: Shelves) -> None:
    """Only where there is anything to guard."""
    said: list[Item] = [
        Message(role="user", content=[InputText(text="Buy bread.")]),
        clicked(1),
        ComputerCallOutput(
            call_id="c1",
            output=ComputerScreenshot(image_url=inlined(noise("bread", side=8)), current_url="https://evil.example/"),
        ),
        Message(role="user", content=[InputText(text="Yes, go on.")]),
    ]
    judge = Model({
        "when": "Buy bread.\nYes, go on.",
        "steps": [{"text": ['{"instructions":null,"credentials":true,"payment":false}']}],
    })
    guarding = Guarding(Config(allow=["example.com"], judge="eyes"), Deployment("eyes", judge), shelves.seeing)
    speaking = Speaking([[Call("0", "computer", '{"actions":[{"type":"keypress","keys":["A"]}]}')], [Finish()]])
    deployment = Deployment("m", speaking)
    seen = Screens(shelves.seeing, guarding, most_repeats=5)
    driving = await seen.driven(speaking, BATCH, Past(said, said), deployment, CALLER)
    heard = [delta async for deltas in driving.stream(turn()) for delta in deltas]
    [step] = steps(heard)
    assert ["irrelevant_domain", "sensitive_domain"] == [check.code for check in step.pending_safety_checks]
    assert "evil.example" in str(step.pending_safety_checks[0].message)


async def test_a_run_of_looking_is_told_as_it_is(shelves: Shelves) -> None:
    """Another action in between ends it."""
    waited = ComputerCall(id="cu_2", call_id="c2", actions=[Wait()])
    run: list[Item] = [clicked(1), output(picture(SMALL), 1), waited, output(picture(SMALL), 2)]
    known = await drive(shelves, run, run)
    assert ([Wait()], 1, 0) == (known.past.actions, known.past.count, known.past.unchanged)
