"""Drawings: who draws for a request, from which pictures, and who writes what is drawn."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.calls import OpenCall
from antiphon.core.offer import DrawingTool, Offer, RemoteTool
from antiphon.core.pictures import Shown
from antiphon.core.place import Place
from antiphon.core.turn import Choice, Turn
from antiphon.lifecycle import EVERY_MODEL, Caller, Deployment, Order
from antiphon.lifecycle.drawings import Drawings
from antiphon.protocol.calls import ImageGenerationCall, McpToolListing
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tool_settings import ImageMask
from antiphon.protocol.tools import ImageGenerationTool, McpTool
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import Blobs
from antiphon.tools.image_generation import KIND, Unanswered
from tests.drawing import Easel, Shelves, encoded, inlined, noise
from tests.playing import Model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.calls import Phase
    from antiphon.core.deltas import Delta
    from antiphon.core.pictures import Origin
    from antiphon.store import Database
    from antiphon.tools import Answer, Tool

pytestmark = pytest.mark.anyio

CALLER = Caller("a")
CAT, DOG = noise("a cat"), noise("a dog")
ANSWERS = Deployment("m", Model(), model="real-m")


def drawing(index: int = 0, **settings: object) -> DrawingTool:
    """The tool, as it is offered."""
    return DrawingTool("image_generation", msgspec.convert(settings, ImageGenerationTool), index)


def order(painter: str | None = "*") -> Order:
    """What was asked for."""
    return Order("m", CreateResponse(model="m"), painter=painter)


def with_painters(shelves: Shelves, *names: str, deployments: dict[str, Deployment] | None = None) -> Drawings:
    """Drawings by image deployments of these names."""
    shelves.easel = Easel(shelves.documents, shelves.brush, *names)
    return Drawings(shelves.easel, shelves.seeing, shelves.shelf, deployments or {})


# Who draws


async def test_without_the_tool_nobody_draws(shelves: Shelves) -> None:
    """Whatever the header says."""
    assert None is shelves.drawings.painter(None, "gpt-image-1")
    assert {} == shelves.drawings.tools(None, order(), [], deployment=ANSWERS, caller=CALLER)
    assert {} == shelves.drawings.tools(drawing(), order(None), [], deployment=ANSWERS, caller=CALLER)


@pytest.mark.parametrize(
    ("model", "header", "painter"),
    [(None, None, "one"), (None, "two", "two"), ("two", None, "two"), ("one", "two", "one"), ("", "", "one")],
)
async def test_the_tools_own_model_counts_for_more_than_the_header(
    shelves: Shelves, model: str | None, header: str | None, painter: str
) -> None:
    """Without either the first deployment draws."""
    assert painter == with_painters(shelves, "one", "two").painter(drawing(model=model), header)


async def test_without_configuration_any_name_is_drawn(shelves: Shelves) -> None:
    """By what is always there."""
    assert EVERY_MODEL == shelves.drawings.painter(drawing(model="gpt-image-1"), None)


@pytest.mark.parametrize(
    ("model", "header", "param"),
    [("none", "one", "tools[3].model"), (None, "none", None), ("none", None, "tools[3].model")],
)
async def test_an_image_deployment_that_does_not_exist_is_refused(
    shelves: Shelves, model: str | None, header: str | None, param: str | None
) -> None:
    """By whoever named it."""
    with pytest.raises(ApiError, match="The image generation deployment 'none' does not exist") as raised:
        with_painters(shelves, "one").painter(drawing(3, model=model), header)
    assert (400, param, "model_not_found") == (raised.value.status, raised.value.param, raised.value.code)


async def test_a_response_that_waited_is_refused_where_nobody_draws_any_more(shelves: Shelves) -> None:
    """The operator has taken the deployment away meanwhile."""
    drawings = with_painters(shelves, "one")
    with pytest.raises(ApiError, match="'two' does not exist"):
        drawings.tools(drawing(), order("two"), [], deployment=ANSWERS, caller=CALLER)


async def test_an_edit_without_a_picture_is_refused(shelves: Shelves) -> None:
    """By the place of the setting; with one it is not."""
    with pytest.raises(ApiError) as raised:
        shelves.drawings.tools(drawing(1, action="edit"), order(), [], deployment=ANSWERS, caller=CALLER)
    assert (400, "tools[1].action") == (raised.value.status, raised.value.param)
    shown = [Shown(InputImage(image_url=inlined(CAT)), is_default=True)]
    assert shelves.drawings.tools(drawing(1, action="edit"), order(), shown, deployment=ANSWERS, caller=CALLER)


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        ({"image_url": inlined(b"no picture")}, "invalid_image_format"),
        ({"file_id": "file-unknown"}, "image_file_not_found"),
    ],
)
async def test_a_mask_that_cannot_be_read_is_refused_before_anything_is_asked(
    shelves: Shelves, mask: dict[str, str], code: str
) -> None:
    """By its place."""
    with pytest.raises(ApiError) as raised:
        await shelves.drawings.check(drawing(2, input_image_mask=mask), CALLER)
    assert ("tools[2].input_image_mask", code) == (raised.value.param, raised.value.code)


async def test_without_a_mask_there_is_nothing_to_refuse(shelves: Shelves) -> None:
    """Or with one that can be read."""
    await shelves.drawings.check(None, CALLER)
    await shelves.drawings.check(drawing(), CALLER)
    await shelves.drawings.check(drawing(input_image_mask={"image_url": inlined(CAT)}), CALLER)


# From what


async def drawn(shelves: Shelves, *shown: Shown, mask: ImageMask | None = None, caller: Caller = CALLER) -> Answer:
    """What comes of a call that names no picture."""
    settings = drawing(input_image_mask=msgspec.to_builtins(mask)) if mask else drawing()
    [tool] = shelves.drawings.tools(settings, order(), shown, deployment=ANSWERS, caller=caller).values()
    return await called(tool)


async def called(tool: Tool) -> Answer:
    """What comes of a call of a tool."""
    call = OpenCall(KIND, Place("ig_9", 0, int), key="1", name="image_generation", call_id="call_1")
    call.write('{"prompt":"a house"}')

    async def report(phase: Phase) -> None:
        """It is the answer that is looked at."""

    return await tool.call(call, report)


async def test_a_drawing_starts_from_pictures_wherever_they_lie(shelves: Shelves) -> None:
    """In the request, on the shelf, as a drawing of before; only the defaults."""
    board = shelves.shelf.board("a", "resp_1")
    kept = (await board.items([ImageGenerationCall(id="ig_1", result=encoded(DOG))]))[0]
    assert isinstance(kept, ImageGenerationCall)
    answer = await drawn(
        shelves,
        Shown(InputImage(image_url=inlined(CAT)), is_default=True),
        Shown(InputImage(image_url="https://p.example/never-asked"), is_default=False),
        Shown(kept, is_default=True),
        Shown(InputImage(image_url=await board.base64(inlined(CAT))), is_default=True),
        mask=ImageMask(image_url=await board.base64(inlined(DOG))),
    )
    assert isinstance(answer.item, ImageGenerationCall)
    assert ("completed", encoded(noise("a house"))) == (answer.item.status, answer.item.result)
    [wish] = shelves.brush.wishes
    assert ([CAT, DOG, CAT], DOG) == (wish.sources, wish.mask)


@pytest.mark.parametrize(
    "origin",
    [
        InputImage(file_id="file-unknown"),
        ImageGenerationCall(id="ig_1"),
        ImageGenerationCall(id="ig_1", result="A"),
        ImageGenerationCall(id="ig_1", result=f"antiphon-blob:resp_1/{'0' * 64}"),
    ],
)
async def test_a_picture_that_is_gone_fails_the_call_alone(shelves: Shelves, origin: Origin) -> None:
    """The model is told, and may do something else."""
    answer = await drawn(shelves, Shown(origin, is_default=True))
    assert isinstance(answer.item, ImageGenerationCall)
    assert answer.item.error
    assert ("failed", "image_file_not_found") == (answer.item.status, answer.item.error.code)
    assert [] == shelves.brush.wishes


async def test_a_drawing_of_another_tenant_is_gone_too(shelves: Shelves) -> None:
    """Though its reference be known."""
    kept = (await shelves.shelf.board("a", "resp_1").items([ImageGenerationCall(id="ig_1", result=encoded(DOG))]))[0]
    assert isinstance(kept, ImageGenerationCall)
    answer = await drawn(shelves, Shown(kept, is_default=True), caller=Caller("b"))
    assert "No picture was drawn: The image of 'ig_1' is no longer kept." == answer.output


async def test_a_storage_that_is_down_fails_the_call_alone(database: Database) -> None:
    """And not the run."""

    class Down(Blobs):
        async def read(self, key: str) -> bytes:
            await anyio.lowlevel.checkpoint()
            raise StoreUnavailable(key)

    shelves = Shelves(database, blobs=Down("memory:"))
    kept = (await shelves.shelf.board("a", "resp_1").items([ImageGenerationCall(id="ig_1", result=encoded(DOG))]))[0]
    assert isinstance(kept, ImageGenerationCall)
    answer = await drawn(shelves, Shown(kept, is_default=True))
    assert "No picture was drawn: The picture cannot be read at the moment." == answer.output
    await shelves.aclose()


# Who writes


class Writer(Model):
    """A model that fails after a word."""

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak, then fail."""
        self.turns.append(turn)
        yield []
        raise UpstreamError("rate_limit_exceeded", "Too many requests.")


