"""What a drawing starts from, and what comes of calls that ask for what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # arguments of a model

import anyio
import pytest
from msgspec import UNSET
from PIL import Image

from antiphon.documents import Config as DocumentsConfig
from antiphon.documents import Documents
from antiphon.protocol.calls import ImageFault, ImageGenerationCall
from antiphon.protocol.errors import invalid_request
from antiphon.tools.image_generation import Studio
from antiphon.tools.image_generation.drawer import MOST_DRAWINGS
from antiphon.tools.image_generation.drawing import BUSY
from tests.images_api import encoded, images_api
from tests.tools.image_generation.studio import (
    COMPLETED,
    GENERATING,
    HOUSE,
    Told,
    Writer,
    drawing,
    settings,
    subject,
    written,
)

if TYPE_CHECKING:
    from antiphon.tools import Answer

pytestmark = pytest.mark.anyio

COLOURS = ("red", "green", "blue")
PICTURES = [encoded(Image.new("RGB", (32, 32), colour)) for colour in COLOURS]
GONE = invalid_request("The image is gone.", code="image_file_not_found")


async def started_from(
    documents: Documents, arguments: dict[str, Any], action: str | None, defaults: set[int]
) -> list[str]:
    """The colours of the pictures from which a drawing started."""
    subjects = [subject(content, is_default=number in defaults) for number, content in enumerate(PICTURES)]
    with images_api() as server:
        deployment = {"backend": "images", "base_url": server.url}
        tool = settings(action=action)
        told = await drawing(documents, deployment, arguments=arguments, tool=tool, subjects=subjects)
    asked = server.asked[0]
    assert ("edit" if asked.files else "generate") == told.item.action
    return [COLOURS[PICTURES.index(file.content)] for file in asked.files]


@pytest.mark.parametrize(
    ("images", "action", "defaults", "expected"),
    [
        (None, None, set(), []),
        (None, None, {1, 2}, ["green", "blue"]),
        ([], "auto", {1}, []),
        ([3, 1, 3], "auto", {1}, ["blue", "red"]),
        (None, "edit", {0}, ["red"]),
        ([], "edit", {0}, ["red"]),
        (None, "edit", set(), ["blue"]),
        ([2], "edit", {0}, ["green"]),
        ([2], "generate", {0}, []),
        (None, "generate", {0}, []),
    ],
)
async def test_a_drawing_starts_from_what_was_chosen(
    images: list[int] | None, action: str | None, defaults: set[int], expected: list[str], documents: Documents
) -> None:
    """By the caller's action, then by the model's choice, then by what lies near."""
    arguments = {"prompt": "p"} if images is None else {"prompt": "p", "images": images}
    assert expected == await started_from(documents, arguments, action, defaults)


async def test_numbers_may_be_written_as_text(documents: Documents) -> None:
    """Small models write numbers in quotes."""
    assert ["red"] == await started_from(documents, {"prompt": "p", "images": ["1"]}, None, set())


def failed(told: Told, code: str, message: str) -> None:
    """A call that failed before anything was drawn."""
    assert ("failed", "", (code, message)) == (told.item.status, told.item.result, told.error)
    assert f"No picture was drawn: {message}" == told.output
    assert told.item.error == ImageFault(type="image_generation_error", code=code, message=message)
    assert [] == told.names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{", "The arguments are not an object with a prompt."),
        ('{"prompt": 7}', "The arguments are not an object with a prompt."),
        ("[" * 100_000, "The arguments are not an object with a prompt."),
        ({"prompt": " \n"}, "The prompt is empty: say what the picture shows."),
        ({"prompt": "x" * 32_001}, "The prompt is longer than 32000 characters."),
        (
            {"prompt": "p", "images": [1, 0]},
            "There is no picture with the number 0: they are numbered from 1 to 20.",
        ),
        (
            {"prompt": "p", "images": [21]},
            "There is no picture with the number 21: they are numbered from 1 to 20.",
        ),
        ({"prompt": "p", "images": list(range(1, 18))}, "A drawing starts from 16 pictures at most."),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(
    arguments: str | dict[str, Any], message: str, documents: Documents
) -> None:
    """Nothing is drawn, and nothing is asked of anybody."""
    writer = Writer()
    told = await drawing(documents, arguments=arguments, subjects=[subject(PICTURES[0])] * 20, writer=writer)
    failed(told, "invalid_arguments", message)
    assert [] == writer.turns


async def test_a_number_where_there_are_no_pictures_is_told(documents: Documents) -> None:
    """The model learns that there is nothing to number."""
    told = await drawing(documents, arguments={"prompt": "p", "images": [1]})
    failed(told, "invalid_arguments", "There is no picture with the number 1: the conversation has none.")


async def test_an_edit_needs_something_to_edit(documents: Documents) -> None:
    """Where the caller insists on an edit and there is no picture, none is made up."""
    told = await drawing(documents, tool=settings(action="edit"))
    failed(told, "nothing_to_edit", "There is no picture in the conversation that could be edited.")


async def test_a_picture_that_is_gone_is_told(documents: Documents) -> None:
    """Why it cannot be had are the words of the refusal; a mask is a picture too."""
    lost, there = subject(GONE, is_default=True), subject(PICTURES[0], is_default=True)
    failed(await drawing(documents, subjects=[lost]), "image_file_not_found", "The image is gone.")
    failed(await drawing(documents, subjects=[there], mask=lost), "image_file_not_found", "The image is gone.")


async def test_a_mask_is_of_no_use_without_a_picture(documents: Documents) -> None:
    """It is not even loaded."""
    told = await drawing(documents, mask=subject(GONE))
    assert "completed" == told.item.status
    assert UNSET is told.item.error
    assert [GENERATING, COMPLETED] == told.names


async def test_a_call_that_was_lost_may_be_made_again(documents: Documents) -> None:
    """Drawing changes nothing; where it is not made again, the item says that nothing came of it."""
    drawer = Studio([], documents).tool(
        settings(), name="*", subjects=[], mask=None, ask=Writer(HOUSE).ask, writer="qwen"
    )
    call = written('{"prompt": "p"}')
    told = Told()
    told.answer = drawer.lost(call)
    assert drawer.repeats(call)
    failed(told, "server_error", "The server stopped before the picture was drawn.")


async def test_a_response_draws_so_many_pictures_and_no_more(documents: Documents) -> None:
    """Each is paid for, and all are held until the response ends."""
    with images_api() as server:
        studio = Studio([{"name": "*", "backend": "images", "base_url": server.url}], documents)
        tool = studio.tool(settings(), name="*", subjects=[], mask=None, ask=Writer().ask, writer="w")
        answers: list[Answer] = []

        async def draw() -> None:
            answers.append(await tool.call(written('{"prompt":"p"}'), Told().report))

        async with anyio.create_task_group() as group:
            for _ in range(MOST_DRAWINGS + 2):
                group.start_soon(draw)
        await studio.aclose()
    items = [answer.item for answer in answers if isinstance(answer.item, ImageGenerationCall)]
    errors = [item.error for item in items if isinstance(item.error, ImageFault)]
    assert (MOST_DRAWINGS, ["too_many_drawings"] * 2) == (len(server.asked), [error.code for error in errors])


@pytest.mark.parametrize("way", ["images", "svg", "an edit in svg"])
async def test_a_picture_that_nobody_has_time_to_look_at_is_no_bad_picture(way: str) -> None:
    """The client is told to try again, and the model is not asked for another drawing."""
    documents = Documents(DocumentsConfig())
    await documents.aclose()  # from now on it looks at nothing
    writer = Writer(HOUSE)
    with images_api() as server:
        deployment = {"backend": "images", "base_url": server.url} if way == "images" else {"backend": "svg"}
        photo = encoded(Image.new("RGB", (32, 32)), "jpeg")
        subjects = [subject(photo, is_default=True)] if way == "an edit in svg" else []
        told = await drawing(
            documents, deployment, subjects=subjects, writer=writer, tool=settings(output_format="jpeg")
        )
    assert ("server_error", BUSY) == told.error
    assert {"images": 0, "svg": 1, "an edit in svg": 0}[way] == len(writer.turns)