@pytest.mark.parametrize(
    ("names", "writer"),
    [([], "real-m"), (["pen"], "real-pen"), ([EVERY_MODEL], "real-all"), (["other"], "real-m")],
)
async def test_a_drawing_is_written_by_the_model_that_is_named_for_it(
    shelves: Shelves, names: list[str], writer: str
) -> None:
    """Or by the one that answers, where none is named or none of that name is there."""
    deployments = {"pen": Deployment("pen", Model(), model="real-pen")}
    if EVERY_MODEL in names:
        deployments = {EVERY_MODEL: Deployment(EVERY_MODEL, Model(), model="real-all")}
    table = {"name": "s", **({"deployment": "pen" if names != ["other"] else "other"} if names else {})}

    class Named(Easel):
        def writer(self, name: str) -> str | None:
            return table.get("deployment")

    drawings = Drawings(easel := Named(shelves.documents, shelves.brush), shelves.seeing, shelves.shelf, deployments)
    drawings.tools(drawing(), order(), [], deployment=ANSWERS, caller=CALLER)
    assert [writer] == easel.writers


async def test_a_writer_without_a_model_of_its_own_is_called_as_the_caller_says(shelves: Shelves) -> None:
    """As for any other turn."""
    shelves.drawings.tools(drawing(), order(), [], deployment=Deployment("*", Model()), caller=CALLER)
    assert ["m"] == shelves.easel.writers


async def test_a_writer_that_fails_leaves_a_drawing_unanswered(shelves: Shelves) -> None:
    """In the words for the caller."""
    writer = Writer()
    shelves.drawings.tools(drawing(), order(), [], deployment=Deployment("m", writer), caller=CALLER)
    [ask] = shelves.easel.asks
    async with aclosing(ask(Turn([]))) as heard:
        assert [] == await anext(heard)
        with pytest.raises(Unanswered, match="Too many requests") as raised:
            await anext(heard)
    assert "rate_limit_exceeded" == raised.value.code


# Who is shown what


def offered(*, draws: bool = False, may_grow: bool = False, remote: bool = False) -> Offer:
    """What a model is offered."""
    server = McpTool(server_label="s", server_url="https://s.example")
    tool = RemoteTool(server, McpToolListing(name="t", input_schema={}))
    return Offer(
        [],
        Choice(),
        None,
        [],
        remote={"t": tool} if remote else {},
        may_grow=may_grow,
        drawing=drawing() if draws else None,
    )


@pytest.mark.parametrize(
    ("turn", "offer", "is_shown"),
    [
        (Turn([]), offered(), False),
        (Turn([Message(role="user", content=[])], outputs={"mcp_1": "words"}), offered(), False),
        (Turn([]), offered(draws=True), True),
        (Turn([]), offered(may_grow=True), True),
        (Turn([]), offered(remote=True), True),
        (Turn([ImageGenerationCall(id="ig_1")]), offered(), True),
        (Turn([], outputs={"mcp_1": [InputText(text="a")]}), offered(), True),
    ],
)
async def test_turns_are_looked_through_where_a_picture_may_be_on_the_shelf(
    shelves: Shelves, turn: Turn, offer: Offer, *, is_shown: bool
) -> None:
    """A drawing, or what a tool has shown, now or before: else a turn costs nothing."""
    assert is_shown == (shelves.drawings.sight(ANSWERS, turn, offer, CALLER) is not None)
